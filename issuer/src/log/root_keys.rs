//! What the log says of the keys that sign tokens: the leaves, and the table that has the newest of each key.

use std::collections::BTreeMap;
use std::path::Path;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::json::Value;
use narrows_verifier::log::{Disclosure, EntryId, Kind, Leaf, Salt, TraceId, commit, leaf_hash};
use narrows_verifier::{Reason, RootState};

use super::append::{Outcome, SideRow};
use super::error::LogError;
use super::verify::Finding;
use super::{Log, LoggedEntry, NOBODY, logged};
use crate::app::random;
use crate::keys::{KeyRole, root_key_id};
use crate::store::{Database, KeyRow, Rows, StoreError, state_from_name};

impl Log {
    /// Makes durable what is said of a key from now on, leaf and row in one commit, and gives the leaf's index. Witnesses are not
    /// waited for: it may give the key up.
    ///
    /// # Errors
    /// `KEY_STATE` for a key that was given up or taken away and would come back, `KEY_SPARE_RAISED`, or what [`Log::append`] met.
    pub async fn append_key(&self, row: &KeyRow, dev: bool) -> Result<u64, LogError> {
        let (leaf, disclosures) = key_leaf(row, dev);
        let rows = disclosures.into_iter().map(SideRow::disclosure).chain([SideRow::Subject(NOBODY), SideRow::RootKey(row.clone())]);
        match self.append(leaf, rows.collect()).await? {
            Outcome::Appended { index, .. } | Outcome::Existing { index, .. } => Ok(index),
            Outcome::Refused(reason) => Err(LogError::new(reason, reason.meaning())),
        }
    }

    /// What the newest leaf of each key that signs tokens says of it, in the order of these leaves.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn root_keys(&self) -> Result<Vec<KeyRow>, LogError> {
        Ok(self.readers.read(|rows| rows.root_keys())?.into_iter().map(|(row, _)| row).collect())
    }

    /// The newest leaf about the key of this number, with its id and a receipt under the newest checkpoint.
    ///
    /// # Errors
    /// `ENTRY_PRUNED`, `LOG_UNREADABLE`.
    pub fn key_entry(&self, kid: u32) -> Result<Option<(EntryId, LoggedEntry)>, LogError> {
        self.readers.read_with(|rows| {
            let newest = rows.root_keys()?.into_iter().rev().find(|(row, _)| root_key_id(&row.key) == kid);
            let stored = newest.map(|(_, index)| rows.leaf(index)).transpose()?.flatten();
            stored.map(|stored| Ok((stored.entry, logged(rows, stored)?))).transpose()
        })
    }

    /// A leaf about a key of which nothing says what it means, if there is one.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn unread_key(&self) -> Result<Option<u64>, LogError> {
        Ok(self.readers.read(|rows| rows.unread_keys())?.last().copied())
    }
}

/// What a log says of keys while nobody writes it, for the file of their states to be made anew.
pub struct LoggedKeys(Database);

impl LoggedKeys {
    /// Opens the log.
    ///
    /// # Errors
    /// `LOG_BUSY` while a service runs, `LOG_KEYS_CHANGED`, or what the file met.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let mut database = Database::open(path)?;
        read_unread(&mut database)?;
        check_rows(&database.rows())?;
        Ok(Self(database))
    }

    /// Whether there are leaves about keys of which nothing says what they mean.
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn has_unread(&self) -> Result<bool, LogError> {
        Ok(!self.0.rows().unread_keys()?.is_empty())
    }

    /// As [`Log::root_keys`].
    ///
    /// # Errors
    /// `LOG_UNREADABLE`.
    pub fn rows(&self) -> Result<Vec<KeyRow>, LogError> {
        Ok(self.0.rows().root_keys()?.into_iter().map(|(row, _)| row).collect())
    }

    /// Takes this for what the leaves that can't be read mean: all keys that there are, as they stand.
    ///
    /// # Errors
    /// `KEY_SET_BEHIND` where that has a key come back which a leaf that can be read gives up.
    pub fn accept(&mut self, said: &[KeyRow]) -> Result<(), LogError> {
        let batch = self.0.begin()?;
        let unread = batch.rows().unread_keys()?;
        let Some(newest) = unread.last() else { return Ok(()) };
        let known = batch.rows().root_keys()?;
        let gone = known.iter().map(|(row, _)| row).filter(|row| row.state.is_some() && said.iter().all(|said| said.key != row.key));
        let gone: Vec<_> = gone.map(|row| KeyRow { state: None, spared_below: None, ..row.clone() }).collect();
        for row in said.iter().chain(&gone).filter(|row| !known.iter().any(|(known, _)| known.says_as(row))) {
            if refusal_of_key(&batch.rows(), row)?.is_some() {
                return Err(LogError::new(Reason::KeySetBehind, Reason::KeySetBehind.meaning()));
            }
            batch.put_root_key(row, *newest)?;
        }
        unread.iter().try_for_each(|index| batch.drop_unread_key(*index))?;
        Ok(batch.commit()?)
    }
}

