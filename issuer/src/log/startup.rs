//! The quick check at every start: the log's right edge, from the last bundle up to the signed checkpoint.

use std::collections::HashMap;

use narrows_verifier::Reason;
use narrows_verifier::log::{Frontier, Hash, TILE_WIDTH, VerifierKey, leaf_hash, verify_checkpoint};

use super::error::LogError;
use super::retention::stated;
use crate::store::Rows;

/// What the writer goes on from.
pub(super) struct Edge {
    pub(super) frontier: Frontier,
    pub(super) checkpoint: String,
}

/// Compares head, tree edge, newest checkpoint and last entries, all of which a restart after damage would build on.
pub(super) fn check(rows: &Rows<'_>, key: &VerifierKey) -> Result<Edge, LogError> {
    let head = rows.head()?.ok_or_else(|| LogError::new(Reason::LogTailMissing, "the log's head is missing"))?;
    let checkpoint = rows.newest_checkpoint()?.ok_or_else(|| LogError::new(Reason::LogTailMissing, "the log has no checkpoint"))?;
    let signed = verify_checkpoint(&checkpoint.note, std::slice::from_ref(key))?;
    if signed.size != checkpoint.size || signed.root != checkpoint.root || head.size < signed.size {
        return Err(LogError::new(Reason::LogTailMissing, "the head lies behind the newest checkpoint"));
    }
    if head.size != signed.size || head.root != signed.root {
        return Err(LogError::new(Reason::LogRootMismatch, "the head is not what the newest checkpoint signs"));
    }
    let last_bundle = check_last_entries(rows, head.size)?;
    let frontier = Frontier::load(head.size, |level, index| match last_bundle.get(&(level, index)) {
        Some(hash) => Ok(*hash),
        None => rows.node(level, index)?.ok_or_else(|| LogError::new(Reason::LogHashChanged, "a hash at the tree's edge is missing")),
    })?;
    if frontier.root() != head.root {
        return Err(LogError::new(Reason::LogRootMismatch, "the tree's edge does not lead to the signed root"));
    }
    // What look-ups hide, and what the next step goes on from. That no newer leaf says more, the full check shows.
    stated(rows)?;
    Ok(Edge { frontier, checkpoint: checkpoint.note })
}

/// Checks the entries of the last bundle and returns the tree's hashes over them, computed from their bytes.
fn check_last_entries(rows: &Rows<'_>, size: u64) -> Result<HashMap<(u8, u64), Hash>, LogError> {
    let first = size.saturating_sub(1) / u64::from(TILE_WIDTH) * u64::from(TILE_WIDTH);
    // One more than the bundle can hold shows a leaf beyond the head.
    let leaves = rows.leaves(first, TILE_WIDTH + 1)?;
    let (mut bundle, mut nodes) = (Frontier::empty(), HashMap::new());
    for (expected, leaf) in (first..).zip(&leaves) {
        if leaf.index != expected {
            return Err(LogError::new(Reason::LogLeafMissing, format!("leaf {expected} is missing")));
        }
        if leaf.index >= size {
            return Err(LogError::new(Reason::LogRootMismatch, format!("leaf {expected} lies beyond the head")));
        }
        if leaf_hash(&leaf.bytes) != leaf.hash {
            return Err(LogError::new(Reason::LogLeafChanged, format!("leaf {expected} does not hash to its stored hash")));
        }
        for node in bundle.append(leaf.hash)? {
            nodes.insert((node.level, node.index + (first >> node.level)), node.hash);
        }
    }
    let last = first + leaves.len() as u64;
    if last < size {
        return Err(LogError::new(Reason::LogTailMissing, format!("leaf {last} is missing and nothing follows it")));
    }
    if rows.leaf_count()? != size {
        return Err(LogError::new(Reason::LogLeafMissing, "a leaf in the middle of the log is missing"));
    }
    Ok(nodes)
}
