//! `client_credentials`, and `jwt-bearer` with an identity assertion.

use narrows_verifier::EarlierActor;
use serde_json::{Value, json};

use super::desk::{AUDIENCE, Desk, Dpop, ISSUER, OTHER_AUDIENCE};
use crate::jose::forge::encode;

#[tokio::test]
async fn a_client_gets_a_token_for_itself() {
    let desk = Desk::open();
    let answer = desk.send(&desk.client_credentials(11)).await.granted();
    assert_eq!(answer["issued_token_type"], Value::Null);
    assert_eq!((&answer["token_type"], &answer["scope"]), (&json!("DPoP"), &json!("crm")));
    let token = desk.verify(answer["access_token"].as_str().unwrap());
    assert_eq!(token.principals().next().unwrap().0, "app");
    assert!(token.authority.subject.starts_with("p-") && token.authority.actors.is_empty());
    let unasked = desk.send(&desk.client_credentials(12).without("scope")).await.granted();
    assert_eq!(unasked["scope"], "crm", "the rule's default");
    let details =
        desk.client_credentials(13).without("scope").also("authorization_details", r#"[{"type":"narrows","tools":["mail.send"]}]"#);
    assert_eq!(desk.send(&details).await.granted()["authorization_details"][0]["tools"], json!(["mail.send"]));
    for (case, form, error, reason) in [
        ("a scope of no rule", desk.client_credentials(11).with("scope", "root"), "invalid_scope", "SCOPE_UNKNOWN"),
        ("no target", desk.client_credentials(11).without("resource"), "invalid_target", "TARGET_INVALID"),
        (
            "a target of no rule",
            desk.client_credentials(11).with("resource", "https://c.example/"),
            "invalid_target",
            "AUDIENCE_NOT_IN_POLICY",
        ),
        ("no key", desk.client_credentials(11).unbound(), "invalid_request", "BEARER_NOT_IN_POLICY"),
        ("a proof for a login", desk.client_credentials(11).bound(&desk, "app", "x", 11), "invalid_request", "PROOF_MISMATCH"),
    ] {
        desk.send(&form).await.refused(400, error, reason, case);
    }
}

#[tokio::test]
async fn an_identity_assertion_is_the_ceiling_of_what_it_gives() {
    let desk = Desk::open();
    let of = |claims: Value| desk.id_jag(claims);
    let answer = desk.send(&desk.jwt_bearer(&of(json!({})), 11)).await.granted();
    assert_eq!(answer["issued_token_type"], Value::Null);
    assert_eq!(answer["scope"], "crm", "the rule's default");
    assert_eq!(answer["authorization_details"][0]["caveats"][1], json!({ "kind": "audience", "one_of": [AUDIENCE] }));
    let token = desk.verify(answer["access_token"].as_str().unwrap());
    assert_eq!(token.principals().next().unwrap().0, "app");
    assert_eq!(desk.send(&desk.jwt_bearer(&of(json!({})), 11).also("scope", "crm pay")).await.granted()["scope"], "crm pay");
    let delegated = of(json!({ "act": { "sub": "front" } }));
    assert_eq!(desk.verify(&desk.send(&desk.jwt_bearer(&delegated, 11)).await.token()).authority.actors, [EarlierActor::attested("front")]);
    for (case, form, error, reason) in [
        (
            "a scope beyond",
            desk.jwt_bearer(&of(json!({ "scope": "crm" })), 11).also("scope", "pay"),
            "invalid_scope",
            "SCOPE_ABOVE_CEILING",
        ),
        (
            "a resource beyond",
            desk.jwt_bearer(&of(json!({})), 11).also("resource", OTHER_AUDIENCE),
            "invalid_target",
            "AUDIENCE_ABOVE_CEILING",
        ),
        ("no resource anywhere", desk.jwt_bearer(&of(json!({ "resource": null })), 11), "invalid_target", "TARGET_INVALID"),
    ] {
        desk.send(&form).await.refused(400, error, reason, case);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_an_assertion_is_invalid_grant() {
    let desk = Desk::open();
    let now = desk.now();
    let of = |claims: Value| desk.id_jag(claims);
    for (case, assertion, reason) in [
        ("for another client", of(json!({ "client_id": "other" })), "JWT_CLIENT"),
        ("for no client", of(json!({ "client_id": null })), "JWT_CLIENT"),
        ("for another service", of(json!({ "aud": "https://other.example" })), "JWT_AUDIENCE"),
        ("for two services", of(json!({ "aud": [ISSUER, "https://other.example"] })), "JWT_AUDIENCE"),
        ("expired", of(json!({ "exp": now - 60, "iat": now - 90 })), "JWT_EXPIRED"),
        ("without an end", of(json!({ "exp": null })), "JWT_CLAIMS"),
        ("without a time", of(json!({ "iat": null })), "JWT_CLAIMS"),
        ("without an id", of(json!({ "jti": null })), "JWT_CLAIMS"),
        ("without a subject", of(json!({ "sub": null })), "JWT_SUBJECT"),
        ("of an unknown issuer", of(json!({ "iss": "https://evil.example" })), "JWT_ISSUER"),
        ("of ourselves", of(json!({ "iss": ISSUER })), "JWT_ISSUER"),
        ("an ID token", desk.login("alice"), "JWT_TYPE"),
        ("a client assertion", desk.assertion(json!({}), json!({})), "JWT_ISSUER"),
        ("garbage", "garbage".to_owned(), "JWT_MALFORMED"),
        ("bound to a key that nobody proves", of(json!({ "cnf": { "jkt": "x" } })), "TOKEN_KEY_UNPROVEN"),
        ("for another actor", of(json!({ "may_act": { "sub": "other" } })), "MAY_ACT"),
        ("of somebody whom the policy denies", of(json!({ "groups": ["guests"] })), "POLICY_DENIED"),
        ("with a scope that is no text", of(json!({ "scope": 1 })), "JWT_CLAIMS"),
        ("with details that nobody knows", of(json!({ "authorization_details": [{ "type": "x" }] })), "SUBJECT_BOUND"),
    ] {
        desk.send(&desk.jwt_bearer(&assertion, 11)).await.refused(400, "invalid_grant", reason, case);
    }
    let foreign = of(json!({}));
    let by_another = desk.jwt_bearer(&foreign, 11).basic("other").bound(&desk, "other", &foreign, 11);
    desk.send(&by_another).await.refused(400, "invalid_grant", "JWT_CLIENT", "redeemed by another client");
    desk.send(&desk.jwt_bearer("", 11)).await.refused(400, "invalid_request", "PARAMETER_MISSING", "no assertion");
    let key = Dpop::ed25519(9);
    let bound = of(json!({ "cnf": { "jkt": encode(key.thumbprint()) } }));
    let answer = desk.send(&desk.jwt_bearer(&bound, 11).unbound().dpop(key.proof(&desk))).await;
    assert_eq!(answer.granted()["token_type"], "DPoP");
}
