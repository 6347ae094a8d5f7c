//! A bounded memory of proofs that have been used.

use std::collections::{BTreeMap, BTreeSet};

use super::Once;
use crate::Reason;

/// Remembers accepted proofs until they would be refused for their age.
///
/// It is the caller's value: it forgets on restart and knows nothing of other processes. Two tools that share an
/// audience and no cache each accept a proof once.
#[derive(Debug)]
pub struct ReplayCache {
    capacity: usize,
    /// The latest time seen. What ends before it may have been forgotten, so a clock that steps back brings nothing back.
    latest: u64,
    seen: BTreeSet<[u8; 32]>,
    by_time: BTreeMap<u64, Vec<[u8; 32]>>,
}

impl ReplayCache {
    /// Remembers at most `capacity` proofs at once.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, latest: 0, seen: BTreeSet::new(), by_time: BTreeMap::new() }
    }

    /// Takes note of a proof, once.
    ///
    /// # Errors
    /// `PROOF_TIME` when it is too old to tell, `PROOF_REPLAYED` when it was used before; `REPLAY_CACHE_FULL` when
    /// remembering it is impossible, for then a second use could not be told.
    pub fn accept(&mut self, once: Once, now: u64) -> Result<(), Reason> {
        self.latest = self.latest.max(now);
        let latest = self.latest;
        while let Some(entry) = self.by_time.first_entry().filter(|entry| *entry.key() < latest) {
            for key in entry.remove() {
                self.seen.remove(&key);
            }
        }
        if once.forget_after < latest {
            return Err(Reason::ProofTime);
        }
        if self.seen.contains(&once.key) {
            return Err(Reason::ProofReplayed);
        }
        if self.seen.len() >= self.capacity {
            return Err(Reason::ReplayCacheFull);
        }
        self.seen.insert(once.key);
        self.by_time.entry(once.forget_after).or_default().push(once.key);
        Ok(())
    }
}
