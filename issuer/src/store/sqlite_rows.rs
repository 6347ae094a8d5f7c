//! Reading the log's tables, from any connection.

use std::collections::HashSet;

use narrows_verifier::Reason;
use narrows_verifier::json;
use narrows_verifier::log::{BlockId, Disclosure, EntryId, Hash, TaskId, node_hash};
use rusqlite::{Connection, OptionalExtension as _, Params, Row};

use super::StoreError;
use super::sqlite_subjects::{DISCLOSURE_LIMITS, NAME_END, Pseudonym, Subjects, Unsealed};

/// A view of the tables through one connection or transaction.
pub(crate) struct Rows<'c> {
    connection: &'c Connection,
    subjects: &'c Subjects,
}

/// Where the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) epoch: i64,
    pub(crate) last_t_ms: u64,
}

/// A leaf as stored; whether hash and bytes belong together is for the reader to check.
#[derive(Clone, Debug)]
pub(crate) struct StoredLeaf {
    pub(crate) index: u64,
    pub(crate) entry: EntryId,
    pub(crate) hash: Hash,
    pub(crate) bytes: Vec<u8>,
}

impl StoredLeaf {
    /// True for a leaf of which only the hash is kept.
    pub(crate) const fn is_deleted(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// What the log's newest leaf of kind `retention` says about leaves, and where that leaf is. The default is a log without any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RetentionRow {
    pub(crate) leaf: u64,
    pub(crate) minimum: u64,
    pub(crate) deleted: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct StoredCheckpoint {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) note: String,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskRow {
    pub(crate) expires_s: i64,
    pub(crate) max_hops: i64,
    pub(crate) hops: i64,
    /// Whom the task is for.
    pub(crate) subject: Pseudonym,
}

impl<'c> Rows<'c> {
    pub(super) const fn new(connection: &'c Connection, subjects: &'c Subjects) -> Self {
        Self { connection, subjects }
    }

    pub(crate) fn head(&self) -> Result<Option<Head>, StoreError> {
        self.one("SELECT size, root, epoch, last_t_ms FROM head", [], |row| {
            Ok(Head { size: number(row, 0)?, root: hash(row, 1)?, epoch: row.get(2)?, last_t_ms: number(row, 3)? })
        })
    }

    /// Whether the log was ever opened with an anchor.
    pub(crate) fn is_anchored(&self) -> Result<bool, StoreError> {
        Ok(self.one("SELECT anchored FROM head", [], |row| row.get(0))?.unwrap_or(false))
    }

    pub(crate) fn leaf(&self, index: u64) -> Result<Option<StoredLeaf>, StoreError> {
        // A reader may ask for any number; beyond SQLite's range there is no leaf.
        let Ok(index) = signed(index) else { return Ok(None) };
        self.one("SELECT idx, entry, hash, bytes FROM leaf WHERE idx = ?1", [index], stored_leaf)
    }

    pub(crate) fn leaf_by_entry(&self, entry: &EntryId) -> Result<Option<StoredLeaf>, StoreError> {
        self.one("SELECT idx, entry, hash, bytes FROM leaf WHERE entry = ?1", [entry.as_bytes()], stored_leaf)
    }

    /// Up to `count` leaves from `first` on, in order; gaps are for the caller to notice.
    pub(crate) fn leaves(&self, first: u64, count: u16) -> Result<Vec<StoredLeaf>, StoreError> {
        self.all("SELECT idx, entry, hash, bytes FROM leaf WHERE idx >= ?1 ORDER BY idx LIMIT ?2", (signed(first)?, count), stored_leaf)
    }

    /// `None` for a log that keeps everything so far.
    pub(crate) fn retention(&self) -> Result<Option<RetentionRow>, StoreError> {
        self.one("SELECT leaf, minimum, deleted FROM retention", [], |row| {
            Ok(RetentionRow { leaf: number(row, 0)?, minimum: number(row, 1)?, deleted: number(row, 2)? })
        })
    }

    /// The first leaf that is handed out.
    pub(crate) fn minimum_index(&self) -> Result<u64, StoreError> {
        Ok(self.retention()?.map_or(0, |row| row.minimum))
    }

    pub(crate) fn leaf_count(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM leaf")
    }

    pub(crate) fn node_count(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM node")
    }

    pub(crate) fn checkpoint_count(&self) -> Result<u64, StoreError> {
        self.count("SELECT count(*) FROM checkpoint")
    }

    /// One hash of the tree; where its level has no rows, it is computed from the nearest level below that has.
    pub(crate) fn node(&self, level: u8, index: u64) -> Result<Option<Hash>, StoreError> {
        let above = level % STORED_EVERY;
        let mut hashes = self.nodes(level - above, index << above, 1 << above)?;
        if hashes.len() != 1 << above {
            return Ok(None);
        }
        for _ in 0..above {
            hashes = hashes
                .chunks_exact(2)
                .filter_map(|pair| pair.first().zip(pair.last()))
                .map(|(left, right)| node_hash(left, right))
                .collect();
        }
        Ok(hashes.first().copied())
    }

    /// The node, or an error when the tree has a hole there.
    pub(crate) fn expect_node(&self, level: u8, index: u64) -> Result<Hash, StoreError> {
        self.node(level, index)?.ok_or_else(|| StoreError::failed("a node of the tree is missing"))
    }

    /// Up to `count` hashes from `first` on, of a level that is stored.
    pub(crate) fn nodes(&self, level: u8, first: u64, count: u16) -> Result<Vec<Hash>, StoreError> {
        let (first, end) = (signed(first)?, signed(first.saturating_add(u64::from(count)))?);
        match level {
            0 => self.all("SELECT hash FROM leaf WHERE idx >= ?1 AND idx < ?2 ORDER BY idx", (first, end), |row| hash(row, 0)),
            _ => self.all("SELECT hash FROM node WHERE level = ?1 AND idx >= ?2 AND idx < ?3 ORDER BY idx", (level, first, end), |row| {
                hash(row, 0)
            }),
        }
    }

    pub(crate) fn newest_checkpoint(&self) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.one("SELECT size, root, note FROM checkpoint ORDER BY size DESC LIMIT 1", [], stored_checkpoint)
    }

    pub(crate) fn next_checkpoint(&self, after: u64) -> Result<Option<StoredCheckpoint>, StoreError> {
        self.one("SELECT size, root, note FROM checkpoint WHERE size > ?1 ORDER BY size LIMIT 1", [signed(after)?], stored_checkpoint)
    }

    /// True when some checkpoint has a size from `smallest` to `largest`.
    pub(crate) fn has_checkpoint(&self, smallest: u64, largest: u64) -> Result<bool, StoreError> {
        let found =
            self.one("SELECT 1 FROM checkpoint WHERE size BETWEEN ?1 AND ?2 LIMIT 1", (signed(smallest)?, signed(largest)?), |row| {
                row.get::<_, i64>(0)
            })?;
        Ok(found.is_some())
    }

    pub(crate) fn task(&self, task: &TaskId) -> Result<Option<TaskRow>, StoreError> {
        self.one("SELECT expires_s, max_hops, hops, subject FROM task WHERE task = ?1", [task.as_bytes()], |row| {
            Ok(TaskRow { expires_s: row.get(0)?, max_hops: row.get(1)?, hops: row.get(2)?, subject: Pseudonym(row.get(3)?) })
        })
    }

    /// Index of the leaf that recorded the block.
    pub(crate) fn derivation(&self, block: &BlockId) -> Result<Option<u64>, StoreError> {
        self.one("SELECT idx FROM derivation WHERE block_id = ?1", [block.as_bytes()], |row| number(row, 0))
    }

    /// Whether a key was spent, or may have been: nobody remembers the keys of such an expiry any more.
    pub(crate) fn is_used(&self, key: &[u8; 32], expires_s: u64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM single_use WHERE expires_s = ?1 AND key = ?2
                   UNION ALL SELECT 1 FROM forgotten WHERE ?1 BETWEEN from_s AND to_s LIMIT 1";
        Ok(self.one(sql, (saturating(expires_s), key), |row| row.get::<_, i64>(0))?.is_some())
    }

    /// First and last expiry of the `limit` spent keys that expired first, if any have.
    pub(super) fn expired(&self, now_s: u64, limit: i64) -> Result<Option<(i64, i64)>, StoreError> {
        let sql = "SELECT min(expires_s), max(expires_s) FROM (SELECT expires_s FROM single_use WHERE expires_s < ?1 ORDER BY 1 LIMIT ?2)";
        let range = self.one(sql, (saturating(now_s), limit), |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?)))?;
        Ok(range.and_then(|(first, last)| first.zip(last)))
    }

    pub(crate) fn disclosures(&self, entry: &EntryId) -> Result<Vec<Disclosure>, StoreError> {
        let sql = "SELECT entry, name, subject, sealed, expired FROM disclosure WHERE entry = ?1 ORDER BY name";
        let rows = self.all(sql, [entry.as_bytes()], sealed_row)?;
        let mut disclosures = Vec::new();
        for row in rows {
            match self.subjects.unseal(row.subject, &row.entry, &row.names, row.sealed.as_deref())? {
                Unsealed::Disclosed(some) => disclosures.extend(some),
                Unsealed::Erased | Unsealed::Expired | Unsealed::Withheld => {}
                Unsealed::Broken => return Err(StoreError::DisclosureBroken),
            }
        }
        Ok(disclosures)
    }

    /// How many values of a leaf are still in the file.
    pub(crate) fn sealed_count(&self, entry: &EntryId) -> Result<u64, StoreError> {
        let sql = "SELECT name FROM disclosure WHERE entry = ?1 AND sealed IS NOT NULL";
        let names = self.all(sql, [entry.as_bytes()], |row| row.get::<_, String>(0))?;
        Ok(names.iter().map(|names| names.split(NAME_END).count() as u64).sum())
    }

    /// Everybody whose key still opens something, or will for a task that has not ended.
    pub(crate) fn subjects_in_use(&self, now_s: u64) -> Result<HashSet<Pseudonym>, StoreError> {
        let sql = "SELECT subject FROM disclosure WHERE sealed IS NOT NULL UNION SELECT subject FROM task WHERE expires_s > ?1";
        Ok(self.all(sql, [saturating(now_s)], |row| row.get(0).map(Pseudonym))?.into_iter().collect())
    }

    /// Visits what is disclosed row by row, those of one entry one after the other, each with the names in it.
    pub(crate) fn for_each_disclosure<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(EntryId, &[&str], Unsealed) -> Result<(), E>,
    ) -> Result<(), E> {
        self.for_each("SELECT entry, name, subject, sealed, expired FROM disclosure ORDER BY entry, name", |row| {
            let row = sealed_row(row).map_err(StoreError::from)?;
            let unsealed = match row.expired && row.sealed.is_none() {
                true => Unsealed::Expired,
                false => self.subjects.unseal(row.subject, &row.entry, &row.names, row.sealed.as_deref())?,
            };
            visit(row.entry, &row.names.split(NAME_END).collect::<Vec<_>>(), unsealed)
        })
    }

    pub(crate) fn for_each_derivation<E: From<StoreError>>(&self, mut visit: impl FnMut(BlockId, u64) -> Result<(), E>) -> Result<(), E> {
        self.for_each("SELECT block_id, idx FROM derivation", |row| {
            let block = row.get::<_, [u8; 32]>(0).map(BlockId::new).map_err(StoreError::from)?;
            visit(block, number(row, 1).map_err(StoreError::from)?)
        })
    }

    fn for_each<E: From<StoreError>>(&self, sql: &str, mut visit: impl FnMut(&Row<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut statement = self.connection.prepare_cached(sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            visit(row)?;
        }
        Ok(())
    }

    fn count(&self, sql: &str) -> Result<u64, StoreError> {
        Ok(self.one(sql, [], |row| number(row, 0))?.unwrap_or(0))
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, read).optional()?)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?.query_map(values, read)?.collect::<rusqlite::Result<_>>()?)
    }
}

