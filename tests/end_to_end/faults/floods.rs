//! More requests than the log takes: each is answered, and what was granted is there, once and in order.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use narrows::HolderKey;
use narrows_issuer::log::{Evidence, check_database};
use narrows_tests::{
    http::{client, get, try_send},
    issuer::{Issuer, evidence},
};
use narrows_verifier::log::verify;
use rusqlite::Connection;

use crate::end_to_end::trusting;

/// An open loop: nobody waits for anybody else's answer, while the disk comes and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_over_a_slow_disk_is_answered_whole() {
    let (issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let login = provider.login("alice");
    let http = client();
    let disk = Connection::open(issuer.database()).unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for wave in 1..=WAVES {
        // somebody else holds the file, as a disk that is busy does
        disk.execute_batch("BEGIN IMMEDIATE").unwrap();
        for _ in 0..WAVE {
            let request = issuer.request(&HolderKey::generate(), &login).request(&http, &issuer.at("/oauth/token"));
            clients.spawn(async move { try_send(request).await.expect("an answer") });
        }
        let held = Instant::now();
        while connections(&issuer).await < wave * WAVE && held.elapsed() < LONGEST {}
        disk.execute_batch("ROLLBACK").unwrap();
        // the writer gets hold of the file again
        let size = issuer.log_size().await;
        while issuer.log_size().await == size {}
    }
    let (mut answered, mut pushed_back) = (Vec::new(), 0);
    while let Some(ended) = clients.join_next().await {
        let answer = ended.unwrap();
        if answer.status == 200 {
            answered.push(evidence(&answer.json()));
        } else {
            answer.refused_as(503, "temporarily_unavailable", "AUDIT_UNAVAILABLE", "under the flood");
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
            pushed_back += 1;
        }
    }
    get(&issuer.at("/readyz")).await.granted();
    let peak = peak_kib(&issuer);
    println!("{} granted, {pushed_back} pushed back, {peak} KiB at most", answered.len());
    assert_eq!(answered.len() + pushed_back, WAVES * WAVE);
    assert!(peak < 512 * 1024, "{peak} KiB");
    let places: BTreeSet<u64> =
        answered.iter().map(|(receipt, leaf)| verify(receipt, leaf, std::slice::from_ref(&keys.log)).unwrap().index).collect();
    assert_eq!(places.len(), answered.len(), "each answer has a place of its own");
    let report = check_database(&issuer.database(), &keys.log, Evidence { receipts: &answered, checkpoints: &[] }).unwrap();
    assert_eq!((report.size, report.receipts), (answered.len() as u64 + 1, answered.len() as u64));
    assert!(report.checkpoints < report.size / 2, "what waited went into few commits: {}", report.checkpoints);
}

/// Those that are kept, too: a client keeps its connections for the next request.
async fn connections(issuer: &Issuer) -> usize {
    let text = get(&issuer.at("/metrics")).await.text();
    text.lines().find_map(|line| line.strip_prefix("narrows_connections_open ")).unwrap().parse().unwrap()
}

/// The most memory that the service ever had.
fn peak_kib(issuer: &Issuer) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", issuer.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

const WAVES: usize = 4;

/// Below the cap on connections together, so that each request reaches the log.
const WAVE: usize = 250;

/// Shorter than the writer's patience with a file that somebody else holds.
const LONGEST: Duration = Duration::from_secs(1);
