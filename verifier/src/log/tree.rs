//! Inclusion and consistency proofs: built from stored nodes, checked as RFC 9162, section 2.1 says.

use super::frontier::{Frontier, MAX_TREE_SIZE, OutOfRange};
use super::hash::{Hash, node_hash};
use super::refusal::LogRefusal;
use crate::Reason;

/// The root of the tree's first `size` leaves, from stored nodes.
///
/// # Errors
/// [`OutOfRange`] for a size beyond [`MAX_TREE_SIZE`], and whatever `read` answers.
pub fn root<E: From<OutOfRange>>(size: u64, read: impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    Ok(Frontier::load(size, read)?.root())
}

/// The inclusion proof of leaf `index` in the tree of `size` leaves, from the leaf's sibling up to the root's child.
///
/// # Errors
/// [`OutOfRange`] unless `index < size`, and whatever `read` answers.
pub fn inclusion_proof<E: From<OutOfRange>>(
    index: u64,
    size: u64,
    mut read: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size || size > MAX_TREE_SIZE {
        return Err(OutOfRange.into());
    }
    let (mut start, mut end) = (0, size);
    let mut proof = Vec::new();
    while end - start > 1 {
        let middle = start + left_size(end - start);
        if index < middle {
            proof.push(range_hash(middle, end, &mut read)?);
            end = middle;
        } else {
            proof.push(range_hash(start, middle, &mut read)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `old` leaves is a prefix of the tree of `new` leaves; empty when the sizes are equal.
///
/// # Errors
/// [`OutOfRange`] unless `0 < old <= new`, and whatever `read` answers.
pub fn consistency_proof<E: From<OutOfRange>>(
    old: u64,
    new: u64,
    mut read: impl FnMut(u8, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    if old == 0 || old > new || new > MAX_TREE_SIZE {
        return Err(OutOfRange.into());
    }
    let (mut start, mut end) = (0, new);
    let mut proof = Vec::new();
    while old != end {
        let middle = start + left_size(end - start);
        if old <= middle {
            proof.push(range_hash(middle, end, &mut read)?);
            end = middle;
        } else {
            proof.push(range_hash(start, middle, &mut read)?);
            start = middle;
        }
    }
    // A verifier that holds the old root needs no copy of it: only an inner piece is sent.
    if start != 0 {
        proof.push(range_hash(start, end, &mut read)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that `leaf` is leaf `index` of the tree with this size and root (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`Reason::InclusionProof`].
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), LogRefusal> {
    const REFUSED: LogRefusal = LogRefusal::new(Reason::InclusionProof, "the inclusion proof does not lead to the root");
    if index >= size || proof.len() > MAX_PROOF {
        return Err(REFUSED);
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return Err(REFUSED);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == *root { Ok(()) } else { Err(REFUSED) }
}

/// Checks that the tree (`old_size`, `old_root`) is a prefix of (`new_size`, `new_root`) (RFC 9162, section 2.1.4.2).
///
/// The empty tree is a prefix of everything, so a proof from it says nothing and is refused.
///
/// # Errors
/// [`Reason::ConsistencyProof`].
pub fn verify_consistency(old_size: u64, new_size: u64, old_root: &Hash, new_root: &Hash, proof: &[Hash]) -> Result<(), LogRefusal> {
    const REFUSED: LogRefusal = LogRefusal::new(Reason::ConsistencyProof, "the consistency proof does not join the two roots");
    if old_size == 0 || old_size > new_size || proof.len() > MAX_PROOF {
        return Err(REFUSED);
    }
    if old_size == new_size {
        return if proof.is_empty() && old_root == new_root { Ok(()) } else { Err(REFUSED) };
    }
    // An old tree that is one full subtree is its own first piece.
    let (seed, rest) = match proof {
        rest @ [_, ..] if old_size.is_power_of_two() => (old_root, rest),
        [seed, rest @ ..] => (seed, rest),
        [] => return Err(REFUSED),
    };
    if climb(old_size, new_size, seed, rest) == Some((*old_root, *new_root)) { Ok(()) } else { Err(REFUSED) }
}

/// The path that shows which root the tree of `new` leaves has at `old` leaves: a consistency proof that always begins with
/// the hash of the last full subtree within `old`, so that it needs no word on what the old root is.
///
/// # Errors
/// [`OutOfRange`] unless `0 < old < new`, and whatever `read` answers.
pub fn prefix_path<E: From<OutOfRange>>(old: u64, new: u64, mut read: impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    if old >= new {
        return Err(OutOfRange.into());
    }
    let proof = consistency_proof(old, new, &mut read)?;
    if !old.is_power_of_two() {
        return Ok(proof);
    }
    let level = u8::try_from(old.trailing_zeros()).map_err(|_| OutOfRange)?;
    let seed = read(level, 0)?;
    Ok(core::iter::once(seed).chain(proof).collect())
}

/// The root that the tree (`new_size`, `new_root`) had at `old_size` leaves, by a path of [`prefix_path`].
///
/// It holds whoever made the path: hashes that lead to `new_root` are the tree's own.
///
/// # Errors
/// [`Reason::ConsistencyProof`] when the path does not lead to `new_root`.
pub fn prefix_root(old_size: u64, new_size: u64, new_root: &Hash, path: &[Hash]) -> Result<Hash, LogRefusal> {
    const REFUSED: LogRefusal = LogRefusal::new(Reason::ConsistencyProof, "the path does not lead to the larger tree's root");
    if old_size == 0 || old_size >= new_size || path.len() > MAX_PROOF {
        return Err(REFUSED);
    }
    let (seed, rest) = path.split_first().ok_or(REFUSED)?;
    match climb(old_size, new_size, seed, rest) {
        Some((old_root, found)) if found == *new_root => Ok(old_root),
        _ => Err(REFUSED),
    }
}

/// The roots at the old and the new size to which `seed`, the last full subtree within the old size, and the pieces beside
/// the way up lead (RFC 9162, section 2.1.4.2); `None` when their number does not fit. Needs `0 < old_size < new_size`.
fn climb(old_size: u64, new_size: u64, seed: &Hash, rest: &[Hash]) -> Option<(Hash, Hash)> {
    let shift = (old_size - 1).trailing_ones();
    let (mut node, mut last) = ((old_size - 1) >> shift, (new_size - 1) >> shift);
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for piece in rest {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(piece, &old_hash);
            new_hash = node_hash(piece, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, piece);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((old_hash, new_hash))
}

/// Size of the left subtree of a tree of `size >= 2` leaves: the largest power of two below `size`.
fn left_size(size: u64) -> u64 {
    1 << (u64::BITS - 1).saturating_sub((size - 1).leading_zeros())
}

/// The hash of the leaves `start..end`, where `start` is a multiple of the power of two at or above the length.
fn range_hash<E>(mut start: u64, end: u64, read: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let mut peaks = Vec::new();
    for level in (0u8..63).rev() {
        if (end - start) >> level & 1 == 1 {
            peaks.push(read(level, start >> level)?);
            start += 1 << level;
        }
    }
    Ok(peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(Hash::EMPTY_ROOT))
}

/// No tree of 2^64 leaves needs a longer proof.
const MAX_PROOF: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::log::{Frontier, leaf_hash};

    #[derive(Debug, PartialEq)]
    struct Unreadable;
    impl From<OutOfRange> for Unreadable {
        fn from(_: OutOfRange) -> Self {
            Self
        }
    }

    struct Tree {
        leaves: Vec<Hash>,
        nodes: HashMap<(u8, u64), Hash>,
        roots: Vec<Hash>,
    }

    fn tree(size: u64) -> Tree {
        let mut frontier = Frontier::empty();
        let mut tree = Tree { leaves: Vec::new(), nodes: HashMap::new(), roots: vec![frontier.root()] };
        for index in 0..size {
            let leaf = leaf_hash(&index.to_be_bytes());
            tree.leaves.push(leaf);
            for node in frontier.append(leaf).unwrap() {
                tree.nodes.insert((node.level, node.index), node.hash);
            }
            tree.roots.push(frontier.root());
        }
        tree
    }

    impl Tree {
        fn read(&self, level: u8, index: u64) -> Result<Hash, Unreadable> {
            self.nodes.get(&(level, index)).copied().ok_or(Unreadable)
        }
    }

    /// RFC 6962, section 2.1, word for word.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::EMPTY_ROOT,
            [one] => *one,
            more => {
                let (left, right) = more.split_at(naive_split(more.len()));
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    fn naive_split(size: usize) -> usize {
        let mut split = 1;
        while split * 2 < size {
            split *= 2;
        }
        split
    }

    fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let split = naive_split(leaves.len());
        let (left, right) = leaves.split_at(split);
        let (mut path, sibling) =
            if index < split { (naive_path(index, left), naive_root(right)) } else { (naive_path(index - split, right), naive_root(left)) };
        path.push(sibling);
        path
    }

    fn naive_subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
        if old == leaves.len() {
            return if whole { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let split = naive_split(leaves.len());
        let (left, right) = leaves.split_at(split);
        let (mut path, sibling) = if old <= split {
            (naive_subproof(old, left, whole), naive_root(right))
        } else {
            (naive_subproof(old - split, right, false), naive_root(left))
        };
        path.push(sibling);
        path
    }

    /// Root and every proof of every size, against the definition. Sizes past 130 are sampled below.
    #[test]
    fn every_proof_of_small_trees_equals_the_definition() {
        let tree = tree(130);
        for size in 0..=130u64 {
            let leaves = &tree.leaves[..size as usize];
            let root_hash = tree.roots[size as usize];
            assert_eq!(root_hash, naive_root(leaves));
            assert_eq!(root(size, |level, index| tree.read(level, index)), Ok(root_hash));
            for index in 0..size {
                let proof = inclusion_proof(index, size, |level, index| tree.read(level, index)).unwrap();
                assert_eq!(proof, naive_path(index as usize, leaves));
                verify_inclusion(&leaves[index as usize], index, size, &proof, &root_hash).unwrap();
            }
            for old in 1..=size {
                let proof = consistency_proof(old, size, |level, index| tree.read(level, index)).unwrap();
                assert_eq!(proof, naive_subproof(old as usize, leaves, true));
                verify_consistency(old, size, &tree.roots[old as usize], &root_hash, &proof).unwrap();
            }
        }
    }

    #[test]
    fn the_classic_eight_leaf_roots_come_out() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let mut frontier = Frontier::empty();
        for (leaf, expected) in leaves.iter().zip(roots) {
            frontier.append(leaf_hash(leaf)).unwrap();
            assert_eq!(format!("{:?}", frontier.root()), expected);
        }
    }

    #[test]
    fn sizes_and_indices_at_the_edges_are_refused_without_work() {
        let hash = leaf_hash(b"x");
        let long = vec![hash; 65];
        for (index, size) in [(0, 0), (1, 1), (5, 4), (u64::MAX, u64::MAX), (u64::MAX - 1, u64::MAX)] {
            assert!(verify_inclusion(&hash, index, size, &[], &hash).is_err());
            assert!(verify_inclusion(&hash, index, size, &long, &hash).is_err());
            assert!(verify_inclusion(&hash, index, size, &long[..64], &hash).is_err());
        }
        for (old, new) in [(0, 0), (0, 5), (2, 1), (1, u64::MAX), (u64::MAX - 1, u64::MAX), (1 << 63, u64::MAX)] {
            assert!(verify_consistency(old, new, &hash, &hash, &[]).is_err());
            assert!(verify_consistency(old, new, &hash, &hash, &long[..64]).is_err());
            assert!(verify_consistency(old, new, &hash, &hash, &long).is_err());
        }
        let never = |_: u8, _: u64| -> Result<Hash, Unreadable> { panic!("nothing may be read") };
        assert!(inclusion_proof(0, 0, never).is_err());
        assert!(inclusion_proof(3, 3, never).is_err());
        assert!(inclusion_proof(0, u64::MAX, never).is_err());
        assert!(consistency_proof(0, 3, never).is_err());
        assert!(consistency_proof(4, 3, never).is_err());
        assert!(root(u64::MAX, never).is_err());
        assert!(root(MAX_TREE_SIZE, |_, _| Err::<Hash, _>(Unreadable)).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn larger_trees_agree_and_changed_proofs_are_refused(
            size in 1u64..600, pick in any::<u64>(), old_pick in any::<u64>(), at in any::<prop::sample::Index>(), bit in 0u8..=255,
        ) {
            let tree = tree(size);
            let root_hash = tree.roots[size as usize];
            let (index, old) = (pick % size, old_pick % size + 1);
            let proof = inclusion_proof(index, size, |level, index| tree.read(level, index)).unwrap();
            prop_assert_eq!(&proof, &naive_path(index as usize, &tree.leaves));
            let leaf = tree.leaves[index as usize];
            prop_assert!(verify_inclusion(&leaf, index, size, &proof, &root_hash).is_ok());
            let consistency = consistency_proof(old, size, |level, index| tree.read(level, index)).unwrap();
            prop_assert_eq!(&consistency, &naive_subproof(old as usize, &tree.leaves, true));
            let old_root = tree.roots[old as usize];
            prop_assert!(verify_consistency(old, size, &old_root, &root_hash, &consistency).is_ok());

            let flip = |hash: &Hash| {
                let mut bytes = *hash.as_bytes();
                bytes[usize::from(bit / 8)] ^= 1 << (bit % 8);
                Hash::new(bytes)
            };
            for changed in mutations(&proof, at, flip) {
                prop_assert!(verify_inclusion(&leaf, index, size, &changed, &root_hash).is_err());
            }
            prop_assert!(verify_inclusion(&flip(&leaf), index, size, &proof, &root_hash).is_err());
            prop_assert!(verify_inclusion(&leaf, index, size, &proof, &flip(&root_hash)).is_err());
            prop_assert!(verify_inclusion(&leaf, index + 1, size, &proof, &root_hash).is_err());
            prop_assert!(verify_inclusion(&leaf, index.wrapping_sub(1), size, &proof, &root_hash).is_err());
            for changed in mutations(&consistency, at, flip) {
                prop_assert!(verify_consistency(old, size, &old_root, &root_hash, &changed).is_err());
            }
            prop_assert!(verify_consistency(old, size, &flip(&old_root), &root_hash, &consistency).is_err());
            prop_assert!(verify_consistency(old, size, &old_root, &flip(&root_hash), &consistency).is_err());
        }

        #[test]
        fn checking_any_proof_never_panics(
            index in any::<u64>(), size in any::<u64>(), count in 0usize..70, seed in any::<[u8; 32]>(),
        ) {
            let hash = Hash::new(seed);
            prop_assert!(verify_inclusion(&hash, index, size, &vec![hash; count], &Hash::EMPTY_ROOT).is_err());
            prop_assert!(verify_consistency(index, size, &hash, &Hash::EMPTY_ROOT, &vec![hash; count]).is_err());
        }
    }

    fn mutations(proof: &[Hash], at: prop::sample::Index, flip: impl Fn(&Hash) -> Hash) -> Vec<Vec<Hash>> {
        let mut longer = proof.to_vec();
        longer.push(Hash::EMPTY_ROOT);
        let mut changed = vec![longer];
        if !proof.is_empty() {
            changed.push(proof[..proof.len() - 1].to_vec());
            changed.push(proof[1..].to_vec());
            let mut flipped = proof.to_vec();
            let place = at.index(flipped.len());
            flipped[place] = flip(&flipped[place]);
            changed.push(flipped);
            let mut doubled = proof.to_vec();
            doubled.insert(place, proof[place]);
            changed.push(doubled);
        }
        changed
    }
}
