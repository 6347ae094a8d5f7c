//! What must hold when the process dies and when the disk does not take a commit.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use narrows::HolderKey;
use narrows_issuer::log::{Evidence, check_database};
use narrows_tests::{
    http::{client, get, try_send},
    issuer::evidence,
};
use rand_core::{OsRng, RngCore};
use rusqlite::Connection;

use super::trusting;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_under_load_loses_nothing_that_was_answered() {
    let (mut issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let login = provider.login("alice");
    let mut answered: Vec<(String, Vec<u8>)> = Vec::new();
    let rounds: u32 = std::env::var("NARROWS_KILL_ROUNDS").map_or(10, |rounds| rounds.parse().expect("a number of rounds"));
    for round in 1..=rounds {
        // at any time: before the first answer, within a commit, between commit and answer
        let enough = OsRng.next_u32() as usize % 60;
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..CLIENTS {
            let (http, address, answers) = (client(), issuer.at("/oauth/token"), Arc::clone(&answers));
            let (key, login, request) = (HolderKey::generate(), login.clone(), issuer.requests());
            clients.spawn(async move {
                // until the service is gone
                while let Ok(answer) = try_send(request.of(&key, &login).request(&http, &address)).await {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answers.lock().unwrap().push(evidence(&answer.json()));
                }
            });
        }
        while answers.lock().unwrap().len() < enough {
            assert!(clients.try_join_next().is_none(), "a client ended before the kill");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        issuer.kill();
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        answered.append(&mut answers.lock().unwrap());
        issuer.start().await;
        // the whole check takes as long as the log
        if round % rounds.div_ceil(10) != 0 && round != rounds {
            continue;
        }
        let report = check_database(&issuer.database(), &keys.log, Evidence { receipts: &answered, checkpoints: &[] }).unwrap();
        assert_eq!(report.receipts, answered.len() as u64);
        let stored = Connection::open(issuer.database()).unwrap();
        for (_, leaf) in &answered {
            let found: bool = stored.query_row("SELECT count(*) FROM leaf WHERE bytes = ?1", [leaf], |row| row.get(0)).unwrap();
            assert!(found, "an answered entry is missing");
        }
    }
    issuer.granted(&HolderKey::generate(), &login).await;
    println!("{rounds} kills, {} answers received, {} leaves: each answer's leaf is in the log", answered.len(), issuer.log_size().await);
}

#[tokio::test]
async fn a_failed_commit_issues_nothing() {
    let (mut issuer, provider) = trusting("").await;
    let login = provider.login("alice");
    let kept = evidence(&issuer.granted(&HolderKey::generate(), &login).await);
    let size = issuer.log_size().await;
    Connection::open(issuer.database()).unwrap().execute_batch(TRAP).unwrap();

    for attempt in ["the failing commit", "the stopped log"] {
        let answer = issuer.token(&issuer.request(&HolderKey::generate(), &login)).await;
        answer.refused_as(503, "temporarily_unavailable", "AUDIT_UNAVAILABLE", attempt);
        assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0, "{attempt}");
    }
    get(&issuer.at("/readyz")).await.refused(503, "AUDIT_UNAVAILABLE", "not ready");
    assert_eq!(get(&issuer.at("/livez")).await.status, 200);
    assert_eq!(issuer.log_size().await, size, "the checkpoint did not move");

    // the disk is well again, and still nothing is issued before a restart has looked at the log
    Connection::open(issuer.database()).unwrap().execute_batch("DROP TRIGGER trap; DROP TABLE trap;").unwrap();
    let answer = issuer.token(&issuer.request(&HolderKey::generate(), &login)).await;
    answer.refused_as(503, "temporarily_unavailable", "AUDIT_UNAVAILABLE", "after the repair");
    issuer.stop();
    issuer.start().await;
    let (_, keys) = issuer.sdk().await;
    let after = evidence(&issuer.granted(&HolderKey::generate(), &login).await);
    let report = check_database(&issuer.database(), &keys.log, Evidence { receipts: &[kept, after], checkpoints: &[] }).unwrap();
    assert_eq!((report.size, report.receipts), (size + 1, 2));
}

const CLIENTS: usize = 16;

/// Makes COMMIT itself fail: a constraint that is looked at only then, broken by each new leaf.
const TRAP: &str = "CREATE TABLE trap (leaf INTEGER REFERENCES leaf (idx) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER trap AFTER INSERT ON leaf BEGIN INSERT INTO trap VALUES (-1); END;";

#[tokio::test]
async fn the_leaf_gauge_does_not_fall_over_a_restart() {
    let (mut issuer, provider) = trusting("").await;
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    for _ in 0..2 {
        let text = get(&issuer.at("/metrics")).await.text();
        assert!(text.lines().any(|line| line == "narrows_log_leaves 2"), "{text}");
        issuer.stop();
        issuer.start().await;
    }
}
