//! What is too old goes, as the log said before, and nothing else does.

mod altered;

use std::collections::HashSet;
use std::time::Duration;

use narrows_verifier::Reason;
use narrows_verifier::log::{Retention, TileKind, verify, verify_checkpoint, verify_consistency};
use tokio::task::JoinSet;

use super::*;
use crate::audit::{Archive, Index, Query};
use crate::config;
use crate::log::retention::stated;
use crate::store::Snapshot;
use crate::store::sqlite_tamper::{attempt, blob, first_schema, number, tamper};

const DAY_MS: u64 = 86_400_000;

const NAMED_OR_PRUNED: &str = "SELECT count(*) FROM term WHERE idx < 512 OR (field >= 32 AND idx < 601)";

/// SQL that turns a leaf's verdict.
const TURNED: &str = "bytes = CAST(replace(CAST(bytes AS TEXT), 'allow', 'block') AS BLOB)";

/// A log whose clock the test turns.
struct Aged {
    place: Place,
    time: Arc<AtomicU64>,
    receipts: Vec<(String, Vec<u8>)>,
    next: u16,
}

impl Aged {
    fn new() -> Self {
        let place = Place::new();
        Log::init(&place.database(), &signer(), opening()).unwrap();
        Self { place, time: Arc::new(AtomicU64::new(NOW_MS)), receipts: Vec::new(), next: 0 }
    }

    fn clock(&self) -> Clock {
        let time = Arc::clone(&self.time);
        Arc::new(move || time.load(Ordering::Relaxed))
    }

    fn pass(&self, days: u64) {
        self.time.fetch_add(days * DAY_MS, Ordering::Relaxed);
    }

    fn turn_back(&self, days: u64) {
        self.time.fetch_sub(days * DAY_MS, Ordering::Relaxed);
    }

    fn open(&self) -> Arc<Log> {
        Arc::new(Log::open(&self.place.database(), signer(), self.clock(), Settings::default()).unwrap())
    }

    /// So many mints at this time, each of a task and a person of its own with all of it disclosed.
    async fn fill(&mut self, log: &Arc<Log>, count: u16) {
        let mut appending = JoinSet::new();
        for number in self.next..self.next + count {
            let log = Arc::clone(log);
            appending.spawn(async move {
                let (leaf, rows) = minted(&log, number);
                appended(&log, leaf, rows).await
            });
        }
        self.next += count;
        self.receipts.extend(appending.join_all().await.into_iter().map(|(_, leaf, receipt)| (receipt, leaf)));
    }

    fn retainer(&self, policy: &RetentionPolicy) -> Retainer {
        Retainer::new(policy.clone(), self.clock(), random, false)
    }

    /// What a service does that starts now and runs on for a moment.
    async fn round(&self, log: &Log, policy: &RetentionPolicy) -> u64 {
        self.retainer(policy).round(log, u64::MAX).await.unwrap()
    }

    /// The announcement, a day, and what was announced.
    async fn retain(&self, log: &Log, policy: &RetentionPolicy) -> u64 {
        self.round(log, policy).await;
        self.pass(1);
        self.round(log, policy).await
    }

    fn state(&self) -> Retention {
        stated(&Snapshot::open(&self.place.database()).unwrap().rows()).unwrap().unwrap().state
    }

    fn leaves(&self, kind: &str) -> usize {
        let snapshot = Snapshot::open(&self.place.database()).unwrap();
        let leaves = snapshot.rows().leaves(0, u16::MAX).unwrap();
        leaves.iter().filter(|stored| Leaf::parse(&stored.bytes).is_ok_and(|leaf| leaf.kind.as_str() == kind)).count()
    }

    fn check(&self) -> Result<Report, Finding> {
        check_database(&self.place.database(), &verifier_key(), Evidence { receipts: &self.receipts, checkpoints: &[] })
    }

    fn archive(&self) -> Archive {
        Archive::new(&self.place.database(), None, verifier_key())
    }
}

fn minted(log: &Log, number: u16) -> (Leaf, Vec<SideRow>) {
    let person = format!("person-{number}");
    let disclosures = [disclosure("chain/0", &person), disclosure("chain/1", "planner")];
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    let task = TaskId::new(bytes);
    let leaf = Leaf { task: Some(task), ..derivation(Kind::Mint, number, &[&person, "planner"]) };
    let mut rows: Vec<_> = disclosures.into_iter().map(SideRow::disclosure).collect();
    rows.push(SideRow::Subject(log.pseudonym("https://login.example", &person).unwrap()));
    rows.push(SideRow::NewTask { task, expires_s: NOW_MS / 1000 + 600, max_hops: 9 });
    (leaf, rows)
}

