//! Logins that must not be believed: each with its reason, and without a trace in the log.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ed25519_dalek::SigningKey;
use hmac::{Hmac, Mac};
use narrows::HolderKey;
use narrows_tests::{
    forged::{ForgedProvider, jwt, signing_input},
    issuer::now,
};
use serde_json::{Value, json};
use sha2::Sha256;

use super::trusting;

#[tokio::test]
async fn bad_subject_tokens_are_refused_with_their_reason() {
    let (issuer, provider) = trusting("").await;
    let holder = HolderKey::generate();
    let before = issuer.log_size().await;
    for (case, token, reason) in forgeries(&provider) {
        let answer = issuer.token(&issuer.request(&holder, &token)).await;
        answer.refused_as(400, "invalid_request", reason, case);
        assert!(!answer.text().contains("alice"), "{case}");
    }
    for (declared, reason) in [
        ("urn:ietf:params:oauth:token-type:access_token", "JWT_TYPE"),
        ("urn:ietf:params:oauth:token-type:jwt", "JWT_TYPE"),
        ("urn:ietf:params:oauth:token-type:saml2", "PARAMETER_UNSUPPORTED"),
    ] {
        let form = issuer.request(&holder, &provider.login("alice")).with("subject_token_type", declared);
        issuer.token(&form).await.refused_as(400, "invalid_request", reason, declared);
    }
    assert_eq!(issuer.log_size().await, before, "a refused login leaves nothing in the log");

    issuer.granted(&holder, &provider.login("alice")).await;
    assert_eq!(issuer.log_size().await, before + 1);
}

