//! The opening of a session, as it is signed and as the tool checks it.

use std::collections::BTreeSet;

use super::{LIMITS, MAX_SESSION_SECONDS, MAX_STATEMENT, OPEN, read_tools};
use crate::{
    BlockId, PublicKey, Reason,
    proof::{Once, open_within},
};

/// What a holder asks for.
#[derive(Clone, Copy, Debug)]
pub struct OpenClaims<'a> {
    /// The newest block of the token under which the calls are to be made.
    pub block: BlockId,
    /// The audience that is to decide.
    pub audience: &'a str,
    /// The exact names of 1 to 64 tools.
    pub tools: &'a BTreeSet<String>,
    /// Seconds since the Unix epoch from which on the session is over: an hour after the opening at most.
    pub expires: u64,
}

/// Fresh randomness for one opening. Used twice, it makes two sessions of which each betrays the other.
pub struct OpenRandomness {
    /// Makes the opening unique.
    pub nonce: [u8; 16],
    /// The secret of the X25519 ephemeral.
    pub ephemeral: zeroize::Zeroizing<[u8; 32]>,
}

/// An opening whose signature, audience, block and time are right. Nothing has been granted.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    pub(super) block: BlockId,
    pub(super) audience: String,
    pub(super) tools: BTreeSet<String>,
    pub(super) expires: u64,
    pub(super) ephemeral: [u8; 32],
    pub(super) text: String,
}

/// Checks an opening under the newest holder's key, for the token at hand.
///
/// The caller remembers the returned [`Once`] as for any proof, so that an opening makes one session.
///
/// # Errors
/// `PROOF_MALFORMED`, `JSON_NOT_CANONICAL`, `PROOF_SIGNATURE`, `PROOF_MISMATCH`, `PROOF_TIME`, `SESSION_MALFORMED`,
/// `SESSION_LIFETIME` or `SESSION_EXPIRED`.
pub fn check_session_open(
    text: &str,
    block: BlockId,
    audience: &str,
    holder: &PublicKey,
    now: u64,
) -> Result<(SessionRequest, Once), Reason> {
    let statement = open_within(OPEN, text, MAX_STATEMENT, LIMITS)?;
    statement.members(&["aud", "block", "exp", "iat", "key", "nonce", "tools"])?;
    statement.signed_by(holder)?;
    if statement.text("aud")? != audience || statement.text("block")? != block.to_string() {
        return Err(Reason::ProofMismatch);
    }
    let signed = statement.fresh(now)?;
    let expires = statement.time("exp")?;
    if expires > signed.saturating_add(MAX_SESSION_SECONDS) {
        return Err(Reason::SessionLifetime);
    }
    if expires <= now {
        return Err(Reason::SessionExpired);
    }
    let tools = read_tools(&statement)?;
    let ephemeral = statement.bytes("key")?;
    let once = statement.once(holder, signed)?;
    let audience = audience.to_owned();
    Ok((SessionRequest { block, audience, tools, expires, ephemeral, text: text.to_owned() }, once))
}

impl SessionRequest {
    /// The tools that the holder asks for.
    pub fn tools(&self) -> &BTreeSet<String> {
        &self.tools
    }

    /// The end that the holder asks for, in seconds since the Unix epoch.
    pub fn expires(&self) -> u64 {
        self.expires
    }
}
