//! The one writer: takes whatever waits, writes it in one transaction, and answers after the commit.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use narrows_verifier::Reason;
use narrows_verifier::log::{Checkpoint, Frontier, Hash, Receipt, inclusion_proof, leaf_hash};
use tokio::sync::oneshot;

use super::append::{Admission, LeafDraft, Outcome, SideRow, admit, write_side_row};
use super::error::LogError;
use super::signer::LogSigner;
use super::startup::Edge;
use crate::clock::Clock;
use crate::store::{Batch, Database, Head, StoreError, StoredLeaf};

pub(super) struct Request {
    pub(super) draft: LeafDraft,
    pub(super) side_rows: Vec<SideRow>,
    pub(super) reply: oneshot::Sender<Result<Outcome, LogError>>,
}

/// Everything that appending needs; it lives on the writer's thread alone.
pub(super) struct Writer {
    database: Database,
    head: Head,
    frontier: Frontier,
    /// The signed note of `head`.
    checkpoint: String,
    signer: LogSigner,
    now_ms: Clock,
    healthy: Arc<AtomicBool>,
}

/// Where a request ended up within its batch, before there is a checkpoint to prove it under.
enum Placed {
    Appended(u64, Vec<u8>),
    Existing(u64, Vec<u8>),
    Refused(Reason),
}

impl Writer {
    pub(super) fn new(database: Database, head: Head, edge: Edge, signer: LogSigner, now_ms: Clock, healthy: Arc<AtomicBool>) -> Self {
        Self { database, head, frontier: edge.frontier, checkpoint: edge.checkpoint, signer, now_ms, healthy }
    }

    pub(super) fn run(mut self, queue: &Receiver<Request>) {
        // Also when this thread ends by a panic: nobody may go on believing that the log is written.
        let _stopped = Stopped(Arc::clone(&self.healthy));
        while let Ok(first) = queue.recv() {
            let requests = std::iter::once(first).chain(queue.try_iter()).take(MAX_BATCH);
            let (work, replies): (Vec<_>, Vec<_>) = requests.map(|request| ((request.draft, request.side_rows), request.reply)).unzip();
            for (reply, outcome) in replies.into_iter().zip(self.answers(work)) {
                // A caller that has gone away needs no answer; its leaf stays.
                let _ = reply.send(outcome);
            }
        }
    }

    fn answers(&mut self, work: Vec<(LeafDraft, Vec<SideRow>)>) -> Vec<Result<Outcome, LogError>> {
        let count = work.len();
        if self.healthy.load(Ordering::Acquire) {
            match self.write(work) {
                Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
                Err(error) => {
                    // Whether a failed commit reached the disk is unknown, and trying again on the same handle can turn a
                    // lost page into a silent fork. Only a restart, which reads the file afresh, is safe.
                    self.healthy.store(false, Ordering::Release);
                    tracing::error!(reason = error.reason().code(), %error, "the log stopped: a commit failed");
                }
            }
        }
        (0..count).map(|_| Err(LogError::stopped())).collect()
    }

