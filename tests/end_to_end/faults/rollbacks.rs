//! A backup put back, with and without its anchor, and the two ways on.

use std::fs;

use narrows::HolderKey;
use narrows_tests::{issuer::Issuer, program};

use crate::end_to_end::trusting;

/// An issuer that was stopped, its database put back to before the last answer, which is kept in the file that is named.
async fn rolled_back() -> (Issuer, String) {
    let (mut issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    issuer.granted(&HolderKey::generate(), &login).await;
    issuer.stop();
    for name in ["log.db", "log.anchor"] {
        let backup = fs::read(issuer.data().join(name)).unwrap();
        issuer.keep(name, backup);
    }
    issuer.start().await;
    let answer = issuer.granted(&HolderKey::generate(), &login).await;
    issuer.stop();
    let newer = fs::read(issuer.database()).unwrap();
    issuer.keep("newer.db", newer);
    restore(&issuer, "log.db");
    let kept = issuer.keep("answer.json", answer.to_string());
    (issuer, kept.to_string_lossy().into_owned())
}

fn kept(issuer: &Issuer, name: &str) -> std::path::PathBuf {
    issuer.data().with_file_name(name)
}

fn restore(issuer: &Issuer, name: &str) {
    fs::copy(kept(issuer, name), issuer.data().join(name)).unwrap();
}

fn refused_at_start(issuer: &Issuer, reason: &str) {
    let told = issuer.start_refused();
    assert!(told.code == Some(1) && told.errors.contains(reason), "{told:?}");
}

fn recover(issuer: &Issuer, more: &[&str]) -> program::Ran {
    let config = issuer.data().join("narrows.toml");
    program::run(["audit", "recover", "--config", &config.to_string_lossy()].iter().chain(more))
}

#[tokio::test]
async fn a_restored_backup_does_not_start_and_goes_on_once_its_leaves_are_back() {
    let (mut issuer, answer) = rolled_back().await;
    issuer.audit(&[]).succeeded();
    refused_at_start(&issuer, "AUDIT_ROLLBACK_DETECTED");
    fs::remove_file(issuer.data().join("log.anchor")).unwrap();
    refused_at_start(&issuer, "AUDIT_ANCHOR_MISSING");

    let (mut second, _) = rolled_back().await;
    let newer = kept(&second, "newer.db");
    recover(&second, &["--from-database", &newer.to_string_lossy()]).succeeded();
    second.start().await;
    second.stop();

    // anchor and database put back together: the service can't know, who kept an answer does
    restore(&issuer, "log.anchor");
    issuer.start().await;
    issuer.stop();
    issuer.audit(&["--answer", &answer]).refused("LOG_TAIL_MISSING");
}

#[tokio::test]
async fn a_lost_log_is_followed_by_one_that_says_so() {
    let (mut issuer, _) = rolled_back().await;
    let anew = |name| ["--new-origin", name, "--cause", "the disk was lost"];
    let old = fs::read_to_string(issuer.data().join("narrows.toml")).unwrap().parse::<toml::Table>().unwrap();
    let name = old["log"]["origin"].as_str().unwrap().to_owned();
    recover(&issuer, &anew(&name)).refused("CONFIG_INVALID");
    recover(&issuer, &anew("narrows.example/second")).succeeded();
    recover(&issuer, &anew("narrows.example/third")).refused("LOG_EXISTS");
    issuer.configure("[log]\norigin = \"narrows.example/second\"\n", narrows_tests::issuer::PACK);
    issuer.start().await;
    assert_eq!(issuer.log_size().await, 2);
    let told = issuer.audit(&[]).succeeded();
    assert!(told.contains("narrows.example/second"), "{told}");
}
