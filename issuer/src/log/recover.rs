//! What is left to do when a log was rolled back or lost: never "restore and go on".
//!
//! Either the missing leaves come back, each where it was, up to what was anchored. Or a new log begins under a new name, and
//! its first leaf says which log it follows, where that ended and why.

use std::path::{Path, PathBuf};

use narrows_verifier::Reason;
use narrows_verifier::log::{
    EntryId, Frontier, Hash, Kind, Leaf, MAX_LEAF_BYTES, TILE_WIDTH, TileKind, TilePath, Verdict, VerifierKey, decode_entries, leaf_hash,
    verify_checkpoint,
};

use super::error::LogError;
use super::retention::{Bound, Work};
use super::{anchor, startup};
use crate::bounded_file;
use crate::clients::Registration;
use crate::revocation::{LONGEST_REACH_S, Revoked, Target};
use crate::store::{Batch, Database, Head, KeyRow, RevocationRow, Snapshot, StoreError, StoredLeaf};

/// Where missing leaves come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Another copy of the database.
    Database(PathBuf),
    /// A directory with entry bundles under their tile paths, as they are served.
    Bundles(PathBuf),
}

/// What of the log before goes on in a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// What was revoked.
    pub revoked: Vec<Revoked>,
    /// What was paused.
    pub paused: Vec<Target>,
    /// The clients that operators registered.
    pub clients: Vec<Registration>,
    /// The keys that sign tokens, or did.
    pub keys: Vec<KeyRow>,
    /// How often it was opened, from which the numbers of the revocation feed go on.
    pub epoch: u64,
}

/// What a new log says about the one before it.
#[derive(Clone, Debug)]
pub struct Previous {
    /// Its last checkpoint that is known, as signed.
    pub checkpoint: String,
    /// Why it does not go on.
    pub cause: String,
    /// What goes on all the same.
    pub kept: Kept,
}

/// Brings the leaves back that the log lacks up to its anchor, and gives their number. Nothing is written unless they lead to
/// the very root that was anchored. Names, tasks and spent proofs are in no leaf and do not come back: a hop of a task that
/// was lost is refused, and a proof that was spent since can be spent again until it is too old. Revocations come back, but for
/// cut-offs where the source is no database: [`super::check_database`] names each of those, which has to be made again.
///
/// # Errors
/// What the start-up check finds, `AUDIT_ANCHOR_MISSING`, `LOG_TAIL_MISSING` when the source ends early, and
/// `AUDIT_ROLLBACK_DETECTED` when it leads to another root.
pub fn replay(path: &Path, key: &VerifierKey, anchor_file: &Path, source: &Source) -> Result<u64, LogError> {
    let mut database = Database::open(path)?;
    let edge = startup::check(&database.rows(), key)?;
    let (note, anchored) = anchor::anchored(anchor_file, key)?;
    let head = database.take_over(true)?;
    let batch = database.begin()?;
    let mut growth = Replay { frontier: edge.frontier, last_t_ms: head.last_t_ms, deleted: 0, deleted_to: 0, keys: Vec::new() };
    while growth.frontier.size() < anchored.size {
        let first = growth.frontier.size();
        let leaves = source.leaves(first)?;
        if leaves.is_empty() {
            return Err(LogError::new(Reason::LogTailMissing, format!("the source has no leaf {first}, be it that it was pruned there")));
        }
        let missing = usize::try_from(anchored.size - first).unwrap_or(usize::MAX);
        leaves.into_iter().take(missing).try_for_each(|leaf| growth.append(&batch, leaf))?;
    }
    if growth.frontier.size() != anchored.size || growth.frontier.root() != anchored.root {
        let detail = "the leaves do not lead to what was anchored";
        return Err(LogError::new(Reason::AuditRollbackDetected, detail));
    }
    growth.check_deleted()?;
    for row in source.revocations()?.iter().filter(|row| (head.size..anchored.size).contains(&row.index)) {
        batch.insert_revocation(&row.revoked, row.index)?;
    }
    for (target, index) in source.pauses()?.iter().filter(|(_, index)| (head.size..anchored.size).contains(index)) {
        batch.insert_pause(target, *index)?;
    }
    for (registration, index) in source.clients()?.iter().filter(|(_, index)| (head.size..anchored.size).contains(index)) {
        batch.put_client(registration, *index)?;
    }
    let (keys, unread) = (source.root_keys()?, source.unread_keys()?);
    // Of a key whose state is not known, nothing may be believed: it may have been given up.
    let unread = if keys.is_empty() { &growth.keys } else { &unread };
    unread.iter().filter(|index| growth.keys.contains(index)).try_for_each(|index| batch.insert_unread_key(*index))?;
    for (key, index) in keys.iter().filter(|(_, index)| (head.size..anchored.size).contains(index)) {
        batch.put_root_key(key, *index)?;
    }
    if anchored.size > head.size {
        batch.insert_checkpoint(anchored.size, &anchored.root, &note)?;
        let new = Head { size: anchored.size, root: anchored.root, last_t_ms: growth.last_t_ms, ..head };
        batch.advance_head(&head, &new)?;
    }
    batch.commit()?;
    Ok(anchored.size - head.size)
}

