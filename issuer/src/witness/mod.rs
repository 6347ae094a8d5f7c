//! Witnesses: being one for other logs, and having one's own log witnessed.

mod cosigner;

// The public interface is:
pub use cosigner::{CosignError, Cosigner};
