//! The holder's side of a session: ask, check what was granted, prove each call.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    ACCEPT, LIMITS, MAX_SESSION_SECONDS, MAX_STATEMENT, OPEN, OpenClaims, OpenRandomness, SessionProof, check_tools,
    key::{self, SessionKey},
    read_tools, write_tools,
};
use crate::{
    BlockId, PublicKey, Reason,
    json::Value,
    proof::{PossessionClaims, encode, open_within, seal, seconds},
};

/// A session that the holder has asked for and nobody has granted yet.
pub struct Opening {
    text: String,
    block: BlockId,
    audience: String,
    tools: BTreeSet<String>,
    expires: u64,
    ephemeral: Zeroizing<[u8; 32]>,
}

/// A session as the holder has it.
///
/// Counters rise with each proof and the tool takes only rising ones, so calls of one session are sent one after the
/// other; who wants to send at the same time opens several sessions.
pub struct HolderSession {
    pub(super) id: [u8; 16],
    pub(super) key: SessionKey,
    block: BlockId,
    audience: String,
    tools: BTreeSet<String>,
    expires: u64,
    /// The last counter given out; shared by all threads that prove calls.
    pub(super) last: AtomicU64,
}

/// Signs the opening of a session. `time` is in seconds since the Unix epoch.
///
/// # Errors
/// `SESSION_MALFORMED` for no tool, more than 64 or a name over 128 bytes, `SESSION_LIFETIME` for more than an hour,
/// `SESSION_EXPIRED` for none at all.
pub fn sign_session_open(claims: &OpenClaims<'_>, time: u64, random: &OpenRandomness, seed: &[u8; 32]) -> Result<Opening, Reason> {
    check_tools(claims.tools)?;
    if claims.expires > time.saturating_add(MAX_SESSION_SECONDS) {
        return Err(Reason::SessionLifetime);
    }
    if claims.expires <= time {
        return Err(Reason::SessionExpired);
    }
    let payload = Value::object([
        ("aud", Value::Text(claims.audience.to_owned())),
        ("block", Value::Text(claims.block.to_string())),
        ("exp", seconds(claims.expires)),
        ("iat", seconds(time)),
        ("key", encode(&key::public(&random.ephemeral))),
        ("nonce", encode(&random.nonce)),
        ("tools", write_tools(claims.tools)),
    ]);
    Ok(Opening {
        text: seal(OPEN, &payload, seed),
        block: claims.block,
        audience: claims.audience.to_owned(),
        tools: claims.tools.clone(),
        expires: claims.expires,
        ephemeral: random.ephemeral.clone(),
    })
}

impl Opening {
    /// The signed statement, for the tool.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks the tool's answer under the key that the holder has pinned for it.
    ///
    /// # Errors
    /// `PROOF_MALFORMED`, `JSON_NOT_CANONICAL`, `SESSION_ACCEPT_SIGNATURE`; `PROOF_MISMATCH` for the answer to another
    /// opening; `SESSION_MALFORMED`; `SESSION_TOOL` or `SESSION_LIFETIME` for more than was asked, `SESSION_EXPIRED`,
    /// `SESSION_KEY`.
    pub fn accepted(self, accept: &str, tool: &PublicKey, now: u64) -> Result<HolderSession, Reason> {
        let statement = open_within(ACCEPT, accept, MAX_STATEMENT, LIMITS)?;
        statement.members(&["exp", "key", "open", "session", "tools"])?;
        statement.signed_by(tool).map_err(|_| Reason::SessionAcceptSignature)?;
        if statement.text("open")? != URL_SAFE_NO_PAD.encode(Sha256::digest(&self.text)) {
            return Err(Reason::ProofMismatch);
        }
        let tools = read_tools(&statement)?;
        if !tools.is_subset(&self.tools) {
            return Err(Reason::SessionTool);
        }
        let expires = statement.time("exp")?;
        if expires > self.expires {
            return Err(Reason::SessionLifetime);
        }
        if expires <= now {
            return Err(Reason::SessionExpired);
        }
        let key = SessionKey::agree(&self.ephemeral, statement.bytes("key")?, &self.text, accept)?;
        let id = statement.bytes("session")?;
        Ok(HolderSession { id, key, block: self.block, audience: self.audience, tools, expires, last: AtomicU64::new(0) })
    }
}

impl HolderSession {
    /// The tools that the session is for.
    pub fn tools(&self) -> &BTreeSet<String> {
        &self.tools
    }

    /// Seconds since the Unix epoch from which on the session is over.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The block under which the session was opened; a token narrowed since then needs a session of its own.
    pub fn block(&self) -> BlockId {
        self.block
    }

    /// The audience that the session is for.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Proves one call, under the next counter.
    ///
    /// # Errors
    /// `SESSION_TOOL`, `SESSION_EXPIRED`; `SESSION_COUNTER` after 2^64-1 calls.
    pub fn prove(&self, tool: &str, args_digest: [u8; 32], now: u64) -> Result<SessionProof, Reason> {
        if !self.tools.contains(tool) {
            return Err(Reason::SessionTool);
        }
        if now >= self.expires {
            return Err(Reason::SessionExpired);
        }
        let next = |last: u64| last.checked_add(1);
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).map_err(|_| Reason::SessionCounter)?;
        let call = PossessionClaims { block: self.block, tool, args_digest, audience: &self.audience };
        Ok(SessionProof::sign(&self.key, self.id, last.saturating_add(1), &call))
    }
}