fn policy(change: impl FnOnce(&mut config::Retention)) -> RetentionPolicy {
    let mut config = config::Retention::default();
    change(&mut config);
    RetentionPolicy::new(&config)
}

/// Pruned after 40 days, names gone after 30.
fn short(delete: bool) -> RetentionPolicy {
    policy(|it| (it.entries_days, it.delete, it.disclosures_days) = (Some(40), delete, 30))
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn nothing_goes_until_a_day_after_the_log_announced_it() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 300).await;
    aged.pass(20);
    aged.fill(&log, 300).await;
    for days in [9, 1] {
        aged.pass(days);
        assert_eq!((aged.round(&log, &short(true)).await, aged.leaves("retention")), (0, 0), "nothing is too old yet");
    }
    aged.pass(1);
    let before = aged.check().unwrap();
    assert_eq!((aged.round(&log, &short(true)).await, aged.leaves("retention")), (0, 1));
    assert_eq!((aged.state().bound("mint"), aged.check().unwrap().disclosures), (0, before.disclosures + 1), "announced, and nothing more");
    aged.time.fetch_add(DAY_MS - 1, Ordering::Relaxed);
    assert_eq!((aged.round(&log, &short(true)).await, aged.leaves("retention")), (0, 1));
    aged.time.fetch_add(1, Ordering::Relaxed);
    aged.round(&log, &short(true)).await;
    let report = aged.check().unwrap();
    // of the first leaf's own kind, and of what operators said, nothing expires
    assert_eq!((aged.state().bound("mint"), aged.state().bound("erasure"), report.expired), (301, 0, 600));
    assert_eq!(aged.leaves("retention"), 2);

    // ten days later the leaves of the first day are pruned, whole bundles alone
    aged.pass(10);
    assert_eq!(aged.retain(&log, &short(true)).await, 256);
    let report = aged.check().unwrap();
    assert_eq!(
        (report.unread, report.pruned().unwrap()),
        (255, format!("leaves below 256 are pruned under policy {}", short(true).digest()))
    );
    assert_eq!(report.expired, 90, "45 leaves of the first day share a bundle with younger ones");
    drop(log);
    aged.open();
}

#[tokio::test]
async fn an_idle_log_does_not_fill_with_leaves_about_itself() {
    let mut aged = Aged::new();
    let log = aged.open();
    let names = policy(|it| it.disclosures_days = 3);
    for _ in 0..30 {
        aged.pass(1);
        aged.round(&log, &names).await;
    }
    assert_eq!(aged.leaves("retention"), 0, "there is nothing that could go");
    aged.fill(&log, 1).await;
    for _ in 0..30 {
        aged.pass(1);
        aged.round(&log, &names).await;
    }
    assert_eq!((aged.leaves("retention"), aged.check().unwrap().expired), (2, 2), "the announcement, and what it announced");
}

#[tokio::test]
async fn a_clock_that_is_ahead_for_less_than_a_day_loses_nothing() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 300).await;
    let whole = aged.check().unwrap().disclosures;
    aged.pass(365);
    aged.round(&log, &short(true)).await;
    aged.turn_back(365);
    aged.pass(1);
    // the announcement of another year is none
    assert_eq!(aged.round(&log, &short(true)).await, 0);
    assert_eq!(aged.leaves("retention"), 1);
    aged.pass(31);
    aged.round(&log, &short(true)).await;
    assert_eq!((aged.leaves("retention"), aged.state().bound("mint")), (2, 0), "announced anew");
    aged.pass(1);
    aged.round(&log, &short(true)).await;
    assert_eq!((aged.state().bound("mint"), aged.state().minimum), (301, 0));
    // two for each, and the two policies' texts of the announcements stay
    assert_eq!(aged.check().unwrap().disclosures, whole - 600 + 3);
}

#[tokio::test]
async fn a_changed_policy_waits_a_day_too() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 300).await;
    aged.pass(45);
    aged.round(&log, &policy(|it| it.disclosures_days = 30)).await;
    aged.pass(1);
    assert_eq!(aged.round(&log, &short(true)).await, 0);
    assert_eq!((aged.state().bound("mint"), aged.state().policy), (0, short(true).digest()), "announced under the new one");
    aged.pass(1);
    assert_eq!(aged.round(&log, &short(true)).await, 256);
    // without a word on entries, nothing more is pruned, and what was stays so
    aged.pass(20);
    assert_eq!(aged.retain(&log, &policy(|it| it.disclosures_days = 30)).await, 256);
}

