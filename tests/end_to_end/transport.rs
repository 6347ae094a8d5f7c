//! TLS as an operator sets it up, with certificates of a private authority.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use ed25519_dalek::SigningKey;
use narrows::HolderKey;
use narrows_tests::{
    forged::{ForgedProvider, jwt},
    http::{Answer, send, try_send},
    issuer::{Issuer, PACK, now},
    program::run,
    scratch::Scratch,
    tls::Authority,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

async fn secured(authority: &Authority, more: &str) -> (Issuer, ForgedProvider) {
    let (mut issuer, provider) = (Issuer::init_secured(authority), ForgedProvider::start());
    let (certificate, key) = issuer.certificate();
    let tls = format!("[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    issuer.configure(&format!("{more}\n{tls}{}", provider.trust()), PACK);
    issuer.start().await;
    (issuer, provider)
}

async fn metric(issuer: &Issuer, name: &str) -> u64 {
    let page = send(issuer.client().get(issuer.at("/metrics"))).await.text();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_else(|| panic!("no {name}: {page}"));
    value.parse().unwrap()
}

/// Asks again and again until the metric is what it should be.
async fn metric_becomes(issuer: &Issuer, name: &str, expected: impl Fn(u64) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !expected(metric(issuer, name).await) {
        assert!(Instant::now() < deadline, "{name}: {}", issuer.log_lines());
        tokio::task::yield_now().await;
    }
}

fn hang_up(issuer: &Issuer) {
    assert!(Command::new("kill").args(["-HUP", &issuer.process_id().to_string()]).status().unwrap().success());
}

fn change_mode(file: &Path, mode: &str) {
    assert!(Command::new("chmod").arg(mode).arg(file).status().unwrap().success());
}

/// Everything until the peer closes.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.expect("the connection must be closed").ok();
    bytes
}

#[tokio::test]
async fn tokens_are_issued_over_tls_1_3_and_1_2_and_nothing_below() {
    let authority = Authority::new();
    let (issuer, provider) = secured(&authority, "").await;
    let holder = HolderKey::generate();
    let form = issuer.request(&holder, &provider.login("alice"));
    let answer: Answer = send(form.request(issuer.client(), &issuer.at("/oauth/token"))).await;
    assert!(answer.granted()["access_token"].is_string());
    let address = issuer.url().trim_start_matches("https://").to_owned();
    let handshake = |options: &[&str]| {
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-connect", &address, "-CAfile"]).arg(authority.file()).args(["-verify_return_error"]).args(options);
        openssl.stdin(std::process::Stdio::null()).output().unwrap()
    };
    for (version, shown) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        let output = handshake(&[version, "-alpn", "h2,http/1.1"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(shown) && text.contains("ALPN protocol: http/1.1"), "{version}: {text}");
    }
    for refused in [&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..], &["-tls1_2", "-cipher", "AES128-SHA"], &["-alpn", "h2"]] {
        assert!(!handshake(refused).status.success(), "{refused:?}");
    }
    let end = metric(&issuer, "narrows_tls_certificate_expiry_seconds").await;
    assert!((now()..=now() + 86_400).contains(&end), "{end}");
}

#[tokio::test]
async fn a_private_authority_is_trusted_by_the_command_line_through_the_environment() {
    let authority = Authority::new();
    let (mut issuer, provider) = secured(&authority, "").await;
    let holder = HolderKey::generate();
    let form = issuer.request(&holder, &provider.login("alice"));
    let answer = send(form.request(issuer.client(), &issuer.at("/oauth/token"))).await.granted();
    let file = issuer.keep("answer.json", answer.to_string());
    let url = issuer.url().to_owned();
    let inspect = ["token", "inspect", &file.to_string_lossy(), "--issuer", &url];
    issuer.run(&inspect).refused("PEER_UNREACHABLE");
    issuer.set_environment("SSL_CERT_FILE", &authority.file().to_string_lossy());
    assert!(issuer.run(&inspect).succeeded().contains("planner"));
}

