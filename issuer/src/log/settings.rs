//! How a log is run.

use std::path::PathBuf;
use std::time::Duration;

use super::disk::FreeSpace;

/// How a log is run; the default is what a service without configuration gets.
#[derive(Clone)]
pub struct Settings {
    /// Bytes of the disk that ordinary entries leave free for those that take authority away.
    pub disk_reserve: u64,
    /// Where the log's last checkpoint is kept outside of its database; `None` leaves a rollback to others to find.
    pub anchor: Option<AnchorPlace>,
    /// Entries that may wait for the writer; a caller beyond that is told to come back, so that memory stays bounded on a slow
    /// disk. Those that take authority away do not count: they have a lane of their own.
    pub queue: usize,
    /// How long a caller waits for its commit.
    pub answer_wait: Duration,
    /// Entries that may wait in that lane.
    pub(super) urgent_queue: usize,
    /// Where a test puts a disk of its own.
    pub(super) free_space: Option<FreeSpace>,
}

/// The anchor's file and how closely it follows.
#[derive(Clone, Debug)]
pub struct AnchorPlace {
    /// The file; best on another volume than the database.
    pub path: PathBuf,
    /// How long it may rest after each move; zero moves it before any receipt leaves.
    pub lag: Duration,
    /// The operator's word to go on when the log had an anchor and it is gone.
    pub accept_missing: bool,
}

impl Settings {
    /// A log with this anchor that leaves so many bytes of the disk free.
    pub const fn new(disk_reserve: u64, anchor: Option<AnchorPlace>) -> Self {
        Self { disk_reserve, anchor, queue: QUEUE, answer_wait: ANSWER_WAIT, urgent_queue: URGENT_QUEUE, free_space: None }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(DISK_RESERVE_MB << 20, None)
    }
}

/// The default of `log.anchor_lag_ms`.
pub const ANCHOR_LAG_MS: u64 = 100;

/// The default of `log.disk_reserve_mb`.
pub const DISK_RESERVE_MB: u64 = 64;

/// The default of `log.queue`.
pub const QUEUE: usize = 4096;

const URGENT_QUEUE: usize = 256;

/// Real time, and longer than a commit takes on any disk that a service can use.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