struct Replay {
    frontier: Frontier,
    last_t_ms: u64,
    /// Below which index the leaves that came back say that bytes were deleted.
    deleted: u64,
    /// The index behind the last leaf that came back without its bytes.
    deleted_to: u64,
    /// The leaves about keys.
    keys: Vec<u64>,
}

/// A leaf that comes back.
enum Returning {
    Whole(Vec<u8>),
    /// Its bytes are deleted in the source too. That the hash is right, the anchored root shows.
    Hash(EntryId, Hash),
}

impl Replay {
    fn append(&mut self, batch: &Batch<'_>, leaf: Returning) -> Result<(), LogError> {
        match leaf {
            Returning::Whole(bytes) => self.append_whole(batch, bytes),
            Returning::Hash(entry, hash) => {
                let index = self.frontier.size();
                self.deleted_to = index + 1;
                batch.insert_leaf(&StoredLeaf { index, entry, hash, bytes: Vec::new() })?;
                Ok(batch.insert_nodes(&self.frontier.append(hash)?)?)
            }
        }
    }

    fn append_whole(&mut self, batch: &Batch<'_>, bytes: Vec<u8>) -> Result<(), LogError> {
        let leaf = Leaf::parse(&bytes)?;
        let (index, hash) = (self.frontier.size(), leaf_hash(&bytes));
        batch.insert_leaf(&StoredLeaf { index, entry: leaf.id, hash, bytes })?;
        batch.insert_nodes(&self.frontier.append(hash)?)?;
        if let Some(retention) = &leaf.retention {
            // What the log let go since must not be back because an older copy still had it.
            let work = Work::of(&batch.rows(), retention, index, Bound::None)?;
            work.map_err(|reason| LogError::new(reason, reason.meaning()))?.write(batch, leaf.t_ms / 1000)?;
            self.deleted = retention.deleted;
        }
        if leaf.kind == Kind::Key {
            self.keys.push(index);
        }
        if let (Kind::Hop, Some(block)) = (&leaf.kind, leaf.blocks.last()) {
            batch.insert_derivation(block, index)?;
        }
        for target in revoked(&leaf) {
            let until_s = (leaf.t_ms / 1000).saturating_add(LONGEST_REACH_S);
            batch.insert_revocation(&Revoked { target, before_s: None, until_s }, index)?;
        }
        match (&leaf.kind, leaf.verdict, leaf.task, leaf.of) {
            (Kind::Pause, Verdict::Pause, Some(task), _) => batch.insert_pause(&Target::Task(task), index)?,
            (Kind::Resume, Verdict::Allow, _, Some(paused)) => {
                if let Some(paused) = batch.rows().leaf_by_entry(&paused)? {
                    batch.end_pauses_of(paused.index)?;
                }
            }
            _ => {}
        }
        self.last_t_ms = self.last_t_ms.max(leaf.t_ms);
        Ok(())
    }

    /// A leaf without bytes is whole only where the log itself says that they were deleted.
    fn check_deleted(&self) -> Result<(), LogError> {
        if self.deleted_to <= self.deleted {
            return Ok(());
        }
        Err(LogError::new(Reason::LogLeafMissing, format!("the source has no more than hashes up to leaf {}", self.deleted_to - 1)))
    }
}

impl Source {
    /// The registered clients that a copy of the database has. Bundles have none: what a leaf says of a client is committed to.
    fn clients(&self) -> Result<Vec<(Registration, u64)>, LogError> {
        match self {
            Self::Database(path) => Ok(Snapshot::open(path)?.rows().clients()?),
            Self::Bundles(_) => Ok(Vec::new()),
        }
    }

    /// What a copy of the database has as paused.
    fn pauses(&self) -> Result<Vec<(Target, u64)>, LogError> {
        match self {
            Self::Database(path) => Ok(Snapshot::open(path)?.rows().pauses()?),
            Self::Bundles(_) => Ok(Vec::new()),
        }
    }

    /// What a copy of the database says of keys. Bundles say nothing in clear.
    fn root_keys(&self) -> Result<Vec<(KeyRow, u64)>, LogError> {
        match self {
            Self::Database(path) => Ok(Snapshot::open(path)?.rows().root_keys()?),
            Self::Bundles(_) => Ok(Vec::new()),
        }
    }

    /// The leaves about keys that a copy of the database can't read.
    fn unread_keys(&self) -> Result<Vec<u64>, LogError> {
        match self {
            Self::Database(path) => Ok(Snapshot::open(path)?.rows().unread_keys()?),
            Self::Bundles(_) => Ok(Vec::new()),
        }
    }

