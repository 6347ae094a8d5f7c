//! The key that a DPoP proof brings along, of one of the two kinds that every tool can check.

use p256::{
    EncodedPoint, FieldBytes,
    ecdsa::{Signature, VerifyingKey, signature::Verifier},
};

use super::TAG;
use crate::{
    PublicKey, Reason,
    json::Value,
    proof::{Once, encode, remembered},
};

/// A public key by which a DPoP proof can be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpopKey {
    /// Ed25519 (RFC 8037).
    Ed25519(PublicKey),
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    P256(P256Key),
}

/// A point of the curve P-256 other than infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct P256Key {
    key: VerifyingKey,
    /// The two coordinates, 32 bytes each.
    bytes: [u8; 64],
}

impl DpopKey {
    /// An Ed25519 key of the member `x` of its JWK.
    ///
    /// # Errors
    /// `KEY_ALGORITHM` when there are not 32 bytes, `WEAK_KEY` when they are no sound key.
    pub fn ed25519(x: &[u8]) -> Result<Self, Reason> {
        PublicKey::from_bytes(x).map(Self::Ed25519)
    }

    /// A P-256 key of the members `x` and `y` of its JWK, each of full length (RFC 7518 §6.2.1.2).
    ///
    /// # Errors
    /// `KEY_ALGORITHM` when one is not of 32 bytes, `WEAK_KEY` when they are no point of the curve.
    pub fn p256(x: &[u8], y: &[u8]) -> Result<Self, Reason> {
        let coordinate = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| Reason::KeyAlgorithm);
        let (x, y) = (coordinate(x)?, coordinate(y)?);
        let point = EncodedPoint::from_affine_coordinates(&FieldBytes::from(x), &FieldBytes::from(y), false);
        let key = VerifyingKey::from_encoded_point(&point).map_err(|_| Reason::WeakKey)?;
        let mut bytes = [0; 64];
        bytes.iter_mut().zip(x.into_iter().chain(y)).for_each(|(byte, of)| *byte = of);
        Ok(Self::P256(P256Key { key, bytes }))
    }

    /// Whether a proof by such a key may name this `alg`. RFC 9864 gives the second name to what RFC 8037 calls by the
    /// first; with this kind of key both mean one algorithm.
    pub fn signs_with(&self, algorithm: &str) -> bool {
        match self {
            Self::Ed25519(_) => matches!(algorithm, "EdDSA" | "Ed25519"),
            Self::P256(_) => algorithm == "ES256",
        }
    }

    /// Whether this is a signature over `message`: for Ed25519 by the strict rule, for P-256 the two numbers of RFC 7518
    /// §3.4, neither of them zero.
    pub fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        match self {
            Self::Ed25519(key) => key.verifies(message, signature),
            Self::P256(key) => Signature::from_slice(signature).is_ok_and(|signature| key.key.verify(message, &signature).is_ok()),
        }
    }

    /// The RFC 7638 thumbprint, as `jkt` carries it in base64url.
    pub fn thumbprint(&self) -> [u8; 32] {
        // the required members in the order of their names, without spaces, is RFC 7638's input and RFC 8785's form alike
        self.jwk().digest()
    }

    /// The required members of the key's JWK.
    pub(super) fn jwk(&self) -> Value {
        let text = |text: &str| Value::Text(text.to_owned());
        match self {
            Self::Ed25519(key) => Value::object([("crv", text("Ed25519")), ("kty", text("OKP")), ("x", encode(key.as_bytes()))]),
            Self::P256(key) => {
                let (x, y) = key.bytes.split_at(32);
                Value::object([("crv", text("P-256")), ("kty", text("EC")), ("x", encode(x)), ("y", encode(y))])
            }
        }
    }

    /// What remembers a proof of this key with this `jti`.
    pub fn once(&self, jti: &str, forget_after: u64) -> Once {
        let signer: &[u8] = match self {
            Self::Ed25519(key) => key.as_bytes(),
            Self::P256(key) => &key.bytes,
        };
        Once { key: remembered(TAG, signer, jti), forget_after }
    }
}
