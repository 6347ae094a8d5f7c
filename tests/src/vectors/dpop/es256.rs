//! DPoP proofs by P-256 keys, whose holders are known by a thumbprint alone.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use sha2::{Digest, Sha256};

use super::{Cases, DpopAnswer, DpopHolder, DpopVector, EXECUTOR, Vector, accepted_by, bound_claims, claims, dpop, refused, vector};

pub(super) fn cases(cases: &mut Cases) {
    let ours = Key::of(1);
    let thief = Key::of(2);
    let mut add = |name: &str, about: &str, text: String, holder: DpopHolder, expect: DpopAnswer| {
        cases.add(&format!("dpop_es256_{name}"), Vector::Dpop(DpopVector { holder, ..dpop(vector(about, &text, expect)) }));
    };
    let accepted = |bound| accepted_by(&ours.coordinates(), bound);
    let plain = jws(&ours.header(), &claims(), &ours);
    add(
        "call",
        "a proof by a P-256 key that also signs the call",
        jws(&ours.header(), &bound_claims(), &ours),
        ours.holder(),
        accepted("call"),
    );
    add("url", "a proof of RFC 9449 alone", plain.clone(), ours.holder(), accepted("url"));
    add("negated", "the other signature that ECDSA has for each", ours.signed(&ours.header(), negate), ours.holder(), accepted("url"));
    add("other_thumbprint", "another key's thumbprint", plain.clone(), thief.holder(), refused("PROOF_SIGNATURE"));
    add("ed25519_holder", "the holder has an Ed25519 key", plain.clone(), DpopHolder::Key(EXECUTOR.hex()), refused("PROOF_SIGNATURE"));
    add(
        "thief",
        "the key of somebody else, who signed",
        jws(&thief.header(), &claims(), &thief),
        ours.holder(),
        refused("PROOF_SIGNATURE"),
    );
    add(
        "thief_signs",
        "the holder's key, somebody else's signature",
        jws(&ours.header(), &claims(), &thief),
        ours.holder(),
        refused("PROOF_SIGNATURE"),
    );

    for (name, about, change, reason) in [
        (
            "zero_r",
            "a signature with r = 0",
            (|mut bytes: Vec<u8>| {
                bytes[..32].fill(0);
                bytes
            }) as fn(Vec<u8>) -> Vec<u8>,
            "PROOF_SIGNATURE",
        ),
        (
            "zero_s",
            "a signature with s = 0",
            |mut bytes| {
                bytes[32..].fill(0);
                bytes
            },
            "PROOF_SIGNATURE",
        ),
        ("zeros", "a signature of zeros", |bytes| vec![0; bytes.len()], "PROOF_SIGNATURE"),
        (
            "large_s",
            "a signature with s beyond the order",
            |mut bytes| {
                bytes[32..].fill(0xff);
                bytes
            },
            "PROOF_SIGNATURE",
        ),
        (
            "flipped",
            "a flipped bit",
            |mut bytes| {
                bytes[40] ^= 1;
                bytes
            },
            "PROOF_SIGNATURE",
        ),
        ("der", "a signature in DER", |bytes| Signature::from_slice(&bytes).unwrap().to_der().as_bytes().to_vec(), "DPOP_MALFORMED"),
        (
            "cut",
            "a signature of 63 bytes",
            |mut bytes| {
                bytes.pop();
                bytes
            },
            "DPOP_MALFORMED",
        ),
    ] {
        add(name, about, ours.signed(&ours.header(), change), ours.holder(), refused(reason));
    }

    let (x, y) = (ours.x(), ours.y());
    let good = ours.header();
    for (name, about, header, reason) in [
        ("alg_eddsa", "the algorithm of another kind of key", good.replace("ES256", "EdDSA"), "DPOP_MALFORMED"),
        ("alg_es384", "the algorithm of another curve", good.replace("ES256", "ES384"), "DPOP_MALFORMED"),
        ("alg_none", "no algorithm", good.replace("ES256", "none"), "DPOP_MALFORMED"),
        ("p384_key", "a key of another curve", good.replace("P-256", "P-384"), "DPOP_MALFORMED"),
        ("okp_key", "a curve of another kind of key", good.replace(r#""kty":"EC""#, r#""kty":"OKP""#), "DPOP_MALFORMED"),
        ("private_key", "the private half of the key", good.replace(r#""crv""#, r#""d":"AAAA","crv""#), "DPOP_MALFORMED"),
        ("kid_in_key", "a member that a key need not have", good.replace(r#""crv""#, r#""kid":"1","crv""#), "DPOP_MALFORMED"),
        ("no_y", "half a point", good.replace(&format!(r#","y":"{y}""#), ""), "DPOP_MALFORMED"),
        ("short_x", "a coordinate of 31 bytes", good.replace(&x, &URL_SAFE_NO_PAD.encode([1; 31])), "DPOP_MALFORMED"),
        ("off_curve", "no point of the curve", good.replace(&y, &x), "WEAK_KEY"),
        ("infinity", "zeros, which are no point of the curve", good.replace(&x, &"A".repeat(43)).replace(&y, &"A".repeat(43)), "WEAK_KEY"),
        ("large_x", "a coordinate beyond the field", good.replace(&x, &URL_SAFE_NO_PAD.encode([0xff; 32])), "WEAK_KEY"),
    ] {
        add(name, about, jws(&header, &claims(), &ours), ours.holder(), refused(reason));
    }
}

struct Key(SigningKey);

impl Key {
    fn of(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).unwrap())
    }

    fn coordinates(&self) -> Vec<u8> {
        self.0.verifying_key().to_encoded_point(false).as_bytes()[1..].to_vec()
    }

    fn x(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.coordinates()[..32])
    }

    fn y(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.coordinates()[32..])
    }

    fn header(&self) -> String {
        format!(r#"{{"typ":"dpop+jwt","alg":"ES256","jwk":{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}}}"#, self.x(), self.y())
    }

    /// As the token names the holder.
    fn holder(&self) -> DpopHolder {
        let jwk = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, self.x(), self.y());
        DpopHolder::Jkt(URL_SAFE_NO_PAD.encode(Sha256::digest(jwk)))
    }

    /// A plain proof with another signature in the place of the genuine one.
    fn signed(&self, header: &str, change: fn(Vec<u8>) -> Vec<u8>) -> String {
        let text = jws(header, &claims(), self);
        let (input, signature) = text.rsplit_once('.').unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(change(URL_SAFE_NO_PAD.decode(signature).unwrap())))
    }
}

/// Signed as RFC 6979 has it, so that the vectors come out the same each time.
fn jws(header: &str, claims: &str, key: &Key) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature: Signature = key.0.sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

fn negate(signature: Vec<u8>) -> Vec<u8> {
    let signature = Signature::from_slice(&signature).unwrap();
    let (r, s) = signature.split_scalars();
    Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap().to_bytes().to_vec()
}
