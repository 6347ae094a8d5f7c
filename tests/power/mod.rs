//! The log on a machine whose power fails, whose processes are killed and whose disk fails or lies: the real log, in this
//! process, over the disk of `narrows_vfs`.

mod cuts;
mod errors;
mod lies;
mod load;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use narrows_issuer::log::{AnchorPlace, Evidence, Finding, Log, LogError, LogSigner, Opening, Outcome, Report, Settings, check_database};
use narrows_tests::scratch::Scratch;
use narrows_verifier::{
    EntryId, Reason,
    log::{Hash, TraceId, VerifierKey, verify, verify_checkpoint},
};
use narrows_vfs::{Call, Chance, Fault, Machine, Moment};
use rusqlite::{Connection, OpenFlags};
use zeroize::Zeroizing;

use load::Answers;

/// One log on one machine, with all that anybody ever got from it.
struct Place {
    machine: Machine,
    scratch: Scratch,
    chance: Chance,
    anchor: Option<Duration>,
    known: Known,
}

/// What is out in the world and must stay true.
#[derive(Default)]
struct Known {
    answers: Answers,
    checkpoints: Vec<String>,
    roots: BTreeMap<u64, Hash>,
    /// Receipts that were found in the log that the last checkpoint signs: whatever continues that log has them as well.
    found: usize,
}

impl Place {
    /// A machine without a log so far. The anchor, where there is one, is on a disk that keeps what it is given.
    fn bare(seed: u64, anchor: Option<Duration>) -> Self {
        let scratch = Scratch::in_memory();
        std::fs::create_dir(scratch.join("data")).unwrap();
        let machine = Machine::new(&scratch.join("data"), seed);
        Self { machine, scratch, chance: Chance::new(!seed), anchor, known: Known::default() }
    }

    fn new(seed: u64, anchor: Option<Duration>) -> Self {
        let place = Self::bare(seed, anchor);
        place.init().unwrap();
        place
    }

    fn init(&self) -> Result<(), LogError> {
        let opening = Opening { id: EntryId::new([0xee; 16]), trace: TraceId::new([0xdd; 16]), t_ms: 1, dev: false };
        Log::init(&self.database(), &signer(), opening)
    }

    fn database(&self) -> PathBuf {
        self.scratch.join("data").join("log.db")
    }

    fn open(&self) -> Result<Arc<Log>, LogError> {
        let anchor = self.anchor.map(|lag| AnchorPlace { path: self.scratch.join("log.anchor"), lag, accept_missing: false });
        let mut settings = Settings::new(0, anchor);
        settings.answer_wait = Duration::from_secs(3600);
        Log::open(&self.database(), signer(), Arc::new(now_ms), settings).map(Arc::new)
    }

    /// The full check, with everything that anybody ever got.
    fn check(&self) -> Result<Report, Finding> {
        let evidence = Evidence { receipts: &self.known.answers.receipts, checkpoints: &self.known.checkpoints };
        check_database(&self.database(), &key(), evidence)
    }

    /// Everything that was answered is there, and what the log says now is kept for the next time.
    async fn verify(&mut self, log: &Log, told: &str) -> Report {
        let since = &self.known.answers.receipts[self.known.found..];
        let evidence = Evidence { receipts: since, checkpoints: &self.known.checkpoints[self.known.checkpoints.len().saturating_sub(1)..] };
        let report = check_database(&self.database(), &key(), evidence).unwrap_or_else(|finding| panic!("{told}: {finding}"));
        assert_eq!(report.receipts, since.len() as u64, "{told}");
        let note = log.checkpoint().unwrap();
        let newest = verify_checkpoint(&note, &[key()]).unwrap();
        assert_eq!((newest.size, newest.root), (report.size, report.root), "{told}");
        self.known.checkpoints.push(note);
        self.one_root_a_size(told);
        self.stays_spent(log, told).await;
        for (subject, erased) in &self.known.answers.subjects {
            assert_ne!(log.knows(*subject).unwrap(), *erased, "{told}: a person's key");
        }
        report
    }

    /// Two checkpoints of one size with two roots would convict the log.
    fn one_root_a_size(&mut self, told: &str) {
        let key = key();
        let receipts = self.known.answers.receipts.iter().skip(self.known.found).map(|(receipt, leaf)| {
            let proved = verify(receipt, leaf, std::slice::from_ref(&key)).unwrap();
            (proved.size, proved.root)
        });
        let newest = self.known.checkpoints.last().map(|note| {
            let checkpoint = verify_checkpoint(note, std::slice::from_ref(&key)).unwrap();
            (checkpoint.size, checkpoint.root)
        });
        for (size, root) in receipts.chain(newest) {
            assert_eq!(*self.known.roots.entry(size).or_insert(root), root, "{told}: two roots of size {size}");
        }
        self.known.found = self.known.answers.receipts.len();
    }

    async fn stays_spent(&self, log: &Log, told: &str) {
        if let Some(spent) = self.known.answers.spent.last() {
            let again = log.append(load::mint(&mut self.chance.clone()), vec![spent.clone()]).await.unwrap();
            assert_eq!(again, Outcome::Refused(Reason::ProofReplayed), "{told}");
        }
    }

    /// Goes on after a cut or a kill: what was destroyed is in no file, deleted or not.
    fn restart(&mut self, told: &str) {
        let cut = self.machine.is_cut();
        self.machine.restart();
        let files = std::fs::read_dir(self.scratch.join("data")).unwrap().map(|file| file.unwrap().path());
        let files: Vec<Vec<u8>> = files.map(|file| std::fs::read(file).unwrap()).collect();
        for key in &self.known.answers.destroyed_keys {
            let found = files.iter().any(|bytes| bytes.windows(key.len()).any(|window| window == key));
            assert!(!found, "{told}: a destroyed key is back in a file");
        }
        if cut {
            // nothing is left that could bring them back
            self.known.answers.destroyed_keys.clear();
        }
    }

    /// Folds as much of the journal into the file as readers allow, as SQLite does by itself once in many commits.
    fn fold(&self) {
        if let Ok(connection) = Connection::open_with_flags(self.database(), OpenFlags::SQLITE_OPEN_READ_WRITE) {
            // a machine that goes down here is seen by everybody else
            let _ = connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        }
    }
}

fn signer() -> LogSigner {
    LogSigner::new("log.example/narrows", &Zeroizing::new([5; 32])).unwrap()
}

fn key() -> VerifierKey {
    signer().verifier_key().clone()
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn any(nth: u64) -> Moment {
    Moment { call: None, file: "", nth }
}

fn at(call: Call, file: &'static str, nth: u64) -> Moment {
    Moment { call: Some(call), file, nth }
}

/// How often, and with which choices: of the environment, for a long run and to see one failure again.
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |number| number.parse().expect("a number"))
}
