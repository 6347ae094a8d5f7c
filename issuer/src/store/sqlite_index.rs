//! The search index's SQLite file: a cache beside the log that may be deleted at any time.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use narrows_verifier::log::Hash;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};

use super::StoreError;
use super::sqlite::{connect, create_private};
use super::sqlite_rows::signed;

/// The open file. Whoever holds it both reads and writes it.
pub(crate) struct IndexFile {
    connection: Connection,
}

/// How far the index reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The first leaf that is not in it.
    pub(crate) next: u64,
    /// Hash of the leaf before: the log may have been replaced.
    pub(crate) last: Option<Hash>,
    /// The key under which names are hashed.
    pub(crate) key: [u8; 32],
}

/// One thing under which a leaf is found: a field's number, and a value that may be a keyed hash.
pub(crate) type Term = (u8, Vec<u8>);

impl IndexFile {
    /// Opens the file, or makes it anew when it is absent, damaged or of another version. `fresh_key` goes into a new one.
    pub(crate) fn open(path: &Path, fresh_key: &[u8; 32]) -> Result<Self, StoreError> {
        match Self::open_existing(path) {
            Ok(Some(file)) => Ok(file),
            Ok(None) | Err(_) => Self::create(path, fresh_key),
        }
    }

    /// Opens a file that is there and of this version.
    pub(crate) fn open_existing(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.is_file() {
            return Ok(None);
        }
        let file = Self::connect(path)?;
        let version: i64 = file.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let sound: String = file.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if version != VERSION || sound != "ok" {
            return Ok(None);
        }
        file.cursor()?;
        Ok(Some(file))
    }

