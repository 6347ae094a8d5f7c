//! The right edge of a growing tree: all that is needed to append leaves and to know the root.

use super::hash::{Hash, node_hash};

/// One hash of the tree: `level` 0 holds leaf hashes, and node `index` of a level covers the leaves
/// `index << level .. (index + 1) << level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Height above the leaves.
    pub level: u8,
    /// Position within the level, from the left.
    pub index: u64,
    /// The subtree's hash.
    pub hash: Hash,
}

/// An index or size lies outside the tree, or the tree is at its largest size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index or size is outside the tree")]
pub struct OutOfRange;

/// The roots of the largest full subtrees, from left to right, of a tree of `size` leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One hash for each bit set in `size`, highest bit first.
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub const fn empty() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Reads the right edge of a tree of `size` leaves through `read(level, index)`.
    ///
    /// # Errors
    /// [`OutOfRange`] beyond [`MAX_TREE_SIZE`], and whatever `read` answers.
    pub fn load<E: From<OutOfRange>>(size: u64, mut read: impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Self, E> {
        if size > MAX_TREE_SIZE {
            return Err(OutOfRange.into());
        }
        let mut peaks = Vec::with_capacity(64);
        for level in (0u8..63).rev() {
            let covered = size >> level;
            if covered & 1 == 1 {
                peaks.push(read(level, covered - 1)?);
            }
        }
        Ok(Self { size, peaks })
    }

    /// The roots of the largest full subtrees, from left to right. With what later leaves complete, they are all that a proof
    /// of such a leaf reads.
    pub fn peaks(&self) -> impl Iterator<Item = Node> + '_ {
        let levels = (0u8..63).rev().filter(|level| self.size >> level & 1 == 1);
        levels.zip(&self.peaks).map(|(level, hash)| Node { level, index: (self.size >> level) - 1, hash: *hash })
    }

    /// Number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf hash and returns every node that it completes, its own first and higher levels after.
    ///
    /// # Errors
    /// [`OutOfRange`] when the tree has [`MAX_TREE_SIZE`] leaves.
    pub fn append(&mut self, leaf: Hash) -> Result<Vec<Node>, OutOfRange> {
        if self.size >= MAX_TREE_SIZE {
            return Err(OutOfRange);
        }
        let mut node = Node { level: 0, index: self.size, hash: leaf };
        let mut completed = vec![node];
        // An odd index is a right child whose left sibling is the last peak.
        while node.index & 1 == 1 {
            let left = self.peaks.pop().ok_or(OutOfRange)?;
            node = Node { level: node.level + 1, index: node.index >> 1, hash: node_hash(&left, &node.hash) };
            completed.push(node);
        }
        self.peaks.push(node.hash);
        self.size += 1;
        Ok(completed)
    }

    /// The root (RFC 6962, section 2.1); of an empty tree, the hash of nothing.
    pub fn root(&self) -> Hash {
        self.peaks.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap_or(Hash::EMPTY_ROOT)
    }
}

/// The largest tree: indices stay within what every store and JSON reader can hold as a signed 64-bit integer.
pub const MAX_TREE_SIZE: u64 = (1 << 62) - 1;
