//! A bounded cache of what verified bytes mean.
//!
//! A value is found by its exact bytes: a keyed hash says where to look, and all bytes are compared, so nobody has to trust
//! the hash. Nothing here blocks: a shard that is being written is a miss, and a value that can't be stored now is not.

use core::{
    hash::Hasher,
    sync::atomic::{AtomicBool, Ordering},
};
use std::sync::{Arc, RwLock};

use foldhash::{SharedSeed, quality::FoldHasher};
use hashbrown::HashTable;

/// Values by a number and exact bytes.
pub(crate) struct Cache<V> {
    shards: Box<[RwLock<Shard<V>>]>,
    seed: (u64, SharedSeed),
}

struct Shard<V> {
    /// Places in `slots`, by hash.
    table: HashTable<usize>,
    slots: Vec<Slot<V>>,
    /// The slot that is looked at next when room is needed.
    hand: usize,
    slots_most: usize,
    bytes: usize,
    bytes_most: usize,
}

struct Slot<V> {
    hash: u64,
    number: u64,
    bytes: Box<[u8]>,
    value: Arc<V>,
    /// Whether it was found since the hand last passed.
    used: AtomicBool,
}

impl<V> Cache<V> {
    /// Holds at most about `entries` values whose keys have at most `bytes` bytes together. The seed is fresh randomness: who
    /// knows it can make keys collide, which costs time and nothing else.
    pub(crate) fn new(entries: usize, bytes: usize, seed: [u64; 2]) -> Self {
        let [per_hasher, shared] = seed;
        let shard = |_| {
            RwLock::new(Shard {
                table: HashTable::new(),
                slots: Vec::new(),
                hand: 0,
                slots_most: entries.div_ceil(SHARDS),
                bytes: 0,
                bytes_most: bytes.div_ceil(SHARDS),
            })
        };
        Self { shards: (0..SHARDS).map(shard).collect(), seed: (per_hasher, SharedSeed::from_u64(shared)) }
    }

    /// The value of these bytes. Allocates nothing.
    pub(crate) fn find(&self, number: u64, bytes: &[u8]) -> Option<Arc<V>> {
        let hash = self.hash(number, bytes);
        let shard = self.shard(hash)?.try_read().ok()?;
        let at = shard.table.find(hash, |at| shard.is_at(*at, number, bytes))?;
        let slot = shard.slots.get(*at)?;
        // a plain load first: a shared line that is only read stays with all cores
        if !slot.used.load(Ordering::Relaxed) {
            slot.used.store(true, Ordering::Relaxed);
        }
        Some(slot.value.clone())
    }

    /// Keeps a value, or not: when another thread is at it, or when it is there.
    pub(crate) fn keep(&self, number: u64, bytes: &[u8], value: Arc<V>) {
        let hash = self.hash(number, bytes);
        let Some(Ok(mut shard)) = self.shard(hash).map(RwLock::try_write) else { return };
        let known = shard.table.find(hash, |at| shard.is_at(*at, number, bytes)).is_some();
        if known || bytes.len() > shard.bytes_most || shard.slots_most == 0 {
            return;
        }
        while shard.slots.len() >= shard.slots_most || shard.bytes.saturating_add(bytes.len()) > shard.bytes_most {
            shard.drop_one();
        }
        shard.bytes = shard.bytes.saturating_add(bytes.len());
        let at = shard.slots.len();
        shard.slots.push(Slot { hash, number, bytes: bytes.into(), value, used: AtomicBool::new(false) });
        let Shard { table, slots, .. } = &mut *shard;
        table.insert_unique(hash, at, |at| slots.get(*at).map_or(0, |slot| slot.hash));
    }

    /// How many values are held.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().filter_map(|shard| shard.read().ok()).map(|shard| shard.slots.len()).sum()
    }

    fn hash(&self, number: u64, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed.0, &self.seed.1);
        hasher.write_u64(number);
        hasher.write(bytes);
        hasher.finish()
    }

    /// By bits that the table of a shard uses last.
    fn shard(&self, hash: u64) -> Option<&RwLock<Shard<V>>> {
        self.shards.get((hash >> 32) as usize % SHARDS)
    }
}

