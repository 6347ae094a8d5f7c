//! Who delegated what to whom: a task's tree, rebuilt from its leaves, with the names that are still disclosed.

use core::fmt;
use std::collections::HashMap;
use std::path::Path;

use narrows_verifier::caveat;
use narrows_verifier::log::{BlockId, Disclosure, Kind, Leaf, Retention, TILE_WIDTH, TaskId, Verdict};

use super::retention::stated;
use super::shown::{Shown, ShownLeaf, utc};
use super::verify::Finding;
use crate::store::Snapshot;

/// The leaves of one task, linked by the blocks that they derive from.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskTree {
    /// The task.
    pub task: TaskId,
    /// Leaves without a parent in the log: the mint, and leaves whose parent was never reported.
    pub roots: Vec<TaskNode>,
}

/// One leaf of a task, with what was derived from it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskNode {
    /// What it says.
    pub leaf: ShownLeaf,
    /// True for a leaf that names a parent which is not in the log.
    pub gap: bool,
    /// What was derived from it, in the order of the log.
    pub children: Vec<TaskNode>,
}

/// Rebuilds the trees of the first `most` tasks, in the order of their first leaf, and says whether there are more; or that of one
/// task alone. Of a log of many tasks no more is held than these. Leaves that are pruned are not looked at.
///
/// # Errors
/// `LEAF_MALFORMED` or `DISCLOSURE_MISMATCH` at the first leaf concerned, or what the store met.
pub fn task_trees(path: &Path, only: Option<&TaskId>, most: usize) -> Result<(Vec<TaskTree>, bool), Finding> {
    let snapshot = Snapshot::open(path)?;
    let rows = snapshot.rows();
    let mut tasks: Vec<(TaskId, Vec<Read>)> = Vec::new();
    let mut places: HashMap<TaskId, usize> = HashMap::new();
    let retention = stated(&rows)?.map(|logged| logged.state);
    let mut first = retention.as_ref().map_or(0, |retention| retention.minimum);
    let mut more = false;
    loop {
        let page = rows.leaves(first, TILE_WIDTH)?;
        let Some(last) = page.last() else { break };
        first = last.index + 1;
        for stored in page {
            let index = stored.index;
            let leaf = Leaf::parse(&stored.bytes).map_err(|refusal| Finding::new(refusal.reason, Some(index), refusal.detail))?;
            let Some(task) = leaf.task.filter(|task| only.is_none_or(|only| only == task)) else { continue };
            if !derives(&leaf.kind) {
                continue;
            }
            if !places.contains_key(&task) && tasks.len() >= most {
                more = true;
                continue;
            }
            let disclosures =
                rows.disclosures(&stored.entry).map_err(|error| Finding::new(error.reason(), Some(index), error.to_string()))?;
            let read = Read::new(index, leaf, &disclosures, retention.as_ref())?;
            let place = *places.entry(task).or_insert_with(|| {
                tasks.push((task, Vec::new()));
                tasks.len() - 1
            });
            if let Some((_, leaves)) = tasks.get_mut(place) {
                leaves.push(read);
            }
        }
    }
    Ok((tasks.into_iter().map(|(task, leaves)| TaskTree { task, roots: link(leaves) }).collect(), more))
}

/// Rebuilds one task's tree from its derivations, in the order of the log.
pub(crate) fn tree_of<'a>(
    task: TaskId,
    leaves: impl Iterator<Item = (u64, Leaf, &'a [Disclosure])>,
    retention: Option<&Retention>,
) -> Result<TaskTree, Finding> {
    let leaves = leaves.map(|(index, leaf, disclosures)| Read::new(index, leaf, disclosures, retention)).collect::<Result<Vec<_>, _>>()?;
    Ok(TaskTree { task, roots: link(leaves) })
}

/// Whether a leaf of this kind makes authority. A kind that is not known here may: its place is in the tree.
pub(crate) const fn derives(kind: &Kind) -> bool {
    matches!(kind, Kind::Mint | Kind::Exchange | Kind::Hop | Kind::Narrow | Kind::Permit | Kind::Other(_))
}

/// A leaf's node before its children are known, with the blocks that lead to it.
struct Read {
    node: TaskNode,
    /// Named parents first, then the token's earlier blocks from the newest down: a plain block between two hops is in no leaf.
    ancestors: Vec<BlockId>,
}

