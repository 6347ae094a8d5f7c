//! The way from one snapshot to a later one, for verifiers that hold the earlier.
//!
//! A delta is signed as a snapshot is, under a tag of its own, and names the digest of the snapshot that it leads to. So a
//! verifier that applied it holds exactly what it would have loaded, down to the byte, or knows that it does not.

use super::{
    MaxStaleness, RevocationList,
    entries::{Entries, LISTS, Revocation},
    form::{Members, bounded, number, staleness_from_json, staleness_to_json},
};
use crate::{
    Reason,
    id::{from_hex, to_hex},
    json::Value,
};

/// What entries came and went between two snapshots. An entry whose cut-off moved went with the old and came with the new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// What came.
    pub added: Entries,
    /// What went, each as it was.
    pub removed: Entries,
}

/// What leads from one snapshot of an issuer to a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationDelta {
    /// The issuer's identifier.
    pub issuer: String,
    /// The number of the snapshot that it is applied to.
    pub since: u64,
    /// The number of the snapshot that it leads to.
    pub sequence: u64,
    /// That snapshot's time.
    pub issued: u64,
    /// That snapshot's bounds.
    pub max_staleness: MaxStaleness,
    /// The entries that differ.
    pub changes: Changes,
    /// SHA-256 of that snapshot's payload.
    pub result: [u8; 32],
}

impl Changes {
    /// The difference between the entries of two snapshots.
    pub fn between(old: &Entries, new: &Entries) -> Self {
        let only = |some: &Entries, other: &Entries| some.iter().filter(|entry| !other.contains(entry)).collect();
        Self { added: only(new, old), removed: only(old, new) }
    }

    /// These changes with later ones after them: what came and went again is in neither list.
    #[must_use]
    pub fn then(mut self, later: &Changes) -> Self {
        for entry in later.removed.iter().filter(|entry| !self.added.remove(entry)).collect::<Vec<_>>() {
            self.removed.insert(entry);
        }
        for entry in later.added.iter().filter(|entry| !self.removed.remove(entry)).collect::<Vec<_>>() {
            self.added.insert(entry);
        }
        self
    }

    /// The entries after the changes; `None` when these are not changes of `entries`.
    fn apply(&self, entries: &Entries) -> Option<Entries> {
        let mut entries = entries.clone();
        let gone = self.removed.iter().all(|entry| entries.remove(&entry));
        let known = |entry: &Revocation| entries.contains(entry);
        if !gone || self.added.iter().any(|entry| known(&entry)) {
            return None;
        }
        self.added.iter().for_each(|entry| entries.insert(entry));
        Some(entries)
    }
}

impl RevocationDelta {
    /// The snapshot after the delta. Whether it is the one that the delta names is for the caller to see, by its digest.
    pub(super) fn apply(&self, to: &RevocationList) -> Option<RevocationList> {
        Some(RevocationList {
            issuer: to.issuer.clone(),
            sequence: self.sequence,
            issued: self.issued,
            max_staleness: self.max_staleness,
            revoked: self.changes.apply(&to.revoked)?,
        })
    }

    /// The JSON form, when the delta is within its bounds.
    pub(super) fn to_json(&self) -> Result<Value, Reason> {
        Ok(Value::object([
            ("added", Value::object(self.changes.added.to_members()?)),
            ("issued", number(self.issued)?),
            ("issuer", Value::Text(bounded(&self.issuer)?.to_owned())),
            ("max_staleness", staleness_to_json(&self.max_staleness)?),
            ("removed", Value::object(self.changes.removed.to_members()?)),
            ("result", Value::Text(to_hex(&self.result))),
            ("sequence", number(self.sequence)?),
            ("since", number(self.since)?),
        ]))
    }

    /// Reads the JSON form: exactly its members, and a way forward.
    pub(super) fn from_json(value: &Value) -> Result<Self, Reason> {
        let members = Members::of(value, &["added", "issued", "issuer", "max_staleness", "removed", "result", "sequence", "since"])?;
        let entries = |name| Entries::from_members(&Members::of(members.value(name)?, &LISTS)?);
        let delta = Self {
            issuer: members.name("issuer")?,
            since: members.number("since")?,
            sequence: members.number("sequence")?,
            issued: members.number("issued")?,
            max_staleness: staleness_from_json(members.value("max_staleness")?)?,
            changes: Changes { added: entries("added")?, removed: entries("removed")? },
            result: from_hex(members.text("result")?).ok_or(Reason::FeedMalformed)?,
        };
        if delta.sequence > delta.since { Ok(delta) } else { Err(Reason::FeedMalformed) }
    }
}
