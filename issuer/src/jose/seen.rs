//! Tokens whose signature was found good before: a login is exchanged once for each task, and its signature stays what it is.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use super::compact::UnverifiedJwt;

/// Digests of whole tokens that one set of keys signed. It answers for the signature alone: what a token says is checked each time,
/// and another set of keys starts with a memory of its own. Nobody gets into it without a good signature.
pub(super) struct Seen {
    tokens: Mutex<Generations>,
}

/// The older generation is forgotten whole when the younger is full.
#[derive(Default)]
struct Generations {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self { tokens: Mutex::default() }
    }

    /// Whether the signature is good, as `check` says unless it said so before.
    pub(super) fn good(&self, token: &UnverifiedJwt<'_>, check: impl FnOnce() -> bool) -> bool {
        let digest = digest(token);
        if self.lock().knows(&digest) {
            return true;
        }
        // without the lock: others need not wait for this signature
        let good = check();
        if good {
            self.lock().add(digest);
        }
        good
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn knows(&mut self, digest: &[u8; 32]) -> bool {
        if self.young.contains(digest) {
            return true;
        }
        let known = self.old.contains(digest);
        if known {
            self.add(*digest);
        }
        known
    }

    fn add(&mut self, digest: [u8; 32]) {
        if self.young.len() >= CAPACITY {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(digest);
    }
}

/// Every byte of the token. The parts can't be cut otherwise: neither has a dot that is not one of theirs.
fn digest(token: &UnverifiedJwt<'_>) -> [u8; 32] {
    Sha256::new().chain_update(token.signing_input).chain_update(b".").chain_update(token.signature).finalize().into()
}

/// Of each generation: as many as a table of 4,096 places takes before it grows, so that both have 270 KB when full.
const CAPACITY: usize = 3584;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HEADER: &str = "eyJhbGciOiJFZERTQSJ9";

    fn jwt(text: &str) -> UnverifiedJwt<'_> {
        UnverifiedJwt::parse(text).unwrap()
    }

    #[test]
    fn only_what_was_good_is_remembered_and_each_byte_counts() {
        let (seen, asked) = (Seen::new(), Cell::new(0));
        let good = |text: &str, answer| {
            seen.good(&jwt(text), || {
                asked.set(asked.get() + 1);
                answer
            })
        };
        let token = format!("{HEADER}.e30.c2ln");
        assert!(!good(&token, false));
        assert!(good(&token, true));
        assert!(good(&token, false), "it was good before");
        assert_eq!(asked.get(), 2);
        assert!(!good(&format!("{HEADER}.e30.c2lo"), false), "another signature");
        assert!(!good(&format!("{HEADER}.eyJhIjoxfQ.c2ln"), false), "other claims");
        assert_eq!(asked.get(), 4);
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut generations = Generations::default();
        let number = |number: usize| {
            let mut digest = [0; 32];
            digest.iter_mut().zip(number.to_be_bytes()).for_each(|(byte, of)| *byte = of);
            digest
        };
        let used = number(usize::MAX);
        generations.add(used);
        for at in 0..3 * CAPACITY {
            generations.add(number(at));
            assert!(generations.knows(&used), "used all the time");
            assert!(generations.young.len() <= CAPACITY && generations.old.len() <= CAPACITY);
        }
        assert!(!generations.knows(&number(0)), "not used since");
    }
}
