//! What must never be written down: tokens, secrets, proofs, and names but sealed under a key that can be destroyed.

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};
use narrows_tests::{
    forged::ForgedProvider,
    holder::{fresh, holder},
    http::{Form, client, get, send},
    issuer::{CLIENT, Issuer, PACK, now},
};
use narrows_verifier::{token_bytes, token_text};

use super::hop_to;

#[tokio::test]
async fn no_secret_reaches_log_lines_or_the_database() {
    let (mut issuer, provider) = (Issuer::init(), ForgedProvider::start());
    let pack = PACK.replace("\"alice\"", &format!("\"{LOGIN}\""));
    issuer.configure(&format!("[log]\npublic = true\n[telemetry]\nformat = \"json\"\nfilter = \"trace\"\n{}", provider.trust()), &pack);
    issuer.start().await;
    let (_, keys) = issuer.sdk().await;

    let (login, seed) = (provider.login(LOGIN), fresh());
    let key = holder(&seed);
    let proof = key.holder_proof(issuer.url(), CLIENT, &login, now());
    let good = issuer.request(&key, &login).with("holder_proof", &proof);
    let answer = issuer.token(&good).await.granted();
    let open = answer["access_token"].as_str().unwrap().to_owned();
    let held = narrows::Held::new(&open, holder(&seed), &keys.roots).ok().unwrap();
    let narrowed = held.narrow(&hop_to(&holder(&fresh())), now()).unwrap();
    let report = held.report_hop(&narrowed, issuer.url(), now());
    issuer.report(&report.token, &report.proof).await.granted();
    for form in [
        good.clone(),
        good.clone().basic(CLIENT, "wrong-secret-of-a-client"),
        good.clone().with("subject_token", &login.replace('.', "..")),
        good.clone().with("audience", "https://other.example"),
        Form::new(&[("client_id", CLIENT), ("client_secret", issuer.secret()), ("subject_token", &login)]),
    ] {
        assert!(issuer.token(&form).await.status >= 400);
    }
    issuer.report(&open, &report.proof).await.refused(400, "TOKEN_NOT_SEALED", "an open token");
    // a token where no token belongs
    send(client().get(issuer.at(&format!("/{open}?subject_token={login}")))).await.refused(404, "ROUTE_UNKNOWN", "a token in the path");
    send(client().get(issuer.at("/livez")).header("authorization", format!("Narrows {open}"))).await;

    let basic = STANDARD.encode(format!("{CLIENT}:{}", issuer.secret()));
    let part = |text: &str, index: usize| text.split('.').nth(index).unwrap().to_owned();
    let bytes = token_bytes(&open).unwrap();
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("the token's text", open.as_bytes()[..60].to_vec()),
        ("the token's tail, which holds the appending secret", open.as_bytes()[open.len() - 40..].to_vec()),
        ("the token's bytes", bytes[bytes.len() - 30..].to_vec()),
        ("the narrowed token", narrowed.token.as_bytes()[narrowed.token.len() - 40..].to_vec()),
        ("the sealed token", report.token.as_bytes()[report.token.len() - 40..].to_vec()),
        ("the login's claims", part(&login, 1).into_bytes()),
        ("the login's signature", part(&login, 2).into_bytes()),
        ("the client's secret", issuer.secret().as_bytes().to_vec()),
        ("the client's credentials", basic.into_bytes()),
        ("a wrong secret", b"wrong-secret-of-a-client".to_vec()),
        ("the holder's proof", part(&proof, 1).into_bytes()),
        ("the report's proof", part(&report.proof, 1).into_bytes()),
        ("the holder's seed", seed.to_vec()),
        ("the issuer key", issuer.stolen_seed().to_vec()),
        ("the issuer key's text", token_text(&issuer.stolen_seed()).into_bytes()),
    ];
    let lines = issuer.log_lines();
    assert!(lines.lines().count() > 10 && lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{lines}");
    // what everybody is handed: hashes, leaves and evidence without names
    let (size, mut served) = (issuer.log_size().await, Vec::new());
    for path in ["/log/checkpoint", "/log/tile/0/000", "/log/tile/entries/000", "/v1/audit/head", "/v1/audit/search", "/v1/audit/export"] {
        let path = if path.starts_with("/log/tile/") { format!("{path}.p/{size}") } else { path.to_owned() };
        let answer = get(&issuer.at(&path)).await;
        assert!(answer.status == 200 && !answer.bytes.is_empty(), "{path}");
        served.push((path, answer.bytes));
    }
    let personal = [LOGIN, "planner", "executor", "crm.read"];
    for (path, bytes) in &served {
        for (what, secret) in &secrets {
            assert!(!holds(bytes, secret), "`{path}` holds {what}");
        }
        assert!(personal.iter().all(|text| !holds(bytes, text.as_bytes())), "`{path}` holds personal data");
    }
    let entries = &served[2].1;
    assert!(holds(entries, b"\"kind\":\"mint\"") && holds(entries, b"\"kind\":\"hop\""), "the control");
    let files = |issuer: &Issuer| {
        let read = |name: &str| fs::read(issuer.data().join(name)).unwrap_or_default();
        let databases = ["log.db", "subjects.db", "index.db", "witness.db"].map(|name| [name.to_owned(), format!("{name}-wal")]);
        let all = databases.into_iter().flatten().chain(["log.anchor".to_owned()]);
        all.map(|name| (name.clone(), read(&name))).collect::<Vec<_>>()
    };
    for (what, secret) in &secrets {
        assert!(!holds(lines.as_bytes(), secret), "log lines hold {what}");
        for (file, bytes) in &files(&issuer) {
            assert!(!holds(bytes, secret), "`{file}` holds {what}");
        }
    }
    assert!(!lines.contains(LOGIN), "log lines hold the login");
    // personal data stands in no file but sealed; who has the keys can read it until it is erased
    issuer.stop();
    for (file, bytes) in &files(&issuer) {
        // the client's id stands in clear beside each mint, and is nobody's name
        let bytes = &String::from_utf8_lossy(bytes).replace(CLIENT, "").into_bytes();
        assert!(personal.iter().all(|text| !holds(bytes, text.as_bytes())), "`{file}` holds personal data in clear");
    }
    let shown = issuer.audit(&[]).succeeded();
    assert!(personal.iter().all(|text| shown.contains(text)), "{shown}");
    issuer.erase(provider.issuer(), LOGIN);
    let shown = issuer.audit(&[]).succeeded();
    assert!(personal.iter().all(|text| !shown.contains(text)), "{shown}");
    issuer.start().await;
    issuer.granted(&holder(&fresh()), &provider.login(LOGIN)).await;
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}

/// A name that stands nowhere by chance.
const LOGIN: &str = "zephyrine.quillfeather";
