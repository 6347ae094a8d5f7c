//! The Merkle log: every derivation becomes a durable leaf, with a receipt, before anything is released.

mod anchor;
mod anchoring;
mod append;
mod carried;
mod disk;
mod erase;
mod error;
mod health;
mod lanes;
mod pauses;
mod pieces;
mod proofs;
mod recover;
mod registrations;
mod retention;
mod revocations;
mod root_keys;
mod settings;
mod shown;
mod signer;
mod startup;
mod stored;
mod tree;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use narrows_verifier::Reason;
use narrows_verifier::log::{
    BlockId, Checkpoint, EntryId, Frontier, Kind, Leaf, Receipt, TaskId, TileKind, TilePath, TraceId, encode_entries, encode_tile,
    inclusion_proof, leaf_hash,
};
use tokio::sync::{Notify, oneshot};

use crate::app::random;
use crate::clients::Registered;
use crate::clock::Clock;
use crate::revocation::{FORGET_AFTER_S, Live, Target};
use crate::store::{Database, Head, Readers, Rows, StoreError, StoredLeaf};
use anchoring::Anchoring;
use health::Health;
use lanes::{Capacity, Lane, Lanes};

// The public interface is:
pub(crate) use crate::store::NOBODY;
pub use crate::store::{KeyRow, ListedTask, MintedRow, Pseudonym};
pub use append::{Committed, Outcome, SideRow};
pub use erase::{Erasure, erase, pseudonym};
pub use error::LogError;
pub use pieces::{MadeTile, Pieces, check_pieces};
pub use proofs::SignedHead;
pub use recover::{Kept, Previous, Source, kept, last_checkpoint, replay};
pub use retention::{Retained, Retainer, RetentionPolicy, planned, retain};
pub(crate) use retention::{expiring, stated};
pub use root_keys::LoggedKeys;
pub use settings::{ANCHOR_LAG_MS, AnchorPlace, DISK_RESERVE_MB, QUEUE, Settings};
pub use shown::{Shown, ShownLeaf, utc};
pub use signer::LogSigner;
pub(crate) use stored::{first_at, parse};
pub use tree::{TaskNode, TaskTree, task_trees};
pub(crate) use tree::{derives, tree_of};
pub use verify::{Evidence, Finding, Report, check_database, pruned_under};

/// An open log: one writer thread, and readers beside it. Dropping it waits for the writer to finish its last batch.
pub struct Log {
    queue: Arc<Lanes<writer::Request>>,
    writer: Option<JoinHandle<()>>,
    health: Arc<Health>,
    readers: Readers,
    live: Arc<Live>,
    registered: Arc<Registered>,
    epoch: u64,
    answer_wait: Duration,
    /// Told after each answered commit; one waiter, that which takes checkpoints to witnesses.
    committed: Notify,
}

/// What the log's first leaf says about its beginning.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Random id of the first entry.
    pub id: EntryId,
    /// The request or command that made the log.
    pub trace: TraceId,
    /// When, in milliseconds since 1970.
    pub t_ms: u64,
    /// True in development mode.
    pub dev: bool,
}

/// One entry with the proof that it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEntry {
    /// Position in the log.
    pub index: u64,
    /// The leaf's exact bytes.
    pub leaf: Vec<u8>,
    /// A receipt under the newest checkpoint.
    pub receipt: String,
}

/// A task that began in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownTask {
    /// For which client it began; `None` for a task of before that was recorded.
    pub client: Option<String>,
    /// Its end, in seconds since 1970.
    pub expires_s: u64,
}

impl Log {
    /// Makes a log at `path` whose leaf 0 is `log.open`, already under a signed checkpoint: no log is ever empty.
    ///
    /// # Errors
    /// `LOG_EXISTS`, `LOG_BUSY`, `LOG_NOT_DURABLE`, or what the store met.
    pub fn init(path: &Path, signer: &LogSigner, opening: Opening) -> Result<(), LogError> {
        Self::init_with_keys(path, signer, opening, &[])
    }