    fn write(&mut self, work: Vec<(LeafDraft, Vec<SideRow>)>) -> Result<Vec<Outcome>, StoreError> {
        let now_ms = (self.now_ms)();
        let now_s = now_ms / 1000;
        if now_ms + CLOCK_STEP_MS < self.head.last_t_ms {
            tracing::warn!(last_t_ms = self.head.last_t_ms, now_ms, "the clock stepped back; leaves keep the last time");
        }
        // Order comes from the index; a clock that steps back must not make time look reversed.
        let t_ms = now_ms.max(self.head.last_t_ms);
        let batch = self.database.begin()?;
        if batch.rows().head()? != Some(self.head) {
            return Err(StoreError::HeadMoved);
        }
        let mut tree = Growth { frontier: self.frontier.clone(), nodes: HashMap::new() };
        let mut placed = Vec::with_capacity(work.len());
        for (draft, side_rows) in work {
            placed.push(tree.place(&batch, draft, &side_rows, t_ms, now_s)?);
        }
        let size = tree.frontier.size();
        if size == self.head.size {
            return placed.into_iter().map(|it| it.outcome(&batch, &mut tree.nodes, size, &self.checkpoint)).collect();
        }
        let root = tree.frontier.root();
        let note = self.signer.sign(&Checkpoint { origin: self.signer.origin().to_owned(), size, root });
        let head = Head { size, root, epoch: self.head.epoch, last_t_ms: t_ms };
        batch.insert_checkpoint(size, &root, &note)?;
        batch.prune_single_use(now_s)?;
        batch.advance_head(&self.head, &head)?;
        let outcomes: Result<Vec<_>, _> = placed.into_iter().map(|it| it.outcome(&batch, &mut tree.nodes, size, &note)).collect();
        let outcomes = outcomes?;
        batch.commit()?;
        // Only now may anything leave: until here, leaves and signed checkpoint existed in this transaction alone.
        (self.head, self.frontier, self.checkpoint) = (head, tree.frontier, note);
        Ok(outcomes)
    }
}

/// The tree as it grows within one transaction, with the hashes that this batch has made or read.
struct Growth {
    frontier: Frontier,
    nodes: HashMap<(u8, u64), Hash>,
}

impl Growth {
    fn place(&mut self, batch: &Batch<'_>, draft: LeafDraft, side_rows: &[SideRow], t_ms: u64, now_s: u64) -> Result<Placed, StoreError> {
        let rows = batch.rows();
        let leaf = draft.into_leaf(t_ms);
        let bytes = match leaf.to_bytes() {
            Ok(bytes) => bytes,
            Err(refusal) => return Ok(Placed::Refused(refusal.reason)),
        };
        match admit(&rows, &leaf, side_rows, now_s)? {
            Admission::Append => {}
            Admission::Refuse(reason) => return Ok(Placed::Refused(reason)),
            Admission::Existing(index) => {
                let leaf = rows.leaf(index)?.ok_or_else(|| StoreError::failed("a logged block has no leaf"))?;
                return Ok(Placed::Existing(index, leaf.bytes));
            }
        }
        let (index, hash) = (self.frontier.size(), leaf_hash(&bytes));
        let stored = StoredLeaf { index, entry: leaf.id, hash, bytes };
        batch.insert_leaf(&stored)?;
        let completed = self.frontier.append(hash)?;
        batch.insert_nodes(&completed)?;
        self.nodes.extend(completed.iter().map(|node| ((node.level, node.index), node.hash)));
        for row in side_rows {
            write_side_row(batch, index, &leaf.id, row)?;
        }
        Ok(Placed::Appended(index, stored.bytes))
    }
}

impl Placed {
    fn outcome(self, batch: &Batch<'_>, nodes: &mut HashMap<(u8, u64), Hash>, size: u64, checkpoint: &str) -> Result<Outcome, StoreError> {
        let mut receipt = |index: u64| -> Result<String, StoreError> {
            let proof = inclusion_proof(index, size, |level, index| match nodes.get(&(level, index)) {
                Some(hash) => Ok(*hash),
                None => {
                    let hash = batch.rows().expect_node(level, index)?;
                    nodes.insert((level, index), hash);
                    Ok::<_, StoreError>(hash)
                }
            })?;
            Ok(Receipt { index, proof, checkpoint }.encode())
        };
        Ok(match self {
            Self::Appended(index, leaf) => Outcome::Appended { index, receipt: receipt(index)?, leaf },
            Self::Existing(index, leaf) => Outcome::Existing { index, receipt: receipt(index)?, leaf },
            Self::Refused(reason) => Outcome::Refused(reason),
        })
    }
}

struct Stopped(Arc<AtomicBool>);

impl Drop for Stopped {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Bounds the memory of one transaction and the wait of its first caller.
const MAX_BATCH: usize = 512;

/// Steps of the clock below this are ordinary time synchronisation.
const CLOCK_STEP_MS: u64 = 1000;
