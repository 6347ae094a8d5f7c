//! The log as its readers see it: every answer from one unchanging view, with proofs under one checkpoint.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use narrows_verifier::Reason;
use narrows_verifier::log::{
    Bundle, BundleEntry, EntryId, Hash, LoggedRetention, Receipt, Selection, VerifierKey, consistency_proof, inclusion_proof, packs_of,
    prefix_path,
};

use super::index::Index;
use super::query::Query;
use super::scan::{Hit, find, opening};
use crate::log::{LogError, parse, stated};
use crate::store::{Rows, Snapshot, StoredCheckpoint, StoredLeaf};

/// A log file for reading, also while a service writes it, and the index beside it, where there is one.
#[derive(Clone)]
pub struct Archive {
    log: PathBuf,
    index: Option<Arc<Index>>,
    key: VerifierKey,
}

/// Where the log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The newest signed checkpoint.
    pub checkpoint: String,
    /// Its number of leaves.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// What the log keeps, by its newest leaf about that; `None` for a log from which nothing has gone.
    pub retention: Option<LoggedRetention>,
    /// The time of the newest leaf, in milliseconds since 1970.
    pub t_ms: u64,
}

/// That a leaf is in the log, without the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafProof {
    /// Position of the leaf.
    pub index: u64,
    /// The leaf's hash.
    pub leaf_hash: Hash,
    /// A `c2sp.org/tlog-proof@v1` text for it.
    pub receipt: String,
}

/// That one checkpoint's tree is a prefix of another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consistency {
    /// The hashes of the proof (RFC 9162 §2.1.4).
    pub proof: Vec<Hash>,
    /// What shows the newer tree's root at the older size, whatever the older checkpoint says.
    pub path: Vec<Hash>,
    /// The newer checkpoint.
    pub checkpoint: String,
    /// Its size.
    pub to: u64,
}

impl Head {
    /// The first leaf that can still be had; below it, only hashes are.
    pub fn minimum_index(&self) -> u64 {
        self.retention.as_ref().map_or(0, |logged| logged.state.minimum)
    }
}

impl Archive {
    /// The log at `log`, whose checkpoints `key` signs.
    pub fn new(log: &Path, index: Option<Arc<Index>>, key: VerifierKey) -> Self {
        Self { log: log.to_owned(), index, key }
    }

    /// Where the log stands.
    ///
    /// # Errors
    /// `LOG_MISSING`, `LOG_UNREADABLE` or `LOG_RETENTION_CHANGED`.
    pub fn head(&self) -> Result<Head, LogError> {
        let snapshot = Snapshot::open(&self.log)?;
        let rows = snapshot.rows();
        let StoredCheckpoint { size, root, note } = checkpoint(&rows, None)?;
        let newest = size.checked_sub(1).map(|newest| rows.leaf(newest)).transpose()?.flatten();
        let t_ms = newest.map(|stored| parse(&stored)).transpose()?.map_or(0, |leaf| leaf.t_ms);
        Ok(Head { checkpoint: note, size, root, retention: stated(&rows)?, t_ms })
    }

    /// A checkpoint and its size, the newest or that of a size, and the minimum index.
    ///
    /// # Errors
    /// `CHECKPOINT_UNKNOWN` for a size that no checkpoint has, or what the log's file met.
    pub fn checkpoint(&self, size: Option<u64>) -> Result<(u64, String, u64), LogError> {
        let snapshot = Snapshot::open(&self.log)?;
        let rows = snapshot.rows();
        let stored = checkpoint(&rows, size)?;
        Ok((stored.size, stored.note, rows.minimum_index()?))
    }

    /// The leaves that a question finds, as evidence. What is pruned is not found, and the evidence says so.
    ///
    /// # Errors
    /// `CHECKPOINT_UNKNOWN` for a size that no checkpoint has, `ENTRY_PRUNED` where leaves were pruned since that size, so that its tree
    /// can't show it, or what the log's file met.
    pub fn search(&self, query: &Query) -> Result<Bundle, LogError> {
        let snapshot = Snapshot::open(&self.log)?;
        let rows = snapshot.rows();
        let checkpoint = checkpoint(&rows, query.size)?;
        let index = self.index.as_deref().filter(|_| super::scan::is_indexed(&query.selection));
        let found = find(&rows, index, &query.selection, checkpoint.size, query.limit)?;
        self.bundle(&rows, checkpoint, query.selection.clone(), (found.hits, found.next), query.names)
    }

    /// One entry by its id, as evidence; `None` when the log has none of this id.
    ///
    /// # Errors
    /// `ENTRY_PRUNED`, or what the log's file met.
    pub fn entry(&self, id: &EntryId, names: bool) -> Result<Option<Bundle>, LogError> {
        self.one(id, names, false)
    }

    /// The same for whoever has the file: a pruned leaf too, where its bytes were not deleted.
    ///
    /// # Errors
    /// `ENTRY_PRUNED` where they were, or what the log's file met.
    pub fn entry_or_pruned(&self, id: &EntryId, names: bool) -> Result<Option<Bundle>, LogError> {
        self.one(id, names, true)
    }

