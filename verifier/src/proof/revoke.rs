//! Proof that whoever wants a hop to end is its holder, or the one who handed it on.

use super::{
    Once,
    report::{check_about, sign_about},
};
use crate::{BlockId, PublicKey, Reason};

/// What the proof of a revocation binds.
#[derive(Clone, Copy, Debug)]
pub struct RevokeClaims<'a> {
    /// The issuer's identifier.
    pub issuer: &'a str,
    /// The block that is to be revoked: the newest authority block or hop of the token.
    pub block: BlockId,
}

/// Signs the proof for one revocation. `nonce` is fresh randomness, `time` seconds since the Unix epoch.
pub fn sign_revoke(claims: &RevokeClaims<'_>, time: u64, nonce: &[u8; 16], seed: &[u8; 32]) -> String {
    sign_about(TAG, claims.issuer, claims.block, time, nonce, seed)
}

/// Checks the proof under either of two keys: the delegator's and the holder's.
///
/// # Errors
/// `PROOF_MALFORMED`, `JSON_NOT_CANONICAL`, `PROOF_SIGNATURE`, `PROOF_MISMATCH` or `PROOF_TIME`.
pub fn check_revoke(text: &str, claims: &RevokeClaims<'_>, signers: [&PublicKey; 2], now: u64) -> Result<Once, Reason> {
    check_about(TAG, text, (claims.issuer, claims.block), signers, now)
}

const TAG: &str = "narrows/revoke/1";
