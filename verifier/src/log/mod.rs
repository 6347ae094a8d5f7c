//! Merkle log: hashes, proofs, notes, tiles and receipts (C2SP), without I/O.
//!
//! Everything here reads hostile bytes: each function bounds its input before it works and answers with a reason.

mod bundle;
mod checkpoint;
mod commitment;
mod cosignature;
#[cfg(test)]
mod forked;
mod frontier;
mod hash;
mod kept;
mod kind;
mod leaf;
mod note;
mod policy;
mod receipt;
mod receipt_verifier;
mod receipts;
mod refusal;
mod retention;
mod selection;
mod spared;
mod split_view;
mod tile;
mod tree;
mod witness;

// The public interface is:
pub use crate::id::{BlockId, EntryId, TaskId, TraceId};
pub use bundle::{
    Bundle, BundleEntry, BundleRefusal, LoggedRetention, MAX_BUNDLE_BYTES, MAX_BUNDLE_ENTRIES, VerifiedBundle, VerifiedEntry, packs_of,
};
pub use checkpoint::{Checkpoint, verify_checkpoint};
pub use commitment::{Commitment, Disclosure, Salt, commit};
pub use cosignature::{Cosignature, WitnessKey, cosign, cosignatures, own_cosignature};
pub use frontier::{Frontier, MAX_TREE_SIZE, Node, OutOfRange};
pub use hash::{Hash, leaf_hash, node_hash};
pub use kept::Kept;
pub use kind::{Kind, KindSpec, Presence};
pub use leaf::{Leaf, MAX_LEAF_BYTES, PackDigest, Plane, Point, Verdict};
pub use note::{MAX_NOTE_BYTES, MAX_SIGNATURES, Note, VerifierKey, key_id, signature_line};
pub use policy::{Policy, PolicyError, Shortfall};
pub use receipt::{MAX_RECEIPT_BYTES, Receipt, VerifiedReceipt, verify, verify_for_token};
pub use receipt_verifier::ReceiptVerifier;
pub use receipts::{MAX_RECEIPTS_BYTES, PresentedReceipt, ReceiptDemand, check_receipts, read_receipts, write_receipts};
pub use refusal::LogRefusal;
pub use retention::{OTHER_KINDS, Retention};
pub use selection::{NameField, Selection, names};
pub use spared::{admit_spared, verify_spared};
pub use split_view::{Comparison, SplitView, compare};
pub use tile::{TILE_WIDTH, TileKind, TilePath, decode_entries, decode_tile, encode_entries, encode_tile};
pub use tree::{consistency_proof, inclusion_proof, prefix_path, prefix_root, root, verify_consistency, verify_inclusion};
pub use witness::{AddCheckpoint, Cosigned, MAX_REQUEST_BYTES, SIZE_CONTENT_TYPE, Submitted, WitnessAnswer, WitnessRefusal};
