//! One issuer's key set, kept fresh without ever letting a stranger's token decide how often we fetch.

use std::sync::{Arc, PoisonError, RwLock};

use narrows_verifier::Reason;
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};

use super::FederationError;
use super::key_source::{KeySource, Read, Stamp};
use crate::egress::Fetch;
use crate::jose::KeySet;

/// The cached keys of one issuer.
pub(super) struct KeyCache {
    shared: Arc<Shared>,
    /// Held over a fetch, so that there is one at a time; holds when the last one was tried.
    flight: Arc<Mutex<Option<u64>>>,
    /// Bounds how many requests wait for one slow issuer.
    waiting: Semaphore,
}

struct Shared {
    source: KeySource,
    network: Arc<dyn Fetch>,
    /// What readers use. Written only by the holder of `flight`.
    latest: RwLock<Option<Snapshot>>,
}

#[derive(Clone)]
struct Snapshot {
    keys: Arc<KeySet>,
    fetched_s: u64,
    refresh_after_s: u64,
    stamp: Option<Stamp>,
}

impl KeyCache {
    /// Keeps the keys of this source. Keys in a file are read at once, and nothing else is.
    ///
    /// # Errors
    /// When the file can't be read or holds no key set.
    pub(super) fn new(source: KeySource, network: Arc<dyn Fetch>, now_s: u64) -> Result<Self, Reason> {
        let read = source.file().map(|file| source.read_file(file, None)).transpose()?.flatten();
        let shared = Arc::new(Shared { source, network, latest: RwLock::new(read.map(|read| Snapshot::new(read, now_s))) });
        Ok(Self { shared, flight: Arc::new(Mutex::new(None)), waiting: Semaphore::new(MAX_WAITING) })
    }

    /// The keys to use at `now_s`: as young as the issuer asks for, or up to 24 hours older while it can't be reached.
    pub(super) async fn current(&self, now_s: u64) -> Result<Arc<KeySet>, FederationError> {
        match self.shared.latest() {
            Some(held) if !held.is_due(now_s) => Ok(held.keys),
            // One request refreshes; the others go on with what there is.
            Some(held) if !held.is_stale(now_s) => match Arc::clone(&self.flight).try_lock_owned() {
                Ok(flight) => Ok(self.fetch(flight, now_s, self.shared.source.pause_s()).await.unwrap_or(held.keys)),
                Err(_) => Ok(held.keys),
            },
            _ => self.first(now_s).await.map_err(FederationError::Unavailable),
        }
    }

    /// The keys to use once `known` turned out not to hold the key that a token names: fetched anew, but for all tokens
    /// together at most once in 30 s.
    pub(super) async fn after_unknown_key(&self, known: &Arc<KeySet>, now_s: u64) -> Arc<KeySet> {
        let Some(flight) = self.flight().await else { return Arc::clone(known) };
        match self.shared.latest() {
            Some(held) if !Arc::ptr_eq(&held.keys, known) => held.keys,
            _ => self.fetch(flight, now_s, self.shared.source.pause_s()).await.unwrap_or_else(|_| Arc::clone(known)),
        }
    }

    async fn first(&self, now_s: u64) -> Result<Arc<KeySet>, Reason> {
        let flight = self.flight().await.ok_or(Reason::IssuerUnreachable)?;
        match self.shared.latest() {
            Some(held) if !held.is_stale(now_s) => Ok(held.keys),
            _ => self.fetch(flight, now_s, RETRY_EMPTY_AFTER_S).await,
        }
    }

    /// The right to fetch, after whoever has it now; `None` when too many wait for it already.
    async fn flight(&self) -> Option<OwnedMutexGuard<Option<u64>>> {
        if let Ok(flight) = Arc::clone(&self.flight).try_lock_owned() {
            return Some(flight);
        }
        let _place = self.waiting.try_acquire().ok()?;
        Some(Arc::clone(&self.flight).lock_owned().await)
    }

    async fn fetch(&self, mut last_tried_s: OwnedMutexGuard<Option<u64>>, now_s: u64, pause_s: u64) -> Result<Arc<KeySet>, Reason> {
        if last_tried_s.is_some_and(|tried_s| age(now_s, tried_s) < pause_s) {
            return Err(Reason::IssuerUnreachable);
        }
        *last_tried_s = Some(now_s);
        let shared = Arc::clone(&self.shared);
        // A task of its own: a client that hangs up must not be able to keep us from ever finishing a fetch.
        let fetching = tokio::spawn(async move {
            let fetched = shared.refresh(now_s).await;
            drop(last_tried_s);
            fetched
        });
        fetching.await.unwrap_or(Err(Reason::IssuerUnreachable))
    }
}

impl Shared {
    async fn refresh(&self, now_s: u64) -> Result<Arc<KeySet>, Reason> {
        let held = self.latest();
        let stamp = held.as_ref().and_then(|held| held.stamp);
        let snapshot = match (self.source.read(self.network.as_ref(), stamp).await?, held) {
            (Some(read), _) => Snapshot::new(read, now_s),
            (None, Some(held)) => Snapshot { fetched_s: now_s, ..held },
            (None, None) => return Err(Reason::IssuerUnreachable),
        };
        let keys = Arc::clone(&snapshot.keys);
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
        Ok(keys)
    }

    fn latest(&self) -> Option<Snapshot> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Snapshot {
    fn new(read: Read, now_s: u64) -> Self {
        Self { keys: Arc::new(read.keys), fetched_s: now_s, refresh_after_s: read.refresh_after_s, stamp: read.stamp }
    }

    fn is_due(&self, now_s: u64) -> bool {
        age(now_s, self.fetched_s) >= self.refresh_after_s
    }

    fn is_stale(&self, now_s: u64) -> bool {
        age(now_s, self.fetched_s) > self.refresh_after_s.saturating_add(STALE_AFTER_S)
    }
}

/// Distance in time, so that a clock that was set back far makes old what was fetched in its future, and not fresh for ever.
fn age(now_s: u64, then_s: u64) -> u64 {
    now_s.abs_diff(then_s)
}

/// How long after it should have been fetched again a set is used while the issuer can't be reached.
const STALE_AFTER_S: u64 = 24 * 60 * 60;

/// Shorter while there are no keys at all, so that starting before the issuer costs seconds only.
const RETRY_EMPTY_AFTER_S: u64 = 2;

/// More requests than these are refused at once while a fetch goes on: half of the connections that a service has unless it is
/// told otherwise, so that one slow issuer leaves room for what needs nothing of it.
const MAX_WAITING: usize = 512;
