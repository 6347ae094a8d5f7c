//! C2SP tlog-proof@v1: one text that shows, offline, that a leaf is in the log.

use core::fmt::Write as _;

use super::checkpoint::{Checkpoint, parse_decimal, verify_checkpoint};
use super::hash::{Hash, leaf_hash};
use super::leaf::Leaf;
use super::note::{MAX_NOTE_BYTES, Note, VerifierKey};
use super::refusal::LogRefusal;
use super::tree::verify_inclusion;
use crate::{BlockId, Reason};

/// A receipt as read: its claims hold only after [`verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt<'a> {
    /// Position of the leaf.
    pub index: u64,
    /// Hashes from the leaf's sibling up to the root's child.
    pub proof: Vec<Hash>,
    /// The signed checkpoint, word for word.
    pub checkpoint: &'a str,
}

/// What a receipt proved: leaf `index` is in the tree of `size` leaves with this `root`, signed by the log `origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedReceipt {
    /// Name of the log.
    pub origin: String,
    /// Position of the leaf.
    pub index: u64,
    /// Size of the tree in the receipt's checkpoint.
    pub size: u64,
    /// Root of that tree.
    pub root: Hash,
}

impl<'a> Receipt<'a> {
    /// Reads a receipt; checks its form only.
    ///
    /// # Errors
    /// [`Reason::ReceiptMalformed`]. An `extra` line is refused: nothing authenticates it, and our log never writes one.
    pub fn parse(text: &'a str) -> Result<Self, LogRefusal> {
        if text.len() > MAX_RECEIPT_BYTES {
            return Err(malformed("the receipt is too large"));
        }
        let Some((proof, checkpoint)) = text.split_once("\n\n") else {
            return Err(malformed("no empty line separates proof and checkpoint"));
        };
        let mut lines = proof.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("the first line is not `c2sp.org/tlog-proof@v1`"));
        }
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(parse_decimal)
            .ok_or_else(|| malformed("the second line is not the leaf's index"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_LINES {
                return Err(malformed("the proof has too many lines"));
            }
            proof.push(Hash::from_base64(line).ok_or_else(|| malformed("a proof line is not base64 of 32 bytes"))?);
        }
        Ok(Self { index, proof, checkpoint })
    }

    /// The receipt's text.
    pub fn encode(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nindex {}\n", self.index);
        for hash in &self.proof {
            let _ = writeln!(text, "{}", hash.to_base64());
        }
        text.push('\n');
        text.push_str(self.checkpoint);
        text
    }
}

/// Checks that `receipt` shows `leaf` (its exact bytes) in a log that one of `keys` signs for.
///
/// It says that the leaf was seen, not that anyone approved of it.
///
/// # Errors
/// [`Reason::ReceiptMalformed`], [`Reason::ReceiptOrigin`], [`Reason::NoteMalformed`], [`Reason::CheckpointMalformed`],
/// [`Reason::CheckpointSignature`] or [`Reason::InclusionProof`].
pub fn verify(receipt: &str, leaf: &[u8], keys: &[VerifierKey]) -> Result<VerifiedReceipt, LogRefusal> {
    let receipt = Receipt::parse(receipt)?;
    let unverified = Checkpoint::parse(Note::parse(receipt.checkpoint)?.unverified_text())?;
    if !keys.iter().any(|key| key.name() == unverified.origin) {
        return Err(LogRefusal::new(Reason::ReceiptOrigin, "the receipt is of a log that is not trusted here"));
    }
    let Checkpoint { origin, size, root } = verify_checkpoint(receipt.checkpoint, keys)?;
    verify_inclusion(&leaf_hash(leaf), receipt.index, size, &receipt.proof, &root)?;
    Ok(VerifiedReceipt { origin, index: receipt.index, size, root })
}

/// Checks as [`verify`], and that the leaf records the derivation of the token with exactly these block ids, the authority
/// block's first.
///
/// # Errors
/// As [`verify`]; [`Reason::LeafMalformed`]; [`Reason::ReceiptOtherToken`] for the receipt of another token, be it an
/// ancestor or a descendant of this one, and for a leaf that records no token.
pub fn verify_for_token(receipt: &str, leaf: &[u8], keys: &[VerifierKey], blocks: &[BlockId]) -> Result<VerifiedReceipt, LogRefusal> {
    let verified = verify(receipt, leaf, keys)?;
    let recorded = Leaf::parse(leaf)?.blocks;
    if recorded.is_empty() || recorded != blocks {
        return Err(LogRefusal::new(Reason::ReceiptOtherToken, "the leaf names other block ids than the token has"));
    }
    Ok(verified)
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::ReceiptMalformed, detail)
}

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
const MAX_PROOF_LINES: usize = 64;

