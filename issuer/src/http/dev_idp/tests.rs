use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use url::Url;

use super::*;
use crate::federation::{Federation, TokenType};

const START_MS: u64 = 1_800_000_000_000;
const REDIRECT: &str = "http://127.0.0.1:7777/callback?from=test";
const VERIFIER: &str = "verifier-verifier-verifier-verifier-verifier";

struct Browser {
    router: Router,
    clock_ms: Arc<AtomicU64>,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    text: String,
}

fn browser(issuer: &str) -> Browser {
    let clock_ms = Arc::new(AtomicU64::new(START_MS));
    let (clock, counter) = (Arc::clone(&clock_ms), AtomicU8::new(0));
    let user = |name: &str, password: &str| DevUser {
        name: name.to_owned(),
        password: Zeroizing::new(password.to_owned()),
        email: Some(format!("{name}@example.com")),
        groups: vec!["staff".to_owned()],
    };
    let router = router(DevIdpSettings {
        issuer: issuer.to_owned(),
        clients: vec!["client-1".to_owned()],
        users: vec![user("alice", "correct"), user("bob", "other")],
        signing_seed: Zeroizing::new([5; 32]),
        now_ms: Arc::new(move || clock.load(Ordering::SeqCst)),
        entropy: Arc::new(move || [counter.fetch_add(1, Ordering::SeqCst); 32]),
    });
    Browser { router: Router::new().nest("/dev/idp", router.unwrap()), clock_ms }
}

impl Browser {
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(format!("/dev/idp{path}")).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = Request::post(format!("/dev/idp{path}")).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form)).unwrap()).await
    }

    async fn open(&self, changes: &[(&str, &str)]) -> Answer {
        let mut fields = std::collections::BTreeMap::from([
            ("response_type", "code"),
            ("client_id", "client-1"),
            ("redirect_uri", REDIRECT),
            ("scope", "openid"),
            ("state", "st&te"),
            ("nonce", "nonce-1"),
            ("code_challenge_method", "S256"),
        ]);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        fields.insert("code_challenge", &challenge);
        fields.extend(changes.iter().copied());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.get(&format!("/authorize?{query}")).await
    }

    async fn log_in(&self, page: &Answer, name: &str, password: &str) -> Answer {
        let ticket = page.ticket();
        self.post("/authorize", &[("ticket", &ticket), ("username", name), ("password", password)]).await
    }

    async fn code(&self) -> String {
        let answer = self.log_in(&self.open(&[]).await, "alice", "correct").await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        answer.location("code").unwrap()
    }

    async fn redeem(&self, code: &str, changes: &[(&str, &str)]) -> Answer {
        let mut fields = std::collections::BTreeMap::from([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", "client-1"),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ]);
        fields.extend(changes.iter().copied());
        self.post("/token", &fields.into_iter().collect::<Vec<_>>()).await
    }
}

impl Answer {
    fn ticket(&self) -> String {
        let (_, rest) = self.text.split_once("name=\"ticket\" value=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    /// A parameter of the address that a redirect leads to.
    fn location(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.headers.get("location")?.to_str().unwrap()).unwrap();
        assert!(url.as_str().starts_with(REDIRECT));
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[tokio::test]
async fn a_login_ends_in_an_id_token_that_the_federation_accepts_over_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}/dev/idp", listener.local_addr().unwrap());
    let browser = browser(&issuer);
    let router = browser.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let page = browser.open(&[]).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Development only."));
    let answer = browser.log_in(&page, "alice", "correct").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.location("state").as_deref(), Some("st&te"));
    assert_eq!(answer.location("iss").as_deref(), Some(issuer.as_str()));
    let tokens = browser.redeem(&answer.location("code").unwrap(), &[]).await;
    assert_eq!(tokens.status, StatusCode::OK);
    assert_eq!(tokens.header("cache-control"), "no-store");
    let id_token = tokens.json()["id_token"].as_str().unwrap().to_owned();

    let trusted = json!({
        "issuer": issuer, "audiences": ["client-1"], "allow_loopback_http": true,
        "claims": ["groups", "email", "nonce", "auth_time"],
    });
    let federation = Federation::new(vec![serde_json::from_value(trusted).unwrap()], "https://narrows.example", START_MS / 1000).unwrap();
    let subject = federation.verify(&id_token, TokenType::IdToken, START_MS / 1000).await.unwrap();
    assert_eq!((subject.issuer.as_str(), subject.subject.as_str()), (issuer.as_str(), "alice"));
    assert_eq!(subject.expires_s, START_MS / 1000 + 600);
    let expected = json!({
        "groups": ["staff"], "email": "alice@example.com", "nonce": "nonce-1", "auth_time": START_MS / 1000,
    });
    assert_eq!(Value::Object(subject.claims), expected);
}

#[tokio::test]
async fn a_wrong_password_gives_no_code_and_each_form_is_sent_once() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    let first = browser.open(&[]).await;
    let mut page = browser.log_in(&first, "alice", "wrong").await;
    assert_eq!((page.status, page.header("location")), (StatusCode::UNAUTHORIZED, ""));
    assert!(page.text.contains("role=\"alert\""));
    assert_eq!(browser.log_in(&first, "alice", "correct").await.status, StatusCode::BAD_REQUEST);
    for (name, password) in [("alice", "other"), ("alice", ""), ("mallory", "correct"), ("", "")] {
        page = browser.log_in(&page, name, password).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{name}");
    }
    assert_eq!(browser.log_in(&page, "alice", "correct").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn ten_wrong_passwords_close_the_door_for_a_minute() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    let mut page = browser.open(&[]).await;
    for _ in 0..10 {
        page = browser.log_in(&page, "alice", "wrong").await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    }
    let refused = browser.log_in(&page, "alice", "correct").await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "60"));
    browser.clock_ms.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(browser.log_in(&page, "alice", "correct").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_code_works_once_for_a_minute_with_its_verifier_client_and_address() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    let code = browser.code().await;
    assert_eq!(browser.redeem(&code, &[]).await.status, StatusCode::OK);
    let replayed = browser.redeem(&code, &[]).await;
    assert_eq!((replayed.status, replayed.json()), (StatusCode::BAD_REQUEST, json!({"error": "invalid_grant"})));

    let wrong_verifier = "w".repeat(43);
    for change in [
        ("code_verifier", wrong_verifier.as_str()),
        ("code_verifier", "short"),
        ("client_id", "client-2"),
        ("client_id", ""),
        ("redirect_uri", "http://127.0.0.1:7777/callback"),
        ("redirect_uri", ""),
    ] {
        let code = browser.code().await;
        assert_eq!(browser.redeem(&code, &[change]).await.json(), json!({"error": "invalid_grant"}), "{change:?}");
        assert_eq!(browser.redeem(&code, &[]).await.json(), json!({"error": "invalid_grant"}), "{change:?}");
    }
    for (change, error) in [
        (("code_verifier", ""), "invalid_request"),
        (("code", ""), "invalid_request"),
        (("grant_type", ""), "invalid_request"),
        (("grant_type", "password"), "unsupported_grant_type"),
    ] {
        let code = browser.code().await;
        assert_eq!(browser.redeem(&code, &[change]).await.json(), json!({"error": error}));
    }
    let late = browser.code().await;
    browser.clock_ms.fetch_add(60_000, Ordering::SeqCst);
    assert_eq!(browser.redeem(&late, &[]).await.json(), json!({"error": "invalid_grant"}));
}

