//! The disk's reserve: ordinary entries stop while there is still room for those that take authority away.
//!
//! A disk that fills up inside a commit stops the whole log until a restart, and then nothing can be revoked either. So the
//! writer looks at the free space before it needs it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::lanes::Lane;
use crate::machine::free_bytes;

/// Tells the bytes that are free where the log is.
pub(super) type FreeSpace = Arc<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// Those of the file system of `path`.
pub(super) fn free_space(path: &Path) -> FreeSpace {
    let path = path.to_path_buf();
    Arc::new(move || free_bytes(&path))
}

/// What one batch may still write, by lane.
pub(super) struct Room {
    free: u64,
    reserve: u64,
    /// Bytes that entries of this batch will take, journal and index pages included.
    taken: u64,
}

impl Room {
    pub(super) const fn new(free: u64, reserve: u64) -> Self {
        Self { free, reserve, taken: 0 }
    }

    /// Whether an entry of this lane may still be written.
    pub(super) const fn has(&self, lane: Lane) -> bool {
        let left = self.free.saturating_sub(self.taken);
        match lane {
            Lane::Ordinary => left >= self.reserve,
            Lane::Urgent => left >= self.reserve / FLOOR_PART,
        }
    }

    /// Counts an entry with a leaf of `bytes` and so many side rows.
    pub(super) const fn take(&mut self, bytes: usize, side_rows: usize) {
        // It is written to the journal, later to the database, and touches pages of a few indexes.
        let bytes = (bytes as u64).saturating_mul(2).saturating_add((side_rows as u64).saturating_mul(BYTES_PER_SIDE_ROW));
        self.taken = self.taken.saturating_add(bytes).saturating_add(BYTES_PER_ENTRY);
    }
}

/// The part of the reserve that even urgent entries leave alone: SQLite needs it to finish what it has begun.
const FLOOR_PART: u64 = 8;

const BYTES_PER_ENTRY: u64 = 16 * 4096;

/// As much as a disclosure from within a token can have.
const BYTES_PER_SIDE_ROW: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_for_the_urgent_and_has_a_floor() {
        let has = |free| [Lane::Ordinary, Lane::Urgent].map(|lane| Room::new(free, 800).has(lane));
        assert_eq!(has(800), [true, true]);
        assert_eq!(has(799), [false, true]);
        assert_eq!(has(100), [false, true]);
        assert_eq!(has(99), [false, false]);
    }

    #[test]
    fn one_batch_does_not_eat_the_reserve() {
        let mut room = Room::new(100 << 20, 64 << 20);
        let mut written = 0;
        while room.has(Lane::Ordinary) {
            room.take(65_535, 4);
            written += 1;
        }
        assert!(written < 512, "{written}");
        assert!(room.has(Lane::Urgent));
    }

    #[test]
    fn the_free_space_of_a_directory_is_known() {
        assert!(free_space(&std::env::temp_dir())().unwrap() > 0);
        assert!(free_space(Path::new("/does/not/exist"))().is_err());
    }
}
