//! A task rebuilt from its leaves alone: who delegated what to whom, what was proposed, decided and done, and what is missing.

use core::fmt;
use std::collections::{HashMap, HashSet};

use narrows_verifier::log::{BlockId, EntryId, Kind, Leaf, PackDigest, Plane, Point, Retention, TaskId, Verdict, VerifiedEntry};

use super::approvals::tally;
use crate::log::{Finding, ShownLeaf, TaskTree, derives, tree_of, utc};

/// Everything that the log says about one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRecord {
    /// Who delegated what to whom.
    pub tree: TaskTree,
    /// Every other leaf of the task, in the order of the log.
    pub acts: Vec<Act>,
    /// Pauses that nothing resumed: index and entry. The task stands still, and nothing is missing for that.
    pub held: Vec<(u64, EntryId)>,
    /// The leaves that ended the task or a part of it.
    pub ended: Vec<u64>,
    /// What the leaves speak of and the log does not hold.
    pub missing: Vec<Missing>,
}

/// A leaf that made no token: a decision, what became of it, an approval, an amount, an end.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// What it says.
    pub leaf: ShownLeaf,
    /// The plane that speaks.
    pub plane: Option<Plane>,
    /// The mediation point.
    pub point: Option<Point>,
    /// The entry that it answers.
    pub of: Option<EntryId>,
}

/// A hole in the evidence, and the leaf that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The leaf that speaks of what is not there; `None` when there is no leaf at all.
    pub index: Option<u64>,
    /// What is not there.
    pub what: Hole,
}

/// What can be missing. A field that is withheld or erased is not: its commitment is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hole {
    /// The mint that the task began with.
    Beginning,
    /// Leaves below the minimum index, among which the task's beginning may be.
    Pruned {
        /// The minimum index.
        minimum: u64,
        /// Digest of the policy that they were pruned under.
        policy: PackDigest,
    },
    /// The leaf of a block that a token was derived from.
    Parent(BlockId),
    /// The leaf of the hop that made the token which was used.
    Token(BlockId),
    /// The right to be there: an earlier leaf had revoked what this one derives from.
    Authority {
        /// The leaf that revoked it.
        revoked_by: u64,
    },
    /// The entry that this one answers.
    Question(EntryId),
    /// What became of it, as one of these kinds.
    Answer(&'static [Kind]),
    /// Approvals: the question takes more than were given, and nobody refused.
    Approvals {
        /// How many are there.
        given: u64,
        /// How many it takes.
        needed: u64,
    },
}

impl TaskRecord {
    /// Rebuilds a task from leaves that were proven to be in the log, which keeps what `retention` says. Leaves of other tasks are
    /// passed over.
    ///
    /// # Errors
    /// `DISCLOSURE_MISMATCH`, when a disclosure opens nothing.
    pub fn rebuild(task: TaskId, entries: &[VerifiedEntry], retention: Option<&Retention>) -> Result<Self, Finding> {
        let mut own: Vec<&VerifiedEntry> = entries.iter().filter(|entry| entry.leaf.task == Some(task)).collect();
        own.sort_by_key(|entry| entry.index);
        let derivations = own.iter().filter(|entry| derives(&entry.leaf.kind));
        let tree = tree_of(task, derivations.map(|entry| (entry.index, entry.leaf.clone(), entry.disclosures.as_slice())), retention)?;
        let acts = own.iter().filter(|entry| !derives(&entry.leaf.kind));
        let acts = acts.map(|entry| Act::new(entry, retention)).collect::<Result<_, _>>()?;
        let missing = missing(&own, retention);
        let held = held(&own);
        let ended = own.iter().filter(|entry| ends(&entry.leaf)).map(|entry| entry.index).collect();
        Ok(Self { tree, acts, held, ended, missing })
    }

    /// True when nothing that the leaves speak of is missing.
    pub const fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}

impl Act {
    fn new(entry: &VerifiedEntry, retention: Option<&Retention>) -> Result<Self, Finding> {
        let Leaf { plane, point, of, .. } = entry.leaf;
        Ok(Self { leaf: ShownLeaf::new(entry.index, entry.leaf.clone(), &entry.disclosures, retention)?, plane, point, of })
    }
}

