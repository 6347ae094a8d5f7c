//! Erasing a person, with the service stopped and while it runs.

use std::fs;

use narrows::HolderKey;
use narrows_tests::{
    http::{client, send},
    program::run,
};
use narrows_verifier::log::verify;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::auditing::{ADA, IDA, asked, audit, audited, evidence, index, indices, vkey};

#[tokio::test]
async fn an_erased_name_leaves_the_index_and_no_search_finds_it() {
    let (mut issuer, provider) = audited("").await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    issuer.stop();
    let data = issuer.data().to_string_lossy().into_owned();
    run(["audit", "index", "rebuild", "--data", &data]).succeeded();
    let names =
        |index: &Connection| -> i64 { index.query_row("SELECT count(*) FROM term WHERE field >= 32", [], |row| row.get(0)).unwrap() };
    assert!(names(&index(&issuer)) > 0);
    for file in fs::read_dir(issuer.data()).unwrap().map(|file| file.unwrap().path()) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        let is_index = file.file_name().unwrap().to_string_lossy().starts_with("index.db");
        assert!(!is_index || !["alice", "planner", "crm.read"].iter().any(|name| text.contains(name)), "{}", file.display());
    }
    issuer.erase(provider.issuer(), "alice");
    let left: i64 = index(&issuer).query_row("SELECT count(*) FROM term WHERE field = 32", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0, "with the erasure, not with the next start");
    run(["audit", "index", "compare", "--data", &data]).succeeded();
    issuer.start().await;
    let (_, found) = evidence(&asked(&issuer, IDA, "/v1/audit/search?principal=alice").await, &vkey(&issuer));
    assert_eq!(indices(&found), Vec::<u64>::new(), "at once, whatever the index still proposes");
    issuer.stop();
    run(["audit", "index", "compare", "--data", &data]).succeeded();
}

#[tokio::test]
async fn a_person_is_erased_while_the_service_runs() {
    let (issuer, provider) = audited("").await;
    let before = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    issuer.token(&issuer.request(&HolderKey::generate(), &provider.login("bob"))).await;
    let data = issuer.data().to_string_lossy().into_owned();
    let told = run(["audit", "pseudonym", "--data", &data, "--issuer", provider.issuer(), "--subject", "alice"]).succeeded();
    let subject = told.trim();
    let post = async |secret: &str, body: Value| {
        send(
            client()
                .post(issuer.at("/v1/audit/erasures"))
                .bearer_auth(secret)
                .header("content-type", "application/json")
                .body(body.to_string()),
        )
        .await
    };
    let asking = json!({"subject": subject, "basis": "art. 17 (1) b"});
    let size = issuer.log_size().await;
    post(IDA, asking.clone()).await.refused(403, "AUDITOR_ROLE", "an auditor");
    post("wrong", asking.clone()).await.refused(401, "AUDITOR_AUTH", "nobody");
    for (status, reason, body) in [
        (400, "JSON_MALFORMED", json!({"subject": subject, "basis": "b", "by": "somebody else"})),
        (400, "PARAMETER_INVALID", json!({"subject": "alice", "basis": "b"})),
        (400, "PARAMETER_INVALID", json!({"subject": subject, "basis": ""})),
        (400, "PARAMETER_INVALID", json!({"subject": subject, "basis": "b".repeat(1025)})),
        (404, "SUBJECT_UNKNOWN", json!({"subject": "00".repeat(16), "basis": "b"})),
    ] {
        post(ADA, body.clone()).await.refused(status, reason, &body.to_string());
    }
    assert_eq!(issuer.log_size().await, size, "what is refused writes nothing");

    let (key, secret) = (vkey(&issuer).to_string(), issuer.keep("ada.secret", ADA));
    let erase = ["audit", "erase", "--url", issuer.url(), "--vkey", &key, "--credential", secret.to_str().unwrap()];
    let erase = || run([&erase[..], &["--subject", subject, "--basis", "art. 17 (1) b"]].concat());
    assert!(erase().succeeded().contains("erased     everything"));
    erase().refused("SUBJECT_UNKNOWN");
    let told = audit(&issuer, "search", vec!["--kind".into(), "mint".into(), "--names".into()]).succeeded();
    assert!(told.contains("bob") && !told.contains("alice"), "{told}");
    let (_, found) = evidence(&asked(&issuer, IDA, "/v1/audit/search?principal=alice").await, &vkey(&issuer));
    assert_eq!(indices(&found), Vec::<u64>::new());
    let (receipt, leaf) = narrows_tests::issuer::evidence(&before);
    verify(&receipt, &leaf, &[vkey(&issuer)]).unwrap();
    let by = audit(&issuer, "search", vec!["--kind".into(), "erasure".into(), "--names".into(), "--json".into()]).succeeded();
    assert!(by.contains("ada"), "{by}");
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    assert!(audit(&issuer, "fsck", Vec::new()).succeeded().contains("erased"));
}

#[tokio::test]
async fn an_operator_erases_by_the_data_directory_alone() {
    let (mut issuer, provider) = audited("").await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let data = issuer.data().to_string_lossy().into_owned();
    let told = run(["audit", "pseudonym", "--data", &data, "--issuer", provider.issuer(), "--subject", "alice"]).succeeded();
    let erase = || run(["audit", "erase", "--data", &data, "--subject", told.trim(), "--basis", "asked for", "--by", "officer"]);
    erase().refused("LOG_BUSY");
    issuer.stop();
    erase().succeeded();
    erase().refused("SUBJECT_UNKNOWN");
    issuer.start().await;
    audit(&issuer, "fsck", Vec::new()).succeeded();
}
