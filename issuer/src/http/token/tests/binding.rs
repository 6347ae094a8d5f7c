//! What a token is bound to: DPoP keys, holder keys that prove themselves, and where the policy says so nothing.

use narrows_verifier::{Holder, public_key};
use serde_json::{Value, json};

use super::desk::{Desk, Dpop, Form, ISSUER, OPEN_AUDIENCE, req_cnf};
use crate::jose::forge::encode;

fn exchange(desk: &Desk) -> Form {
    desk.exchange(11).unbound()
}

#[tokio::test]
async fn a_dpop_key_becomes_the_holder() {
    let desk = Desk::open();
    let key = Dpop::ed25519(9);
    let answer = desk.send(&exchange(&desk).dpop(key.proof(&desk))).await;
    assert_eq!(answer.granted()["token_type"], "DPoP");
    assert_eq!(answer.header("dpop-nonce"), desk.app.dpop_nonces.current(desk.now()), "the nonce for the next request");
    assert_eq!(desk.verify(&answer.token()).holder, Holder::Key(public_key(&[9; 32])));
    let key = Dpop::p256();
    let answer = desk.send(&exchange(&desk).dpop(key.proof(&desk))).await;
    assert_eq!(answer.granted()["token_type"], "DPoP");
    assert_eq!(desk.verify(&answer.token()).holder, Holder::Thumbprint(key.thumbprint()));
    let answer = desk.send(&exchange(&desk).dpop(Dpop::ed25519(9).proof_with(&desk, json!({ "alg": "Ed25519" }), json!({})))).await;
    answer.granted();
}

