//! A log that somebody changed on disk: the audit says so, and the issuer does not go on with it.

use std::fs;

use ed25519_dalek::SigningKey;
use narrows::{EntryId, HolderKey};
use narrows_tests::{
    holder::fresh,
    issuer::{Issuer, evidence},
    program,
};
use narrows_verifier::log::VerifierKey;
use rusqlite::Connection;
use serde_json::json;

use super::trusting;

#[tokio::test]
async fn a_changed_log_is_found_out() {
    let (mut issuer, provider) = trusting("").await;
    let mut answers = Vec::new();
    for number in 0..5 {
        let answer = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
        let file = issuer.keep(&format!("answer-{number}.json"), answer.to_string());
        answers.push((file.to_string_lossy().into_owned(), evidence(&answer)));
    }
    let checkpoint = narrows_tests::http::get(&issuer.at("/log/checkpoint")).await.text();
    let checkpoint = issuer.keep("checkpoint", checkpoint);
    let checkpoint = checkpoint.to_str().unwrap();
    issuer.stop();
    assert!(!issuer.data().join("log.db-wal").exists(), "a clean stop leaves one file, which can be copied");
    let whole = issuer.keep("whole.db", fs::read(issuer.database()).unwrap());
    let restore = || {
        fs::copy(&whole, issuer.database()).unwrap();
    };
    let all: Vec<&str> = answers.iter().flat_map(|(file, _)| ["--answer", file]).collect();
    let told = issuer.audit(&[&all[..], &["--checkpoint", checkpoint]].concat()).succeeded();
    assert!(told.contains("leaves       7,") && told.contains("receipts     5 of 5"), "{told}");

    let newest = "(SELECT max(idx) FROM leaf)";
    for (case, sql, reason, start_sees_it) in [
        ("a leaf's byte", flip(newest), "LOG_LEAF_CHANGED", true),
        ("an older leaf's byte", flip("2"), "LOG_LEAF_CHANGED", true),
        ("a leaf's stored hash", "UPDATE leaf SET hash = zeroblob(32) WHERE idx = 3".into(), "LOG_LEAF_CHANGED", true),
        ("a tree hash too many", "INSERT INTO node VALUES (8, 0, zeroblob(32))".into(), "LOG_HASH_CHANGED", false),
        ("the newest checkpoint's text", resign("7"), "CHECKPOINT_SIGNATURE", true),
        ("an older checkpoint's text", resign("3"), "CHECKPOINT_SIGNATURE", false),
        ("the tail", format!("DELETE FROM leaf WHERE idx = {newest}"), "LOG_TAIL_MISSING", true),
        ("the middle", "DELETE FROM leaf WHERE idx = 2".into(), "LOG_LEAF_MISSING", true),
        ("the order", SWAP.into(), "LOG_", true),
        ("the head", "UPDATE head SET root = zeroblob(32)".into(), "LOG_ROOT_MISMATCH", true),
        (
            "a disclosed name",
            "UPDATE disclosure SET sealed = zeroblob(length(sealed)) WHERE instr(name, 'chain/1') > 0".into(),
            "DISCLOSURE_MISMATCH",
            false,
        ),
    ] {
        restore();
        tamper(&issuer, &sql);
        let told = issuer.audit(&[]);
        assert!(told.code == Some(1) && told.errors.contains(reason), "{case}: no {reason} in {told:?}");
        if start_sees_it {
            let told = issuer.start_refused();
            assert!(told.code == Some(1) && told.errors.contains(reason), "{case}: {told:?}");
        }
    }

    // a cut that is consistent in itself: only what was kept reveals it
    restore();
    tamper(&issuer, CUT);
    issuer.audit(&[]).succeeded();
    issuer.audit(&["--answer", &answers[4].0]).refused("LOG_TAIL_MISSING");
    issuer.audit(&["--checkpoint", checkpoint]).refused("LOG_TAIL_MISSING");
    issuer.audit(&["--answer", &answers[0].0]).succeeded();

    restore();
    let (receipt, _) = &answers[0].1;
    let (_, other_leaf) = &answers[1].1;
    let receipt = issuer.keep("receipt", receipt);
    let leaf = issuer.keep("leaf", other_leaf);
    issuer.audit(&["--receipt", receipt.to_str().unwrap(), "--leaf", leaf.to_str().unwrap()]).refused("LOG_RECEIPT_INVALID");
    let told = issuer.audit(&["--task", &EntryId(fresh()).to_string()]);
    assert_eq!(told.code, Some(1), "no such task");
    let own = fs::read_to_string(issuer.data().join("log.vkey")).unwrap();
    let stranger = SigningKey::from_bytes(&fresh()).verifying_key();
    let swapped = VerifierKey::new(VerifierKey::parse(own.trim()).unwrap().name(), stranger.as_bytes()).unwrap().to_string();
    issuer.audit(&["--vkey", &swapped]).refused("CHECKPOINT_SIGNATURE");
    issuer.audit(&["--vkey", own.trim()]).succeeded();
    issuer.audit(&all).succeeded();
    issuer.start().await;
}

