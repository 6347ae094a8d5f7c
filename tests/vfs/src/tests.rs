//! The disk forgets what it should, and nothing else.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::*;

/// A directory of its own for one test, removed with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("narrows-vfs-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    fn database(&self) -> PathBuf {
        self.0.join("some.db")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}; CREATE TABLE IF NOT EXISTS row (value BLOB);"))?;
    Ok(connection)
}

fn insert(connection: &Connection) -> rusqlite::Result<usize> {
    connection.execute("INSERT INTO row VALUES (randomblob(3000))", [])
}

fn count(path: &Path) -> i64 {
    let connection = open(path, "FULL").unwrap();
    assert_eq!(connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    connection.query_row("SELECT count(*) FROM row", [], |row| row.get(0)).unwrap()
}

/// Inserts until the machine goes down, and gives the number of rows that SQLite said it had committed.
fn run(path: &Path) -> i64 {
    let Ok(connection) = open(path, "FULL") else { return 0 };
    (0..12).take_while(|_| insert(&connection).is_ok()).count() as i64
}

fn any(nth: u64) -> Moment {
    Moment { call: None, file: "", nth }
}

#[test]
fn what_was_synchronised_survives_a_cut_at_every_call_and_nothing_is_half_there() {
    for nth in (1..120).step_by(2) {
        let place = Place::new();
        drop(open(&place.database(), "FULL").unwrap());
        let machine = Machine::new(&place.0, nth);
        machine.arm(any(nth), Fault::Cut);
        let committed = run(&place.database());
        machine.cut();
        machine.restart();
        let found = count(&place.database());
        assert!(found == committed || found == committed + 1, "{nth}: {found} rows, {committed} committed");
    }
}

#[test]
fn what_was_not_synchronised_can_be_lost_or_kept() {
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..40 {
        let place = Place::new();
        drop(open(&place.database(), "FULL").unwrap());
        let machine = Machine::new(&place.0, seed);
        let connection = open(&place.database(), "OFF").unwrap();
        for _ in 0..5 {
            insert(&connection).unwrap();
        }
        machine.cut();
        assert!(insert(&connection).is_err(), "nothing works after a cut");
        drop(connection);
        machine.restart();
        match count(&place.database()) {
            5 => kept += 1,
            _ => lost += 1,
        }
    }
    assert!(lost > 2 && kept > 2, "{lost} lost, {kept} kept");
}

#[test]
fn a_kill_loses_nothing_and_a_later_cut_does() {
    let mut lost = 0;
    for seed in 0..20 {
        let place = Place::new();
        drop(open(&place.database(), "FULL").unwrap());
        let machine = Machine::new(&place.0, seed);
        let connection = open(&place.database(), "OFF").unwrap();
        insert(&connection).unwrap();
        machine.kill();
        drop(connection);
        machine.restart();
        let connection = open(&place.database(), "OFF").unwrap();
        assert_eq!(connection.query_row("SELECT count(*) FROM row", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        machine.cut();
        drop(connection);
        machine.restart();
        lost += 1 - count(&place.database());
    }
    assert!(lost > 2, "{lost}");
}

#[test]
fn a_lie_is_not_noticed_before_the_cut() {
    let mut lost = 0;
    for seed in 0..10 {
        let place = Place::new();
        drop(open(&place.database(), "FULL").unwrap());
        let machine = Machine::new(&place.0, seed);
        let connection = open(&place.database(), "FULL").unwrap();
        insert(&connection).unwrap();
        machine.arm(Moment { call: Some(Call::Sync), file: "-wal", nth: 1 }, Fault::Lie);
        insert(&connection).unwrap();
        insert(&connection).unwrap();
        assert_eq!(machine.struck(), [Struck { call: Call::Sync, file: "some.db-wal".to_owned() }]);
        assert_eq!(connection.query_row("SELECT count(*) FROM row", [], |row| row.get::<_, i64>(0)).unwrap(), 3);
        machine.cut();
        drop(connection);
        machine.restart();
        lost += 3 - count(&place.database());
    }
    assert_eq!(lost, 20, "the lost commit breaks the chain of the journal");
}

#[test]
fn a_call_that_fails_is_reported() {
    for (call, fault) in [(Call::Sync, Fault::Error), (Call::Write, Fault::Error), (Call::Write, Fault::Full)] {
        let place = Place::new();
        drop(open(&place.database(), "FULL").unwrap());
        let machine = Machine::new(&place.0, 1);
        let connection = open(&place.database(), "FULL").unwrap();
        insert(&connection).unwrap();
        machine.arm(Moment { call: Some(call), file: "-wal", nth: 1 }, fault);
        insert(&connection).unwrap_err();
        machine.cut();
        drop(connection);
        machine.restart();
        assert_eq!(count(&place.database()), 1, "{call:?} {fault:?}");
    }
}

#[test]
fn a_name_that_was_removed_can_come_back() {
    let (mut back, mut gone) = (0, 0);
    for seed in 0..20 {
        let place = Place::new();
        let machine = Machine::new(&place.0, seed);
        let connection = open(&place.database(), "FULL").unwrap();
        insert(&connection).unwrap();
        // the last connection folds the journal into the file and removes it, without waiting for the directory
        drop(connection);
        let journal = place.0.join("some.db-wal");
        assert!(!journal.exists());
        machine.cut();
        machine.restart();
        if journal.exists() {
            back += 1
        } else {
            gone += 1
        }
        assert_eq!(count(&place.database()), 1);
    }
    assert!(back > 2 && gone > 2, "{back} back, {gone} gone");
}

#[test]
fn other_directories_are_not_touched() {
    let (inside, outside) = (Place::new(), Place::new());
    let machine = Machine::new(&inside.0, 1);
    machine.cut();
    assert!(open(&inside.database(), "FULL").is_err());
    let connection = open(&outside.database(), "FULL").unwrap();
    insert(&connection).unwrap();
    assert_eq!(machine.calls(), 0);
}

#[test]
#[should_panic(expected = "still open")]
fn a_machine_does_not_start_under_an_open_connection() {
    let place = Place::new();
    let machine = Machine::new(&place.0, 1);
    let connection = open(&place.database(), "FULL").unwrap();
    machine.cut();
    machine.restart();
    drop(connection);
}

#[test]
fn what_could_not_be_synchronised_is_seen_until_the_cut_whoever_opens_the_file() {
    let place = Place::new();
    drop(open(&place.database(), "FULL").unwrap());
    let machine = Machine::new(&place.0, 1);
    let connection = open(&place.database(), "FULL").unwrap();
    machine.arm(Moment { call: Some(Call::Sync), file: "-wal", nth: 2 }, Fault::Error);
    // the first one is of the journal's head
    insert(&connection).unwrap_err();
    machine.kill();
    drop(connection);
    machine.restart();
    let connection = open(&place.database(), "FULL").unwrap();
    assert_eq!(connection.query_row("SELECT count(*) FROM row", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    machine.cut();
    drop(connection);
    machine.restart();
    assert_eq!(count(&place.database()), 0);
}