#[tokio::test]
async fn bad_dpop_proofs_have_their_reasons() {
    let desk = Desk::open();
    let now = desk.now();
    let key = Dpop::ed25519(9);
    let proof = |header: Value, claims: Value| key.proof_with(&desk, header, claims);
    let claiming = |claims: Value| proof(json!({}), claims);
    let headed = |header: Value| proof(header, json!({}));
    let okp = |x: String| json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": x } });
    let mut identity = [0; 32];
    identity[0] = 1;
    let off_the_curve = json!({ "alg": "ES256", "jwk": { "kty": "EC", "crv": "P-256", "x": encode([1; 32]), "y": encode([1; 32]) } });
    let rsa = json!({ "alg": "RS256", "jwk": { "kty": "RSA", "n": encode([1; 256]), "e": "AQAB" } });
    let good = key.proof(&desk);
    let other = Dpop::ed25519(8);
    for (case, proof, reason) in [
        ("another method", claiming(json!({ "htm": "GET" })), "PROOF_MISMATCH"),
        ("a method in small letters", claiming(json!({ "htm": "post" })), "PROOF_MISMATCH"),
        ("another endpoint", claiming(json!({ "htu": format!("{ISSUER}/oauth/revoke") })), "PROOF_MISMATCH"),
        ("another host", claiming(json!({ "htu": "https://evil.example/oauth/token" })), "PROOF_MISMATCH"),
        ("for a request with a token", claiming(json!({ "ath": "x" })), "PROOF_MISMATCH"),
        ("no id", claiming(json!({ "jti": null })), "DPOP_MALFORMED"),
        ("an empty id", claiming(json!({ "jti": "" })), "DPOP_MALFORMED"),
        ("an id of 10 kB", claiming(json!({ "jti": "x".repeat(10_000) })), "DPOP_MALFORMED"),
        ("no time", claiming(json!({ "iat": null })), "DPOP_MALFORMED"),
        ("a time that is text", claiming(json!({ "iat": now.to_string() })), "DPOP_MALFORMED"),
        ("an old time without nonce", claiming(json!({ "iat": now - 120, "nonce": null })), "PROOF_TIME"),
        ("a future time without nonce", claiming(json!({ "iat": now + 60, "nonce": null })), "PROOF_TIME"),
        ("a nonce that is no text", claiming(json!({ "nonce": 1 })), "DPOP_MALFORMED"),
        ("typ JWT", headed(json!({ "typ": "JWT" })), "DPOP_MALFORMED"),
        ("no typ", headed(json!({ "typ": null })), "DPOP_MALFORMED"),
        ("a critical extension", headed(json!({ "crit": ["x"] })), "DPOP_MALFORMED"),
        ("no key", headed(json!({ "jwk": null })), "DPOP_MALFORMED"),
        (
            "a private key",
            headed(
                json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": encode(public_key(&[9; 32]).as_bytes()), "d": encode([9; 32]) } }),
            ),
            "DPOP_MALFORMED",
        ),
        ("a shared secret", headed(json!({ "alg": "HS256", "jwk": { "kty": "oct", "k": "AA" } })), "DPOP_MALFORMED"),
        ("alg none", headed(json!({ "alg": "none" })), "DPOP_MALFORMED"),
        ("alg of another key", headed(json!({ "alg": "ES256" })), "DPOP_MALFORMED"),
        ("an RSA key", headed(rsa), "DPOP_MALFORMED"),
        ("the identity point", headed(okp(encode(identity))), "WEAK_KEY"),
        ("a point off the curve", headed(off_the_curve), "WEAK_KEY"),
        ("another's key", headed(json!({ "jwk": other.jwk() })), "PROOF_SIGNATURE"),
        ("four parts", format!("{good}.x"), "DPOP_MALFORMED"),
        ("garbage", "garbage".to_owned(), "DPOP_MALFORMED"),
    ] {
        let answer = desk.send(&exchange(&desk).dpop(proof)).await;
        answer.refused(400, "invalid_dpop_proof", reason, case);
        assert!(!answer.header("dpop-nonce").is_empty(), "{case}");
    }
    let der = {
        let (key, sign) = crate::jose::forge::der_signing_key();
        let header = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": crate::jose::forge::with(&key.jwk("x"), json!({ "kid": null })) });
        let claims = json!({ "jti": "x", "htm": "POST", "htu": format!("{ISSUER}/oauth/token"), "iat": now });
        let input = crate::jose::forge::signing_input(&header.to_string(), &claims.to_string());
        format!("{input}.{}", encode(sign(input.as_bytes())))
    };
    desk.send(&exchange(&desk).dpop(der)).await.refused(400, "invalid_dpop_proof", "PROOF_SIGNATURE", "a signature in DER");
    let twice = exchange(&desk).dpop(key.proof(&desk)).dpop(key.proof(&desk));
    desk.send(&twice).await.refused(400, "invalid_dpop_proof", "DPOP_REPEATED", "two headers");
    let spoofed = exchange(&desk).header("host", "evil.example").header("x-forwarded-host", "evil.example");
    let proof = claiming(json!({ "htu": "https://evil.example/oauth/token" }));
    desk.send(&spoofed.dpop(proof)).await.refused(400, "invalid_dpop_proof", "PROOF_MISMATCH", "the Host header says nothing");
    assert_eq!(desk.leaves(), 0);
}

#[tokio::test]
async fn a_nonce_is_demanded_and_only_one_of_ours_will_do() {
    let desk = Desk::open();
    let key = Dpop::ed25519(9);
    let with_nonce = |nonce: Value| exchange(&desk).dpop(key.proof_with(&desk, json!({}), json!({ "nonce": nonce })));
    let old = desk.app.dpop_nonces.current(desk.now() - 180);
    let early = desk.app.dpop_nonces.current(desk.now() + 120);
    for (case, nonce) in [
        ("none", Value::Null),
        ("an empty one", json!("")),
        ("an invented one", json!("x")),
        ("a stale one", json!(old)),
        ("one to come", json!(early)),
    ] {
        let answer = desk.send(&with_nonce(nonce)).await;
        answer.refused(400, "use_dpop_nonce", "DPOP_NONCE", case);
        let told = answer.header("dpop-nonce");
        assert_eq!(told, desk.app.dpop_nonces.current(desk.now()), "{case}");
        desk.send(&with_nonce(json!(told))).await.granted();
    }
    // with a fresh nonce the client's own clock does not matter
    let slow = key.proof_with(&desk, json!({}), json!({ "iat": desk.now() - 5000 }));
    desk.send(&exchange(&desk).dpop(slow)).await.granted();
}

