//! A witness's state: the newest checkpoint that it has cosigned for each log, durable before the cosignature leaves.

use std::fs::File;
use std::path::Path;

use narrows_verifier::log::{Cosigned, Hash};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, TransactionBehavior};

use super::StoreError;
use super::sqlite::{connect, create_private, lock, make_durable};
use super::sqlite_rows::signed;

/// The state file, held by one process at a time.
pub(crate) struct WitnessState {
    connection: Connection,
    /// Held for its lock, which the system releases when the process ends.
    _lock: File,
}

/// What is kept of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CosignedRow {
    pub(crate) head: Cosigned,
    /// When it was cosigned, in seconds since 1970.
    pub(crate) time_s: u64,
    /// The note with the lines of the log and of the witness.
    pub(crate) note: String,
}

impl WitnessState {
    /// Makes the state of a new key; a state is never made anew for a key that may have signed.
    pub(crate) fn create(path: &Path, vkey: &str) -> Result<(), StoreError> {
        let _lock = lock(path)?;
        create_private(path)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if objects != 0 {
            return Err(StoreError::Exists);
        }
        make_durable(&connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO witness (singleton, vkey) VALUES (1, ?1)", [vkey])?;
        Ok(transaction.commit()?)
    }

    /// Opens the state of this key.
    pub(crate) fn open(path: &Path, vkey: &str) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Missing);
        }
        let lock = lock(path)?;
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        make_durable(&connection)?;
        let owner: String = connection.query_row("SELECT vkey FROM witness", [], |row| row.get(0))?;
        if owner != vkey {
            return Err(StoreError::failed("the state is of another witness key"));
        }
        Ok(Self { connection, _lock: lock })
    }

    /// What is known of a log.
    pub(crate) fn newest(&self, origin: &str) -> Result<Option<CosignedRow>, StoreError> {
        newest(&self.connection, origin)
    }

    /// Replaces what is known of a log by what `decide` makes of it, in one transaction: nothing else comes between what
    /// `decide` saw and what it decided, and what it returns is durable when this does.
    pub(crate) fn advance<E: From<StoreError>>(
        &mut self,
        origin: &str,
        decide: impl FnOnce(Option<&CosignedRow>) -> Result<CosignedRow, E>,
    ) -> Result<(), E> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        let old = newest(&transaction, origin)?;
        let new = decide(old.as_ref())?;
        let (size, time_s) = (signed(new.head.size)?, signed(new.time_s)?);
        let root = new.head.root.as_bytes();
        let written = match &old {
            None => transaction.execute(
                "INSERT INTO cosigned (origin, size, root, time_s, note) VALUES (?1, ?2, ?3, ?4, ?5)",
                (origin, size, root, time_s, &new.note),
            ),
            Some(old) => transaction.execute(
                "UPDATE cosigned SET size = ?2, root = ?3, time_s = ?4, note = ?5 WHERE origin = ?1 AND size = ?6 AND root = ?7",
                (origin, size, root, time_s, &new.note, signed(old.head.size)?, old.head.root.as_bytes()),
            ),
        };
        if written.map_err(StoreError::from)? != 1 {
            return Err(StoreError::HeadMoved.into());
        }
        Ok(transaction.commit().map_err(StoreError::from)?)
    }
}

fn newest(connection: &Connection, origin: &str) -> Result<Option<CosignedRow>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT size, root, time_s, note FROM cosigned WHERE origin = ?1")?;
    Ok(statement.query_row([origin], row).optional()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<CosignedRow> {
    let number = |column: usize| {
        let value: i64 = row.get(column)?;
        u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
    };
    Ok(CosignedRow { head: Cosigned { size: number(0)?, root: row.get(1).map(Hash::new)? }, time_s: number(2)?, note: row.get(3)? })
}

const SCHEMA: &str = include_str!("sqlite_witness_1.sql");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::Scratch;

    fn at(size: u64, byte: u8) -> CosignedRow {
        CosignedRow { head: Cosigned { size, root: Hash::new([byte; 32]) }, time_s: 7, note: format!("note {size}") }
    }

    #[test]
    fn what_was_decided_is_there_after_a_restart_and_never_goes_back() {
        let scratch = Scratch::new();
        let path = scratch.0.join("state.db");
        WitnessState::create(&path, "w+1+A").unwrap();
        let mut state = WitnessState::open(&path, "w+1+A").unwrap();
        for row in [at(0, 1), at(3, 2), at(3, 2), at(9, 3)] {
            state.advance::<StoreError>("log", |_| Ok(row)).unwrap();
        }
        assert!(state.advance::<StoreError>("log", |_| Ok(at(8, 4))).is_err());
        assert!(state.advance::<StoreError>("log", |old| Err(StoreError::failed(old.unwrap().head.size))).is_err());
        drop(state);
        let state = WitnessState::open(&path, "w+1+A").unwrap();
        assert_eq!(state.newest("log").unwrap(), Some(at(9, 3)));
        assert_eq!(state.newest("other").unwrap(), None);
    }

    #[test]
    fn a_state_is_one_keys_and_one_processes() {
        let scratch = Scratch::new();
        let path = scratch.0.join("state.db");
        assert!(matches!(WitnessState::open(&path, "w+1+A"), Err(StoreError::Missing)));
        WitnessState::create(&path, "w+1+A").unwrap();
        assert!(matches!(WitnessState::create(&path, "v+2+B"), Err(StoreError::Exists)));
        assert!(matches!(WitnessState::open(&path, "v+2+B"), Err(StoreError::Failed(_))));
        let _state = WitnessState::open(&path, "w+1+A").unwrap();
        assert!(matches!(WitnessState::open(&path, "w+1+A"), Err(StoreError::Busy)));
    }
}
