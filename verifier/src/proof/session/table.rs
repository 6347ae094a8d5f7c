//! The sessions that a tool has open.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::Session;
use crate::Reason;

/// A bounded table of sessions by their ids.
///
/// It is the caller's value. A session lives in one table: another process, or the same after a restart, knows nothing of
/// it, and the holder opens another or proves each call by signature.
pub struct Sessions {
    capacity: usize,
    /// The latest time seen, so that a clock that steps back keeps nothing longer.
    latest: u64,
    by_id: BTreeMap<[u8; 16], Arc<Session>>,
    by_end: BTreeSet<(u64, [u8; 16])>,
}

impl Sessions {
    /// Holds at most `capacity` sessions at once.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, latest: 0, by_id: BTreeMap::new(), by_end: BTreeSet::new() }
    }

    /// Takes a session in, and drops those that have ended.
    ///
    /// # Errors
    /// `SESSIONS_FULL`: an open session is never pushed out by another. `SESSION_EXPIRED` for one that has ended.
    /// `INTERNAL` for an id that is taken, which fresh randomness does not bring about.
    pub fn insert(&mut self, session: Session, now: u64) -> Result<(), Reason> {
        self.latest = self.latest.max(now);
        while let Some((_, id)) = self.by_end.first().copied().filter(|(end, _)| *end <= self.latest) {
            self.by_end.pop_first();
            self.by_id.remove(&id);
        }
        if session.expires <= self.latest {
            return Err(Reason::SessionExpired);
        }
        if self.by_id.len() >= self.capacity {
            return Err(Reason::SessionsFull);
        }
        if self.by_id.contains_key(&session.id) {
            return Err(Reason::Internal);
        }
        self.by_end.insert((session.expires, session.id));
        self.by_id.insert(session.id, Arc::new(session));
        Ok(())
    }

    /// The session of this id. The caller can let go of the table before it uses the session.
    pub fn find(&self, id: &[u8; 16]) -> Option<Arc<Session>> {
        self.by_id.get(id).map(Arc::clone)
    }

    /// How many sessions are held, ended ones included until the next is taken in.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }
}
