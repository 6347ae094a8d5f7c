//! The entries of a snapshot: what is revoked, and what a token meets among it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Matched,
    form::{MAX_ENTRIES, Members, ascending, bounded, number},
};
use crate::{
    BlockId, Holder, Reason, TaskId, VerifiedToken,
    id::{from_hex, to_hex},
    json::{Key, Value},
};

/// Everything that an issuer has revoked and that a token which could still be accepted may meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Revoked authority and hop blocks: with each falls every token that contains it or was made from it. The id of a
    /// plain block is looked up too and is no handle, since its maker can remake the block.
    pub blocks: BTreeSet<BlockId>,
    /// Revoked tasks.
    pub tasks: BTreeSet<TaskId>,
    /// Subjects whose tokens are revoked when issued before this time, in seconds since the Unix epoch.
    pub subjects: BTreeMap<String, u64>,
    /// Names of agents. A token issued before the time is revoked when a block of it names that agent, whoever chose the
    /// name. It is a word: an agent that was handed a token under another name is not reached by this one.
    pub agents: BTreeMap<String, u64>,
    /// Holder keys, or thumbprints of holders known by one. A token issued before the time is revoked when a block of it
    /// names that holder. A time ahead reaches tokens that are yet to be issued.
    pub keys: BTreeMap<[u8; 32], u64>,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revocation {
    /// A block.
    Block(BlockId),
    /// A task.
    Task(TaskId),
    /// A subject's tokens issued before a time.
    Subject(String, u64),
    /// Tokens issued before a time that name an agent.
    Agent(String, u64),
    /// Tokens issued before a time that name a holder.
    Key([u8; 32], u64),
}

impl Entries {
    /// Their number.
    pub fn len(&self) -> usize {
        self.blocks.len() + self.tasks.len() + self.subjects.len() + self.agents.len() + self.keys.len()
    }

    /// True when nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each entry, list after list.
    pub fn iter(&self) -> impl Iterator<Item = Revocation> {
        let named = |(name, before): (&String, &u64)| (name.clone(), *before);
        (self.blocks.iter().map(|block| Revocation::Block(*block)))
            .chain(self.tasks.iter().map(|task| Revocation::Task(*task)))
            .chain(self.subjects.iter().map(named).map(|(name, before)| Revocation::Subject(name, before)))
            .chain(self.agents.iter().map(named).map(|(name, before)| Revocation::Agent(name, before)))
            .chain(self.keys.iter().map(|(key, before)| Revocation::Key(*key, *before)))
    }

    /// Whether exactly this entry is there.
    pub fn contains(&self, entry: &Revocation) -> bool {
        match entry {
            Revocation::Block(block) => self.blocks.contains(block),
            Revocation::Task(task) => self.tasks.contains(task),
            Revocation::Subject(subject, before) => self.subjects.get(subject) == Some(before),
            Revocation::Agent(agent, before) => self.agents.get(agent) == Some(before),
            Revocation::Key(key, before) => self.keys.get(key) == Some(before),
        }
    }

    /// Adds an entry. A cut-off takes the place of an earlier one and never of a later one: nothing revoked comes back.
    pub fn insert(&mut self, entry: Revocation) {
        match entry {
            Revocation::Block(block) => {
                self.blocks.insert(block);
            }
            Revocation::Task(task) => {
                self.tasks.insert(task);
            }
            Revocation::Subject(subject, before) => later(&mut self.subjects, subject, before),
            Revocation::Agent(agent, before) => later(&mut self.agents, agent, before),
            Revocation::Key(key, before) => later(&mut self.keys, key, before),
        }
    }

    /// Takes exactly this entry out; false when it was not there.
    pub fn remove(&mut self, entry: &Revocation) -> bool {
        let there = self.contains(entry);
        if there {
            match entry {
                Revocation::Block(block) => drop(self.blocks.remove(block)),
                Revocation::Task(task) => drop(self.tasks.remove(task)),
                Revocation::Subject(subject, _) => drop(self.subjects.remove(subject)),
                Revocation::Agent(agent, _) => drop(self.agents.remove(agent)),
                Revocation::Key(key, _) => drop(self.keys.remove(key)),
            }
        }
        there
    }

