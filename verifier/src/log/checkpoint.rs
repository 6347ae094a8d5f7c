//! C2SP tlog-checkpoint: the signed statement of a log's size and root.

use core::fmt;

use super::hash::Hash;
use super::note::{Note, VerifierKey};
use super::refusal::LogRefusal;
use crate::Reason;

/// What a checkpoint says. Extension lines are read over: no monitor can audit them, so nothing here depends on them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root of the tree of that many leaves.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads a note's text: origin, size and root, each on its own line.
    ///
    /// # Errors
    /// [`Reason::CheckpointMalformed`].
    pub fn parse(text: &str) -> Result<Self, LogRefusal> {
        let body = text.strip_suffix('\n').ok_or_else(|| malformed("the text does not end in a newline"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(malformed("a checkpoint has at least three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(malformed("a line is empty"));
        }
        let size = parse_decimal(size).ok_or_else(|| malformed("the size is not a plain decimal number"))?;
        let root = Hash::from_base64(root).ok_or_else(|| malformed("the root is not base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

impl fmt::Display for Checkpoint {
    /// The note text that a log signs, final newline included.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())
    }
}

/// Reads a signed checkpoint and checks that a key named like its origin signed it.
///
/// # Errors
/// [`Reason::NoteMalformed`], [`Reason::CheckpointMalformed`], or [`Reason::CheckpointSignature`].
pub fn verify_checkpoint(note: &str, keys: &[VerifierKey]) -> Result<Checkpoint, LogRefusal> {
    let note = Note::parse(note)?;
    let checkpoint = Checkpoint::parse(note.unverified_text())?;
    // A witness alone, or another log's key, must not vouch for this origin.
    if note.verify(keys)?.iter().any(|key| key.name() == checkpoint.origin) {
        Ok(checkpoint)
    } else {
        Err(LogRefusal::new(Reason::CheckpointSignature, "no key of the checkpoint's origin signed it"))
    }
}

/// A decimal number with one spelling: no sign, no leading zero.
pub(super) fn parse_decimal(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = plain && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::CheckpointMalformed, detail)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;
    use crate::log::{leaf_hash, signature_line};

    const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    fn signed(text: &str, name: &str) -> (String, VerifierKey) {
        let secret = SigningKey::from_bytes(&[7; 32]);
        let key = VerifierKey::new(name, secret.verifying_key().as_bytes()).unwrap();
        (format!("{text}\n{}", signature_line(&key, &secret.sign(text.as_bytes()).to_bytes())), key)
    }

    #[test]
    fn the_specification_example_reads_and_writes_back() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20852163));
        assert_eq!(checkpoint.to_string(), TEXT);
        assert_eq!(Checkpoint::parse(&format!("{TEXT}extension\n")).unwrap(), checkpoint);
    }

    #[test]
    fn malformed_checkpoints_are_refused() {
        for text in [
            "",
            "\n",
            "log\n",
            "log\n1\n",
            "\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "log\n01\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "log\n+1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "log\n-1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "log\n\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "log\n18446744073709551616\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n",
            "log\n1\nCsUYapGGPo4dkMgIAUqom_Xajj7h2fB2MPA3j2jxq2I=\n",
            "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I\n",
            "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
            "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\nlate\n",
            "log\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
        ] {
            assert_eq!(Checkpoint::parse(text).unwrap_err().reason, Reason::CheckpointMalformed, "{text:?}");
        }
    }

    #[test]
    fn only_a_key_named_like_the_origin_vouches_for_it() {
        let text = Checkpoint { origin: "log".to_owned(), size: 1, root: leaf_hash(b"") }.to_string();
        let (note, key) = signed(&text, "log");
        assert_eq!(verify_checkpoint(&note, &[key]).unwrap().size, 1);
        let (note, key) = signed(&text, "witness");
        assert_eq!(verify_checkpoint(&note, &[key]).unwrap_err().reason, Reason::CheckpointSignature);
    }
}