    /// The revocations that a copy of the database has.
    fn revocations(&self) -> Result<Vec<RevocationRow>, LogError> {
        match self {
            Self::Database(path) => Ok(Snapshot::open(path)?.rows().revocations(0)?),
            Self::Bundles(_) => Ok(Vec::new()),
        }
    }

    /// Some leaves from `first` on.
    fn leaves(&self, first: u64) -> Result<Vec<Returning>, LogError> {
        match self {
            Self::Database(path) => {
                let leaves = Snapshot::open(path)?.rows().leaves(first, TILE_WIDTH)?;
                let in_order = leaves.into_iter().zip(first..).take_while(|(leaf, index)| leaf.index == *index);
                let returning = |leaf: StoredLeaf| match leaf.is_deleted() {
                    true => Returning::Hash(leaf.entry, leaf.hash),
                    false => Returning::Whole(leaf.bytes),
                };
                Ok(in_order.map(|(leaf, _)| returning(leaf)).collect())
            }
            Self::Bundles(directory) => {
                let width = u64::from(TILE_WIDTH);
                let bundle = widest_bundle(directory, first / width)?;
                let within = usize::try_from(first % width).unwrap_or(usize::MAX);
                Ok(bundle.into_iter().skip(within).map(Returning::Whole).collect())
            }
        }
    }
}

/// What a leaf in clear has revoked. A cut-off names nobody in clear: it comes back with a copy of the database alone.
fn revoked(leaf: &Leaf) -> Vec<Target> {
    let cut_off = ["agent", "holder", "subject"].into_iter().any(|name| leaf.fields.contains_key(name));
    match leaf.kind {
        Kind::Revoke if leaf.verdict == Verdict::Allow && !cut_off => {
            let task = leaf.task.filter(|_| leaf.blocks.is_empty()).map(Target::Task);
            leaf.blocks.iter().copied().map(Target::Block).chain(task).collect()
        }
        _ => Vec::new(),
    }
}

/// The bundle with the most entries that the directory has of this index: a full one, or the widest partial one.
fn widest_bundle(directory: &Path, index: u64) -> Result<Vec<Vec<u8>>, LogError> {
    for width in (1..=TILE_WIDTH).rev() {
        let path = directory.join(TilePath::new(TileKind::Entries, index, width)?.to_string());
        if !path.exists() {
            continue;
        }
        let bytes = bounded_file::read(&path, MAX_BUNDLE_BYTES)
            .map_err(|error| LogError::new(Reason::TileMalformed, format!("`{}` can't be read: {error}", path.display())))?;
        return Ok(decode_entries(&bytes, width)?.into_iter().map(<[u8]>::to_vec).collect());
    }
    Ok(Vec::new())
}

/// The larger of the log's newest checkpoint and its anchor, as far as they can be read.
///
/// # Errors
/// `AUDIT_ANCHOR_MISSING` when neither can be, and `LOG_BUSY` while a service writes the log.
pub fn last_checkpoint(path: &Path, anchor_file: &Path, key: &VerifierKey) -> Result<String, LogError> {
    let stored = match Database::open(path) {
        Err(StoreError::Busy) => return Err(StoreError::Busy.into()),
        Ok(database) => database.rows().newest_checkpoint()?,
        Err(_) => None,
    };
    let stored = stored.and_then(|stored| {
        let checkpoint = verify_checkpoint(&stored.note, std::slice::from_ref(key)).ok()?;
        Some((stored.note, checkpoint))
    });
    let anchored = anchor::anchored(anchor_file, key).ok();
    let newest = [stored, anchored].into_iter().flatten().max_by_key(|(_, checkpoint)| checkpoint.size);
    newest.map(|(note, _)| note).ok_or_else(|| LogError::new(Reason::AuditAnchorMissing, "neither log nor anchor has a checkpoint"))
}

/// What is to be kept of a log whose tables can still be read.
///
/// # Errors
/// What the file met.
pub fn kept(path: &Path) -> Result<Kept, LogError> {
    let snapshot = Snapshot::open(path)?;
    let rows = snapshot.rows();
    let epoch = rows.head()?.and_then(|head| u64::try_from(head.epoch).ok()).unwrap_or(0);
    let clients = rows.clients()?.into_iter().map(|(registration, _)| registration).collect();
    let revoked = rows.revocations(0)?.into_iter().map(|row| row.revoked).collect();
    let paused = rows.pauses()?.into_iter().map(|(target, _)| target).collect();
    let keys = rows.root_keys()?.into_iter().map(|(row, _)| row).collect();
    Ok(Kept { revoked, paused, clients, keys, epoch })
}

const MAX_BUNDLE_BYTES: u64 = TILE_WIDTH as u64 * (MAX_LEAF_BYTES as u64 + 2);
