//! DPoP proofs, written out as RFC 9449 has them.

mod es256;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Cases, Vector};
use crate::tokens::{AUDIENCE, EXECUTOR, NOW, Party, THIEF, hex, sign};

/// A DPoP proof for a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpopVector {
    /// What the case shows.
    pub about: String,
    /// The proof.
    pub text: String,
    /// When it is looked at, in seconds since the Unix epoch.
    pub now: u64,
    /// The holder.
    pub holder: DpopHolder,
    /// The request that it came with.
    pub request: DpopRequest,
    /// The answer.
    pub expect: DpopAnswer,
}

/// A holder as the token names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum DpopHolder {
    /// Its key in hex.
    Key(String),
    /// Its key's thumbprint in base64url.
    Jkt(String),
}

/// A request with a DPoP proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DpopRequest {
    /// The HTTP method.
    pub method: String,
    /// The configured address.
    pub url: String,
    /// The token as presented.
    pub token: String,
    /// The nonce that the server gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The tool's name.
    pub tool: String,
    /// The digest of the arguments in hex.
    pub args_digest: String,
    /// Who decides.
    pub audience: String,
}

/// What becomes of a DPoP proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum DpopAnswer {
    /// It is accepted.
    Accepted {
        /// What it signs: the `call`, or the `url` alone.
        bound: String,
        /// The key under which it is remembered, in hex.
        replay_key: String,
        /// Until when it is remembered.
        forget_after: u64,
    },
    /// It is refused.
    Refused {
        /// The code of the refusal.
        reason: String,
    },
}

pub(super) fn cases(cases: &mut Cases) {
    accepted_cases(cases);
    header_cases(cases);
    claim_cases(cases);
    es256::cases(cases);
}

