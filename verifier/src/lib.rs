//! The trusted centre of Narrows: token profile, typed caveats, offline verification and log proofs.
//!
//! The crate is pure. It knows no clock, network, disk, policy or private key of the issuer: time, randomness and keys
//! are arguments, and bounded caches are values that the caller owns.

pub mod biscuit;
mod cache;
mod call;
pub mod caveat;
pub mod datalog;
mod decide;
mod effective;
mod explain;
mod id;
pub mod json;
mod key;
pub mod log;
pub mod proof;
mod reason;
mod refusal;
pub mod revocation;
mod roots;
mod state;
mod steps;
mod token;
mod verifier;

// The public interface is:
pub use call::Call;
pub use caveat::Caveat;
pub use decide::{Denial, Failure};
pub use effective::Effective;
pub use explain::{Explanation, Withheld};
pub use id::{BlockId, EntryId, TaskId, TraceId};
pub use key::{PublicKey, public_key};
pub use reason::Reason;
pub use refusal::Refusal;
pub use roots::{RootKey, RootState, Roots};
pub use state::{Needs, State};
pub use steps::MAX_STEPS;
pub use token::{
    Authority, Block, EarlierActor, Holder, Maker, PROFILE, Principal, Role, UnverifiedToken, VerifiedToken, Word, token_bytes, token_text,
};
pub use verifier::Verifier;