    /// As [`Log::init`], with a leaf for each of the keys that sign tokens from the start.
    ///
    /// # Errors
    /// As [`Log::init`].
    pub fn init_with_keys(path: &Path, signer: &LogSigner, opening: Opening, keys: &[KeyRow]) -> Result<(), LogError> {
        let first = (first_leaf(signer, opening), Vec::new());
        let leaves: Vec<_> = std::iter::once(first).chain(keys.iter().map(|row| carried::key(row.clone(), opening))).collect();
        Self::begin(path, signer, opening, &leaves, &Kept::default())
    }

    /// As [`Log::init`], for a log that follows another, which its first leaf names with its end and the cause.
    ///
    /// # Errors
    /// As [`Log::init`].
    pub fn init_after(path: &Path, signer: &LogSigner, opening: Opening, previous: &Previous) -> Result<(), LogError> {
        let mut leaves = vec![carried::opens(first_leaf(signer, opening), previous)];
        leaves.extend(carried::follow(&previous.kept, opening));
        Self::begin(path, signer, opening, &leaves, &previous.kept)
    }

    fn begin(path: &Path, signer: &LogSigner, opening: Opening, leaves: &[carried::Beginning], kept: &Kept) -> Result<(), LogError> {
        let mut frontier = Frontier::empty();
        let mut grown = Vec::with_capacity(leaves.len());
        for (index, (leaf, rows)) in (0..).zip(leaves) {
            let leaf = Leaf { t_ms: opening.t_ms, ..leaf.clone() };
            let bytes = leaf.to_bytes()?;
            let hash = leaf_hash(&bytes);
            let nodes = frontier.append(hash)?;
            grown.push((StoredLeaf { index, entry: leaf.id, hash, bytes }, nodes, leaf, rows));
        }
        let (size, root) = (frontier.size(), frontier.root());
        let note = signer.sign(&Checkpoint { origin: signer.origin().to_owned(), size, root });
        Database::create(path, |batch| {
            for (stored, nodes, leaf, rows) in &grown {
                batch.insert_leaf(stored)?;
                batch.insert_nodes(nodes)?;
                append::write_side_rows(batch, stored.index, leaf, rows, opening.t_ms / 1000)?;
            }
            kept.revoked.iter().try_for_each(|revoked| batch.insert_revocation(revoked, 0))?;
            kept.paused.iter().try_for_each(|target| batch.insert_pause(target, 0))?;
            batch.insert_checkpoint(size, &root, &note)?;
            batch.insert_head(&Head { size, root, epoch: i64::try_from(kept.epoch).unwrap_or(0), last_t_ms: opening.t_ms })
        })?;
        Ok(())
    }

