//! The tool's side of a session: grant it, and decide on each call's proof.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{
    ACCEPT, SessionProof, SessionRequest, check_tools,
    key::{self, SessionKey},
    write_tools,
};
use crate::{
    BlockId, Reason,
    json::Value,
    proof::{Evidence, PossessionClaims, encode, seal, seconds},
};

/// What a tool grants of a request, with fresh randomness.
pub struct SessionGrant {
    /// Some of the tools that were asked for; only such whose effects can be undone.
    pub tools: BTreeSet<String>,
    /// Seconds since the Unix epoch from which on the session is over; not after the end that was asked for.
    pub expires: u64,
    /// Names the session.
    pub id: [u8; 16],
    /// The secret of the X25519 ephemeral.
    pub ephemeral: Zeroizing<[u8; 32]>,
}

/// A session as the tool has it.
///
/// It holds for one block, one audience and a few tools, until it ends. It says that the holder asked for a call; what the
/// token's caveats say of the call is another question, asked each time.
pub struct Session {
    pub(super) id: [u8; 16],
    key: SessionKey,
    block: BlockId,
    audience: String,
    tools: BTreeSet<String>,
    pub(super) expires: u64,
    /// The highest counter accepted. Atomic, so that threads share a session without a lock.
    last: AtomicU64,
}

impl SessionRequest {
    /// Signs what is granted with the tool's own key, and gives the statement for the holder and the session to keep.
    ///
    /// # Errors
    /// `SESSION_TOOL` or `SESSION_LIFETIME` for more than was asked, `SESSION_MALFORMED` for no tool, `SESSION_KEY` when
    /// the holder's ephemeral is of small order.
    pub fn accept(&self, grant: SessionGrant, tool_seed: &[u8; 32]) -> Result<(String, Session), Reason> {
        check_tools(&grant.tools)?;
        if !grant.tools.is_subset(&self.tools) {
            return Err(Reason::SessionTool);
        }
        if grant.expires > self.expires {
            return Err(Reason::SessionLifetime);
        }
        let payload = Value::object([
            ("exp", seconds(grant.expires)),
            ("key", encode(&key::public(&grant.ephemeral))),
            ("open", encode(&Sha256::digest(&self.text))),
            ("session", encode(&grant.id)),
            ("tools", write_tools(&grant.tools)),
        ]);
        let accept = seal(ACCEPT, &payload, tool_seed);
        let session = Session {
            id: grant.id,
            key: SessionKey::agree(&grant.ephemeral, self.ephemeral, &self.text, &accept)?,
            block: self.block,
            audience: self.audience.clone(),
            tools: grant.tools,
            expires: grant.expires,
            last: AtomicU64::new(0),
        };
        Ok((accept, session))
    }
}

impl Session {
    /// Decides whether the holder asks for this very call, and uses the proof up. Allocates nothing.
    ///
    /// The counter is taken as soon as the MAC is right, also when the token then doesn't permit the call: a refused call
    /// can't be sent again later, when a time window has opened.
    ///
    /// # Errors
    /// `SESSION_UNKNOWN` for a proof of another session, `SESSION_EXPIRED`, `PROOF_MISMATCH` for another block or
    /// audience, `SESSION_TOOL`, `SESSION_MAC`, `SESSION_COUNTER`.
    pub fn accepts(&self, proof: &SessionProof, call: &PossessionClaims<'_>, now: u64) -> Result<Evidence, Reason> {
        if proof.session != self.id {
            return Err(Reason::SessionUnknown);
        }
        if now >= self.expires {
            return Err(Reason::SessionExpired);
        }
        if call.block != self.block || call.audience != self.audience {
            return Err(Reason::ProofMismatch);
        }
        if !self.tools.contains(call.tool) {
            return Err(Reason::SessionTool);
        }
        if !self.key.verifies(&self.id, proof.counter, call, &proof.mac) {
            return Err(Reason::SessionMac);
        }
        // one step, so that of two threads with one counter exactly one sees a lower value before
        if self.last.fetch_max(proof.counter, Ordering::AcqRel) >= proof.counter {
            return Err(Reason::SessionCounter);
        }
        Ok(Evidence::ToolWord)
    }
}
