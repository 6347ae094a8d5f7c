//! What an attacker with the file, or a failing disk, does: raw SQL past every guard. For tests.

use std::path::Path;

use rusqlite::Connection;

/// Runs SQL on the file with the append-only triggers and all checks gone, and empties the write-ahead log.
pub(crate) fn tamper(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;
             DROP TRIGGER IF EXISTS leaf_update; DROP TRIGGER IF EXISTS leaf_delete;
             DROP TRIGGER IF EXISTS node_update; DROP TRIGGER IF EXISTS node_delete;
             DROP TRIGGER IF EXISTS checkpoint_update; DROP TRIGGER IF EXISTS checkpoint_delete;",
        )
        .unwrap();
    connection.execute_batch(sql).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// Makes every later COMMIT that adds a leaf fail in SQLite itself: a deferred constraint, broken by a trigger.
pub(crate) fn break_commits(path: &Path) {
    Connection::open(path)
        .unwrap()
        .execute_batch(
            "CREATE TABLE trap (leaf INTEGER REFERENCES leaf (idx) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER trap AFTER INSERT ON leaf BEGIN INSERT INTO trap VALUES (-1); END;",
        )
        .unwrap();
}

/// One blob, read through a connection of its own.
pub(crate) fn blob(path: &Path, sql: &str) -> Vec<u8> {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// One number, read through a connection of its own.
pub(crate) fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}
