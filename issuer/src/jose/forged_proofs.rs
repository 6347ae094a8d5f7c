//! DPoP proofs at our own endpoints: the two kinds of key that pass, and the table of what doesn't.

use narrows_verifier::{Holder, PublicKey, Reason};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::forge::{TestKey, bare_jwk, der_signing_key, encode, signing_input, token, with};
use super::world::{NOW_S, URL, World};
use super::{DpopProof, DpopRequest, MAX_NONCE_LIFE_S, check_dpop_proof};

fn request() -> DpopRequest<'static> {
    DpopRequest { method: "POST", url: URL, access_token: None }
}

fn header(key: &TestKey, algorithm: &str) -> Value {
    json!({"alg": algorithm, "typ": "dpop+jwt", "jwk": bare_jwk(key)})
}

fn claims() -> Value {
    json!({"jti": "proof-1", "htm": "POST", "htu": URL, "iat": NOW_S})
}

fn check(text: &str) -> Result<DpopProof, Reason> {
    check_dpop_proof(text, &request(), NOW_S)
}

#[test]
fn a_proof_binds_to_an_ed25519_key_itself_and_to_a_p256_key_by_thumbprint() {
    let world = World::new();
    for algorithm in ["EdDSA", "Ed25519"] {
        let proof = check(&token(&world.ed25519, &header(&world.ed25519, algorithm), &claims())).unwrap();
        let TestKey::Ed25519(key) = &world.ed25519 else { panic!() };
        let key = PublicKey::from_bytes(&key.verifying_key().to_bytes()).unwrap();
        assert_eq!((proof.holder, proof.nonce), (Holder::Key(key), None));
        assert_eq!((proof.thumbprint, proof.once.forget_after), (narrows_verifier::proof::dpop::thumbprint(&key), NOW_S + 60));
    }
    let proof = check(&token(&world.p256, &header(&world.p256, "ES256"), &claims())).unwrap();
    let jwk = bare_jwk(&world.p256);
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    assert_eq!(proof.thumbprint, <[u8; 32]>::from(Sha256::digest(members)));
    assert_eq!(proof.holder, Holder::Thumbprint(proof.thumbprint));
}

#[test]
fn the_proof_of_rfc_9449_holds() {
    let text = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdC\
        RnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtI\
        joiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4P\
        tFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    let request = DpopRequest { method: "POST", url: "https://server.example.com/token", access_token: None };
    let proof = check_dpop_proof(text, &request, 1_562_262_616).unwrap();
    assert_eq!(encode(proof.thumbprint), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    assert_eq!(check_dpop_proof(text, &request, 1_562_262_616 + 61), Err(Reason::ProofTime));
}

#[test]
fn members_that_say_nothing_are_let_be() {
    let world = World::new();
    let jwk = with(&bare_jwk(&world.p256), json!({"kid": "mine", "use": "sig", "alg": "ES256", "key_ops": ["verify"], "ext": true}));
    let header = with(&header(&world.p256, "ES256"), json!({"jwk": jwk, "kid": "mine"}));
    let claims = with(&claims(), json!({"iss": "agent-1", "exp": NOW_S + 60, "nbf": NOW_S}));
    assert!(check(&token(&world.p256, &header, &claims)).is_ok());
}

#[test]
fn forged_headers_are_refused() {
    let world = World::new();
    let base = header(&world.p256, "ES256");
    let jwk = |changes: Value| json!({"jwk": with(&bare_jwk(&world.p256), changes)});
    let mut identity = [0; 32];
    identity[0] = 1;
    let table = [
        (json!({"typ": "JWT"}), Reason::DpopMalformed),
        (json!({"typ": null}), Reason::DpopMalformed),
        (json!({"typ": "at+jwt"}), Reason::DpopMalformed),
        (json!({"alg": "none"}), Reason::DpopMalformed),
        (json!({"alg": "HS256"}), Reason::DpopMalformed),
        (json!({"alg": "EdDSA"}), Reason::DpopMalformed),
        (json!({"alg": "ES384"}), Reason::DpopMalformed),
        (json!({"alg": null}), Reason::DpopMalformed),
        (json!({"crit": ["exp"], "exp": 1}), Reason::DpopMalformed),
        (json!({"b64": false}), Reason::DpopMalformed),
        (json!({"jku": "https://evil.example"}), Reason::DpopMalformed),
        (json!({"jwk": null}), Reason::DpopMalformed),
        (json!({"jwk": "key"}), Reason::DpopMalformed),
        (json!({"jwk": {"kty": "oct", "k": encode([7; 32])}}), Reason::DpopMalformed),
        (json!({"jwk": bare_jwk(&world.rsa), "alg": "RS256"}), Reason::DpopMalformed),
        (json!({"jwk": {"kty": "RSA", "n": encode([0xff; 64]), "e": "AQAB"}, "alg": "RS256"}), Reason::DpopMalformed),
        (json!({"jwk": with(&bare_jwk(&world.rsa), json!({"e": "AQ"})), "alg": "RS256"}), Reason::DpopMalformed),
        (json!({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode(identity)}, "alg": "EdDSA"}), Reason::WeakKey),
        (json!({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode([0; 32])}, "alg": "EdDSA"}), Reason::WeakKey),
        (json!({"jwk": {"kty": "OKP", "crv": "X25519", "x": encode([9; 32])}, "alg": "EdDSA"}), Reason::DpopMalformed),
        (jwk(json!({"x": encode([1; 32])})), Reason::WeakKey),
        (jwk(json!({"x": encode([0; 32]), "y": encode([0; 32])})), Reason::WeakKey),
        (jwk(json!({"x": encode([0xff; 32])})), Reason::WeakKey),
        (jwk(json!({"x": encode([1; 31])})), Reason::DpopMalformed),
        (jwk(json!({"y": null})), Reason::DpopMalformed),
        (jwk(json!({"crv": "P-384"})), Reason::DpopMalformed),
        (jwk(json!({"use": "enc"})), Reason::DpopMalformed),
        (jwk(json!({"alg": "ES384"})), Reason::DpopMalformed),
        (jwk(json!({"key_ops": ["sign"]})), Reason::DpopMalformed),
    ];
    for (changes, reason) in table {
        assert_eq!(check(&token(&world.p256, &with(&base, changes.clone()), &claims())).err(), Some(reason), "{changes}");
    }
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let header = with(&base, jwk(json!({private: encode([7; 32])})));
        assert_eq!(check(&token(&world.p256, &header, &claims())).err(), Some(Reason::DpopMalformed), "{private}");
    }
}

