//! Who sends a request, and what that client may ask for.

use serde_json::json;

use super::desk::{AUDIENCE, Answer, Desk, Form, ISSUER, OTHER_AUDIENCE, SECRET, TOKEN_EXCHANGE};

/// A request of the client `signer` with this assertion.
fn signed(desk: &Desk, assertion: &str) -> Form {
    let login = desk.login("alice");
    desk.exchange_of(&login, 11)
        .anonymous()
        .bound(desk, "signer", &login, 11)
        .with("client_assertion", assertion)
        .with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
}

#[tokio::test]
async fn each_method_authenticates_the_client_that_is_registered_for_it() {
    let desk = Desk::open();
    let login = desk.login("alice");
    let posted = desk.exchange_of(&login, 11).anonymous().bound(&desk, "poster", &login, 11);
    desk.send(&posted.also("client_id", "poster").also("client_secret", SECRET)).await.granted();
    desk.send(&signed(&desk, &desk.assertion(json!({}), json!({})))).await.granted();
    desk.send(&signed(&desk, &desk.assertion(json!({ "typ": "client-authentication+jwt" }), json!({}))).also("client_id", "signer"))
        .await
        .granted();
    let encoded = desk.exchange(12).basic_with(&format!("a%70p:{}", SECRET.replace('-', "%2D")));
    desk.send(&encoded).await.granted();
}

#[tokio::test]
async fn whoever_is_not_authenticated_gets_one_and_the_same_answer() {
    let desk = Desk::open();
    let good = || desk.exchange(11);
    let posted = |id: &str, secret: &str| good().anonymous().also("client_id", id).also("client_secret", secret);
    let now = desk.now();
    let claimed = |claims| signed(&desk, &desk.assertion(json!({}), claims));
    let cases = [
        ("wrong secret", good().basic_with("app:wrong")),
        ("unknown client", good().basic_with("nobody:wrong")),
        ("a client of another method", good().basic_with(&format!("poster:{SECRET}"))),
        ("no colon", good().basic_with("app")),
        ("a stray percent", good().basic_with(&format!("app:{SECRET}%"))),
        ("bad base64", good().anonymous().header("authorization", "Basic !!!")),
        ("another scheme", good().anonymous().header("authorization", format!("Bearer {SECRET}"))),
        ("nothing", good().anonymous()),
        ("a client id alone", good().anonymous().also("client_id", "app")),
        ("another client's id beside", good().also("client_id", "poster")),
        ("posted: wrong secret", posted("poster", "wrong")),
        ("posted: unknown client", posted("nobody", SECRET)),
        ("posted: a client of another method", posted("app", SECRET)),
        ("posted: no client", good().anonymous().also("client_secret", SECRET)),
        ("assertion for the token endpoint", claimed(json!({ "aud": format!("{ISSUER}/oauth/token") }))),
        ("assertion for a list of one", claimed(json!({ "aud": [ISSUER] }))),
        ("assertion for eleven minutes", claimed(json!({ "exp": now + 660 }))),
        ("assertion without an end", claimed(json!({ "exp": null }))),
        ("assertion without an id", claimed(json!({ "jti": null }))),
        ("assertion by one about another", claimed(json!({ "sub": "app" }))),
        ("assertion of an unknown client", claimed(json!({ "iss": "nobody", "sub": "nobody" }))),
        ("assertion of a client with a secret", claimed(json!({ "iss": "app", "sub": "app" }))),
        ("assertion of another kind", signed(&desk, &desk.assertion(json!({ "typ": "at+jwt" }), json!({})))),
        ("assertion under an unknown key", signed(&desk, &desk.assertion(json!({ "kid": "two" }), json!({})))),
        ("an ID token as assertion", signed(&desk, &desk.login("alice"))),
        ("garbage as assertion", signed(&desk, "garbage")),
        ("assertion of another type", signed(&desk, &desk.assertion(json!({}), json!({}))).with("client_assertion_type", "urn:x")),
        ("assertion without a type", signed(&desk, &desk.assertion(json!({}), json!({}))).without("client_assertion_type")),
        ("a type without an assertion", signed(&desk, "x").without("client_assertion")),
    ];
    let traced = |form: &Form| form.clone().header("traceparent", format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16)));
    let first = desk.send(&traced(&cases[0].1)).await;
    for (case, form) in &cases {
        let answer = desk.send(&traced(form)).await;
        answer.refused(401, "invalid_client", "CLIENT_AUTH", case);
        assert!(answer.header("www-authenticate").starts_with("Basic "), "{case}");
        let names = |answer: &Answer| answer.headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!((&answer.bytes, names(&answer)), (&first.bytes, names(&first)), "{case}");
    }
    assert_eq!(desk.leaves(), 0);
}

#[tokio::test]
async fn two_methods_in_one_request_are_one_too_many() {
    let desk = Desk::open();
    let assertion = desk.assertion(json!({}), json!({}));
    for (case, form) in [
        ("header and body", desk.exchange(11).also("client_secret", SECRET)),
        ("header and assertion", signed(&desk, &assertion).basic("app")),
        ("body and assertion", signed(&desk, &assertion).also("client_id", "poster").also("client_secret", SECRET)),
        ("two headers", desk.exchange(11).header("authorization", "Basic eDp5")),
    ] {
        desk.send(&form).await.refused(400, "invalid_request", "CLIENT_AUTH_METHODS", case);
    }
}

