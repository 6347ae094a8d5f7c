//! The table of what is paused held against the leaves: what was not resumed must be held, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::Reason;
use narrows_verifier::json::Value;
use narrows_verifier::log::{EntryId, Kind, Leaf, TaskId, Verdict};

use super::verify::Finding;
use crate::revocation::Target;
use crate::store::Rows;

/// The pauses that no leaf has ended so far, as the walk over the log meets them.
#[derive(Default)]
pub(super) struct Pauses {
    open: BTreeMap<EntryId, Open>,
    /// Whether leaf 0 names a log before this one, whose pauses were taken over under it.
    continues: bool,
    /// Below which index leaves are no more than hashes.
    unread_to: u64,
}

/// What a leaf says in clear; an agent's name is committed to.
struct Open {
    index: u64,
    task: Option<TaskId>,
}

impl Pauses {
    pub(super) fn meet(&mut self, index: u64, leaf: &Leaf) {
        match (&leaf.kind, leaf.verdict, leaf.of) {
            (Kind::LogOpen, ..) => self.continues = leaf.fields.contains_key("previous"),
            (Kind::Pause, Verdict::Pause, _) => drop(self.open.insert(leaf.id, Open { index, task: leaf.task })),
            (Kind::Resume, Verdict::Allow, Some(of)) => drop(self.open.remove(&of)),
            _ => {}
        }
    }

    /// Takes note of a leaf whose bytes are gone.
    pub(super) const fn pass(&mut self, index: u64) {
        self.unread_to = index + 1;
    }

    /// Compares both ways, and gives the number of rows.
    pub(super) fn check(&self, rows: &Rows<'_>) -> Result<u64, Finding> {
        let stored = rows.pauses()?;
        let mut open: BTreeMap<u64, Option<Target>> = BTreeMap::new();
        for (entry, Open { index, task }) in &self.open {
            open.insert(*index, task.map(Target::Task).or(agent(rows, entry)?));
        }
        let held: BTreeSet<u64> = stored.iter().map(|(_, index)| *index).collect();
        if let Some(index) = open.keys().find(|index| !held.contains(index)) {
            return Err(changed(*index, "the table of pauses lacks what a leaf has paused and none has resumed"));
        }
        for (target, index) in &stored {
            let backed = match open.get(index) {
                Some(named) => named.as_ref().is_none_or(|named| named == target),
                None => (*index == 0 && self.continues) || (*index > 0 && *index < self.unread_to),
            };
            if !backed {
                return Err(changed(*index, "the table of pauses has what no leaf has paused, or what one has resumed"));
            }
        }
        Ok(stored.len() as u64)
    }
}

/// The agent that a leaf names, as long as that is disclosed.
fn agent(rows: &Rows<'_>, entry: &EntryId) -> Result<Option<Target>, Finding> {
    let disclosed = rows.disclosures(entry)?;
    let named = disclosed.iter().find(|disclosure| disclosure.name == AGENT).map(|disclosure| &disclosure.value);
    Ok(named.and_then(Value::as_text).map(|name| Target::Agent(name.to_owned())))
}

fn changed(index: u64, detail: &'static str) -> Finding {
    Finding::new(Reason::LogPausesChanged, Some(index), detail)
}

/// The commitment of a leaf of kind `pause` that names whom it is about.
const AGENT: &str = "agent";
