//! Whose authority it is and who acts: what the verified tokens say, whatever the request says.

use serde_json::{Value, json};

use super::desk::{ACCESS_TOKEN, AUDIENCE, Desk, Dpop, Form, ID_TOKEN, IDP, JWT, TOKEN_EXCHANGE};

/// An exchange of these two tokens.
fn delegated(desk: &Desk, subject: &str, actor: &str) -> Form {
    desk.exchange_of(subject, 11).also("actor_token", actor).also("actor_token_type", ID_TOKEN)
}

fn chain(desk: &Desk, token: &str) -> (Vec<String>, String) {
    let token = desk.verify(token);
    (token.authority.actors.iter().map(|actor| actor.name.clone()).collect(), token.principals().next().unwrap().0.to_owned())
}

#[tokio::test]
async fn there_is_always_an_actor_and_without_a_token_it_is_the_client() {
    let desk = Desk::open();
    let token = desk.send(&desk.exchange(11)).await.token();
    assert_eq!(chain(&desk, &token), (vec![], "app".to_owned()));
    let actor = desk.login("executor");
    let token = desk.send(&delegated(&desk, &desk.login("alice"), &actor)).await.token();
    assert_eq!(chain(&desk, &token), (vec![], "executor".to_owned()));
    let renamed = delegated(&desk, &desk.login("alice"), &actor)
        .with("authorization_details", r#"[{"type":"narrows","tools":["crm.read"],"agent":"planner"}]"#);
    desk.send(&renamed).await.refused(400, "invalid_request", "AGENT_NOT_ALLOWED", "who is named by a token has that name");
}

#[tokio::test]
async fn a_token_that_was_delegated_never_comes_back_undelegated() {
    let desk = Desk::open();
    let act = json!({ "sub": "second", "iss": IDP, "act": { "sub": "first" } });
    let subject = desk.jwt(json!({}), json!({ "act": act }));
    // no actor token in the request: the claims alone decide
    let token = desk.send(&desk.exchange_of(&subject, 11)).await.token();
    assert_eq!(chain(&desk, &token), (vec!["first".to_owned(), format!("{IDP} second")], "app".to_owned()));
    let token = desk.send(&delegated(&desk, &subject, &desk.login("executor"))).await.token();
    assert_eq!(chain(&desk, &token), (vec!["first".to_owned(), format!("{IDP} second")], "executor".to_owned()));

    let nested = |depth: usize| (1..depth).fold(json!({ "sub": "0" }), |inner, number| json!({ "sub": number.to_string(), "act": inner }));
    let deep = |depth| desk.exchange_of(&desk.jwt(json!({}), json!({ "act": nested(depth) })), 11);
    desk.send(&deep(8)).await.granted();
    desk.send(&deep(9)).await.refused(400, "invalid_request", "ACT_TOO_DEEP", "nine actors");
    for act in [json!("planner"), json!({}), json!({ "sub": "" }), json!({ "sub": "a", "act": 1 })] {
        let form = desk.exchange_of(&desk.jwt(json!({}), json!({ "act": act })), 11);
        desk.send(&form).await.refused(400, "invalid_request", "ACT_MALFORMED", &act.to_string());
    }
}

#[tokio::test]
async fn who_may_act_is_the_subjects_word_with_and_without_an_actor_token() {
    let desk = Desk::open();
    let allowing = |may_act: Value| desk.jwt(json!({}), json!({ "may_act": may_act }));
    let executor = desk.jwt(json!({}), json!({ "sub": "executor", "client_id": "tools" }));
    for (case, may_act, acting, reason) in [
        ("the client", json!({ "sub": "app" }), None, None),
        ("the client by its id", json!({ "client_id": "app" }), None, None),
        ("the client, vouched for by somebody else", json!({ "sub": "app", "iss": IDP }), None, Some("MAY_ACT")),
        ("another than the client", json!({ "sub": "executor" }), None, Some("MAY_ACT")),
        ("the actor", json!({ "sub": "executor", "iss": IDP }), Some(&executor), None),
        ("the actor by every member", json!({ "sub": "executor", "iss": IDP, "client_id": "tools" }), Some(&executor), None),
        ("an actor with another client", json!({ "sub": "executor", "client_id": "app" }), Some(&executor), Some("MAY_ACT")),
        ("the client and not the actor", json!({ "sub": "app" }), Some(&executor), Some("MAY_ACT")),
        ("a member nobody knows", json!({ "sub": "app", "department": "x" }), None, Some("ACT_MALFORMED")),
        ("nobody", json!({}), None, Some("ACT_MALFORMED")),
        ("no object", json!(["app"]), None, Some("ACT_MALFORMED")),
    ] {
        let subject = allowing(may_act);
        let form = acting.map_or_else(|| desk.exchange_of(&subject, 11), |actor| delegated(&desk, &subject, actor));
        let answer = desk.send(&form).await;
        match reason {
            Some(reason) => answer.refused(400, "invalid_request", reason, case),
            None => drop(answer.granted()),
        }
    }
}

#[tokio::test]
async fn a_bad_actor_token_is_refused_like_a_bad_subject_token() {
    let desk = Desk::open();
    let now = desk.now();
    let alice = || desk.login("alice");
    let actor = |claims: Value| desk.jwt(json!({}), super::desk::with_subject("executor", claims));
    for (case, actor, reason) in [
        ("expired", actor(json!({ "exp": now - 60, "iat": now - 90 })), "JWT_EXPIRED"),
        ("for another audience", actor(json!({ "aud": "another" })), "JWT_AUDIENCE"),
        ("of another issuer", actor(json!({ "iss": "https://evil.example" })), "JWT_ISSUER"),
        ("garbage", "garbage".to_owned(), "JWT_MALFORMED"),
        ("delegated itself", actor(json!({ "act": { "sub": "x" } })), "SUBJECT_BOUND"),
        ("with details", actor(json!({ "authorization_details": [] })), "SUBJECT_BOUND"),
        ("for whom another client may act", actor(json!({ "may_act": { "sub": "other" } })), "MAY_ACT"),
        ("bound to a key", actor(json!({ "cnf": { "jkt": "x" } })), "TOKEN_KEY_UNPROVEN"),
        ("the subject itself", alice(), "SUBJECT_IS_ACTOR"),
    ] {
        desk.send(&delegated(&desk, &alice(), &actor)).await.refused(400, "invalid_request", reason, case);
    }
    assert_eq!(desk.leaves(), 0);
    let allowed = actor(json!({ "may_act": { "client_id": "app" } }));
    desk.send(&delegated(&desk, &alice(), &allowed)).await.granted();
}

#[tokio::test]
async fn the_token_ends_with_the_first_of_the_tokens_that_it_comes_from() {
    let desk = Desk::open();
    let now = desk.now();
    let until = |subject: &str, end: u64| desk.jwt(json!({}), json!({ "sub": subject, "exp": now + end }));
    for (subject, actor, life) in [(300, 200, 200), (200, 300, 200), (3600, 3600, 900)] {
        let form = delegated(&desk, &until("alice", subject), &until("executor", actor)).also("expires_in", "86400");
        assert_eq!(desk.send(&form).await.granted()["expires_in"], life);
    }
}

#[tokio::test]
async fn a_token_is_what_it_is_declared_to_be() {
    let desk = Desk::open();
    let id_token = desk.login("alice");
    let access = desk.access_token(json!({}));
    let scoped = |token: &str, declared: &str| {
        desk.exchange_of(token, 11)
            .with("subject_token_type", declared)
            .with("authorization_details", r#"[{"type":"narrows","tools":["crm.read"]}]"#)
    };
    for (case, token, declared, reason) in [
        ("an ID token as access token", id_token.as_str(), ACCESS_TOKEN, "JWT_TYPE"),
        ("an access token as ID token", &access, ID_TOKEN, "JWT_TYPE"),
        ("an access token as plain JWT", &access, JWT, "JWT_TYPE"),
        ("a DPoP proof", &Dpop::ed25519(9).proof(&desk), ID_TOKEN, "JWT_HEADER"),
        ("a client assertion", &desk.assertion(json!({}), json!({})), ID_TOKEN, "JWT_ISSUER"),
        ("a logout token", &desk.jwt(json!({}), json!({ "events": {} })), ID_TOKEN, "JWT_TYPE"),
        ("an identity assertion", &desk.id_jag(json!({ "aud": "app" })), ID_TOKEN, "JWT_TYPE"),
        ("an identity assertion as JWT", &desk.id_jag(json!({ "aud": "app" })), JWT, "JWT_TYPE"),
        ("an ID token for another client", &desk.jwt(json!({}), json!({ "aud": "another" })), ID_TOKEN, "JWT_AUDIENCE"),
    ] {
        desk.send(&scoped(token, declared)).await.refused(400, "invalid_request", reason, case);
    }
    for (token, declared) in [(id_token.as_str(), ID_TOKEN), (id_token.as_str(), JWT), (access.as_str(), ACCESS_TOKEN)] {
        desk.send(&scoped(token, declared)).await.granted();
    }
}

#[tokio::test]
async fn the_scope_of_an_access_token_bounds_what_is_made_of_it() {
    let desk = Desk::open();
    let exchange = |claims: Value| {
        let token = desk.access_token(claims);
        Form::new(&[
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", &token),
            ("subject_token_type", ACCESS_TOKEN),
            ("audience", AUDIENCE),
        ])
        .basic("app")
        .bound(&desk, "app", &token, 11)
    };
    let details = |tools: &str| format!(r#"[{{"type":"narrows","tools":{tools}}}]"#);
    assert_eq!(desk.send(&exchange(json!({ "scope": "crm pay" })).also("scope", "pay")).await.granted()["scope"], "pay");
    assert_eq!(
        desk.send(&exchange(json!({ "scope": "openid crm" }))).await.granted()["scope"],
        "crm",
        "the default, if it is in the scope"
    );
    for (case, form, error, reason) in [
        ("a scope beyond", exchange(json!({ "scope": "crm" })).also("scope", "pay"), "invalid_scope", "SCOPE_ABOVE_CEILING"),
        ("one within and one beyond", exchange(json!({ "scope": "crm" })).also("scope", "crm pay"), "invalid_scope", "SCOPE_ABOVE_CEILING"),
        ("a scope that the pack lacks", exchange(json!({ "scope": "crm" })).also("scope", "root"), "invalid_scope", "SCOPE_UNKNOWN"),
        (
            "a tool beyond",
            exchange(json!({ "scope": "crm" })).also("authorization_details", &details(r#"["payments.send"]"#)),
            "invalid_authorization_details",
            "TOOL_ABOVE_CEILING",
        ),
        ("no scope at all", exchange(json!({ "scope": null })), "invalid_scope", "SCOPE_ABOVE_CEILING"),
        (
            "others' scopes alone",
            exchange(json!({ "scope": "openid profile" })).also("scope", "crm"),
            "invalid_scope",
            "SCOPE_ABOVE_CEILING",
        ),
        ("a scope that is no text", exchange(json!({ "scope": 1 })), "invalid_request", "JWT_CLAIMS"),
    ] {
        desk.send(&form).await.refused(400, error, reason, case);
    }
}

#[tokio::test]
async fn authorization_details_in_a_token_bound_what_is_made_of_it() {
    let desk = Desk::open();
    let given = json!([{ "type": "narrows", "tools": ["crm.read", "payments.send"],
        "caveats": [{ "kind": "arg", "tool": "payments.send", "path": "/amount", "is": { "range": { "min": 1, "max": 50 } } }] }]);
    let login = desk.jwt(json!({}), json!({ "authorization_details": given }));
    let answer = desk.send(&desk.exchange_of(&login, 11)).await.granted();
    let caveats = answer["authorization_details"][0]["caveats"].as_array().unwrap().clone();
    assert!(caveats.contains(&given[0]["caveats"][0]), "{caveats:?}");
    let more = desk.exchange_of(&login, 11).with("authorization_details", r#"[{"type":"narrows","tools":["mail.send"]}]"#);
    desk.send(&more).await.refused(400, "invalid_authorization_details", "TOOL_ABOVE_CEILING", "a tool beyond them");
    let foreign = desk.jwt(json!({}), json!({ "authorization_details": [{ "type": "payment_initiation" }] }));
    desk.send(&desk.exchange_of(&foreign, 11)).await.refused(400, "invalid_request", "SUBJECT_BOUND", "details that nobody here knows");
}

#[tokio::test]
async fn a_bound_token_is_taken_only_from_whoever_has_its_key() {
    let desk = Desk::open();
    let (mine, other) = (Dpop::p256(), Dpop::ed25519(8));
    let jkt = crate::jose::forge::encode(mine.thumbprint());
    let login = desk.jwt(json!({}), json!({ "cnf": { "jkt": jkt } }));
    let exchange = || desk.exchange_of(&login, 11);
    desk.send(&exchange()).await.refused(400, "invalid_request", "TOKEN_KEY_UNPROVEN", "no proof");
    desk.send(&exchange().dpop(other.proof(&desk))).await.refused(400, "invalid_request", "TOKEN_KEY_UNPROVEN", "another key");
    desk.send(&exchange().dpop(mine.proof(&desk))).await.granted();
    for cnf in [
        json!({ "x5t#S256": "x" }),
        json!({ "jwk": mine.jwk() }),
        json!({ "jkt": jkt, "kid": "x" }),
        json!({}),
        json!("x"),
        json!({ "jkt": 1 }),
    ] {
        let form = desk.exchange_of(&desk.jwt(json!({}), json!({ "cnf": cnf })), 11).dpop(mine.proof(&desk));
        desk.send(&form).await.refused(400, "invalid_request", "SUBJECT_BOUND", &cnf.to_string());
    }
}
