//! What holds for every grant: the form, before anybody reads it.

use axum::body::Body;
use http::Request;

use super::desk::{AUDIENCE, Desk, Form, JWT_BEARER, TOKEN_EXCHANGE};

#[tokio::test]
async fn what_is_no_form_is_refused_in_oauths_shape() {
    let desk = Desk::open();
    let post = |kind: Option<&str>, body: &str| {
        let mut request = Request::post("/oauth/token");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        request.body(Body::from(body.to_owned())).unwrap()
    };
    let form = "application/x-www-form-urlencoded";
    for (case, kind) in [("JSON", Some("application/json")), ("no type", None), ("a multipart form", Some("multipart/form-data"))] {
        desk.raw(post(kind, "{}")).await.refused(415, "invalid_request", "CONTENT_TYPE", case);
    }
    let mut gzip = post(Some(form), "a=b");
    gzip.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    desk.raw(gzip).await.refused(415, "invalid_request", "CONTENT_ENCODING", "gzip");
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = desk.raw(Request::builder().method(method).uri("/oauth/token").body(Body::empty()).unwrap()).await;
        answer.refused(405, "invalid_request", "METHOD_NOT_ALLOWED", method);
        assert_eq!(answer.header("allow"), "POST");
    }
    let many = "resource=https%3A%2F%2Fa.example&".repeat(10_000);
    desk.raw(post(Some(form), &many)).await.refused(413, "invalid_request", "REQUEST_TOO_LARGE", "10,000 resources");
    let huge = "x".repeat(2 << 20);
    desk.raw(post(Some(form), &huge)).await.refused(413, "invalid_request", "REQUEST_TOO_LARGE", "2 MB");
    desk.raw(post(Some("application/x-www-form-urlencoded; charset=UTF-8"), "")).await.refused(
        401,
        "invalid_client",
        "CLIENT_AUTH",
        "a charset is fine, no client is not",
    );
    assert_eq!(desk.leaves(), 0, "none of it is in the log");
}

#[tokio::test]
async fn a_known_parameter_is_sent_once_whichever_the_grant() {
    let desk = Desk::open();
    for (grant, good) in [
        (TOKEN_EXCHANGE, desk.exchange(11)),
        ("client_credentials", desk.client_credentials(11)),
        (JWT_BEARER, desk.jwt_bearer(&desk.id_jag(serde_json::json!({})), 11)),
    ] {
        for name in super::super::KNOWN {
            let twice = good.clone().without(name).also(name, "x").also(name, "x");
            desk.send(&twice).await.refused(400, "invalid_request", "PARAMETER_REPEATED", &format!("{grant}: {name}"));
        }
    }
}

#[tokio::test]
async fn unknown_parameters_empty_ones_and_the_query_mean_nothing() {
    let desk = Desk::open();
    let odd = desk.exchange(11).also("more", "x").also("more", "y").also("client_id", "").also("expires_in", "").also("scope", "");
    desk.send(&odd).await.granted();
    let empty_first = desk.exchange(12).also("actor_token", "").also("actor_token", "");
    desk.send(&empty_first).await.granted();

    let in_the_query = Form::new(&[]).basic("app");
    let query = "/oauth/token?grant_type=client_credentials&resource=https%3A%2F%2Fa.example";
    desk.send_to(query, &in_the_query).await.refused(400, "invalid_request", "PARAMETER_MISSING", "parameters in the query alone");
    let both = desk.client_credentials(13);
    desk.send_to("/oauth/token?grant_type=password&scope=admin", &both).await.granted();
}

