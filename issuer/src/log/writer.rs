//! The one writer: takes whatever waits, writes it in one transaction, and answers after the commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use narrows_verifier::Reason;
use narrows_verifier::log::{Checkpoint, EntryId, Frontier, Hash, Kind, Leaf, Receipt, TraceId, Verdict, inclusion_proof, leaf_hash};
use tokio::sync::oneshot;

use super::anchoring::Anchoring;
use super::append::{Admission, Outcome, SideRow, admit, spend, write_side_rows};
use super::disk::{FreeSpace, Room};
use super::error::LogError;
use super::health::Health;
use super::lanes::{Lane, Lanes};
use super::retention::Work as RetentionWork;
use super::signer::LogSigner;
use super::startup::Edge;
use crate::clients::{Registered, Registration};
use crate::clock::Clock;
use crate::revocation::{Hold, Live, Revoked};
use crate::store::{Batch, Database, Head, Pseudonym, StoreError, StoredLeaf};

pub(super) struct Request {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Answer>,
}

/// One entry to write.
pub(super) struct Work {
    pub(super) lane: Lane,
    /// Still without its time. Without a leaf, something is only used up.
    pub(super) leaf: Option<Leaf>,
    pub(super) side_rows: Vec<SideRow>,
}

pub(super) type Answer = Result<Written, LogError>;

/// What became of a request. The caller makes the receipt from it: the writer's time is everybody's.
pub(super) enum Written {
    Appended { index: u64, leaf: Vec<u8>, commit: Arc<Commit> },
    Existing { index: u64, leaf: Vec<u8>, proof: Vec<Hash>, commit: Arc<Commit> },
    Spent,
    Refused(Reason),
}

/// What all entries of one commit have in common.
pub(super) struct Commit {
    size: u64,
    checkpoint: String,
    /// All that a proof of an entry of this commit reads.
    nodes: HashMap<(u8, u64), Hash>,
}

/// Everything that appending needs; it lives on the writer's thread alone.
pub(super) struct Writer {
    pub(super) database: Database,
    pub(super) head: Head,
    pub(super) edge: Edge,
    pub(super) signer: LogSigner,
    pub(super) health: Arc<Health>,
    pub(super) sources: Sources,
    pub(super) anchoring: Anchoring,
    /// Told of each committed revocation before anybody is answered.
    pub(super) live: Arc<Live>,
    /// The same of each committed registration of a client.
    pub(super) registered: Arc<Registered>,
    pub(super) disk_reserve: u64,
    /// How far the clock was behind when that was last written down; 0 while it runs right.
    pub(super) clock_behind_ms: u64,
    pub(super) journal: Journal,
}

/// Whether the journal holds what has gone from the database, and must be emptied.
#[derive(Clone, Copy)]
pub(super) enum Journal {
    Clean,
    /// After so many batches it is tried again. Readers may need the journal, and nobody waits for them.
    Due(u32),
}

/// What the writer asks the machine for.
pub(super) struct Sources {
    pub(super) now_ms: Clock,
    pub(super) free_space: FreeSpace,
    /// Random ids for the leaves that the writer itself makes.
    pub(super) random_id: fn() -> [u8; 16],
}

/// The time of one batch: what its leaves say, and what expiries are compared with.
#[derive(Clone, Copy)]
struct Time {
    t_ms: u64,
    now_s: u64,
}

/// Where a request ended up within its batch, before there is a checkpoint to prove it under.
enum Placed {
    Appended(u64, Vec<u8>),
    Existing(u64, Vec<u8>),
    Spent,
    Refused(Reason),
    NoRoom,
}

impl Writer {
    pub(super) fn run(mut self, queue: &Lanes<Request>) {
        // Also when this thread ends by a panic: nobody may go on believing that the log is written.
        let _stopped = Stopped(Arc::clone(&self.health));
        while let Some(requests) = queue.take(MAX_BATCH, self.journal.patience()) {
            let idle = requests.is_empty();
            let (work, replies): (Vec<_>, Vec<_>) = requests.into_iter().map(|request| (request.work, request.reply)).unzip();
            let answers = if idle { Vec::new() } else { self.answers(work) };
            for (reply, answer) in replies.into_iter().zip(answers) {
                // A caller that has gone away needs no answer; its leaf stays.
                let _ = reply.send(answer);
            }
            // Now nobody waits for it.
            self.empty_journal(idle);
        }
    }

