//! What witnesses said of our log: the checkpoints that they cosigned, with their lines. A cache that can be fetched again; but
//! a checkpoint in it that the log has not is proof that the log was rolled back.

use std::path::Path;

use narrows_verifier::log::Hash;
use rusqlite::{Connection, OpenFlags, Row};

use super::StoreError;
use super::sqlite::{connect, create_private};
use super::sqlite_rows::signed;

/// The file of cosigned checkpoints.
pub(crate) struct Cosignatures {
    connection: Connection,
}

/// A checkpoint and what was added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CosignedNote {
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) note: String,
}

impl Cosignatures {
    /// Opens the file, and makes it when there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path)?;
        let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    /// Up to `count` checkpoints, the largest first.
    pub(crate) fn newest(&self, count: u32) -> Result<Vec<CosignedNote>, StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT size, root, note FROM cosigned ORDER BY size DESC LIMIT ?1")?;
        Ok(statement.query_map([count], row)?.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps a checkpoint in place of one of the same size, and lets the oldest go.
    pub(crate) fn keep(&self, kept: &CosignedNote) -> Result<(), StoreError> {
        self.connection.prepare_cached("INSERT OR REPLACE INTO cosigned (size, root, note) VALUES (?1, ?2, ?3)")?.execute((
            signed(kept.size)?,
            kept.root.as_bytes(),
            &kept.note,
        ))?;
        self.connection
            .prepare_cached("DELETE FROM cosigned WHERE size <= (SELECT size FROM cosigned ORDER BY size DESC LIMIT 1 OFFSET ?1)")?
            .execute([KEPT])?;
        Ok(())
    }
}

fn row(row: &Row<'_>) -> rusqlite::Result<CosignedNote> {
    let size: i64 = row.get(0)?;
    let size = u64::try_from(size).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, size))?;
    Ok(CosignedNote { size, root: row.get(1).map(Hash::new)?, note: row.get(2)? })
}

/// Losing the last rows costs one question to each witness, so a commit need not wait for the disk.
const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS cosigned (
      size INTEGER PRIMARY KEY,
      root BLOB NOT NULL CHECK (length(root) = 32),
      note TEXT NOT NULL
    ) STRICT;";

/// Checkpoints that are kept. The newest would do; some more let an auditor see the witnesses' past word.
const KEPT: u32 = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::tests::Scratch;

    #[test]
    fn the_newest_are_kept_and_read_back_in_order() {
        let scratch = Scratch::new();
        let path = scratch.0.join("witness.db");
        let file = Cosignatures::open(&path).unwrap();
        let of = |size: u64, note: &str| CosignedNote { size, root: Hash::new([7; 32]), note: note.to_owned() };
        for size in 1..=u64::from(KEPT) + 5 {
            file.keep(&of(size, "one line")).unwrap();
        }
        file.keep(&of(9, "two lines")).unwrap();
        drop(file);
        let file = Cosignatures::open(&path).unwrap();
        let all = file.newest(u32::MAX).unwrap();
        assert_eq!((all.len(), all[0].size, all[all.len() - 1].size), (KEPT as usize, 1029, 6));
        assert_eq!(all[all.len() - 4], of(9, "two lines"));
        assert_eq!(file.newest(1).unwrap().len(), 1);
    }
}
