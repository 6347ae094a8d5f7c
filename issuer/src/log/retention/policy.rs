//! The policy on what a log keeps: stated as one text, whose digest stands in each leaf that acts on it.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::json::{Key, Value};
use narrows_verifier::log::{Kind, OTHER_KINDS, PackDigest, Retention, TILE_WIDTH};

use crate::config;
use crate::log::error::LogError;
use crate::log::stored::first_at;
use crate::store::Rows;

/// How long a log hands out its leaves, and for how long it can be said what their commitments hide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Days after which whole bundles of leaves are pruned; `None` keeps them for ever.
    entries_days: Option<u32>,
    /// Whether the bytes of pruned leaves are deleted.
    delete: bool,
    /// By kind, days after which disclosures expire; `None` keeps them as long as their leaf.
    disclosures_days: BTreeMap<String, Option<u32>>,
}

/// What a policy lets go at one moment.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) time_ms: u64,
    /// The number of leaves.
    pub(super) size: u64,
    /// The number of leaves of the checkpoint that others are shown: the minimum index never passes it (tlog-tiles).
    pub(super) published: u64,
}

impl RetentionPolicy {
    /// Takes the policy of a configuration that was checked.
    pub fn new(config: &config::Retention) -> Self {
        let kept = KEPT.iter().map(|kind| (kind.as_str().to_owned(), None));
        let configured = config.disclosures.iter().map(|(kind, days)| (kind.clone(), Some(*days)));
        let others = [(OTHER_KINDS.to_owned(), Some(config.disclosures_days))];
        Self { entries_days: config.entries_days, delete: config.delete, disclosures_days: kept.chain(configured).chain(others).collect() }
    }

    /// The policy as it is stated: its canonical text.
    pub fn text(&self) -> String {
        self.statement().canonical()
    }

    /// SHA-256 of the text.
    pub fn digest(&self) -> PackDigest {
        PackDigest(self.statement().digest())
    }

    pub(super) fn statement(&self) -> Value {
        let days = |days: Option<u32>| days.map_or(Value::Null, |days| Value::Integer(i64::from(days)));
        let disclosures = self.disclosures_days.iter().map(|(kind, kept)| (Key(kind.clone()), days(*kept)));
        Value::object([
            ("delete", Value::Flag(self.delete)),
            ("disclosures_days", Value::Object(disclosures.collect())),
            ("entries_days", days(self.entries_days)),
            ("format", Value::Text(FORMAT.to_owned())),
        ])
    }

    /// What may have gone by this moment, from a state on; never less than has.
    pub(super) fn goal(&self, rows: &Rows<'_>, from: &Retention, moment: Moment) -> Result<Retention, LogError> {
        let Moment { time_ms, size, published } = moment;
        let first = |days: u32| first_at(rows, time_ms.saturating_sub(u64::from(days) * DAY_MS), from.minimum, size);
        let bundle = u64::from(TILE_WIDTH);
        let old = self.entries_days.map(first).transpose()?.unwrap_or(0).min(published) / bundle * bundle;
        let minimum = from.minimum.max(old);
        let mut expired = BTreeMap::new();
        for kind in self.classes(from) {
            let days = self.disclosures_days.get(&kind).or_else(|| self.disclosures_days.get(OTHER_KINDS)).copied().flatten();
            let bound = days.map(first).transpose()?.unwrap_or(0).max(from.bound(&kind));
            expired.insert(kind, bound);
        }
        let deleted = if self.delete { minimum } else { from.deleted };
        Ok(Retention { minimum, deleted, expired, policy: self.digest(), ..from.clone() })
    }

    /// Kinds with a bound of their own. One that once had its own keeps it, since it lies elsewhere than that of all others.
    fn classes(&self, from: &Retention) -> BTreeSet<String> {
        self.disclosures_days.keys().chain(from.expired.keys()).cloned().collect()
    }
}

/// What operators said about their own acts. It is about no task's people, and explains the log for as long as there is one.
const KEPT: [Kind; 6] = [Kind::LogOpen, Kind::PolicyLoad, Kind::Key, Kind::Erasure, Kind::Admin, Kind::Retention];

const FORMAT: &str = "narrows-retention/1";

pub(super) const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of the documents, whose digests others compute.
    #[test]
    fn a_policy_is_stated_as_documented() {
        let default = RetentionPolicy::new(&config::Retention::default());
        assert!(include_str!("../../../../docs/http-api.md").contains(&default.digest().to_string()), "{}", default.digest());
        let mut config = config::Retention { entries_days: Some(365), ..config::Retention::default() };
        config.disclosures.insert("mint".to_owned(), 30);
        let text = RetentionPolicy::new(&config).text();
        assert!(include_str!("../../../../docs/audit-log.md").contains(&text), "{text}");
    }

    #[test]
    fn every_difference_is_another_policy() {
        let default = config::Retention::default;
        let policies = [
            default(),
            config::Retention { entries_days: Some(365), ..default() },
            config::Retention { entries_days: Some(365), delete: true, ..default() },
            config::Retention { disclosures_days: 91, ..default() },
            config::Retention { disclosures: [("mint".to_owned(), 90)].into(), ..default() },
            // what operators say of their own acts is kept, unless somebody says otherwise
            config::Retention { disclosures: [("erasure".to_owned(), 90)].into(), ..default() },
        ];
        let digests: BTreeSet<String> = policies.iter().map(|config| RetentionPolicy::new(config).digest().to_string()).collect();
        assert_eq!(digests.len(), policies.len());
    }
}
