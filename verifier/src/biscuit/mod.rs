//! The one place that touches Biscuit: its protobuf schema, its signature payloads and its builders.
//!
//! Verification works on the protobuf messages with our own guard and chain verifier; `Biscuit::from` is the oracle of
//! the tests. Hops and plain blocks are built by the library; an authority block is written here, and the tests hold it against the
//! library's bytes, so what we mint is a Biscuit by its own definition.

mod block;
mod build;
mod chain;
mod content;
mod encode;
mod guard;
mod mint;
mod text;
mod wire;

pub use block::Dialect;
pub(crate) use block::{Body, Symbols};
pub use build::{AuthorityClaims, HopClaims, append_hop, append_plain, authority_block, seal};
pub(crate) use chain::{Link, verify_chain};
pub(crate) use guard::{Envelope, KnownKeys, SignedBlock, frame, guard};
pub use mint::{Minted, mint};
pub use text::parse_check;
