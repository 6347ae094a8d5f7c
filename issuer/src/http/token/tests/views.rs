//! The forms of a token, and the documents by which strangers find the endpoint.

use axum::body::Body;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use http::Request;
use serde_json::{Value, json};

use super::desk::{ACCESS_TOKEN, AUDIENCE, BISCUIT, Desk, Dpop, ISSUER, JWT};

async fn get(desk: &Desk, path: &str) -> super::desk::Answer {
    desk.raw(Request::get(path).body(Body::empty()).unwrap()).await
}

/// Header and claims of a JWT that verifies under the published key.
async fn read(desk: &Desk, jwt: &str) -> (Value, Value) {
    let keys = get(desk, "/oauth/jwks").await;
    assert_eq!(keys.header("access-control-allow-origin"), "*");
    let keys = keys.json();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let parts: Vec<_> = jwt.split('.').collect();
    let header: Value = serde_json::from_slice(&decode(parts[0])).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).expect("the key that signed it");
    let key = VerifyingKey::from_bytes(&decode(key["x"].as_str().unwrap()).try_into().unwrap()).unwrap();
    let signature = Signature::from_bytes(&decode(parts[2]).try_into().unwrap());
    key.verify_strict(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature).unwrap();
    (header, serde_json::from_slice(&decode(parts[1])).unwrap())
}

#[tokio::test]
async fn a_jwt_view_says_by_claims_what_the_token_demands() {
    let desk = Desk::open();
    let key = Dpop::p256();
    let form = desk
        .exchange(11)
        .unbound()
        .with("authorization_details", r#"[{"type":"narrows","tools":["crm.read"]}]"#)
        .also("requested_token_type", JWT);
    let answer = desk.send(&form.dpop(key.proof(&desk))).await.granted();
    assert_eq!((&answer["issued_token_type"], &answer["token_type"], &answer["expires_in"]), (&json!(JWT), &json!("DPoP"), &json!(300)));
    let (header, claims) = read(&desk, answer["access_token"].as_str().unwrap()).await;
    assert_eq!(header["typ"], "at+jwt");
    for (name, value) in [
        ("iss", json!(ISSUER)),
        ("aud", json!(AUDIENCE)),
        ("client_id", json!("app")),
        ("scope", json!("crm")),
        ("exp", json!(desk.now() + 300)),
        ("iat", json!(desk.now())),
        ("jti", answer["narrows"]["entry"].clone()),
        ("act", json!({ "sub": "app" })),
        ("cnf", json!({ "jkt": crate::jose::forge::encode(key.thumbprint()) })),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    // a view is not taken back in exchange for the token itself
    let back = desk.exchange_of(answer["access_token"].as_str().unwrap(), 11).with("subject_token_type", ACCESS_TOKEN);
    desk.send(&back).await.refused(400, "invalid_request", "JWT_ISSUER", "our own view as a subject token");
}

#[tokio::test]
async fn a_token_that_claims_cannot_say_has_no_view() {
    let desk = Desk::open();
    let asking = |details: &str| desk.exchange(11).with("authorization_details", details).also("requested_token_type", JWT);
    let before = desk.leaves();
    for (case, details, reason) in [
        ("a tool of no scope", r#"[{"type":"narrows","tools":["mail.send"]}]"#, "JWT_VIEW_SCOPE"),
        ("the policy's ceiling", r#"[{"type":"narrows","tools":["crm.read","payments.send"]}]"#, "JWT_VIEW_CAVEAT"),
        (
            "an argument",
            r#"[{"type":"narrows","tools":["crm.read"],"caveats":[{"kind":"arg","tool":"crm.read","path":"/id","is":{"exact":1}}]}]"#,
            "JWT_VIEW_CAVEAT",
        ),
    ] {
        desk.send(&asking(details)).await.refused(400, "invalid_request", reason, case);
    }
    assert_eq!(desk.leaves(), before);
}

#[tokio::test]
async fn without_a_key_there_are_no_views() {
    let desk = Desk::open_without_jwt_key();
    assert_eq!(get(&desk, "/oauth/jwks").await.json(), json!({ "keys": [] }));
    let form =
        desk.exchange(11).with("authorization_details", r#"[{"type":"narrows","tools":["crm.read"]}]"#).also("requested_token_type", JWT);
    desk.send(&form).await.refused(400, "invalid_request", "JWT_VIEW_OFF", "no key");
}

#[tokio::test]
async fn the_form_that_was_asked_for_is_named() {
    let desk = Desk::open();
    for (asked, named) in [(None, ACCESS_TOKEN), (Some(ACCESS_TOKEN), ACCESS_TOKEN), (Some(BISCUIT), BISCUIT)] {
        let form = asked.into_iter().fold(desk.exchange(11), |form, asked| form.also("requested_token_type", asked));
        let answer = desk.send(&form).await;
        assert_eq!(answer.granted()["issued_token_type"], named);
        desk.verify(&answer.token());
    }
}

#[tokio::test]
async fn metadata_tells_what_the_endpoint_takes() {
    let desk = Desk::open();
    let answer = get(&desk, "/.well-known/oauth-authorization-server").await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let document = answer.json();
    for (name, value) in [
        ("issuer", json!(ISSUER)),
        ("authorization_endpoint", json!(format!("{ISSUER}/oauth/authorize"))),
        ("token_endpoint", json!(format!("{ISSUER}/oauth/token"))),
        ("jwks_uri", json!(format!("{ISSUER}/oauth/jwks"))),
        ("response_types_supported", json!([])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("scopes_supported", json!(["admin", "crm", "pay"])),
        ("token_endpoint_auth_methods_supported", json!(["client_secret_basic", "client_secret_post", "private_key_jwt"])),
        ("authorization_grant_profiles_supported", json!(["urn:ietf:params:oauth:grant-profile:id-jag"])),
    ] {
        assert_eq!(document[name], value, "{name}");
    }
    for name in ["grant_types_supported", "token_endpoint_auth_signing_alg_values_supported", "dpop_signing_alg_values_supported"] {
        assert!(!document[name].as_array().unwrap().is_empty(), "{name}");
    }
    let token = desk.send(&desk.exchange(11)).await;
    assert_eq!(token.header("access-control-allow-origin"), "", "no other origin reads a token");
    get(&desk, "/oauth/authorize?response_type=code").await.refused(400, "unsupported_response_type", "RESPONSE_TYPE", "authorize");
}
