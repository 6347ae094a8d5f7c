//! More requests than the log takes: each is answered, and what was granted is there, once and in order.

use std::{
    collections::BTreeSet,
    fs,
    sync::mpsc::{Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use narrows::HolderKey;
use narrows_issuer::log::{Evidence, check_database};
use narrows_tests::{
    forged::ForgedProvider,
    http::{Answer, client, get, send, try_send},
    issuer::{Issuer, evidence},
    program,
};
use narrows_verifier::log::verify;
use reqwest::header::CONTENT_TYPE;
use rusqlite::Connection;
use serde_json::json;
use tokio::task::JoinSet;

use crate::end_to_end::{
    auditing::{ADA, audited},
    trusting,
};

/// An open loop: nobody waits for anybody else's answer, while the disk comes and goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_over_a_slow_disk_is_answered_whole() {
    let (issuer, provider) = trusting("").await;
    let (_, keys) = issuer.sdk().await;
    let login = provider.login("alice");
    let http = client();
    let mut clients = JoinSet::new();
    for wave in 1..=WAVES {
        let disk = SlowDisk::hold(&issuer);
        let size = issuer.log_size().await;
        for _ in 0..WAVE {
            let request = issuer.request(&HolderKey::generate(), &login).request(&http, &issuer.at("/oauth/token"));
            clients.spawn(async move { try_send(request).await.expect("an answer") });
        }
        while connections(&issuer).await < wave * WAVE && disk.is_held() {}
        disk.let_go();
        // the writer gets hold of the file again
        while issuer.log_size().await == size {
            get(&issuer.at("/readyz")).await.granted();
        }
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
    assert_eq!((report.size, report.receipts), (answered.len() as u64 + 2, answered.len() as u64));
    assert!(report.checkpoints < report.size / 2, "what waited went into few commits: {}", report.checkpoints);
}

/// Four times as many as may wait arrive while the disk stands still: as many again as the writer has taken and the queue holds
/// are sent away at once. What takes authority away waits in a lane of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_that_fills_the_queue_is_pushed_back_and_erasures_still_get_in() {
    let (issuer, provider) = audited(&format!("[log]\nqueue = {QUEUE}\n")).await;
    let (_, keys) = issuer.sdk().await;
    let login = provider.login("alice");
    let people = people(&issuer, &provider).await;
    let size = issuer.log_size().await;
    let http = client();
    let (mut answers, mut full) = (Vec::new(), 0);
    for person in people {
        let request = || issuer.request(&HolderKey::generate(), &login).request(&http, &issuer.at("/oauth/token"));
        let disk = SlowDisk::hold(&issuer);
        let mut clients: JoinSet<Answer> = (0..4 * QUEUE).map(|_| send(request())).collect();
        // while the disk stands still, nobody is answered but those who are sent away
        let first = tokio::time::timeout(LONGEST, clients.join_next()).await.ok().map(|answer| answer.unwrap().unwrap());
        let body = json!({ "subject": person, "basis": "asked for" }).to_string();
        let erasure = http.post(issuer.at("/v1/audit/erasures")).bearer_auth(ADA).header(CONTENT_TYPE, "application/json").body(body);
        let erasure = tokio::spawn(send(erasure));
        if first.as_ref().is_some_and(|answer| answer.status == 503) {
            full += 1;
            // the queue is as full when the erasure arrives
            for _ in 0..3 {
                answers.push(send(request()).await);
            }
        }
        answers.extend(first);
        disk.let_go();
        answers.extend(tokio::time::timeout(Duration::from_secs(60), clients.join_all()).await.expect("everybody is answered"));
        let erased = erasure.await.unwrap();
        assert_eq!(erased.status, 200, "{}", erased.text());
        answers.push(erased);
    }
    assert!(full > 0, "the queue was never full");
    get(&issuer.at("/readyz")).await.granted();
    let (granted, sent_away): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    sent_away.iter().for_each(|answer| sent_away_for_now(answer));
    let answered: Vec<_> = granted.iter().map(|answer| evidence(&answer.json())).collect();
    let peak = peak_kib(&issuer);
    println!("{} granted, {} sent away in {full} waves, {peak} KiB at most", granted.len(), sent_away.len());
    assert!(peak < 512 * 1024, "{peak} KiB");
    let report = check_database(&issuer.database(), &keys.log, Evidence { receipts: &answered, checkpoints: &[] }).unwrap();
    assert_eq!(report.size, size + answered.len() as u64, "who was sent away left nothing");
}

/// Somebody else holds the file, as a disk that is busy does: no longer than the writer waits for it, however slow the test is.
struct SlowDisk {
    let_go: Sender<()>,
    held: JoinHandle<()>,
}

impl SlowDisk {
    fn hold(issuer: &Issuer) -> Self {
        let database = issuer.database();
        let (let_go, wait) = channel::<()>();
        let (holds, held) = channel();
        let thread = std::thread::spawn(move || {
            let disk = Connection::open(database).unwrap();
            disk.execute_batch("BEGIN IMMEDIATE").unwrap();
            holds.send(()).unwrap();
            let _ = wait.recv_timeout(LONGEST);
            disk.execute_batch("ROLLBACK").unwrap();
        });
        held.recv().expect("the file is held");
        Self { let_go, held: thread }
    }

    fn is_held(&self) -> bool {
        !self.held.is_finished()
    }

    fn let_go(self) {
        // it may have let go by itself
        let _ = self.let_go.send(());
        self.held.join().unwrap();
    }
}

/// The token endpoint's answer to whom the queue has no room for.
fn sent_away_for_now(answer: &Answer) {
    answer.refused_as(503, "temporarily_unavailable", "AUDIT_UNAVAILABLE", "the queue is full");
    assert_eq!(answer.header("retry-after"), "1");
}

/// Some people about whom something is disclosed: refusals name whom they refuse.
async fn people(issuer: &Issuer, provider: &ForgedProvider) -> Vec<String> {
    let mut people = Vec::new();
    for name in ["bob", "carol", "dave", "erin", "frank", "grace"] {
        let refused = issuer.token(&issuer.request(&HolderKey::generate(), &provider.login(name))).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        let data = issuer.data();
        let asked = ["audit", "pseudonym", "--data", &data.to_string_lossy(), "--issuer", provider.issuer(), "--subject", name];
        people.push(program::run(asked).succeeded().trim().to_owned());
    }
    people
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

/// Far below the connections that the service takes.
const QUEUE: usize = 8;