#[tokio::test]
async fn the_minimum_index_never_passes_what_is_published() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 600).await;
    aged.pass(50);
    aged.round(&log, &short(false)).await;
    aged.pass(1);
    assert_eq!(aged.retainer(&short(false)).round(&log, 511).await.unwrap(), 256);
}

#[tokio::test]
async fn each_kind_goes_at_its_own_age_and_pruning_takes_all_that_is_left() {
    let mut aged = Aged::new();
    let log = aged.open();
    let erasure = Leaf { task: None, blocks: Vec::new(), ..derivation(Kind::Erasure, 9000, &[]) };
    appended(&log, erasure, vec![SideRow::disclosure(disclosure("basis", "planner"))]).await;
    let hop = derivation(Kind::Hop, 9001, &["alice", "planner"]);
    appended(&log, hop, vec![SideRow::disclosure(disclosure("chain/0", "alice"))]).await;
    aged.fill(&log, 253).await;
    let mixed = policy(|it| {
        (it.entries_days, it.disclosures_days) = (Some(60), 30);
        it.disclosures.insert("mint".to_owned(), 10);
    });
    aged.pass(11);
    aged.retain(&log, &mixed).await;
    assert_eq!((aged.state().bound("mint"), aged.state().bound("hop"), aged.check().unwrap().expired), (256, 0, 506));
    aged.pass(20);
    aged.retain(&log, &mixed).await;
    assert_eq!((aged.state().bound("hop"), aged.state().bound("erasure"), aged.check().unwrap().expired), (256, 0, 507));
    aged.pass(30);
    assert_eq!(aged.retain(&log, &mixed).await, 256);
    let report = aged.check().unwrap();
    assert_eq!((report.expired, report.erased), (0, 0));
    assert_eq!(number(&aged.place.database(), "SELECT count(*) FROM disclosure JOIN leaf USING (entry) WHERE idx < 256"), 0);
    assert_eq!(report.unread, 0, "denied, not deleted");
}

#[tokio::test]
async fn pruned_leaves_are_not_handed_out_and_every_proof_stays_good() {
    for delete in [false, true] {
        let mut aged = Aged::new();
        let log = aged.open();
        aged.fill(&log, 250).await;
        let early = log.newest().unwrap();
        aged.fill(&log, 350).await;
        let fresh = log.proof(40).unwrap().unwrap();
        aged.pass(50);
        assert_eq!(aged.retain(&log, &short(delete)).await, 512);

        let keys = [verifier_key()];
        let newest = log.newest().unwrap();
        for (receipt, leaf) in aged.receipts.iter().step_by(9) {
            let index = verify(receipt, leaf, &keys).unwrap().index;
            // the same leaf under the newest checkpoint, pruned or not
            verify(&log.receipt_under(index, &newest).unwrap().unwrap(), leaf, &keys).unwrap();
        }
        let proof = log.consistency(early.size, newest.size).unwrap();
        verify_consistency(early.size, newest.size, &early.root, &newest.root, &proof).unwrap();
        assert_eq!(aged.check().unwrap().receipts, 600);
        assert_eq!(aged.check().unwrap().unread, if delete { 511 } else { 0 });

        let pruned = |result: Result<Option<LoggedEntry>, LogError>| assert_eq!(result.unwrap_err().reason(), Reason::EntryPruned);
        let id = Leaf::parse(&fresh.leaf).unwrap().id;
        pruned(log.proof(40));
        pruned(log.entry(&id));
        assert!(log.proof(0).is_ok() && log.proof(512).is_ok(), "the first leaf says whose log it is");
        let tile = |kind, index, width| log.tile(&TilePath::new(kind, index, width).unwrap());
        for (index, width) in [(0, 256), (1, 256), (0, 251), (1, 3)] {
            let found = tile(TileKind::Entries, index, width);
            assert!(matches!(&found, Ok(None)) || found.is_err_and(|error| error.reason() == Reason::EntryPruned), "{index} {width}");
        }
        assert_eq!(tile(TileKind::Entries, 1, 256).unwrap_err().reason(), Reason::EntryPruned);
        assert!(tile(TileKind::Hashes(0), 0, 256).unwrap().is_some() && tile(TileKind::Entries, 2, 89).unwrap().is_some());

        let archive = aged.archive();
        assert_eq!(archive.head().unwrap().minimum_index(), 512);
        assert_eq!(archive.entry(&id, true).unwrap_err().reason(), Reason::EntryPruned);
        let kept = archive.entry_or_pruned(&id, true);
        assert_eq!(kept.as_ref().map_or_else(|error| error.reason() == Reason::EntryPruned, |_| false), delete);
        if let Ok(Some(bundle)) = kept {
            assert_eq!(bundle.verify(&keys).unwrap().entries[0].index, 40);
        }
        let whole = archive.search(&Query { limit: 256, ..Query::default() }).unwrap().verify(&keys).unwrap();
        assert!(whole.gapless && whole.entries[0].index == 512 && whole.retention.unwrap().state.minimum == 512);
        let under = Query { size: Some(early.size), ..Query::default() };
        assert_eq!(archive.search(&under).unwrap_err().reason(), Reason::EntryPruned, "that tree can't say what became of its leaves");
        assert_eq!(archive.proof(40, Some(early.size)).unwrap().unwrap().index, 40);
    }
}

