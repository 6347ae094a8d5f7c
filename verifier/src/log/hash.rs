//! The two hashes of RFC 6962, section 2.1, over SHA-256.

use core::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::id::to_hex;

/// A SHA-256 value in the tree: of a leaf, of an inner node, or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The root of the tree without leaves: SHA-256 of nothing.
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
        0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// The hash with these bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash in `bytes`, or `None` unless they are exactly 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The hash as standard base64 with padding, as checkpoints and proofs write it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads standard base64 of exactly 32 bytes; `None` for anything else, other spellings of the same bytes included.
    pub fn from_base64(text: &str) -> Option<Self> {
        // 44 characters are 32 bytes: longer text is refused before it is decoded.
        if text.len() != 44 {
            return None;
        }
        Self::from_slice(&STANDARD.decode(text).ok()?)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&to_hex(&self.0))
    }
}

/// Hash of a leaf: SHA-256(0x00 ‖ bytes). The prefix keeps a leaf that looks like two child hashes from passing as an inner node.
pub fn leaf_hash(bytes: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0x00]).chain_update(bytes).finalize().into())
}

/// Hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([0x01]).chain_update(left.0).chain_update(right.0).finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_shaped_like_a_node_hashes_differently() {
        let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
        let forged: Vec<u8> = [&[0x01][..], left.as_bytes(), right.as_bytes()].concat();
        assert_ne!(leaf_hash(&forged), node_hash(&left, &right));
        assert_ne!(leaf_hash(forged.get(1..).unwrap()), node_hash(&left, &right));
    }

    #[test]
    fn base64_has_one_spelling() {
        let hash = leaf_hash(b"x");
        let text = hash.to_base64();
        assert_eq!(Hash::from_base64(&text), Some(hash));
        for other in [text.trim_end_matches('=').to_owned(), format!("{text}\n"), text.replace('=', "A"), String::new()] {
            assert_eq!(Hash::from_base64(&other), None);
        }
        assert_eq!(Hash::EMPTY_ROOT, Hash(Sha256::digest(b"").into()));
    }
}
