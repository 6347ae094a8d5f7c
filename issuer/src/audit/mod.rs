//! Reading the log: who may, what they ask, and the evidence that they get.

mod access;
mod approvals;
mod archive;
mod erasure;
mod index;
mod query;
mod reading;
mod record;
mod scan;
mod task;

// The public interface is:
pub use access::{Auditor, Auditors};
pub use archive::{Archive, Consistency, Head, LeafProof};
pub(crate) use erasure::{Erased, erase};
pub use index::{Index, Indexer};
pub use query::{Query, QueryError};
pub(crate) use record::{Reading, record};
pub use task::{Act, Hole, Missing, TaskRecord};
