//! The one place that holds the key which signs authority blocks.

use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use hmac::{Hmac, Mac};
use narrows_verifier::{
    BlockId, Holder, Reason, RootKey, UnverifiedToken,
    biscuit::{AuthorityClaims, authority_block, seal},
};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Signs capabilities. No Debug, no Clone: it is the authority.
pub struct Mint {
    key: KeyPair,
    root: RootKey,
    pseudonym_key: Zeroizing<[u8; 32]>,
}

/// A signed token that nobody has seen yet. It may leave only after its leaf is durable (law L5), so it has no Debug.
pub struct Minted {
    /// The token's bytes.
    pub token: Zeroizing<Vec<u8>>,
    /// The id of its authority block.
    pub block: BlockId,
}

impl Mint {
    /// Takes the issuer's seed, the root key id under which its public key is published, and the time (seconds since the
    /// epoch) before which it signed nothing.
    ///
    /// # Errors
    /// `KEY_FILE_MALFORMED` when the library refuses the seed.
    pub fn new(seed: &[u8; 32], root_key_id: u32, not_before: u64) -> Result<Self, Reason> {
        let private = PrivateKey::from_bytes(seed, Algorithm::Ed25519).map_err(|_| Reason::KeyFileMalformed)?;
        let mut pseudonym_key = Zeroizing::new([0; 32]);
        pseudonym_key.copy_from_slice(&keyed(seed, &[PSEUDONYM_KEY_TAG]));
        Ok(Self {
            key: KeyPair::from(&private),
            root: RootKey { not_before, ..RootKey::active(root_key_id, narrows_verifier::public_key(seed)) },
            pseudonym_key,
        })
    }

    /// The key under which the tokens verify.
    pub fn root(&self) -> RootKey {
        self.root
    }

    /// Signs one authority block and checks the result with our own verifier. A token that is bound to no key comes sealed.
    /// `next_seed` is fresh randomness.
    ///
    /// # Errors
    /// `PROFILE_FACTS` and the like when the claims make no token of the profile; such a token must not leave.
    pub fn sign(&self, claims: &AuthorityClaims, next_seed: &Zeroizing<[u8; 32]>) -> Result<Minted, Reason> {
        let next = PrivateKey::from_bytes(next_seed.as_ref(), Algorithm::Ed25519).map_err(|_| Reason::Internal)?;
        let token = authority_block(claims)?
            .root_key_id(self.root.id)
            .build_with_key_pair(&self.key, SymbolTable::new(), &KeyPair::from(&next))
            .and_then(|token| token.to_vec())
            .map_err(|_| Reason::Internal)?;
        let token = Zeroizing::new(token);
        let token = if claims.holder == Holder::Bearer { Zeroizing::new(seal(&token)?) } else { token };
        let verified =
            UnverifiedToken::from_bytes(&token).and_then(|token| token.verify(&self.root.into())).map_err(|refusal| refusal.reason)?;
        Ok(Minted { block: verified.newest(), token })
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
