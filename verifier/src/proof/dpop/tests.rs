use super::{super::ReplayCache, *};
use crate::json::{Limits, parse};

const SEED: [u8; 32] = [7; 32];
const NOW: u64 = 1_795_000_000;

fn request() -> DpopRequest<'static> {
    DpopRequest {
        method: "POST",
        url: "https://crm.example/tools/crm.read",
        token: "dG9rZW4",
        nonce: None,
        tool: "crm.read",
        args_digest: [2; 32],
        audience: "https://crm.example",
    }
}

fn check(text: &str, request: &DpopRequest<'_>) -> Result<(Once, Bound), Reason> {
    check_dpop(text, request, DpopHolder::Key(&public_key(&SEED)), NOW)
}

/// A proof with any header and claims, signed.
fn forged(header: &str, claims: &str) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(sign(&SEED, input.as_bytes())))
}

fn header() -> String {
    let x = URL_SAFE_NO_PAD.encode(public_key(&SEED).as_bytes());
    format!(r#"{{"typ":"dpop+jwt","alg":"Ed25519","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#)
}

/// The claims of RFC 9449 alone, as a client that knows nothing of us writes them.
fn plain_claims() -> String {
    let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(request().token));
    format!(r#"{{"jti":"j-1", "htm":"POST", "htu":"https://crm.example/tools/crm.read", "iat":{NOW}, "ath":"{ath}"}}"#)
}

fn with(claims: &str, member: &str) -> String {
    claims.replacen('{', &format!("{{{member},"), 1)
}

#[test]
fn the_thumbprint_is_that_of_rfc_8037() {
    let seed: [u8; 32] = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap().try_into().unwrap();
    let key = public_key(&seed);
    assert_eq!(URL_SAFE_NO_PAD.encode(key.as_bytes()), "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(URL_SAFE_NO_PAD.encode(thumbprint(&key)), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_thumbprint_of_a_p256_key_is_that_of_rfc_9449() {
    let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (x, y) = (decode("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"), decode("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"));
    let key = DpopKey::p256(&x, &y).unwrap();
    assert_eq!(URL_SAFE_NO_PAD.encode(key.thumbprint()), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn a_p256_signature_is_that_of_rfc_7515() {
    let decode = |text| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (x, y) = (decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"), decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
    let key = DpopKey::p256(&x, &y).unwrap();
    let input = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = decode("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    let signature: [u8; 64] = signature.try_into().unwrap();
    assert!(key.verifies(input.as_bytes(), &signature));
    assert!(!key.verifies(b"other", &signature) && !key.verifies(input.as_bytes(), &[0; 64]));
    for (half, reason) in [(&x[..31], Reason::KeyAlgorithm), (&y[..], Reason::WeakKey)] {
        assert_eq!(DpopKey::p256(&x, half).err().or(DpopKey::p256(half, &y).err()), Some(reason));
    }
}

#[test]
fn our_proof_is_bound_to_the_whole_call() {
    let text = sign_dpop(&request(), NOW, &[3; 16], &SEED);
    let (once, bound) = check(&text, &request()).unwrap();
    assert_eq!((bound, bound.evidence(), once.forget_after), (Bound::Call, Evidence::Holder, NOW + 60));
    let others = [
        DpopRequest { method: "GET", ..request() },
        DpopRequest { url: "https://crm.example/tools/crm.write", ..request() },
        DpopRequest { token: "dG9rZW5z", ..request() },
        DpopRequest { tool: "crm.write", ..request() },
        DpopRequest { args_digest: [9; 32], ..request() },
        DpopRequest { audience: "https://other.example", ..request() },
    ];
    for other in others {
        assert_eq!(check(&text, &other), Err(Reason::ProofMismatch), "{other:?}");
    }
}

#[test]
fn a_plain_proof_is_known_to_be_one() {
    let text = forged(&header(), &plain_claims());
    let (_, bound) = check(&text, &DpopRequest { args_digest: [9; 32], ..request() }).unwrap();
    assert_eq!((bound, bound.evidence()), (Bound::UrlOnly, Evidence::ToolWord));
    assert!(check(&forged(&header().replace("Ed25519\",\"jwk", "EdDSA\",\"jwk"), &plain_claims()), &request()).is_ok());
}

#[test]
fn a_holder_is_known_by_key_or_thumbprint() {
    let text = sign_dpop(&request(), NOW, &[3; 16], &SEED);
    let holders = [public_key(&SEED), public_key(&[8; 32])];
    let [ours, other] = &holders;
    let [our_print, other_print] = holders.map(|key| thumbprint(&key));
    let by = |holder| check_dpop(&text, &request(), holder, NOW).map(|(_, bound)| bound);
    assert_eq!(by(DpopHolder::Key(ours)), Ok(Bound::Call));
    assert_eq!(by(DpopHolder::Thumbprint(&our_print)), Ok(Bound::Call));
    assert_eq!(by(DpopHolder::Key(other)), Err(Reason::ProofSignature));
    assert_eq!(by(DpopHolder::Thumbprint(&other_print)), Err(Reason::ProofSignature));
    // the holder's key in the header, another's signature
    let (input, _) = text.rsplit_once('.').unwrap();
    let stolen = format!("{input}.{}", URL_SAFE_NO_PAD.encode(sign(&[8; 32], input.as_bytes())));
    assert_eq!(check(&stolen, &request()).err(), Some(Reason::ProofSignature));
}

#[test]
fn the_window_and_the_memory_are_those_of_all_proofs() {
    let text = sign_dpop(&request(), NOW, &[3; 16], &SEED);
    for (now, fresh) in [(NOW + 60, true), (NOW + 61, false), (NOW - 10, true), (NOW - 11, false)] {
        let checked = check_dpop(&text, &request(), DpopHolder::Key(&public_key(&SEED)), now);
        assert_eq!(checked.err(), (!fresh).then_some(Reason::ProofTime), "{now}");
    }
    let mut cache = ReplayCache::new(4);
    let once = check(&text, &request()).unwrap().0;
    assert_eq!(cache.accept(once, NOW), Ok(()));
    assert_eq!(cache.accept(once, NOW), Err(Reason::ProofReplayed));
    // one `jti` of two keys is two proofs
    let other = sign_dpop(&request(), NOW, &[3; 16], &[8; 32]);
    let (other, _) = check_dpop(&other, &request(), DpopHolder::Key(&public_key(&[8; 32])), NOW).unwrap();
    assert_eq!(cache.accept(other, NOW), Ok(()));
}

#[test]
fn a_demanded_nonce_must_be_the_one_given() {
    let given = DpopRequest { nonce: Some("n-1"), ..request() };
    let text = sign_dpop(&given, NOW, &[3; 16], &SEED);
    assert!(check(&text, &given).is_ok());
    assert_eq!(check(&text, &DpopRequest { nonce: Some("n-2"), ..request() }).err(), Some(Reason::DpopNonce));
    assert_eq!(check(&sign_dpop(&request(), NOW, &[3; 16], &SEED), &given).err(), Some(Reason::DpopNonce));
    assert!(check(&text, &request()).is_ok(), "a nonce that nobody demanded says nothing");
}

#[test]
fn a_header_that_says_anything_else_is_refused() {
    let good = header();
    let weak = good.replace(&URL_SAFE_NO_PAD.encode(public_key(&SEED).as_bytes()), &URL_SAFE_NO_PAD.encode([0; 32]));
    let table = [
        (good.replace("dpop+jwt", "JWT"), Reason::DpopMalformed),
        (good.replace("dpop+jwt", "DPoP+JWT"), Reason::DpopMalformed),
        (good.replace(r#""alg":"Ed25519""#, r#""alg":"none""#), Reason::DpopMalformed),
        (good.replace(r#""alg":"Ed25519""#, r#""alg":"HS256""#), Reason::DpopMalformed),
        (good.replace(r#""alg":"Ed25519","#, ""), Reason::DpopMalformed),
        (good.replace(r#""crv":"Ed25519""#, r#""crv":"X25519""#), Reason::DpopMalformed),
        (good.replace("OKP", "oct"), Reason::DpopMalformed),
        (good.replace(r#""kty":"OKP""#, r#""kty":"OKP","d":"AAAA""#), Reason::DpopMalformed),
        (good.replace(r#""kty":"OKP""#, r#""kty":"OKP","kid":"1""#), Reason::DpopMalformed),
        (with(&good, r#""crit":["b64"],"b64":false"#), Reason::DpopMalformed),
        (with(&good, r#""kid":"1""#), Reason::DpopMalformed),
        (with(&good, r#""typ":"dpop+jwt""#), Reason::DpopMalformed),
        (good.replace(r#""jwk":{"#, r#""jwk":"x","ignored":{"#), Reason::DpopMalformed),
        (good.replace(r#""x":""#, r#""x":"A"#), Reason::DpopMalformed),
        (weak, Reason::WeakKey),
        ("[]".to_owned(), Reason::DpopMalformed),
    ];
    for (header, reason) in table {
        assert_eq!(check(&forged(&header, &plain_claims()), &request()).err(), Some(reason), "{header}");
    }
}

#[test]
fn claims_in_another_form_are_refused() {
    let good = plain_claims();
    let without = |name: &str| {
        let Ok(Value::Object(mut members)) = parse(good.as_bytes(), Limits::SIGNED) else { panic!() };
        assert!(members.remove(&Key(name.to_owned())).is_some());
        Value::Object(members).canonical()
    };
    let table = [
        (without("jti"), Reason::DpopMalformed),
        (without("htm"), Reason::DpopMalformed),
        (without("htu"), Reason::DpopMalformed),
        (without("iat"), Reason::DpopMalformed),
        (without("ath"), Reason::DpopMalformed),
        (with(&good, r#""exp":1"#), Reason::DpopMalformed),
        (with(&good, r#""jti":"j-1""#), Reason::DpopMalformed),
        (with(&good, r#""tool":"crm.read""#), Reason::DpopMalformed),
        (with(&good, r#""tool":"crm.read","aud":"https://crm.example""#), Reason::DpopMalformed),
        (with(&good, r#""tool":1,"aud":"a","args_digest":"b""#), Reason::DpopMalformed),
        (with(&good, r#""nonce":1"#), Reason::DpopMalformed),
        (good.replace("j-1", ""), Reason::DpopMalformed),
        (good.replace("j-1", &"j".repeat(129)), Reason::DpopMalformed),
        (good.replace(r#""htu":"https://crm.example"#, r#""htu":"https://user@crm.example"#), Reason::DpopMalformed),
        (good.replace(&format!("{NOW}"), &format!("{NOW}.5")), Reason::DpopMalformed),
        (good.replace(&format!("{NOW}"), "-1"), Reason::ProofTime),
        (good.replace(r#""htm":"POST""#, r#""htm":"post""#), Reason::ProofMismatch),
        ("[]".to_owned(), Reason::DpopMalformed),
    ];
    for (claims, reason) in table {
        assert_eq!(check(&forged(&header(), &claims), &request()).err(), Some(reason), "{claims}");
    }
    assert!(check(&forged(&header(), &good), &request()).is_ok());
}

#[test]
fn a_text_that_is_no_compact_jws_is_refused() {
    let good = sign_dpop(&request(), NOW, &[3; 16], &SEED);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let table = [
        String::new(),
        "..".to_owned(),
        input.to_owned(),
        format!("{good}.AAAA"),
        format!("{good}="),
        format!("{input}.{}", signature.split_at(1).1),
        format!("={good}"),
        "a".repeat(9000),
    ];
    for text in table {
        assert_eq!(check(&text, &request()).err(), Some(Reason::DpopMalformed), "{text}");
    }
}

#[test]
fn a_signature_by_a_p256_secret_is_one_by_its_key() {
    use sign::sign_p256;
    let (signature, key) = sign_p256(&[7; 32], b"message").unwrap();
    let (x, y) = key.split_at(32);
    let read = DpopKey::p256(x, y).unwrap();
    assert!(read.verifies(b"message", &signature) && !read.verifies(b"another", &signature));
    assert!(sign_p256(&[0; 32], b"message").is_none() && sign_p256(&[0xff; 32], b"message").is_none());
}
