//! The clients that operators registered, in memory as of the log's last commit.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use narrows_policies::GrantType;

use super::Client;
use crate::{config, digest};

/// What is said of a client, in the words of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The client. Of its secrets it holds digests alone.
    pub client: config::Client,
    /// Whether it may ask for nothing any more. Its identifier stays taken.
    pub disabled: bool,
}

/// A client and where it comes from. No Debug: it holds digests of secrets.
#[derive(Clone)]
pub struct Known {
    /// What is said of it.
    pub registration: Registration,
    /// The same, ready to be authenticated.
    pub client: Arc<Client>,
    /// The leaf that says so; `None` for a client of the configuration.
    pub index: Option<u64>,
}

/// The registered clients by identifier.
///
/// The log's writer alone adds to it, after the commit and before anybody is answered: whoever was told that a client is disabled
/// finds it so, also when the one who asked has gone away meanwhile.
#[derive(Default)]
pub struct Registered(RwLock<BTreeMap<String, Known>>);

impl Registration {
    /// As it is stored and committed to.
    pub(crate) fn text(&self) -> String {
        // plain strings, lists and flags always serialise; an empty text could not be read back
        serde_json::to_string(&self.client).unwrap_or_default()
    }

    /// Reads what was stored. What no check of ours would have let in is none of ours.
    pub(crate) fn from_stored(text: &str, disabled: bool) -> Option<Self> {
        let client: config::Client = serde_json::from_str(text).ok()?;
        client.check().is_ok().then_some(Self { client, disabled })
    }

    /// What the leaf that records it commits to.
    pub(crate) fn digest(&self) -> String {
        let state = if self.disabled { "disabled" } else { "active" };
        digest::of_parts(&["narrows/registration/1", state, &self.text()]).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Known {
    pub(crate) fn new(registration: Registration, index: Option<u64>) -> Self {
        let client = Arc::new(Client::new(&registration.client));
        Self { registration, client, index }
    }
}

impl Registered {
    /// What was stored before, each with its leaf.
    pub(crate) fn new(stored: impl IntoIterator<Item = (Registration, u64)>) -> Self {
        let registered = Self::default();
        registered.put(stored);
        registered
    }

    /// Takes what was committed.
    pub(crate) fn put(&self, committed: impl IntoIterator<Item = (Registration, u64)>) {
        for (registration, index) in committed {
            let known = Known::new(registration, Some(index));
            // No code that can panic runs under this lock, so what it guards is whole.
            self.0.write().unwrap_or_else(PoisonError::into_inner).insert(known.client.id.clone(), known);
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<Known> {
        self.read().get(id).cloned()
    }

    pub(super) fn page(&self, after: Option<&str>, most: usize) -> BTreeMap<String, Known> {
        self.read().range(behind(after)).take(most).map(|(id, known)| (id.clone(), known.clone())).collect()
    }

    pub(super) fn has_grant(&self, grant: GrantType) -> bool {
        self.read().values().any(|known| !known.registration.disabled && known.client.grants.contains(&grant))
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Known>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The identifiers behind this one.
pub(super) fn behind(after: Option<&str>) -> (Bound<String>, Bound<String>) {
    (after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_owned())), Bound::Unbounded)
}

/// Registered clients, disabled ones included.
pub(crate) const MAX_REGISTERED: u64 = 10_000;