#[tokio::test]
async fn a_trusted_issuers_own_authority_vouches_for_it_and_no_other_does() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (issuer, _provider) = secured(&authority, "").await;
    let scratch = Scratch::new();
    let claims = json!({ "iss": issuer.url(), "sub": "robot", "aud": "https://narrows.example", "client_id": "app", "jti": "one",
        "iat": now(), "exp": now() + 300 });
    let token = jwt(&SigningKey::from_bytes(&[7; 32]), &json!({ "alg": "EdDSA", "kid": "unknown", "typ": "at+jwt" }), &claims);
    let token = scratch.write("token.jwt", token).to_string_lossy().into_owned();
    let test = |more: &str| {
        let config = format!(
            "issuer = \"https://narrows.example\"\nlisten = \"127.0.0.1:1\"\ndata_dir = {:?}\n[log]\norigin = \"narrows.example/log\"\n\
             [[trusted_issuer]]\nissuer = {:?}\nkind = \"oauth\"\naudiences = [\"https://narrows.example\"]\n\
             allow_private_address = true\n{more}",
            scratch.join("data"),
            issuer.url(),
        );
        let config = scratch.write("narrows.toml", config).to_string_lossy().into_owned();
        run(["issuer", "test", "--config", &config, &token])
    };
    let vouched = |authority: &Authority| format!("ca_file = {:?}\n", authority.file());
    // its keys were had, and none of them is the token's
    let asked = test(&vouched(&authority));
    assert!(asked.out.contains("refused  JWT_UNKNOWN_KEY"), "{}{}", asked.out, asked.errors);
    for others in [vouched(&other), String::new()] {
        let asked = test(&others);
        assert!(asked.out.contains("ISSUER_UNREACHABLE"), "{others}: {}{}", asked.out, asked.errors);
    }
    let twice = format!(
        "{}[[trusted_issuer]]\nissuer = {:?}\nkind = \"id_jag\"\nclients = [\"app\"]\nallow_private_address = true\n",
        vouched(&authority),
        issuer.url()
    );
    let empty = format!("ca_file = {:?}\n", scratch.write("empty.pem", ""));
    for (unfit, told) in
        [(twice, "the same for each entry"), (empty, "no certificate"), ("ca_file = \"/nonexistent\"\n".to_owned(), "can't be read")]
    {
        test(&unfit).refused(told);
    }
}

#[tokio::test]
async fn plain_http_and_stalled_handshakes_get_no_answer_on_the_tls_port() {
    let authority = Authority::new();
    let (issuer, _provider) = secured(&authority, "[limits]\nfirst_byte_timeout_ms = 300\nheader_timeout_ms = 300\n").await;
    let address = issuer.url().trim_start_matches("https://").replace("localhost", "127.0.0.1");
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let told = until_closed(&mut plain).await;
    assert!(!told.windows(5).any(|bytes| bytes == b"HTTP/"), "{told:?}");
    metric_becomes(&issuer, "narrows_tls_handshakes_failed_total", |count| count == 1).await;
    let before = metric(&issuer, "narrows_connections_expired_total").await;
    // A record header that promises more than ever comes, and nothing at all.
    for begun in [&b"\x16\x03\x01\x02\x00\x01"[..], b""] {
        let mut stalled = TcpStream::connect(&address).await.unwrap();
        stalled.write_all(begun).await.unwrap();
        assert_eq!(until_closed(&mut stalled).await, b"", "{begun:?}");
    }
    metric_becomes(&issuer, "narrows_connections_expired_total", |count| count >= before + 2).await;
}

