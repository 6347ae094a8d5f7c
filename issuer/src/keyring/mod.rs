//! The keys that sign tokens, replaced while the service runs.
//!
//! A change goes in this order: the key file is read, the leaves are durable, the state file is, and then it is in force. What gives a
//! key up is in force with its leaf, whatever the disk says of the state file. A crash in between leaves the order, which is carried
//! out again: there are two leaves then, and one change.

mod fresh;
mod job;
mod order;
mod set;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use narrows_verifier::{Reason, RootKey, Roots};

pub use self::fresh::new_key;
pub use self::job::{follow, take_order};
pub use self::order::{Order, Place};
pub use self::set::{Answer, KeySet, OwnKey, Pace, Step};
use crate::{
    age::Unlock,
    config::{self, Config},
    keys::{KeyError, KeyRole, SecretKey, root_key_id},
    mint::Mint,
};

/// The keys in force. No Debug: it holds the one that signs.
pub struct Keyring {
    place: Place,
    pace: Pace,
    /// What opens key files, read anew each time: no passphrase is kept.
    unlock: config::Keys,
    /// Root keys of the configuration, which are published beside.
    others: Vec<RootKey>,
    /// Replaced as a whole, by [`job`] alone.
    ring: RwLock<Arc<Ring>>,
    /// A change whose leaves are durable and whose state file is not, under the name of what asked for it.
    logged: Mutex<Option<(String, Arc<Ring>)>>,
}

/// One state of the keys.
struct Ring {
    set: KeySet,
    mint: Option<Arc<Mint>>,
    roots: Arc<Roots>,
}

impl Keyring {
    /// Reads the keys. Where none was ever replaced, the configured one signs, and did so not before `since`.
    ///
    /// # Errors
    /// A reason of key files; `KEY_SET_MALFORMED` where the files don't fit together; `ROOT_SET` where a key is in the configuration
    /// as well.
    pub fn open(config: &Config, since: u64) -> Result<Self, KeyError> {
        let place = Place::new(&config.data_dir);
        let file = config.issuer_key_file();
        let set = match place.set()? {
            Some(set) => set,
            None => KeySet::of(mint_of(&SecretKey::open(&file, KeyRole::Issuer, &Unlock::read(&config.keys)?)?, since).root(), file),
        };
        let others: Vec<_> = config.root_key.iter().filter_map(|key| key.read().ok()).collect();
        let pace = Pace {
            overlap_s: config.keys.overlap_seconds,
            request_s: config.limits.request_timeout_ms.div_ceil(1000) + 1,
            life_s: narrows_policies::MAX_LIFE_SECONDS,
        };
        let ring = Ring::new(set, None, &config.keys, &others)?;
        Ok(Self { place, pace, unlock: config.keys.clone(), others, ring: RwLock::new(Arc::new(ring)), logged: Mutex::new(None) })
    }

    /// The key that signs now.
    ///
    /// # Errors
    /// `NO_SIGNING_KEY` after the last one was given up.
    pub fn mint(&self) -> Result<Arc<Mint>, Reason> {
        self.ring().mint.clone().ok_or(Reason::NoSigningKey)
    }

    /// The keys under which this issuer's tokens verify.
    pub fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.ring().roots)
    }

    fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state that another set makes, before it is in force.
    fn ring_of(&self, set: KeySet) -> Result<Ring, KeyError> {
        Ring::new(set, self.ring().mint.as_ref(), &self.unlock, &self.others)
    }

    fn put_in_force(&self, ring: Arc<Ring>) -> Result<(), KeyError> {
        self.place.replace_set(&ring.set)?;
        self.follow(ring);
        *self.logged() = None;
        Ok(())
    }

    fn follow(&self, ring: Arc<Ring>) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }

    fn logged(&self) -> MutexGuard<'_, Option<(String, Arc<Ring>)>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left to be written of a change whose leaves are durable.
    fn logged_for(&self, asked: &str) -> Option<Arc<Ring>> {
        self.logged().as_ref().filter(|(by, _)| by == asked).map(|(_, ring)| Arc::clone(ring))
    }
}

impl Ring {
    fn new(set: KeySet, signs: Option<&Arc<Mint>>, unlock: &config::Keys, others: &[RootKey]) -> Result<Self, KeyError> {
        let mint = match (set.signing(), signs) {
            (None, _) => None,
            (Some(own), Some(mint)) if mint.root() == own.root => Some(Arc::clone(mint)),
            (Some(own), _) => {
                let key = SecretKey::open(&own.file, KeyRole::Issuer, &Unlock::read(unlock)?)?;
                let mint = mint_of(&key, own.root.not_before);
                if mint.root() != own.root {
                    return Err(malformed(format!("`{}` holds another key than the one that signs", own.file.display())));
                }
                Some(Arc::new(mint))
            }
        };
        let roots = Roots::new(set.keys().iter().map(|own| own.root).chain(others.iter().copied()).collect())
            .map_err(|reason| KeyError { reason, message: "a key of the service is listed under `root_key` too".into() })?;
        Ok(Self { set, mint, roots: Arc::new(roots) })
    }
}

fn mint_of(key: &SecretKey, not_before: u64) -> Mint {
    Mint::new(key.danger_seed(), root_key_id(key.public_key().as_bytes()), not_before)
}

fn malformed(message: String) -> KeyError {
    KeyError { reason: Reason::KeySetMalformed, message }
}
