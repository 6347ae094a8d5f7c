//! Proof of possession: the newest holder signs the very call that it asks for.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Once, encode, open, seal, seconds};
use crate::{BlockId, PublicKey, Reason, json::Value};

/// What a proof of possession binds.
#[derive(Clone, Copy, Debug)]
pub struct PossessionClaims<'a> {
    /// The newest block of the presented token.
    pub block: BlockId,
    /// The tool's exact name.
    pub tool: &'a str,
    /// SHA-256 over the canonical arguments ([`Value::digest`]).
    pub args_digest: [u8; 32],
    /// The audience that is to decide.
    pub audience: &'a str,
}

/// Signs a proof for one call. `nonce` is fresh randomness, `time` seconds since the Unix epoch.
pub fn sign_possession(claims: &PossessionClaims<'_>, time: u64, nonce: &[u8; 16], seed: &[u8; 32]) -> String {
    let payload = Value::object([
        ("args", encode(&claims.args_digest)),
        ("aud", Value::Text(claims.audience.to_owned())),
        ("block", Value::Text(claims.block.to_string())),
        ("iat", seconds(time)),
        ("nonce", encode(nonce)),
        ("tool", Value::Text(claims.tool.to_owned())),
    ]);
    seal(TAG, &payload, seed)
}

/// Checks a proof against the call at hand and the newest holder's key.
///
/// The caller remembers the returned [`Once`]; without that, the same proof is good for the same call for a minute.
///
/// # Errors
/// `PROOF_MALFORMED`, `JSON_NOT_CANONICAL`, `PROOF_SIGNATURE`, `PROOF_MISMATCH` or `PROOF_TIME`.
pub fn check_possession(text: &str, claims: &PossessionClaims<'_>, holder: &PublicKey, now: u64) -> Result<Once, Reason> {
    let proof = open(TAG, text)?;
    proof.members(&["args", "aud", "block", "iat", "nonce", "tool"])?;
    proof.signed_by(holder)?;
    let same = proof.text("block")? == claims.block.to_string()
        && proof.text("tool")? == claims.tool
        && proof.text("aud")? == claims.audience
        && proof.text("args")? == URL_SAFE_NO_PAD.encode(claims.args_digest);
    if !same {
        return Err(Reason::ProofMismatch);
    }
    let signed = proof.fresh(now)?;
    proof.once(holder, signed)
}

const TAG: &str = "narrows/possession/1";