    /// Deletes the file with its journals.
    pub(crate) fn delete(path: &Path) -> Result<(), StoreError> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(PathBuf::from(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(StoreError::failed(error)),
                _ => {}
            }
        }
        Ok(())
    }

    fn create(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        Self::delete(path)?;
        create_private(path)?;
        let mut file = Self::connect(path)?;
        let transaction = file.connection.transaction()?;
        transaction.execute_batch(include_str!("sqlite_index_schema.sql"))?;
        transaction.execute("INSERT INTO cursor (singleton, next, last, key) VALUES (1, 0, NULL, ?1)", [key])?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
        Ok(file)
    }

    fn connect(path: &Path) -> Result<Self, StoreError> {
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let _: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        // What is lost at a power cut is indexed again; what was forgotten must not stay readable in free pages.
        connection.execute_batch("PRAGMA synchronous = NORMAL;")?;
        let _: i64 = connection.query_row("PRAGMA secure_delete = ON", [], |row| row.get(0))?;
        Ok(Self { connection })
    }

    pub(crate) fn cursor(&self) -> Result<Cursor, StoreError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<[u8; 32]>>(1)?, row.get(2)?));
        let (next, last, key) = self.connection.prepare_cached("SELECT next, last, key FROM cursor")?.query_row([], read)?;
        Ok(Cursor { next: u64::try_from(next).map_err(StoreError::failed)?, last: last.map(Hash::new), key })
    }

    /// Adds the terms of the leaves from the cursor on and moves it, in one transaction.
    pub(crate) fn add(&mut self, leaves: &[(u64, Vec<Term>)], next: u64, last: &Hash) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        // Side by side as they will lie: each comes close to the one before.
        let mut rows: Vec<(&Term, u64)> = leaves.iter().flat_map(|(index, terms)| terms.iter().map(|term| (term, *index))).collect();
        rows.sort_unstable();
        insert(&transaction, rows)?;
        transaction.prepare_cached("UPDATE cursor SET next = ?1, last = ?2")?.execute((signed(next)?, last.as_bytes()))?;
        Ok(transaction.commit()?)
    }

    /// Up to `count` leaves from `first` to before `end` under this term, in order.
    pub(crate) fn under(&self, term: &Term, first: u64, end: u64, count: u32) -> Result<Vec<u64>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT idx FROM term WHERE field = ?1 AND value = ?2 AND idx >= ?3 AND idx < ?4 ORDER BY idx LIMIT ?5")?;
        let rows = statement.query_map((term.0, &term.1, signed(first)?, signed(end)?, count), |row| row.get::<_, i64>(0))?;
        rows.map(|index| u64::try_from(index?).map_err(StoreError::failed)).collect()
    }

    pub(crate) fn holds(&self, term: &Term, index: u64) -> Result<bool, StoreError> {
        let found = self
            .connection
            .prepare_cached("SELECT 1 FROM term WHERE field = ?1 AND value = ?2 AND idx = ?3")?
            .query_row((term.0, &term.1, signed(index)?), |row| row.get::<_, i64>(0))
            .optional()?;
        Ok(found.is_some())
    }

    /// Every term of one leaf.
    pub(crate) fn terms(&self, index: u64) -> Result<Vec<Term>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT field, value FROM term WHERE idx = ?1 ORDER BY field, value")?;
        let rows = statement.query_map([signed(index)?], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Leaves of a range that have a term of these fields, up to `count`.
    pub(crate) fn with_fields(&self, least: u8, leaves: Range<u64>, count: u32) -> Result<Vec<u64>, StoreError> {
        let sql = "SELECT DISTINCT idx FROM term WHERE idx >= ?1 AND idx < ?2 AND field >= ?3 ORDER BY idx LIMIT ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let end = i64::try_from(leaves.end).unwrap_or(i64::MAX);
        let rows = statement.query_map((signed(leaves.start)?, end, least, count), |row| row.get::<_, i64>(0))?;
        rows.map(|index| u64::try_from(index?).map_err(StoreError::failed)).collect()
    }

    /// Replaces the terms of a leaf whose names are no longer what they were.
    pub(crate) fn replace(&mut self, index: u64, terms: &[Term]) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.prepare_cached("DELETE FROM term WHERE idx = ?1")?.execute([signed(index)?])?;
        insert(&transaction, terms.iter().map(|term| (term, index)))?;
        Ok(transaction.commit()?)
    }

    /// Deletes up to `count` terms of leaves before `end`, and says how many there were.
    pub(crate) fn drop_before(&mut self, end: u64, count: u32) -> Result<usize, StoreError> {
        let sql = "DELETE FROM term WHERE (field, value, idx) IN (SELECT field, value, idx FROM term WHERE idx < ?1 LIMIT ?2)";
        Ok(self.connection.prepare_cached(sql)?.execute((signed(end)?, count))?)
    }

    /// Terms of leaves before `end`.
    pub(crate) fn count_before(&self, end: u64) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM term WHERE idx < ?1")?;
        let count: i64 = statement.query_row([signed(end)?], |row| row.get(0))?;
        u64::try_from(count).map_err(StoreError::failed)
    }

    /// Overwrites what was deleted in the journal too.
    pub(crate) fn truncate_journal(&self) -> Result<(), StoreError> {
        let _: i64 = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        Ok(())
    }

    /// Terms in all, and the largest index that has one.
    pub(crate) fn count(&self) -> Result<(u64, Option<u64>), StoreError> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Option<i64>>(1)?));
        let (count, last) = self.connection.query_row("SELECT count(*), max(idx) FROM term", [], read)?;
        let last = last.map(u64::try_from).transpose().map_err(StoreError::failed)?;
        Ok((u64::try_from(count).map_err(StoreError::failed)?, last))
    }
}

fn insert<'a>(transaction: &Transaction<'_>, rows: impl IntoIterator<Item = (&'a Term, u64)>) -> Result<(), StoreError> {
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO term (field, value, idx) VALUES (?1, ?2, ?3)")?;
    let mut insert = |((field, value), index): (&Term, u64)| statement.execute((field, value, signed(index)?)).map_err(StoreError::from);
    rows.into_iter().try_for_each(|row| insert(row).map(drop))
}

const VERSION: i64 = 2;
