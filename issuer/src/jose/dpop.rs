//! DPoP proofs at this service's own endpoints (RFC 9449), by the two kinds of key that every tool can check.
//!
//! The same core as for other JWTs, and a key that the header brings along. Tools check proofs with the verifier alone, which
//! takes nothing but what it reads; here clients of others knock, so claims and key members that say nothing are let be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use narrows_verifier::{
    Holder, Reason,
    proof::{
        MAX_AGE_SECONDS, MAX_AHEAD_SECONDS, Once,
        dpop::{DpopKey, normal_url},
    },
};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::claims::{check_window, date};
use super::compact::UnverifiedJwt;
use super::keys::{is_private, may_verify};

/// A request as this service has it before it.
#[derive(Clone, Copy)]
pub struct DpopRequest<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The endpoint's address as configured, never one put together from a `Host` header.
    pub url: &'a str,
    /// The access token that came with the request; none at the token endpoint.
    pub access_token: Option<&'a str>,
}

/// A proof that holds. Nothing of it may be used before its nonce is judged and [`DpopProof::once`] is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DpopProof {
    /// Whom a token is to be bound to: an Ed25519 key itself, a P-256 key by its thumbprint.
    pub holder: Holder,
    /// The key's RFC 7638 thumbprint, `jkt`.
    pub thumbprint: [u8; 32],
    /// The nonce that the proof carries. With one, the proof's own time was not looked at, so a nonce that this service did
    /// not give out in the last [`MAX_NONCE_LIFE_S`] seconds must be refused, also where none is demanded.
    pub nonce: Option<String>,
    /// What the caller must remember, so that the proof is accepted once.
    pub once: Once,
}

/// Checks the one DPoP proof of a request at `now_s`, in seconds since the epoch. The caller has made sure that there was
/// one `DPoP` header, judges the nonce, and spends the proof.
///
/// # Errors
/// `DPOP_MALFORMED`, `WEAK_KEY`, `PROOF_SIGNATURE`, `PROOF_MISMATCH`, `PROOF_TIME`.
pub fn check_dpop_proof(text: &str, request: &DpopRequest<'_>, now_s: u64) -> Result<DpopProof, Reason> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(Reason::DpopMalformed);
    }
    let proof = UnverifiedJwt::parse_with_key(text).map_err(|_| Reason::DpopMalformed)?;
    if proof.unverified_media_type() != Some("dpop+jwt") {
        return Err(Reason::DpopMalformed);
    }
    let key = read_key(proof.header.key.as_ref().ok_or(Reason::DpopMalformed)?)?;
    if !key.signs_with(proof.unverified_algorithm()) {
        return Err(Reason::DpopMalformed);
    }
    let signature = proof.signature_bytes().and_then(|bytes| <[u8; 64]>::try_from(bytes).ok()).ok_or(Reason::ProofSignature)?;
    if !key.verifies(proof.signing_input.as_bytes(), &signature) {
        return Err(Reason::ProofSignature);
    }
    check_request(&proof.claims, request)?;
    let (nonce, once) = check_freshness(&proof.claims, &key, now_s)?;
    let thumbprint = key.thumbprint();
    let holder = match key {
        DpopKey::Ed25519(key) => Holder::Key(key),
        DpopKey::P256(_) => Holder::Thumbprint(thumbprint),
    };
    Ok(DpopProof { holder, thumbprint, nonce, once })
}

/// The key of a proof's header. A private member that travelled here is no longer private, so the key is nobody's.
fn read_key(jwk: &Map<String, Value>) -> Result<DpopKey, Reason> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str).ok_or(Reason::DpopMalformed);
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).map_err(|_| Reason::DpopMalformed);
    if is_private(jwk) || !may_verify(jwk, "sig") {
        return Err(Reason::DpopMalformed);
    }
    let key = match (text("kty")?, text("crv")?) {
        ("OKP", "Ed25519") => DpopKey::ed25519(&coordinate("x")?),
        ("EC", "P-256") => DpopKey::p256(&coordinate("x")?, &coordinate("y")?),
        _ => return Err(Reason::DpopMalformed),
    };
    let key = key.map_err(|reason| if reason == Reason::WeakKey { reason } else { Reason::DpopMalformed })?;
    let reserved_for_it = jwk.get("alg").is_none_or(|name| name.as_str().is_some_and(|name| key.signs_with(name)));
    if reserved_for_it { Ok(key) } else { Err(Reason::DpopMalformed) }
}

fn check_request(claims: &Map<String, Value>, request: &DpopRequest<'_>) -> Result<(), Reason> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).ok_or(Reason::DpopMalformed);
    let for_token = match (claims.get("ath"), request.access_token) {
        (None, None) => true,
        (Some(Value::String(hash)), Some(token)) => *hash == URL_SAFE_NO_PAD.encode(Sha256::digest(token)),
        // made for a request with a token, or for one without
        _ => false,
    };
    let url = text("htu")?;
    // most clients write it as we do, and what is the same text is the same address
    let addressed = text("htm")? == request.method && (url == request.url || normal_url(url)? == normal_url(request.url)?);
    if for_token && addressed { Ok(()) } else { Err(Reason::ProofMismatch) }
}

fn check_freshness(claims: &Map<String, Value>, key: &DpopKey, now_s: u64) -> Result<(Option<String>, Once), Reason> {
    let issued = date(claims, "iat").ok().flatten().ok_or(Reason::DpopMalformed)?;
    let (expires, not_before) = (date(claims, "exp"), date(claims, "nbf"));
    let (Ok(expires), Ok(not_before)) = (expires, not_before) else { return Err(Reason::DpopMalformed) };
    check_window(expires, not_before, now_s).map_err(|_| Reason::ProofTime)?;
    let jwt_id = claims.get("jti").and_then(Value::as_str).filter(|id| (1..=MAX_JTI_BYTES).contains(&id.len()));
    let jwt_id = jwt_id.ok_or(Reason::DpopMalformed)?;
    let nonce = match claims.get("nonce") {
        None => None,
        Some(Value::String(nonce)) if nonce.len() <= MAX_NONCE_BYTES => Some(nonce.clone()),
        Some(_) => return Err(Reason::DpopMalformed),
    };
    if nonce.is_some() {
        return Ok((nonce, key.once(jwt_id, now_s.saturating_add(MAX_NONCE_LIFE_S))));
    }
    let early = issued.ceiling > now_s.saturating_add(MAX_AHEAD_SECONDS);
    if early || issued.floor.saturating_add(MAX_AGE_SECONDS) < now_s {
        return Err(Reason::ProofTime);
    }
    Ok((None, key.once(jwt_id, issued.ceiling.saturating_add(MAX_AGE_SECONDS))))
}

/// How long a nonce of this service may be good for: a proof with a nonce is remembered for so long.
pub const MAX_NONCE_LIFE_S: u64 = 600;

/// The `alg` values that a proof may name.
pub const DPOP_ALGORITHMS: [&str; 3] = ["ES256", "Ed25519", "EdDSA"];

const MAX_TEXT_BYTES: usize = 8 * 1024;
const MAX_JTI_BYTES: usize = 128;
const MAX_NONCE_BYTES: usize = 512;