    fn answers(&mut self, work: Vec<Work>) -> Vec<Answer> {
        let count = work.len();
        let shred: Vec<Option<Pseudonym>> = work.iter().map(|work| work.side_rows.iter().find_map(shredded)).collect();
        let revoked: Vec<Option<Revoked>> = work.iter().map(|work| work.side_rows.iter().find_map(revoked)).collect();
        let holds: Vec<Option<Hold>> = work.iter().map(|work| work.side_rows.iter().find_map(hold)).collect();
        let registrations: Vec<Option<Registration>> = work.iter().map(|work| work.side_rows.iter().find_map(registration)).collect();
        if self.health.halted().is_none() {
            match self.write(work) {
                Ok(answers) => {
                    let registered = answers.iter().zip(registrations).filter_map(|(answer, registration)| match answer {
                        Ok(Written::Appended { index, .. }) => Some((registration?, *index)),
                        _ => None,
                    });
                    self.registered.put(registered);
                    let made = answers.iter().zip(revoked).filter(|(answer, _)| matches!(answer, Ok(Written::Appended { .. })));
                    self.live.add(made.filter_map(|(_, revoked)| revoked));
                    let held = answers.iter().zip(holds).filter(|(answer, _)| matches!(answer, Ok(Written::Appended { .. })));
                    self.live.follow(held.filter_map(|(_, hold)| hold));
                    return answers.into_iter().zip(shred).map(|(answer, subject)| self.shred(answer, subject)).collect();
                }
                Err(Fault { halt, what }) => {
                    // Whether a failed commit reached the disk is unknown, and trying again on the same handle can turn a
                    // lost page into a silent fork. Only a restart, which reads the file afresh, is safe.
                    self.health.halt(halt);
                    tracing::error!(reason = halt.code(), error = what, "the log stopped: a commit failed");
                }
            }
        }
        let reason = self.health.halted().unwrap_or(Reason::AuditUnavailable);
        (0..count).map(|_| Err(LogError::halted(reason))).collect()
    }

    fn write(&mut self, work: Vec<Work>) -> Result<Vec<Answer>, Fault> {
        self.database.check_in_place()?;
        let mut room = Room::new((self.sources.free_space)().map_err(StoreError::failed)?, self.disk_reserve);
        let now_ms = (self.sources.now_ms)();
        // Order comes from the index; a clock that steps back must not make time look reversed.
        let time = Time { t_ms: now_ms.max(self.head.last_t_ms), now_s: now_ms / 1000 };
        let clock_leaf = self.clock_leaf(time.t_ms - now_ms);
        let batch = self.database.begin()?;
        if batch.rows().head()? != Some(self.head) {
            return Err(StoreError::HeadMoved.into());
        }
        let peaks = self.edge.frontier.peaks().map(|node| ((node.level, node.index), node.hash));
        let mut tree = Growth { nodes: peaks.collect(), frontier: self.edge.frontier.clone(), retained: false };
        if clock_leaf.is_some() {
            tree.place(&batch, &mut room, Work { lane: Lane::Urgent, leaf: clock_leaf, side_rows: Vec::new() }, time)?;
        }
        let placed = work.into_iter().map(|work| tree.place(&batch, &mut room, work, time)).collect::<Result<Vec<_>, _>>()?;
        let size = tree.frontier.size();
        if size == self.head.size {
            let commit = Arc::new(Commit { size, checkpoint: self.edge.checkpoint.clone(), nodes: tree.nodes });
            let spent = placed.iter().any(|it| matches!(it, Placed::Spent));
            let answers = placed.into_iter().map(|it| it.answer(&batch, &commit)).collect::<Result<_, StoreError>>()?;
            if spent {
                batch.commit()?;
            }
            return Ok(answers);
        }
        let root = tree.frontier.root();
        let note = self.signer.sign(&Checkpoint { origin: self.signer.origin().to_owned(), size, root });
        let head = Head { size, root, epoch: self.head.epoch, last_t_ms: time.t_ms };
        batch.insert_checkpoint(size, &root, &note)?;
        batch.prune_single_use(time.now_s)?;
        batch.advance_head(&self.head, &head)?;
        let commit = Arc::new(Commit { size, checkpoint: note.clone(), nodes: tree.nodes });
        let answers = placed.into_iter().map(|it| it.answer(&batch, &commit)).collect::<Result<Vec<_>, StoreError>>()?;
        batch.commit()?;
        // A commit into a file that nobody finds again is none.
        self.database.check_in_place()?;
        self.anchoring.committed(&note)?;
        // Only now may anything leave: until here, leaves and signed checkpoint existed in this transaction alone.
        (self.head, self.edge) = (head, Edge { frontier: tree.frontier, checkpoint: note });
        if tree.retained {
            self.journal = Journal::Due(0);
        }
        Ok(answers)
    }

