//! Two signed checkpoints of one log: do they belong to one history, or do they convict the log?

use super::checkpoint::{Checkpoint, verify_checkpoint};
use super::hash::Hash;
use super::note::VerifierKey;
use super::refusal::LogRefusal;
use super::tree::prefix_root;
use crate::Reason;

/// What two checkpoints of one log say of each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Both are of the same tree.
    Same,
    /// The smaller tree is a prefix of the larger one.
    Consistent,
    /// No tree has both.
    Split(SplitView),
}

/// A proof that anyone with the log's key can check: the log signed two checkpoints that no tree can both have.
///
/// Whoever holds the key has forked the log, or the log was rolled back and written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitView {
    /// The signed checkpoint of the smaller tree; of trees of one size, the first.
    pub smaller: String,
    /// The signed checkpoint of the larger tree.
    pub larger: String,
    /// Hashes of the larger tree that show its root at the smaller size ([`super::prefix_path`]); empty for trees of one size.
    pub path: Vec<Hash>,
}

impl SplitView {
    /// Checks the proof under keys that the reader trusts to be the log's.
    ///
    /// # Errors
    /// As [`compare`]; [`Reason::ConsistencyProof`] when the two checkpoints do belong to one history.
    pub fn verify(&self, keys: &[VerifierKey]) -> Result<(), LogRefusal> {
        match compare(&self.smaller, &self.larger, &self.path, keys)? {
            Comparison::Split(_) => Ok(()),
            _ => Err(LogRefusal::new(Reason::ConsistencyProof, "the two checkpoints belong to one history")),
        }
    }
}

/// Compares two signed checkpoints of one log, in any order.
///
/// For different sizes it takes `path`, made from the larger tree by [`super::prefix_path`]; whoever made it can't bend the
/// answer, only withhold it. For equal sizes, and for a tree without leaves, `path` is not looked at.
///
/// # Errors
/// As [`verify_checkpoint`] for either note; [`Reason::ReceiptOrigin`] when they are of different logs;
/// [`Reason::ConsistencyProof`] when `path` does not lead to the larger tree's root, so nothing is shown.
pub fn compare(first: &str, second: &str, path: &[Hash], keys: &[VerifierKey]) -> Result<Comparison, LogRefusal> {
    let (one, two) = (verify_checkpoint(first, keys)?, verify_checkpoint(second, keys)?);
    if one.origin != two.origin {
        return Err(LogRefusal::new(Reason::ReceiptOrigin, "the checkpoints are of two logs"));
    }
    let ordered = one.size <= two.size;
    let (smaller, larger) = if ordered { (&one, &two) } else { (&two, &one) };
    let same_size = smaller.size == larger.size;
    if same_history(smaller, larger, path)? {
        return Ok(if same_size { Comparison::Same } else { Comparison::Consistent });
    }
    let (smaller, larger) = if ordered { (first, second) } else { (second, first) };
    let path = if same_size { Vec::new() } else { path.to_vec() };
    Ok(Comparison::Split(SplitView { smaller: smaller.to_owned(), larger: larger.to_owned(), path }))
}

fn same_history(smaller: &Checkpoint, larger: &Checkpoint, path: &[Hash]) -> Result<bool, LogRefusal> {
    if smaller.size == larger.size {
        return Ok(smaller.root == larger.root);
    }
    // Every tree begins with the empty one, whose root is fixed.
    if smaller.size == 0 {
        return Ok(smaller.root == Hash::EMPTY_ROOT);
    }
    Ok(prefix_root(smaller.size, larger.size, &larger.root, path)? == smaller.root)
}

#[cfg(test)]
mod tests {
    use super::super::forked::{SEED, Tree, key as key_of, note as note_of};
    use super::*;
    use crate::log::leaf_hash;

    fn key(name: &str) -> VerifierKey {
        key_of(name, &SEED)
    }

    fn note(origin: &str, size: u64, root: Hash) -> String {
        note_of(origin, size, root, &SEED)
    }