    /// Opens a log for appending after a quick check of its right edge; [`check_database`] is the full check.
    ///
    /// # Errors
    /// `LOG_MISSING`, `LOG_BUSY`, `LOG_NEWER`, `LOG_NOT_DURABLE`, `AUDIT_ROLLBACK_DETECTED`, `AUDIT_ANCHOR_MISSING`, and the
    /// reason of whatever the check found changed.
    pub fn open(path: &Path, signer: LogSigner, now_ms: Clock, settings: Settings) -> Result<Self, LogError> {
        let mut database = Database::open(path)?;
        let edge = startup::check(&database.rows(), signer.verifier_key())?;
        let anchor = settings.anchor.as_ref().map(|place| {
            anchor::Anchor::open(&place.path, &database.rows(), signer.verifier_key(), &edge.checkpoint, place.accept_missing)
        });
        let anchor = anchor.transpose()?;
        let retains = database.rows().retention()?.is_some();
        let head = database.take_over(anchor.is_some())?;
        root_keys::read_unread(&mut database)?;
        root_keys::check_rows(&database.rows())?;
        let live = Arc::new(live(&mut database, head.last_t_ms / 1000)?);
        let registered = Arc::new(Registered::new(database.rows().clients()?));
        let readers = Readers::open(path)?;
        let health = Arc::new(Health::default());
        let lag = settings.anchor.map(|place| place.lag).unwrap_or_default();
        let anchoring = match anchor {
            Some(anchor) => Anchoring::start(anchor, lag, Arc::clone(&health))?,
            None => Anchoring::Without,
        };
        let queue = Arc::new(Lanes::new(Capacity { urgent: settings.urgent_queue, ordinary: settings.queue }));
        let free_space = settings.free_space.unwrap_or_else(|| disk::free_space(path));
        let writer = writer::Writer {
            database,
            head,
            edge,
            signer,
            health: Arc::clone(&health),
            sources: writer::Sources { now_ms, free_space, random_id: random },
            anchoring,
            live: Arc::clone(&live),
            registered: Arc::clone(&registered),
            disk_reserve: settings.disk_reserve,
            clock_behind_ms: 0,
            // What went before a crash may still stand in the journal.
            journal: writer::Journal::begin(retains),
        };
        let requests = Arc::clone(&queue);
        let writer =
            std::thread::Builder::new().name("narrows-log".to_owned()).spawn(move || writer.run(&requests)).map_err(StoreError::failed)?;
        let epoch = u64::try_from(head.epoch).unwrap_or(0);
        let (answer_wait, committed) = (settings.answer_wait, Notify::new());
        Ok(Self { queue, writer: Some(writer), health, readers, live, registered, epoch, answer_wait, committed })
    }

    /// Appends one leaf, to which the writer gives its time, with its side rows, and answers after the commit, with the
    /// receipt. Entries that take authority away wait in a lane of their own and go first.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE` when the lane is full, the writer has stopped, or the disk takes longer than the settings allow;
    /// `AUDIT_DISK_RESERVE` when the disk is nearly full; the reason for which the log has stopped. Nothing may then be
    /// released. A leaf can still have been written when the disk was too slow, and such a leaf gave nobody anything.
    pub async fn append(&self, leaf: Leaf, side_rows: Vec<SideRow>) -> Result<Outcome, LogError> {
        let lane = if side_rows.iter().any(disables) { Lane::Urgent } else { Lane::of(&leaf.kind) };
        let written = self.submit(writer::Work { lane, leaf: Some(leaf), side_rows }).await?;
        self.committed.notify_one();
        written.outcome()
    }

    /// Uses up what may be used once, for a request that writes no leaf; the reason of `row` when it was used before.
    ///
    /// # Errors
    /// As [`Log::append`]. Whether it is used up is then unknown, and nothing may be answered that depends on it.
    pub async fn spend(&self, row: SideRow) -> Result<Option<Reason>, LogError> {
        let work = writer::Work { lane: Lane::Ordinary, leaf: None, side_rows: vec![row] };
        match self.submit(work).await? {
            writer::Written::Refused(reason) => Ok(Some(reason)),
            _ => Ok(None),
        }
    }

    async fn submit(&self, work: writer::Work) -> Result<writer::Written, LogError> {
        if let Some(reason) = self.halted() {
            return Err(LogError::halted(reason));
        }
        let (reply, answer) = oneshot::channel();
        if !self.queue.push(work.lane, writer::Request { work, reply }) {
            return Err(LogError::queue_full());
        }
        match tokio::time::timeout(self.answer_wait, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(LogError::halted(self.halted().unwrap_or(Reason::AuditUnavailable))),
            Err(_) => Err(LogError::too_slow()),
        }
    }

