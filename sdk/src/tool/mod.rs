//! The guard of a tool: no call reaches the tool's body without a token, a proof and caveats that permit it.

mod answer;
mod challenge;
#[cfg(test)]
mod challenge_tests;
mod feed;
mod guard;
mod key;
mod layer;
mod manifest;
mod mcp;
#[cfg(test)]
mod mcp_tests;
mod possession;
mod presented;
#[cfg(test)]
mod receipt_tests;
mod receipts;
mod request;
mod resource;
#[cfg(test)]
mod trust_tests;
mod visit;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

pub use feed::RevocationFeed;
pub use guard::{Guard, GuardOptions, PermittedCall, Principal, Refused, Revocation};
pub use key::ToolKey;
pub use layer::{GuardLayer, Guarded};
pub use manifest::{DpopProofs, Manifest, ManifestError, Requires};
pub use narrows_verifier::log::{Policy, PolicyError, ReceiptDemand, VerifierKey};
pub use narrows_verifier::proof::Evidence;
pub use possession::Proof;
pub use receipts::Credentials;
pub use visit::PermittedMessage;

/// Tells the time in seconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The system's clock. A clock set before 1970 tells the end of time, at which every token has expired.
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs()))
}