#[tokio::test]
async fn a_log_read_from_its_minimum_index_on_is_checked_whole() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 600).await;
    aged.pass(50);
    let minimum = aged.retain(&log, &short(true)).await;
    let note = log.checkpoint().unwrap();
    let size = verify_checkpoint(&note, &[verifier_key()]).unwrap().size;
    let key = verifier_key();
    let check = |left_out: u64| {
        let mut pieces = Pieces::new(&note, &key, Evidence { receipts: &aged.receipts, checkpoints: &[] }).unwrap();
        for index in 0..size {
            let stored = Snapshot::open(&aged.place.database()).unwrap().rows().leaf(index).unwrap().unwrap();
            let made = if index < left_out { pieces.append_pruned(stored.hash) } else { pieces.append(&stored.bytes) };
            made.unwrap();
        }
        pieces.finish().map(|(report, _)| (report.receipts, report.unread, report.retention.unwrap().state.minimum))
    };
    assert_eq!(check(minimum).unwrap(), (600, 512, 512));
    let finding = check(minimum + 1).unwrap_err();
    assert_eq!((finding.reason, finding.index), (Reason::LogLeafMissing, Some(512)));
}

#[tokio::test]
async fn what_went_is_in_no_file() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 600).await;
    let index = Index::open(&aged.place.database().with_file_name("index.db")).unwrap();
    index.catch_up(&aged.place.database()).unwrap();
    let sealed: Vec<Vec<u8>> = ["0001", "0100", "0240"]
        .iter()
        .map(|entry| blob(&aged.place.database(), &format!("SELECT sealed FROM disclosure WHERE hex(entry) LIKE '01{entry}%' LIMIT 1")))
        .collect();
    let texts: Vec<String> = (0..600).map(|number| entry(number).to_string()).collect();
    let found = || {
        let bytes = aged.place.bytes();
        let ids: HashSet<&[u8]> = bytes.windows(32).filter(|window| window.starts_with(b"01") && window.ends_with(b"000000")).collect();
        let leaves = texts.iter().filter(|text| ids.contains(text.as_bytes())).count();
        (sealed.iter().filter(|part| holds(&bytes, part)).count(), leaves)
    };
    assert_eq!(found(), (3, 600), "the control");
    aged.pass(50);
    // a reader in the middle of something holds the journal, and nobody waits for it
    let reader = Snapshot::open(&aged.place.database()).unwrap();
    aged.retain(&log, &short(true)).await;
    assert!(found().0 > 0, "the journal is still there");
    drop(reader);
    for _ in 0..200 {
        if found() == (0, 89) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found(), (0, 89));
    index.catch_up(&aged.place.database()).unwrap();
    assert_eq!(index.compare(&aged.place.database()).unwrap(), 604);
    assert_eq!(number(&aged.place.database().with_file_name("index.db"), NAMED_OR_PRUNED), 0);
    assert_eq!(number(&aged.place.database(), "SELECT count(*) FROM task"), 89, "nor are tasks of deleted leaves");
    assert_eq!(number(&aged.place.database(), "SELECT count(*) FROM task WHERE subject <> zeroblob(16)"), 0);
}

#[tokio::test]
async fn an_index_that_ends_holds_nothing_that_went_also_where_it_is_behind() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 600).await;
    let (database, file) = (aged.place.database(), aged.place.database().with_file_name("index.db"));
    let index = Index::open(&file).unwrap();
    index.catch_up(&database).unwrap();
    aged.pass(50);
    aged.retain(&log, &short(true)).await;
    assert!(number(&file, NAMED_OR_PRUNED) > 0, "the control");
    index.let_go(&database).unwrap();
    assert_eq!(number(&file, NAMED_OR_PRUNED), 0);
    assert_eq!(index.compare(&database).unwrap(), 601, "it reaches as far as before");
    assert_eq!(index.catch_up(&database).unwrap(), 604);
}

