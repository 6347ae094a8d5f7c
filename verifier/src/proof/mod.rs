//! Proofs by holders: small signed statements, each kind behind a domain tag of its own.
//!
//! A statement travels as `base64url(payload) "." base64url(signature)`. The payload is canonical JSON (RFC 8785); the
//! signature is Ed25519 over `tag ‖ 0x00 ‖ length of the payload as u64 big-endian ‖ payload`. A holder's key also signs
//! hops, whose payload starts with `\0EXTERNAL`; no tag starts with a zero byte, so neither can be read as the other.
//!
//! [`session`] makes one exchange of statements stand for many calls, [`dpop`] reads RFC 9449 proofs instead of our own
//! statements, and [`mcp`] says where token and proof lie in an MCP request.

pub mod dpop;
mod holder;
pub mod mcp;
mod narrow;
mod possession;
mod replay;
mod report;
mod revoke;
pub mod session;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    PublicKey, Reason,
    json::{Key, Limits, Value, parse},
    key::sign,
};

pub use holder::{HolderClaims, check_holder, sign_holder};
pub use narrow::{NARROW_PARAMETERS, NarrowClaims, check_narrow, narrow_request_digest, sign_narrow};
pub use possession::{PossessionClaims, check_possession, sign_possession};
pub use replay::ReplayCache;
pub use report::{ReportClaims, check_report, sign_report};
pub use revoke::{RevokeClaims, check_revoke, sign_revoke};

/// How long a proof is accepted, in seconds.
pub const MAX_AGE_SECONDS: u64 = 60;

/// How far in the future a proof's time may lie, in seconds.
pub const MAX_AHEAD_SECONDS: u64 = 10;

/// What every accepted proof gives the caller to remember, so that it is accepted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Unique to this proof and its signer.
    pub key: [u8; 32],
    /// Seconds since the Unix epoch after which the proof is refused for its age anyway.
    pub forget_after: u64,
}

/// Whose word it is, once the call is over, that the holder asked for this very call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The holder's own: its signature covers tool, arguments and audience, and anyone with its public key can check it.
    Holder,
    /// The tool's: it knows that the holder asked, but could have made the same proof itself, or chosen the arguments.
    ToolWord,
    /// Nobody's: the token is bound to no key, and all that is known is that somebody had it.
    Nobody,
}

/// Signs a payload under a tag.
fn seal(tag: &str, payload: &Value, seed: &[u8; 32]) -> String {
    let payload = payload.canonical();
    let signature = sign(seed, &message(tag, payload.as_bytes()));
    format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(signature))
}

/// A statement whose form is right and whose signature is still to be checked.
struct Unverified {
    payload: Vec<u8>,
    signature: [u8; 64],
    value: Value,
    tag: &'static str,
}

fn open(tag: &'static str, text: &str) -> Result<Unverified, Reason> {
    open_within(tag, text, MAX_TEXT, Limits::SIGNED)
}

fn open_within(tag: &'static str, text: &str, longest: usize, limits: Limits) -> Result<Unverified, Reason> {
    if text.len() > longest {
        return Err(Reason::ProofMalformed);
    }
    let (payload, signature) = text.split_once('.').ok_or(Reason::ProofMalformed)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| Reason::ProofMalformed);
    let payload = decode(payload)?;
    let signature = decode(signature)?.try_into().map_err(|_| Reason::ProofMalformed)?;
    let value = parse(&payload, limits).map_err(|_| Reason::ProofMalformed)?;
    if value.canonical().as_bytes() != payload {
        return Err(Reason::JsonNotCanonical);
    }
    Ok(Unverified { payload, signature, value, tag })
}

impl Unverified {
    fn signed_by(&self, key: &PublicKey) -> Result<(), Reason> {
        if key.verifies(&message(self.tag, &self.payload), &self.signature) { Ok(()) } else { Err(Reason::ProofSignature) }
    }

    /// Exactly these members; a member that is not understood may have been meant to restrict.
    fn members(&self, names: &[&str]) -> Result<(), Reason> {
        let members = self.value.as_object().ok_or(Reason::ProofMalformed)?;
        let exact = members.len() == names.len() && names.iter().all(|name| members.contains_key(&Key((*name).to_owned())));
        if exact { Ok(()) } else { Err(Reason::ProofMalformed) }
    }

    fn member(&self, name: &str) -> Result<&Value, Reason> {
        self.value.as_object().and_then(|members| members.get(&Key(name.to_owned()))).ok_or(Reason::ProofMalformed)
    }

    fn text(&self, name: &str) -> Result<&str, Reason> {
        self.member(name)?.as_text().ok_or(Reason::ProofMalformed)
    }

    /// A time in seconds since the Unix epoch.
    fn time(&self, name: &str) -> Result<u64, Reason> {
        let Value::Integer(time) = self.member(name)? else { return Err(Reason::ProofMalformed) };
        u64::try_from(*time).map_err(|_| Reason::ProofTime)
    }

    /// A member of exactly `N` bytes in base64url.
    fn bytes<const N: usize>(&self, name: &str) -> Result<[u8; N], Reason> {
        let bytes = URL_SAFE_NO_PAD.decode(self.text(name)?).map_err(|_| Reason::ProofMalformed)?;
        bytes.try_into().map_err(|_| Reason::ProofMalformed)
    }

    /// The signing time, which must lie within the window around `now`.
    fn fresh(&self, now: u64) -> Result<u64, Reason> {
        within_window(self.time("iat")?, now)
    }

    fn once(&self, signer: &PublicKey, signed: u64) -> Result<Once, Reason> {
        self.bytes::<NONCE_BYTES>("nonce")?;
        Ok(once(self.tag, signer, self.text("nonce")?, signed))
    }
}

fn within_window(signed: u64, now: u64) -> Result<u64, Reason> {
    let window = now.saturating_sub(MAX_AGE_SECONDS)..=now.saturating_add(MAX_AHEAD_SECONDS);
    if window.contains(&signed) { Ok(signed) } else { Err(Reason::ProofTime) }
}

/// What remembers a proof: its kind, its signer, and the text that is unique among the signer's proofs of that kind.
fn once(tag: &str, signer: &PublicKey, nonce: &str, signed: u64) -> Once {
    Once { key: remembered(tag, signer.as_bytes(), nonce), forget_after: signed.saturating_add(MAX_AGE_SECONDS) }
}

fn remembered(tag: &str, signer: &[u8], unique: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [tag.as_bytes(), signer, unique.as_bytes()] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

pub(crate) fn message(tag: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(tag.len() + 9 + payload.len());
    message.extend(tag.as_bytes());
    message.push(0);
    message.extend((payload.len() as u64).to_be_bytes());
    message.extend(payload);
    message
}

fn encode(bytes: &[u8]) -> Value {
    Value::Text(URL_SAFE_NO_PAD.encode(bytes))
}

fn seconds(time: u64) -> Value {
    Value::Integer(i64::try_from(time).unwrap_or(i64::MAX))
}

const MAX_TEXT: usize = 8 * 1024;
const NONCE_BYTES: usize = 16;

#[cfg(test)]
mod tests;