/// A proof's lines and the largest note.
pub const MAX_RECEIPT_BYTES: usize = MAX_NOTE_BYTES + 4096;

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;
    use crate::log::{Frontier, OutOfRange, inclusion_proof, signature_line};

    #[derive(Debug)]
    struct Unreadable;
    impl From<OutOfRange> for Unreadable {
        fn from(_: OutOfRange) -> Self {
            Self
        }
    }

    fn key(name: &str) -> (SigningKey, VerifierKey) {
        let secret = SigningKey::from_bytes(&[9; 32]);
        let public = VerifierKey::new(name, secret.verifying_key().as_bytes()).unwrap();
        (secret, public)
    }

    fn leaf(index: u64) -> Vec<u8> {
        format!("leaf {index}").into_bytes()
    }

    fn receipt(index: u64, size: u64) -> String {
        let mut frontier = Frontier::empty();
        let mut nodes = std::collections::HashMap::new();
        for position in 0..size {
            for node in frontier.append(leaf_hash(&leaf(position))).unwrap() {
                nodes.insert((node.level, node.index), node.hash);
            }
        }
        let proof = inclusion_proof(index, size, |level, index| nodes.get(&(level, index)).copied().ok_or(Unreadable)).unwrap();
        let (secret, public) = key("log");
        let text = Checkpoint { origin: "log".to_owned(), size, root: frontier.root() }.to_string();
        let note = format!("{text}\n{}", signature_line(&public, &secret.sign(text.as_bytes()).to_bytes()));
        Receipt { index, proof, checkpoint: &note }.encode()
    }

    #[test]
    fn a_receipt_proves_its_leaf_and_no_other() {
        let keys = [key("log").1];
        for size in 1..20 {
            for index in 0..size {
                let text = receipt(index, size);
                let verified = verify(&text, &leaf(index), &keys).unwrap();
                assert_eq!((verified.index, verified.size, verified.origin.as_str()), (index, size, "log"));
                assert_eq!(verify(&text, &leaf(index + 1), &keys).unwrap_err().reason, Reason::InclusionProof);
            }
        }
    }

    #[test]
    fn a_receipt_of_another_log_or_key_is_refused() {
        let text = receipt(2, 5);
        assert_eq!(verify(&text, &leaf(2), &[key("other").1]).unwrap_err().reason, Reason::ReceiptOrigin);
        assert_eq!(verify(&text, &leaf(2), &[]).unwrap_err().reason, Reason::ReceiptOrigin);
        let staging = SigningKey::from_bytes(&[8; 32]);
        let staging = VerifierKey::new("log", staging.verifying_key().as_bytes()).unwrap();
        assert_eq!(verify(&text, &leaf(2), &[staging]).unwrap_err().reason, Reason::CheckpointSignature);
    }

    #[test]
    fn every_changed_byte_of_a_receipt_is_noticed() {
        let keys = [key("log").1];
        let text = receipt(3, 7);
        for position in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[position] ^= 0x01;
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(verify(&changed, &leaf(3), &keys).is_err(), "byte {position}");
            }
            if let Some(cut) = text.get(..position) {
                assert!(verify(cut, &leaf(3), &keys).is_err());
            }
        }
    }

    #[test]
    fn malformed_receipts_are_refused() {
        let text = receipt(1, 2);
        let hash = leaf_hash(b"").to_base64();
        for changed in [
            String::new(),
            text.replace("@v1", "@v2"),
            text.replacen("index 1", "index 01", 1),
            text.replacen("index 1", "index -1", 1),
            text.replacen("index 1", "extra QUFB\nindex 1", 1),
            text.replacen("index 1\n", "", 1),
            text.replacen("index 1\n", "index 1\r\n", 1),
            text.replacen("\n\n", "\n", 1),
            text.replacen("index 1\n", &format!("index 1\n{}", format!("{hash}\n").repeat(65)), 1),
            format!("{text}{}", "x".repeat(MAX_RECEIPT_BYTES)),
        ] {
            assert!(verify(&changed, &leaf(1), &[key("log").1]).is_err(), "{changed}");
        }
        let extra = text.replacen("index 1", "extra QUFB\nindex 1", 1);
        assert_eq!(Receipt::parse(&extra).unwrap_err().reason, Reason::ReceiptMalformed);
        let same = Receipt::parse(&text).unwrap();
        assert_eq!(same.encode(), text);
    }
}
