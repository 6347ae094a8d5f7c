//! The table of the keys that sign tokens, as the log has them.

use narrows_verifier::RootState;
use rusqlite::Row;

use super::StoreError;
use super::sqlite_batch::Batch;
use super::sqlite_rows::{Rows, number, signed};

/// What the log says of a key that signs tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The public key.
    pub key: [u8; 32],
    /// Where it stands in its life; `None` once it was taken away, after which it does not come back.
    pub state: Option<RootState>,
    /// Seconds since 1970 before which it signed nothing. `None` in leaves of before that was said, which say no end either.
    pub not_before: Option<u64>,
    /// Seconds since 1970 after which it signed nothing.
    pub not_after: Option<u64>,
    /// Of a tainted key: the index below which tokens may be spared.
    pub spared_below: Option<u64>,
    /// What asked for it, such as the id of an order. It is in no leaf.
    pub asked: String,
}

impl KeyRow {
    /// The state's name in leaves.
    pub const fn state_name(&self) -> &'static str {
        match self.state {
            Some(state) => state.name(),
            None => REMOVED,
        }
    }

    /// Whether both say the same of one key, whatever asked for it.
    pub fn says_as(&self, other: &Self) -> bool {
        self == &Self { asked: self.asked.clone(), ..other.clone() }
    }
}

/// The state of this name; `Some(None)` for a key that was taken away.
pub(crate) fn state_from_name(name: &str) -> Option<Option<RootState>> {
    if name == REMOVED { Some(None) } else { RootState::from_name(name).map(Some) }
}

impl Rows<'_> {
    /// Every key of which the log says anything, each with its newest leaf, in the order of these.
    pub(crate) fn root_keys(&self) -> Result<Vec<(KeyRow, u64)>, StoreError> {
        // A log of an older version that is only read has no such table.
        let there = self.one("SELECT 1 FROM sqlite_schema WHERE name = 'root_key'", [], |row| row.get::<_, i64>(0))?;
        if there.is_none() {
            return Ok(Vec::new());
        }
        let sql = "SELECT public_key, state, not_before, not_after, spared_below, asked, idx FROM root_key ORDER BY idx, public_key";
        self.all(sql, [], key_row)?.into_iter().map(parsed).collect()
    }

    /// The leaves about keys of which no row says what they mean.
    pub(crate) fn unread_keys(&self) -> Result<Vec<u64>, StoreError> {
        let there = self.one("SELECT 1 FROM sqlite_schema WHERE name = 'unread_key'", [], |row| row.get::<_, i64>(0))?;
        if there.is_none() {
            return Ok(Vec::new());
        }
        self.all("SELECT idx FROM unread_key ORDER BY idx", [], |row| number(row, 0))
    }
}

impl Batch<'_> {
    /// Stores what is said of a key in the place of what was.
    pub(crate) fn put_root_key(&self, key: &KeyRow, index: u64) -> Result<(), StoreError> {
        let seconds = |time: Option<u64>| time.map(signed).transpose();
        self.write(
            "INSERT OR REPLACE INTO root_key (public_key, state, not_before, not_after, spared_below, asked, idx)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (
                key.key,
                key.state_name(),
                seconds(key.not_before)?,
                seconds(key.not_after)?,
                seconds(key.spared_below)?,
                &key.asked,
                signed(index)?,
            ),
        )
    }

    pub(crate) fn insert_unread_key(&self, index: u64) -> Result<(), StoreError> {
        self.write("INSERT OR IGNORE INTO unread_key (idx) VALUES (?1)", [signed(index)?])
    }

    pub(crate) fn drop_unread_key(&self, index: u64) -> Result<(), StoreError> {
        self.write("DELETE FROM unread_key WHERE idx = ?1", [signed(index)?])
    }
}

/// A row as stored, of which another process may have made anything.
struct Stored {
    key: KeyRow,
    state: String,
    index: u64,
}

fn key_row(row: &Row<'_>) -> rusqlite::Result<Stored> {
    let seconds = |column| row.get::<_, Option<i64>>(column)?.map(|_| number(row, column)).transpose();
    let key = KeyRow {
        key: row.get(0)?,
        state: None,
        not_before: seconds(2)?,
        not_after: seconds(3)?,
        spared_below: seconds(4)?,
        asked: row.get(5)?,
    };
    Ok(Stored { key, state: row.get(1)?, index: number(row, 6)? })
}

fn parsed(stored: Stored) -> Result<(KeyRow, u64), StoreError> {
    let state = state_from_name(&stored.state).ok_or_else(|| StoreError::failed("a stored key can't be read"))?;
    Ok((KeyRow { state, ..stored.key }, stored.index))
}

const REMOVED: &str = "removed";
