//! Protobuf messages of a token, read from their bytes in the one form that an encoder writes: the outer one here, the
//! content of blocks with the same reader.
//!
//! A protobuf message has many byte forms: fields in any order or twice, numbers padded, unknown fields. This reader knows
//! one of them, so what it reads needs no encoding again to be compared, and a prefix of the bytes is a prefix of the
//! blocks. It copies nothing and allocates for the list of blocks alone.

/// A token's outer message.
pub(super) struct Outer<'a> {
    pub(super) root_key_id: Option<u32>,
    /// The authority block first.
    pub(super) blocks: Vec<Frame<'a>>,
    pub(super) proof: ProofFrame<'a>,
}

/// One signed block.
pub(super) struct Frame<'a> {
    pub(super) block: &'a [u8],
    pub(super) next_key: KeyFrame<'a>,
    pub(super) signature: &'a [u8],
    pub(super) external: Option<ExternalFrame<'a>>,
    pub(super) version: Option<u32>,
    /// All bytes of the block in the token, its tag and length included.
    pub(super) whole: &'a [u8],
}

pub(super) struct ExternalFrame<'a> {
    pub(super) signature: &'a [u8],
    pub(super) key: KeyFrame<'a>,
}

pub(super) struct KeyFrame<'a> {
    pub(super) algorithm: i32,
    pub(super) key: &'a [u8],
}

pub(super) enum ProofFrame<'a> {
    NextSecret(&'a [u8]),
    FinalSignature(&'a [u8]),
}

/// Reads a token of at most `most` blocks; `None` when the bytes are anything but the canonical form of one.
pub(super) fn read_outer(bytes: &[u8], most: usize) -> Option<Outer<'_>> {
    let mut input = Reader(bytes);
    let root_key_id = match input.tag(field(1, VARINT)) {
        true => Some(u32::try_from(input.varint()?).ok()?),
        false => None,
    };
    // the number is the first thing in the message, so it belongs to the first block's bytes
    let mut start = bytes;
    let mut blocks = Vec::with_capacity(most.min(8));
    let mut tag = field(2, BYTES);
    while input.tag(tag) {
        if blocks.len() == most {
            return None;
        }
        let inner = input.bytes()?;
        let whole = start.get(..start.len().checked_sub(input.0.len())?)?;
        start = input.0;
        blocks.push(read_frame(inner, whole)?);
        tag = field(3, BYTES);
    }
    let mut proof = input.message(field(4, BYTES))?;
    let frame = if proof.tag(field(1, BYTES)) {
        ProofFrame::NextSecret(proof.bytes()?)
    } else if proof.tag(field(2, BYTES)) {
        ProofFrame::FinalSignature(proof.bytes()?)
    } else {
        return None;
    };
    (proof.0.is_empty() && input.0.is_empty() && !blocks.is_empty()).then_some(Outer { root_key_id, blocks, proof: frame })
}

fn read_frame<'a>(bytes: &'a [u8], whole: &'a [u8]) -> Option<Frame<'a>> {
    let mut input = Reader(bytes);
    let block = input.field(field(1, BYTES))?;
    let next_key = read_key(input.field(field(2, BYTES))?)?;
    let signature = input.field(field(3, BYTES))?;
    let external = match input.tag(field(4, BYTES)) {
        true => {
            let mut external = Reader(input.bytes()?);
            let signature = external.field(field(1, BYTES))?;
            let key = read_key(external.field(field(2, BYTES))?)?;
            external.0.is_empty().then_some(Some(ExternalFrame { signature, key }))?
        }
        false => None,
    };
    let version = match input.tag(field(5, VARINT)) {
        true => Some(u32::try_from(input.varint()?).ok()?),
        false => None,
    };
    input.0.is_empty().then_some(Frame { block, next_key, signature, external, version, whole })
}

fn read_key(bytes: &[u8]) -> Option<KeyFrame<'_>> {
    let mut input = Reader(bytes);
    // an enumeration is a 32-bit number, written as the 64-bit number of the same value
    let algorithm = i32::try_from(input.tag(field(1, VARINT)).then(|| input.varint())??.cast_signed()).ok()?;
    let key = input.field(field(2, BYTES))?;
    input.0.is_empty().then_some(KeyFrame { algorithm, key })
}