#[tokio::test]
async fn requests_without_pkce_or_openid_go_back_with_an_error() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    for (change, error) in [
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "profile"), "invalid_scope"),
    ] {
        let answer = browser.open(&[change]).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{change:?}");
        assert_eq!(answer.location("error").as_deref(), Some(error));
        assert_eq!((answer.location("state").as_deref(), answer.location("code")), (Some("st&te"), None));
    }
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_off_this_machine() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    for change in [
        ("redirect_uri", "http://evil.example/callback"),
        ("redirect_uri", "https://127.0.0.1/callback"),
        ("redirect_uri", "http://127.0.0.1@evil.example/"),
        ("redirect_uri", "http://localhost.evil.example/"),
        ("redirect_uri", "http://127.0.0.1:7777/#fragment"),
        ("redirect_uri", "javascript:alert(1)"),
        ("redirect_uri", "/relative"),
        ("redirect_uri", ""),
        ("client_id", "client-9"),
        ("client_id", ""),
    ] {
        let answer = browser.open(&[change]).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::BAD_REQUEST, ""), "{change:?}");
    }
    let repeated = browser.get("/authorize?client_id=client-1&client_id=client-1").await;
    assert_eq!(repeated.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_run_no_script_and_escape_what_they_show() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    let page = browser.open(&[]).await;
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("form-action 'self' http://127.0.0.1:7777; base-uri 'none'; frame-ancestors 'none'"), "{policy}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(page.header(name), value);
    }
    let shown = page::login(StatusCode::OK, Some("<b>"), "t\"><i>", "<script>'&", &Url::parse(REDIRECT).unwrap());
    let html = String::from_utf8(shown.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(html.contains("&lt;script&gt;&#39;&amp;") && html.contains("t&quot;&gt;&lt;i&gt;") && html.contains("&lt;b&gt;"));
    assert!(!html.contains("<script") && !html.contains("<i>"));
}

#[tokio::test]
async fn forms_that_are_no_forms_are_refused() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    for path in ["/authorize", "/token"] {
        let body = Body::from("{}");
        let request = Request::post(format!("/dev/idp{path}")).header("content-type", "application/json").body(body);
        assert_eq!(browser.send(request.unwrap()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let long = "x".repeat(9_000);
        assert_eq!(browser.post(path, &[("ticket", &long)]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(browser.get("/token").await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn open_logins_are_bounded_and_expire() {
    let browser = browser("http://127.0.0.1:1/dev/idp");
    let old = browser.open(&[]).await;
    browser.clock_ms.fetch_add(600_000, Ordering::SeqCst);
    assert_eq!(browser.log_in(&old, "alice", "correct").await.status, StatusCode::BAD_REQUEST);

    let mut tickets = tables::OneTime::new(1_000);
    for number in 0..300 {
        tickets.put(format!("t{number}"), number, 0);
    }
    assert_eq!((tickets.take("t0", 0), tickets.take("t299", 0), tickets.take("t299", 0)), (None, Some(299), None));
    assert_eq!(tickets.take("t298", 1_000), None);
}

#[test]
fn the_provider_is_for_loopback_alone() {
    for issuer in ["https://127.0.0.1/dev/idp", "http://idp.example/dev/idp", "http://10.0.0.1/dev/idp"] {
        let settings = DevIdpSettings {
            issuer: issuer.to_owned(),
            clients: Vec::new(),
            users: Vec::new(),
            signing_seed: Zeroizing::new([5; 32]),
            now_ms: Arc::new(|| 0),
            entropy: Arc::new(|| [0; 32]),
        };
        assert_eq!(router(settings).map(|_| ()), Err(NotLoopback));
    }
}
