//! The feed key. This is the only file that holds it.

use narrows_verifier::{
    PublicKey, Reason, public_key,
    revocation::{RevocationDelta, RevocationList},
};
use zeroize::Zeroizing;

use crate::keys::SecretKey;

/// Signs snapshots of the revocation feed and deltas between them, and nothing else: each under its own tag. It is wiped when
/// dropped, and has neither Debug nor Clone.
pub struct FeedSigner {
    seed: Zeroizing<[u8; 32]>,
    public: PublicKey,
}

impl FeedSigner {
    /// The signer with this key.
    pub fn new(key: &SecretKey) -> Self {
        let seed = Zeroizing::new(*key.danger_seed());
        let public = public_key(&seed);
        Self { seed, public }
    }

    /// The key under which verifiers check the feed.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn snapshot(&self, list: &RevocationList) -> Result<String, Reason> {
        list.sign(&self.seed)
    }

    pub(super) fn delta(&self, delta: &RevocationDelta) -> Result<String, Reason> {
        delta.sign(&self.seed)
    }
}
