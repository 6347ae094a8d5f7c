//! Whatever goes in the course of a log's life, all that it ever signed still holds, and whatever is taken beyond that is found.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use narrows_issuer::{
    app::timed_id,
    config,
    log::{Evidence, Finding, Log, LogSigner, Opening, Outcome, Report, RetentionPolicy, Settings, SideRow, check_database, retain},
};
use narrows_tests::scratch::Scratch;
use narrows_verifier::{
    BlockId, EntryId, Reason, TaskId, TraceId,
    json::Value,
    log::{Disclosure, Kind, Leaf, PackDigest, Salt, VerifierKey, commit, verify, verify_checkpoint, verify_consistency},
};
use proptest::prelude::*;
use rusqlite::Connection;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use super::cases;

proptest! {
    #![proptest_config(cases(5))]

    #[test]
    fn what_goes_takes_no_proof_along_and_nothing_else_goes_unseen(
        life in prop::collection::vec((1u16..300, 1u64..40, any::<bool>()), 2..6),
        entries_days in prop::option::of(30u32..60),
        delete in any::<bool>(),
        disclosures_days in 1u32..60,
        victim in any::<prop::sample::Index>(),
    ) {
        let mut config = config::Retention::default();
        (config.entries_days, config.delete, config.disclosures_days) = (entries_days, delete && entries_days.is_some(), disclosures_days);
        let policy = RetentionPolicy::new(&config);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut history = History::new();
        let (mut minimum, mut expired) = (0, 0);
        for (count, days, goes) in life {
            runtime.block_on(history.append(count));
            history.now.fetch_add(days * DAY_MS, Ordering::Relaxed);
            if goes {
                let now = history.now.load(Ordering::Relaxed);
                let old = |days: u32| history.times.iter().take_while(|time| **time < now - u64::from(days) * DAY_MS).count() as u64;
                minimum = entries_days.map_or(0, |days| old(days) / 256 * 256).max(minimum);
                expired = old(disclosures_days).max(expired);
                let done = runtime.block_on(history.retain(&policy));
                prop_assert_eq!((done.minimum, done.deleted), (minimum, if config.delete { minimum } else { 0 }));
                // The leaves that said so are leaves too.
                history.extend_times(now);
            }
        }
        let report = history.check().unwrap();
        prop_assert_eq!(report.retention.as_ref().map_or(0, |logged| logged.state.minimum), minimum);
        prop_assert_eq!(report.unread, if config.delete { minimum.saturating_sub(1) } else { 0 });
        let named = |from: u64| history.mints.iter().filter(|index| **index >= from).count() as u64;
        prop_assert_eq!(report.disclosures - history.statements(minimum), named(expired.max(minimum)));
        prop_assert_eq!(report.expired, named(minimum) - named(expired.max(minimum)));
        history.every_proof_holds();

        let at = |from: u64, to: u64| from + victim.index((to - from) as usize) as u64;
        let kept = at(minimum.max(1), history.size);
        let turned = format!("UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), '\"v\":1', '\"v\":2') AS BLOB) WHERE idx = {kept}");
        for (sql, reason) in [(turned, Reason::LogLeafChanged), (format!("DELETE FROM leaf WHERE idx = {kept}"), Reason::LogLeafMissing)] {
            let found = history.tampered(&sql).unwrap_err();
            // Behind the last leaf, nothing shows that one is missing but the head.
            let tail = kept + 1 == history.size && found.reason == Reason::LogTailMissing;
            prop_assert!(tail || (found.reason == reason && found.index == Some(kept)), "{}: {}", sql, found);
        }
        if minimum > 0 {
            let pruned = at(1, minimum);
            history.tampered(&format!("UPDATE leaf SET hash = zeroblob(32) WHERE idx = {pruned}")).unwrap_err();
            history.tampered(&format!("DELETE FROM leaf WHERE idx = {pruned}")).unwrap_err();
            history.tampered("UPDATE retention SET minimum = 0, deleted = 0").unwrap_err();
        }
    }
}

/// A log of mints, each with one name disclosed, as its clients know it.
struct History {
    scratch: Scratch,
    now: Arc<AtomicU64>,
    /// The time of each leaf.
    times: Vec<u64>,
    /// The indices of mints.
    mints: Vec<u64>,
    size: u64,
    receipts: Vec<(String, Vec<u8>)>,
    checkpoints: Vec<String>,
}

/// What a step left.
struct Done {
    minimum: u64,
    deleted: u64,
}

impl History {
    fn new() -> Self {
        let scratch = Scratch::new();
        let opening = Opening { id: EntryId([0xee; 16]), trace: TRACE, t_ms: START_MS, dev: false };
        Log::init(&scratch.join("log.db"), &signer(), opening).unwrap();
        let now = Arc::new(AtomicU64::new(START_MS));
        Self { scratch, now, times: vec![START_MS], mints: Vec::new(), size: 1, receipts: Vec::new(), checkpoints: Vec::new() }
    }