#[tokio::test]
async fn a_login_that_the_policy_denies_is_a_leaf_with_the_verdict_block() {
    let (issuer, provider) = trusting("").await;
    let before = issuer.log_size().await;
    let answer = issuer.token(&issuer.request(&HolderKey::generate(), &provider.login("bob"))).await;
    answer.refused_as(400, "invalid_request", "POLICY_DENIED", "bob");
    assert_eq!(issuer.log_size().await, before + 1);
    let log = rusqlite::Connection::open(issuer.database()).unwrap();
    let leaf: Vec<u8> = log.query_row("SELECT bytes FROM leaf ORDER BY idx DESC LIMIT 1", [], |row| row.get(0)).unwrap();
    let leaf: Value = serde_json::from_slice(&leaf).unwrap();
    assert_eq!(leaf["verdict"], "block");
    assert_eq!(leaf["reasons"], json!(["POLICY_DENIED"]));
    assert_eq!((&leaf["blocks"], &leaf["task"]), (&json!([]), &Value::Null));
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn a_login_is_not_believed_while_its_issuer_cannot_be_reached() {
    let mut issuer = narrows_tests::issuer::Issuer::init();
    let provider = ForgedProvider::start();
    // nobody listens on the port of the key set
    let trust = provider.trust().replace(&format!("{}/keys", provider.issuer()), "http://127.0.0.1:9/keys");
    issuer.configure(&trust, narrows_tests::issuer::PACK);
    issuer.start().await;
    let answer = issuer.token(&issuer.request(&HolderKey::generate(), &provider.login("alice"))).await;
    answer.refused_as(503, "temporarily_unavailable", "ISSUER_UNREACHABLE", "no key set");
    assert!(!answer.header("retry-after").is_empty());
}

fn forgeries(provider: &ForgedProvider) -> Vec<(&'static str, String, &'static str)> {
    let header = json!({ "alg": "EdDSA", "kid": "published", "typ": "JWT" });
    let claims = |changes: Value| with(&provider.claims("alice"), changes);
    let claiming = |changes: Value| provider.sign(&header, &claims(changes));
    let headed = |changes: Value| provider.sign(&with(&header, changes), &claims(json!({})));
    let good = provider.login("alice");
    let (input, signature) = good.rsplit_once('.').unwrap();
    let stranger = SigningKey::from_bytes(&[66; 32]);
    let none = signing_input(&json!({ "alg": "none" }), &claims(json!({})));
    let hmac = |key: &[u8]| {
        let input = signing_input(&json!({ "alg": "HS256", "kid": "published", "typ": "JWT" }), &claims(json!({})));
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&input).finalize();
        format!("{input}.{}", BASE64URL.encode(mac.into_bytes()))
    };
    vec![
        ("expired", claiming(json!({ "iat": now() - 3600, "exp": now() - 60 })), "JWT_EXPIRED"),
        ("not yet valid", claiming(json!({ "nbf": now() + 600 })), "JWT_NOT_YET_VALID"),
        ("issued in the future", claiming(json!({ "iat": now() + 600 })), "JWT_NOT_YET_VALID"),
        ("issued too long ago", claiming(json!({ "iat": now() - 100_000 })), "JWT_TOO_OLD"),
        ("without an end", claiming(json!({ "exp": null })), "JWT_CLAIMS"),
        ("with an end that is no number", claiming(json!({ "exp": "tomorrow" })), "JWT_CLAIMS"),
        ("without an issue time", claiming(json!({ "iat": null })), "JWT_CLAIMS"),
        ("for another audience", claiming(json!({ "aud": "another-app" })), "JWT_AUDIENCE"),
        ("for no audience", claiming(json!({ "aud": null })), "JWT_AUDIENCE"),
        ("of another issuer", claiming(json!({ "iss": "https://login.example" })), "JWT_ISSUER"),
        ("of the issuer with a slash", claiming(json!({ "iss": format!("{}/", provider.issuer()) })), "JWT_ISSUER"),
        ("without a subject", claiming(json!({ "sub": null })), "JWT_SUBJECT"),
        ("a logout token", claiming(json!({ "events": {} })), "JWT_TYPE"),
        ("bound to a key that nobody proves", claiming(json!({ "cnf": { "jkt": "x" } })), "TOKEN_KEY_UNPROVEN"),
        ("bound in a way that nobody here knows", claiming(json!({ "cnf": { "x5t#S256": "x" } })), "SUBJECT_BOUND"),
        ("delegated to nobody", claiming(json!({ "act": { "iss": "agent" } })), "ACT_MALFORMED"),
        ("for another actor", claiming(json!({ "may_act": { "sub": "agent" } })), "MAY_ACT"),
        ("alg none, no signature", format!("{none}."), "JWT_ALGORITHM"),
        ("alg none, old signature", format!("{none}.{signature}"), "JWT_ALGORITHM"),
        ("HS256 with the public key", hmac(&provider.public_key()), "JWT_ALGORITHM"),
        ("HS256 with the public key's text", hmac(BASE64URL.encode(provider.public_key()).as_bytes()), "JWT_ALGORITHM"),
        ("under an unknown kid", headed(json!({ "kid": "another" })), "JWT_UNKNOWN_KEY"),
        ("of another kind", headed(json!({ "typ": "at+jwt" })), "JWT_TYPE"),
        ("with a critical extension", headed(json!({ "crit": ["exp"] })), "JWT_HEADER"),
        ("with its own key along", headed(json!({ "jwk": {} })), "JWT_HEADER"),
        ("signed by a stranger under the known kid", jwt(&stranger, &header, &claims(json!({}))), "JWT_SIGNATURE"),
        (
            "with another subject under the old signature",
            format!("{}.{signature}", signing_input(&header, &provider.claims("bob"))),
            "JWT_SIGNATURE",
        ),
        ("without its signature", format!("{input}."), "JWT_SIGNATURE"),
        ("oversized", claiming(json!({ "padding": "x".repeat(20_000) })), "JWT_TOO_LARGE"),
        ("two parts", input.to_owned(), "JWT_MALFORMED"),
        ("four parts", format!("{good}.{signature}"), "JWT_MALFORMED"),
        ("garbage", "garbage".to_owned(), "JWT_MALFORMED"),
        ("garbage in three parts", "a.b.c".to_owned(), "JWT_MALFORMED"),
        ("a header that is no JSON", format!("{}.{signature}", BASE64URL.encode("x") + "." + &BASE64URL.encode("{}")), "JWT_HEADER"),
    ]
}

/// `base` with the members of `changes`; a null removes a member.
fn with(base: &Value, changes: Value) -> Value {
    let mut object = base.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}
