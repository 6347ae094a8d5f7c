//! The table of registered clients held against the leaves: nobody may authenticate by a row that no operator made.

use std::collections::BTreeMap;

use narrows_verifier::Reason;
use narrows_verifier::json::Value;
use narrows_verifier::log::{EntryId, Kind, Leaf, Verdict};

use super::carried::{KEPT, PREVIOUS};
use super::verify::Finding;
use crate::store::Rows;

/// The leaves that registered or changed a client, as the walk over the log meets them.
#[derive(Default)]
pub(super) struct Registrations {
    /// By index.
    leaves: BTreeMap<u64, EntryId>,
    /// Whether leaf 0 names a log before this one, whose clients were taken over under it. Later versions give each a leaf.
    continues: bool,
    /// Below which index leaves are no more than hashes.
    unread_to: u64,
}

impl Registrations {
    pub(super) fn meet(&mut self, index: u64, leaf: &Leaf) {
        if leaf.kind == Kind::LogOpen {
            self.continues = leaf.fields.contains_key(PREVIOUS) && !leaf.fields.contains_key(KEPT);
        }
        if leaf.kind == Kind::Admin && leaf.verdict == Verdict::Allow && leaf.fields.contains_key(REGISTRATION) {
            self.leaves.insert(index, leaf.id);
        }
    }

    /// Takes note of a leaf whose bytes are gone.
    pub(super) const fn pass(&mut self, index: u64) {
        self.unread_to = index + 1;
    }

    /// Compares both ways, and gives the number of rows. What was disclosed of a leaf must be what its row says; a leaf of which
    /// nothing is disclosed any more vouches for its row alone.
    pub(super) fn check(&self, rows: &Rows<'_>) -> Result<u64, Finding> {
        let stored = rows.clients()?;
        let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
        for (registration, index) in &stored {
            newest.insert(registration.client.id.as_str(), *index);
            let taken_over = *index == 0 && self.continues;
            let unread = *index > 0 && *index < self.unread_to;
            let backed = match self.leaves.get(index) {
                Some(entry) => {
                    let [target, digest] = disclosed(rows, entry, [TARGET, REGISTRATION])?;
                    target.is_none_or(|target| target == registration.client.id) && digest.is_none_or(|it| it == registration.digest())
                }
                None => taken_over || unread,
            };
            if !backed {
                return Err(changed(*index, "the table of clients says what no leaf does"));
            }
        }
        for (index, entry) in &self.leaves {
            let [target] = disclosed(rows, entry, [TARGET])?;
            if target.is_some_and(|target| newest.get(target.as_str()).is_none_or(|row| row < index)) {
                return Err(changed(*index, "the table of clients lacks what a leaf says of one, or says what was so before"));
            }
        }
        Ok(stored.len() as u64)
    }
}

/// What is disclosed under these names.
fn disclosed<const N: usize>(rows: &Rows<'_>, entry: &EntryId, names: [&str; N]) -> Result<[Option<String>; N], Finding> {
    let disclosed = rows.disclosures(entry)?;
    let value = |name: &str| disclosed.iter().find(|disclosure| disclosure.name == name).map(|disclosure| &disclosure.value);
    Ok(names.map(|name| value(name).and_then(Value::as_text).map(str::to_owned)))
}

fn changed(index: u64, detail: &'static str) -> Finding {
    Finding::new(Reason::LogClientsChanged, Some(index), detail)
}

/// Commitments of a leaf of kind `admin`.
const TARGET: &str = "target";
const REGISTRATION: &str = "registration";
