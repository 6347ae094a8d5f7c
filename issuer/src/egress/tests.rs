use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that gives every connection the same bytes; returns its origin and how many connections there were.
async fn canned(answer: Vec<u8>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 2048];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    (origin, connections)
}

fn answer(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn plain(origin: &str) -> Egress {
    let mut rules = EgressRules::default();
    rules.allow(origin, Reach::PlainLoopback).unwrap();
    Egress::new(rules).unwrap()
}

async fn fetch_plain(answer: Vec<u8>) -> Result<Vec<u8>, EgressError> {
    let (origin, _) = canned(answer).await;
    plain(&origin).fetch_json(&format!("{origin}/document")).await.map(|fetched| fetched.body)
}

const JSON: &str = "200 OK\r\ncontent-type: application/json; charset=utf-8";

#[tokio::test]
async fn only_small_declared_json_comes_back() {
    assert_eq!(fetch_plain(answer(JSON, "{}")).await, Ok(b"{}".to_vec()));
    let key_set = "200 OK\r\ncontent-type: application/jwk-set+json";
    assert_eq!(fetch_plain(answer(key_set, "{}")).await, Ok(b"{}".to_vec()));

    let html = "200 OK\r\ncontent-type: text/html";
    assert_eq!(fetch_plain(answer(html, "{}")).await, Err(EgressError::ContentType));
    assert_eq!(fetch_plain(answer("200 OK", "{}")).await, Err(EgressError::ContentType));
    assert_eq!(fetch_plain(answer("500 Oops", "")).await, Err(EgressError::Status(500)));

    let declared = format!("{JSON}\r\ncontent-length: 60000000");
    assert_eq!(fetch_plain(answer(&declared, "")).await, Err(EgressError::TooLarge));
    let streamed = "x".repeat(50_000_000);
    assert_eq!(fetch_plain(answer(JSON, &streamed)).await, Err(EgressError::TooLarge));
    let cut_short = format!("{JSON}\r\ncontent-length: 10");
    assert_eq!(fetch_plain(answer(&cut_short, "{}")).await, Err(EgressError::Unreachable));
    // what is compressed is never blown up: it is no JSON
    let gzip = format!("{JSON}\r\ncontent-encoding: gzip");
    assert_eq!(fetch_plain(answer(&gzip, "\u{1f}")).await, Ok(b"\x1f".to_vec()));
}

#[tokio::test]
async fn redirects_are_never_followed() {
    let (inside, connections) = canned(answer(JSON, "{}")).await;
    for target in [format!("{inside}/latest"), "http://169.254.169.254/latest".to_owned(), "/same-origin".to_owned()] {
        for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
            let moved = format!("{status}\r\nlocation: {target}\r\ncontent-type: application/json");
            let code = status.get(..3).unwrap().parse().unwrap();
            assert_eq!(fetch_plain(answer(&moved, "{}")).await, Err(EgressError::Status(code)), "{target}");
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_that_drips_ends_with_the_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 2048]).await;
        stream.write_all(format!("HTTP/1.1 {JSON}\r\n\r\n").as_bytes()).await.unwrap();
        // until the client has had enough
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut rules = EgressRules::default();
    rules.allow(&origin, Reach::PlainLoopback).unwrap();
    let egress = Egress::within(rules, Duration::from_millis(300)).unwrap();
    assert_eq!(egress.fetch_json(&format!("{origin}/keys")).await, Err(EgressError::Timeout));
}

#[tokio::test]
async fn an_answer_says_how_long_it_is_fresh() {
    for (cache_control, expected) in [
        ("", None),
        ("cache-control: public, max-age=3600\r\n", Some(3_600)),
        ("cache-control: MAX-AGE=60, must-revalidate\r\n", Some(60)),
        ("cache-control: max-age=60, no-store\r\n", Some(0)),
        ("cache-control: no-cache\r\n", Some(0)),
        ("cache-control: max-age=-1\r\n", None),
        ("cache-control: max-age=soon\r\n", None),
        ("cache-control: s-maxage=60\r\n", None),
    ] {
        let head = format!("{JSON}\r\n{cache_control}");
        let (origin, _) = canned(answer(head.trim_end(), "{}")).await;
        let fetched = plain(&origin).fetch_json(&format!("{origin}/keys")).await.unwrap();
        assert_eq!(fetched.max_age_s, expected, "{cache_control}");
    }
}

