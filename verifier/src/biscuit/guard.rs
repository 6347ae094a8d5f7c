//! Everything that is decided about a token before any signature is looked at.
//!
//! Cheap first, and nothing that an attacker sizes before its bound: an unguarded Biscuit of 834 bytes can hold a thread
//! for seconds, and one of 126 KB takes 53 ms of signature checks before it is refused.

use biscuit_auth::format::schema;
use prost::Message;
use zeroize::Zeroizing;

use super::{
    block::{Body, Dialect, Symbols},
    chain::Link,
    wire::{Frame, KeyFrame, Outer, ProofFrame, read_outer},
};
use crate::{PublicKey, Reason, Refusal};

/// A token that has the outer form of the profile. Nothing in it has been verified.
pub(crate) struct Envelope {
    pub(crate) root_key_id: u32,
    /// The authority block first; never empty. After a known prefix, the blocks that follow it, of which there may be none.
    pub(crate) blocks: Vec<SignedBlock>,
    /// What the next plain block will refer to.
    pub(crate) symbols: Symbols,
    pub(crate) proof: Proof,
}

pub(crate) struct SignedBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) next_key: PublicKey,
    pub(crate) signature: [u8; 64],
    pub(crate) external: Option<External>,
    pub(crate) body: Body,
    /// How many symbols the plain blocks up to here have.
    pub(crate) symbols: usize,
}

pub(crate) struct External {
    pub(crate) key: PublicKey,
    pub(crate) signature: [u8; 64],
}

pub(crate) enum Proof {
    /// The secret of the last next key: the right to append.
    Open(Zeroizing<[u8; 32]>),
    /// A signature by the last next key over the last block: nothing can be appended.
    Sealed([u8; 64]),
}

/// The key with these bytes, if it was decoded and found sound before: decoding is a field exponentiation.
pub(crate) type KnownKeys<'a> = &'a dyn Fn(&[u8]) -> Option<PublicKey>;

/// A token whose outer message is canonical and within its bounds.
pub(crate) struct Framed<'a> {
    root_key_id: u32,
    outer: Outer<'a>,
    proof: Proof,
}

impl SignedBlock {
    /// Where the signatures go on after this block.
    pub(crate) fn link(&self) -> Link {
        Link { next_key: self.next_key, signature: self.signature }
    }
}

impl Envelope {
    pub(crate) fn sealed(&self) -> bool {
        matches!(self.proof, Proof::Sealed(_))
    }
}

/// Checks bytes against every bound and form of the profile that needs no curve arithmetic but decoding keys.
///
/// # Errors
/// The reasons under "guard" in the registry, with the block where one is to blame.
pub(crate) fn guard(bytes: &[u8], dialect: Dialect) -> Result<Envelope, Refusal> {
    frame(bytes)?.open(0, Symbols::default(), dialect, &|_| None)
}

/// The part of the guard that looks at the outer message.
pub(crate) fn frame(bytes: &[u8]) -> Result<Framed<'_>, Refusal> {
    if bytes.len() > MAX_BYTES {
        return Err(Reason::TokenTooLarge.into());
    }
    let Some(outer) = read_outer(bytes, MAX_BLOCKS) else { return Err(not_read(bytes).into()) };
    let root_key_id = outer.root_key_id.ok_or(Reason::UnknownRoot)?;
    if outer.blocks.first().is_some_and(|authority| authority.external.is_some()) {
        return Err(Refusal::at(Reason::OutsideProfile, 0));
    }
    if let Some((index, _)) = outer.blocks.iter().enumerate().find(|(_, block)| block.version != Some(1)) {
        return Err(Refusal::at(Reason::SignatureVersion, index));
    }
    let proof = read_proof(&outer.proof)?;
    Ok(Framed { root_key_id, outer, proof })
}

impl<'a> Framed<'a> {
    /// The bytes of each block in the token.
    pub(crate) fn wholes(&self) -> Vec<&'a [u8]> {
        self.outer.blocks.iter().map(|frame| frame.whole).collect()
    }

    /// The content of the last block, which a seal covers.
    pub(crate) fn last_block(&self) -> &'a [u8] {
        self.outer.blocks.last().map_or(&[], |frame| frame.block)
    }

    /// The number of the root key.
    pub(crate) fn root_key_id(&self) -> u32 {
        self.root_key_id
    }

    /// The rest of the guard, for the blocks after the first `known`, whose plain blocks left `symbols`.
    pub(crate) fn open(self, known: usize, mut symbols: Symbols, dialect: Dialect, keys: KnownKeys<'_>) -> Result<Envelope, Refusal> {
        let mut blocks = Vec::with_capacity(self.outer.blocks.len().saturating_sub(known));
        for (index, frame) in self.outer.blocks.iter().enumerate().skip(known) {
            blocks.push(read_block(frame, &mut symbols, dialect, keys).map_err(|reason| Refusal::at(reason, index))?);
        }
        Ok(Envelope { root_key_id: self.root_key_id, blocks, symbols, proof: self.proof })
    }
}

/// Why bytes are not the canonical form of a token: slow, and asked only of what is refused.
fn not_read(bytes: &[u8]) -> Reason {
    match schema::Biscuit::decode(bytes) {
        Err(_) => Reason::TokenMalformed,
        Ok(token) if token.blocks.len() >= MAX_BLOCKS => Reason::TooManyBlocks,
        Ok(token) if token.proof.content.is_none() && token.encode_to_vec() == bytes => Reason::TokenMalformed,
        Ok(_) => Reason::TokenNotCanonical,
    }
}

fn read_block(frame: &Frame<'_>, running: &mut Symbols, dialect: Dialect, keys: KnownKeys<'_>) -> Result<SignedBlock, Reason> {
    let external = frame
        .external
        .as_ref()
        .map(|external| Ok(External { key: read_key(&external.key, keys)?, signature: read_signature(external.signature)? }))
        .transpose()?;
    Ok(SignedBlock {
        // always fresh, so never known
        next_key: read_key(&frame.next_key, &|_| None)?,
        signature: read_signature(frame.signature)?,
        body: Body::read(frame.block, external.is_some(), running, dialect)?,
        external,
        symbols: running.len(),
        bytes: frame.block.to_vec(),
    })
}

fn read_key(key: &KeyFrame<'_>, keys: KnownKeys<'_>) -> Result<PublicKey, Reason> {
    if key.algorithm != ED25519 {
        return Err(Reason::KeyAlgorithm);
    }
    keys(key.key).map_or_else(|| PublicKey::from_bytes(key.key), Ok)
}

fn read_signature(bytes: &[u8]) -> Result<[u8; 64], Reason> {
    bytes.try_into().map_err(|_| Reason::KeyAlgorithm)
}

fn read_proof(proof: &ProofFrame<'_>) -> Result<Proof, Reason> {
    match proof {
        ProofFrame::NextSecret(secret) => {
            let secret: [u8; 32] = (*secret).try_into().map_err(|_| Reason::KeyAlgorithm)?;
            Ok(Proof::Open(Zeroizing::new(secret)))
        }
        ProofFrame::FinalSignature(signature) => Ok(Proof::Sealed(read_signature(signature)?)),
    }
}

pub(crate) const MAX_BYTES: usize = 16 * 1024;
const MAX_BLOCKS: usize = 16;
/// Biscuit's number for the algorithm.
const ED25519: i32 = schema::public_key::Algorithm::Ed25519 as i32;