    /// Does after the commit what an erasure leaves to be done. A reader may hold it up: the log goes on all the same, and the
    /// caller is told to ask again.
    fn shred(&self, answer: Answer, subject: Option<Pseudonym>) -> Answer {
        let (Some(subject), Ok(Written::Appended { .. })) = (subject, &answer) else { return answer };
        match self.database.shred_serving(subject) {
            Ok(()) => answer,
            Err(error) => {
                tracing::warn!(%error, "an erasure is recorded and not finished");
                Err(LogError::shredding_held_up())
            }
        }
    }

    /// Empties the journal when that is due, or when nothing else is to be done.
    fn empty_journal(&mut self, idle: bool) {
        let Journal::Due(after) = self.journal else { return };
        if self.health.halted().is_some() {
            self.journal = Journal::Clean;
            return;
        }
        if after > 0 && !idle {
            self.journal = Journal::Due(after - 1);
            return;
        }
        match self.database.try_empty_journal() {
            Ok(true) => self.journal = Journal::Clean,
            Ok(false) => self.journal = Journal::Due(JOURNAL_BATCHES),
            Err(error) => {
                // As after a failed commit: what reached the disk is unknown.
                self.health.halt(Reason::AuditUnavailable);
                tracing::error!(reason = Reason::AuditUnavailable.code(), %error, "the log stopped: its journal could not be folded in");
            }
        }
    }

    /// A leaf for a clock that is `behind_ms` behind the last leaf, once for each step back.
    fn clock_leaf(&mut self, behind_ms: u64) -> Option<Leaf> {
        if behind_ms <= CLOCK_STEP_MS {
            self.clock_behind_ms = 0;
            return None;
        }
        // Time goes on after a step, so what is written down once only becomes smaller, unless there is another step.
        if self.clock_behind_ms != 0 && behind_ms <= self.clock_behind_ms.saturating_add(CLOCK_STEP_MS) {
            return None;
        }
        self.clock_behind_ms = behind_ms;
        self.health.count_clock_regression();
        tracing::warn!(reason = Reason::ClockRegression.code(), behind_ms, "the clock stepped back; leaves keep the last time");
        let random_id = self.sources.random_id;
        let leaf = Leaf::draft(Kind::Clock, EntryId::new(random_id()), TraceId::new(random_id()));
        Some(leaf.because(Verdict::Allow, Reason::ClockRegression))
    }
}

/// The tree as it grows within one transaction, with the hashes that this batch has made or read.
struct Growth {
    frontier: Frontier,
    nodes: HashMap<(u8, u64), Hash>,
    /// Whether something went from the database.
    retained: bool,
}

impl Growth {
    fn place(&mut self, batch: &Batch<'_>, room: &mut Room, work: Work, time: Time) -> Result<Placed, StoreError> {
        let rows = batch.rows();
        let Some(leaf) = work.leaf else {
            if !room.has(work.lane) {
                return Ok(Placed::NoRoom);
            }
            room.take(0, work.side_rows.len());
            return Ok(spend(batch, &work.side_rows)?.map_or(Placed::Spent, Placed::Refused));
        };
        let leaf = Leaf { t_ms: time.t_ms, ..leaf };
        let bytes = match leaf.to_bytes() {
            Ok(bytes) => bytes,
            Err(refusal) => return Ok(Placed::Refused(refusal.reason)),
        };
        let (index, hash) = (self.frontier.size(), leaf_hash(&bytes));
        let retaining = match admit(&rows, &leaf, index, &work.side_rows, time.now_s)? {
            Admission::Append(retaining) => retaining,
            Admission::Refuse(reason) => return Ok(Placed::Refused(reason)),
            Admission::Existing(index) => {
                let leaf = rows.leaf(index)?.ok_or_else(|| StoreError::failed("a logged block has no leaf"))?;
                return Ok(Placed::Existing(index, leaf.bytes));
            }
        };
        if !room.has(work.lane) {
            return Ok(Placed::NoRoom);
        }
        room.take(bytes.len(), work.side_rows.len() + retaining.as_ref().map_or(0, RetentionWork::rows));
        let stored = StoredLeaf { index, entry: leaf.id, hash, bytes };
        batch.insert_leaf(&stored)?;
        let completed = self.frontier.append(hash)?;
        batch.insert_nodes(&completed)?;
        self.nodes.extend(completed.iter().map(|node| ((node.level, node.index), node.hash)));
        write_side_rows(batch, index, &leaf, &work.side_rows, time.now_s)?;
        if let Some(retaining) = retaining {
            retaining.write(batch, time.now_s)?;
            self.retained = true;
        }
        Ok(Placed::Appended(index, stored.bytes))
    }
}

