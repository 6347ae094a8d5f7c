//! The keys of the people whom disclosures are about, in a file of their own beside the log.
//!
//! A disclosure is stored sealed (XChaCha20-Poly1305) under its subject's key. Who has the log's database alone opens none, and
//! destroying the key takes the values from all copies, replicas and journals of it at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac};
use narrows_verifier::json::{self, Limits};
use narrows_verifier::log::{Disclosure, EntryId, Salt};
use rand_core::{OsRng, RngCore as _};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, TransactionBehavior};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::StoreError;
use super::sqlite::{connect, create_private, make_durable, settle, version};

/// A person or workload as the store knows it: a keyed digest of issuer and name, without which it leads to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pseudonym(pub [u8; 16]);

impl Pseudonym {
    /// Reads 32 lower-case hex digits, or `None`.
    pub fn from_hex(text: &str) -> Option<Self> {
        EntryId::from_hex(text).map(|id| Self(id.0))
    }
}

impl core::fmt::Display for Pseudonym {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        EntryId::new(self.0).fmt(formatter)
    }
}

/// What a stored disclosure is to a reader.
pub(crate) enum Unsealed {
    /// Opened under its subject's key.
    Disclosed(Disclosure),
    /// The subject's key is destroyed, or the value was taken out of the row.
    Erased,
    /// The value was in the row for as long as it was to be kept.
    Expired,
    /// The file with the keys is not here.
    Withheld,
    /// It does not open under its subject's key.
    Broken,
}

/// The file with the keys, as one connection to the log uses it.
pub(crate) struct Subjects {
    state: Mutex<State>,
}

struct State {
    /// `None` where the file is not here and may not be made.
    connection: Option<Connection>,
    /// Keys made for the transaction at hand, which must be durable before it is.
    fresh: HashMap<Pseudonym, Key>,
    /// The key that was used last within the transaction at hand: an entry has many disclosures, and most are about one person.
    last: Option<(Pseudonym, Key)>,
    /// The key under which people are named, once it was asked for. It never changes.
    naming: Option<Key>,
}

type Key = Zeroizing<[u8; 32]>;

impl Subjects {
    /// Opens the file beside the log's database for writing, and makes it where there is none.
    pub(super) fn open(log: &Path) -> Result<Self, StoreError> {
        let path = path(log);
        create_private(&path)?;
        let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        make_durable(&connection)?;
        settle(&connection)?;
        if version(&connection)? == 0 {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute_batch(include_str!("sqlite_subjects_1.sql"))?;
            transaction.execute("INSERT INTO naming (singleton, key) VALUES (1, ?1)", [&*fresh_key()])?;
            transaction.pragma_update(None, "user_version", 1)?;
            transaction.commit()?;
        }
        Ok(Self::new(Some(connection)))
    }