fn missing(own: &[&VerifiedEntry], retention: Option<&Retention>) -> Vec<Missing> {
    let mut holes = Vec::new();
    // No task is minted twice, so behind its mint all of it lies above the minimum index.
    if !own.first().is_some_and(|first| first.leaf.kind == Kind::Mint) {
        let pruned = retention.filter(|it| it.minimum > 0).map(|it| Hole::Pruned { minimum: it.minimum, policy: it.policy });
        holes.push(Missing { index: own.first().map(|first| first.index), what: pruned.unwrap_or(Hole::Beginning) });
    }
    let mut answered: HashSet<(EntryId, &str)> = HashSet::new();
    for entry in own {
        answered.extend(entry.leaf.of.map(|of| (of, entry.leaf.kind.as_str())));
    }
    // Only what came before can have been derived from or answered: a later leaf does not mend a hole.
    let mut derived: HashMap<BlockId, usize> = HashMap::new();
    let mut entries: HashSet<EntryId> = HashSet::new();
    let shown = Shape::of(own);
    let mut revoked = Ends::default();
    for entry in own {
        let leaf = &entry.leaf;
        if let Some(revoked_by) = revoked.reach(leaf).filter(|_| derives(&leaf.kind) && leaf.verdict == Verdict::Allow) {
            holes.push(Missing { index: Some(entry.index), what: Hole::Authority { revoked_by } });
        }
        if ends(leaf) {
            revoked.add(entry.index, leaf);
        }
        let mut hole = |what| holes.push(Missing { index: Some(entry.index), what });
        leaf.parents.iter().filter(|parent| !derived.contains_key(parent)).for_each(|parent| hole(Hole::Parent(*parent)));
        if let Some(block) = unreported(leaf, &derived, &shown) {
            hole(Hole::Token(block));
        }
        if let Some(of) = leaf.of.filter(|of| !entries.contains(of)) {
            hole(Hole::Question(of));
        }
        let awaited = awaited(leaf);
        if !awaited.is_empty() && !awaited.iter().any(|kind| answered.contains(&(leaf.id, kind.as_str()))) {
            hole(Hole::Answer(awaited));
        } else if leaf.kind == Kind::ApprovalAsk {
            let answers: Vec<&VerifiedEntry> = own.iter().copied().filter(|answer| answer.leaf.of == Some(leaf.id)).collect();
            if let Some(tally) = tally(entry, &answers).filter(|tally| tally.given < tally.needed) {
                hole(Hole::Approvals { given: tally.given, needed: tally.needed });
            }
        }
        if let Some(block) = leaf.blocks.last().filter(|_| derives(&leaf.kind)) {
            derived.entry(*block).or_insert(leaf.chain.len());
        }
        entries.insert(leaf.id);
    }
    holes
}

/// What was revoked so far, each with the leaf that says so.
#[derive(Default)]
struct Ends {
    task: Option<u64>,
    blocks: HashMap<BlockId, u64>,
}

impl Ends {
    /// Blocks where a leaf names some, and else the task.
    fn add(&mut self, index: u64, leaf: &Leaf) {
        if leaf.blocks.is_empty() {
            self.task.get_or_insert(index);
        }
        self.blocks.extend(leaf.blocks.iter().map(|block| (*block, index)));
    }

    fn reach(&self, leaf: &Leaf) -> Option<u64> {
        self.task.or_else(|| leaf.parents.iter().chain(&leaf.blocks).find_map(|block| self.blocks.get(block).copied()))
    }
}

fn ends(leaf: &Leaf) -> bool {
    leaf.kind == Kind::Revoke && leaf.verdict == Verdict::Allow
}

/// The newest block of a token that was used, when a hop that led to it is in no leaf. A plain block names no new holder
/// and is never reported, so the chain tells the two apart.
fn unreported(leaf: &Leaf, derived: &HashMap<BlockId, usize>, shown: &Shape) -> Option<BlockId> {
    // To revoke a block is not to use it.
    let newest = *leaf.blocks.last().filter(|_| !derives(&leaf.kind) && leaf.kind != Kind::Revoke)?;
    let known = leaf.blocks.iter().rev().find_map(|block| derived.get(block));
    // A leaf without a chain, such as that of an amount, is about the same token as another that names this block.
    let holders = if leaf.chain.is_empty() { shown.holders.get(&newest).copied() } else { Some(leaf.chain.len()) };
    let same_holder = known.is_some_and(|known| holders.is_none_or(|holders| *known == holders));
    let handed_on = shown.handed_on.contains(&newest) && !derived.contains_key(&newest);
    (!same_holder || handed_on).then_some(newest)
}

/// What all leaves of a task together show of its tokens.
struct Shape {
    /// The length of the chain, by the newest block.
    holders: HashMap<BlockId, usize>,
    /// Blocks that something was derived from, each of which some leaf must have made.
    handed_on: HashSet<BlockId>,
}

impl Shape {
    fn of(own: &[&VerifiedEntry]) -> Self {
        let mut shape = Self { holders: HashMap::new(), handed_on: HashSet::new() };
        for leaf in own.iter().map(|entry| &entry.leaf) {
            if let (Some(newest), false) = (leaf.blocks.last(), leaf.chain.is_empty()) {
                shape.holders.insert(*newest, leaf.chain.len());
            }
            shape.handed_on.extend(&leaf.parents);
        }
        shape
    }
}