impl Journal {
    pub(super) const fn begin(due: bool) -> Self {
        if due { Self::Due(0) } else { Self::Clean }
    }

    /// How long the writer sleeps while nobody asks for anything.
    const fn patience(self) -> Option<Duration> {
        match self {
            Self::Clean => None,
            Self::Due(_) => Some(JOURNAL_WAIT),
        }
    }
}

impl Placed {
    /// The inner error is the caller's alone, the outer one ends the batch.
    fn answer(self, batch: &Batch<'_>, commit: &Arc<Commit>) -> Result<Answer, StoreError> {
        Ok(match self {
            Self::Appended(index, leaf) => Ok(Written::Appended { index, leaf, commit: Arc::clone(commit) }),
            Self::Existing(index, leaf) => {
                // Its siblings lie anywhere in the tree, and only here is the tree that this commit signs.
                let proof = inclusion_proof(index, commit.size, |level, index| match commit.nodes.get(&(level, index)) {
                    Some(hash) => Ok(*hash),
                    None => batch.rows().expect_node(level, index),
                })?;
                Ok(Written::Existing { index, leaf, proof, commit: Arc::clone(commit) })
            }
            Self::Spent => Ok(Written::Spent),
            Self::Refused(reason) => Ok(Written::Refused(reason)),
            Self::NoRoom => Err(LogError::disk_reserve()),
        })
    }
}

impl Written {
    pub(super) fn outcome(self) -> Result<Outcome, LogError> {
        Ok(match self {
            Self::Appended { index, leaf, commit } => {
                let proof = inclusion_proof(index, commit.size, |level, index| {
                    commit.nodes.get(&(level, index)).copied().ok_or_else(|| StoreError::failed("a hash of the tree is missing"))
                })?;
                Outcome::Appended { index, receipt: commit.receipt(index, proof), leaf }
            }
            Self::Existing { index, leaf, proof, commit } => Outcome::Existing { index, receipt: commit.receipt(index, proof), leaf },
            Self::Spent => return Err(LogError::halted(Reason::Internal)),
            Self::Refused(reason) => Outcome::Refused(reason),
        })
    }
}

impl Commit {
    fn receipt(&self, index: u64, proof: Vec<Hash>) -> String {
        Receipt { index, proof, checkpoint: &self.checkpoint }.encode()
    }
}

const fn shredded(row: &SideRow) -> Option<Pseudonym> {
    if let SideRow::Shred(subject) = row { Some(*subject) } else { None }
}

fn revoked(row: &SideRow) -> Option<Revoked> {
    if let SideRow::Revoke(revoked) = row { Some(revoked.clone()) } else { None }
}

fn hold(row: &SideRow) -> Option<Hold> {
    if let SideRow::Hold(hold) = row { Some(hold.clone()) } else { None }
}

fn registration(row: &SideRow) -> Option<Registration> {
    if let SideRow::Client { registration, .. } = row { Some(registration.clone()) } else { None }
}

/// Why a batch ended the log.
struct Fault {
    halt: Reason,
    what: String,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let halt = if matches!(error, StoreError::Swapped) { Reason::AuditFileSwapped } else { Reason::AuditUnavailable };
        Self { halt, what: error.to_string() }
    }
}

impl From<LogError> for Fault {
    fn from(error: LogError) -> Self {
        Self { halt: error.reason(), what: error.to_string() }
    }
}

struct Stopped(Arc<Health>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.halt(Reason::AuditUnavailable);
    }
}

/// Bounds the memory of one transaction and the wait of its first caller.
const MAX_BATCH: usize = 512;

/// Until a journal that readers held is tried again, where requests keep coming and where none does.
const JOURNAL_BATCHES: u32 = 64;
const JOURNAL_WAIT: Duration = Duration::from_millis(500);

/// Steps of the clock below this are ordinary time synchronisation.
const CLOCK_STEP_MS: u64 = 1000;