impl<V> Shard<V> {
    fn is_at(&self, at: usize, number: u64, bytes: &[u8]) -> bool {
        self.slots.get(at).is_some_and(|slot| slot.number == number && *slot.bytes == *bytes)
    }

    /// Drops the first slot from the hand on that was not found since it last passed (the clock algorithm). The slots must not be
    /// empty.
    fn drop_one(&mut self) {
        loop {
            if self.hand >= self.slots.len() {
                self.hand = 0;
            }
            if !self.slots.get_mut(self.hand).is_some_and(|slot| core::mem::take(slot.used.get_mut())) {
                break;
            }
            self.hand = self.hand.saturating_add(1);
        }
        let (at, moved_from) = (self.hand, self.slots.len().saturating_sub(1));
        if let Some(hash) = self.slots.get(at).map(|slot| slot.hash)
            && let Ok(entry) = self.table.find_entry(hash, |place| *place == at)
        {
            entry.remove();
        }
        // the last slot moves into the gap
        if at != moved_from
            && let Some(hash) = self.slots.get(moved_from).map(|slot| slot.hash)
            && let Some(place) = self.table.find_mut(hash, |place| *place == moved_from)
        {
            *place = at;
        }
        if at < self.slots.len() {
            let dropped = self.slots.swap_remove(at);
            self.bytes = self.bytes.saturating_sub(dropped.bytes.len());
        }
    }
}

/// More than there are cores in most machines, so that two threads seldom meet.
const SHARDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: usize) -> Cache<u64> {
        Cache::new(entries, 1 << 20, [1, 2])
    }

    #[test]
    fn only_the_exact_number_and_bytes_are_found() {
        let cache = cache(1024);
        cache.keep(1, b"bytes", Arc::new(7));
        assert_eq!(cache.find(1, b"bytes").as_deref(), Some(&7));
        for (number, bytes) in [(2, &b"bytes"[..]), (1, b"byte"), (1, b"bytes\0"), (1, b"")] {
            assert_eq!(cache.find(number, bytes), None);
        }
    }

    #[test]
    fn the_bounds_hold_and_everything_kept_is_found_until_it_is_dropped() {
        let cache = cache(128);
        for number in 0..10_000_u64 {
            cache.keep(number, &number.to_be_bytes(), Arc::new(number));
            assert_eq!(cache.find(number, &number.to_be_bytes()).as_deref(), Some(&number));
            assert!(cache.len() <= 128);
        }
        let held = (0..10_000_u64).filter(|number| cache.find(*number, &number.to_be_bytes()).is_some()).count();
        assert_eq!(held, cache.len());
        assert!(held > 64);
    }

    #[test]
    fn the_bytes_of_all_keys_are_bounded() {
        let cache: Cache<()> = Cache::new(1_000_000, 64 * 1000, [1, 2]);
        for number in 0..1_000 {
            cache.keep(number, &[0; 300], Arc::new(()));
        }
        assert!(cache.len() <= 64 * 3, "{}", cache.len());
        cache.keep(0, &[0; 2000], Arc::new(()));
        assert_eq!(cache.find(0, &[0; 2000]), None);
    }

    #[test]
    fn what_is_found_stays_and_what_is_not_goes() {
        let cache: Cache<()> = Cache::new(SHARDS * 4, 1 << 20, [1, 2]);
        cache.keep(0, b"hot", Arc::new(()));
        for number in 1..5_000 {
            assert!(cache.find(0, b"hot").is_some(), "{number}");
            cache.keep(number, b"cold", Arc::new(()));
        }
    }

    #[test]
    fn threads_find_what_they_look_for_or_nothing() {
        let cache = cache(256);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..5_000_u64 {
                        let number = (round * 7 + thread) % 600;
                        match cache.find(number, &number.to_be_bytes()) {
                            Some(value) => assert_eq!(*value, number),
                            None => cache.keep(number, &number.to_be_bytes(), Arc::new(number)),
                        }
                    }
                });
            }
        });
        assert!(cache.len() <= 256);
    }
}
