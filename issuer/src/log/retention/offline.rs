//! The same at once, by an operator's word, in a log that no service has open.

use std::path::Path;

use narrows_verifier::Reason;
use narrows_verifier::log::{Leaf, Retention, TILE_WIDTH};

use super::job::{entry, state};
use super::policy::{Moment, RetentionPolicy};
use super::step::{expiring, step};
use crate::clock::Clock;
use crate::log::{Log, LogError, LogSigner, Outcome, Settings};
use crate::store::{Database, Rows, Snapshot, StoreError};

/// What goes, or would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retained {
    /// What the log kept before.
    pub before: Retention,
    /// What it keeps then.
    pub after: Retention,
    /// How many disclosed values expire, those of pruned leaves included.
    pub values: u64,
    /// How many people's keys were destroyed, since they opened nothing any more.
    pub keys: u64,
}

/// What [`retain`] would do now. The file is opened for reading only, and may be in use.
///
/// # Errors
/// What the log's file met.
pub fn planned(path: &Path, now_ms: u64, policy: &RetentionPolicy) -> Result<Retained, LogError> {
    let snapshot = Snapshot::open(path)?;
    let rows = snapshot.rows();
    let size = size(&rows)?;
    let (before, _) = state(&rows, policy.digest())?;
    let after = policy.goal(&rows, &before, Moment { time_ms: now_ms, size, published: size })?;
    let mut values = 0;
    for (range, classes) in expiring(&before, &after) {
        // What is pruned as well is counted there.
        values += count(&rows, range.start.max(after.minimum), range.end, |kind| classes.contains(&after.class(kind)))?;
    }
    values += count(&rows, before.minimum.max(1), after.minimum, |_| true)?;
    Ok(Retained { before, after, values, keys: 0 })
}

/// Does at once what is due by the clock as it is, without the day that a running service waits. Then files and journals are
/// written anew without what went, and keys that open nothing any more are destroyed. After a failure in between, run it again.
///
/// # Errors
/// `LOG_BUSY` while a service has the log open, and whatever keeps the log from being opened or written.
pub async fn retain(
    path: &Path,
    signer: LogSigner,
    now_ms: Clock,
    settings: Settings,
    (policy, random): (&RetentionPolicy, fn() -> [u8; 16]),
) -> Result<Retained, LogError> {
    let time_ms = now_ms();
    let log = Log::open(path, signer, now_ms, settings)?;
    let planned = planned(path, time_ms, policy)?;
    let first = log.proof(0)?.ok_or_else(|| LogError::new(Reason::LogTailMissing, "the log's first leaf is missing"))?;
    let dev = Leaf::parse(&first.leaf)?.dev;
    let next = |rows: &Rows<'_>| {
        let (state, _) = state(rows, policy.digest())?;
        let size = size(rows)?;
        let goal = policy.goal(rows, &state, Moment { time_ms, size, published: size })?;
        Ok(step(&state, &goal).map(|next| Retention { announced_ms: time_ms, policy: policy.digest(), ..next }))
    };
    while let Some(next) = log.reading(next)? {
        let (leaf, rows) = entry(next, policy, random, dev);
        if let Outcome::Refused(reason) = log.append(leaf, rows).await? {
            return Err(LogError::new(reason, reason.meaning()));
        }
    }
    // Another connection would keep the journal from being emptied.
    drop(log);
    let keys = Database::open(path)?.shred_expired(time_ms / 1000)?;
    let (after, _) = state(&Snapshot::open(path)?.rows(), policy.digest())?;
    Ok(Retained { after, keys, ..planned })
}

fn size(rows: &Rows<'_>) -> Result<u64, LogError> {
    Ok(rows.head()?.ok_or_else(|| StoreError::failed("the log's head is missing"))?.size)
}

/// Values that are still in the file, of leaves of these kinds in a range.
fn count(rows: &Rows<'_>, first: u64, end: u64, is_due: impl Fn(&str) -> bool) -> Result<u64, LogError> {
    let (mut at, mut values) = (first, 0);
    while at < end {
        let page = rows.leaves(at, TILE_WIDTH)?;
        let Some(last) = page.last() else { break };
        at = last.index + 1;
        for stored in page.iter().filter(|stored| stored.index < end) {
            if Leaf::parse(&stored.bytes).is_ok_and(|leaf| is_due(leaf.kind.as_str())) {
                values += rows.sealed_count(&stored.entry)?;
            }
        }
    }
    Ok(values)
}