fn accepted_cases(cases: &mut Cases) {
    let call = jws(&header(&EXECUTOR), &bound_claims(), &EXECUTOR);
    cases.add("dpop_call", vector("a proof that also signs the call", &call, accepted("call")));
    let plain = jws(&header(&EXECUTOR), &claims(), &EXECUTOR);
    cases.add("dpop_url", vector("a proof of RFC 9449 alone", &plain, accepted("url")));
    let old_name = header(&EXECUTOR).replace(r#""alg":"Ed25519""#, r#""alg":"EdDSA""#);
    cases.add("dpop_eddsa", vector("the algorithm's older name", &jws(&old_name, &claims(), &EXECUTOR), accepted("url")));
    let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, x(&EXECUTOR)));
    let jkt = |digest: &[u8]| DpopHolder::Jkt(URL_SAFE_NO_PAD.encode(digest));
    let known = |about: &str, holder, expect| Vector::Dpop(DpopVector { holder, ..dpop(vector(about, &call, expect)) });
    cases.add("dpop_by_thumbprint", known("the holder is known by its thumbprint", jkt(&thumbprint), accepted("call")));
    cases.add("dpop_other_thumbprint", known("another key's thumbprint", jkt(&[0; 32]), refused("PROOF_SIGNATURE")));
    for (name, about, htu) in [
        ("upper_case_host", "scheme and host in capitals", "HTTPS://CRM.example/tools/crm.read"),
        ("default_port", "the port that https has anyway", "https://crm.example:443/tools/crm.read"),
        ("query", "a query, which is ignored", "https://crm.example/tools/crm.read?id=1"),
        ("escaped", "an escape of an unreserved character", "https://crm.example/tools/crm%2eread"),
    ] {
        let text = jws(&header(&EXECUTOR), &claims().replace(URL, htu), &EXECUTOR);
        cases.add(&format!("dpop_htu_{name}"), vector(about, &text, accepted("url")));
    }
    let nonce = |given: &str, carried: &str| {
        let text = jws(&header(&EXECUTOR), &with(&bound_claims(), &format!(r#""nonce":"{carried}""#)), &EXECUTOR);
        let expect = if given == carried { accepted("call") } else { refused("DPOP_NONCE") };
        let vector = dpop(vector("the server gave a nonce", &text, expect));
        Vector::Dpop(DpopVector { request: DpopRequest { nonce: Some(given.to_owned()), ..vector.request }, ..vector })
    };
    cases.add("dpop_nonce", nonce("n-1", "n-1"));
    cases.add("dpop_nonce_other", nonce("n-1", "n-2"));
    for (name, now, expect) in [
        ("oldest", NOW + 60, accepted("call")),
        ("stale", NOW + 61, refused("PROOF_TIME")),
        ("ahead", NOW - 10, accepted("call")),
        ("future", NOW - 11, refused("PROOF_TIME")),
    ] {
        let vector = dpop(vector("the window is that of all proofs", &call, expect));
        cases.add(&format!("dpop_{name}"), Vector::Dpop(DpopVector { now, ..vector }));
    }
}

fn header_cases(cases: &mut Cases) {
    let good = header(&EXECUTOR);
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        jws(&good.replace(from, to), &claims(), &EXECUTOR)
    };
    let (input, _) = jws(&good, &claims(), &EXECUTOR).rsplit_once('.').map(|(input, rest)| (input.to_owned(), rest.len())).unwrap();
    for (name, about, text, reason) in [
        ("thief", "the key of somebody else, who signed", jws(&header(&THIEF), &claims(), &THIEF), "PROOF_SIGNATURE"),
        ("thief_signs", "the holder's key, somebody else's signature", jws(&good, &claims(), &THIEF), "PROOF_SIGNATURE"),
        ("typ_jwt", "another type", replaced("dpop+jwt", "JWT"), "DPOP_MALFORMED"),
        ("alg_none", "no algorithm", replaced(r#""alg":"Ed25519""#, r#""alg":"none""#), "DPOP_MALFORMED"),
        ("alg_hs256", "a symmetric algorithm", replaced(r#""alg":"Ed25519""#, r#""alg":"HS256""#), "DPOP_MALFORMED"),
        ("alg_missing", "no `alg`", replaced(r#""alg":"Ed25519","#, ""), "DPOP_MALFORMED"),
        ("kid", "a key id", replaced(r#"{"typ""#, r#"{"kid":"1","typ""#), "DPOP_MALFORMED"),
        ("crit", "a critical extension", replaced(r#"{"typ""#, r#"{"crit":["exp"],"exp":1,"typ""#), "DPOP_MALFORMED"),
        ("typ_twice", "a member twice", replaced(r#"{"typ""#, r#"{"typ":"dpop+jwt","typ""#), "DPOP_MALFORMED"),
        ("private_key", "the private half of the key", replaced(r#""crv""#, r#""d":"AAAA","crv""#), "DPOP_MALFORMED"),
        ("symmetric_key", "a symmetric key", replaced("OKP", "oct"), "DPOP_MALFORMED"),
        ("x25519_key", "a key of another curve", replaced(r#""crv":"Ed25519""#, r#""crv":"X25519""#), "DPOP_MALFORMED"),
        ("weak_key", "a key of small order", replaced(&x(&EXECUTOR), &"A".repeat(43)), "WEAK_KEY"),
        ("padded", "padded base64", format!("{}=", jws(&good, &claims(), &EXECUTOR)), "DPOP_MALFORMED"),
        ("two_parts", "no signature", input, "DPOP_MALFORMED"),
    ] {
        cases.add(&format!("dpop_header_{name}"), vector(about, &text, refused(reason)));
    }
}

fn claim_cases(cases: &mut Cases) {
    let signed = |claims: &str| jws(&header(&EXECUTOR), claims, &EXECUTOR);
    let replaced = |claims: &str, from: &str, to: &str| {
        assert!(claims.contains(from), "{from}");
        signed(&claims.replace(from, to))
    };
    let (plain, bound) = (claims(), bound_claims());
    let digest = URL_SAFE_NO_PAD.encode([2; 32]);
    for (name, about, text, reason) in [
        ("other_method", "another method", replaced(&plain, "POST", "GET"), "PROOF_MISMATCH"),
        ("other_url", "another address", replaced(&plain, URL, "https://crm.example/tools/crm.tag"), "PROOF_MISMATCH"),
        ("other_host", "another host", replaced(&plain, URL, "https://crm.example.evil.example/tools/crm.read"), "PROOF_MISMATCH"),
        ("user_in_url", "an address with a user's name", replaced(&plain, URL, "https://x@crm.example/tools/crm.read"), "DPOP_MALFORMED"),
        ("other_token", "another token", replaced(&plain, &ath(), &URL_SAFE_NO_PAD.encode([0; 32])), "PROOF_MISMATCH"),
        ("other_tool", "another tool", replaced(&bound, r#""tool":"crm.read""#, r#""tool":"crm.tag""#), "PROOF_MISMATCH"),
        ("other_arguments", "other arguments", replaced(&bound, &digest, &URL_SAFE_NO_PAD.encode([3; 32])), "PROOF_MISMATCH"),
        (
            "other_audience",
            "another audience",
            replaced(&bound, &format!(r#""aud":"{AUDIENCE}""#), r#""aud":"https://mail.example""#),
            "PROOF_MISMATCH",
        ),
        ("half_bound", "a tool without arguments and audience", signed(&with(&plain, r#""tool":"crm.read""#)), "DPOP_MALFORMED"),
        ("no_jti", "no `jti`", replaced(&plain, r#""jti":"j-1","#, ""), "DPOP_MALFORMED"),
        ("long_jti", "a `jti` of 129 bytes", replaced(&plain, "j-1", &"j".repeat(129)), "DPOP_MALFORMED"),
        ("no_ath", "no `ath`", replaced(&plain, &format!(r#","ath":"{}""#, ath()), ""), "DPOP_MALFORMED"),
        ("fractional_time", "half a second", replaced(&plain, &NOW.to_string(), &format!("{NOW}.5")), "DPOP_MALFORMED"),
        ("further_claim", "a claim that is not read here", signed(&with(&plain, r#""exp":1"#)), "DPOP_MALFORMED"),
        ("claim_twice", "a claim twice", signed(&with(&plain, r#""htm":"GET""#)), "DPOP_MALFORMED"),
    ] {
        cases.add(&format!("dpop_claims_{name}"), vector(about, &text, refused(reason)));
    }
}

fn header(party: &Party) -> String {
    format!(r#"{{"typ":"dpop+jwt","alg":"Ed25519","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{}"}}}}"#, x(party))
}

fn claims() -> String {
    format!(r#"{{"jti":"j-1","htm":"POST","htu":"{URL}","iat":{NOW},"ath":"{}"}}"#, ath())
}

fn bound_claims() -> String {
    let digest = URL_SAFE_NO_PAD.encode([2; 32]);
    with(&claims(), &format!(r#""tool":"crm.read","args_digest":"{digest}","aud":"{AUDIENCE}""#))
}

fn with(claims: &str, members: &str) -> String {
    claims.replacen('{', &format!("{{{members},"), 1)
}

fn jws(header: &str, claims: &str, party: &Party) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = sign(&party.seed, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn x(party: &Party) -> String {
    URL_SAFE_NO_PAD.encode(party.key().as_bytes())
}

fn ath() -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(TOKEN))
}

fn vector(about: &str, text: &str, expect: DpopAnswer) -> Vector {
    let request = DpopRequest {
        method: "POST".to_owned(),
        url: URL.to_owned(),
        token: TOKEN.to_owned(),
        nonce: None,
        tool: "crm.read".to_owned(),
        args_digest: "02".repeat(32),
        audience: AUDIENCE.to_owned(),
    };
    let holder = DpopHolder::Key(EXECUTOR.hex());
    Vector::Dpop(DpopVector { about: about.to_owned(), text: text.to_owned(), now: NOW, holder, request, expect })
}

fn dpop(vector: Vector) -> DpopVector {
    let Vector::Dpop(vector) = vector else { panic!("a DPoP proof") };
    vector
}

fn accepted(bound: &str) -> DpopAnswer {
    accepted_by(EXECUTOR.key().as_bytes(), bound)
}

/// SHA-256 over a word, the signer and the `jti`, each behind its length.
fn accepted_by(signer: &[u8], bound: &str) -> DpopAnswer {
    let parts = [b"narrows/dpop/1".as_slice(), signer, b"j-1"];
    let input: Vec<u8> = parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes(), *part].concat()).collect();
    DpopAnswer::Accepted { bound: bound.to_owned(), replay_key: hex(&Sha256::digest(input)), forget_after: NOW + 60 }
}

fn refused(reason: &str) -> DpopAnswer {
    DpopAnswer::Refused { reason: reason.to_owned() }
}

const URL: &str = "https://crm.example/tools/crm.read";
/// Any text: no part of a DPoP proof but `ath` depends on it.
const TOKEN: &str = "dG9rZW4";
