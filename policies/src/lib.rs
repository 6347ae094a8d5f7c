//! The decision: a policy pack says what may be minted.
//!
//! A pack is TOML with conditions in the typed Datalog profile. The crate is pure: it knows no bytes of tokens, storage,
//! network or clock. `docs/policy-guide.md` shows how a pack is written.

pub mod cases;
mod condition;
mod decide;
mod document;
mod pack;
mod request;

// The public interface is:
pub use condition::REQUEST_FACTS;
pub use decide::{Grant, PolicyRefusal};
pub use document::{MAX_TEXT as MAX_PACK_BYTES, PackError};
pub use pack::{MAX_LIFE_SECONDS, Pack, STARTER, STARTER_CASES};
pub use request::{Claim, MintRequest};

#[cfg(test)]
mod laws;