    #[test]
    fn one_history_is_told_from_two_at_all_sizes() {
        let keys = [key("log")];
        for new in 1..14 {
            for old in 1..new {
                let (before, after) = (Tree::new(old, 99), Tree::new(new, 99));
                let path = after.path(old);
                assert_eq!(compare(&before.note(), &after.note(), &path, &keys), Ok(Comparison::Consistent));
                assert_eq!(compare(&after.note(), &before.note(), &path, &keys), Ok(Comparison::Consistent));
                // The fork lies within the smaller tree, so no tree has both heads; then beyond it, so one has.
                for fork in 0..new {
                    let other = Tree::new(new, fork);
                    let answer = compare(&before.note(), &other.note(), &other.path(old), &keys).unwrap();
                    match answer {
                        Comparison::Split(split) if fork < old => assert_eq!(split.verify(&keys), Ok(())),
                        answer => assert!(fork >= old && answer == Comparison::Consistent, "{old} {new} {fork}"),
                    }
                }
            }
        }
    }

    #[test]
    fn two_roots_of_one_size_convict() {
        let keys = [key("log")];
        let (one, two) = (Tree::new(7, 99), Tree::new(7, 6));
        assert_eq!(compare(&one.note(), &one.note(), &[], &keys), Ok(Comparison::Same));
        let Ok(Comparison::Split(split)) = compare(&one.note(), &two.note(), &[Hash::EMPTY_ROOT], &keys) else { panic!() };
        assert_eq!(split, SplitView { smaller: one.note(), larger: two.note(), path: Vec::new() });
        assert_eq!(split.verify(&keys), Ok(()));
        let Ok(Comparison::Split(_)) = compare(&note("log", 0, leaf_hash(b"")), &two.note(), &[], &keys) else { panic!() };
        assert_eq!(compare(&note("log", 0, Hash::EMPTY_ROOT), &two.note(), &[], &keys), Ok(Comparison::Consistent));
    }

    #[test]
    fn no_path_makes_an_honest_log_guilty() {
        let keys = [key("log")];
        for (old, new) in [(4, 7), (5, 9), (8, 9), (1, 2)] {
            let (before, after, fork) = (Tree::new(old, 99), Tree::new(new, 99), Tree::new(new, 0));
            let honest = after.path(old);
            let bare = after.proof(old);
            let mut long = honest.clone();
            long.push(Hash::EMPTY_ROOT);
            let mut changed: Vec<Vec<Hash>> = (0..honest.len())
                .map(|place| honest.iter().enumerate().map(|(at, hash)| if at == place { leaf_hash(b"?") } else { *hash }).collect())
                .collect();
            changed.extend([Vec::new(), long, honest[1..].to_vec(), fork.path(old), vec![Hash::EMPTY_ROOT; 65]]);
            if old.is_power_of_two() {
                changed.push(bare);
            }
            for path in changed {
                let answer = compare(&before.note(), &after.note(), &path, &keys);
                assert_eq!(answer.unwrap_err().reason, Reason::ConsistencyProof, "{old} {new} {path:?}");
            }
            let accused = SplitView { smaller: before.note(), larger: after.note(), path: honest };
            assert_eq!(accused.verify(&keys).unwrap_err().reason, Reason::ConsistencyProof);
        }
    }

    #[test]
    fn checkpoints_that_the_log_did_not_sign_show_nothing() {
        let (one, two) = (Tree::new(7, 99), Tree::new(7, 6));
        let (one, two) = (one.note(), two.note());
        let reason = |first: &str, second: &str, keys: &[VerifierKey]| compare(first, second, &[], keys).unwrap_err().reason;
        assert_eq!(reason(&one, &two.replace("\n7\n", "\n8\n"), &[key("log")]), Reason::CheckpointSignature);
        assert_eq!(reason(&one, &two, &[]), Reason::CheckpointSignature);
        let other = note("lag", 7, Hash::EMPTY_ROOT);
        assert_eq!(reason(&one, &other, &[key("log"), key("lag")]), Reason::ReceiptOrigin);
    }
}
