//! The signer of JWTs: views of tokens, and the development identity provider's ID tokens, each with a key of its own.
//! Capabilities are never signed here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::SigningKey;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// An Ed25519 key that signs JWTs, with its public half. No Debug, no Clone; the private half is zeroized on drop.
pub struct TokenSigner {
    key: EncodingKey,
    key_id: String,
    public_x: String,
}

/// The backend refused to sign.
#[derive(Debug, thiserror::Error)]
#[error("the token could not be signed")]
pub struct SigningError;

impl TokenSigner {
    /// The key that belongs to a seed. The caller draws the seed from its entropy and keeps no copy.
    pub fn from_seed(seed: &Zeroizing<[u8; 32]>) -> Self {
        let public_x = URL_SAFE_NO_PAD.encode(SigningKey::from_bytes(seed).verifying_key().to_bytes());
        let mut pkcs8 = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + seed.len()));
        pkcs8.extend_from_slice(&PKCS8_PREFIX);
        pkcs8.extend_from_slice(seed.as_slice());
        // RFC 7638 section 3.2: required members only, in lexical order, no white space.
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public_x}"}}"#));
        Self { key: EncodingKey::from_ed_der(&pkcs8), key_id: URL_SAFE_NO_PAD.encode(thumbprint), public_x }
    }

    /// Signs claims as a JWT with the given `typ`.
    pub fn sign(&self, media_type: &str, claims: &Map<String, Value>) -> Result<String, SigningError> {
        let header = json!({"alg": "EdDSA", "kid": self.key_id, "typ": media_type});
        let claims = serde_json::to_vec(claims).map_err(|_| SigningError)?;
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let signature = jsonwebtoken::crypto::sign(token.as_bytes(), &self.key, Algorithm::EdDSA);
        token.push('.');
        token.push_str(&signature.map_err(|_| SigningError)?);
        Ok(token)
    }

    /// The JWK Set that holds the public half.
    pub fn public_key_set(&self) -> Value {
        json!({"keys": [{
            "alg": "EdDSA", "crv": "Ed25519", "kid": self.key_id, "kty": "OKP", "use": "sig", "x": self.public_x,
        }]})
    }
}

/// PKCS #8 version 1 around a raw Ed25519 seed (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
