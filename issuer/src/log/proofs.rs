//! What others need to check the log's growth: signed heads, consistency proofs, receipts under a chosen head.

use narrows_verifier::log::{EntryId, Hash, Receipt, consistency_proof, inclusion_proof, root};

use super::{Log, LogError, newest};

/// A signed checkpoint with what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHead {
    /// Number of leaves.
    pub size: u64,
    /// Root of that tree.
    pub root: Hash,
    /// The note.
    pub note: String,
}

impl Log {
    /// Ends after the next answered commit, at once when there was one since the last wait. One caller waits at a time.
    pub async fn committed(&self) {
        self.committed.notified().await;
    }

    /// The newest signed head.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn newest(&self) -> Result<SignedHead, LogError> {
        let checkpoint = self.readers.read(newest)?;
        Ok(SignedHead { size: checkpoint.size, root: checkpoint.root, note: checkpoint.note })
    }

    /// The root at a size that the log has had.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`, also for a size beyond the log.
    pub fn root_at(&self, size: u64) -> Result<Hash, LogError> {
        Ok(self.readers.read(|rows| root(size, |level, index| rows.expect_node(level, index)))?)
    }

    /// The consistency proof between two sizes that the log has had.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`, also unless `0 < old <= new` and the log is as large.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, LogError> {
        Ok(self.readers.read(|rows| consistency_proof(old, new, |level, index| rows.expect_node(level, index)))?)
    }

    /// Where the entry with this id is.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn index_of(&self, entry: &EntryId) -> Result<Option<u64>, LogError> {
        Ok(self.readers.read(|rows| Ok(rows.leaf_by_entry(entry)?.map(|leaf| leaf.index)))?)
    }

    /// A receipt of leaf `index` under a head of this log, or `None` when the head's tree does not hold it.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn receipt_under(&self, index: u64, head: &SignedHead) -> Result<Option<String>, LogError> {
        if index >= head.size {
            return Ok(None);
        }
        let proof = self.readers.read(|rows| inclusion_proof(index, head.size, |level, index| rows.expect_node(level, index)))?;
        Ok::<_, LogError>(Some(Receipt { index, proof, checkpoint: &head.note }.encode()))
    }
}
