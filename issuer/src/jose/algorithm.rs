//! The signature algorithms that a JWT from outside may use. Symmetric ones and `none` have no name here.

use jsonwebtoken::Algorithm;
use serde::{Deserialize, Serialize};

/// An asymmetric JWS algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519, under either of its two names: `EdDSA` (RFC 8037) and `Ed25519` (RFC 9864).
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    Ed25519,
}

/// What kind of key an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFamily {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl SignatureAlgorithm {
    /// The algorithms that are allowed where a configuration names none.
    pub const DEFAULT: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::Ed25519];

    /// The algorithms of JWT-SVIDs (SPIFFE JWT-SVID section 2.1) that can be checked here: all of them but ES512.
    pub const JWT_SVID: [Self; 8] =
        [Self::Rs256, Self::Rs384, Self::Rs512, Self::Es256, Self::Es384, Self::Ps256, Self::Ps384, Self::Ps512];

    /// The algorithm with this `alg` value (case matters, RFC 7515 section 4.1.1), or `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::Ed25519,
            _ => return None,
        })
    }

    pub(super) fn family(self) -> KeyFamily {
        match self {
            Self::Es256 => KeyFamily::P256,
            Self::Es384 => KeyFamily::P384,
            Self::Ed25519 => KeyFamily::Ed25519,
            _ => KeyFamily::Rsa,
        }
    }

    pub(super) fn backend(self) -> Algorithm {
        match self {
            Self::Rs256 => Algorithm::RS256,
            Self::Rs384 => Algorithm::RS384,
            Self::Rs512 => Algorithm::RS512,
            Self::Ps256 => Algorithm::PS256,
            Self::Ps384 => Algorithm::PS384,
            Self::Ps512 => Algorithm::PS512,
            Self::Es256 => Algorithm::ES256,
            Self::Es384 => Algorithm::ES384,
            Self::Ed25519 => Algorithm::EdDSA,
        }
    }
}