#[tokio::test]
async fn erased_names_leave_a_log_that_still_verifies() {
    let (mut issuer, provider) = trusting("").await;
    let answer = issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let kept = issuer.keep("answer.json", json!({ "narrows": answer["narrows"] }).to_string());
    issuer.stop();
    assert!(issuer.audit(&[]).succeeded().contains("alice"));
    tamper(&issuer, "DELETE FROM disclosure");
    let told = issuer.audit(&["--answer", kept.to_str().unwrap()]).succeeded();
    assert!(told.contains("withheld") && !told.contains("alice"), "{told}");
    issuer.start().await;
}

#[test]
fn a_log_that_is_not_there_is_said_to_be_missing() {
    let issuer = Issuer::init();
    fs::remove_file(issuer.database()).unwrap();
    issuer.audit(&[]).refused("LOG_MISSING");
    issuer.start_refused().refused("LOG_MISSING");
    assert!(!issuer.database().exists(), "a missing log is not made anew in silence");
    program::run(["audit", "verify", "--data", "/nonexistent"]).refused("KEY_FILE_MISSING");
}

/// SQL on the database with the append-only triggers gone, as an attacker with the file would.
fn tamper(issuer: &Issuer, sql: &str) {
    let log = Connection::open(issuer.database()).unwrap();
    log.execute_batch(
        "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;
         DROP TRIGGER leaf_update; DROP TRIGGER leaf_delete; DROP TRIGGER node_update; DROP TRIGGER node_delete;
         DROP TRIGGER checkpoint_update; DROP TRIGGER checkpoint_delete;",
    )
    .unwrap();
    log.execute_batch(sql).unwrap();
    assert!(log.total_changes() > 0, "`{sql}` changed nothing");
}

/// A grant that becomes a denial.
fn flip(index: &str) -> String {
    format!("UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"allow\"', '\"block\"') AS BLOB) WHERE idx = {index}")
}

/// A checkpoint that claims another size under the old signature.
fn resign(size: &str) -> String {
    format!("UPDATE checkpoint SET note = replace(note, char(10) || '{size}' || char(10), char(10) || '9' || char(10)) WHERE size = {size}")
}

const SWAP: &str = "UPDATE leaf SET idx = -1 WHERE idx = 2; UPDATE leaf SET idx = 2 WHERE idx = 4; UPDATE leaf SET idx = 4 WHERE idx = -1;";

/// Everything after the fourth leaf, with all that tells of it.
const CUT: &str = "DELETE FROM leaf WHERE idx >= 4; DELETE FROM checkpoint WHERE size > 4;
    DELETE FROM derivation WHERE idx >= 4; DELETE FROM disclosure WHERE entry NOT IN (SELECT entry FROM leaf);
    UPDATE head SET size = 4, root = (SELECT root FROM checkpoint WHERE size = 4);";