#[test]
fn forged_signatures_are_refused() {
    let world = World::new();
    let input = signing_input(&header(&world.p256, "ES256").to_string(), &claims().to_string());
    let genuine = world.p256.sign("ES256", input.as_bytes());
    let signed = |signature: Vec<u8>| check(&format!("{input}.{}", encode(signature))).map(|_| ());
    assert_eq!(signed(genuine.clone()), Ok(()));
    for (name, signature) in [
        ("zero r", [&[0; 32], &genuine[32..]].concat()),
        ("zero s", [&genuine[..32], &[0; 32]].concat()),
        ("both zero", vec![0; 64]),
        ("s beyond the order", [&genuine[..32], &[0xff; 32]].concat()),
        ("too short", genuine[..63].to_vec()),
        ("too long", [genuine.as_slice(), &[0]].concat()),
        ("none", Vec::new()),
        ("another key", TestKey::p256().sign("ES256", input.as_bytes())),
    ] {
        assert_eq!(signed(signature), Err(Reason::ProofSignature), "{name}");
    }
    let (key, sign_der) = der_signing_key();
    let input = signing_input(&header(&key, "ES256").to_string(), &claims().to_string());
    assert_eq!(check(&format!("{input}.{}", encode(sign_der(input.as_bytes())))).err(), Some(Reason::ProofSignature));

    // Under the identity point this signature holds for every message; the key is refused before.
    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = json!({"alg": "EdDSA", "typ": "dpop+jwt", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode(identity)}});
    let input = signing_input(&weak.to_string(), &claims().to_string());
    let universal = [identity, [0; 32]].concat();
    assert_eq!(check(&format!("{input}.{}", encode(universal))).err(), Some(Reason::WeakKey));
}

