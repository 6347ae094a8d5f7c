//! The table of what is paused.

use rusqlite::Row;

use super::StoreError;
use super::sqlite_batch::Batch;
use super::sqlite_rows::{Rows, number, signed};
use crate::revocation::Target;

impl Rows<'_> {
    /// The leaf that paused this target, while it is paused.
    pub(crate) fn pause(&self, target: &Target) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT idx FROM pause WHERE kind = ?1 AND target = ?2";
        self.one(sql, (target.kind(), target.bytes()), |row| number(row, 0))
    }

    /// Everything that is paused, each with its leaf.
    pub(crate) fn pauses(&self) -> Result<Vec<(Target, u64)>, StoreError> {
        // A log of an older version that is only read has no such table: then nothing is paused.
        let there = self.one("SELECT 1 FROM sqlite_schema WHERE name = 'pause'", [], |row| row.get::<_, i64>(0))?;
        if there.is_none() {
            return Ok(Vec::new());
        }
        self.all("SELECT kind, target, idx FROM pause", [], pause_row)?.into_iter().map(parsed).collect()
    }
}

impl Batch<'_> {
    pub(crate) fn insert_pause(&self, target: &Target, index: u64) -> Result<(), StoreError> {
        self.write("INSERT OR REPLACE INTO pause (kind, target, idx) VALUES (?1, ?2, ?3)", (target.kind(), target.bytes(), signed(index)?))
    }

    /// Takes away what this leaf paused.
    pub(crate) fn end_pause(&self, index: u64, target: &Target) -> Result<(), StoreError> {
        self.write("DELETE FROM pause WHERE kind = ?1 AND target = ?2 AND idx = ?3", (target.kind(), target.bytes(), signed(index)?))
    }

    /// The same where the target is not known.
    pub(crate) fn end_pauses_of(&self, index: u64) -> Result<(), StoreError> {
        self.write("DELETE FROM pause WHERE idx = ?1", [signed(index)?])
    }
}

/// A row as stored, of which another process may have made anything.
type Stored = (String, Vec<u8>, u64);

fn pause_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok((row.get(0)?, row.get(1)?, number(row, 2)?))
}

fn parsed((kind, target, index): Stored) -> Result<(Target, u64), StoreError> {
    let target = Target::from_stored(&kind, target).filter(Target::can_pause);
    target.map(|target| (target, index)).ok_or_else(|| StoreError::failed("a stored pause can't be read"))
}
