//! Revocation over whole trees of delegation: it reaches what descends from a block, whichever way, and nothing beside it.

use std::collections::BTreeSet;

use narrows_tests::tokens::{AUTHORITY_CAVEATS, ISSUED, Party, caveats, claims, hop, mint, plain, roots};
use narrows_verifier::{
    BlockId, EntryId, TaskId, UnverifiedToken, VerifiedToken,
    biscuit::AuthorityClaims,
    revocation::{Entries, Revocation},
};
use proptest::prelude::*;

use super::cases;

proptest! {
    #![proptest_config(cases(60))]

    /// Each block of each token is revoked in turn. A token falls exactly when it is the revoked one, was narrowed or handed on
    /// from it, or was made by the service from one of these.
    #[test]
    fn revoking_a_block_takes_its_descendants_and_nothing_else(steps in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8), 1..12)) {
        let tree = grow(&steps);
        for (revoked, node) in tree.iter().enumerate().filter(|(_, node)| node.is_handle) {
            let entries: Entries = [Revocation::Block(node.token.newest())].into_iter().collect();
            for (place, other) in tree.iter().enumerate() {
                let fallen = entries.matched(&other.token).is_some();
                prop_assert_eq!(fallen, other.line.contains(&revoked), "node {} under a revocation of node {}", place, revoked);
            }
        }
        // by task, agent and holder as well: nobody else's tokens
        for node in &tree {
            let task: Entries = [Revocation::Task(node.token.authority.task)].into_iter().collect();
            let (agent, holder, _) = node.token.principals().last().unwrap();
            let holder: Entries = [Revocation::Key(*holder.key().unwrap().as_bytes(), ISSUED + 1)].into_iter().collect();
            let agent: Entries = [Revocation::Agent(agent.to_owned(), ISSUED + 1)].into_iter().collect();
            for other in &tree {
                prop_assert_eq!(task.matched(&other.token).is_some(), other.token.authority.task == node.token.authority.task);
                let named = other.token.principals().any(|(name, ..)| name == node.token.principals().last().unwrap().0);
                prop_assert_eq!(agent.matched(&other.token).is_some(), named);
                prop_assert_eq!(holder.matched(&other.token).is_some(), named, "a name of its own and a key of its own go together here");
            }
        }
    }
}

struct Node {
    bytes: Vec<u8>,
    token: VerifiedToken,
    /// The places of all that it descends from, its own among them.
    line: BTreeSet<usize>,
    /// Whether its newest block is one that a revocation names.
    is_handle: bool,
    holder: Party,
}

/// Each step makes a token from an earlier one: a hop, a plain block, one that the service makes from it, or a new mint.
fn grow(steps: &[(prop::sample::Index, u8)]) -> Vec<Node> {
    let mut tree = vec![minted(0, &[], TaskId([0; 16]))];
    for (place, (parent, kind)) in (1..).zip(steps) {
        let parent = &tree[parent.index(tree.len())];
        let node = match kind {
            0 if parent.token.depth() < 6 => {
                let holder = party(place);
                Node { holder, ..grown(parent, hop(&parent.bytes, &parent.holder, &holder, "[]"), place, true) }
            }
            1 if parent.token.blocks.len() < 12 => grown(parent, plain(&parent.bytes, r#"[{"kind":"depth","max":7}]"#), place, false),
            2 if parent.token.blocks.len() + parent.token.authority.lineage.len() <= 24 => {
                let made = minted(
                    place,
                    &[parent.token.block_ids(), parent.token.authority.lineage.clone()].concat(),
                    parent.token.authority.task,
                );
                Node { line: parent.line.iter().copied().chain([place]).collect(), ..made }
            }
            _ => minted(place, &[], TaskId([place as u8; 16])),
        };
        tree.push(node);
    }
    tree
}

fn grown(parent: &Node, bytes: Vec<u8>, place: usize, is_handle: bool) -> Node {
    let line = parent.line.iter().copied().chain([place]).collect();
    Node { token: verify(&bytes), bytes, line, is_handle, holder: parent.holder }
}

fn minted(place: usize, lineage: &[BlockId], task: TaskId) -> Node {
    let holder = party(place);
    let claims = AuthorityClaims {
        task,
        entry: EntryId([place as u8; 16]),
        agent: holder.name.to_owned(),
        holder: holder.key().into(),
        lineage: lineage.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(),
        ..claims(caveats(AUTHORITY_CAVEATS))
    };
    let bytes = mint(&claims);
    Node { token: verify(&bytes), bytes, line: [place].into(), is_handle: true, holder }
}

/// Somebody of a name and a key of its own.
fn party(place: usize) -> Party {
    const NAMES: [&str; 13] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"];
    Party { name: NAMES[place], seed: [place as u8 + 100; 32] }
}

fn verify(bytes: &[u8]) -> VerifiedToken {
    UnverifiedToken::from_bytes(bytes).unwrap().verify(&roots()).unwrap()
}
