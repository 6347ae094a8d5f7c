//! Requests that must not be granted: each with its status, error and reason.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use ed25519_dalek::SigningKey;
use narrows::HolderKey;
use narrows_tests::{
    forged::{jwk, jwt},
    holder::{fresh, holder},
    http::{Answer, Form, client, get, send},
    issuer::{AUDIENCE, CLIENT, Issuer, now},
};
use narrows_verifier::proof::{HolderClaims, sign_holder};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::trusting;

#[tokio::test]
async fn bad_parameters_are_refused_with_their_reason() {
    let (issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let good = || issuer.request(&HolderKey::generate(), &login);
    let before = issuer.log_size().await;

    let details = "invalid_authorization_details";
    let mut cases: Vec<(String, Form, &str, &str)> = Vec::new();
    for (text, reason) in [
        (r#"[{"type":"payment_initiation","tools":["crm.read"]}]"#, "AUTHORIZATION_DETAILS"),
        (r#"[{"type":"narrows","tools":["crm.read"],"limit":5}]"#, "AUTHORIZATION_DETAILS"),
        (r#"[{"type":"narrows","tools":["crm.read"]},{"type":"narrows","tools":["crm.read"]}]"#, "AUTHORIZATION_DETAILS"),
        (r#"{"type":"narrows","tools":["crm.read"]}"#, "AUTHORIZATION_DETAILS"),
        (r#"[{"type":"narrows"}]"#, "CAVEAT_NAMES_NO_TOOL"),
        (r#"[{"type":"narrows","tools":[]}]"#, "CAVEAT_NAMES_NO_TOOL"),
        (r#"[{"type":"narrows","tools":["crm.read"],"caveats":[{"kind":"arg","path":"/a","is":{"exact":1}}]}]"#, "CAVEAT_NAMES_NO_TOOL"),
        (r#"[{"type":"narrows","tools":["crm.read"],"caveats":[{"kind":"weather"}]}]"#, "CAVEAT_MALFORMED"),
        (r#"[{"type":"narrows","tools":["crm.read"],"tools":["db.drop"]}]"#, "JSON_DUPLICATE_KEY"),
        ("[{", "JSON_MALFORMED"),
    ] {
        cases.push((text.into(), good().with("authorization_details", text), details, reason));
    }
    for name in ["grant_type", "subject_token", "subject_token_type", "req_cnf"] {
        cases.push((format!("no {name}"), good().without(name), "invalid_request", "PARAMETER_MISSING"));
        cases.push((format!("empty {name}"), good().with(name, ""), "invalid_request", "PARAMETER_MISSING"));
        cases.push((format!("{name} twice"), good().also(name, "x"), "invalid_request", "PARAMETER_REPEATED"));
    }
    for name in ["client_id", "client_assertion", "expires_in", "holder_proof", "authorization_details", "actor_token", "narrow_proof"] {
        let twice = good().also(name, "x").also(name, "x");
        cases.push((format!("{name} twice"), twice, "invalid_request", "PARAMETER_REPEATED"));
    }
    let invalid = |case: &str, form, reason| (case.to_owned(), form, "invalid_request", reason);
    cases.extend([
        invalid("no proof", good().without("holder_proof"), "PROOF_MISSING"),
        invalid("an actor token without a type", good().also("actor_token", "x"), "PARAMETER_MISSING"),
        invalid("another kind of token", good().also("requested_token_type", "urn:x"), "PARAMETER_UNSUPPORTED"),
        invalid("no life", good().also("expires_in", "0"), "PARAMETER_INVALID"),
        invalid("a life that is no number", good().also("expires_in", "1h"), "PARAMETER_INVALID"),
        ("another grant".into(), good().with("grant_type", "password"), "unsupported_grant_type", "GRANT_TYPE"),
        ("a grant of others".into(), good().with("grant_type", "client_credentials"), "unauthorized_client", "CLIENT_GRANT"),
        ("a scope in quotes".into(), good().also("scope", "\"all\""), "invalid_scope", "SCOPE_MALFORMED"),
        ("no audience".into(), good().without("audience"), "invalid_target", "TARGET_INVALID"),
        ("a relative resource".into(), good().also("resource", "/tools"), "invalid_target", "TARGET_INVALID"),
        ("a resource with fragment".into(), good().also("resource", "https://a.example/#x"), "invalid_target", "TARGET_INVALID"),
        ("65 parameters".into(), (0..65).fold(good(), |form, _| form.also("more", "x")), "invalid_request", "PARAMETER_INVALID"),
    ]);
    for (case, form, error, reason) in &cases {
        issuer.token(form).await.refused_as(400, error, reason, case);
    }
    assert_eq!(issuer.log_size().await, before, "a malformed request leaves nothing in the log");
}

#[tokio::test]
async fn more_than_the_policy_gives_is_refused_and_logged() {
    let (issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let good = || issuer.request(&HolderKey::generate(), &login);
    let asking = |details: &str| good().with("authorization_details", &format!(r#"[{{"type":"narrows",{details}}}]"#));
    let amount = |is: &str| {
        asking(&format!(r#""tools":["payments.send"],"caveats":[{{"kind":"arg","tool":"payments.send","path":"/amount","is":{is}}}]"#))
    };
    let before = issuer.log_size().await;
    let details = "invalid_authorization_details";
    let cases = [
        ("a tool", asking(r#""tools":["crm.read","db.drop"]"#), details, "TOOL_NOT_IN_POLICY"),
        ("a prefix", asking(r#""tools":[{"prefix":"payments."}]"#), details, "TOOL_NOT_IN_POLICY"),
        ("a range", amount(r#"{"range":{"min":1,"max":501}}"#), details, "ARGUMENT_ABOVE_POLICY"),
        ("an open range", amount(r#"{"range":{"min":1}}"#), details, "ARGUMENT_ABOVE_POLICY"),
        ("a value", amount(r#"{"exact":100000}"#), details, "ARGUMENT_ABOVE_POLICY"),
        ("a depth", asking(r#""tools":["crm.read"],"caveats":[{"kind":"depth","max":4}]"#), details, "DEPTH_ABOVE_POLICY"),
        ("a scope", good().without("authorization_details").also("scope", "all"), "invalid_scope", "SCOPE_UNKNOWN"),
        ("nothing, where there is no default", good().without("authorization_details"), "invalid_scope", "SCOPE_MISSING"),
        ("an audience", good().with("audience", "https://other.example"), "invalid_target", "AUDIENCE_NOT_IN_POLICY"),
        ("a second audience", good().also("resource", "https://other.example/"), "invalid_target", "AUDIENCE_NOT_IN_POLICY"),
    ];
    for (case, form, error, reason) in &cases {
        issuer.token(form).await.refused_as(400, error, reason, case);
    }
    assert_eq!(issuer.log_size().await, before + cases.len() as u64, "each denial is a leaf");
    let granted = issuer.token(&asking(r#""tools":["crm.read"],"caveats":[{"kind":"depth","max":3}]"#).also("expires_in", "86400")).await;
    assert!((1..=900).contains(&granted.granted()["expires_in"].as_u64().unwrap()), "a long life is clamped");
    issuer.audit(&[]).succeeded();
}

#[tokio::test]
async fn clients_that_are_not_authenticated_all_get_the_same_answer() {
    let batch = SigningKey::from_bytes(&[5; 32]);
    let (issuer, provider) = trusting(&batch_client(&batch, "")).await;
    let login = provider.login("alice");
    let key = HolderKey::generate();
    let good = || issuer.request(&key, &login);
    let before = issuer.log_size().await;
    let signed = |assertion: &str| signed(&issuer, &key, &login, assertion);
    let fine = || assertion(&batch, &issuer, json!({}));

    let wrong_secret = good().basic(CLIENT, &"x".repeat(43));
    let cases = [
        ("wrong secret", wrong_secret.clone()),
        ("unknown client", good().basic("nobody", &"x".repeat(43))),
        ("a client of the other method", good().basic("batch", &"x".repeat(43))),
        ("no credentials", good().anonymous()),
        ("the secret in the body", good().anonymous().also("client_id", CLIENT).also("client_secret", issuer.secret())),
        ("another client's name", good().also("client_id", "batch")),
        ("an assertion of another type", signed(&fine()).with("client_assertion_type", "urn:x")),
        ("an assertion without a type", signed(&fine()).without("client_assertion_type")),
        ("an assertion by a stranger", signed(&assertion(&SigningKey::from_bytes(&[6; 32]), &issuer, json!({})))),
        ("an assertion for another issuer", signed(&assertion(&batch, &issuer, json!({ "aud": "https://other.example" })))),
        ("an expired assertion", signed(&assertion(&batch, &issuer, json!({ "exp": now() - 60, "iat": now() - 120 })))),
        ("an assertion for an hour", signed(&assertion(&batch, &issuer, json!({ "exp": now() + 3600 })))),
        ("an assertion by a client with a secret", signed(&assertion(&batch, &issuer, json!({ "iss": CLIENT, "sub": CLIENT })))),
        ("an assertion of an unknown client", signed(&assertion(&batch, &issuer, json!({ "iss": "nobody", "sub": "nobody" })))),
        ("garbage for an assertion", signed("garbage")),
    ];
    let first = traced(&issuer, &wrong_secret).await;
    for (case, form) in &cases {
        let answer = traced(&issuer, form).await;
        answer.refused_as(401, "invalid_client", "CLIENT_AUTH", case);
        assert!(answer.header("www-authenticate").starts_with("Basic "), "{case}");
        assert_eq!(answer.bytes, first.bytes, "{case}");
        let named = |answer: &Answer| answer.headers.keys().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(named(&answer), named(&first), "{case}");
    }
    for (case, form) in [
        ("the secret in both places", good().also("client_secret", issuer.secret())),
        ("a secret and an assertion", signed(&fine()).basic(CLIENT, issuer.secret())),
    ] {
        issuer.token(&form).await.refused_as(400, "invalid_request", "CLIENT_AUTH_METHODS", case);
    }
    assert_eq!(issuer.log_size().await, before);
}

#[tokio::test]
async fn an_assertion_authenticates_once_and_an_agent_name_is_the_client_s_own() {
    let batch = SigningKey::from_bytes(&[5; 32]);
    let (issuer, provider) = trusting(&batch_client(&batch, "agents = [\"night-report\"]\n")).await;
    let login = provider.login("alice");
    let details = r#"[{"type":"narrows","tools":["crm.read"],"agent":"night-report"}]"#;
    let once = assertion(&batch, &issuer, json!({}));
    let request = || signed(&issuer, &HolderKey::generate(), &login, &once).with("authorization_details", details);
    issuer.token(&request()).await.granted();
    let size = issuer.log_size().await;
    issuer.token(&request()).await.refused_as(401, "invalid_client", "CLIENT_AUTH", "the same assertion with a fresh proof");
    let other = signed(&issuer, &HolderKey::generate(), &login, &assertion(&batch, &issuer, json!({})));
    issuer.token(&other).await.refused_as(400, "invalid_request", "AGENT_NOT_ALLOWED", "planner is not among its agents");
    assert_eq!(issuer.log_size().await, size);
}

#[tokio::test]
async fn bad_holder_proofs_and_keys_are_refused_with_their_reason() {
    let (issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let seed = fresh();
    let key = holder(&seed);
    let digest = |text: &str| Sha256::digest(text).into();
    let claims = HolderClaims { issuer: issuer.url(), client: CLIENT, subject_digest: digest(&login) };
    let proof = |claims: HolderClaims<'_>, time: u64, seed: &[u8; 32]| sign_holder(&claims, time, &fresh(), seed);
    let with_proof = |proof: &str| issuer.request(&key, &login).with("holder_proof", proof);
    let with_key = |req_cnf: &str| issuer.request(&key, &login).with("req_cnf", req_cnf);
    let with_jwk = |jwk: serde_json::Value| with_key(&BASE64URL.encode(json!({ "jwk": jwk }).to_string()));
    let x = BASE64URL.encode(key.public().as_bytes());
    let before = issuer.log_size().await;
    let cases = [
        ("of another key", with_proof(&proof(claims, now(), &fresh())), "PROOF_SIGNATURE"),
        ("for another client", with_proof(&proof(HolderClaims { client: "batch", ..claims }, now(), &seed)), "PROOF_MISMATCH"),
        (
            "for another issuer",
            with_proof(&proof(HolderClaims { issuer: "https://other.example", ..claims }, now(), &seed)),
            "PROOF_MISMATCH",
        ),
        (
            "for another login",
            with_proof(&proof(HolderClaims { subject_digest: digest("other"), ..claims }, now(), &seed)),
            "PROOF_MISMATCH",
        ),
        ("stale", with_proof(&proof(claims, now() - 120, &seed)), "PROOF_TIME"),
        ("of the future", with_proof(&proof(claims, now() + 120, &seed)), "PROOF_TIME"),
        ("garbage", with_proof("garbage"), "PROOF_MALFORMED"),
        ("a weak key", with_jwk(json!({ "kty": "OKP", "crv": "Ed25519", "x": BASE64URL.encode([0; 32]) })), "WEAK_KEY"),
        ("a private key", with_jwk(json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "d": BASE64URL.encode(seed) })), "HOLDER_KEY"),
        ("a key for encryption", with_jwk(json!({ "kty": "OKP", "crv": "X25519", "x": x })), "HOLDER_KEY"),
        ("a shared secret", with_jwk(json!({ "kty": "oct", "k": x })), "HOLDER_KEY"),
        ("a key by name", with_key(&BASE64URL.encode(json!({ "kid": "mine" }).to_string())), "HOLDER_KEY"),
        ("no base64url", with_key("{\"jwk\":{}}"), "HOLDER_KEY"),
    ];
    for (case, form, reason) in &cases {
        issuer.token(form).await.refused_as(400, "invalid_request", reason, case);
    }
    assert_eq!(issuer.log_size().await, before);

    let used = with_proof(&proof(claims, now(), &seed));
    issuer.token(&used).await.granted();
    issuer.token(&used).await.refused_as(400, "invalid_request", "PROOF_REPLAYED", "the same request again");
    let denied = used.with("holder_proof", &proof(claims, now(), &seed)).with("audience", "https://other.example");
    issuer.token(&denied).await.refused_as(400, "invalid_target", "AUDIENCE_NOT_IN_POLICY", "denied");
    issuer.token(&denied.with("audience", AUDIENCE)).await.refused_as(400, "invalid_request", "PROOF_REPLAYED", "spent by the denial");
    assert_eq!(issuer.log_size().await, before + 2);
}

#[tokio::test]
async fn requests_that_are_not_forms_are_refused_before_anybody_reads_them() {
    let (issuer, provider) = trusting("").await;
    let good = issuer.request(&HolderKey::generate(), &provider.login("alice"));
    let (http, address) = (client(), issuer.at("/oauth/token"));
    let form = || good.request(&http, &address);
    let json_body = http.post(&address).header("content-type", "application/json").body("{}");
    send(json_body).await.refused_as(415, "invalid_request", "CONTENT_TYPE", "JSON");
    send(http.post(&address).body("a=b")).await.refused_as(415, "invalid_request", "CONTENT_TYPE", "no type");
    send(form().header("content-encoding", "gzip")).await.refused_as(415, "invalid_request", "CONTENT_ENCODING", "gzip");
    issuer.token(&good.clone().also("more", &"x".repeat(70_000))).await.refused_as(413, "invalid_request", "REQUEST_TOO_LARGE", "70 kB");
    let read = get(&address).await;
    read.refused_as(405, "invalid_request", "METHOD_NOT_ALLOWED", "GET");
    assert_eq!(read.header("allow"), "POST");
    get(&issuer.at("/oauth/nothing")).await.refused_as(404, "invalid_request", "ROUTE_UNKNOWN", "no such path");
    get(&issuer.at("/nothing")).await.refused(404, "ROUTE_UNKNOWN", "no such path");
    get(&issuer.at("/oauth/authorize?response_type=token")).await.refused_as(
        400,
        "unsupported_response_type",
        "RESPONSE_TYPE",
        "authorize",
    );
    let answer = issuer.token(&good).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.granted();
}

/// Sends a form under a trace id of our own, so that answers can be compared byte for byte.
async fn traced(issuer: &Issuer, form: &Form) -> Answer {
    let trace = format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16));
    send(form.request(&client(), &issuer.at("/oauth/token")).header("traceparent", trace)).await
}

fn batch_client(key: &SigningKey, more: &str) -> String {
    let keys = json!({ "keys": [jwk(key, "batch-1")] });
    format!("[[client]]\nid = \"batch\"\nauth_method = \"private_key_jwt\"\njwks = '{keys}'\n{more}")
}

fn assertion(key: &SigningKey, issuer: &Issuer, changes: serde_json::Value) -> String {
    let jwt_id = u128::from_be_bytes(fresh()).to_string();
    let mut claims = json!({ "iss": "batch", "sub": "batch", "aud": issuer.url(), "jti": jwt_id, "iat": now(), "exp": now() + 60 });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    jwt(key, &json!({ "alg": "EdDSA", "kid": "batch-1", "typ": "JWT" }), &claims)
}

/// The request of the client `batch`, with this assertion.
fn signed(issuer: &Issuer, key: &HolderKey, login: &str, assertion: &str) -> Form {
    issuer
        .request(key, login)
        .anonymous()
        .with("holder_proof", &key.holder_proof(issuer.url(), "batch", login, now()))
        .also("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
        .also("client_assertion", assertion)
}