/// What is left of the input.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// Takes the tag if it is next. All tags of tokens are one byte.
    pub(super) fn tag(&mut self, tag: u8) -> bool {
        match self.0.split_first() {
            Some((first, rest)) if *first == tag => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn field(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.tag(tag).then(|| self.bytes())?
    }

    pub(super) fn message(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.field(tag).map(Reader)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self, tag: u8) -> Option<u64> {
        self.tag(tag).then(|| self.varint())?
    }

    /// A number in as few bytes as it needs.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            // the tenth byte has room for one bit
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return (*byte != 0 || shift == 0).then_some(value);
            }
        }
        None
    }
}

pub(super) const fn field(number: u8, kind: u8) -> u8 {
    number << 3 | kind
}

pub(super) const VARINT: u8 = 0;
pub(super) const BYTES: u8 = 2;

#[cfg(test)]
mod tests {
    use biscuit_auth::format::schema;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn canonical(bytes: &[u8]) -> Option<schema::Biscuit> {
        schema::Biscuit::decode(bytes).ok().filter(|token| token.encode_to_vec() == bytes)
    }

    fn any_key() -> impl Strategy<Value = schema::PublicKey> {
        (prop_oneof![0_i32..3, any::<i32>()], prop::collection::vec(any::<u8>(), 0..4))
            .prop_map(|(algorithm, key)| schema::PublicKey { algorithm, key })
    }

    fn any_block() -> impl Strategy<Value = schema::SignedBlock> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..4);
        let external =
            prop::option::of((bytes(), any_key()).prop_map(|(signature, public_key)| schema::ExternalSignature { signature, public_key }));
        (bytes(), any_key(), bytes(), external, prop::option::of(prop_oneof![0_u32..3, any::<u32>()])).prop_map(
            |(block, next_key, signature, external_signature, version)| schema::SignedBlock {
                block,
                next_key,
                signature,
                external_signature,
                version,
            },
        )
    }

    fn any_token() -> impl Strategy<Value = schema::Biscuit> {
        let proof = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..4)).prop_map(|(open, bytes)| schema::Proof {
            content: Some(if open { schema::proof::Content::NextSecret(bytes) } else { schema::proof::Content::FinalSignature(bytes) }),
        });
        (prop::option::of(any::<u32>()), any_block(), prop::collection::vec(any_block(), 0..4), proof)
            .prop_map(|(root_key_id, authority, blocks, proof)| schema::Biscuit { root_key_id, authority, blocks, proof })
    }

    proptest! {
        /// Both ways: what an encoder wrote is read to the same parts, and after a change of bytes this reader accepts
        /// what decodes and encodes to the same bytes, and nothing else.
        #[test]
        fn exactly_the_canonical_form_is_read(token in any_token(), change in prop::option::of((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3))) {
            let mut bytes = token.encode_to_vec();
            if let Some((at, byte, how)) = change {
                match how {
                    0 => { let at = at.index(bytes.len()); bytes[at] = byte; }
                    1 => bytes.insert(at.index(bytes.len() + 1), byte),
                    _ => { bytes.remove(at.index(bytes.len())); }
                }
            }
            let read = read_outer(&bytes, 16);
            let Some(expected) = canonical(&bytes).filter(|token| token.proof.content.is_some()) else {
                prop_assert!(read.is_none());
                return Ok(());
            };
            let read = read.unwrap();
            prop_assert_eq!(read.root_key_id, expected.root_key_id);
            prop_assert_eq!(read.blocks.iter().map(|frame| frame.whole.len()).sum::<usize>() + expected.proof.encoded_len() + 2, bytes.len());
            for (frame, block) in read.blocks.iter().zip(core::iter::once(&expected.authority).chain(&expected.blocks)) {
                prop_assert_eq!(frame.block, block.block.as_slice());
                prop_assert_eq!(frame.signature, block.signature.as_slice());
                prop_assert_eq!(frame.version, block.version);
                prop_assert_eq!((frame.next_key.algorithm, frame.next_key.key), (block.next_key.algorithm, block.next_key.key.as_slice()));
                let external = frame.external.as_ref().map(|external| (external.signature, external.key.algorithm, external.key.key));
                let wanted = block.external_signature.as_ref().map(|external| (external.signature.as_slice(), external.public_key.algorithm, external.public_key.key.as_slice()));
                prop_assert_eq!(external, wanted);
            }
        }
    }
}
