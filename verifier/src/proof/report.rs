//! Proof that a reported hop comes from its delegator or its new holder, and not from a thief of the bytes.

use super::{Once, encode, open, seal, seconds};
use crate::{BlockId, PublicKey, Reason, json::Value};

/// What a report's proof binds.
#[derive(Clone, Copy, Debug)]
pub struct ReportClaims<'a> {
    /// The issuer's identifier.
    pub issuer: &'a str,
    /// The newest block of the reported token.
    pub block: BlockId,
}

/// Signs the proof for one report. `nonce` is fresh randomness, `time` seconds since the Unix epoch.
pub fn sign_report(claims: &ReportClaims<'_>, time: u64, nonce: &[u8; 16], seed: &[u8; 32]) -> String {
    sign_about(TAG, claims.issuer, claims.block, time, nonce, seed)
}

/// Checks the proof under either of two keys: the delegator's and the new holder's.
///
/// # Errors
/// `PROOF_MALFORMED`, `JSON_NOT_CANONICAL`, `PROOF_SIGNATURE`, `PROOF_MISMATCH` or `PROOF_TIME`.
pub fn check_report(text: &str, claims: &ReportClaims<'_>, signers: [&PublicKey; 2], now: u64) -> Result<Once, Reason> {
    check_about(TAG, text, (claims.issuer, claims.block), signers, now)
}

/// Signs a statement to an issuer about one block.
pub(super) fn sign_about(tag: &str, issuer: &str, block: BlockId, time: u64, nonce: &[u8; 16], seed: &[u8; 32]) -> String {
    let payload = Value::object([
        ("aud", Value::Text(issuer.to_owned())),
        ("block", Value::Text(block.to_string())),
        ("iat", seconds(time)),
        ("nonce", encode(nonce)),
    ]);
    seal(tag, &payload, seed)
}

/// Checks it under either of two keys.
pub(super) fn check_about(
    tag: &'static str,
    text: &str,
    (issuer, block): (&str, BlockId),
    signers: [&PublicKey; 2],
    now: u64,
) -> Result<Once, Reason> {
    let proof = open(tag, text)?;
    proof.members(&["aud", "block", "iat", "nonce"])?;
    let signer = signers.into_iter().find(|signer| proof.signed_by(signer).is_ok()).ok_or(Reason::ProofSignature)?;
    if proof.text("aud")? != issuer || proof.text("block")? != block.to_string() {
        return Err(Reason::ProofMismatch);
    }
    let signed = proof.fresh(now)?;
    proof.once(signer, signed)
}

const TAG: &str = "narrows/report/1";
