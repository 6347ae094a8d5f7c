//! Makes genuine and forged JWTs for tests.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

pub(crate) enum TestKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(SigningKey),
}

impl TestKey {
    pub(crate) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub(crate) fn p256() -> Self {
        Self::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn p384() -> Self {
        Self::P384(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn ed25519(seed: u8) -> Self {
        Self::Ed25519(SigningKey::from_bytes(&[seed; 32]))
    }

    pub(crate) fn jwk(&self, key_id: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "kid": key_id, "n": encode(public.n), "e": encode(public.e)})
            }
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": key_id, "x": encode(&point[1..33]), "y": encode(&point[33..])})
            }
            Self::P384(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-384", "kid": key_id, "x": encode(&point[1..49]), "y": encode(&point[49..])})
            }
            Self::Ed25519(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": key_id, "x": encode(key.verifying_key().to_bytes())})
            }
        }
    }

    /// A signature over `input`; for RSA the padding that `algorithm` names.
    pub(crate) fn sign(&self, algorithm: &str, input: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(key) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    "PS256" => &RSA_PSS_SHA256,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(padding, &SystemRandom::new(), input, &mut signature).unwrap();
                signature
            }
            Self::P256(key) | Self::P384(key) => key.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec(),
            Self::Ed25519(key) => key.sign(input).to_bytes().to_vec(),
        }
    }
}

/// The key's own JWK without `kid`, as a DPoP proof carries it.
pub(crate) fn bare_jwk(key: &TestKey) -> Value {
    with(&key.jwk(""), json!({"kid": null}))
}

/// A signature in DER, as every ASN.1-minded library makes it and no JWS may carry it (RFC 7518 section 3.4).
pub(crate) fn der_signing_key() -> (TestKey, impl Fn(&[u8]) -> Vec<u8>) {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let fixed = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
    let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref()).unwrap();
    (TestKey::P256(fixed), move |input| der.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec())
}

/// Header and claims as they stand, signed by `key` with the algorithm that the header names.
pub(crate) fn token(key: &TestKey, header: &Value, claims: &Value) -> String {
    let algorithm = header["alg"].as_str().unwrap_or_default();
    token_of_texts(key, algorithm, &header.to_string(), &claims.to_string())
}

/// The same for texts that are no proper JSON.
pub(crate) fn token_of_texts(key: &TestKey, algorithm: &str, header: &str, claims: &str) -> String {
    let input = signing_input(header, claims);
    let signature = key.sign(algorithm, input.as_bytes());
    format!("{input}.{}", encode(signature))
}

pub(crate) fn signing_input(header: &str, claims: &str) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `base` with the members of `changes`; a null removes a member.
pub(crate) fn with(base: &Value, changes: Value) -> Value {
    let mut object = base.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}
