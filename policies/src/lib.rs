//! The decision: a policy pack says what may be minted.
//!
//! A pack is TOML with conditions in the typed Datalog profile. The crate is pure: it knows no bytes of tokens, storage,
//! network or clock. `docs/policy-guide.md` shows how a pack is written.

pub mod cases;
mod ceiling;
mod condition;
mod decide;
mod document;
mod pack;
mod request;
mod scope;
mod tools;

// The public interface is:
pub use ceiling::{Ceiling, Whose};
pub use condition::REQUEST_FACTS;
pub use decide::{Grant, PolicyRefusal};
pub use document::{MAX_TEXT as MAX_PACK_BYTES, PackError};
pub use pack::{MAX_LIFE_SECONDS, Pack, STARTER, STARTER_CASES};
pub use request::{Actor, Claim, GrantType, MintRequest, RequestedType};
pub use scope::parse_scopes;

#[cfg(test)]
mod laws;