/// As a crash leaves it between the commit and the emptying of the journal.
#[tokio::test]
async fn a_journal_that_was_not_emptied_is_at_the_next_start() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 300).await;
    let sealed = blob(&aged.place.database(), "SELECT sealed FROM disclosure LIMIT 1");
    aged.pass(50);
    aged.round(&log, &short(true)).await;
    aged.pass(1);
    let reader = Snapshot::open(&aged.place.database()).unwrap();
    aged.round(&log, &short(true)).await;
    let crashed = Place::new();
    for file in std::fs::read_dir(&aged.place.directory).unwrap().map(|file| file.unwrap().path()) {
        if !file.to_string_lossy().ends_with("-shm") {
            std::fs::copy(&file, crashed.directory.join(file.file_name().unwrap())).unwrap();
        }
    }
    drop(reader);
    assert!(holds(&crashed.bytes(), &sealed), "the control");
    let again = Log::open(&crashed.database(), signer(), aged.clock(), Settings::default()).unwrap();
    assert_eq!(again.minimum_index().unwrap(), 256);
    for _ in 0..200 {
        if !holds(&crashed.bytes(), &sealed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!holds(&crashed.bytes(), &sealed));
    drop(again);
    crashed.check().unwrap();
}

#[tokio::test]
async fn what_would_come_back_or_go_unsigned_is_refused_and_written_nowhere() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 700).await;
    aged.pass(50);
    assert_eq!(aged.retain(&log, &short(false)).await, 512);
    let size = log.newest().unwrap().size;
    let state = aged.state();
    let stating =
        |state: Retention| Leaf { retention: Some(state), ..Leaf::draft(Kind::Retention, EntryId::new(random()), TraceId::new([9; 16])) };
    for (what, state) in [
        ("the minimum index goes back", Retention { minimum: 256, ..state.clone() }),
        ("a bound goes back", Retention { expired: [("*".to_owned(), 1)].into(), ..state.clone() }),
        ("leaves go that are not there yet", Retention { minimum: 1024, ..state.clone() }),
    ] {
        assert_eq!(log.append(stating(state), Vec::new()).await.unwrap(), Outcome::Refused(Reason::LogRetentionChanged), "{what}");
    }
    let unstated = Leaf { retention: None, ..stating(state.clone()) };
    assert_eq!(log.append(unstated, Vec::new()).await.unwrap(), Outcome::Refused(Reason::LeafMalformed));
    // the bytes of a leaf that is not what was signed are evidence, and stay
    drop(log);
    tamper(&aged.place.database(), &format!("UPDATE leaf SET {TURNED} WHERE idx = 40;"));
    let log = aged.open();
    let all = Retention { deleted: 256, ..state };
    assert_eq!(log.append(stating(all), Vec::new()).await.unwrap(), Outcome::Refused(Reason::LogLeafChanged));
    aged.pass(2);
    aged.round(&log, &short(true)).await;
    aged.pass(1);
    let error = aged.retainer(&short(true)).round(&log, u64::MAX).await.unwrap_err();
    assert_eq!(error.reason(), Reason::LogLeafChanged);
    assert_eq!(log.newest().unwrap().size, size + 1, "the announcement alone");
    assert_eq!(number(&aged.place.database(), "SELECT count(*) FROM leaf WHERE length(bytes) = 0"), 0);
    assert!(log.halted().is_none());
}

#[tokio::test]
async fn a_report_of_a_pruned_block_is_refused() {
    let mut aged = Aged::new();
    let log = aged.open();
    let rows = || vec![SideRow::Derivation { block_id: block(1) }];
    let hop = |number| Leaf { blocks: vec![block(1)], ..derivation(Kind::Hop, number, &["alice", "planner"]) };
    appended(&log, hop(9000), rows()).await;
    aged.fill(&log, 300).await;
    aged.pass(50);
    for (delete, answer) in [(false, Reason::EntryPruned), (true, Reason::EntryExists)] {
        aged.retain(&log, &short(delete)).await;
        aged.pass(2);
        assert_eq!(log.append(hop(9000), rows()).await.unwrap(), Outcome::Refused(answer), "{delete}");
    }
    assert_eq!(number(&aged.place.database(), "SELECT count(*) FROM derivation"), 0);
    aged.check().unwrap();
}