    fn clock(&self) -> Arc<dyn Fn() -> u64 + Send + Sync> {
        let now = Arc::clone(&self.now);
        Arc::new(move || now.load(Ordering::Relaxed))
    }

    fn open(&self) -> Arc<Log> {
        Arc::new(Log::open(&self.scratch.join("log.db"), signer(), self.clock(), Settings::default()).unwrap())
    }

    async fn append(&mut self, count: u16) {
        let (log, mut appending) = (self.open(), JoinSet::new());
        for number in 0..u64::from(count) {
            let (log, number) = (Arc::clone(&log), self.size + number);
            appending.spawn(async move {
                let (leaf, rows) = mint(number);
                match log.append(leaf, rows).await.unwrap() {
                    Outcome::Appended { index, leaf, receipt } => (index, leaf, receipt),
                    other => panic!("not appended: {other:?}"),
                }
            });
        }
        for (index, leaf, receipt) in appending.join_all().await {
            self.mints.push(index);
            self.receipts.push((receipt, leaf));
        }
        self.checkpoints.push(log.checkpoint().unwrap());
        drop(log);
        self.extend_times(self.now.load(Ordering::Relaxed));
    }

    /// Takes in the leaves that were appended at this time.
    fn extend_times(&mut self, now_ms: u64) {
        let note = self.open().checkpoint().unwrap();
        self.size = verify_checkpoint(&note, &[key()]).unwrap().size;
        self.times.resize(self.size as usize, now_ms);
    }

    async fn retain(&self, policy: &RetentionPolicy) -> Done {
        let path = self.scratch.join("log.db");
        let done = retain(&path, signer(), self.clock(), Settings::default(), (policy, random)).await.unwrap();
        Done { minimum: done.after.minimum, deleted: done.after.deleted }
    }

    fn check(&self) -> Result<Report, Finding> {
        check_database(&self.scratch.join("log.db"), &key(), Evidence { receipts: &self.receipts, checkpoints: &self.checkpoints })
    }

    /// The full check of a copy in which somebody ran this.
    fn tampered(&self, sql: &str) -> Result<Report, Finding> {
        let copy = Scratch::new();
        for name in ["log.db", "subjects.db"] {
            std::fs::copy(self.scratch.join(name), copy.join(name)).unwrap();
        }
        let connection = Connection::open(copy.join("log.db")).unwrap();
        let guards = "PRAGMA foreign_keys = OFF; DROP TRIGGER leaf_update; DROP TRIGGER leaf_delete; DROP TRIGGER retention_back;";
        connection.execute_batch(&format!("{guards} {sql}")).unwrap();
        drop(connection);
        check_database(&copy.join("log.db"), &key(), Evidence::default())
    }

    /// How many texts of policies are disclosed: one for each leaf about what is kept.
    fn statements(&self, minimum: u64) -> u64 {
        let others = (minimum..self.size).filter(|index| *index > 0 && !self.mints.contains(index));
        others.count() as u64
    }

    fn every_proof_holds(&self) {
        let log = self.open();
        let newest = log.newest().unwrap();
        for (receipt, leaf) in &self.receipts {
            let index = verify(receipt, leaf, &[key()]).unwrap().index;
            verify(&log.receipt_under(index, &newest).unwrap().unwrap(), leaf, &[key()]).unwrap();
        }
        for note in &self.checkpoints {
            let old = verify_checkpoint(note, &[key()]).unwrap();
            let proof = log.consistency(old.size, newest.size).unwrap();
            verify_consistency(old.size, newest.size, &old.root, &newest.root, &proof).unwrap();
        }
    }
}

fn mint(number: u64) -> (Leaf, Vec<SideRow>) {
    let name = Disclosure { name: "chain/0".to_owned(), salt: Salt::new([7; 16]), value: Value::Text(format!("person-{number}")) };
    let [.., high, low] = number.to_be_bytes();
    let field = |name: &str| (name.to_owned(), commit(&Salt::new([8; 16]), name, &Value::Null));
    let leaf = Leaf {
        task: Some(TaskId([high, low, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3])),
        chain: vec![commit(&name.salt, &name.name, &name.value)],
        fields: ["audience", "client", "tools"].map(field).into(),
        blocks: vec![BlockId([9; 32])],
        pack: Some(PackDigest([5; 32])),
        ..Leaf::draft(Kind::Mint, EntryId([high, low, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]), TRACE)
    };
    (leaf, vec![SideRow::disclosure(name)])
}

fn signer() -> LogSigner {
    LogSigner::new("log.example/laws", &Zeroizing::new([5; 32])).unwrap()
}

fn key() -> VerifierKey {
    signer().verifier_key().clone()
}

fn random() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut low = [0; 10];
    low[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    timed_id(u64::MAX, low)
}

const TRACE: TraceId = TraceId([4; 16]);
const START_MS: u64 = 1_763_700_000_000;
const DAY_MS: u64 = 86_400_000;