#[tokio::test]
async fn grants_are_named_known_and_registered() {
    let desk = Desk::open();
    let good = || desk.client_credentials(11);
    desk.send(&good().without("grant_type")).await.refused(400, "invalid_request", "PARAMETER_MISSING", "no grant");
    desk.send(&good().with("grant_type", "")).await.refused(400, "invalid_request", "PARAMETER_MISSING", "an empty grant");
    for grant in ["password", "authorization_code", "refresh_token", "urn:openid:params:grant-type:ciba", "Client_Credentials"] {
        desk.send(&good().with("grant_type", grant)).await.refused(400, "unsupported_grant_type", "GRANT_TYPE", grant);
    }
    for grant in ["client_credentials", JWT_BEARER] {
        let form = good().basic("plain").with("grant_type", grant);
        desk.send(&form).await.refused(400, "unauthorized_client", "CLIENT_GRANT", grant);
    }
}

#[tokio::test]
async fn parameters_of_a_wrong_form_have_their_reasons() {
    let desk = Desk::open();
    let good = || desk.exchange(11);
    let saml = "urn:ietf:params:oauth:token-type:saml2";
    let refresh = "urn:ietf:params:oauth:token-type:refresh_token";
    let long = format!("https://a.example/{}", "x".repeat(1024));
    let nine: Form = (0..9).fold(good(), |form, number| form.also("resource", &format!("https://a.example/{number}")));
    let details = "invalid_authorization_details";
    for (case, form, error, reason) in [
        ("no subject token", good().without("subject_token"), "invalid_request", "PARAMETER_MISSING"),
        ("no subject token type", good().without("subject_token_type"), "invalid_request", "PARAMETER_MISSING"),
        ("saml", good().with("subject_token_type", saml), "invalid_request", "PARAMETER_UNSUPPORTED"),
        ("a refresh token", good().with("subject_token_type", refresh), "invalid_request", "PARAMETER_UNSUPPORTED"),
        ("a saml actor", good().also("actor_token", "x").also("actor_token_type", saml), "invalid_request", "PARAMETER_UNSUPPORTED"),
        ("saml wanted", good().also("requested_token_type", saml), "invalid_request", "PARAMETER_UNSUPPORTED"),
        ("an actor's type alone", good().also("actor_token_type", saml), "invalid_request", "PARAMETER_MISSING"),
        ("an actor without a type", good().also("actor_token", "x"), "invalid_request", "PARAMETER_MISSING"),
        ("no life", good().also("expires_in", "0"), "invalid_request", "PARAMETER_INVALID"),
        ("a negative life", good().also("expires_in", "-1"), "invalid_request", "PARAMETER_INVALID"),
        ("a quoted scope", good().also("scope", "a\"b"), "invalid_scope", "SCOPE_MALFORMED"),
        ("a scope with a backslash", good().also("scope", "a\\b"), "invalid_scope", "SCOPE_MALFORMED"),
        ("a scope with a line end", good().also("scope", "a\r\nset-cookie: x"), "invalid_scope", "SCOPE_MALFORMED"),
        ("a relative resource", good().also("resource", "/tools"), "invalid_target", "TARGET_INVALID"),
        ("a resource with fragment", good().also("resource", "https://a.example/#x"), "invalid_target", "TARGET_INVALID"),
        ("a good and a bad resource", good().also("resource", AUDIENCE).also("resource", "x"), "invalid_target", "TARGET_INVALID"),
        ("a long resource", good().also("resource", &long), "invalid_target", "TARGET_INVALID"),
        ("ten targets", nine, "invalid_target", "TARGET_INVALID"),
        ("an audience with a line end", good().also("audience", "a\nb"), "invalid_target", "TARGET_INVALID"),
        ("no target", good().without("audience"), "invalid_target", "TARGET_INVALID"),
        ("details that are no JSON", good().with("authorization_details", "[{"), details, "JSON_MALFORMED"),
        ("details of an unknown type", good().with("authorization_details", r#"[{"type":"x"}]"#), details, "AUTHORIZATION_DETAILS"),
        ("a key by name", good().with("req_cnf", r#"{"kid":"x"}"#), "invalid_request", "HOLDER_KEY"),
    ] {
        desk.send(&form).await.refused(400, error, reason, case);
    }
    assert_eq!(desk.leaves(), 0);
}
