//! Ed25519 public keys that came from outside, and the signing side with its seed as an argument.

use core::fmt;

use curve25519_dalek::EdwardsPoint;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

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
        if has_small_order(bytes) || !is_canonical(bytes) {
            return Err(Reason::WeakKey);
        }
        VerifyingKey::from_bytes(bytes).map(Self).map_err(|_| Reason::WeakKey)
    }

    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether `signature` over `message` verifies strictly: exactly when the library's `verify_strict` says so.
    ///
    /// `verify_strict` decodes `R` as a point only to refuse one of small order, which costs a seventh of the whole. `verify`
    /// compares the `R` that it computes, in canonical form, with the bytes of the signature; so an accepted `R` is canonical,
    /// and of small order only if its bytes are in a short list. The key was looked at when it was made.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        is_reduced(signature.s_bytes()) && !has_small_order(signature.r_bytes()) && self.0.verify(message, &signature).is_ok()
    }

    /// Whether this is the public key of `seed`.
    ///
    /// Same answer as comparing with [`public_key`], a quarter cheaper: points are compared as they are, so none has to be
    /// brought to the form of 32 bytes, which takes a field inversion.
    pub fn belongs_to(&self, seed: &[u8; 32]) -> bool {
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let Some(scalar) = hash.first_chunk::<32>() else { return false };
        EdwardsPoint::mul_base_clamped(*scalar).ct_eq(&self.0.to_edwards()).into()
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

/// Whether the bytes encode a point of order 1, 2, 4 or 8, in any way, whatever their sign bit.
fn has_small_order(bytes: &[u8; 32]) -> bool {
    let [rest @ .., last] = bytes;
    SMALL_ORDER.iter().any(|[listed @ .., listed_last]| last & 0x7f == *listed_last && rest == listed)
}

/// Whether s is below the group order (RFC 8032 §5.1.7): else s + L is a second signature. `verify` checks it as well, but
/// not when some crate of the final program turns on the library's feature `legacy_compatibility`.
fn is_reduced(s: &[u8; 32]) -> bool {
    s.iter().rev().lt(ORDER.iter().rev())
}

/// The public key of a seed.
pub fn public_key(seed: &[u8; 32]) -> PublicKey {
    PublicKey(SigningKey::from_bytes(seed).verifying_key())
}

/// Signs `message`, which the caller has put behind a domain tag.
pub(crate) fn sign(seed: &[u8; 32], message: &[u8]) -> [u8; 64] {
    SigningKey::from_bytes(seed).sign(message).to_bytes()
}

/// Every y of a point of small order, little-endian without the sign bit; the last two are 0 and 1 above the field prime.
const SMALL_ORDER: [[u8; 32]; 7] = [
    near_zero(0),
    near_zero(1),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
        0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
        0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    near_prime(0xec),
    near_prime(0xed),
    near_prime(0xee),
];

/// The order L of the base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0x10,
];

const fn near_zero(first: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = first;
    bytes
}

const fn near_prime(first: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = first;
    bytes[31] = 0x7f;
    bytes
}

#[cfg(test)]
mod tests;