    /// The name by which the log's store knows a person, and under whose key it seals what it discloses about the person.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn pseudonym(&self, issuer: &str, subject: &str) -> Result<Pseudonym, LogError> {
        Ok(self.readers.subjects().pseudonym(issuer, subject)?)
    }

    /// Whether anything may be disclosed about a person: its key is there.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn knows(&self, subject: Pseudonym) -> Result<bool, LogError> {
        Ok(self.readers.subjects().knows(subject)?)
    }

    /// What is revoked, as of the last commit.
    pub(crate) const fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The clients that operators registered, as of the last commit.
    pub(crate) const fn registered(&self) -> &Arc<Registered> {
        &self.registered
    }

    /// Up to `most` tasks that began before `before`, the newest first.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn tasks(&self, before: Option<&TaskId>, most: u16) -> Result<Vec<ListedTask>, LogError> {
        Ok(self.readers.read(|rows| rows.tasks(before, most))?)
    }

    /// One of them.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn listed_task(&self, task: &TaskId) -> Result<Option<ListedTask>, LogError> {
        Ok(self.readers.read(|rows| rows.listed_task(task))?)
    }

    /// How often the log has been opened for writing, this time included. It never falls, but for a log that was rolled back.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// For which client this authority block of a task was minted, or `None` when this log knows nothing of it.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn minted(&self, task: &TaskId, block: &BlockId) -> Result<Option<MintedRow>, LogError> {
        Ok(self.readers.read(|rows| rows.minted(task, block))?)
    }

    /// What is known of a task, or `None` when it did not begin in this log.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn task(&self, task: &TaskId) -> Result<Option<KnownTask>, LogError> {
        Ok(self.readers.read(|rows| {
            let Some(row) = rows.task(task)? else { return Ok(None) };
            Ok(Some(KnownTask { client: rows.task_client(task)?, expires_s: u64::try_from(row.expires_s).unwrap_or(0) }))
        })?)
    }

    /// Whether this checkpoint, whoever holds it, is one of the log's history.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn has(&self, checkpoint: &Checkpoint) -> Result<bool, LogError> {
        Ok(checkpoint.size <= self.newest()?.size && self.root_at(checkpoint.size)? == checkpoint.root)
    }

    /// Stops the log for good, as when a witness shows that it was rolled back: the process must then end.
    pub fn halt(&self, reason: Reason) {
        self.health.halt(reason);
    }

    /// Why the log has stopped, such as a failed commit; `None` while it takes entries. Only a restart, which checks the
    /// log, helps.
    pub fn halted(&self) -> Option<Reason> {
        self.health.halted()
    }

    /// How often the clock stepped back since the log was opened.
    pub fn clock_regressions(&self) -> u64 {
        self.health.clock_regressions()
    }

    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn checkpoint(&self) -> Result<String, LogError> {
        Ok(self.readers.read(|rows| Ok(newest(rows)?.note))?)
    }

    /// The log's minimum index: leaves below are not handed out.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn minimum_index(&self) -> Result<u64, LogError> {
        Ok(self.readers.read(|rows| rows.minimum_index())?)
    }

    /// Reads rows, for the log's own steps.
    fn reading<T>(&self, read: impl FnOnce(&Rows<'_>) -> Result<T, LogError>) -> Result<T, LogError> {
        self.readers.read_with(read)
    }

    /// The bytes of a tile or entry bundle; `None` when no checkpoint needs a tile of this width, so nobody may ask for it.
    ///
    /// # Errors
    /// `ENTRY_PRUNED` for a bundle of entries below the minimum index, `LOG_UNREADABLE`.
    pub fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, LogError> {
        let (Some((smallest, largest)), Some((level, first))) = (path.tree_sizes(), path.first_node()) else {
            return Ok(None);
        };
        self.readers.read_with(|rows| {
            if !rows.has_checkpoint(smallest, largest)? {
                return Ok(None);
            }
            let (found, bytes) = match path.kind() {
                TileKind::Hashes(_) => {
                    let hashes = rows.nodes(level, first, path.width())?;
                    (hashes.len(), encode_tile(&hashes))
                }
                TileKind::Entries => {
                    let leaves = rows.leaves(first, path.width())?;
                    // After the leaves: what was pruned in between may have come without its bytes. The whole bundle is below the
                    // minimum index or none of it is.
                    if rows.minimum_index()? > first {
                        return Err(pruned());
                    }
                    let entries: Vec<Vec<u8>> = leaves.into_iter().map(|leaf| leaf.bytes).collect();
                    (entries.len(), encode_entries(&entries).map_err(StoreError::failed)?)
                }
            };
            if found == usize::from(path.width()) { Ok(Some(bytes)) } else { Err(StoreError::failed("a tile has a hole").into()) }
        })
    }

    /// The entry with this id and a receipt under the newest checkpoint, or `None`.
    ///
    /// # Errors
    /// `ENTRY_PRUNED`, `LOG_UNREADABLE`.
    pub fn entry(&self, id: &EntryId) -> Result<Option<LoggedEntry>, LogError> {
        self.readers.read_with(|rows| rows.leaf_by_entry(id)?.map(|leaf| logged(rows, leaf)).transpose())
    }

    /// The leaf that paused this target, by index and id, while it is paused.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub(crate) fn paused_by(&self, target: &Target) -> Result<Option<(u64, EntryId)>, LogError> {
        Ok(self.readers.read(|rows| {
            let Some(index) = rows.pause(target)? else { return Ok(None) };
            // It may have gone meanwhile: then the resumption finds that out.
            Ok(rows.leaf(index)?.map(|leaf| (index, leaf.entry)))
        })?)
    }

    /// The entry at this index and a receipt under the newest checkpoint, or `None` past the end.
    ///
    /// # Errors
    /// `ENTRY_PRUNED`, but for the first leaf, which stays; `LOG_UNREADABLE`.
    pub fn proof(&self, index: u64) -> Result<Option<LoggedEntry>, LogError> {
        self.readers.read_with(|rows| rows.leaf(index)?.map(|leaf| logged(rows, leaf)).transpose())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // A closed queue lets the writer end after its last batch; the file's lock is free only then. Its connection must be the
        // last one to close: a reader can't fold the write-ahead log into the file, and a copy of the file would lack its end.
        self.readers.close();
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn first_leaf(signer: &LogSigner, opening: Opening) -> Leaf {
    Leaf { origin: Some(signer.origin().to_owned()), dev: opening.dev, ..Leaf::draft(Kind::LogOpen, opening.id, opening.trace) }
}

/// Reads what is revoked, and takes out of the table what had long been over when the newest leaf was written.
fn live(database: &mut Database, now_s: u64) -> Result<Live, StoreError> {
    let batch = database.begin()?;
    batch.forget_revocations(now_s.saturating_sub(FORGET_AFTER_S))?;
    let stored = batch.rows().revocations(0)?;
    batch.commit()?;
    let paused = database.rows().pauses()?;
    Ok(Live::new(stored.into_iter().map(|row| row.revoked), paused.into_iter().map(|(target, _)| target)))
}

/// A client that is put out takes authority away, and goes before what makes it.
const fn disables(row: &SideRow) -> bool {
    matches!(row, SideRow::Client { registration, .. } if registration.disabled)
}

fn newest(rows: &Rows<'_>) -> Result<crate::store::StoredCheckpoint, StoreError> {
    rows.newest_checkpoint()?.ok_or_else(|| StoreError::failed("the log has no checkpoint"))
}

fn pruned() -> LogError {
    LogError::new(Reason::EntryPruned, Reason::EntryPruned.meaning())
}

fn logged(rows: &Rows<'_>, leaf: StoredLeaf) -> Result<LoggedEntry, LogError> {
    if leaf.index > 0 && rows.minimum_index()? > leaf.index {
        return Err(pruned());
    }
    // Read after the leaf, so its tree holds the leaf: nodes of a committed tree never change.
    let checkpoint = newest(rows)?;
    let proof = inclusion_proof(leaf.index, checkpoint.size, |level, index| rows.expect_node(level, index))?;
    let receipt = Receipt { index: leaf.index, proof, checkpoint: &checkpoint.note }.encode();
    Ok(LoggedEntry { index: leaf.index, leaf: leaf.bytes, receipt })
}
