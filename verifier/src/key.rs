//! Ed25519 public keys that came from outside, and the signing side with its seed as an argument.

use core::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::Reason;

/// An Ed25519 public key that is neither of small order nor oddly encoded.
///
/// A key of small order "signs" every message (its owner chooses `R` and `s = 0`), so wherever a caller brings the key
/// it is checked here, once, and verification is the strict one of RFC 8032 §5.1.7.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Checks 32 bytes.
    ///
    /// # Errors
    /// `KEY_ALGORITHM` when there are not 32 bytes, `WEAK_KEY` when they are no sound key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Reason> {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| Reason::KeyAlgorithm)?;
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| Reason::WeakKey)?;
        if key.is_weak() || !is_canonical(bytes) { Err(Reason::WeakKey) } else { Ok(Self(key)) }
    }

    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether `signature` over `message` verifies strictly.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Whether y is written below the field prime 2^255-19 (RFC 8032 §5.1.3); dalek reduces what is above. The other odd
/// form, a sign bit on x = 0, occurs at points of small order only.
fn is_canonical(bytes: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = bytes;
    !(last & 0x7f == 0x7f && middle.iter().all(|byte| *byte == 0xff) && *first >= 0xed)
}

/// The public key of a seed.
pub fn public_key(seed: &[u8; 32]) -> PublicKey {
    PublicKey(SigningKey::from_bytes(seed).verifying_key())
}

/// Signs `message`, which the caller has put behind a domain tag.
pub(crate) fn sign(seed: &[u8; 32], message: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(seed).sign(message).to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_small_order_and_odd_encodings_are_refused() {
        let identity = {
            let mut bytes = [0; 32];
            bytes[0] = 1;
            bytes
        };
        let order_two = {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xec;
            bytes[31] = 0x7f;
            bytes
        };
        // y = p + 1 is the identity again, written above the field prime
        let non_canonical = {
            let mut bytes = [0xff; 32];
            bytes[0] = 0xee;
            bytes[31] = 0x7f;
            bytes
        };
        for bytes in [identity, order_two, non_canonical, [0; 32]] {
            assert_eq!(PublicKey::from_bytes(&bytes), Err(Reason::WeakKey));
        }
        assert_eq!(PublicKey::from_bytes(&[0; 31]), Err(Reason::KeyAlgorithm));
        // every y from p to 2^255-1; some are points of full order that dalek would take
        let mut taken_by_dalek = 0;
        for first in 0xed..=0xff {
            let mut bytes = [0xff; 32];
            bytes[0] = first;
            bytes[31] = 0x7f;
            taken_by_dalek += usize::from(VerifyingKey::from_bytes(&bytes).is_ok_and(|key| !key.is_weak()));
            assert_eq!(PublicKey::from_bytes(&bytes), Err(Reason::WeakKey));
        }
        assert!(taken_by_dalek > 0);
    }

    #[test]
    fn a_signature_verifies_only_for_its_message_and_key() {
        let key = public_key(&[7; 32]);
        let signature = sign(&[7; 32], b"message");
        assert!(key.verifies(b"message", &signature));
        assert!(!key.verifies(b"massage", &signature));
        assert!(!public_key(&[8; 32]).verifies(b"message", &signature));
    }
}
