//! An issuer's published keys (RFC 7517), of which only those that may check a signature are ever used.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use narrows_verifier::{PublicKey, Reason};
use serde_json::{Map, Value};

use super::algorithm::{KeyFamily, SignatureAlgorithm};
use super::compact::UnverifiedJwt;
use super::fault::Fault;
use super::json::parse_object;
use super::seen::Seen;

/// The public keys of exactly one issuer or client. Sets are never merged: two issuers may use the same `kid`.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<PublishedKey>,
    refresh_hint_s: Option<u64>,
    /// Tokens that these keys were found to have signed, where it is worth remembering.
    seen: Option<Seen>,
}

struct PublishedKey {
    key_id: Option<String>,
    /// The `alg` the key is reserved for, as published.
    algorithm: Option<String>,
    /// `None` for a key that must not check signatures. It stays listed, so that a token naming it is refused for its key
    /// and doesn't look like a key we have yet to fetch.
    material: Option<(KeyFamily, VerifyingKey)>,
}

/// What checks signatures.
pub(super) enum VerifyingKey {
    /// A point that was decoded once, and needs not be for each token.
    Ed25519(PublicKey),
    /// Any other key, in the form that the backend takes.
    Backend(DecodingKey),
}

impl VerifyingKey {
    /// Whether the token's signature is one by this key; for Ed25519 by the strict rule, as everywhere.
    pub(super) fn verifies(&self, token: &UnverifiedJwt<'_>, algorithm: SignatureAlgorithm) -> bool {
        let message = token.signing_input.as_bytes();
        match self {
            Self::Ed25519(key) => {
                let signature = token.signature_bytes().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
                signature.is_some_and(|signature| key.verifies(message, &signature))
            }
            Self::Backend(key) => matches!(jsonwebtoken::crypto::verify(token.signature, message, key, algorithm.backend()), Ok(true)),
        }
    }
}

impl KeySet {
    /// Reads a JWK Set. Keys of an unknown or symmetric kind are left out; a set that is malformed, larger than 512 KiB or
    /// longer than 100 keys is `ISSUER_DOCUMENT`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Reason> {
        Self::read(bytes, |key| PublishedKey::read(key, "sig"))
    }

    /// Reads a SPIFFE bundle: a JWK Set of which only the keys with `use` = `jwt-svid` count.
    pub fn parse_bundle(bytes: &[u8]) -> Result<Self, Reason> {
        Self::read(bytes, |key| PublishedKey::read(key, "jwt-svid").filter(|_| key.get("use").is_some_and(|usage| usage == "jwt-svid")))
    }

    fn read(bytes: &[u8], read: impl Fn(&Map<String, Value>) -> Option<PublishedKey>) -> Result<Self, Reason> {
        if bytes.len() > MAX_SET_BYTES {
            return Err(Reason::IssuerDocument);
        }
        let set = parse_object(bytes).ok_or(Reason::IssuerDocument)?;
        let keys = match set.get("keys") {
            Some(Value::Array(keys)) if keys.len() <= MAX_KEYS => keys,
            _ => return Err(Reason::IssuerDocument),
        };
        let keys: Option<Vec<_>> = keys.iter().map(Value::as_object).collect();
        let keys = keys.ok_or(Reason::IssuerDocument)?.into_iter().filter_map(read).collect();
        Ok(Self { keys, refresh_hint_s: set.get("spiffe_refresh_hint").and_then(Value::as_u64), seen: None })
    }

    /// The same keys, which remember whose signature they were: for tokens that come again, such as a login for each of its tasks.
    #[must_use]
    pub fn remembering(self) -> Self {
        Self { seen: Some(Seen::new()), ..self }
    }

    /// After how many seconds a bundle asks to be read again (`spiffe_refresh_hint`).
    pub fn refresh_hint_s(&self) -> Option<u64> {
        self.refresh_hint_s
    }

    /// How many keys of a known, asymmetric kind the set lists, usable or not.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set lists no key of a known, asymmetric kind.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks that the token was signed by the one key that its `kid` and this algorithm, which is its own, leave.
    pub(super) fn check(&self, token: &UnverifiedJwt<'_>, algorithm: SignatureAlgorithm) -> Result<(), Fault> {
        let key = self.select(token.header.key_id.as_deref(), algorithm)?;
        let verifies = || key.verifies(token, algorithm);
        let good = self.seen.as_ref().map_or_else(verifies, |seen| seen.good(token, verifies));
        if good { Ok(()) } else { Err(Reason::JwtSignature.into()) }
    }

    /// The one key that a token with this `kid` and algorithm can have been signed with.
    fn select(&self, key_id: Option<&str>, algorithm: SignatureAlgorithm) -> Result<&VerifyingKey, Fault> {
        let named = |key: &&PublishedKey| key_id.is_none() || key.key_id.as_deref() == key_id;
        let mut fitting = self.keys.iter().filter(named).filter_map(|key| key.fitting(algorithm));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ if key_id.is_some() && self.keys.iter().any(|key| named(&key)) => Err(Fault::at("kid", Reason::JwtKey)),
            _ => Err(Fault::at("kid", Reason::JwtUnknownKey)),
        }
    }
}

