//! What a leaf of kind `retention` does, in the transaction that makes it durable.

use narrows_verifier::Reason;
use narrows_verifier::log::{BlockId, EntryId, Kind, Leaf, LoggedRetention, Retention, TILE_WIDTH, TaskId, leaf_hash};

use super::step::{STEP, expiring};
use crate::store::{Batch, RetentionRow, Rows, StoreError, StoredLeaf};

/// What the log says that it keeps, by its newest leaf about that.
pub(crate) fn stated(rows: &Rows<'_>) -> Result<Option<LoggedRetention>, StoreError> {
    let Some(row) = rows.retention()? else { return Ok(None) };
    let leaf = rows.leaf(row.leaf)?.and_then(|stored| Leaf::parse(&stored.bytes).ok());
    let state = leaf.and_then(|leaf| leaf.retention).filter(|state| (state.minimum, state.deleted) == (row.minimum, row.deleted));
    state.map(|state| Some(LoggedRetention { index: row.leaf, state })).ok_or(StoreError::RetentionChanged)
}

/// All that a leaf of this kind changes beside the tree.
pub(in crate::log) struct Work {
    row: RetentionRow,
    /// Leaves whose disclosures expire, with their tasks.
    expire: Vec<(EntryId, Option<TaskId>)>,
    /// Leaves that are pruned.
    prune: Vec<EntryId>,
    /// Leaves whose bytes go.
    delete: Vec<Deleted>,
}

struct Deleted {
    index: u64,
    /// The block that it is found by, where it is.
    block: Option<BlockId>,
    /// The task that it began, where it did.
    task: Option<TaskId>,
}

/// How much one leaf may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::log) enum Bound {
    /// As much as a commit beside others can take.
    OneStep,
    /// All of it, where nobody waits.
    None,
}

impl Work {
    /// Finds what the leaf at `index`, which states `after`, is to change. The inner error refuses that leaf and nothing else: it
    /// takes something back, or what it would let go is not what the log has signed, and must stay for whoever looks into that.
    pub(in crate::log) fn of(rows: &Rows<'_>, after: &Retention, index: u64, bound: Bound) -> Result<Result<Self, Reason>, StoreError> {
        let before = stated(rows)?.map(|logged| logged.state);
        if !after.follows(before.as_ref(), index) {
            return Ok(Err(Reason::LogRetentionChanged));
        }
        let before = before.unwrap_or(Retention::none(after.policy));
        let expiring = expiring(&before, after);
        let expire: u64 = expiring.iter().map(|(range, _)| range.end - range.start).sum();
        let most = if bound == Bound::OneStep { STEP } else { u64::MAX };
        if expire.max(after.minimum - before.minimum).max(after.deleted - before.deleted) > most {
            return Ok(Err(Reason::LogRetentionChanged));
        }
        let row = RetentionRow { leaf: index, minimum: after.minimum, deleted: after.deleted };
        let mut work = Self { row, expire: Vec::new(), prune: Vec::new(), delete: Vec::new() };
        let mut sound = true;
        for (range, classes) in expiring {
            sound &= each_sound(rows, range.start, range.end, |stored| {
                let leaf = Leaf::parse(&stored.bytes).ok().filter(|leaf| classes.contains(&after.class(leaf.kind.as_str())));
                work.expire.extend(leaf.map(|leaf| (stored.entry, leaf.task)));
            })?;
        }
        // The first leaf says whose log it is, and after which other one; what that opens stays.
        sound &= each_sound(rows, before.minimum.max(1), after.minimum, |stored| work.prune.push(stored.entry))?;
        sound &= each_sound(rows, before.deleted.max(1), after.deleted, |stored| work.delete.extend(Deleted::of(&stored)))?;
        if !sound {
            return Ok(Err(Reason::LogLeafChanged));
        }
        Ok(Ok(work))
    }

    /// How many rows it touches, about.
    pub(in crate::log) const fn rows(&self) -> usize {
        self.expire.len() + self.prune.len() + self.delete.len()
    }

    /// Does it. The leaf itself must be in the same transaction.
    pub(in crate::log) fn write(&self, batch: &Batch<'_>, now_s: u64) -> Result<(), StoreError> {
        // First, since bytes may go only below what this says.
        batch.set_retention(&self.row)?;
        for (entry, task) in &self.expire {
            batch.expire_disclosures(entry)?;
            task.as_ref().map_or(Ok(()), |task| batch.release_task(task, now_s))?;
        }
        self.prune.iter().try_for_each(|entry| batch.drop_disclosures(entry))?;
        for deleted in &self.delete {
            batch.delete_bytes(deleted.index)?;
            deleted.block.as_ref().map_or(Ok(()), |block| batch.drop_derivation(block))?;
            deleted.task.as_ref().map_or(Ok(()), |task| batch.drop_task(task, now_s))?;
        }
        Ok(())
    }
}

impl Deleted {
    /// `None` for a leaf whose bytes are gone already.
    fn of(stored: &StoredLeaf) -> Option<Self> {
        let leaf = Leaf::parse(&stored.bytes).ok()?;
        let block = leaf.blocks.last().filter(|_| leaf.kind == Kind::Hop).copied();
        let task = leaf.task.filter(|_| leaf.kind == Kind::Mint);
        Some(Self { index: stored.index, block, task })
    }
}

/// Whether anything goes on the way from `before` to `goal`, and not bounds alone: else an idle log would fill with leaves about the
/// ageing of each other. A long way without anything counts as something, so that it is not looked at again and again.
pub(super) fn is_due(rows: &Rows<'_>, before: &Retention, goal: &Retention) -> Result<bool, StoreError> {
    if before.minimum < goal.minimum || before.deleted < goal.deleted {
        return Ok(true);
    }
    for (range, classes) in expiring(before, goal) {
        let mut at = range.start;
        while at < range.end {
            let page = rows.leaves(at, TILE_WIDTH)?;
            for stored in page.iter().filter(|stored| stored.index < range.end) {
                let expires = Leaf::parse(&stored.bytes).is_ok_and(|leaf| classes.contains(&goal.class(leaf.kind.as_str())));
                if expires && rows.sealed_count(&stored.entry)? > 0 {
                    return Ok(true);
                }
            }
            at = page.last().map_or(range.end, |last| last.index + 1);
            if at - range.start > STEP {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Visits the leaves of a range; false at the first that is missing or is not what the log has signed.
fn each_sound(rows: &Rows<'_>, first: u64, end: u64, mut visit: impl FnMut(StoredLeaf)) -> Result<bool, StoreError> {
    let mut expected = first;
    while expected < end {
        let page = rows.leaves(expected, TILE_WIDTH)?;
        if page.is_empty() {
            return Ok(false);
        }
        for stored in page.into_iter().take_while(|stored| stored.index < end) {
            let hashed = stored.is_deleted() || (leaf_hash(&stored.bytes) == stored.hash && Leaf::parse(&stored.bytes).is_ok());
            if !hashed || stored.index != expected {
                return Ok(false);
            }
            expected += 1;
            visit(stored);
        }
    }
    Ok(true)
}
