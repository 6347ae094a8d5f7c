#![doc = include_str!("../README.md")]

mod admin;
mod agent;
mod auditor;
mod bearer;
mod http;
mod inspect;
mod issuer;
mod key;
pub mod tool;
mod tool_client;

#[cfg(test)]
mod tests;

use narrows_verifier::json::{Limits, parse};

/// Reads a JSON array of caveats.
///
/// # Errors
/// A reason of the JSON reader, `CAVEAT_MALFORMED` or `CAVEAT_NAMES_NO_TOOL`.
pub fn caveats(text: &str) -> Result<Vec<Caveat>, Reason> {
    caveat::parse_list(&parse(text.as_bytes(), Limits::CAVEATS)?)
}

/// Reads the arguments of a call: JSON with exactly one reading.
///
/// # Errors
/// A reason of the JSON reader.
pub fn arguments(text: &str) -> Result<json::Value, Reason> {
    parse(text.as_bytes(), Limits::ARGUMENTS)
}

// The public interface is:
pub use self::admin::AdminClient;
pub use self::agent::{Held, NarrowRequest, Narrowed, Presentation, ProofKind, Report, SessionOpening};
pub use self::auditor::{AuditError, AuditorClient, LeafPlace, LogHead, LogReading, Question};
pub use self::bearer::BearerToken;
pub use self::http::TransportError;
pub use self::inspect::{explain, inspect};
pub use self::issuer::{
    ACCESS_TOKEN, ClientAuthentication, ExchangeAnswer, ExchangeRequest, ID_TOKEN, IssuerClient, IssuerError, IssuerKeys, IssuerRefusal,
    Recorded, Revoke,
};
pub use self::key::{HolderKey, KeyError};
pub use self::tool_client::{CallError, CallRefusal, ToolClient};
pub use narrows_verifier::{
    BlockId, Call, Caveat, Denial, EntryId, Failure, Holder, PublicKey, Reason, Refusal, RootKey, RootState, Roots, TaskId,
    UnverifiedToken, VerifiedToken, caveat, json, proof::session::HolderSession, revocation,
};
