//! How fast one party may have leaves written: each costs a signature check and stays for ever, a refusal's leaf too.
//!
//! Everybody pays with their own rate and nobody else's. So it is taken only from a party that has proved who it is.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// A token bucket for each party's key, for as many parties as fit a bounded memory.
pub struct Rate {
    per_minute: u32,
    buckets: Mutex<Buckets>,
}

/// Two generations: the older is forgotten whole when the younger is full. Whoever wants to be forgotten must come with
/// thousands of keys, and each of them has a rate of its own anyway.
struct Buckets {
    young: HashMap<[u8; 32], Bucket>,
    old: HashMap<[u8; 32], Bucket>,
    capacity: usize,
}

/// How much was left when it was last asked.
#[derive(Clone, Copy)]
struct Bucket {
    /// In parts of a request, [`PARTS`] of which make one, so that no rounding adds up.
    left: u64,
    at_ms: u64,
}

impl Rate {
    /// So many requests a minute for each party, and as many at once.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: Mutex::new(Buckets { young: HashMap::new(), old: HashMap::new(), capacity: CAPACITY }) }
    }

    /// Takes one request from the party's rate.
    ///
    /// # Errors
    /// The seconds until there is one again.
    pub fn take(&self, party: &[u8; 32], now_ms: u64) -> Result<(), u32> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate, full) = (u64::from(self.per_minute), u64::from(self.per_minute).saturating_mul(PARTS));
        let bucket = buckets.bucket(party, Bucket { left: full, at_ms: now_ms });
        // A clock that steps back gives nothing and takes nothing.
        let gained = now_ms.saturating_sub(bucket.at_ms).saturating_mul(rate);
        bucket.left = bucket.left.saturating_add(gained).min(full);
        bucket.at_ms = now_ms;
        match bucket.left.checked_sub(PARTS) {
            Some(left) => {
                bucket.left = left;
                Ok(())
            }
            None => {
                let wait_ms = (PARTS - bucket.left).div_ceil(rate.max(1));
                Err(u32::try_from(wait_ms.div_ceil(1000)).unwrap_or(u32::MAX))
            }
        }
    }
}

impl Buckets {
    fn bucket(&mut self, party: &[u8; 32], fresh: Bucket) -> &mut Bucket {
        if self.young.len() >= self.capacity && !self.young.contains_key(party) {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.old.remove(party).unwrap_or(fresh);
        self.young.entry(*party).or_insert(known)
    }
}

/// A minute in milliseconds: at a rate of n a minute, each millisecond gives n parts.
const PARTS: u64 = 60_000;

/// Parties in one generation.
const CAPACITY: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rate: &Rate, holder: u8, now_ms: u64, most: u32) -> u32 {
        (0..most).take_while(|_| rate.take(&[holder; 32], now_ms).is_ok()).count() as u32
    }

    #[test]
    fn a_holder_gets_its_rate_and_not_more() {
        let rate = Rate::new(30);
        assert_eq!(taken(&rate, 1, 5, 100), 30);
        assert_eq!(rate.take(&[1; 32], 5), Err(2));
        assert_eq!(rate.take(&[1; 32], 1_005), Err(1));
        assert_eq!(taken(&rate, 1, 2_005, 100), 1);
        assert_eq!(taken(&rate, 1, 20_005, 100), 9);
        assert_eq!(taken(&rate, 1, 10_000_000, 100), 30, "a long rest gives no more than a full bucket");
    }

    #[test]
    fn holders_do_not_pay_for_each_other_and_a_clock_that_steps_back_gives_nothing() {
        let rate = Rate::new(3);
        assert_eq!(taken(&rate, 1, 1_000_000, 9), 3);
        assert_eq!(taken(&rate, 2, 1_000_000, 9), 3);
        assert_eq!(taken(&rate, 1, 0, 9), 0);
        assert_eq!(taken(&rate, 1, 20_000, 9), 1);
    }

    #[test]
    fn many_holders_need_no_more_memory_and_a_recent_one_is_remembered() {
        let rate = Rate::new(1);
        let key = |number: u32| {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            key
        };
        for number in 0..5 * CAPACITY as u32 {
            rate.take(&key(number), 7).unwrap();
            if number > 0 {
                rate.take(&key(number - 1), 7).unwrap_err();
            }
        }
        let buckets = rate.buckets.lock().unwrap();
        assert!(buckets.young.len() + buckets.old.len() <= 2 * CAPACITY);
    }
}
