//! The identifiers that tokens, proofs and leaves carry. Each has one spelling: lower-case hex of a fixed length.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};

macro_rules! hex_id {
    ($($(#[$meta:meta])* $name:ident: $length:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $length]);

        impl $name {
            /// The identifier with these bytes.
            pub const fn new(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The identifier in `bytes`, or `None` when their number is wrong.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Reads lower-case hex of exactly this length, or `None`.
            pub fn from_hex(text: &str) -> Option<Self> {
                crate::id::from_hex(text).map(Self)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_hex(&text).ok_or_else(|| D::Error::custom("not lower-case hex of the expected length"))
            }
        }
    )+};
}

hex_id! {
    /// Names one log entry; chosen at random before the token is signed, so that token and leaf name each other.
    EntryId: 16;
    /// Names one delegated task.
    TaskId: 16;
    /// Names the request that led to a leaf.
    TraceId: 16;
    /// Names one block of a token: the handle for revocation, parent links and receipts.
    BlockId: 32;
}

impl BlockId {
    /// The id of a block: SHA-256 over tag, parent's id, block bytes and the external key, if any.
    ///
    /// The next key and every signature are left out on purpose. Who holds the open parent can wrap a signed hop under
    /// another next key, and the twin must fall to the same revocation. `parent` is `None` for the authority block.
    pub fn of(parent: Option<BlockId>, block: &[u8], external_key: Option<&[u8; 32]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(BLOCK_ID_TAG);
        hash.update(parent.map_or([0; 32], |parent| parent.0));
        hash.update((block.len() as u64).to_be_bytes());
        hash.update(block);
        match external_key {
            Some(key) => {
                hash.update([1]);
                hash.update(key);
            }
            None => hash.update([0]),
        }
        Self(hash.finalize().into())
    }
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).filter_map(|nibble| char::from_digit(u32::from(nibble), 16)).collect()
}

pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

const BLOCK_ID_TAG: &[u8] = b"narrows/block/1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_spelling() {
        let id = EntryId::new([0xab; 16]);
        let text = id.to_string();
        assert_eq!(EntryId::from_hex(&text), Some(id));
        for other in [text.to_uppercase(), text.replacen("ab", "", 1), format!("{text}0"), "é".repeat(16), String::new()] {
            assert_eq!(EntryId::from_hex(&other), None, "{other}");
        }
    }

    #[test]
    fn block_id_tells_parent_bytes_and_signer_apart() {
        let base = BlockId::of(None, b"block", None);
        let others = [
            BlockId::of(Some(base), b"block", None),
            BlockId::of(None, b"blocks", None),
            BlockId::of(None, b"block", Some(&[0; 32])),
            BlockId::of(Some(BlockId([0; 32])), b"block", Some(&[1; 32])),
        ];
        for other in others {
            assert_ne!(base, other);
        }
    }
}
