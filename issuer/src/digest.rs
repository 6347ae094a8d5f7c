//! One digest for several texts, which no other list of texts has.

use sha2::{Digest, Sha256};

/// SHA-256 over the parts, each behind its length. The first names what the digest is for.
pub(crate) fn of_parts(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