/// Whether a disclosure, once stored, can be read back: its value may be made of parts that fit one request only together.
pub(crate) fn is_readable(disclosure: &Disclosure) -> Result<(), Reason> {
    let mut room = PLAIN_BYTES;
    if is_plain(&disclosure.value, &mut room, PLAIN_DEPTH) {
        return Ok(());
    }
    json::parse(disclosure.value.canonical().as_bytes(), DISCLOSURE_LIMITS).map(drop)
}

/// Whether a value is made of a few short texts alone, such as nearly all are: every limit is far.
fn is_plain(value: &json::Value, room: &mut usize, depth: usize) -> bool {
    let mut takes = |bytes: usize| room.checked_sub(bytes + 1).map(|left| *room = left).is_some();
    match value {
        json::Value::Text(text) => takes(text.len()),
        json::Value::Array(items) => takes(1) && depth > 0 && items.iter().all(|item| is_plain(item, room, depth - 1)),
        json::Value::Object(members) => {
            takes(1) && depth > 0 && members.iter().all(|(key, value)| key.0.len() < PLAIN_BYTES && is_plain(value, room, depth - 1))
        }
        _ => false,
    }
}

/// Whether the hashes of this level have rows of their own.
pub(crate) const fn is_stored(level: u8) -> bool {
    level > 0 && level.is_multiple_of(STORED_EVERY)
}