    /// The entry that revokes a token, if one does. Allocates nothing when none does.
    pub fn matched(&self, token: &VerifiedToken) -> Option<Matched> {
        let authority = &token.authority;
        if self.tasks.contains(&authority.task) {
            return Some(Matched::Task(authority.task));
        }
        if let Some((index, block)) = token.blocks.iter().enumerate().find(|(_, block)| self.blocks.contains(&block.id)) {
            return Some(Matched::Block { id: block.id, index });
        }
        if let Some(id) = authority.lineage.iter().find(|id| self.blocks.contains(id)) {
            return Some(Matched::Lineage(*id));
        }
        let reached = |before: &&u64| authority.issued < **before;
        if let Some(before) = self.subjects.get(&authority.subject).filter(reached) {
            return Some(Matched::Subject(*before));
        }
        token.principals().find_map(|(agent, holder, _)| {
            if let Some(before) = self.agents.get(agent).filter(reached) {
                return Some(Matched::Agent { agent: agent.to_owned(), before: *before });
            }
            let key = match holder {
                Holder::Key(key) => *key.as_bytes(),
                Holder::Thumbprint(thumbprint) => thumbprint,
                Holder::Bearer => return None,
            };
            self.keys.get(&key).filter(reached).map(|before| Matched::Key { key, before: *before })
        })
    }

    /// The five lists as members of an object.
    pub(super) fn to_members(&self) -> Result<[(&'static str, Value); 5], Reason> {
        self.within_bounds()?;
        let hex = |bytes: &[u8]| Value::Text(to_hex(bytes));
        Ok([
            ("agents", cut_offs("agent", self.agents.iter().map(|(agent, before)| (Value::Text(agent.clone()), *before)))?),
            ("blocks", Value::Array(self.blocks.iter().map(|block| hex(&block.0)).collect())),
            ("keys", cut_offs("key", self.keys.iter().map(|(key, before)| (hex(key), *before)))?),
            ("subjects", cut_offs("subject", self.subjects.iter().map(|(subject, before)| (Value::Text(subject.clone()), *before)))?),
            ("tasks", Value::Array(self.tasks.iter().map(|task| hex(&task.0)).collect())),
        ])
    }

    /// Reads the lists: each in ascending order of bytes and without repetition, so that one set of entries has one text.
    pub(super) fn from_members(members: &Members<'_>) -> Result<Self, Reason> {
        let id = |item: &Value| item.as_text().map(str::to_owned);
        let entries = Self {
            blocks: ascending(members.array("blocks")?, |item| Some((BlockId::from_hex(&id(item)?)?, ())))?.into_keys().collect(),
            tasks: ascending(members.array("tasks")?, |item| Some((TaskId::from_hex(&id(item)?)?, ())))?.into_keys().collect(),
            subjects: ascending(members.array("subjects")?, |item| named(item, "subject"))?,
            agents: ascending(members.array("agents")?, |item| named(item, "agent"))?,
            keys: ascending(members.array("keys")?, |item| {
                let entry = Members::of(item, &["before", "key"]).ok()?;
                Some((from_hex(entry.text("key").ok()?)?, entry.number("before").ok()?))
            })?,
        };
        entries.within_bounds()?;
        Ok(entries)
    }

    fn within_bounds(&self) -> Result<(), Reason> {
        self.subjects.keys().chain(self.agents.keys()).try_for_each(|name| bounded(name).map(drop))?;
        if self.len() > MAX_ENTRIES { Err(Reason::FeedTooLarge) } else { Ok(()) }
    }
}

impl FromIterator<Revocation> for Entries {
    fn from_iter<I: IntoIterator<Item = Revocation>>(entries: I) -> Self {
        let mut all = Self::default();
        entries.into_iter().for_each(|entry| all.insert(entry));
        all
    }
}

fn later<K: Ord>(cut_offs: &mut BTreeMap<K, u64>, who: K, before: u64) {
    cut_offs.entry(who).and_modify(|known| *known = before.max(*known)).or_insert(before);
}

fn cut_offs(name: &str, entries: impl Iterator<Item = (Value, u64)>) -> Result<Value, Reason> {
    let object = |(who, before)| {
        let members = [("before", number(before)?), (name, who)].map(|(name, value)| (Key(name.to_owned()), value));
        Ok(Value::Object(members.into()))
    };
    entries.map(object).collect::<Result<_, Reason>>().map(Value::Array)
}

fn named(item: &Value, name: &str) -> Option<(String, u64)> {
    let entry = Members::of(item, &["before", name]).ok()?;
    Some((entry.name(name).ok()?, entry.number("before").ok()?))
}

/// The names of the five lists.
pub(super) const LISTS: [&str; 5] = ["agents", "blocks", "keys", "subjects", "tasks"];
