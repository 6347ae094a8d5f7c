//! The keys of the people whom disclosures are about, in a file of their own beside the log.
//!
//! The disclosures of an entry are stored together, sealed (XChaCha20-Poly1305) under their subject's key. Who has the log's database alone opens none, and
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

/// What the stored disclosures of one row are to a reader.
pub(crate) enum Unsealed {
    /// Opened under their subject's key.
    Disclosed(Vec<Disclosure>),
    /// The subject's key is destroyed, or the values were taken out of the row.
    Erased,
    /// The values were in the row for as long as they were to be kept.
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
    /// Durable keys under which something was sealed lately: to find one in the file takes longer than to seal. Only who may write
    /// the file seals, and nobody else can destroy a key meanwhile.
    known: HashMap<Pseudonym, Key>,
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
        *self.state() = State::new(None);
    }

    fn new(connection: Option<Connection>) -> Self {
        Self { state: Mutex::new(State::new(connection)) }
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
        // What is about nobody, such as the states of keys, is not one person's to take away.
        if subject == NOBODY {
            return Ok(false);
        }
        let state = self.state();
        let Some(connection) = &state.connection else { return Ok(false) };
        let mut statement =
            connection.prepare_cached("SELECT 1 FROM subject WHERE pseudonym = ?1 UNION ALL SELECT 1 FROM leaving WHERE pseudonym = ?1")?;
        Ok(statement.exists([subject.0])?)
    }

    /// Seals the disclosures of an entry together, under their subject's key, which is made where there is none. `names` are theirs.
    pub(super) fn seal(
        &self,
        subject: Pseudonym,
        entry: &EntryId,
        names: &str,
        disclosures: &[&Disclosure],
    ) -> Result<Vec<u8>, StoreError> {
        let key = self.state().key_or_fresh(subject)?;
        let plain = written(disclosures)?;
        let mut nonce = [0; NONCE_BYTES];
        OsRng.fill_bytes(&mut nonce);
        let named = named(entry, names);
        let payload = Payload { msg: plain.as_slice(), aad: &named };
        let sealed = cipher(&key)?.encrypt(&XNonce::from(nonce), payload).map_err(StoreError::failed)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what a row holds.
    pub(super) fn unseal(&self, subject: Pseudonym, entry: &EntryId, names: &str, sealed: Option<&[u8]>) -> Result<Unsealed, StoreError> {
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
        let payload = Payload { msg: sealed, aad: &named(entry, names) };
        let Ok(plain) = cipher(&key)?.decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new) else { return Ok(Unsealed::Broken) };
        Ok(read(names, &plain).map_or(Unsealed::Broken, Unsealed::Disclosed))
    }

    /// Makes the keys of this transaction durable. It comes before the log's own commit: a key without a disclosure harms nobody,
    /// a disclosure without its key would be lost.
    pub(super) fn keep_fresh(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let State { connection, fresh, .. } = &mut *state;
        if fresh.is_empty() {
            return Ok(());
        }
        let transaction = connection.as_mut().ok_or(StoreError::SubjectsMissing)?.transaction()?;
        for (subject, key) in fresh.iter() {
            transaction.execute("INSERT INTO subject (pseudonym, key) VALUES (?1, ?2)", (subject.0, key.as_slice()))?;
        }
        transaction.commit()?;
        let durable: Vec<_> = fresh.drain().collect();
        durable.into_iter().for_each(|(subject, key)| state.remember(subject, key));
        Ok(())
    }

    /// Forgets keys of a transaction that did not come about.
    pub(super) fn drop_fresh(&self) {
        self.state().fresh.clear();
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
        state.known.clear();
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
    fn new(connection: Option<Connection>) -> Self {
        Self { connection, fresh: HashMap::new(), known: HashMap::new(), naming: None }
    }

    fn key(&self, subject: Pseudonym) -> Result<Option<Key>, StoreError> {
        let Some(connection) = &self.connection else { return Ok(None) };
        let mut statement = connection.prepare_cached("SELECT key FROM subject WHERE pseudonym = ?1")?;
        Ok(statement.query_row([subject.0], |row| row.get(0)).optional()?.map(Zeroizing::new))
    }

    fn key_or_fresh(&mut self, subject: Pseudonym) -> Result<Key, StoreError> {
        if let Some(key) = self.known.get(&subject).or_else(|| self.fresh.get(&subject)) {
            return Ok(key.clone());
        }
        match self.key(subject)? {
            Some(key) => {
                self.remember(subject, key.clone());
                Ok(key)
            }
            None => Ok(self.fresh.entry(subject).or_insert_with(fresh_key).clone()),
        }
    }

    fn remember(&mut self, subject: Pseudonym, key: Key) {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(subject, key);
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

/// What is sealed: salt and value of each disclosure, all but the last behind their length. A single one is what was sealed before
/// there were several in a row.
fn written(disclosures: &[&Disclosure]) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let values: Vec<Zeroizing<String>> = disclosures.iter().map(|disclosure| Zeroizing::new(disclosure.value.canonical())).collect();
    // all the room at once: what a buffer grows out of is not wiped
    let room = values.iter().map(|value| value.len() + LENGTH_BYTES + SALT_BYTES).sum();
    let mut plain = Zeroizing::new(Vec::with_capacity(room));
    for (place, (disclosure, value)) in (1..).zip(disclosures.iter().zip(&values)) {
        if place < disclosures.len() {
            plain.extend_from_slice(&u32::try_from(SALT_BYTES + value.len()).map_err(StoreError::failed)?.to_be_bytes());
        }
        plain.extend_from_slice(disclosure.salt.as_bytes());
        plain.extend_from_slice(value.as_bytes());
    }
    Ok(plain)
}

/// Reads what [`written`] wrote; `None` for anything else.
fn read(names: &str, mut plain: &[u8]) -> Option<Vec<Disclosure>> {
    let mut names = names.split(NAME_END).peekable();
    let mut disclosures = Vec::new();
    while let Some(name) = names.next() {
        let mut part = plain;
        if names.peek().is_some() {
            let (length, rest) = plain.split_first_chunk::<LENGTH_BYTES>()?;
            (part, plain) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        }
        let (salt, value) = part.split_first_chunk::<SALT_BYTES>()?;
        disclosures.push(Disclosure { name: name.to_owned(), salt: Salt::new(*salt), value: json::parse(value, DISCLOSURE_LIMITS).ok()? });
    }
    Some(disclosures)
}

/// What sealed values are bound to: moved to another row, or under other names, they do not open.
fn named(entry: &EntryId, names: &str) -> Vec<u8> {
    [entry.as_bytes().as_slice(), names.as_bytes()].concat()
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

/// Half a megabyte.
const MOST_KNOWN: usize = 8192;

const SALT_BYTES: usize = 16;
const LENGTH_BYTES: usize = 4;

/// Stands between the names of a row, and in no name.
pub(super) const NAME_END: char = '\n';

#[cfg(test)]
mod tests {
    use narrows_verifier::json::Value;

    use super::*;
    use crate::keys::tests::Scratch;

    const SUBJECT: Pseudonym = Pseudonym([7; 16]);
    const ENTRY: EntryId = EntryId([1; 16]);

    fn disclosure(name: &str, value: Value) -> Disclosure {
        Disclosure { name: name.to_owned(), salt: Salt::new([name.len() as u8; 16]), value }
    }

    fn subjects(scratch: &Scratch) -> Subjects {
        let subjects = Subjects::open(&scratch.0.join("log.db")).unwrap();
        subjects.state().key_or_fresh(SUBJECT).unwrap();
        subjects.keep_fresh().unwrap();
        subjects
    }

    fn opened(subjects: &Subjects, names: &str, sealed: &[u8]) -> Option<Vec<Disclosure>> {
        match subjects.unseal(SUBJECT, &ENTRY, names, Some(sealed)).unwrap() {
            Unsealed::Disclosed(disclosures) => Some(disclosures),
            _ => None,
        }
    }

    #[test]
    fn what_is_sealed_together_opens_under_its_names_in_their_order_alone() {
        let scratch = Scratch::new();
        let subjects = subjects(&scratch);
        let text = |text: &str| Value::Text(text.to_owned());
        let all = [disclosure("a", text("one")), disclosure("bb", Value::Array(vec![text(""), text("two")])), disclosure("ccc", text("3"))];
        let sealed = subjects.seal(SUBJECT, &ENTRY, "a\nbb\nccc", &all.each_ref()).unwrap();
        assert_eq!(opened(&subjects, "a\nbb\nccc", &sealed).unwrap(), all);
        for names in ["a\nccc\nbb", "a\nbb", "a\nbb\nccc\nd", "", "a"] {
            assert!(opened(&subjects, names, &sealed).is_none(), "{names:?}");
        }
        // sealed under the right names, with another number of parts in it
        let fewer = subjects.seal(SUBJECT, &ENTRY, "a\nbb\nccc", &[&all[0], &all[1]]).unwrap();
        assert!(opened(&subjects, "a\nbb\nccc", &fewer).is_none());
    }

    /// Salt and value with nothing before them, bound to entry and name.
    #[test]
    fn a_row_that_an_earlier_program_wrote_opens() {
        let scratch = Scratch::new();
        let subjects = subjects(&scratch);
        let key = subjects.state().key_or_fresh(SUBJECT).unwrap();
        let (plain, bound) = ([[9; 16].as_slice(), br#"["x"]"#].concat(), [[1; 16].as_slice(), b"tools"].concat());
        let sealed = cipher(&key).unwrap().encrypt(&XNonce::from([5; NONCE_BYTES]), Payload { msg: &plain, aad: &bound }).unwrap();
        let found = opened(&subjects, "tools", &[[5; NONCE_BYTES].as_slice(), &sealed].concat()).unwrap();
        let expected =
            Disclosure { name: "tools".to_owned(), salt: Salt::new([9; 16]), value: Value::Array(vec![Value::Text("x".to_owned())]) };
        assert_eq!(found, [expected]);
    }
}
