//! The tables of what was revoked, and of whom each token was minted for.

use narrows_verifier::log::{BlockId, TaskId};
use rusqlite::Row;

use super::StoreError;
use super::sqlite_batch::Batch;
use super::sqlite_rows::{Rows, number, saturating, signed};
use crate::revocation::{Revoked, Target};

/// A revocation and its leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RevocationRow {
    pub(crate) revoked: Revoked,
    /// Index of the leaf that says so.
    pub(crate) index: u64,
}

/// Whom an authority block was minted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MintedRow {
    /// The client's id.
    pub client: String,
    /// The scope that was granted, empty where none was asked for.
    pub scope: String,
}

impl Rows<'_> {
    /// The revocation of this target.
    pub(crate) fn revocation(&self, target: &Target) -> Result<Option<RevocationRow>, StoreError> {
        let sql = "SELECT kind, target, before_s, until_s, idx FROM revocation WHERE kind = ?1 AND target = ?2";
        self.one(sql, (target.kind(), target.bytes()), revocation_row)?.map(parsed).transpose()
    }

    /// Those that could still be met at this time, or all from the beginning of time on.
    pub(crate) fn revocations(&self, now_s: u64) -> Result<Vec<RevocationRow>, StoreError> {
        // A log of an older version that is only read has no such table: then nothing was revoked.
        let there = self.one("SELECT 1 FROM sqlite_schema WHERE name = 'revocation'", [], |row| row.get::<_, i64>(0))?;
        if there.is_none() {
            return Ok(Vec::new());
        }
        let sql = "SELECT kind, target, before_s, until_s, idx FROM revocation WHERE until_s >= ?1";
        self.all(sql, [saturating(now_s)], revocation_row)?.into_iter().map(parsed).collect()
    }

    /// Whom an authority block was minted for.
    pub(crate) fn minted(&self, task: &TaskId, block: &BlockId) -> Result<Option<MintedRow>, StoreError> {
        let sql = "SELECT client, scope FROM minted WHERE task = ?1 AND block_id = ?2";
        self.one(sql, (task.as_bytes(), block.as_bytes()), minted_row)
    }

    /// Whom a task began for: the client of its first mint.
    pub(crate) fn task_client(&self, task: &TaskId) -> Result<Option<String>, StoreError> {
        self.one("SELECT client FROM minted WHERE task = ?1 ORDER BY idx LIMIT 1", [task.as_bytes()], |row| row.get(0))
    }
}

impl Batch<'_> {
    /// Stores a revocation in the place of an earlier one of its target.
    pub(crate) fn insert_revocation(&self, revoked: &Revoked, index: u64) -> Result<(), StoreError> {
        self.write(
            "INSERT OR REPLACE INTO revocation (kind, target, before_s, until_s, idx) VALUES (?1, ?2, ?3, ?4, ?5)",
            (revoked.target.kind(), revoked.target.bytes(), revoked.before_s.map(saturating), saturating(revoked.until_s), signed(index)?),
        )
    }

    /// Takes out what was over before this time.
    pub(crate) fn forget_revocations(&self, before_s: u64) -> Result<(), StoreError> {
        self.write("DELETE FROM revocation WHERE until_s < ?1", [saturating(before_s)])
    }

    pub(crate) fn insert_minted(&self, task: &TaskId, block: &BlockId, minted: &MintedRow, index: u64) -> Result<(), StoreError> {
        self.write(
            "INSERT OR IGNORE INTO minted (task, block_id, client, scope, idx) VALUES (?1, ?2, ?3, ?4, ?5)",
            (task.as_bytes(), block.as_bytes(), &minted.client, &minted.scope, signed(index)?),
        )
    }
}

/// A row as stored, of which another process may have made anything.
type Stored = (String, Vec<u8>, Option<i64>, i64, u64);

fn revocation_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, number(row, 4)?))
}

fn parsed((kind, target, before_s, until_s, index): Stored) -> Result<RevocationRow, StoreError> {
    let broken = || StoreError::failed("a stored revocation can't be read");
    let unsigned = |time: i64| u64::try_from(time).map_err(|_| broken());
    let target = Target::from_stored(&kind, target).ok_or_else(broken)?;
    let before_s = before_s.map(unsigned).transpose()?;
    Ok(RevocationRow { revoked: Revoked { target, before_s, until_s: unsigned(until_s)? }, index })
}

fn minted_row(row: &Row<'_>) -> rusqlite::Result<MintedRow> {
    Ok(MintedRow { client: row.get(0)?, scope: row.get(1)? })
}
