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
             DROP TRIGGER IF EXISTS checkpoint_update; DROP TRIGGER IF EXISTS checkpoint_delete;
             DROP TRIGGER IF EXISTS retention_back; DROP TRIGGER IF EXISTS retention_delete;",
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

/// Runs SQL with all triggers in place.
pub(crate) fn attempt(path: &Path, sql: &str) -> Result<(), String> {
    Connection::open(path).unwrap().execute_batch(sql).map_err(|error| error.to_string())
}

/// Makes the file what a program of the first schema would have left.
pub(crate) fn first_schema(path: &Path) {
    let (old, shown) = (path.with_extension("old"), path.to_str().unwrap());
    let connection = Connection::open(&old).unwrap();
    connection.execute_batch(include_str!("sqlite_schema_1.sql")).unwrap();
    connection.execute_batch(&format!("ATTACH '{shown}' AS newer;")).unwrap();
    for table in ["leaf", "node", "checkpoint", "head", "task", "derivation", "single_use", "forgotten"] {
        connection.execute_batch(&format!("INSERT INTO main.{table} SELECT * FROM newer.{table};")).unwrap();
    }
    let disclosures = "INSERT INTO main.disclosure SELECT entry, name, subject, sealed FROM newer.disclosure;";
    connection.execute_batch(&format!("{disclosures} PRAGMA user_version = 1;")).unwrap();
    drop(connection);
    std::fs::rename(old, path).unwrap();
}

/// One blob, read through a connection of its own.
pub(crate) fn blob(path: &Path, sql: &str) -> Vec<u8> {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// One number, read through a connection of its own.
pub(crate) fn number(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}
