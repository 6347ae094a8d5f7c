//! The state file made anew from the log, when it was lost or an old copy was put back.

use std::path::Path;

use narrows_verifier::{PublicKey, Reason, RootKey, RootState};

use super::{KeySet, OwnKey, Place, malformed, proved::number};
use crate::{
    age::Unlock,
    config::Config,
    keys::{KeyError, KeyRole, SecretKey},
    log::{KeyRow, LoggedKeys},
    service::log_file,
};

/// Writes the state file that the log proves, for a service that is stopped.
///
/// With `accept_unread`, of keys of which leaves can't be read what the file says is believed, and recorded as what they mean: the
/// word of whoever asks for it stands in for the log's.
///
/// # Errors
/// What the log says that is wrong with it, `LOG_BUSY` while a service runs; `KEY_SET_MISSING` where the log says nothing of keys;
/// `KEY_LEAF_UNREAD`; `KEY_FILE_MISSING` where the key that signs is not to be found.
pub fn rebuild(config: &Config, accept_unread: bool, now_s: u64) -> Result<(), KeyError> {
    let place = Place::new(&config.data_dir);
    let mut logged = LoggedKeys::open(&log_file(config)).map_err(|error| at_fault(error.reason(), error.detail()))?;
    // What can't be read is what is to be made anew; its places of files are of use where it can be.
    let file = place.set().ok().flatten();
    if logged.has_unread().map_err(|error| at_fault(error.reason(), error.detail()))? {
        let set = file.as_ref().filter(|_| accept_unread);
        let set = set.ok_or_else(|| at_fault(Reason::KeyLeafUnread, Reason::KeyLeafUnread.meaning()))?;
        logged.accept(&set.rows()).map_err(|error| at_fault(error.reason(), error.detail()))?;
    }
    let rows = logged.rows().map_err(|error| at_fault(error.reason(), error.detail()))?;
    if rows.is_empty() {
        return Err(at_fault(Reason::KeySetMissing, "the log says nothing of keys: the configured one signs, without a file of states"));
    }
    let unlock = Unlock::read(&config.keys)?;
    let mut keys = Vec::new();
    for row in &rows {
        let Some(mut root) = root(row, now_s)? else { continue };
        let known = file.as_ref().and_then(|set| set.keys().iter().find(|own| own.root.key == root.key));
        let places = known.map(|own| own.file.clone()).into_iter().chain([place.key_file(root.id), config.issuer_key_file()]);
        let found = places.clone().find(|path| holds(path, &root.key, &unlock));
        if found.is_none() && root.state == RootState::Active {
            return Err(at_fault(Reason::KeyFileMissing, format!("the private half of key {}, which signs, is not to be found", root.id)));
        }
        // Leaves of before that was said have no times; the file may still know.
        if let (None, Some(known)) = (row.not_before, known) {
            root.not_before = known.root.not_before;
            root.not_after = known.root.not_after.or(root.not_after);
        }
        keys.push(OwnKey { root, file: found.or_else(|| places.into_iter().next()).unwrap_or_default() });
    }
    keys.sort_by_key(|own| own.root.not_before);
    place.replace_set(&KeySet { keys, last: None })
}

/// The key as verifiers have it; `None` for one that was taken away.
fn root(row: &KeyRow, now_s: u64) -> Result<Option<RootKey>, KeyError> {
    let Some(state) = row.state else { return Ok(None) };
    let key = PublicKey::from_bytes(&row.key).map_err(|_| malformed("the log names a key that is none".to_owned()))?;
    // A retired key has an end; where no leaf says it, it is over now.
    let not_after = row.not_after.or((state == RootState::Retired).then_some(now_s));
    let not_before = row.not_before.unwrap_or(0);
    Ok(Some(RootKey { state, not_before, not_after, spared_below: row.spared_below, ..RootKey::active(number(row), key) }))
}

fn holds(path: &Path, key: &PublicKey, unlock: &Unlock) -> bool {
    SecretKey::open(path, KeyRole::Issuer, unlock).is_ok_and(|secret| secret.public_key().as_bytes() == key.as_bytes())
}

fn at_fault(reason: Reason, message: impl Into<String>) -> KeyError {
    KeyError { reason, message: message.into() }
}