impl Read {
    fn new(index: u64, leaf: Leaf, disclosures: &[Disclosure], retention: Option<&Retention>) -> Result<Self, Finding> {
        let ancestors = leaf.parents.iter().chain(leaf.blocks.iter().rev().skip(1)).copied().collect();
        let node = TaskNode { leaf: ShownLeaf::new(index, leaf, disclosures, retention)?, gap: false, children: Vec::new() };
        Ok(Self { node, ancestors })
    }
}

fn link(leaves: Vec<Read>) -> Vec<TaskNode> {
    // Only an earlier leaf can be a parent, so no forged set of leaves can form a circle.
    let mut by_block: HashMap<BlockId, usize> = HashMap::new();
    let mut parents: Vec<Option<usize>> = Vec::with_capacity(leaves.len());
    let mut depths: Vec<usize> = Vec::with_capacity(leaves.len());
    for (place, read) in leaves.iter().enumerate() {
        let parent = read.ancestors.iter().find_map(|block| by_block.get(block).copied());
        let depth = parent.and_then(|parent| depths.get(parent)).map_or(0, |depth| depth + 1);
        // No token is this deep. A log made to be deeper must not exhaust the reader's stack.
        let parent = parent.filter(|_| depth <= MAX_DEPTH);
        depths.push(if parent.is_some() { depth } else { 0 });
        parents.push(parent);
        if let Some(block) = read.node.leaf.block {
            by_block.entry(block).or_insert(place);
        }
    }
    let mut waiting: HashMap<usize, Vec<TaskNode>> = HashMap::new();
    let mut roots = Vec::new();
    // From the last leaf back: when a leaf's turn comes, all its children have been collected.
    for ((place, mut read), parent) in leaves.into_iter().enumerate().zip(parents).rev() {
        read.node.children = waiting.remove(&place).unwrap_or_default();
        read.node.children.reverse();
        read.node.gap = parent.is_none() && !read.ancestors.is_empty();
        match parent {
            Some(parent) => waiting.entry(parent).or_default().push(read.node),
            None => roots.push(read.node),
        }
    }
    roots.reverse();
    roots
}

/// Person, then agent under agent, then the audiences where the last token may be presented.
impl fmt::Display for TaskTree {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "task {}", self.task)?;
        self.roots.iter().try_for_each(|root| {
            let person = root.leaf.chain.first().unwrap_or(&Shown::Withheld);
            write!(formatter, "\nperson {person}")?;
            write_node(formatter, root, 0, None)
        })
    }
}

fn write_node(formatter: &mut fmt::Formatter<'_>, node: &TaskNode, depth: usize, above: Option<&Shown>) -> fmt::Result {
    let indent = "   ".repeat(depth);
    let TaskNode { leaf, gap, children } = node;
    let agent = leaf.chain.iter().skip(1).next_back().unwrap_or(&Shown::Withheld);
    write!(
        formatter,
        "\n{indent}└─ agent {agent} · {} · leaf {} · {} · entry {}",
        leaf.kind.as_str(),
        leaf.index,
        utc(leaf.t_ms),
        leaf.entry
    )?;
    if leaf.verdict == Verdict::Block {
        write!(formatter, " · blocked: {}", leaf.reasons.join(" "))?;
    }
    if *gap {
        write!(formatter, " · derived from a token that was not reported")?;
    }
    for (name, value) in &leaf.fields {
        match sentences(name, value) {
            Some(sentences) => sentences.iter().try_for_each(|sentence| write!(formatter, "\n{indent}      {sentence}"))?,
            None => write!(formatter, "\n{indent}      {name}: {value}")?,
        }
    }
    let audience = leaf.fields.iter().find(|(name, _)| name == "audience").map(|(_, value)| value).or(above);
    if children.is_empty()
        && let Some(audience) = audience
    {
        write!(formatter, "\n{indent}   └─ tool {audience} · where this token may be presented; what tools decide is not in the log")?;
    }
    children.iter().try_for_each(|child| write_node(formatter, child, depth + 1, audience))
}

/// Disclosed caveats as sentences.
fn sentences(name: &str, value: &Shown) -> Option<Vec<String>> {
    match value {
        Shown::Disclosed(list) if name == "caveats" => {
            caveat::parse_list(list).ok().map(|caveats| caveats.iter().map(narrows_verifier::Caveat::sentence).collect())
        }
        Shown::Disclosed(_) | Shown::Expired | Shown::Withheld => None,
    }
}

/// Deeper than any token: those have at most 16 blocks.
const MAX_DEPTH: usize = 32;