#[tokio::test]
async fn unnamed_origins_are_never_contacted() {
    let (origin, connections) = canned(answer(JSON, "{}")).await;
    let port = origin.rsplit(':').next().unwrap();
    let mut rules = EgressRules::default();
    rules.allow("http://127.0.0.1:1", Reach::PlainLoopback).unwrap();
    rules.allow("https://idp.example", Reach::Public).unwrap();
    let egress = Egress::new(rules).unwrap();
    let cases = [
        (format!("{origin}/x"), EgressError::PlainHttp),
        (format!("http://localhost:{port}/x"), EgressError::PlainHttp),
        ("http://example.com/x".to_owned(), EgressError::PlainHttp),
        ("http://idp.example/x".to_owned(), EgressError::PlainHttp),
        ("https://other.example/x".to_owned(), EgressError::NotNamed),
        ("https://idp.example:8443/x".to_owned(), EgressError::NotNamed),
        ("https://idp.example.evil.example/x".to_owned(), EgressError::NotNamed),
        (format!("https://127.0.0.1:{port}/x"), EgressError::NotNamed),
        ("https://169.254.169.254/latest".to_owned(), EgressError::NotNamed),
        ("https://user:word@idp.example/".to_owned(), EgressError::Url),
        ("https://user@idp.example/".to_owned(), EgressError::Url),
        ("file:///etc/hostname".to_owned(), EgressError::Url),
        ("/relative".to_owned(), EgressError::Url),
    ];
    for (url, error) in cases {
        assert_eq!(egress.fetch_json(&url).await, Err(error), "{url}");
        assert_eq!(egress.post_text(&url, String::new()).await.err(), Some(error), "{url}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[test]
fn addresses_that_are_not_public_are_refused_when_they_are_named() {
    let mut rules = EgressRules::default();
    for url in [
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[fd00::1]/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://127.1/",
    ] {
        assert_eq!(rules.allow(url, Reach::Public), Err(EgressError::PrivateAddress), "{url}");
        assert_eq!(rules.allow(url, Reach::Private), Ok(()), "{url}");
    }
    assert_eq!(rules.allow("https://1.1.1.1/", Reach::Public), Ok(()));
}

#[test]
fn plain_http_can_be_allowed_for_loopback_alone() {
    let mut rules = EgressRules::default();
    for url in ["http://10.0.0.1", "http://localhost.example.com", "http://[::ffff:127.0.0.1]", "https://127.0.0.1"] {
        assert_eq!(rules.allow(url, Reach::PlainLoopback), Err(EgressError::PlainHttp), "{url}");
    }
    assert_eq!(rules.allow("http://[::1]:8080/path", Reach::PlainLoopback), Ok(()));
    assert_eq!(rules.allow("http://127.0.0.1:8080", Reach::Public), Err(EgressError::PlainHttp));
    assert_eq!(rules.allow("http://127.0.0.1:8080", Reach::Private), Err(EgressError::PlainHttp));
}

/// Fetches from a name that resolves to these addresses in turn, and tells whether anybody connected to the last of them.
async fn rebound(answers: Vec<Vec<SocketAddr>>, listener: &TcpListener, reach: Reach) -> (Vec<EgressError>, bool) {
    let mut rules = EgressRules::default();
    rules.allow(&format!("https://idp.example:{}", listener.local_addr().unwrap().port()), reach).unwrap();
    let resolver = CheckedResolver::public_unless_named(Arc::new(rules.clone())).scripted(answers.clone());
    let secure = client(resolver, Duration::from_millis(300)).https_only(true).tls_certs_only([]).build().unwrap();
    let egress = Egress::new(rules).unwrap();
    assert!(egress.secure.set(secure).is_ok());
    let url = format!("https://idp.example:{}/keys", listener.local_addr().unwrap().port());
    let mut errors = Vec::new();
    for _ in &answers {
        errors.push(egress.fetch_json(&url).await.unwrap_err());
    }
    let reached = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await.is_ok();
    (errors, reached)
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_not_followed_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inside: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:0".parse().unwrap();
    // public, and nobody is there
    let outside: SocketAddr = "[2001:4860:4860::1]:0".parse().unwrap();
    let refused = EgressError::PrivateAddress;

    let (errors, reached) = rebound(vec![vec![outside], vec![inside], vec![mapped]], &listener, Reach::Public).await;
    assert!(errors[0] != refused && errors[1..] == [refused, refused] && !reached, "{errors:?}");
    // one good address among bad ones makes none of them good
    let (errors, reached) = rebound(vec![vec![outside, inside], vec![inside, outside]], &listener, Reach::Public).await;
    assert!(errors == [refused, refused] && !reached, "{errors:?}");
    // where the host was named, the address is connected to: the refusal above was the check's
    let (errors, reached) = rebound(vec![vec![inside]], &listener, Reach::Private).await;
    assert!(errors != [refused] && reached, "{errors:?}");
}
