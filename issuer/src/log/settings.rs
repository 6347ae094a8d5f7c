//! How a log is run.

use super::disk::FreeSpace;
use super::lanes::Capacity;

/// How a log is run; the default is what a service without configuration gets.
#[derive(Clone)]
pub struct Settings {
    /// Bytes of the disk that ordinary entries leave free for those that take authority away.
    pub disk_reserve: u64,
    pub(super) capacity: Capacity,
    /// Where a test puts a disk of its own.
    pub(super) free_space: Option<FreeSpace>,
}

impl Settings {
    /// A log that leaves so many bytes of the disk free.
    pub const fn new(disk_reserve: u64) -> Self {
        Self { disk_reserve, capacity: CAPACITY, free_space: None }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(DISK_RESERVE_MB << 20)
    }
}

/// The default of `log.disk_reserve_mb`.
pub const DISK_RESERVE_MB: u64 = 64;

/// Requests that may wait for the writer. A caller beyond that is told to come back: memory stays bounded on a slow disk.
const CAPACITY: Capacity = Capacity { urgent: 256, ordinary: 4096 };
