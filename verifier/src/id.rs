//! Identifiers that travel as lower-case hex.

use core::fmt;

use sha2::{Digest, Sha256};

macro_rules! hex_id {
    ($(#[$meta:meta])* $name:ident, $bytes:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Reads the lower-case hex form; `None` when it is not exactly that.
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; $bytes];
                read_hex(text, &mut bytes).then_some(Self(bytes))
            }

            /// Takes a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }
    };
}

hex_id!(
    /// Names a block by what its maker signed: the handle for revocation, parent links and receipts.
    BlockId, 32
);
hex_id!(
    /// Names a leaf of the log and the block that it records; chosen at random before signing, so equal blocks differ.
    EntryId, 16
);
hex_id!(
    /// Names one delegated piece of work; state, budgets and cascade revocation hang on it.
    TaskId, 16
);

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

fn read_hex(text: &str, out: &mut [u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == out.len() * 2
        && bytes.chunks_exact(2).zip(out).all(|(pair, out)| match pair {
            [high, low] => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => {
                    *out = high << 4 | low;
                    true
                }
                _ => false,
            },
            _ => false,
        })
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
    fn hex_reads_back_and_refuses_other_forms() {
        let id = EntryId([0xab; 16]);
        assert_eq!(EntryId::from_hex(&id.to_string()), Some(id));
        for bad in ["", "ab", &"AB".repeat(16), &"zz".repeat(16), &"ab".repeat(17)] {
            assert_eq!(EntryId::from_hex(bad), None, "{bad}");
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
