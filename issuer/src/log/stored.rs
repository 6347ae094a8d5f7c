//! Leaves as the store gives them, read.

use narrows_verifier::Reason;
use narrows_verifier::log::Leaf;

use super::error::LogError;
use crate::store::{Rows, StoredLeaf};

/// The leaf, or a refusal that names its place.
pub(crate) fn parse(stored: &StoredLeaf) -> Result<Leaf, LogError> {
    let index = stored.index;
    Leaf::parse(&stored.bytes).map_err(|refusal| LogError::new(refusal.reason, format!("{}, at leaf {index}", refusal.detail)))
}

/// The first leaf from `low` on that is not older than this time, or `size`. Time never goes back in the log; below `low` lies
/// what is pruned, and is not looked at.
pub(crate) fn first_at(rows: &Rows<'_>, t_ms: u64, low: u64, size: u64) -> Result<u64, LogError> {
    let (mut low, mut high) = (low, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let stored = rows.leaf(middle)?.ok_or_else(|| LogError::new(Reason::LogLeafMissing, format!("leaf {middle} is missing")))?;
        if parse(&stored)?.t_ms < t_ms { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
