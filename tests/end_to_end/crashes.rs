//! What must hold when the process dies and when the disk does not take a commit.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Instant,
};

use narrows::HolderKey;
use narrows_issuer::log::{Evidence, check_database};
use narrows_tests::{
    http::{client, get, try_send},
    issuer::{Issuer, evidence},
};
use narrows_verifier::log::VerifierKey;
use rand_core::{OsRng, RngCore};
use rusqlite::Connection;
use tokio::sync::Notify;

use super::trusting;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_nine_under_load_loses_nothing_that_was_answered() {
    let (mut issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let (mut ledger, begun) = (Ledger::default(), Instant::now());
    let rounds: u32 = std::env::var("NARROWS_KILL_ROUNDS").map_or(10, |rounds| rounds.parse().expect("a number of rounds"));
    for round in 1..=rounds {
        // a thousand rounds take longer than a login is good for
        let login = provider.login("alice");
        // at any time: before the first answer, within a commit, between commit and answer
        let enough = OsRng.next_u32() as usize % 60;
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut clients = tokio::task::JoinSet::new();
        let arrived = Arc::new(Notify::new());
        for _ in 0..CLIENTS {
            let (http, address, answers, arrived) = (client(), issuer.at("/oauth/token"), Arc::clone(&answers), Arc::clone(&arrived));
            let (key, login, request) = (HolderKey::generate(), login.clone(), issuer.requests());
            clients.spawn(async move {
                // until the service is gone
                while let Ok(answer) = try_send(request.of(&key, &login).request(&http, &address)).await {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    answers.lock().unwrap().push(evidence(&answer.json()));
                    arrived.notify_one();
                }
            });
        }
        while answers.lock().unwrap().len() < enough {
            tokio::select! {
                () = arrived.notified() => {}
                ended = clients.join_next() => panic!("a client ended before the kill: {ended:?}"),
            }
        }
        issuer.kill();
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        ledger.answered.append(&mut answers.lock().unwrap());
        issuer.start().await;
        // the whole check takes as long as the log
        if round % 50 == 0 || round == rounds {
            let leaves = ledger.compare(&issuer, &keys.log).await;
            let (answers, seconds) = (ledger.answered.len(), begun.elapsed().as_secs());
            println!("{round} kills, {answers} answers received, {leaves} leaves, 0 answered leaves missing, {seconds} s");
        }
    }
    issuer.granted(&HolderKey::generate(), &provider.login("alice")).await;
    let report = check_database(&issuer.database(), &keys.log, Evidence { receipts: &ledger.answered, checkpoints: &[] }).unwrap();
    assert_eq!(report.receipts, ledger.answered.len() as u64);
}

/// What the clients were answered.
#[derive(Default)]
struct Ledger {
    answered: Vec<(String, Vec<u8>)>,
    /// So many of them were found in the log that this checkpoint signs: whatever continues that log has them as well.
    found: usize,
    checkpoint: Option<String>,
}

impl Ledger {
    /// Finds every answer in the log, which is checked as a whole, and gives the number of its leaves.
    async fn compare(&mut self, issuer: &Issuer, key: &VerifierKey) -> u64 {
        let since = &self.answered[self.found..];
        let kept: Vec<String> = self.checkpoint.take().into_iter().collect();
        let newest = get(&issuer.at("/log/checkpoint")).await.text();
        let report = check_database(&issuer.database(), key, Evidence { receipts: since, checkpoints: &kept }).unwrap();
        assert_eq!(report.receipts, since.len() as u64);
        let stored = Connection::open(issuer.database()).unwrap();
        let mut leaves = stored.prepare("SELECT bytes FROM leaf").unwrap();
        let leaves: HashSet<Vec<u8>> = leaves.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let missing = self.answered.iter().filter(|(_, leaf)| !leaves.contains(leaf)).count();
        assert_eq!((leaves.len() as u64, missing), (report.size, 0));
        (self.found, self.checkpoint) = (self.answered.len(), Some(newest));
        report.size
    }
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
        assert!(text.lines().any(|line| line == "narrows_log_leaves 3"), "{text}");
        issuer.stop();
        issuer.start().await;
    }
}
