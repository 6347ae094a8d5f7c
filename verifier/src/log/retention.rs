//! What a log still keeps: the state that a leaf of kind `retention` states, whole each time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checkpoint::parse_decimal;
use super::frontier::MAX_TREE_SIZE;
use super::leaf::PackDigest;
use super::refusal::LogRefusal;
use super::tile::TILE_WIDTH;
use crate::Reason;

/// What a log keeps from a leaf on. The newest such leaf says all of it; nothing of it ever goes back but the announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// A reading of the clock: what is too old by it may go with a later leaf.
    pub announced_ms: u64,
    /// Of leaves below this index but the first, which says whose log it is, only hashes are kept.
    pub deleted: u64,
    /// By kind of leaf: below which index disclosures have expired. [`OTHER_KINDS`] stands for the kinds that are not named.
    pub expired: BTreeMap<String, u64>,
    /// The log's minimum index (C2SP tlog-tiles): leaves below are not handed out.
    pub minimum: u64,
    /// Digest of the policy's text.
    pub policy: PackDigest,
}

impl Retention {
    /// A log that has kept everything so far.
    pub const fn none(policy: PackDigest) -> Self {
        Self { announced_ms: 0, deleted: 0, expired: BTreeMap::new(), minimum: 0, policy }
    }

    /// Below which index disclosures of leaves of this kind have expired; with the leaves that are pruned, theirs are.
    pub fn expired_below(&self, kind: &str) -> u64 {
        self.bound(kind).max(self.minimum)
    }

    /// The name under which `expired` keeps this kind.
    pub fn class<'k>(&self, kind: &'k str) -> &'k str {
        if self.expired.contains_key(kind) { kind } else { OTHER_KINDS }
    }

    /// What `expired` says for this kind.
    pub fn bound(&self, kind: &str) -> u64 {
        let named = self.expired.get(kind).or_else(|| self.expired.get(OTHER_KINDS));
        named.copied().unwrap_or(0)
    }

    /// True when this can be stated by the leaf at `index`, after `before` was: nothing comes back, and nothing is said about
    /// leaves that are not there yet.
    pub fn follows(&self, before: Option<&Self>, index: u64) -> bool {
        let reaches = self.minimum <= index && self.expired.values().all(|bound| *bound <= index);
        reaches
            && before.is_none_or(|before| {
                let named = before.expired.keys().all(|kind| self.expired.contains_key(kind));
                let forward = self.expired.iter().all(|(kind, bound)| *bound >= before.bound(kind));
                named && forward && self.minimum >= before.minimum && self.deleted >= before.deleted
            })
    }

    pub(super) fn to_wire(&self) -> RetentionWire {
        RetentionWire {
            announced_ms: self.announced_ms.to_string(),
            deleted: self.deleted.to_string(),
            expired: self.expired.iter().map(|(kind, bound)| (kind.clone(), bound.to_string())).collect(),
            minimum: self.minimum.to_string(),
            policy: self.policy,
        }
    }

    pub(super) fn from_wire(wire: RetentionWire, is_kind: fn(&str) -> bool) -> Result<Self, LogRefusal> {
        let number = |text: &str| parse_decimal(text).ok_or_else(|| malformed("a number of the retention is not a decimal number"));
        let index = |text: &str| number(text).and_then(in_a_log);
        if wire.expired.len() > MAX_CLASSES || !wire.expired.keys().all(|kind| kind == OTHER_KINDS || is_kind(kind)) {
            return Err(malformed("the retention has too many kinds, or one that is no kind"));
        }
        let expired = wire.expired.iter().map(|(kind, bound)| Ok((kind.clone(), index(bound)?))).collect::<Result<_, LogRefusal>>()?;
        let read = Self {
            announced_ms: number(&wire.announced_ms)?,
            deleted: index(&wire.deleted)?,
            expired,
            minimum: index(&wire.minimum)?,
            policy: wire.policy,
        };
        // Whole bundles go or stay (tlog-tiles): one that straddles the minimum index can be had.
        let whole = [read.minimum, read.deleted].iter().all(|it| it.is_multiple_of(u64::from(TILE_WIDTH)));
        if whole && read.deleted <= read.minimum { Ok(read) } else { Err(malformed("the minimum index is not that of a whole bundle")) }
    }
}

/// As it stands in a leaf. Indices and times are texts: no reader of doubles may lose a digit.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetentionWire {
    announced_ms: String,
    deleted: String,
    expired: BTreeMap<String, String>,
    minimum: String,
    policy: PackDigest,
}

fn in_a_log(index: u64) -> Result<u64, LogRefusal> {
    if index <= MAX_TREE_SIZE { Ok(index) } else { Err(malformed("an index of the retention is in no log")) }
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::LeafMalformed, detail)
}

/// The kinds that a list does not name. No kind is called so.
pub const OTHER_KINDS: &str = "*";

const MAX_CLASSES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn state(minimum: u64, deleted: u64, expired: &[(&str, u64)]) -> Retention {
        let expired = expired.iter().map(|(kind, bound)| ((*kind).to_owned(), *bound)).collect();
        Retention { expired, minimum, deleted, ..Retention::none(PackDigest([1; 32])) }
    }

    #[test]
    fn nothing_that_went_comes_back() {
        let before = state(512, 256, &[("*", 700), ("mint", 900)]);
        let accepted = [
            state(512, 256, &[("*", 700), ("mint", 900)]),
            state(768, 768, &[("*", 800), ("mint", 900)]),
            // a kind that gets a rule of its own begins where all others were
            state(512, 256, &[("*", 800), ("hop", 700), ("mint", 900)]),
        ];
        let refused = [
            state(256, 256, &[("*", 700), ("mint", 900)]),
            state(512, 0, &[("*", 700), ("mint", 900)]),
            state(512, 256, &[("*", 699), ("mint", 900)]),
            state(512, 256, &[("*", 900)]),
            state(512, 256, &[("mint", 900)]),
            state(512, 256, &[("*", 800), ("hop", 699), ("mint", 900)]),
        ];
        assert!(accepted.iter().all(|it| it.follows(Some(&before), 1000)));
        for (place, it) in refused.iter().enumerate() {
            assert!(!it.follows(Some(&before), 1000), "{place}");
        }
        assert!(before.follows(None, 900) && !before.follows(None, 899), "nothing is said about leaves to come");
        assert!(!state(512, 0, &[]).follows(None, 511));
    }

    #[test]
    fn what_is_pruned_has_expired_whatever_its_kind() {
        let it = state(512, 0, &[("*", 700), ("erasure", 0)]);
        assert_eq!((it.expired_below("hop"), it.expired_below("erasure"), it.bound("erasure")), (700, 512, 0));
        assert_eq!((it.class("hop"), it.class("erasure")), ("*", "erasure"));
    }
}
