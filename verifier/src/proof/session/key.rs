//! The key of a session, which exactly its two ends can derive.

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::{Reason, proof::PossessionClaims};

/// A MAC key, followed by the zeros with which HMAC fills a short key up to its block (RFC 2104 §2).
pub(super) struct SessionKey(Zeroizing<[u8; 64]>);

/// The public half of an ephemeral.
pub(super) fn public(ephemeral: &[u8; 32]) -> [u8; 32] {
    PublicKey::from(&StaticSecret::from(*ephemeral)).to_bytes()
}

impl SessionKey {
    /// Derives the key from our ephemeral's secret and the peer's public half, over both signed texts.
    ///
    /// A peer's key of small order would make the shared secret all zeros, whatever ours is (RFC 7748 §6.1).
    pub(super) fn agree(ours: &[u8; 32], theirs: [u8; 32], open: &str, accept: &str) -> Result<Self, Reason> {
        let shared = StaticSecret::from(*ours).diffie_hellman(&PublicKey::from(theirs));
        if !shared.was_contributory() {
            return Err(Reason::SessionKey);
        }
        // a statement ends 86 characters after its one dot, so the seam of the two texts can't be moved
        let salt = Sha256::new().chain_update(open).chain_update(accept).finalize();
        let mut key = Zeroizing::new([0; 64]);
        let (half, _) = key.split_at_mut(32);
        Hkdf::<Sha256>::new(Some(&salt), shared.as_bytes()).expand(INFO, half).map_err(|_| Reason::Internal)?;
        Ok(Self(key))
    }

    /// The MAC of one call. Everything of variable size stands behind its length, so no two calls share a message.
    pub(super) fn mac(&self, session: &[u8; 16], counter: u64, call: &PossessionClaims<'_>) -> [u8; 32] {
        let block: &[u8; 64] = &self.0;
        let mut mac = <Hmac<Sha256> as hmac::digest::KeyInit>::new(block.into());
        for part in [TAG, b"\0", session, &counter.to_be_bytes(), call.block.as_bytes(), &call.args_digest] {
            mac.update(part);
        }
        for part in [call.tool, call.audience] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// Compares in constant time: a comparison that stops early would let a forger find a MAC byte by byte.
    pub(super) fn verifies(&self, session: &[u8; 16], counter: u64, call: &PossessionClaims<'_>, mac: &[u8; 32]) -> bool {
        self.mac(session, counter, call).ct_eq(mac).into()
    }
}

const INFO: &[u8] = b"narrows/session/1";
const TAG: &[u8] = b"narrows/session-call/1";
