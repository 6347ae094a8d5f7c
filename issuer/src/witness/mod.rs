//! Witnesses: being one for other logs, and having one's own log witnessed.

mod ask;
mod config;
mod cosigner;
mod witnesses;

// The public interface is:
pub(crate) use config::MAX_WITNESSES;
pub use config::{Witness, WitnessMode};
pub use cosigner::{CosignError, Cosigner};
pub use witnesses::Witnesses;
