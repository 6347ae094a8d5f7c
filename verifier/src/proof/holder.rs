//! Proof, in a token request, that the agent holds the key that it asks to have its token bound to.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Once, encode, open, seal, seconds};
use crate::{PublicKey, Reason, json::Value};

/// What a holder's proof binds.
#[derive(Clone, Copy, Debug)]
pub struct HolderClaims<'a> {
    /// The issuer's identifier.
    pub issuer: &'a str,
    /// The authenticated client's id.
    pub client: &'a str,
    /// SHA-256 over the subject token as sent.
    pub subject_digest: [u8; 32],
}

/// Signs the proof for one token request. `nonce` is fresh randomness, `time` seconds since the Unix epoch.
pub fn sign_holder(claims: &HolderClaims<'_>, time: u64, nonce: &[u8; 16], seed: &[u8; 32]) -> String {
    let payload = Value::object([
        ("aud", Value::Text(claims.issuer.to_owned())),
        ("client_id", Value::Text(claims.client.to_owned())),
        ("iat", seconds(time)),
        ("nonce", encode(nonce)),
        ("subject", encode(&claims.subject_digest)),
    ]);
    seal(TAG, &payload, seed)
}

/// Checks the proof under the key that the request names.
///
/// # Errors
/// `PROOF_MALFORMED`, `JSON_NOT_CANONICAL`, `PROOF_SIGNATURE`, `PROOF_MISMATCH` or `PROOF_TIME`.
pub fn check_holder(text: &str, claims: &HolderClaims<'_>, holder: &PublicKey, now: u64) -> Result<Once, Reason> {
    let proof = open(TAG, text)?;
    proof.members(&["aud", "client_id", "iat", "nonce", "subject"])?;
    proof.signed_by(holder)?;
    let same = proof.text("aud")? == claims.issuer
        && proof.text("client_id")? == claims.client
        && proof.text("subject")? == URL_SAFE_NO_PAD.encode(claims.subject_digest);
    if !same {
        return Err(Reason::ProofMismatch);
    }
    let signed = proof.fresh(now)?;
    proof.once(holder, signed)
}

const TAG: &str = "narrows/holder/1";
