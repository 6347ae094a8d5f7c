//! One issuer's key set, kept fresh without ever letting a stranger's token decide how often we fetch.

use std::sync::{Arc, PoisonError, RwLock};

use narrows_verifier::Reason;
use serde_json::Value;
use tokio::sync::{Mutex, MutexGuard};

use super::FederationError;
use crate::egress::Fetch;
use crate::jose::{KeySet, parse_object};

/// The cached keys of one issuer.
pub(super) struct KeyCache {
    issuer: String,
    jwks_url: Option<String>,
    /// What readers use. Written only by the holder of `flight`.
    latest: RwLock<Option<Snapshot>>,
    /// Held over a fetch, so that there is one at a time; holds when the last one was tried.
    flight: Mutex<Option<u64>>,
}

#[derive(Clone)]
struct Snapshot {
    keys: Arc<KeySet>,
    fetched_s: u64,
}

impl KeyCache {
    pub(super) fn new(issuer: String, jwks_url: Option<String>) -> Self {
        Self { issuer, jwks_url, latest: RwLock::new(None), flight: Mutex::new(None) }
    }

    /// The keys to use at `now_s`: fetched at most 10 minutes ago, or up to 24 hours ago while the issuer can't be reached.
    pub(super) async fn current(&self, source: &dyn Fetch, now_s: u64) -> Result<Arc<KeySet>, FederationError> {
        match self.latest() {
            Some(held) if age(now_s, held.fetched_s) < REFRESH_AFTER_S => Ok(held.keys),
            // One request refreshes; the others go on with what there is.
            Some(held) if age(now_s, held.fetched_s) <= STALE_AFTER_S => match self.flight.try_lock() {
                Ok(flight) => Ok(self.refresh(flight, source, now_s).await.unwrap_or(held.keys)),
                Err(_) => Ok(held.keys),
            },
            _ => self.first(source, now_s).await,
        }
    }

    /// The keys to use once `known` turned out not to hold the key that a token names: fetched anew, but for all tokens
    /// together at most once in 30 s.
    pub(super) async fn after_unknown_key(
        &self,
        source: &dyn Fetch,
        known: &Arc<KeySet>,
        now_s: u64,
    ) -> Result<Arc<KeySet>, FederationError> {
        let flight = self.flight.lock().await;
        match self.latest() {
            Some(held) if !Arc::ptr_eq(&held.keys, known) => Ok(held.keys),
            _ => Ok(self.refresh(flight, source, now_s).await.unwrap_or_else(|_| Arc::clone(known))),
        }
    }

    async fn first(&self, source: &dyn Fetch, now_s: u64) -> Result<Arc<KeySet>, FederationError> {
        let flight = self.flight.lock().await;
        match self.latest() {
            Some(held) if age(now_s, held.fetched_s) <= STALE_AFTER_S => Ok(held.keys),
            _ => self.fetch(flight, source, now_s, RETRY_EMPTY_AFTER_S).await.map_err(FederationError::Unavailable),
        }
    }

    async fn refresh(&self, flight: MutexGuard<'_, Option<u64>>, source: &dyn Fetch, now_s: u64) -> Result<Arc<KeySet>, Reason> {
        self.fetch(flight, source, now_s, REFETCH_AFTER_S).await
    }

    async fn fetch(
        &self,
        mut last_tried_s: MutexGuard<'_, Option<u64>>,
        source: &dyn Fetch,
        now_s: u64,
        pause_s: u64,
    ) -> Result<Arc<KeySet>, Reason> {
        if last_tried_s.is_some_and(|tried_s| age(now_s, tried_s) < pause_s) {
            return Err(Reason::IssuerUnreachable);
        }
        // Noted before the fetch: a request that is dropped half-way has still made us fetch.
        *last_tried_s = Some(now_s);
        let keys = Arc::new(self.download(source).await?);
        let snapshot = Snapshot { keys: Arc::clone(&keys), fetched_s: now_s };
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Some(snapshot);
        Ok(keys)
    }

    async fn download(&self, source: &dyn Fetch) -> Result<KeySet, Reason> {
        let jwks_url = match &self.jwks_url {
            Some(url) => url.clone(),
            None => self.discover(source).await?,
        };
        KeySet::parse(&self.document(source, &jwks_url).await?)
    }

    /// The key set's address, from a discovery document that names exactly our issuer (OpenID Connect Discovery 4.3).
    async fn discover(&self, source: &dyn Fetch) -> Result<String, Reason> {
        let base = self.issuer.strip_suffix('/').unwrap_or(&self.issuer);
        let document = self.document(source, &format!("{base}/.well-known/openid-configuration")).await?;
        let document = parse_object(&document).ok_or(Reason::IssuerDocument)?;
        let text = |name: &str| document.get(name).and_then(Value::as_str);
        match (text("issuer"), text("jwks_uri")) {
            (Some(issuer), Some(url)) if issuer == self.issuer => Ok(url.to_owned()),
            _ => Err(Reason::IssuerDocument),
        }
    }

    async fn document(&self, source: &dyn Fetch, url: &str) -> Result<Vec<u8>, Reason> {
        source.fetch_json(url).await.map_err(|error| {
            tracing::warn!(issuer = %self.issuer, %error, "a trusted issuer's document could not be fetched");
            Reason::IssuerUnreachable
        })
    }

    fn latest(&self) -> Option<Snapshot> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Distance in time, so that a clock that was set back far makes old what was fetched in its future, and not fresh for ever.
fn age(now_s: u64, then_s: u64) -> u64 {
    now_s.abs_diff(then_s)
}

const REFRESH_AFTER_S: u64 = 600;
const STALE_AFTER_S: u64 = 24 * 60 * 60;

/// Bounds what tokens with invented key ids can make us send to the issuer.
const REFETCH_AFTER_S: u64 = 30;

/// Shorter while there are no keys at all, so that starting before the issuer costs seconds only.
const RETRY_EMPTY_AFTER_S: u64 = 2;