/// A time beyond SQLite's range means never.
pub(super) fn saturating(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// SQLite's integers are signed. Sizes and indices beyond that range are in no log.
pub(super) fn signed(number: u64) -> Result<i64, StoreError> {
    i64::try_from(number).map_err(|_| StoreError::failed("a number is outside SQLite's range"))
}

fn stored_leaf(row: &Row<'_>) -> rusqlite::Result<StoredLeaf> {
    Ok(StoredLeaf { index: number(row, 0)?, entry: EntryId::new(row.get(1)?), hash: hash(row, 2)?, bytes: row.get(3)? })
}

fn stored_checkpoint(row: &Row<'_>) -> rusqlite::Result<StoredCheckpoint> {
    Ok(StoredCheckpoint { size: number(row, 0)?, root: hash(row, 1)?, note: row.get(2)? })
}

/// Disclosures as stored: all of an entry, or a single one in rows of before the sixth schema.
struct SealedRow {
    entry: EntryId,
    names: String,
    subject: Pseudonym,
    sealed: Option<Vec<u8>>,
    expired: bool,
}

fn sealed_row(row: &Row<'_>) -> rusqlite::Result<SealedRow> {
    Ok(SealedRow {
        entry: EntryId::new(row.get(0)?),
        names: row.get(1)?,
        subject: Pseudonym(row.get(2)?),
        sealed: row.get(3)?,
        expired: row.get(4)?,
    })
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    row.get(column).map(Hash::new)
}

pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}

/// With each control character written as six, still below the limit.
const PLAIN_BYTES: usize = 4096;
const PLAIN_DEPTH: usize = 8;

/// The height of a tile.
const STORED_EVERY: u8 = 8;
