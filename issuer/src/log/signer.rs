//! The log key. This is the only file that holds it.

use ed25519_dalek::{Signer as _, SigningKey};
use narrows_verifier::log::{Checkpoint, LogRefusal, VerifierKey, signature_line};
use zeroize::Zeroizing;

/// The log's Ed25519 key under its origin. It signs checkpoints and nothing else; it is wiped when dropped, and has neither
/// Debug nor Clone.
pub struct LogSigner {
    /// Wipes itself on drop.
    secret: SigningKey,
    verifier_key: VerifierKey,
}

impl LogSigner {
    /// The signer of the log `origin` from 32 secret bytes.
    ///
    /// # Errors
    /// `VERIFIER_KEY_MALFORMED` for an origin that can't be a key name: empty, too long, or with spaces, plus or control characters.
    pub fn new(origin: &str, secret: &Zeroizing<[u8; 32]>) -> Result<Self, LogRefusal> {
        let secret = SigningKey::from_bytes(secret);
        let verifier_key = VerifierKey::new(origin, secret.verifying_key().as_bytes())?;
        Ok(Self { secret, verifier_key })
    }

    /// The log's name.
    pub fn origin(&self) -> &str {
        self.verifier_key.name()
    }

    /// The key under which others check the log's checkpoints.
    pub const fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }

    /// The checkpoint as a signed note.
    pub(super) fn sign(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.to_string();
        let line = signature_line(&self.verifier_key, &self.secret.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{line}")
    }
}
