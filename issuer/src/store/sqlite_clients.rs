//! The table of registered clients, and the list of tasks that operators look at.

use narrows_verifier::log::TaskId;
use rusqlite::Row;

use super::StoreError;
use super::sqlite_batch::Batch;
use super::sqlite_rows::{Rows, number, signed};
use crate::clients::Registration;

/// A task as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedTask {
    /// The task.
    pub task: TaskId,
    /// For which client it began, where that is recorded.
    pub client: Option<String>,
    /// Its end, in seconds since 1970.
    pub expires_s: i64,
    /// The hops that were reported for it.
    pub hops: i64,
    /// As many as may be.
    pub max_hops: i64,
    /// Whether it is revoked as a whole.
    pub revoked: bool,
    /// Whether it is paused.
    pub paused: bool,
}

impl Rows<'_> {
    /// The leaf of the registered client with this id.
    pub(crate) fn client_leaf(&self, id: &str) -> Result<Option<u64>, StoreError> {
        self.one("SELECT idx FROM client WHERE id = ?1", [id], |row| number(row, 0))
    }

    pub(crate) fn client_count(&self) -> Result<u64, StoreError> {
        Ok(self.one("SELECT count(*) FROM client", [], |row| number(row, 0))?.unwrap_or(0))
    }

    /// Every registered client with its leaf.
    pub(crate) fn clients(&self) -> Result<Vec<(Registration, u64)>, StoreError> {
        // A log of an older version that is only read has no such table: then nobody was registered.
        let there = self.one("SELECT 1 FROM sqlite_schema WHERE name = 'client'", [], |row| row.get::<_, i64>(0))?;
        if there.is_none() {
            return Ok(Vec::new());
        }
        self.all("SELECT id, entry, disabled, idx FROM client", [], client_row)?.into_iter().map(parsed).collect()
    }

    /// Up to `most` tasks that began before `before`, the newest first.
    pub(crate) fn tasks(&self, before: Option<&TaskId>, most: u16) -> Result<Vec<ListedTask>, StoreError> {
        // A task's id is 16 bytes, so this lies behind all of them.
        let end = [0xff; 17];
        let before = before.map_or(end.as_slice(), |task| task.as_bytes().as_slice());
        self.all(&format!("{TASKS} WHERE task < ?1 ORDER BY task DESC LIMIT ?2"), (before, most), task_row)
    }

    /// One of them.
    pub(crate) fn listed_task(&self, task: &TaskId) -> Result<Option<ListedTask>, StoreError> {
        self.one(&format!("{TASKS} WHERE task = ?1"), [task.as_bytes()], task_row)
    }
}

impl Batch<'_> {
    /// Stores a registration in the place of an earlier one of its id.
    pub(crate) fn put_client(&self, registration: &Registration, index: u64) -> Result<(), StoreError> {
        self.write(
            "INSERT OR REPLACE INTO client (id, entry, disabled, idx) VALUES (?1, ?2, ?3, ?4)",
            (&registration.client.id, registration.text(), registration.disabled, signed(index)?),
        )
    }
}

/// A row as stored, of which another process may have made anything.
type Stored = (String, String, bool, u64);

fn client_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, number(row, 3)?))
}

fn parsed((id, entry, disabled, index): Stored) -> Result<(Registration, u64), StoreError> {
    let read = Registration::from_stored(&entry, disabled).filter(|registration| registration.client.id == id);
    read.map(|registration| (registration, index)).ok_or_else(|| StoreError::failed("a stored client can't be read"))
}

fn task_row(row: &Row<'_>) -> rusqlite::Result<ListedTask> {
    Ok(ListedTask {
        task: TaskId(row.get(0)?),
        client: row.get(1)?,
        expires_s: row.get(2)?,
        hops: row.get(3)?,
        max_hops: row.get(4)?,
        revoked: row.get(5)?,
        paused: row.get(6)?,
    })
}

const TASKS: &str = "SELECT task, (SELECT client FROM minted WHERE minted.task = task.task ORDER BY idx LIMIT 1), expires_s, hops,
 max_hops, EXISTS (SELECT 1 FROM revocation WHERE kind = 'task' AND target = task.task),
 EXISTS (SELECT 1 FROM pause WHERE kind = 'task' AND target = task.task) FROM task";