#[tokio::test]
async fn what_a_client_may_ask_for_at_most_is_never_exceeded() {
    let desk = Desk::open();
    let login = desk.login("alice");
    let capped = |form: Form| form.basic("capped").bound(&desk, "capped", &login, 11);
    let asking = |tools: &str| {
        capped(desk.exchange_of(&login, 11).with("authorization_details", &format!(r#"[{{"type":"narrows","tools":{tools}}}]"#)))
    };
    let details = "invalid_authorization_details";
    for (case, form, error, reason) in [
        ("an audience", asking(r#"["crm.read"]"#).with("audience", OTHER_AUDIENCE), "invalid_target", "AUDIENCE_ABOVE_CEILING"),
        (
            "one good audience and one bad",
            asking(r#"["crm.read"]"#).also("audience", OTHER_AUDIENCE),
            "invalid_target",
            "AUDIENCE_ABOVE_CEILING",
        ),
        ("a tool", asking(r#"["crm.read","mail.send"]"#), details, "TOOL_ABOVE_CEILING"),
        ("a tool beyond its scopes", asking(r#"["payments.send"]"#), details, "TOOL_ABOVE_CEILING"),
        (
            "a scope",
            capped(desk.exchange_of(&login, 11).without("authorization_details").with("scope", "pay")),
            "invalid_scope",
            "SCOPE_ABOVE_CEILING",
        ),
    ] {
        desk.send(&form).await.refused(400, error, reason, case);
    }
    let answer = desk.send(&asking(r#"["crm.read"]"#)).await.granted();
    assert_eq!(answer["scope"], "crm");
    let unasked = desk.send(&capped(desk.exchange_of(&login, 11).without("authorization_details"))).await;
    assert_eq!(unasked.granted()["scope"], "crm", "the rule's default, within the client's bounds");
    assert_eq!(unasked.granted()["authorization_details"][0]["caveats"][1], json!({ "kind": "audience", "one_of": [AUDIENCE] }));
}

#[tokio::test]
async fn an_agent_has_a_name_that_the_client_may_give() {
    let desk = Desk::open();
    let login = desk.login("alice");
    let named = |agent: &str| {
        let details = format!(r#"[{{"type":"narrows","tools":["crm.read"],"agent":"{agent}"}}]"#);
        desk.exchange_of(&login, 11).with("authorization_details", &details).basic("named").bound(&desk, "named", &login, 11)
    };
    let token = desk.send(&named("planner")).await.token();
    assert_eq!(desk.verify(&token).principals().next().unwrap().0, "planner");
    desk.send(&named("executor")).await.refused(400, "invalid_request", "AGENT_NOT_ALLOWED", "another agent's name");
    let unnamed = desk.exchange_of(&login, 11).basic("named").bound(&desk, "named", &login, 11);
    desk.send(&unnamed).await.refused(400, "invalid_request", "AGENT_NOT_ALLOWED", "the client's own name is not on the list");
}

#[tokio::test]
async fn a_client_and_a_subject_that_ask_too_often_are_told_when_to_come_back() {
    let desk = Desk::open_with("[limits]\nmax_client_tokens_per_minute = 4\nmax_subject_tokens_per_minute = 2\n");
    let denied = |login: &str| desk.exchange_of(login, 11).with("audience", "https://nobody.example");
    let (alice, bob) = (desk.login("alice"), desk.login("bob"));
    for _ in 0..2 {
        desk.send(&denied(&alice)).await.refused(400, "invalid_target", "AUDIENCE_NOT_IN_POLICY", "denied and logged");
    }
    let before = desk.leaves();
    let answer = desk.send(&denied(&alice)).await;
    answer.refused(429, "temporarily_unavailable", "SUBJECT_RATE", "the subject's rate is spent by refusals");
    assert_eq!(answer.header("retry-after"), "30");
    desk.send(&desk.exchange_of(&bob, 11)).await.granted();
    let answer = desk.send(&desk.exchange_of(&bob, 12)).await;
    answer.refused(429, "temporarily_unavailable", "CLIENT_RATE", "the client's rate is spent too");
    assert_eq!(answer.header("retry-after"), "15");
    assert_eq!(desk.leaves(), before + 1, "a request over its rate leaves nothing in the log");
    desk.send(&desk.exchange_of(&bob, 11).basic_with("app:wrong")).await.refused(
        401,
        "invalid_client",
        "CLIENT_AUTH",
        "a stranger has no rate",
    );
    desk.pass(30);
    desk.send(&desk.exchange_of(&desk.login("alice"), 11)).await.granted();
    let other = desk.exchange_of(&bob, 13).basic("other").bound(&desk, "other", &bob, 13);
    desk.send(&other.with("grant_type", TOKEN_EXCHANGE)).await.granted();
}