/// The leaf that says this of a key, and what opens its commitments.
pub(super) fn key_leaf(row: &KeyRow, dev: bool) -> (Leaf, Vec<Disclosure>) {
    let text = |text: &str| Value::Text(text.to_owned());
    // What JSON has no integer for is refused as a disclosure that could not be read back.
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let members = [
        (KEY, Some(text(&URL_SAFE_NO_PAD.encode(row.key)))),
        (ROLE, Some(text(KeyRole::Issuer.name()))),
        (STATE, Some(text(row.state_name()))),
        (NOT_BEFORE, row.not_before.map(number)),
        (NOT_AFTER, row.not_after.map(number)),
        (SPARED_BELOW, row.spared_below.map(number)),
    ];
    let disclosures: Vec<_> = members
        .into_iter()
        .filter_map(|(name, value)| Some(Disclosure { name: name.to_owned(), salt: Salt::new(random()), value: value? }))
        .collect();
    let mut leaf = Leaf::draft(Kind::Key, EntryId(random()), TraceId(random()));
    leaf.fields = disclosures.iter().map(|it| (it.name.clone(), commit(&it.salt, &it.name, &it.value))).collect();
    leaf.dev = dev;
    (leaf, disclosures)
}

/// Why the log does not take this of a key: what was given up does not come back, whoever asks.
pub(super) fn refusal_of_key(rows: &Rows<'_>, row: &KeyRow) -> Result<Option<Reason>, StoreError> {
    let known = rows.root_keys()?.into_iter().map(|(known, _)| known).find(|known| known.key == row.key);
    Ok(known.and_then(|known| match (known.state, row.state) {
        (None, _) => Some(Reason::KeyState),
        (Some(RootState::Tainted), Some(RootState::Tainted)) => (row.spared_below > known.spared_below).then_some(Reason::KeySpareRaised),
        (Some(RootState::Tainted), Some(_)) => Some(Reason::KeyState),
        _ => None,
    }))
}

/// Reads leaves of before the table into it, as far as their disclosures are there; the others stay unread.
pub(super) fn read_unread(database: &mut Database) -> Result<(), LogError> {
    if database.rows().unread_keys()?.is_empty() {
        return Ok(());
    }
    let batch = database.begin()?;
    for index in batch.rows().unread_keys()? {
        let Some(stored) = batch.rows().leaf(index)? else { continue };
        let Ok(leaf) = Leaf::parse(&stored.bytes) else { continue };
        if leaf.kind == Kind::Key {
            match said(&batch.rows(), &leaf)? {
                Said::Withheld => continue,
                Said::Other => {}
                Said::Of(row) => batch.put_root_key(&row, index)?,
            }
        }
        batch.drop_unread_key(index)?;
    }
    Ok(batch.commit()?)
}

