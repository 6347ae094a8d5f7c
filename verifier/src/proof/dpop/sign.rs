//! The signing side for clients with a P-256 key.

use p256::ecdsa::{Signature, SigningKey, signature::Signer};

/// Signs by a P-256 key (ES256, with the deterministic numbers of RFC 6979); `None` when `secret` is not a number below the group
/// order. The second part is the key: its coordinates x and y, 32 bytes each.
pub fn sign_p256(secret: &[u8; 32], message: &[u8]) -> Option<([u8; 64], [u8; 64])> {
    let secret = SigningKey::from_slice(secret).ok()?;
    let signature: Signature = secret.sign(message);
    let key = secret.verifying_key().to_encoded_point(false);
    Some((<[u8; 64]>::try_from(&*signature.to_bytes()).ok()?, *key.as_bytes().last_chunk::<64>()?))
}