    /// Opens the file for reading; without it, every disclosure is withheld.
    pub(super) fn open_read_only(log: &Path) -> Result<Self, StoreError> {
        let path = path(log);
        let connection = path.is_file().then(|| connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)).transpose()?;
        match connection {
            Some(connection) if version(&connection)? == 1 => Ok(Self::new(Some(connection))),
            _ => Ok(Self::new(None)),
        }
    }

    /// Closes the file; from then on, everything is withheld.
    pub(super) fn close(&self) {
        *self.state() = State { connection: None, fresh: HashMap::new(), last: None, naming: None };
    }

    fn new(connection: Option<Connection>) -> Self {
        Self { state: Mutex::new(State { connection, fresh: HashMap::new(), last: None, naming: None }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name by which the store knows this person.
    pub(crate) fn pseudonym(&self, issuer: &str, subject: &str) -> Result<Pseudonym, StoreError> {
        let key = self.state().naming_key()?;
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key.as_slice()).map_err(StoreError::failed)?;
        for part in [NAMING, issuer, subject] {
            // With lengths, no two pairs of names run into one text.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
        Ok(Pseudonym(first))
    }

    /// Whether the person has a key, so that something may be disclosed about it, or had one that may still be in the file.
    pub(crate) fn knows(&self, subject: Pseudonym) -> Result<bool, StoreError> {
        let state = self.state();
        let Some(connection) = &state.connection else { return Ok(false) };
        let mut statement =
            connection.prepare_cached("SELECT 1 FROM subject WHERE pseudonym = ?1 UNION ALL SELECT 1 FROM leaving WHERE pseudonym = ?1")?;
        Ok(statement.exists([subject.0])?)
    }

    /// Seals a disclosure under its subject's key, which is made where there is none.
    pub(super) fn seal(&self, subject: Pseudonym, entry: &EntryId, disclosure: &Disclosure) -> Result<Vec<u8>, StoreError> {
        let key = self.state().key_or_fresh(subject)?;
        let mut plain = Zeroizing::new(disclosure.salt.as_bytes().to_vec());
        plain.extend_from_slice(disclosure.value.canonical().as_bytes());
        let mut nonce = [0; NONCE_BYTES];
        OsRng.fill_bytes(&mut nonce);
        let named = named(entry, &disclosure.name);
        let payload = Payload { msg: plain.as_slice(), aad: &named };
        let sealed = cipher(&key)?.encrypt(&XNonce::from(nonce), payload).map_err(StoreError::failed)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what a row holds.
    pub(super) fn unseal(&self, subject: Pseudonym, entry: &EntryId, name: String, sealed: Option<&[u8]>) -> Result<Unsealed, StoreError> {
        let Some(sealed) = sealed else { return Ok(Unsealed::Erased) };
        let key = {
            let state = self.state();
            if state.connection.is_none() {
                return Ok(Unsealed::Withheld);
            }
            state.key(subject)?
        };
        let Some(key) = key else { return Ok(Unsealed::Erased) };
        let Some((nonce, sealed)) = sealed.split_first_chunk::<NONCE_BYTES>() else { return Ok(Unsealed::Broken) };
        let payload = Payload { msg: sealed, aad: &named(entry, &name) };
        let Ok(plain) = cipher(&key)?.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new) else { return Ok(Unsealed::Broken) };
        let opened = plain.split_first_chunk::<16>().and_then(|(salt, value)| Some((*salt, json::parse(value, DISCLOSURE_LIMITS).ok()?)));
        Ok(opened.map_or(Unsealed::Broken, |(salt, value)| Unsealed::Disclosed(Disclosure { name, salt: Salt::new(salt), value })))
    }

    /// Makes the keys of this transaction durable. It comes before the log's own commit: a key without a disclosure harms nobody,
    /// a disclosure without its key would be lost.
    pub(super) fn keep_fresh(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let State { connection, fresh, last, .. } = &mut *state;
        *last = None;
        if fresh.is_empty() {
            return Ok(());
        }
        let transaction = connection.as_mut().ok_or(StoreError::SubjectsMissing)?.transaction()?;
        for (subject, key) in fresh.iter() {
            transaction.execute("INSERT INTO subject (pseudonym, key) VALUES (?1, ?2)", (subject.0, key.as_slice()))?;
        }
        transaction.commit()?;
        fresh.clear();
        Ok(())
    }

    /// Forgets keys of a transaction that did not come about.
    pub(super) fn drop_fresh(&self) {
        let mut state = self.state();
        state.fresh.clear();
        state.last = None;
    }

    /// Everybody who has a key, or had one that may still be in the file.
    pub(super) fn all(&self) -> Result<Vec<Pseudonym>, StoreError> {
        let state = self.state();
        let connection = state.connection.as_ref().ok_or(StoreError::SubjectsMissing)?;
        let mut statement = connection.prepare_cached("SELECT pseudonym FROM subject UNION SELECT pseudonym FROM leaving")?;
        Ok(statement.query_map([], |row| row.get(0).map(Pseudonym))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Destroys people's keys, in the file and in its journal.
    pub(super) fn destroy(&self, subjects: &[Pseudonym]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.last = None;
        let connection = state.connection.as_mut().ok_or(StoreError::SubjectsMissing)?;
        clean(connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for subject in subjects {
            transaction.execute("DELETE FROM subject WHERE pseudonym = ?1", [subject.0])?;
            transaction.execute("INSERT OR IGNORE INTO leaving (pseudonym) VALUES (?1)", [subject.0])?;
        }
        transaction.commit()?;
        clean(connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for subject in subjects {
            transaction.execute("DELETE FROM leaving WHERE pseudonym = ?1", [subject.0])?;
        }
        Ok(transaction.commit()?)
    }
}

/// Leaves nothing of what was deleted in free pages or in the journal.
pub(super) fn clean(connection: &Connection) -> Result<(), StoreError> {
    connection.execute_batch("VACUUM;")?;
    empty_journal(connection)
}

/// Folds the journal into the file and empties it, unless a reader needs it.
pub(super) fn empty_journal(connection: &Connection) -> Result<(), StoreError> {
    let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy == 0 { Ok(()) } else { Err(StoreError::Busy) }
}

impl State {
    fn key(&self, subject: Pseudonym) -> Result<Option<Key>, StoreError> {
        let Some(connection) = &self.connection else { return Ok(None) };
        let mut statement = connection.prepare_cached("SELECT key FROM subject WHERE pseudonym = ?1")?;
        Ok(statement.query_row([subject.0], |row| row.get(0)).optional()?.map(Zeroizing::new))
    }

    fn key_or_fresh(&mut self, subject: Pseudonym) -> Result<Key, StoreError> {
        if let Some((_, key)) = self.last.as_ref().filter(|(of, _)| *of == subject) {
            return Ok(key.clone());
        }
        let key = match self.fresh.get(&subject) {
            Some(key) => key.clone(),
            None => match self.key(subject)? {
                Some(key) => key,
                None => self.fresh.entry(subject).or_insert_with(fresh_key).clone(),
            },
        };
        self.last = Some((subject, key.clone()));
        Ok(key)
    }

    fn naming_key(&mut self) -> Result<Key, StoreError> {
        if let Some(key) = &self.naming {
            return Ok(key.clone());
        }
        let connection = self.connection.as_ref().ok_or(StoreError::SubjectsMissing)?;
        let key: Key = Zeroizing::new(connection.prepare_cached("SELECT key FROM naming")?.query_row([], |row| row.get(0))?);
        Ok(self.naming.insert(key).clone())
    }
}

fn fresh_key() -> Key {
    let mut key = Zeroizing::new([0; 32]);
    OsRng.fill_bytes(key.as_mut_slice());
    key
}

fn cipher(key: &Key) -> Result<XChaCha20Poly1305, StoreError> {
    XChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(StoreError::failed)
}

/// What a sealed value is bound to: moved to another row, it does not open.
fn named(entry: &EntryId, name: &str) -> Vec<u8> {
    [entry.as_bytes().as_slice(), name.as_bytes()].concat()
}

fn path(log: &Path) -> PathBuf {
    log.with_file_name(FILE)
}

/// Disclosures that are about nobody in particular, such as an operator's own words.
pub(crate) const NOBODY: Pseudonym = Pseudonym([0; 16]);

/// As much as one request can bring in.
pub(super) const DISCLOSURE_LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 32, values: 8192 };

const FILE: &str = "subjects.db";
const NAMING: &str = "narrows/subject/1";
const NONCE_BYTES: usize = 24;