#[tokio::test]
async fn a_holder_key_proves_itself_or_is_the_dpop_key() {
    let desk = Desk::open();
    let login = desk.login("alice");
    let key = Dpop::ed25519(11);
    let named = |seed: u8| desk.exchange_of(&login, seed).without("holder_proof");
    let same = named(11).dpop(key.proof(&desk));
    assert_eq!(desk.verify(&desk.send(&same).await.token()).holder, Holder::Key(public_key(&[11; 32])));
    let plain = desk.exchange_of(&login, 11);
    let json_form = plain
        .clone()
        .with("req_cnf", &json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": encode(public_key(&[11; 32]).as_bytes()) } }).to_string());
    desk.send(&json_form).await.granted();
    let two_keys = desk.exchange_of(&login, 12).dpop(key.proof(&desk));
    assert_eq!(desk.verify(&desk.send(&two_keys).await.token()).holder, Holder::Key(public_key(&[12; 32])), "both are proved");

    let mut identity = [0; 32];
    identity[0] = 1;
    let weak = json!({ "jwk": { "kty": "OKP", "crv": "Ed25519", "x": encode(identity) } }).to_string();
    let dpop_client = |form: Form, seed: u8| form.basic("bound").bound(&desk, "bound", &login, seed);
    for (case, form, error, reason) in [
        ("another key than the DPoP key", named(12).dpop(key.proof(&desk)), "invalid_request", "HOLDER_KEYS_DIFFER"),
        ("a key without a proof", named(11), "invalid_request", "PROOF_MISSING"),
        ("a proof without a key", desk.exchange_of(&login, 11).without("req_cnf"), "invalid_request", "PARAMETER_MISSING"),
        (
            "a proof of another key",
            desk.exchange_of(&login, 11).with("req_cnf", &req_cnf(&public_key(&[12; 32]))),
            "invalid_request",
            "PROOF_SIGNATURE",
        ),
        (
            "a proof for another login",
            desk.exchange_of(&desk.login("bob"), 11).with("subject_token", &login),
            "invalid_request",
            "PROOF_MISMATCH",
        ),
        ("a proof by another client", desk.exchange_of(&login, 11).bound(&desk, "other", &login, 11), "invalid_request", "PROOF_MISMATCH"),
        ("a weak key", desk.exchange_of(&login, 11).with("req_cnf", &weak), "invalid_request", "WEAK_KEY"),
        ("a client of DPoP without", dpop_client(desk.exchange_of(&login, 11), 11), "invalid_dpop_proof", "DPOP_MISSING"),
        (
            "a client of DPoP with two keys",
            dpop_client(desk.exchange_of(&login, 12), 12).dpop(key.proof(&desk)),
            "invalid_request",
            "HOLDER_KEYS_DIFFER",
        ),
    ] {
        desk.send(&form).await.refused(400, error, reason, case);
    }
    desk.send(&dpop_client(desk.exchange_of(&login, 11), 11).dpop(key.proof(&desk))).await.granted();
    let only_dpop = desk.exchange_of(&login, 11).basic("bound").unbound().dpop(key.proof(&desk));
    desk.send(&only_dpop).await.granted();
}

#[tokio::test]
async fn a_token_is_bound_unless_the_policy_says_otherwise() {
    let desk = Desk::open();
    desk.send(&exchange(&desk)).await.refused(400, "invalid_request", "BEARER_NOT_IN_POLICY", "an exchange");
    let open = desk.client_credentials(11).unbound().with("resource", OPEN_AUDIENCE);
    let answer = desk.send(&open).await;
    assert_eq!(answer.granted()["token_type"], "Bearer");
    let bearer = desk.verify(&answer.token());
    assert!(bearer.sealed && bearer.holder == Holder::Bearer && bearer.depth() == 0);
    let elsewhere = desk.client_credentials(11).unbound();
    desk.send(&elsewhere).await.refused(400, "invalid_request", "BEARER_NOT_IN_POLICY", "where no rule gives one");
    let deep = open.with("authorization_details", r#"[{"type":"narrows","tools":["crm.read"],"caveats":[{"kind":"depth","max":1}]}]"#);
    desk.send(&deep).await.refused(400, "invalid_authorization_details", "DEPTH_ABOVE_POLICY", "a bearer token can't be handed on");
    let bound = desk.client_credentials(11).with("resource", OPEN_AUDIENCE);
    assert_eq!(desk.send(&bound).await.granted()["token_type"], "DPoP", "who brings a key gets a bound token there too");
}
