//! Finding the leaves of a selection: by the index as far as it reaches, by reading leaf after leaf beyond.

use narrows_verifier::log::{Disclosure, Leaf, Selection, TILE_WIDTH};

use super::index::{Index, terms_of};
use crate::log::{LogError, first_at, parse};
use crate::store::{Rows, StoreError, StoredLeaf};

/// A leaf that belongs to a selection.
pub(super) struct Hit {
    pub(super) index: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) disclosures: Vec<Disclosure>,
}

/// What was found before a bound was met.
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    /// The last index looked at; `None` when nothing of the selection is left.
    pub(super) next: Option<u64>,
}

/// Looks for the selection among the first `size` leaves. The index only proposes: each leaf is read and compared itself.
pub(super) fn find(rows: &Rows<'_>, index: Option<&Index>, selection: &Selection, size: u64, limit: u16) -> Result<Found, LogError> {
    let (mut at, end) = range(rows, selection, size)?;
    let mut found = Found { hits: Vec::new(), next: None };
    let (mut bytes, mut looked) = (0, 0);
    while at < end {
        // A page may be looked at in part only: a bound inside of it ends the search at the leaf reached.
        let page = candidates(rows, index, selection, at, end)?;
        for stored in page.leaves {
            let reached = stored.index;
            bytes += stored.bytes.len();
            looked += 1;
            if let Some(hit) = matching(rows, selection, stored)? {
                found.hits.push(hit);
            }
            if found.hits.len() >= usize::from(limit) || bytes > MAX_BYTES || looked >= MAX_LOOKED {
                found.next = (reached + 1 < end).then_some(reached);
                return Ok(found);
            }
        }
        at = page.end;
    }
    Ok(found)
}

/// Leaves from `at` on that may belong, and the index up to which none else does.
struct Candidates {
    leaves: Vec<StoredLeaf>,
    end: u64,
}

fn candidates(rows: &Rows<'_>, index: Option<&Index>, selection: &Selection, at: u64, end: u64) -> Result<Candidates, LogError> {
    if let Some(index) = index
        && let Some(proposed) = index.propose(selection, at, end)?
    {
        let mut leaves = Vec::with_capacity(proposed.indices.len());
        for place in proposed.indices {
            // A row that leads nowhere is the index's fault, and no answer.
            leaves.extend(rows.leaf(place)?);
        }
        return Ok(Candidates { leaves, end: proposed.end });
    }
    let mut leaves = rows.leaves(at, TILE_WIDTH)?;
    leaves.retain(|leaf| leaf.index < end);
    let end = leaves.last().map_or(end, |last| last.index + 1);
    Ok(Candidates { leaves, end })
}

fn matching(rows: &Rows<'_>, selection: &Selection, stored: StoredLeaf) -> Result<Option<Hit>, LogError> {
    let leaf = parse(&stored)?;
    if !selection.clear_matches(stored.index, &leaf) {
        return Ok(None);
    }
    let disclosures = opening(rows, &stored, &leaf)?;
    Ok(selection.names_match(&disclosures).then_some(Hit { index: stored.index, bytes: stored.bytes, disclosures }))
}

/// The disclosures of a leaf that open its commitments; any other is no name.
pub(super) fn opening(rows: &Rows<'_>, stored: &StoredLeaf, leaf: &Leaf) -> Result<Vec<Disclosure>, LogError> {
    let mut disclosures = match rows.disclosures(&stored.entry) {
        // Somebody changed a row beside the log: the full check names it, and the leaf itself can still be read.
        Err(StoreError::DisclosureBroken) => Vec::new(),
        found => found?,
    };
    disclosures.retain(|disclosure| leaf.commitment(&disclosure.name).is_some_and(|commitment| disclosure.opens(commitment)));
    Ok(disclosures)
}

/// Indices that the selection's indices and times leave, of those that are not pruned: time never goes back in the log, so it is a
/// range too.
fn range(rows: &Rows<'_>, selection: &Selection, size: u64) -> Result<(u64, u64), LogError> {
    let minimum = rows.minimum_index()?;
    let first = selection.after.map_or(0, |after| after.saturating_add(1)).max(minimum);
    let end = selection.before.unwrap_or(u64::MAX).min(size);
    let first = selection.from_ms.map_or(Ok(0), |from| first_at(rows, from, minimum, size))?.max(first);
    let end = selection.to_ms.map_or(Ok(size), |to| first_at(rows, to, minimum, size))?.min(end);
    Ok((first, end))
}

/// True when an index can narrow the selection at all.
pub(super) fn is_indexed(selection: &Selection) -> bool {
    !terms_of(selection).is_empty()
}

/// Bytes of leaves looked at for one answer: a client reads no larger one.
const MAX_BYTES: usize = 2 << 20;

/// Leaves looked at for one answer, so that no question keeps a reader busy for long.
const MAX_LOOKED: usize = 4096;
