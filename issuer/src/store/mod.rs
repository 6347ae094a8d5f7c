//! What the issuer keeps on disk. Only the files named `sqlite*` know SQL.

mod error;
mod identity;
mod sqlite;
mod sqlite_batch;
mod sqlite_clients;
mod sqlite_cosignatures;
mod sqlite_index;
mod sqlite_keys;
mod sqlite_pauses;
mod sqlite_revocations;
mod sqlite_rows;
mod sqlite_subjects;
#[cfg(test)]
pub(crate) mod sqlite_tamper;
mod sqlite_witness;

pub(crate) use error::StoreError;
pub(crate) use sqlite::{Database, Readers, Snapshot};
pub(crate) use sqlite_batch::Batch;
pub use sqlite_clients::ListedTask;
pub(crate) use sqlite_cosignatures::{Cosignatures, CosignedNote};
pub(crate) use sqlite_index::{IndexFile, Term};
pub use sqlite_keys::KeyRow;
pub(crate) use sqlite_keys::state_from_name;
pub use sqlite_revocations::MintedRow;
pub(crate) use sqlite_revocations::RevocationRow;
pub(crate) use sqlite_rows::{Head, RetentionRow, Rows, StoredCheckpoint, StoredLeaf, TaskRow, is_readable, is_stored};
pub use sqlite_subjects::Pseudonym;
pub(crate) use sqlite_subjects::{NOBODY, Unsealed};
pub(crate) use sqlite_witness::{CosignedRow, WitnessState};
