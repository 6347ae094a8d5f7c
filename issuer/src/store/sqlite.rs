//! The log's SQLite file: opening it durably, for one writer, and reading it beside the writer.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, config::DbConfig};

use super::identity::{Identity, identity};
use super::sqlite_batch::Batch;
use super::sqlite_rows::Rows;
use super::sqlite_subjects::{Pseudonym, Subjects, clean, empty_journal};
use super::{Head, StoreError};

/// The one write connection. While it lives, no other process can open the same file for writing.
pub(crate) struct Database {
    connection: Connection,
    subjects: Subjects,
    identity: Identity,
    /// Held for its lock, which the system releases when the process ends.
    _lock: File,
}

impl Database {
    /// Makes the file, its schema and whatever `fill` writes, in one transaction.
    pub(crate) fn create(path: &Path, fill: impl FnOnce(&Batch<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let _lock = lock(path)?;
        create_private(path)?;
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // A file without any table is what a crash during an earlier attempt leaves behind.
        let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if version(&connection)? != 0 || objects != 0 {
            return Err(StoreError::Exists);
        }
        make_durable(&connection)?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        migrate(&transaction, 0)?;
        let subjects = Subjects::open(path)?;
        let batch = Batch::new(transaction, &subjects);
        fill(&batch)?;
        batch.commit()
    }

    /// Opens an existing log for writing.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Missing);
        }
        let lock = lock(path)?;
        // Asked before and after, it is the file in between that was opened. (A handle of our own on the file is no way to
        // know: closing it would drop SQLite's locks.)
        let before = identity(path);
        let mut connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let found = known_version(&connection)?;
        make_durable(&connection)?;
        settle(&connection)?;
        if found < MIGRATIONS.len() {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            migrate(&transaction, found)?;
            transaction.commit()?;
        }
        let identity_after = Identity::of(path)?;
        if before != identity(path) {
            return Err(StoreError::Swapped);
        }
        Ok(Self { connection, subjects: Subjects::open(path)?, identity: identity_after, _lock: lock })
    }

    /// Fails when another file lies at the path than the one that is open.
    pub(crate) fn check_in_place(&self) -> Result<(), StoreError> {
        self.identity.check()
    }

    /// Takes the head for this process: a writer that is still alive elsewhere fails at its next commit.
    /// From then on the log knows whether it ever had an anchor.
    pub(crate) fn take_over(&mut self, anchored: bool) -> Result<Head, StoreError> {
        let batch = self.begin()?;
        let head = batch.next_epoch(anchored)?;
        batch.commit()?;
        Ok(head)
    }

    /// Begins the one kind of transaction that writes.
    pub(crate) fn begin(&mut self) -> Result<Batch<'_>, StoreError> {
        // What an earlier transaction left behind had no commit.
        self.subjects.drop_fresh();
        Ok(Batch::new(self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?, &self.subjects))
    }

    /// Reads through the write connection, outside any transaction.
    pub(crate) const fn rows(&self) -> Rows<'_> {
        Rows::new(&self.connection, &self.subjects)
    }

    /// Destroys a person's key, and what is left of its disclosures in free pages and journals.
    pub(crate) fn shred(&self, subject: Pseudonym) -> Result<(), StoreError> {
        // The key goes last: while it is there, an erasure that a reader of the files held up can be run again.
        clean(&self.connection)?;
        self.subjects.destroy(&[subject])
    }

    /// Leaves nothing of what has expired or was pruned in free pages and journals, and destroys the keys of people about whom
    /// nothing is disclosed any more; how many.
    pub(crate) fn shred_expired(&self, now_s: u64) -> Result<u64, StoreError> {
        clean(&self.connection)?;
        let in_use = self.rows().subjects_in_use(now_s)?;
        let idle: Vec<Pseudonym> = self.subjects.all()?.into_iter().filter(|subject| !in_use.contains(subject)).collect();
        if !idle.is_empty() {
            self.subjects.destroy(&idle)?;
        }
        Ok(idle.len() as u64)
    }

    /// Folds the journal in and empties it if no reader needs it now; false when one does. Nobody waits for readers.
    pub(crate) fn try_empty_journal(&self) -> Result<bool, StoreError> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let emptied = empty_journal(&self.connection);
        self.connection.busy_timeout(BUSY_WAIT)?;
        match emptied {
            Ok(()) => Ok(true),
            Err(StoreError::Busy) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As [`Database::shred`], beside readers and between commits: the journal is folded in and emptied, and the file, whose
    /// deleted bytes are overwritten already, is not written anew, since nothing could be committed meanwhile.
    pub(crate) fn shred_serving(&self, subject: Pseudonym) -> Result<(), StoreError> {
        empty_journal(&self.connection)?;
        self.subjects.destroy(&[subject])
    }
}

/// A few read-only connections; a read takes whichever is free.
pub(crate) struct Readers {
    connections: Vec<Mutex<Connection>>,
    subjects: Subjects,
    next: AtomicUsize,
}

impl Readers {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connections = (0..READERS).map(|_| connect_read_only(path).map(Mutex::new)).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Self { connections, subjects: Subjects::open_read_only(path)?, next: AtomicUsize::new(0) })
    }

    /// Closes every connection; a later read finds nothing.
    pub(crate) fn close(&mut self) {
        self.connections.clear();
        self.subjects.close();
    }

    /// The keys of the people whom disclosures are about.
    pub(crate) const fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Runs `read` on a connection of its own.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Rows<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.read_with(read)
    }

    /// The same for a reader that meets more than the store.
    pub(crate) fn read_with<T, E: From<StoreError>>(&self, read: impl FnOnce(&Rows<'_>) -> Result<T, E>) -> Result<T, E> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % READERS;
        let connection = self.connections.get(turn).ok_or(StoreError::Missing)?;
        let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(&Rows::new(&connection, &self.subjects))
    }
}

