//! The table of revocations held against the leaves: what the log says has ended must not be missing where that is looked up.

use std::collections::{BTreeMap, HashMap};

use narrows_verifier::Reason;
use narrows_verifier::json::Value;
use narrows_verifier::log::{BlockId, EntryId, Kind, Leaf, TaskId, Verdict};

use super::carried::PREVIOUS;
use super::verify::Finding;
use crate::revocation::{FORGET_AFTER_S, LONGEST_REACH_S, Target};
use crate::store::{RevocationRow, Rows, StoreError};

/// The leaves that ended authority, as the walk over the log meets them.
#[derive(Default)]
pub(super) struct Endings {
    leaves: Vec<Ending>,
    /// Whether leaf 0 names a log before this one, whose revocations were taken over under it.
    continues: bool,
}

/// What one leaf says in clear; the rest is committed to.
struct Ending {
    index: u64,
    entry: EntryId,
    t_s: u64,
    named: Option<&'static str>,
    blocks: Vec<BlockId>,
    task: Option<TaskId>,
}

impl Endings {
    pub(super) fn meet(&mut self, index: u64, leaf: &Leaf) {
        if leaf.kind == Kind::LogOpen {
            self.continues = leaf.fields.contains_key(PREVIOUS);
        }
        if leaf.kind == Kind::Revoke && leaf.verdict == Verdict::Allow {
            let named = CUT_OFFS.into_iter().find(|name| leaf.fields.contains_key(*name));
            let (t_s, blocks, task) = (leaf.t_ms / 1000, leaf.blocks.clone(), leaf.task);
            self.leaves.push(Ending { index, entry: leaf.id, t_s, named, blocks, task });
        }
    }

    /// Compares both ways and gives the number of rows. A leaf needs its row until nothing that it reaches can live; `end_s`
    /// is the time of the newest leaf.
    pub(super) fn check(&self, rows: &Rows<'_>, end_s: u64) -> Result<u64, Finding> {
        let stored = rows.revocations(0)?;
        let by_target: BTreeMap<&Target, &RevocationRow> = stored.iter().map(|row| (&row.revoked.target, row)).collect();
        let mut said: HashMap<u64, Vec<Target>> = HashMap::new();
        for ending in &self.leaves {
            let opened = Opened::of(rows, ending)?;
            let until = opened.until_s.unwrap_or(ending.t_s.saturating_add(LONGEST_REACH_S));
            let over = until.saturating_add(FORGET_AFTER_S) < end_s;
            for target in &opened.targets {
                let held = by_target.get(target).is_some_and(|row| opened.is_held_by(row, ending.index));
                if !held && !over {
                    return Err(changed(ending.index, "the table of revocations lacks what a leaf has revoked, or says less of it"));
                }
            }
            if opened.targets.is_empty() && !over && !stored.iter().any(|row| row.index == ending.index) {
                return Err(changed(ending.index, "the table of revocations lacks what a leaf has revoked, which is not disclosed"));
            }
            said.insert(ending.index, opened.targets);
        }
        for row in &stored {
            let backed = match said.get(&row.index) {
                Some(targets) => targets.is_empty() || targets.contains(&row.revoked.target),
                None => row.index == 0 && self.continues,
            };
            if !backed {
                return Err(changed(row.index, "the table of revocations has what no leaf has revoked"));
            }
        }
        Ok(stored.len() as u64)
    }
}

/// What a leaf has revoked, as far as it is in clear or disclosed.
struct Opened {
    targets: Vec<Target>,
    before_s: Option<u64>,
    until_s: Option<u64>,
}

impl Opened {
    fn of(rows: &Rows<'_>, ending: &Ending) -> Result<Self, StoreError> {
        let disclosed = rows.disclosures(&ending.entry)?;
        let value = |name: &str| disclosed.iter().find(|disclosure| disclosure.name == name).map(|disclosure| &disclosure.value);
        let seconds = |name| value(name).and_then(|value| if let Value::Integer(at) = value { u64::try_from(*at).ok() } else { None });
        let targets = match ending.named {
            Some(name) => value(name).and_then(Value::as_text).and_then(|text| Target::named(name, text)).into_iter().collect(),
            None if ending.blocks.is_empty() => ending.task.map(Target::Task).into_iter().collect(),
            None => ending.blocks.iter().copied().map(Target::Block).collect(),
        };
        Ok(Self { targets, before_s: seconds("cut_off"), until_s: seconds("until") })
    }

    /// Whether a row of the target says at least as much. The row of a later leaf may say more.
    fn is_held_by(&self, row: &RevocationRow, index: u64) -> bool {
        let own = row.index == index;
        let until = self.until_s.is_none_or(|until| if own { row.revoked.until_s == until } else { row.revoked.until_s >= until });
        let before =
            self.before_s.is_none() || if own { row.revoked.before_s == self.before_s } else { row.revoked.before_s >= self.before_s };
        row.index >= index && until && before
    }
}

fn changed(index: u64, detail: &'static str) -> Finding {
    Finding::new(Reason::LogRevocationsChanged, Some(index), detail)
}

/// The commitments that name whom a cut-off reaches.
const CUT_OFFS: [&str; 3] = ["agent", "holder", "subject"];