    fn one(&self, id: &EntryId, names: bool, pruned: bool) -> Result<Option<Bundle>, LogError> {
        let snapshot = Snapshot::open(&self.log)?;
        let rows = snapshot.rows();
        let Some(stored) = rows.leaf_by_entry(id)? else { return Ok(None) };
        if stored.is_deleted() || (!pruned && rows.minimum_index()? > stored.index) {
            return Err(LogError::new(Reason::EntryPruned, Reason::EntryPruned.meaning()));
        }
        let leaf = parse(&stored)?;
        let disclosures = opening(&rows, &stored, &leaf)?;
        let selection = Selection { after: stored.index.checked_sub(1), before: Some(stored.index + 1), ..Selection::default() };
        let hit = Hit { index: stored.index, bytes: stored.bytes, disclosures };
        self.bundle(&rows, checkpoint(&rows, None)?, selection, (vec![hit], None), names).map(Some)
    }

    /// A receipt for the leaf at this index, under the newest checkpoint or the one of this size. It shows no leaf, so
    /// everybody may have it.
    ///
    /// # Errors
    /// `CHECKPOINT_UNKNOWN`, or what the log's file met.
    pub fn proof(&self, index: u64, size: Option<u64>) -> Result<Option<LeafProof>, LogError> {
        let snapshot = Snapshot::open(&self.log)?;
        let rows = snapshot.rows();
        proven(&rows, rows.leaf(index)?, size)
    }

    /// The same for the entry with this id.
    ///
    /// # Errors
    /// As [`Archive::proof`].
    pub fn proof_of_entry(&self, id: &EntryId, size: Option<u64>) -> Result<Option<LeafProof>, LogError> {
        let snapshot = Snapshot::open(&self.log)?;
        let rows = snapshot.rows();
        proven(&rows, rows.leaf_by_entry(id)?, size)
    }

    /// The proof that the first `from` leaves are a prefix of the tree of `to`, or of the newest checkpoint.
    ///
    /// # Errors
    /// `CHECKPOINT_UNKNOWN` when no checkpoint has that size or `from` is not a size up to it.
    pub fn consistency(&self, from: u64, to: Option<u64>) -> Result<Consistency, LogError> {
        let snapshot = Snapshot::open(&self.log)?;
        let rows = snapshot.rows();
        let checkpoint = checkpoint(&rows, to)?;
        if from == 0 || from > checkpoint.size {
            return Err(LogError::new(Reason::CheckpointUnknown, "no tree of that size is a part of this one"));
        }
        let proof = consistency_proof(from, checkpoint.size, |level, index| rows.expect_node(level, index))?;
        let path = prefix_path(from, checkpoint.size, |level, index| rows.expect_node(level, index))?;
        Ok(Consistency { proof, path, checkpoint: checkpoint.note, to: checkpoint.size })
    }

    fn bundle(
        &self,
        rows: &Rows<'_>,
        checkpoint: StoredCheckpoint,
        selection: Selection,
        (hits, next): (Vec<Hit>, Option<u64>),
        names: bool,
    ) -> Result<Bundle, LogError> {
        let entry = |hit: Hit| -> Result<BundleEntry, LogError> {
            let proof = inclusion_proof(hit.index, checkpoint.size, |level, index| rows.expect_node(level, index))?;
            let leaf = String::from_utf8(hit.bytes).map_err(|_| LogError::new(Reason::LeafMalformed, "a leaf is no text"))?;
            let disclosures = if names { hit.disclosures } else { Vec::new() };
            Ok(BundleEntry { index: hit.index, leaf, proof, disclosures })
        };
        let retention = kept(rows, &selection, checkpoint.size)?.map(entry).transpose()?;
        let entries = hits.into_iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let packs = packs_of(&entries);
        Ok(Bundle { selection, checkpoint: checkpoint.note, keys: vec![self.key.clone()], packs, entries, next, retention })
    }
}

/// The leaf that says what the log keeps, where the tree of this size holds it. Where it does not, that tree's reader could take
/// what is pruned for something that was held back.
fn kept(rows: &Rows<'_>, selection: &Selection, size: u64) -> Result<Option<Hit>, LogError> {
    let Some(row) = rows.retention()? else { return Ok(None) };
    if row.leaf >= size {
        let first = selection.after.map_or(0, |after| after.saturating_add(1));
        let pruned = LogError::new(Reason::EntryPruned, "leaves were pruned since the log had this size: ask under a newer one");
        return if first < row.minimum { Err(pruned) } else { Ok(None) };
    }
    let stored = rows.leaf(row.leaf)?.ok_or_else(|| LogError::new(Reason::LogLeafMissing, format!("leaf {} is missing", row.leaf)))?;
    Ok(Some(Hit { index: stored.index, bytes: stored.bytes, disclosures: Vec::new() }))
}

fn proven(rows: &Rows<'_>, stored: Option<StoredLeaf>, size: Option<u64>) -> Result<Option<LeafProof>, LogError> {
    let checkpoint = checkpoint(rows, size)?;
    let Some(stored) = stored.filter(|stored| stored.index < checkpoint.size) else { return Ok(None) };
    let proof = inclusion_proof(stored.index, checkpoint.size, |level, index| rows.expect_node(level, index))?;
    let receipt = Receipt { index: stored.index, proof, checkpoint: &checkpoint.note }.encode();
    Ok(Some(LeafProof { index: stored.index, leaf_hash: stored.hash, receipt }))
}

/// The checkpoint of exactly this size, or the newest.
fn checkpoint(rows: &Rows<'_>, size: Option<u64>) -> Result<StoredCheckpoint, LogError> {
    let found = match size {
        None => rows.newest_checkpoint()?,
        Some(size) => rows.next_checkpoint(size.saturating_sub(1))?.filter(|found| found.size == size),
    };
    found.ok_or_else(|| LogError::new(Reason::CheckpointUnknown, "no checkpoint of that size was signed"))
}