#[tokio::test]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let authority = Authority::new();
    let (issuer, _provider) = secured(&authority, "").await;
    let (certificate, key) = issuer.certificate();
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let load = async {
        // A connection for each request, so that there is a handshake in each.
        while !done.load(Ordering::Relaxed) {
            let answers = (0..4).map(|_| send(authority.client().get(issuer.at("/livez"))));
            for answer in futures_of(answers).await {
                assert_eq!(answer.status, 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let replace = async {
        let mut end = metric(&issuer, "narrows_tls_certificate_expiry_seconds").await;
        for (days, signal) in [("2", true), ("3", true), ("4", false)] {
            authority.certify_until(&certificate, &key, &["-days", days]);
            if signal {
                hang_up(&issuer);
            }
            metric_becomes(&issuer, "narrows_tls_certificate_expiry_seconds", |found| found > end + 80_000).await;
            end = metric(&issuer, "narrows_tls_certificate_expiry_seconds").await;
        }
        done.store(true, Ordering::Relaxed);
    };
    tokio::join!(load, replace);
    assert!(answered.load(Ordering::Relaxed) > 20);
}

#[tokio::test]
async fn a_broken_certificate_replaces_nothing_and_is_told() {
    let authority = Authority::new();
    let (issuer, _provider) = secured(&authority, "").await;
    let (certificate, key) = issuer.certificate();
    let aside = issuer.data().join("aside.key");
    let whole = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());
    let end = metric(&issuer, "narrows_tls_certificate_expiry_seconds").await;
    let mut told = metric(&issuer, "narrows_tls_reloads_failed_total").await;
    let cases: [(&str, &dyn Fn()); 6] = [
        ("TLS_CERTIFICATE", &|| fs::write(&certificate, "nothing").unwrap()),
        ("TLS_CERTIFICATE", &|| fs::remove_file(&certificate).unwrap()),
        ("TLS_CERTIFICATE", &|| authority.certify_until(&certificate, &aside, &["-days", "-1"])),
        ("TLS_KEY", &|| fs::write(&key, "nothing").unwrap()),
        ("TLS_KEY", &|| authority.certify(&certificate, &aside)),
        ("KEY_FILE_MODE", &|| change_mode(&key, "640")),
    ];
    for (reason, break_it) in cases {
        fs::write(&certificate, &whole.0).unwrap();
        fs::write(&key, &whole.1).unwrap();
        break_it();
        hang_up(&issuer);
        metric_becomes(&issuer, "narrows_tls_reloads_failed_total", |count| count > told).await;
        told = metric(&issuer, "narrows_tls_reloads_failed_total").await;
        assert!(issuer.log_lines().contains(reason), "{reason}: {}", issuer.log_lines());
        // The old one is shown still.
        assert_eq!(send(authority.client().get(issuer.at("/livez"))).await.status, 200, "{reason}");
        assert_eq!(metric(&issuer, "narrows_tls_certificate_expiry_seconds").await, end, "{reason}");
        // The mode is a matter of the last case, the others put files of their own in place.
        change_mode(&key, "600");
    }
    assert!(!issuer.log_lines().contains("PRIVATE KEY"));
}

#[tokio::test]
async fn a_service_without_a_sound_certificate_does_not_start() {
    let authority = Authority::new();
    let (mut issuer, _provider) = secured(&authority, "").await;
    issuer.stop();
    let (certificate, key) = issuer.certificate();
    authority.certify_until(&certificate, &key, &["-days", "-1"]);
    issuer.start_refused().refused("TLS_CERTIFICATE");
    authority.certify(&certificate, &key);
    change_mode(&key, "644");
    issuer.start_refused().refused("KEY_FILE_MODE");
    fs::remove_file(&key).unwrap();
    issuer.start_refused().refused("KEY_FILE_MISSING");
    // Without the authority nobody is talked to.
    authority.certify(&certificate, &key);
    issuer.start().await;
    assert!(try_send(narrows_tests::http::client().get(issuer.at("/livez"))).await.is_err());
}

/// All of them at once, in order.
async fn futures_of<T>(futures: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T>
where
    T: Send + 'static,
{
    let tasks: Vec<_> = futures.map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}
