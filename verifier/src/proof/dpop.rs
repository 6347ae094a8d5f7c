//! DPoP proofs (RFC 9449) by Ed25519 and P-256 keys, for clients and gateways that know these and not our own statements.
//!
//! A plain DPoP proof signs method and address. The same address takes every argument, so ours also sign tool,
//! `args_digest` and audience; whether one that doesn't is enough is for the caller to say ([`Bound`]).

mod jws;
mod key;
pub mod sign;
mod url;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::{Evidence, MAX_AGE_SECONDS, Once, encode, seconds, within_window};
use crate::{
    PublicKey, Reason,
    json::{Key, Value},
    key::{public_key, sign},
};

pub use key::{DpopKey, P256Key};
pub use url::normal_url;

/// A request as the verifier has it before it, and as the holder signs it.
#[derive(Clone, Copy, Debug)]
pub struct DpopRequest<'a> {
    /// The HTTP method.
    pub method: &'a str,
    /// The address: the configured one that callers are told to use, never one put together from a `Host` header.
    pub url: &'a str,
    /// The token's text exactly as presented; offline narrowing changes it, and with it `ath`.
    pub token: &'a str,
    /// The nonce that the server gave, where it demands one.
    pub nonce: Option<&'a str>,
    /// The tool's exact name.
    pub tool: &'a str,
    /// SHA-256 over the canonical arguments.
    pub args_digest: [u8; 32],
    /// The audience that is to decide.
    pub audience: &'a str,
}

/// The holder as the verifier knows it.
#[derive(Clone, Copy, Debug)]
pub enum DpopHolder<'a> {
    /// By its key.
    Key(&'a PublicKey),
    /// By its key's thumbprint ([`DpopKey::thumbprint`]), as `cnf.jkt` has it; the only way for a P-256 key.
    Thumbprint(&'a [u8; 32]),
}

/// What a proof signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Tool, arguments and audience, beside the address.
    Call,
    /// Method, address and token alone: fit for reading at most.
    UrlOnly,
}

impl Bound {
    /// Whose word it is that the holder asked for this very call.
    pub fn evidence(self) -> Evidence {
        match self {
            Bound::Call => Evidence::Holder,
            Bound::UrlOnly => Evidence::ToolWord,
        }
    }
}

/// Signs a proof that is bound to the call. `jti` is fresh randomness, `time` seconds since the Unix epoch.
pub fn sign_dpop(request: &DpopRequest<'_>, time: u64, jti: &[u8; 16], seed: &[u8; 32]) -> String {
    let text = |text: &str| Value::Text(text.to_owned());
    let header = Value::object([("alg", text("EdDSA")), ("jwk", DpopKey::Ed25519(public_key(seed)).jwk()), ("typ", text(jws::TYPE))]);
    let mut claims = vec![
        ("args_digest", encode(&request.args_digest)),
        ("ath", encode(&Sha256::digest(request.token))),
        ("aud", text(request.audience)),
        ("htm", text(request.method)),
        ("htu", text(request.url)),
        ("iat", seconds(time)),
        ("jti", encode(jti)),
        ("tool", text(request.tool)),
    ];
    claims.extend(request.nonce.map(|nonce| ("nonce", text(nonce))));
    let claims = Value::Object(claims.into_iter().map(|(name, value)| (Key(name.to_owned()), value)).collect());
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.canonical()), URL_SAFE_NO_PAD.encode(claims.canonical()));
    let signature = sign(seed, input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Checks the one DPoP proof of a request, and says what it signs.
///
/// The caller remembers the returned [`Once`], and has made sure that there was one `DPoP` header.
///
/// # Errors
/// `DPOP_MALFORMED`; `WEAK_KEY`; `PROOF_SIGNATURE` also for another key than the holder's; `PROOF_MISMATCH`,
/// `DPOP_NONCE`, `PROOF_TIME`.
pub fn check_dpop(text: &str, request: &DpopRequest<'_>, holder: DpopHolder<'_>, now: u64) -> Result<(Once, Bound), Reason> {
    let proof = jws::open(text)?;
    let same = match holder {
        DpopHolder::Key(key) => proof.key == DpopKey::Ed25519(*key),
        DpopHolder::Thumbprint(expected) => proof.key.thumbprint() == *expected,
    };
    if !same || !proof.key.verifies(proof.input.as_bytes(), &proof.signature) {
        return Err(Reason::ProofSignature);
    }
    let claims = &proof.claims;
    claims.only(&["args_digest", "ath", "aud", "htm", "htu", "iat", "jti", "nonce", "tool"])?;
    let addressed = claims.text("htm")? == request.method
        && claims.text("ath")? == URL_SAFE_NO_PAD.encode(Sha256::digest(request.token))
        && normal_url(claims.text("htu")?)? == normal_url(request.url)?;
    if !addressed {
        return Err(Reason::ProofMismatch);
    }
    let nonce = claims.optional_text("nonce")?;
    if request.nonce.is_some() && request.nonce != nonce {
        return Err(Reason::DpopNonce);
    }
    let bound = match (claims.optional_text("tool")?, claims.optional_text("args_digest")?, claims.optional_text("aud")?) {
        (None, None, None) => Bound::UrlOnly,
        (Some(tool), Some(digest), Some(audience)) => {
            if tool != request.tool || digest != URL_SAFE_NO_PAD.encode(request.args_digest) || audience != request.audience {
                return Err(Reason::ProofMismatch);
            }
            Bound::Call
        }
        _ => return Err(Reason::DpopMalformed),
    };
    let signed = within_window(claims.time("iat")?, now)?;
    let jti = claims.text("jti")?;
    if jti.is_empty() || jti.len() > MAX_JTI {
        return Err(Reason::DpopMalformed);
    }
    Ok((proof.key.once(jti, signed.saturating_add(MAX_AGE_SECONDS)), bound))
}

/// The RFC 7638 thumbprint of an Ed25519 key in its JWK form (RFC 8037 §2).
pub fn thumbprint(key: &PublicKey) -> [u8; 32] {
    DpopKey::Ed25519(*key).thumbprint()
}

/// The names of what signs the proofs that are read here, for those who publish them.
pub const ALGORITHMS: &[&str] = &["ES256", "EdDSA", "Ed25519"];

/// Under which a used `jti` is remembered; nothing is signed behind it.
const TAG: &str = "narrows/dpop/1";
const MAX_JTI: usize = 128;

#[cfg(test)]
mod tests;