/// Pauses that hold the task to this day. One that was refused holds nothing, and neither does a resumption that was.
fn held(own: &[&VerifiedEntry]) -> Vec<(u64, EntryId)> {
    let resumed: HashSet<EntryId> =
        own.iter().filter(|it| it.leaf.kind == Kind::Resume && it.leaf.verdict == Verdict::Allow).filter_map(|it| it.leaf.of).collect();
    let pauses = own.iter().filter(|it| it.leaf.kind == Kind::Pause && it.leaf.verdict == Verdict::Pause);
    pauses.filter(|it| !resumed.contains(&it.leaf.id)).map(|it| (it.index, it.leaf.id)).collect()
}

/// The kinds of which one must follow a leaf.
fn awaited(leaf: &Leaf) -> &'static [Kind] {
    match (&leaf.kind, leaf.verdict) {
        (Kind::Decision, Verdict::Allow | Verdict::Modify) => &[Kind::Outcome],
        (Kind::Decision, Verdict::Escalate) => &[Kind::ApprovalAsk],
        (Kind::ApprovalAsk, _) => &[Kind::ApprovalGrant, Kind::ApprovalRefuse, Kind::ApprovalExpire],
        (Kind::BudgetAuthorize, Verdict::Allow) => &[Kind::BudgetCommit, Kind::BudgetRefund],
        _ => &[],
    }
}

impl fmt::Display for TaskRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.tree)?;
        if !self.acts.is_empty() {
            writeln!(formatter)?;
        }
        for act in &self.acts {
            write!(formatter, "\n{act}")?;
        }
        for (index, entry) in &self.held {
            write!(formatter, "\n\nstill held: nothing resumed the pause of leaf {index}, entry {entry}")?;
        }
        if !self.ended.is_empty() && !self.missing.iter().any(|missing| matches!(missing.what, Hole::Authority { .. })) {
            let leaves: Vec<String> = self.ended.iter().map(u64::to_string).collect();
            write!(formatter, "\n\nended by leaf {}: no later leaf derives from what was revoked", leaves.join(", "))?;
        }
        match self.missing.as_slice() {
            [] => write!(formatter, "\n\ncomplete: nothing that these leaves speak of is missing"),
            missing => {
                write!(formatter, "\n\nincomplete:")?;
                missing.iter().try_for_each(|missing| write!(formatter, "\n  {missing}"))
            }
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let leaf = &self.leaf;
        write!(formatter, "leaf {} · {} · {} · {}", leaf.index, utc(leaf.t_ms), leaf.kind.as_str(), leaf.verdict.as_str())?;
        leaf.reasons.iter().try_for_each(|reason| write!(formatter, " {reason}"))?;
        if let Some(plane) = self.plane {
            write!(formatter, " · {} plane", plane.as_str())?;
        }
        if let Some(point) = self.point {
            write!(formatter, " · {}", point.as_str())?;
        }
        match (&leaf.kind, leaf.block) {
            (Kind::Revoke, Some(block)) => write!(formatter, " · block {block} and whatever was made from it")?,
            (Kind::Revoke, None) => write!(formatter, " · the task")?,
            _ => {}
        }
        write!(formatter, " · entry {}", leaf.entry)?;
        if let Some(of) = self.of {
            write!(formatter, " · answers {of}")?;
        }
        leaf.fields.iter().try_for_each(|(name, value)| write!(formatter, "\n   {name}: {value}"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(formatter, "leaf {index}: ")?,
            None => write!(formatter, "no leaf: ")?,
        }
        match &self.what {
            Hole::Beginning => formatter.write_str("the task's mint is not in the log"),
            Hole::Pruned { minimum, policy } => {
                write!(formatter, "what came before it may be pruned: leaves below {minimum} are, under policy {policy}")
            }
            Hole::Parent(block) => write!(formatter, "derived from block {block}, which is in no leaf"),
            Hole::Token(block) => write!(formatter, "used a token of block {block}, whose hop was never reported"),
            Hole::Authority { revoked_by } => write!(formatter, "derives from what leaf {revoked_by} had revoked"),
            Hole::Question(entry) => write!(formatter, "answers entry {entry}, which is in no leaf before it"),
            Hole::Answer(kinds) => {
                let kinds: Vec<&str> = kinds.iter().map(Kind::as_str).collect();
                write!(formatter, "nothing says what became of it ({})", kinds.join(", "))
            }
            Hole::Approvals { given, needed } => write!(formatter, "{given} of {needed} approvals, and nobody refused"),
        }
    }
}
