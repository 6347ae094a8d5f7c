//! Proof, in a token request, that the newest holder of a token wants the service to make a narrower one of it.
//!
//! Without it, whoever copied a token's bytes could have the service make a token of them that is bound to a key of their own.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Once, encode, open, seal, seconds};
use crate::{
    BlockId, PublicKey, Reason,
    json::{Key, Value},
};

/// What a holder's consent to a narrower token binds.
#[derive(Clone, Copy, Debug)]
pub struct NarrowClaims<'a> {
    /// The issuer's identifier.
    pub issuer: &'a str,
    /// The id of the client that sends the request.
    pub client: &'a str,
    /// The newest block of the token that is narrowed.
    pub block: BlockId,
    /// The RFC 7638 thumbprint of the key that the new token is to be bound to ([`super::dpop::thumbprint`]).
    pub new_holder: [u8; 32],
    /// What the request asks for ([`narrow_request_digest`]).
    pub request_digest: [u8; 32],
}

/// Signs the consent. `nonce` is fresh randomness, `time` seconds since the Unix epoch.
pub fn sign_narrow(claims: &NarrowClaims<'_>, time: u64, nonce: &[u8; 16], seed: &[u8; 32]) -> String {
    let payload = Value::object([
        ("aud", Value::Text(claims.issuer.to_owned())),
        ("block", Value::Text(claims.block.to_string())),
        ("client_id", Value::Text(claims.client.to_owned())),
        ("iat", seconds(time)),
        ("jkt", encode(&claims.new_holder)),
        ("nonce", encode(nonce)),
        ("request", encode(&claims.request_digest)),
    ]);
    seal(TAG, &payload, seed)
}

/// Checks the consent under the key of the token's newest holder.
///
/// # Errors
/// `PROOF_MALFORMED`, `JSON_NOT_CANONICAL`, `PROOF_SIGNATURE`, `PROOF_MISMATCH` or `PROOF_TIME`.
pub fn check_narrow(text: &str, claims: &NarrowClaims<'_>, holder: &PublicKey, now: u64) -> Result<Once, Reason> {
    let proof = open(TAG, text)?;
    proof.members(&["aud", "block", "client_id", "iat", "jkt", "nonce", "request"])?;
    proof.signed_by(holder)?;
    let same = proof.text("aud")? == claims.issuer
        && proof.text("block")? == claims.block.to_string()
        && proof.text("client_id")? == claims.client
        && proof.text("jkt")? == URL_SAFE_NO_PAD.encode(claims.new_holder)
        && proof.text("request")? == URL_SAFE_NO_PAD.encode(claims.request_digest);
    if !same {
        return Err(Reason::ProofMismatch);
    }
    let signed = proof.fresh(now)?;
    proof.once(holder, signed)
}

/// SHA-256 over what a token request asks for: the canonical JSON object of those of its parameters that stand in
/// [`NARROW_PARAMETERS`] and are not empty, each with the array of its values in the order in which they are sent.
pub fn narrow_request_digest<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> [u8; 32] {
    let mut asked = std::collections::BTreeMap::<Key, Vec<Value>>::new();
    for (name, value) in parameters {
        if NARROW_PARAMETERS.contains(&name) && !value.is_empty() {
            asked.entry(Key(name.to_owned())).or_default().push(Value::Text(value.to_owned()));
        }
    }
    Value::Object(asked.into_iter().map(|(name, values)| (name, Value::Array(values))).collect()).digest()
}

/// The parameters that say what is asked for, and of what. Left out are those that prove something themselves: the client's
/// credentials, which are another's than the holder's, and the new key, which [`NarrowClaims::new_holder`] names.
pub const NARROW_PARAMETERS: [&str; 11] = [
    "actor_token",
    "actor_token_type",
    "audience",
    "authorization_details",
    "expires_in",
    "grant_type",
    "requested_token_type",
    "resource",
    "scope",
    "subject_token",
    "subject_token_type",
];

const TAG: &str = "narrows/narrow/1";