/// Holds each row against its leaf, as far as that can be read: few rows, so that every start can.
pub(super) fn check_rows(rows: &Rows<'_>) -> Result<u64, Finding> {
    let stored = rows.root_keys()?;
    for (row, index) in &stored {
        let leaf = rows.leaf(*index)?.ok_or_else(|| changed(*index, "the table of keys names a leaf that is not there"))?;
        if leaf.is_deleted() {
            continue;
        }
        let read = Leaf::parse(&leaf.bytes).ok().filter(|read| read.kind == Kind::Key && leaf_hash(&leaf.bytes) == leaf.hash);
        let read = read.ok_or_else(|| changed(*index, "the table of keys names a leaf that is about none"))?;
        let backed = match said(rows, &read)? {
            Said::Of(said) => said.says_as(row),
            Said::Withheld => true,
            Said::Other => false,
        };
        if !backed {
            return Err(changed(*index, "the table of keys says what its leaf does not"));
        }
    }
    Ok(stored.len() as u64)
}

/// The leaves about keys, as the walk over the log meets them.
#[derive(Default)]
pub(super) struct KeyLeaves(BTreeMap<u64, Leaf>);

impl KeyLeaves {
    pub(super) fn meet(&mut self, index: u64, leaf: &Leaf) {
        if leaf.kind == Kind::Key {
            self.0.insert(index, leaf.clone());
        }
    }

    /// Compares both ways, and gives the number of rows.
    pub(super) fn check(&self, rows: &Rows<'_>) -> Result<u64, Finding> {
        let count = check_rows(rows)?;
        let newest: BTreeMap<[u8; 32], u64> = rows.root_keys()?.into_iter().map(|(row, index)| (row.key, index)).collect();
        let unread = rows.unread_keys()?;
        for (index, leaf) in &self.0 {
            let held = match said(rows, leaf)? {
                Said::Of(said) => newest.get(&said.key).is_some_and(|row| row >= index),
                // Which row it had is not to be known; that there is a later word on some key is.
                Said::Withheld => newest.values().any(|row| row >= index),
                Said::Other => true,
            };
            if !held && !unread.contains(index) {
                return Err(changed(*index, "the table of keys lacks what a leaf says of one, or says what was so before"));
            }
        }
        Ok(count)
    }
}

/// What a leaf about a key says, as far as it is disclosed.
enum Said {
    Of(KeyRow),
    /// It is about a key of another role.
    Other,
    Withheld,
}

fn said(rows: &Rows<'_>, leaf: &Leaf) -> Result<Said, StoreError> {
    let disclosed = rows.disclosures(&leaf.id)?;
    let opened = |name: &str| {
        let disclosure = disclosed.iter().find(|disclosure| disclosure.name == name)?;
        leaf.commitment(name).is_some_and(|commitment| disclosure.opens(commitment)).then_some(&disclosure.value)
    };
    let text = |name: &str| opened(name).and_then(Value::as_text);
    if text(ROLE).is_some_and(|role| role != KeyRole::Issuer.name()) {
        return Ok(Said::Other);
    }
    if leaf.fields.keys().any(|name| MEMBERS.contains(&name.as_str()) && opened(name).is_none()) {
        return Ok(Said::Withheld);
    }
    let number = |name: &str| match opened(name) {
        Some(Value::Integer(number)) => u64::try_from(*number).ok(),
        _ => None,
    };
    let key = text(KEY).and_then(|text| <[u8; 32]>::try_from(URL_SAFE_NO_PAD.decode(text).ok()?).ok());
    let (Some(key), Some(state)) = (key, text(STATE).and_then(state_from_name)) else { return Ok(Said::Withheld) };
    let (not_before, not_after, spared_below) = (number(NOT_BEFORE), number(NOT_AFTER), number(SPARED_BELOW));
    Ok(Said::Of(KeyRow { key, state, not_before, not_after, spared_below, asked: String::new() }))
}

fn changed(index: u64, detail: &'static str) -> Finding {
    Finding::new(Reason::LogKeysChanged, Some(index), detail)
}

/// Commitments of a leaf of kind `key`.
const KEY: &str = "key";
const ROLE: &str = "role";
const STATE: &str = "state";
const NOT_BEFORE: &str = "not_before";
const NOT_AFTER: &str = "not_after";
const SPARED_BELOW: &str = "spared_below";
const MEMBERS: [&str; 6] = [KEY, ROLE, STATE, NOT_BEFORE, NOT_AFTER, SPARED_BELOW];
