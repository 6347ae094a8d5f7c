//! Everything that is decided about a token before any signature is looked at.
//!
//! Cheap first, and nothing that an attacker sizes before its bound: an unguarded Biscuit of 834 bytes can hold a thread
//! for seconds, and one of 126 KB takes 53 ms of signature checks before it is refused.

use biscuit_auth::format::schema;
use prost::Message;
use zeroize::Zeroizing;

use super::block::{Body, Dialect, Symbols};
use crate::{PublicKey, Reason, Refusal};

/// A token that has the outer form of the profile. Nothing in it has been verified.
pub(crate) struct Envelope {
    pub(crate) root_key_id: u32,
    /// The authority block first; never empty.
    pub(crate) blocks: Vec<SignedBlock>,
    pub(crate) proof: Proof,
}

pub(crate) struct SignedBlock {
    pub(crate) bytes: Vec<u8>,
    pub(crate) next_key: PublicKey,
    pub(crate) signature: [u8; 64],
    pub(crate) external: Option<External>,
    pub(crate) body: Body,
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
    if bytes.len() > MAX_BYTES {
        return Err(Reason::TokenTooLarge.into());
    }
    let token = schema::Biscuit::decode(bytes).map_err(|_| Reason::TokenMalformed)?;
    if token.blocks.len() >= MAX_BLOCKS {
        return Err(Reason::TooManyBlocks.into());
    }
    // unknown fields and long varints survive decoding, so without this one token has many byte forms
    if token.encode_to_vec() != bytes {
        return Err(Reason::TokenNotCanonical.into());
    }
    let root_key_id = token.root_key_id.ok_or(Reason::UnknownRoot)?;
    if token.authority.external_signature.is_some() {
        return Err(Refusal::at(Reason::OutsideProfile, 0));
    }
    let all = core::iter::once(&token.authority).chain(&token.blocks);
    if let Some((index, _)) = all.clone().enumerate().find(|(_, block)| block.version != Some(1)) {
        return Err(Refusal::at(Reason::SignatureVersion, index));
    }
    let proof = read_proof(&token.proof)?;
    let mut symbols = Symbols::default();
    let blocks = all
        .enumerate()
        .map(|(index, block)| read_block(block, &mut symbols, dialect).map_err(|reason| Refusal::at(reason, index)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Envelope { root_key_id, blocks, proof })
}

fn read_block(block: &schema::SignedBlock, running: &mut Symbols, dialect: Dialect) -> Result<SignedBlock, Reason> {
    let external = block
        .external_signature
        .as_ref()
        .map(|external| Ok(External { key: read_key(&external.public_key)?, signature: read_signature(&external.signature)? }))
        .transpose()?;
    Ok(SignedBlock {
        next_key: read_key(&block.next_key)?,
        signature: read_signature(&block.signature)?,
        body: Body::read(&block.block, external.is_some(), running, dialect)?,
        external,
        bytes: block.block.clone(),
    })
}

fn read_key(key: &schema::PublicKey) -> Result<PublicKey, Reason> {
    if key.algorithm == schema::public_key::Algorithm::Ed25519 as i32 { PublicKey::from_bytes(&key.key) } else { Err(Reason::KeyAlgorithm) }
}

fn read_signature(bytes: &[u8]) -> Result<[u8; 64], Reason> {
    bytes.try_into().map_err(|_| Reason::KeyAlgorithm)
}

fn read_proof(proof: &schema::Proof) -> Result<Proof, Reason> {
    match &proof.content {
        Some(schema::proof::Content::NextSecret(secret)) => {
            let secret: [u8; 32] = secret.as_slice().try_into().map_err(|_| Reason::KeyAlgorithm)?;
            Ok(Proof::Open(Zeroizing::new(secret)))
        }
        Some(schema::proof::Content::FinalSignature(signature)) => Ok(Proof::Sealed(read_signature(signature)?)),
        None => Err(Reason::TokenMalformed),
    }
}

pub(crate) const MAX_BYTES: usize = 16 * 1024;
const MAX_BLOCKS: usize = 16;
