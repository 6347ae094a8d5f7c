//! Retention: what is old enough under a stated policy goes, and each step of it is a leaf first.
//!
//! Two things go. Leaves are pruned as C2SP tlog-tiles has it: below the minimum index they are not handed out, and where the
//! policy says so their bytes are deleted, while hashes and checkpoints stay. Disclosures expire, each kind of leaf at an age of
//! its own. Both are one transaction with the leaf that says so, so that a crash leaves all of a step or nothing.

mod apply;
mod job;
mod offline;
mod policy;
mod step;

pub(crate) use apply::stated;
pub(super) use apply::{Bound, Work};
pub use job::Retainer;
pub use offline::{Retained, planned, retain};
pub use policy::RetentionPolicy;
pub(crate) use step::expiring;
