//! Readings of many tiles that are recorded once: a whole log must not double in size because somebody checked it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use narrows_verifier::log::{EntryId, TILE_WIDTH, TileKind, TilePath};

/// The readings that one auditor has open.
#[derive(Default)]
pub(super) struct OpenReadings(Mutex<VecDeque<OpenReading>>);

/// The leaves of a range, which the log already says that this auditor reads.
struct OpenReading {
    entry: EntryId,
    first: u64,
    size: u64,
    /// Each tile once, and some again after a lost answer: without an end, one leaf would stand for readings for ever.
    left: u64,
    until_ms: u64,
}

impl OpenReadings {
    /// Opens the reading that `entry` records, of the leaves from `first` up to the tree of `size`. The oldest makes room.
    pub(super) fn open(&self, entry: EntryId, (first, size): (u64, u64), now_ms: u64) {
        let tiles = size.saturating_sub(first).div_ceil(u64::from(TILE_WIDTH)) + 1;
        let reading = OpenReading { entry, first, size, left: tiles + REPEATS, until_ms: now_ms.saturating_add(LIFETIME_MS) };
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.truncate(MAX_OPEN - 1);
        open.push_front(reading);
    }

    /// Takes one tile out of the reading that `entry` records; false where that does not cover it.
    pub(super) fn take(&self, entry: &EntryId, tile: &TilePath, now_ms: u64) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reading) = open.iter_mut().find(|reading| reading.entry == *entry) else { return false };
        let begin = tile.index().saturating_mul(u64::from(TILE_WIDTH));
        let end = begin.saturating_add(u64::from(tile.width()));
        let covered = tile.kind() == TileKind::Entries && begin >= reading.first && end <= reading.size && now_ms < reading.until_ms;
        match reading.left.checked_sub(1).filter(|_| covered) {
            Some(left) => {
                reading.left = left;
                true
            }
            None => false,
        }
    }
}

const MAX_OPEN: usize = 4;
const REPEATS: u64 = 16;
const LIFETIME_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(index: u64, width: u16) -> TilePath {
        TilePath::new(TileKind::Entries, index, width).unwrap()
    }

    #[test]
    fn a_reading_covers_its_own_leaves_for_a_while_and_no_others() {
        let (open, entry) = (OpenReadings::default(), EntryId::new([1; 16]));
        open.open(entry, (256, 700), 1000);
        assert!(open.take(&entry, &tile(1, 256), 1000) && open.take(&entry, &tile(2, 188), 1000));
        let hashes = TilePath::new(TileKind::Hashes(0), 1, 256).unwrap();
        for (case, entry, tile, now_ms) in [
            ("before the range", entry, tile(0, 256), 1000),
            ("leaves that came later", entry, tile(2, 189), 1000),
            ("behind the range", entry, tile(3, 1), 1000),
            ("no entries", entry, hashes, 1000),
            ("another reading", EntryId::new([2; 16]), tile(1, 256), 1000),
            ("too late", entry, tile(1, 256), 1000 + LIFETIME_MS),
        ] {
            assert!(!open.take(&entry, &tile, now_ms), "{case}");
        }
    }

    #[test]
    fn one_leaf_does_not_stand_for_readings_without_end() {
        let (open, entry) = (OpenReadings::default(), EntryId::new([1; 16]));
        open.open(entry, (0, 256), 0);
        assert_eq!((0..1000).filter(|_| open.take(&entry, &tile(0, 256), 1)).count() as u64, 2 + REPEATS);
        for other in 2..=5 {
            open.open(EntryId::new([other; 16]), (0, 256), 0);
        }
        assert!(open.take(&EntryId::new([2; 16]), &tile(0, 256), 1));
        open.open(EntryId::new([6; 16]), (0, 256), 0);
        assert!(!open.take(&EntryId::new([2; 16]), &tile(0, 256), 1), "the oldest makes room");
    }
}
