//! The log's trees, proofs, tiles and notes against three other implementations.

use std::{collections::HashMap, sync::LazyLock};

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use ed25519_dalek::{Signer as _, SigningKey};
use narrows_verifier::log::{
    Frontier, Hash, Note, OutOfRange, TileKind, TilePath, VerifierKey, consistency_proof, encode_tile, inclusion_proof, leaf_hash, root,
    signature_line, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;
use sha2_11::Sha256;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{Error, HashReader};

const LARGEST: u64 = 2000;

fn leaf(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

/// Every finished node of a tree of [`LARGEST`] leaves, as our code makes them.
struct Nodes(HashMap<(u8, u64), Hash>);

static NODES: LazyLock<Nodes> = LazyLock::new(|| {
    let mut frontier = Frontier::empty();
    let appended = (0..LARGEST).flat_map(|index| frontier.append(leaf_hash(&leaf(index))).unwrap());
    Nodes(appended.map(|node| ((node.level, node.index), node.hash)).collect())
});

#[derive(Debug)]
struct Missing;
impl From<OutOfRange> for Missing {
    fn from(_: OutOfRange) -> Self {
        Self
    }
}

fn node(level: u8, index: u64) -> Result<Hash, Missing> {
    NODES.0.get(&(level, index)).copied().ok_or(Missing)
}

/// The oracle reads our nodes by its own numbering.
impl HashReader for Nodes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, Error> {
        Ok(indexes
            .iter()
            .map(|index| tlog_tiles::split_stored_hash_index(*index))
            .map(|(level, index)| theirs(&self.0[&(level, index)]))
            .collect())
    }
}

fn theirs(hash: &Hash) -> tlog_tiles::Hash {
    tlog_tiles::Hash(*hash.as_bytes())
}

fn memory(size: u64) -> MemoryBackedTree<Sha256, [u8; 8]> {
    let mut tree = MemoryBackedTree::new();
    (0..size).for_each(|index| tree.push(leaf(index)));
    tree
}

#[test]
fn every_root_is_that_of_both_oracles() {
    let mut tree = MemoryBackedTree::<Sha256, [u8; 8]>::new();
    for size in 1..=LARGEST {
        tree.push(leaf(size - 1));
        let ours = root(size, node).unwrap();
        assert_eq!(theirs(&ours), tlog_tiles::tree_hash(size, &*NODES).unwrap(), "{size}");
        assert_eq!(ours.as_bytes().as_slice(), tree.root().as_bytes().as_slice(), "{size}");
    }
}

#[test]
fn every_tile_is_that_of_the_oracle() {
    for (level, nodes) in [(0, LARGEST), (1, LARGEST >> 8)] {
        for index in 0..nodes.div_ceil(256) {
            let most = (nodes - index * 256).min(256);
            for width in [1, 2, most / 2, most].into_iter().filter(|width| (1..=most).contains(width)) {
                let tile = tlog_tiles::Tile::new(8, level, index, u32::try_from(width).unwrap(), false);
                let first = index * 256;
                let hashes: Vec<_> = (first..first + width).map(|index| node(level * 8, index).unwrap()).collect();
                assert_eq!(encode_tile(&hashes), tile.read_data(&*NODES).unwrap());
                let path = TilePath::new(TileKind::Hashes(level), index, u16::try_from(width).unwrap()).unwrap();
                assert_eq!(path.to_string(), tile.path().replacen("tile/8/", "tile/", 1));
            }
        }
    }
}

/// What an attacker does to a proof.
fn mutated(mut proof: Vec<Hash>, how: u8, at: &prop::sample::Index) -> Vec<Hash> {
    let other = leaf_hash(b"other");
    let place = if proof.is_empty() { 0 } else { at.index(proof.len()) };
    match how {
        1 => proof.push(other),
        2 => drop(proof.pop()),
        3 if !proof.is_empty() => proof[place] = other,
        4 if !proof.is_empty() => proof.rotate_left(1),
        5 => proof.insert(place, other),
        _ => {}
    }
    proof
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A mutated proof and a wrong index or size are judged alike, and a true proof has one form.
    #[test]
    fn inclusion_proofs_are_made_and_judged_as_by_both_oracles(
        size in 1..=LARGEST, at in any::<prop::sample::Index>(), how in 0u8..6, off in 0u64..3, grown in 0u64..3,
    ) {
        let index = at.index(usize::try_from(size).unwrap()) as u64;
        let proof = inclusion_proof(index, size, node).unwrap();
        prop_assert_eq!(proof.iter().map(theirs).collect::<Vec<_>>(), tlog_tiles::prove_record(size, index, &*NODES).unwrap());
        let tree = memory(size);
        prop_assert_eq!(encode_tile(&proof), tree.prove_inclusion(usize::try_from(index).unwrap()).as_bytes().to_vec());

        let (proof, index, claimed) = (mutated(proof, how, &at), index + off, size + grown);
        let top = root(size, node).unwrap();
        let value = leaf(index - off);
        let ours = verify_inclusion(&leaf_hash(&value), index, claimed, &proof, &top).is_ok();
        let list = proof.iter().map(theirs).collect();
        // the oracle answers for sizes and indices that can be
        let tiles = index < claimed && tlog_tiles::check_record(&list, claimed, theirs(&top), index, theirs(&leaf_hash(&value))).is_ok();
        prop_assert_eq!(ours, tiles);
        let memory = RootHash::<Sha256>::new((*top.as_bytes()).into(), claimed);
        let memory = memory.verify_inclusion(&value, index, &InclusionProof::from_bytes(encode_tile(&proof))).is_ok();
        prop_assert_eq!(ours, memory);
    }

    #[test]
    fn consistency_proofs_are_made_and_judged_as_by_both_oracles(
        new in 1..=LARGEST, at in any::<prop::sample::Index>(), how in 0u8..6, off in 0u64..3, grown in 0u64..3,
    ) {
        let old = at.index(usize::try_from(new).unwrap()) as u64 + 1;
        let proof = consistency_proof(old, new, node).unwrap();
        prop_assert_eq!(proof.iter().map(theirs).collect::<Vec<_>>(), tlog_tiles::prove_tree(new, old, &*NODES).unwrap());
        if old < new {
            let tree = memory(new);
            prop_assert_eq!(encode_tile(&proof), tree.prove_consistency(usize::try_from(new - old).unwrap()).as_bytes().to_vec());
        }
        let (before, top) = (root(old, node).unwrap(), root(new, node).unwrap());
        let (proof, old, new) = (mutated(proof, how, &at), old + off, new + grown);
        let ours = verify_consistency(old, new, &before, &top, &proof).is_ok();
        let list = proof.iter().map(theirs).collect();
        let tiles = old <= new && tlog_tiles::check_tree(&list, new, theirs(&top), old, theirs(&before)).is_ok();
        prop_assert_eq!(ours, tiles);
        if old < new && let Ok(proof) = ConsistencyProof::<Sha256>::try_from_bytes(encode_tile(&proof)) {
            let [before, top] = [(before, old), (top, new)].map(|(hash, size)| RootHash::<Sha256>::new((*hash.as_bytes()).into(), size));
            prop_assert_eq!(ours, top.verify_consistency(&before, &proof).is_ok());
        }
    }

    /// Whatever note we accept, the oracle accepts, with the same text; and a note that is whole both accept.
    #[test]
    fn no_note_is_accepted_that_the_oracle_refuses(
        text in "[ -~]{1,20}(\n[ -~]{0,20}){0,3}", signers in prop::collection::vec((0u8..4, any::<bool>()), 1..4),
        at in any::<prop::sample::Index>(), change in prop::option::of(1u8..=255),
    ) {
        let text = format!("{text}\n");
        let key = |seed: u8| VerifierKey::new(&format!("log.example/{seed}"), SigningKey::from_bytes(&[seed + 1; 32]).verifying_key().as_bytes()).unwrap();
        let line = |(seed, good): &(u8, bool)| {
            let signed = if *good { text.clone() } else { format!("{text}x") };
            signature_line(&key(*seed), &SigningKey::from_bytes(&[seed + 1; 32]).sign(signed.as_bytes()).to_bytes())
        };
        let mut bytes = format!("{text}\n{}", signers.iter().map(line).collect::<String>()).into_bytes();
        if let Some(change) = change {
            let place = at.index(bytes.len());
            bytes[place] ^= change;
        }
        // keys 0 and 1 are known, 2 and 3 are not
        let keys = [key(0), key(1)];
        let oracle = VerifierList::new(keys.iter().map(|key| Box::new(StandardVerifier::new(&key.to_string()).unwrap()) as _).collect());
        let theirs = signed_note::Note::from_bytes(&bytes).ok().filter(|note| note.verify(&oracle).is_ok()).map(|note| note.text().to_vec());
        let note = String::from_utf8(bytes).unwrap_or_default();
        let ours = Note::parse(&note).ok().filter(|note| note.verify(&keys).is_ok()).map(|note| note.unverified_text().as_bytes().to_vec());
        if ours.is_some() {
            prop_assert_eq!(&ours, &theirs);
        }
        let known_good = signers.iter().any(|(seed, _)| *seed < 2) && signers.iter().all(|(seed, good)| *good || *seed > 1);
        if change.is_none() {
            prop_assert_eq!(ours.is_some(), known_good);
            prop_assert!(theirs.is_some() || !known_good);
        }
    }
}