impl PublishedKey {
    fn read(jwk: &Map<String, Value>, usage: &str) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let (family, material) = match (text("kty")?, text("crv")) {
            ("RSA", _) => (KeyFamily::Rsa, rsa_key(text("n")?, text("e")?)),
            ("EC", Some("P-256")) => (KeyFamily::P256, elliptic_key(text("x")?, text("y")?, 32)),
            ("EC", Some("P-384")) => (KeyFamily::P384, elliptic_key(text("x")?, text("y")?, 48)),
            ("OKP", Some("Ed25519")) => (KeyFamily::Ed25519, edwards_key(text("x")?)),
            _ => return None,
        };
        let sound = may_verify(jwk, usage) && !is_private(jwk);
        Some(Self {
            key_id: text("kid").map(str::to_owned),
            algorithm: text("alg").map(str::to_owned),
            material: material.filter(|_| sound).map(|key| (family, key)),
        })
    }

    fn fitting(&self, algorithm: SignatureAlgorithm) -> Option<&VerifyingKey> {
        let (family, key) = self.material.as_ref()?;
        let reserved_for_it = self.algorithm.as_deref().is_none_or(|name| SignatureAlgorithm::from_name(name) == Some(algorithm));
        (*family == algorithm.family() && reserved_for_it).then_some(key)
    }
}

/// Whether a JWK holds a member that only private and symmetric keys have (RFC 7518 section 6). Whoever publishes one has
/// given the key away. Looked at on the raw JSON: libraries that read a JWK drop these members in silence.
pub(crate) fn is_private(jwk: &Map<String, Value>) -> bool {
    PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name))
}

/// Whether a JWK may check signatures: `use`, if it is there, is this one, `key_ops` has nothing but `verify`, and no member
/// that says what the key is for is of another type than the standard gives it.
pub(super) fn may_verify(jwk: &Map<String, Value>, usage: &str) -> bool {
    let for_verifying = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => matches!(operations.as_slice(), [Value::String(operation)] if operation == "verify"),
        Some(_) => false,
    };
    for_verifying
        && jwk.get("use").is_none_or(|found| found == usage)
        && jwk.get("alg").is_none_or(Value::is_string)
        && jwk.get("ext").is_none_or(Value::is_boolean)
}

fn rsa_key(modulus: &str, exponent: &str) -> Option<VerifyingKey> {
    let modulus = unsigned(modulus)?;
    let exponent = unsigned(exponent)?;
    let bits = modulus.len() * 8 - modulus.first()?.leading_zeros() as usize;
    let value = exponent.iter().try_fold(0_u64, |value, byte| Some(value.checked_mul(256)? | u64::from(*byte)))?;
    let strong = RSA_BITS.contains(&bits) && value % 2 == 1 && (65_537..=MAX_RSA_EXPONENT).contains(&value);
    strong.then(|| VerifyingKey::Backend(DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
}

fn elliptic_key(x: &str, y: &str, coordinate_bytes: usize) -> Option<VerifyingKey> {
    let full = |text: &str| URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == coordinate_bytes);
    // The backend checks at each verification that the point is on the curve.
    if full(x) && full(y) { DecodingKey::from_ec_components(x, y).ok().map(VerifyingKey::Backend) } else { None }
}

fn edwards_key(x: &str) -> Option<VerifyingKey> {
    PublicKey::from_bytes(&URL_SAFE_NO_PAD.decode(x).ok()?).ok().map(VerifyingKey::Ed25519)
}

/// Big-endian bytes without leading zeros, which some providers send and which would make a short modulus look long.
fn unsigned(text: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

const MAX_SET_BYTES: usize = 512 * 1024;
const MAX_KEYS: usize = 100;

/// Below 2048 bits a modulus can be factored by a determined attacker; above 8192 one token costs milliseconds.
const RSA_BITS: core::ops::RangeInclusive<usize> = 2048..=8192;
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
const MAX_RSA_EXPONENT: u64 = (1 << 33) - 1;
