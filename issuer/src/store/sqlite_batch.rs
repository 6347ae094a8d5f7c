//! The one write transaction: everything that a batch of leaves changes, or nothing.

use std::collections::BTreeMap;

use narrows_verifier::log::{BlockId, Disclosure, EntryId, Hash, Node, TaskId};
use rusqlite::{Params, Transaction};

use super::sqlite_rows::{RetentionRow, Rows, is_stored, saturating, signed};
use super::sqlite_subjects::{NAME_END, Pseudonym, Subjects};
use super::{Head, StoreError, StoredLeaf};

/// An open write transaction. Dropped without [`Batch::commit`], it leaves no trace.
pub(crate) struct Batch<'c> {
    transaction: Transaction<'c>,
    subjects: &'c Subjects,
}

impl<'c> Batch<'c> {
    pub(super) const fn new(transaction: Transaction<'c>, subjects: &'c Subjects) -> Self {
        Self { transaction, subjects }
    }

    /// The tables as this transaction sees them.
    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::new(&self.transaction, self.subjects)
    }

    pub(crate) fn insert_leaf(&self, leaf: &StoredLeaf) -> Result<(), StoreError> {
        self.write(
            "INSERT INTO leaf (idx, entry, hash, bytes) VALUES (?1, ?2, ?3, ?4)",
            (signed(leaf.index)?, leaf.entry.as_bytes(), leaf.hash.as_bytes(), &leaf.bytes),
        )
    }

    /// Stores those of the nodes that have rows of their own.
    pub(crate) fn insert_nodes(&self, nodes: &[Node]) -> Result<(), StoreError> {
        nodes.iter().filter(|node| is_stored(node.level)).try_for_each(|node| {
            self.write("INSERT INTO node (level, idx, hash) VALUES (?1, ?2, ?3)", (node.level, signed(node.index)?, node.hash.as_bytes()))
        })
    }

    pub(crate) fn insert_checkpoint(&self, size: u64, root: &Hash, note: &str) -> Result<(), StoreError> {
        self.write("INSERT INTO checkpoint (size, root, note) VALUES (?1, ?2, ?3)", (signed(size)?, root.as_bytes(), note))
    }

    pub(crate) fn insert_head(&self, head: &Head) -> Result<(), StoreError> {
        self.write(
            "INSERT INTO head (singleton, size, root, epoch, last_t_ms) VALUES (1, ?1, ?2, ?3, ?4)",
            (signed(head.size)?, head.root.as_bytes(), head.epoch, signed(head.last_t_ms)?),
        )
    }

    /// Moves the head from `old` to `new`, or fails when the stored head is not `old` any more.
    pub(crate) fn advance_head(&self, old: &Head, new: &Head) -> Result<(), StoreError> {
        let moved = self
            .transaction
            .prepare_cached(
                "UPDATE head SET size = ?1, root = ?2, last_t_ms = ?3
                 WHERE singleton = 1 AND size = ?4 AND root = ?5 AND epoch = ?6",
            )?
            .execute((signed(new.size)?, new.root.as_bytes(), signed(new.last_t_ms)?, signed(old.size)?, old.root.as_bytes(), old.epoch))?;
        if moved == 1 { Ok(()) } else { Err(StoreError::HeadMoved) }
    }

    pub(super) fn next_epoch(&self, anchored: bool) -> Result<Head, StoreError> {
        self.write("UPDATE head SET epoch = epoch + 1, anchored = anchored OR ?1", [anchored])?;
        self.rows().head()?.ok_or(StoreError::HeadMoved)
    }

    /// Stores what is disclosed of an entry, all of it in one row: it is about one person, and goes together. What a request brings
    /// twice is kept once.
    pub(crate) fn insert_disclosures<'d>(
        &self,
        entry: &EntryId,
        subject: Pseudonym,
        disclosures: impl Iterator<Item = &'d Disclosure>,
    ) -> Result<(), StoreError> {
        let mut by_name: BTreeMap<&str, &Disclosure> = BTreeMap::new();
        disclosures.for_each(|disclosure| {
            by_name.entry(&disclosure.name).or_insert(disclosure);
        });
        if by_name.is_empty() {
            return Ok(());
        }
        let (names, disclosures): (Vec<_>, Vec<_>) = by_name.into_iter().unzip();
        let names = names.join(NAME_END.encode_utf8(&mut [0; 4]));
        let sealed = self.subjects.seal(subject, entry, &names, &disclosures)?;
        self.write(
            "INSERT OR IGNORE INTO disclosure (entry, name, subject, sealed) VALUES (?1, ?2, ?3, ?4)",
            (entry.as_bytes(), &names, subject.0, sealed),
        )
    }

    /// Takes the values out of all disclosures about a person, and the person out of its tasks that have ended. A running one
    /// keeps the pseudonym, so that what is still to come can be erased as well.
    pub(crate) fn erase_disclosures(&self, subject: Pseudonym, now_s: u64) -> Result<(), StoreError> {
        self.write("UPDATE disclosure SET sealed = NULL, subject = zeroblob(16) WHERE subject = ?1", [subject.0])?;
        self.write("UPDATE task SET subject = zeroblob(16) WHERE subject = ?1 AND expires_s <= ?2", (subject.0, saturating(now_s)))
    }

    /// Takes the values out of a leaf's disclosures, which were kept for as long as they were to be.
    pub(crate) fn expire_disclosures(&self, entry: &EntryId) -> Result<(), StoreError> {
        self.write(
            "UPDATE disclosure SET sealed = NULL, subject = zeroblob(16), expired = 1 WHERE entry = ?1 AND sealed IS NOT NULL",
            [entry.as_bytes()],
        )
    }

    /// Forgets a leaf's disclosures, those that were erased or have expired among them.
    pub(crate) fn drop_disclosures(&self, entry: &EntryId) -> Result<(), StoreError> {
        self.write("DELETE FROM disclosure WHERE entry = ?1", [entry.as_bytes()])
    }

    /// Forgets whom a task that has ended was for.
    pub(crate) fn release_task(&self, task: &TaskId, now_s: u64) -> Result<(), StoreError> {
        self.write("UPDATE task SET subject = zeroblob(16) WHERE task = ?1 AND expires_s <= ?2", (task.as_bytes(), saturating(now_s)))
    }

    /// Forgets a task that has ended.
    pub(crate) fn drop_task(&self, task: &TaskId, now_s: u64) -> Result<(), StoreError> {
        self.write("DELETE FROM task WHERE task = ?1 AND expires_s <= ?2", (task.as_bytes(), saturating(now_s)))
    }

    pub(crate) fn drop_derivation(&self, block: &BlockId) -> Result<(), StoreError> {
        self.write("DELETE FROM derivation WHERE block_id = ?1", [block.as_bytes()])
    }

    /// Deletes a leaf's bytes; its hash stays. Only below what [`Batch::set_retention`] has said.
    pub(crate) fn delete_bytes(&self, index: u64) -> Result<(), StoreError> {
        self.write("UPDATE leaf SET bytes = x'' WHERE idx = ?1", [signed(index)?])
    }

    pub(crate) fn set_retention(&self, row: &RetentionRow) -> Result<(), StoreError> {
        self.write(
            "INSERT INTO retention (singleton, leaf, minimum, deleted) VALUES (1, ?1, ?2, ?3)
             ON CONFLICT (singleton) DO UPDATE SET leaf = excluded.leaf, minimum = excluded.minimum, deleted = excluded.deleted",
            (signed(row.leaf)?, signed(row.minimum)?, signed(row.deleted)?),
        )
    }

    pub(crate) fn insert_task(&self, task: &TaskId, expires_s: u64, max_hops: u32, subject: Pseudonym) -> Result<(), StoreError> {
        self.write(
            "INSERT OR IGNORE INTO task (task, expires_s, max_hops, subject) VALUES (?1, ?2, ?3, ?4)",
            (task.as_bytes(), saturating(expires_s), max_hops, subject.0),
        )
    }

    pub(crate) fn count_hop(&self, task: &TaskId) -> Result<(), StoreError> {
        self.write("UPDATE task SET hops = hops + 1 WHERE task = ?1", [task.as_bytes()])
    }

    pub(crate) fn insert_derivation(&self, block: &BlockId, index: u64) -> Result<(), StoreError> {
        self.write("INSERT OR IGNORE INTO derivation (block_id, idx) VALUES (?1, ?2)", (block.as_bytes(), signed(index)?))
    }

    pub(crate) fn insert_single_use(&self, key: &[u8; 32], expires_s: u64) -> Result<(), StoreError> {
        self.write("INSERT OR IGNORE INTO single_use (key, expires_s) VALUES (?1, ?2)", (key, saturating(expires_s)))
    }

    /// Forgets keys that have expired, a few at a time, so that no commit pays for a backlog. Which expiries were forgotten is
    /// remembered: with a clock that was ahead and is put right, what was spent before would be young again and unknown.
    pub(crate) fn prune_single_use(&self, now_s: u64) -> Result<(), StoreError> {
        let Some((first, last)) = self.rows().expired(now_s, PRUNED_AT_ONCE)? else { return Ok(()) };
        self.write("UPDATE forgotten SET to_s = max(to_s, ?2) WHERE from_s <= ?1 AND to_s >= ?1 - ?3", (first, last, FORGOTTEN_GAP_S))?;
        // a range of its own for what lies far from the others, or a clock that was a year ahead would spoil the year
        self.write(
            "INSERT INTO forgotten (from_s, to_s) SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE from_s <= ?1 AND to_s >= ?2)",
            (first, last),
        )?;
        self.write("DELETE FROM forgotten WHERE id <= (SELECT max(id) FROM forgotten) - ?1", [FORGOTTEN_RANGES])?;
        self.write(
            "DELETE FROM single_use WHERE (expires_s, key) IN (SELECT expires_s, key FROM single_use WHERE expires_s < ?1 ORDER BY 1 LIMIT ?2)",
            (saturating(now_s), PRUNED_AT_ONCE),
        )
    }

    pub(crate) fn commit(self) -> Result<(), StoreError> {
        self.subjects.keep_fresh()?;
        Ok(self.transaction.commit()?)
    }

    pub(super) fn write(&self, sql: &str, values: impl Params) -> Result<(), StoreError> {
        self.transaction.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

const PRUNED_AT_ONCE: i64 = 64;

/// Expiries closer than this count as one range: a quiet hour makes no new one.
const FORGOTTEN_GAP_S: i64 = 3600;

/// The newest ranges, which are kept: the clock would have to jump as often before one is lost whose keys still live.
const FORGOTTEN_RANGES: i64 = 16;
