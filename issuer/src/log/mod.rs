//! The Merkle log: every derivation becomes a durable leaf, with a receipt, before anything is released.

mod append;
mod error;
mod signer;
mod startup;
mod tree;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use narrows_verifier::log::{
    Checkpoint, EntryId, Frontier, Kind, Receipt, TileKind, TilePath, TraceId, encode_entries, encode_tile, inclusion_proof, leaf_hash,
};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::store::{Database, Head, Readers, StoreError, StoredLeaf};

// The public interface is:
pub use append::{LeafDraft, Outcome, SideRow};
pub use error::LogError;
pub use signer::LogSigner;
pub use tree::{Shown, TaskNode, TaskTree, task_trees};
pub use verify::{Evidence, Finding, Report, check_database, check_pieces};

/// An open log: one writer thread, and readers beside it. Dropping it waits for the writer to finish its last batch.
pub struct Log {
    queue: Option<SyncSender<writer::Request>>,
    writer: Option<JoinHandle<()>>,
    healthy: Arc<AtomicBool>,
    readers: Readers,
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

impl Log {
    /// Makes a log at `path` whose leaf 0 is `log.open`, already under a signed checkpoint: no log is ever empty.
    ///
    /// # Errors
    /// `LOG_EXISTS`, `LOG_BUSY`, `LOG_NOT_DURABLE`, or what the store met.
    pub fn init(path: &Path, signer: &LogSigner, opening: Opening) -> Result<(), LogError> {
        let draft = LeafDraft {
            origin: Some(signer.origin().to_owned()),
            dev: opening.dev,
            ..LeafDraft::new(Kind::LogOpen, opening.id, opening.trace)
        };
        let bytes = draft.into_leaf(opening.t_ms).to_bytes()?;
        let hash = leaf_hash(&bytes);
        let mut frontier = Frontier::empty();
        let nodes = frontier.append(hash).map_err(StoreError::from)?;
        let root = frontier.root();
        let note = signer.sign(&Checkpoint { origin: signer.origin().to_owned(), size: 1, root });
        Database::create(path, |batch| {
            batch.insert_leaf(&StoredLeaf { index: 0, entry: opening.id, hash, bytes })?;
            batch.insert_nodes(&nodes)?;
            batch.insert_checkpoint(1, &root, &note)?;
            batch.insert_head(&Head { size: 1, root, epoch: 0, last_t_ms: opening.t_ms })
        })?;
        Ok(())
    }

    /// Opens a log for appending after a quick check of its right edge; [`check_database`] is the full check.
    ///
    /// # Errors
    /// `LOG_MISSING`, `LOG_BUSY`, `LOG_NEWER`, `LOG_NOT_DURABLE`, and the reason of whatever the check found changed.
    pub fn open(path: &Path, signer: LogSigner, now_ms: Clock) -> Result<Self, LogError> {
        Self::open_with_queue(path, signer, now_ms, QUEUE)
    }

    fn open_with_queue(path: &Path, signer: LogSigner, now_ms: Clock, capacity: usize) -> Result<Self, LogError> {
        let mut database = Database::open(path)?;
        let edge = startup::check(&database.rows(), signer.verifier_key())?;
        let head = database.take_over()?;
        let readers = Readers::open(path)?;
        let healthy = Arc::new(AtomicBool::new(true));
        let (queue, requests) = sync_channel(capacity);
        let writer = writer::Writer::new(database, head, edge, signer, now_ms, Arc::clone(&healthy));
        let writer =
            std::thread::Builder::new().name("narrows-log".to_owned()).spawn(move || writer.run(&requests)).map_err(StoreError::failed)?;
        Ok(Self { queue: Some(queue), writer: Some(writer), healthy, readers })
    }

    /// Appends one leaf with its side rows and answers after the commit, with the receipt.
    ///
    /// # Errors
    /// `AUDIT_UNAVAILABLE` when the queue is full, the writer has stopped, or the disk takes longer than ten seconds. Nothing
    /// may then be released. A leaf can still have been written in the last case, and such a leaf gave nobody anything.
    pub async fn append(&self, draft: LeafDraft, side_rows: Vec<SideRow>) -> Result<Outcome, LogError> {
        if !self.is_healthy() {
            return Err(LogError::stopped());
        }
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(LogError::stopped)?;
        queue.try_send(writer::Request { draft, side_rows, reply }).map_err(|_| LogError::queue_full())?;
        match tokio::time::timeout(ANSWER_WAIT, answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(LogError::stopped()),
            Err(_) => Err(LogError::too_slow()),
        }
    }

    /// False once a commit has failed: the process must then end, and the log is checked at the next start.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Acquire)
    }

    /// The newest signed checkpoint.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn checkpoint(&self) -> Result<String, LogError> {
        Ok(self.readers.read(|rows| Ok(newest(rows)?.note))?)
    }

    /// The bytes of a tile or entry bundle; `None` when no checkpoint needs a tile of this width, so nobody may ask for it.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, LogError> {
        let (Some((smallest, largest)), Some((level, first))) = (path.tree_sizes(), path.first_node()) else {
            return Ok(None);
        };
        let bytes = self.readers.read(|rows| {
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
                    let entries: Vec<Vec<u8>> = leaves.into_iter().map(|leaf| leaf.bytes).collect();
                    (entries.len(), encode_entries(&entries).map_err(StoreError::failed)?)
                }
            };
            if found == usize::from(path.width()) { Ok(Some(bytes)) } else { Err(StoreError::failed("a tile has a hole")) }
        })?;
        Ok(bytes)
    }

    /// The entry with this id and a receipt under the newest checkpoint, or `None`.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn entry(&self, id: &EntryId) -> Result<Option<LoggedEntry>, LogError> {
        Ok(self.readers.read(|rows| rows.leaf_by_entry(id)?.map(|leaf| logged(rows, leaf)).transpose())?)
    }

    /// The entry at this index and a receipt under the newest checkpoint, or `None` past the end.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn proof(&self, index: u64) -> Result<Option<LoggedEntry>, LogError> {
        Ok(self.readers.read(|rows| rows.leaf(index)?.map(|leaf| logged(rows, leaf)).transpose())?)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Without senders the writer ends after its last batch; the file's lock is free only then. Its connection must be the
        // last one to close: a reader can't fold the write-ahead log into the file, and a copy of the file would lack its end.
        self.readers.close();
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn newest(rows: &crate::store::Rows<'_>) -> Result<crate::store::StoredCheckpoint, StoreError> {
    rows.newest_checkpoint()?.ok_or_else(|| StoreError::failed("the log has no checkpoint"))
}

fn logged(rows: &crate::store::Rows<'_>, leaf: StoredLeaf) -> Result<LoggedEntry, StoreError> {
    // Read after the leaf, so its tree holds the leaf: nodes of a committed tree never change.
    let checkpoint = newest(rows)?;
    let proof = inclusion_proof(leaf.index, checkpoint.size, |level, index| rows.expect_node(level, index))?;
    let receipt = Receipt { index: leaf.index, proof, checkpoint: &checkpoint.note }.encode();
    Ok(LoggedEntry { index: leaf.index, leaf: leaf.bytes, receipt })
}

/// Requests that may wait for the writer. A caller beyond that is told to come back: memory stays bounded on a slow disk.
const QUEUE: usize = 4096;

/// How long a caller waits for its commit.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
