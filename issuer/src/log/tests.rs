//! The log against real files: what it promises, and what it notices.

mod anchoring;
mod appending;
mod erasing;
mod failing;
mod guarding;
mod keys;
mod pausing;
mod recovering;
mod registering;
mod retaining;
mod revoking;
mod serving;
mod tampering;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use narrows_verifier::json::Value;
use narrows_verifier::log::{BlockId, Disclosure, EntryId, Kind, PackDigest, Salt, TaskId, TraceId, VerifierKey, commit};
use zeroize::Zeroizing;

use super::*;

/// A directory of its own for one test, removed with it.
pub(super) struct Place {
    directory: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("narrows-log-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        Self { directory }
    }

    pub(super) fn database(&self) -> PathBuf {
        self.directory.join("log.db")
    }

    /// A fresh log of this origin, opened.
    pub(super) fn log(&self) -> Log {
        Log::init(&self.database(), &signer(), opening()).unwrap();
        self.open()
    }

    pub(super) fn open(&self) -> Log {
        self.try_open().unwrap()
    }

    pub(super) fn try_open(&self) -> Result<Log, LogError> {
        Log::open(&self.database(), signer(), clock(NOW_MS), patient())
    }

    pub(super) fn check(&self) -> Result<Report, Finding> {
        check_database(&self.database(), &verifier_key(), Evidence::default())
    }

    /// Every byte of the database and its journals.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let files = std::fs::read_dir(&self.directory).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

pub(super) fn signer() -> LogSigner {
    LogSigner::new(ORIGIN, &Zeroizing::new([5; 32])).unwrap()
}

pub(super) fn verifier_key() -> VerifierKey {
    signer().verifier_key().clone()
}

pub(super) fn opening() -> Opening {
    Opening { id: EntryId::new([0xee; 16]), trace: TraceId::new([0xdd; 16]), t_ms: NOW_MS - 5, dev: false }
}

/// As a service has it but for the patience: how long a commit takes on a busy machine shows nothing.
pub(super) fn patient() -> Settings {
    Settings { answer_wait: Duration::from_secs(3600), ..Settings::default() }
}

pub(super) fn clock(now_ms: u64) -> Clock {
    Arc::new(move || now_ms)
}

pub(super) fn entry(number: u16) -> EntryId {
    let [high, low] = number.to_be_bytes();
    EntryId::new([1, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

pub(super) fn block(number: u8) -> BlockId {
    BlockId::new([number; 32])
}

/// The block that the derivation of this number made.
pub(super) fn numbered_block(number: u16) -> BlockId {
    let mut bytes = [0xb0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    BlockId::new(bytes)
}

pub(super) fn task(number: u8) -> TaskId {
    TaskId::new([number; 16])
}

pub(super) fn disclosure(name: &str, value: &str) -> Disclosure {
    Disclosure { name: name.to_owned(), salt: Salt::new([0x5a; 16]), value: Value::Text(value.to_owned()) }
}

/// A mint by alice for a planner, as the issuer will write it.
pub(super) fn mint(number: u16) -> Leaf {
    derivation(Kind::Mint, number, &["alice", "planner"])
}

pub(super) fn derivation(kind: Kind, number: u16, chain: &[&str]) -> Leaf {
    let chain = chain.iter().enumerate().map(|(place, name)| {
        let disclosure = disclosure(&format!("chain/{place}"), name);
        commit(&disclosure.salt, &disclosure.name, &disclosure.value)
    });
    let fields = kind.spec().unwrap().required.iter().map(|name| {
        let disclosure = disclosure(name, "planner");
        ((*name).to_owned(), commit(&disclosure.salt, &disclosure.name, &disclosure.value))
    });
    let fields = fields.collect();
    let parents = if kind == Kind::Hop { vec![block(0)] } else { Vec::new() };
    let pack = (kind == Kind::Mint).then_some(PackDigest([8; 32]));
    Leaf {
        task: Some(task(1)),
        chain: chain.collect(),
        blocks: vec![numbered_block(number)],
        parents,
        pack,
        fields,
        ..Leaf::draft(kind, entry(number), TraceId::new([9; 16]))
    }
}

/// The leaf with its fields committing to what these disclosures open.
pub(super) fn committing(mut leaf: Leaf, disclosures: &[&Disclosure]) -> Leaf {
    leaf.fields.extend(disclosures.iter().map(|it| (it.name.clone(), commit(&it.salt, &it.name, &it.value))));
    leaf
}

pub(super) async fn appended(log: &Log, leaf: Leaf, side_rows: Vec<SideRow>) -> (u64, Vec<u8>, String) {
    match log.append(leaf, side_rows).await.unwrap() {
        Outcome::Appended { index, leaf, receipt } => (index, leaf, receipt),
        other => panic!("not appended: {other:?}"),
    }
}

/// A log with `count` leaves beside the first, each under its own checkpoint.
pub(super) async fn filled(place: &Place, count: u16) -> Vec<(String, Vec<u8>)> {
    let log = place.log();
    let mut receipts = Vec::new();
    for number in 0..count {
        let (_, leaf, receipt) = appended(&log, mint(number), Vec::new()).await;
        receipts.push((receipt, leaf));
    }
    receipts
}

pub(super) fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(super) const ORIGIN: &str = "log.example/narrows";
pub(super) const NOW_MS: u64 = 1_763_700_000_000;
