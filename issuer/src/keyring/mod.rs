//! The keys that sign tokens, replaced while the service runs.
//!
//! A change goes in this order: the order is taken, the key file is read, the leaves are durable, the state file is, it is in force,
//! the order is gone. What gives a key up is in force with its leaf, whatever the disk says of the state file. A crash in between
//! leaves the order, and the next start goes on with it: what the log says already is not said again. A state file that is behind
//! the log in any other way stops the start.

mod fresh;
mod job;
mod order;
mod proved;
mod rebuild;
mod set;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use narrows_verifier::{Reason, RootKey, RootState, Roots};

pub use self::fresh::new_key;
pub use self::job::{follow, take_back, take_order};
pub use self::order::{Order, Place};
pub use self::rebuild::rebuild;
pub use self::set::{Answer, KeySet, OwnKey, Pace, Step};
use crate::{
    age::Unlock,
    config::{self, Config},
    keys::{KeyError, KeyRole, SecretKey, root_key_id},
    log::KeyRow,
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
}

/// One state of the keys.
struct Ring {
    set: KeySet,
    mint: Option<Arc<Mint>>,
    roots: Arc<Roots>,
}

impl Keyring {
    /// Reads the keys, whose states `logged` proves. Where none was ever replaced, the configured one signs, and did so not before
    /// `since`.
    ///
    /// # Errors
    /// A reason of key files; `KEY_SET_MALFORMED` where the files don't fit together; `KEY_SET_MISSING` and `KEY_SET_BEHIND` where
    /// the log says something else; `ROOT_SET` where a key is in the configuration as well.
    pub fn open(config: &Config, since: u64, logged: &[KeyRow]) -> Result<Self, KeyError> {
        let place = Place::new(&config.data_dir);
        let set = proved::hold(place.set()?, || KeySet::first(config, since), logged, &place.waiting())?;
        let others: Vec<_> = config.root_key.iter().filter_map(|key| key.read().ok()).collect();
        let own = |other: &RootKey| logged.iter().any(|row| &row.key == other.key.as_bytes());
        if others.iter().any(|other| own(other) && other.state != RootState::Tainted) {
            let message = "a key that was the service's own can stand under `root_key` as tainted alone".into();
            return Err(KeyError { reason: Reason::RootSet, message });
        }
        let pace = Pace {
            overlap_s: config.keys.overlap_seconds,
            request_s: config.limits.request_timeout_ms.div_ceil(1000) + 1,
            life_s: narrows_policies::MAX_LIFE_SECONDS,
        };
        let ring = Ring::new(set, None, &config.keys, &others)?;
        Ok(Self { place, pace, unlock: config.keys.clone(), others, ring: RwLock::new(Arc::new(ring)) })
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
        Ok(())
    }

    fn follow(&self, ring: Arc<Ring>) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
    }
}

impl KeySet {
    /// The configured key alone, which signs from `since` on.
    ///
    /// # Errors
    /// A reason of key files.
    pub fn first(config: &Config, since: u64) -> Result<Self, KeyError> {
        let file = config.issuer_key_file();
        let key = SecretKey::open(&file, KeyRole::Issuer, &Unlock::read(&config.keys)?)?;
        Ok(Self::of(mint_of(&key, since).root(), file))
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

    /// The same, with an order answered.
    fn answering(&self, answer: Answer) -> Arc<Self> {
        let set = KeySet { last: Some(answer), ..self.set.clone() };
        Arc::new(Self { set, mint: self.mint.clone(), roots: Arc::clone(&self.roots) })
    }
}

fn mint_of(key: &SecretKey, not_before: u64) -> Mint {
    Mint::new(key.danger_seed(), root_key_id(key.public_key().as_bytes()), not_before)
}

fn malformed(message: String) -> KeyError {
    KeyError { reason: Reason::KeySetMalformed, message }
}
