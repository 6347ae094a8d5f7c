//! Ed25519 public keys that came from outside, and the signing side with its seed as an argument.

use core::fmt;

use curve25519_dalek::{EdwardsPoint, Scalar, edwards::CompressedEdwardsY};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{Reason, Refusal};

/// An Ed25519 public key that is neither of small order nor oddly encoded.
///
/// A key of small order "signs" every message (its owner chooses `R` and `s = 0`), so wherever a caller brings the key
/// it is checked here, once, and verification is the strict one of RFC 8032 §5.1.7.
#[derive(Clone, Copy)]
pub struct PublicKey {
    bytes: [u8; 32],
    /// The point with its sign turned, which is what the equation takes.
    minus: EdwardsPoint,
}

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
        let point = CompressedEdwardsY(*bytes).decompress().ok_or(Reason::WeakKey)?;
        Ok(Self { bytes: *bytes, minus: -point })
    }

    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Whether `signature` over `message` verifies strictly: exactly when `verify_strict` of `ed25519-dalek` says so.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.equation(message, signature).is_some_and(|(computed, claimed)| computed.compress().0 == claimed)
    }

    /// The two sides of the equation that makes a signature good: the point `R' = sB - kA` and the bytes of `R` (RFC 8032
    /// §5.1.7, without the cofactor). `None` when s is not below the group order or R is of small order.
    ///
    /// The bytes of a point that was computed are canonical, so an `R` that equals them is canonical too, and of small order
    /// only if it is in a short list: `R` never has to be decoded, which would cost a seventh of the whole.
    fn equation(&self, message: &[u8], signature: &[u8; 64]) -> Option<(EdwardsPoint, [u8; 32])> {
        let (r, s) = (signature.first_chunk::<32>()?, signature.last_chunk::<32>()?);
        let s = Option::<Scalar>::from(Scalar::from_canonical_bytes(*s))?;
        if has_small_order(r) {
            return None;
        }
        let hash = Sha512::new().chain_update(r).chain_update(self.bytes).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        Some((EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &self.minus, &s), *r))
    }

    /// Whether this is the public key of `seed`.
    ///
    /// Same answer as comparing with [`public_key`], a quarter cheaper: points are compared as they are, so none has to be
    /// brought to the form of 32 bytes, which takes a field inversion.
    pub fn belongs_to(&self, seed: &[u8; 32]) -> bool {
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
        let Some(scalar) = hash.first_chunk::<32>() else { return false };
        (-EdwardsPoint::mul_base_clamped(*scalar)).ct_eq(&self.minus).into()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        // the point follows from the bytes
        self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

/// Signatures that are checked together, each exactly as it would be alone.
///
/// To compare a computed point with bytes it has to be brought to bytes, which takes a field inversion, an eighth of the
/// whole check. Any number of points share one.
pub(crate) struct Signatures {
    computed: Vec<EdwardsPoint>,
    /// What each is to be equal to, and the refusal if it is not.
    claimed: Vec<([u8; 32], Refusal)>,
}

impl Signatures {
    /// Has room for so many before it allocates.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self { computed: Vec::with_capacity(count), claimed: Vec::with_capacity(count) }
    }

    /// Adds a signature, which [`Signatures::settle`] judges.
    ///
    /// # Errors
    /// When no message has such a signature: the first refusal among those added before, or else this one.
    pub(crate) fn add(&mut self, key: &PublicKey, message: &[u8], signature: &[u8; 64], refusal: Refusal) -> Result<(), Refusal> {
        let Some((computed, claimed)) = key.equation(message, signature) else { return self.settle().and(Err(refusal)) };
        self.computed.push(computed);
        self.claimed.push((claimed, refusal));
        Ok(())
    }

    /// Whether all that were added are good; then they are forgotten.
    ///
    /// # Errors
    /// The refusal of the first that is not.
    pub(crate) fn settle(&mut self) -> Result<(), Refusal> {
        let computed = EdwardsPoint::compress_batch_alloc(&self.computed);
        let bad = computed.iter().zip(&self.claimed).find(|(computed, (claimed, _))| computed.0 != *claimed);
        let result = bad.map_or(Ok(()), |(_, (_, refusal))| Err(*refusal));
        self.computed.clear();
        self.claimed.clear();
        result
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

/// The public key of a seed.
pub fn public_key(seed: &[u8; 32]) -> PublicKey {
    let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(seed)));
    let scalar = hash.first_chunk::<32>().copied().map(Zeroizing::new).unwrap_or_default();
    let point = EdwardsPoint::mul_base_clamped(*scalar);
    PublicKey { bytes: point.compress().to_bytes(), minus: -point }
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
