//! The largest checkpoint that a client has seen: what makes a rollback or a second history show.

use super::checkpoint::{Checkpoint, verify_checkpoint};
use super::hash::Hash;
use super::note::VerifierKey;
use super::refusal::LogRefusal;
use super::tree::verify_consistency;
use crate::Reason;

/// A signed checkpoint that the log must stand by from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    note: String,
    checkpoint: Checkpoint,
}

impl Kept {
    /// Takes a signed checkpoint, as shown or as kept from earlier.
    ///
    /// # Errors
    /// As [`verify_checkpoint`].
    pub fn new(note: &str, keys: &[VerifierKey]) -> Result<Self, LogRefusal> {
        Ok(Self { note: note.to_owned(), checkpoint: verify_checkpoint(note, keys)? })
    }

    /// The signed note, word for word: with one that contradicts it, anybody can be shown what the log did.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What it says.
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// True when a newer checkpoint than this takes a consistency proof from this size to be believed.
    pub const fn needs_proof(&self, shown: &Self) -> bool {
        shown.checkpoint.size > self.checkpoint.size
    }

    /// Checks that `shown` is a later state of the same history. `proof` is needed where it is larger.
    ///
    /// # Errors
    /// [`Reason::ReceiptOrigin`] for another log, [`Reason::AuditRollbackDetected`] when leaves that this one covers are gone,
    /// [`Reason::SplitView`] when the two are not of one history.
    pub fn check(&self, shown: &Self, proof: &[Hash]) -> Result<(), LogRefusal> {
        let (old, new) = (&self.checkpoint, &shown.checkpoint);
        if old.origin != new.origin {
            return Err(LogRefusal::new(Reason::ReceiptOrigin, "the checkpoints are of two logs"));
        }
        if new.size < old.size {
            return Err(LogRefusal::new(Reason::AuditRollbackDetected, "the log is shorter than it was"));
        }
        verify_consistency(old.size, new.size, &old.root, &new.root, proof)
            .map_err(|_| LogRefusal::new(Reason::SplitView, "the log is not a continuation of what it was"))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;
    use crate::log::{Frontier, OutOfRange, consistency_proof, leaf_hash, signature_line};

    fn kept(origin: &str, size: u64, salt: u8) -> Kept {
        let mut frontier = Frontier::empty();
        for index in 0..size {
            frontier.append(leaf_hash(&[salt, index as u8])).unwrap();
        }
        let secret = SigningKey::from_bytes(&[9; 32]);
        let key = VerifierKey::new(origin, secret.verifying_key().as_bytes()).unwrap();
        let text = Checkpoint { origin: origin.to_owned(), size, root: frontier.root() }.to_string();
        Kept::new(&format!("{text}\n{}", signature_line(&key, &secret.sign(text.as_bytes()).to_bytes())), &[key]).unwrap()
    }

    fn proof(from: u64, to: u64) -> Vec<Hash> {
        let (mut frontier, mut nodes) = (Frontier::empty(), std::collections::HashMap::new());
        for index in 0..to {
            for node in frontier.append(leaf_hash(&[1, index as u8])).unwrap() {
                nodes.insert((node.level, node.index), node.hash);
            }
        }
        consistency_proof(from, to, |level, index| nodes.get(&(level, index)).copied().ok_or(OutOfRange)).unwrap()
    }

    #[test]
    fn only_a_continuation_of_what_was_seen_is_believed() {
        let seen = kept("log", 5, 1);
        assert_eq!(seen.check(&kept("log", 9, 1), &proof(5, 9)), Ok(()));
        assert_eq!(seen.check(&seen, &[]), Ok(()));
        assert!(seen.needs_proof(&kept("log", 6, 1)) && !seen.needs_proof(&seen));
        for (shown, proof, reason) in [
            (kept("other", 9, 1), proof(5, 9), Reason::ReceiptOrigin),
            (kept("log", 4, 1), Vec::new(), Reason::AuditRollbackDetected),
            (kept("log", 5, 2), Vec::new(), Reason::SplitView),
            (kept("log", 9, 2), proof(5, 9), Reason::SplitView),
            (kept("log", 9, 1), Vec::new(), Reason::SplitView),
            (kept("log", 9, 1), proof(4, 9), Reason::SplitView),
        ] {
            assert_eq!(seen.check(&shown, &proof).unwrap_err().reason, reason);
        }
    }
}