/// One unchanging view of the whole file, also while the service writes.
pub(crate) struct Snapshot {
    connection: Connection,
    subjects: Subjects,
}

impl Snapshot {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = connect_read_only(path)?;
        connection.execute_batch("BEGIN; SELECT count(*) FROM head;")?;
        Ok(Self { connection, subjects: Subjects::open_read_only(path)? })
    }

    /// The keys of the people whom disclosures are about.
    pub(crate) const fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    pub(crate) const fn rows(&self) -> Rows<'_> {
        Rows::new(&self.connection, &self.subjects)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self::failed(error)
    }
}

pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // One plan per statement: else those with a bound on a range are planned anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // A file made by someone else may carry triggers and views: they get no say beyond plain SQL.
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")?;
    Ok(connection)
}

fn connect_read_only(path: &Path) -> Result<Connection, StoreError> {
    if !path.is_file() {
        return Err(StoreError::Missing);
    }
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // A backup from before the last step is evidence too, and nobody has to change it to read it.
    if known_version(&connection)? == 1 {
        connection.execute_batch(include_str!("sqlite_before_2.sql"))?;
    }
    Ok(connection)
}

/// A commit that returned must survive a power cut: anything less than WAL with full synchronisation is refused.
pub(super) fn make_durable(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::NotDurable("the file system does not allow a write-ahead log"));
    }
    // Deleted disclosures must not stay readable in free pages: secure_delete overwrites them.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON; PRAGMA foreign_keys = ON;")?;
    let _: i64 = connection.query_row("PRAGMA secure_delete = ON", [], |row| row.get(0))?;
    let set = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    // Enough for the pages that commits come back to; a larger cache costs, since SQLite looks through all of it when a commit has
    // split a page. And a journal that is folded into the file seldom: each time costs two synchronisations and writes most pages
    // once, however often they changed.
    connection.execute_batch(&format!("PRAGMA cache_size = -{CACHE_KIB};"))?;
    let _: i64 = connection.query_row(&format!("PRAGMA wal_autocheckpoint = {JOURNAL_PAGES}"), [], |row| row.get(0))?;
    if set("synchronous")? < 2 {
        return Err(StoreError::NotDurable("`synchronous` is below FULL"));
    }
    if set("foreign_keys")? != 1 || set("secure_delete")? != 1 || set("trusted_schema")? != 0 {
        return Err(StoreError::NotDurable("a required setting is not honoured by this SQLite"));
    }
    Ok(())
}

/// Puts everything that can be read of a journal on the disk before anybody relies on it, and begins a new one.
///
/// What a killed process wrote and did not synchronise is there to be read until the power fails, and so is what the system could
/// not write and has given up: a later synchronisation then says that it is done, and commits that follow in the same journal
/// are lost with it.
pub(super) fn settle(connection: &Connection) -> Result<(), StoreError> {
    match empty_journal(connection) {
        Err(StoreError::Busy) => {
            tracing::warn!("somebody reads the log's files, so that their journal is not begun anew");
            Ok(())
        }
        settled => settled,
    }
}

/// Locks `<file>.lock`, never the database itself: closing a second handle on that would drop SQLite's own locks.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    // Two names of one file must lead to one lock.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(StoreError::failed(error)),
    };
    let mut name = path.into_os_string();
    name.push(".lock");
    let file = private(OpenOptions::new().create(true).truncate(false)).open(PathBuf::from(name)).map_err(StoreError::failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy),
        Err(TryLockError::Error(error)) => Err(StoreError::failed(error)),
    }
}

/// Disclosures hold personal data, so the file is its owner's alone; SQLite gives its journal the same mode.
pub(super) fn create_private(path: &Path) -> Result<(), StoreError> {
    match private(OpenOptions::new().create_new(true)).open(path) {
        Ok(file) => file.sync_all().map_err(StoreError::failed)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(StoreError::failed(error)),
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Without this, a power cut could take the file's name after receipts have left.
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(StoreError::failed)
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.read(true).write(true).mode(0o600)
}

pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
}

fn known_version(connection: &Connection) -> Result<usize, StoreError> {
    let found = version(connection)?;
    match usize::try_from(found) {
        Ok(0) => Err(StoreError::Missing),
        Ok(known) if known <= MIGRATIONS.len() => Ok(known),
        _ => Err(StoreError::Newer(found)),
    }
}

fn migrate(transaction: &Transaction<'_>, from: usize) -> Result<(), StoreError> {
    for step in MIGRATIONS.iter().skip(from) {
        transaction.execute_batch(step)?;
    }
    Ok(transaction.pragma_update(None, "user_version", i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX))?)
}

/// Each step takes the schema one version further; a released step is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("sqlite_schema_1.sql"),
    include_str!("sqlite_schema_2.sql"),
    include_str!("sqlite_schema_revocations.sql"),
    include_str!("sqlite_schema_clients.sql"),
    include_str!("sqlite_schema_pauses.sql"),
    include_str!("sqlite_schema_keys.sql"),
    include_str!("sqlite_schema_disclosures.sql"),
    include_str!("sqlite_schema_rows_in_order.sql"),
];

const READERS: usize = 4;

const CACHE_KIB: u32 = 8 * 1024;

/// 32 MB; a start reads them once.
const JOURNAL_PAGES: u32 = 8192;

/// Longer than any checkpoint of the write-ahead log, shorter than a caller's patience.
const BUSY_WAIT: Duration = Duration::from_secs(2);
