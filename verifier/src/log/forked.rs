//! Logs for the tests of this module: trees that agree up to a leaf and then say something else, under one key.

use super::{Checkpoint, Frontier, Hash, Node, OutOfRange, VerifierKey, consistency_proof, leaf_hash, prefix_path, signature_line};
use crate::key::sign;

pub(super) struct Tree {
    nodes: Vec<Node>,
    frontier: Frontier,
}

impl Tree {
    /// The log of `size` leaves, of which those from `fork` on are other ones.
    pub(super) fn new(size: u64, fork: u64) -> Self {
        let mut tree = Self { nodes: Vec::new(), frontier: Frontier::empty() };
        for index in 0..size {
            let leaf = if index < fork { format!("{index}") } else { format!("other {index}") };
            tree.nodes.extend(tree.frontier.append(leaf_hash(leaf.as_bytes())).unwrap());
        }
        tree
    }

    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The consistency proof from an earlier size.
    pub(super) fn proof(&self, old: u64) -> Vec<Hash> {
        consistency_proof(old, self.size(), |level, index| self.read(level, index)).unwrap()
    }

    /// What shows the root at an earlier size.
    pub(super) fn path(&self, old: u64) -> Vec<Hash> {
        prefix_path(old, self.size(), |level, index| self.read(level, index)).unwrap()
    }

    /// The checkpoint that the log's key signed.
    pub(super) fn note(&self) -> String {
        note("log", self.size(), self.root(), &SEED)
    }

    fn read(&self, level: u8, index: u64) -> Result<Hash, OutOfRange> {
        self.nodes.iter().find(|node| (node.level, node.index) == (level, index)).map(|node| node.hash).ok_or(OutOfRange)
    }
}

pub(super) fn key(name: &str, seed: &[u8; 32]) -> VerifierKey {
    VerifierKey::new(name, crate::public_key(seed).as_bytes()).unwrap()
}

/// A checkpoint that the key of this seed signed under the origin's name.
pub(super) fn note(origin: &str, size: u64, root: Hash, seed: &[u8; 32]) -> String {
    let text = Checkpoint { origin: origin.to_owned(), size, root }.to_string();
    format!("{text}\n{}", signature_line(&key(origin, seed), &sign(seed, text.as_bytes())))
}

/// Of the log's key.
pub(super) const SEED: [u8; 32] = [4; 32];
