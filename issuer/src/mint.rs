//! The one place that holds the key which signs authority blocks.

use ed25519_dalek::{Signer as _, SigningKey};
use hmac::{Hmac, Mac};
use narrows_verifier::{
    Reason, RootKey,
    biscuit::{AuthorityClaims, Minted, mint},
};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Signs capabilities. No Debug, no Clone: it is the authority.
pub struct Mint {
    /// Wipes itself on drop.
    key: SigningKey,
    root: RootKey,
    pseudonym_key: Zeroizing<[u8; 32]>,
}

impl Mint {
    /// Takes the issuer's seed, the root key id under which its public key is published, and the time (seconds since the
    /// epoch) before which it signed nothing.
    pub fn new(seed: &[u8; 32], root_key_id: u32, not_before: u64) -> Self {
        let mut pseudonym_key = Zeroizing::new([0; 32]);
        pseudonym_key.copy_from_slice(&keyed(seed, &[PSEUDONYM_KEY_TAG]));
        Self {
            key: SigningKey::from_bytes(seed),
            root: RootKey { not_before, ..RootKey::active(root_key_id, narrows_verifier::public_key(seed)) },
            pseudonym_key,
        }
    }

    /// The key under which the tokens verify.
    pub fn root(&self) -> RootKey {
        self.root
    }

    /// Signs one authority block that our own verifier accepts. A token that is bound to no key comes sealed. `next_seed` is fresh
    /// randomness. The token may leave only after its leaf is durable (law L5).
    ///
    /// # Errors
    /// `PROFILE_FACTS` and the like when the claims make no token of the profile; such a token must not leave.
    pub fn sign(&self, claims: &AuthorityClaims, next_seed: &Zeroizing<[u8; 32]>) -> Result<Minted, Reason> {
        mint(claims, &self.root, next_seed, |message| self.key.sign(message).to_bytes())
    }

    /// The pairwise pseudonym of a subject towards a set of audiences: stable for the same three, linkable by nobody else
    /// (OpenID Connect Core §8.1 calls such identifiers pairwise).
    pub fn pseudonym<'a>(&self, subject_issuer: &str, subject: &str, audiences: impl Iterator<Item = &'a String>) -> String {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let parts: Vec<&[u8]> =
            [subject_issuer.as_bytes(), subject.as_bytes()].into_iter().chain(audiences.map(|audience| audience.as_bytes())).collect();
        let code = keyed(&self.pseudonym_key, &parts);
        format!("p-{}", URL_SAFE_NO_PAD.encode(code.split_at(PSEUDONYM_BYTES).0))
    }
}

/// HMAC-SHA-256 over length-prefixed parts, so that no two lists of parts are one message.
fn keyed(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC pads a short key with zeros to its block of 64 bytes (RFC 2104 §2); given so, no length can be wrong
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte = *key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

const PSEUDONYM_KEY_TAG: &[u8] = b"narrows/pseudonym-key/1";
const PSEUDONYM_BYTES: usize = 16;