#[test]
fn claims_that_do_not_fit_the_request_are_refused() {
    let world = World::new();
    let table = [
        (json!({"htm": "GET"}), Reason::ProofMismatch),
        (json!({"htm": "post"}), Reason::ProofMismatch),
        (json!({"htm": null}), Reason::DpopMalformed),
        (json!({"htu": "https://narrows.example/oauth/revoke"}), Reason::ProofMismatch),
        (json!({"htu": "https://evil.example/oauth/token"}), Reason::ProofMismatch),
        (json!({"htu": "http://narrows.example/oauth/token"}), Reason::ProofMismatch),
        (json!({"htu": "https://user@narrows.example/oauth/token"}), Reason::DpopMalformed),
        (json!({"htu": "/oauth/token"}), Reason::DpopMalformed),
        (json!({"htu": null}), Reason::DpopMalformed),
        (json!({"ath": encode([0; 32])}), Reason::ProofMismatch),
        (json!({"ath": 1}), Reason::ProofMismatch),
        (json!({"jti": null}), Reason::DpopMalformed),
        (json!({"jti": ""}), Reason::DpopMalformed),
        (json!({"jti": 1}), Reason::DpopMalformed),
        (json!({"jti": "j".repeat(129)}), Reason::DpopMalformed),
        (json!({"jti": "j".repeat(4_000)}), Reason::DpopMalformed),
        (json!({"iat": null}), Reason::DpopMalformed),
        (json!({"iat": NOW_S.to_string()}), Reason::DpopMalformed),
        (json!({"iat": -1}), Reason::DpopMalformed),
        (json!({"iat": NOW_S - 61}), Reason::ProofTime),
        (json!({"iat": NOW_S + 11}), Reason::ProofTime),
        (json!({"iat": NOW_S as f64 + 10.5}), Reason::ProofTime),
        (json!({"iat": NOW_S as f64 - 60.5}), Reason::ProofTime),
        (json!({"exp": NOW_S - 30}), Reason::ProofTime),
        (json!({"nbf": NOW_S + 31}), Reason::ProofTime),
        (json!({"exp": "soon"}), Reason::DpopMalformed),
        (json!({"nonce": 1}), Reason::DpopMalformed),
        (json!({"nonce": "n".repeat(513)}), Reason::DpopMalformed),
    ];
    let base = header(&world.p256, "ES256");
    for (changes, reason) in table {
        assert_eq!(check(&token(&world.p256, &base, &with(&claims(), changes.clone()))).err(), Some(reason), "{changes}");
    }
    for changes in [
        json!({"iat": NOW_S - 60}),
        json!({"iat": NOW_S + 10}),
        json!({"jti": "j".repeat(128)}),
        json!({"htu": "HTTPS://NARROWS.example:443/oauth/../oauth/%74oken?a=b#c"}),
    ] {
        assert!(check(&token(&world.p256, &base, &with(&claims(), changes.clone()))).is_ok(), "{changes}");
    }
    let good = token(&world.p256, &base, &claims());
    for text in [String::new(), "..".to_owned(), format!("{good}="), format!("{good}.AA"), good.repeat(20)] {
        assert_eq!(check(&text).err(), Some(Reason::DpopMalformed), "{text}");
    }
    let twice = signing_input(&base.to_string(), &claims().to_string().replacen('{', r#"{"htm":"GET","#, 1));
    let twice = format!("{twice}.{}", encode(world.p256.sign("ES256", twice.as_bytes())));
    assert_eq!(check(&twice).err(), Some(Reason::DpopMalformed));
}

#[test]
fn a_nonce_stands_in_for_the_clock_and_is_remembered_longer() {
    let world = World::new();
    let signed = |changes: Value| check(&token(&world.p256, &header(&world.p256, "ES256"), &with(&claims(), changes)));
    for iat in [NOW_S - 100_000, NOW_S, NOW_S + 100_000] {
        let proof = signed(json!({"iat": iat, "nonce": "n-1"})).unwrap();
        assert_eq!((proof.nonce.as_deref(), proof.once.forget_after), (Some("n-1"), NOW_S + MAX_NONCE_LIFE_S));
    }
    // one `jti` is one proof of its key, with a nonce or without
    let keys =
        [json!({}), json!({"nonce": "n-1"}), json!({"nonce": "n-2", "iat": NOW_S + 1})].map(|changes| signed(changes).unwrap().once.key);
    assert!(keys[0] == keys[1] && keys[1] == keys[2]);
    assert_ne!(signed(json!({"jti": "proof-2"})).unwrap().once.key, keys[0]);
    let other = token(&world.ed25519, &header(&world.ed25519, "EdDSA"), &claims());
    assert_ne!(check(&other).unwrap().once.key, keys[0], "one `jti` of two keys is two proofs");
}

#[test]
fn a_proof_beside_an_access_token_is_of_that_token() {
    let world = World::new();
    let with_token = DpopRequest { access_token: Some("a.b.c"), ..request() };
    let signed = |changes: Value| token(&world.p256, &header(&world.p256, "ES256"), &with(&claims(), changes));
    let right = signed(json!({"ath": encode(Sha256::digest("a.b.c"))}));
    assert!(check_dpop_proof(&right, &with_token, NOW_S).is_ok());
    assert_eq!(check_dpop_proof(&right, &request(), NOW_S).err(), Some(Reason::ProofMismatch));
    for changes in [json!({}), json!({"ath": encode(Sha256::digest("a.b.d"))}), json!({"ath": ""})] {
        assert_eq!(check_dpop_proof(&signed(changes.clone()), &with_token, NOW_S).err(), Some(Reason::ProofMismatch), "{changes}");
    }
}
