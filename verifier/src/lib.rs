//! The trusted centre of Narrows: token profile, typed caveats, offline verification and log proofs.
//!
//! The crate is pure. It knows no clock, network, disk, policy or private key of the issuer: time, randomness and keys
//! are arguments, and bounded caches are values that the caller owns.

pub mod json;
pub mod log;
mod reason;

// The public interface is:
pub use reason::Reason;
