//! Biscuit signatures, payload version 1, over the whole chain.

use super::guard::{Envelope, Proof, SignedBlock};
use crate::{PublicKey, Reason, Refusal, key::Signatures};

/// What the signatures of the next block depend on: the block before it.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// The key that signs the next block, or closes the token.
    pub(crate) next_key: PublicKey,
    /// The signature of the block, which the next one covers.
    pub(crate) signature: [u8; 64],
}

/// Checks every signature and the closing proof of blocks that follow a verified one, or of a whole token.
///
/// `last_block` is the content of the token's last block. The proof is checked each time: it is what keeps the last block
/// from being cut off, and no part of a known prefix.
///
/// # Errors
/// `BAD_SIGNATURE` at a block, counted from the start of the token, or `BAD_PROOF`.
pub(crate) fn verify_chain(token: &Envelope, root: &PublicKey, known: Option<(&Link, usize)>, last_block: &[u8]) -> Result<(), Refusal> {
    let (mut link, first) = match known {
        Some((link, count)) => (Some(*link), count),
        None => (None, 0),
    };
    let mut payload = Vec::with_capacity(2048);
    let mut signatures = Signatures::with_capacity(token.blocks.len().saturating_mul(2));
    for (index, block) in (first..).zip(&token.blocks) {
        let bad = Refusal::at(Reason::BadSignature, index);
        if let Some(external) = &block.external {
            let Some(link) = link else { return Err(Refusal::at(Reason::OutsideProfile, index)) };
            external_payload(&mut payload, &block.bytes, &link.signature);
            signatures.add(&external.key, &payload, &external.signature, bad)?;
        }
        let signer = link.map_or(*root, |link| link.next_key);
        block_payload(&mut payload, block, link.as_ref().map(|link| &link.signature));
        signatures.add(&signer, &payload, &block.signature, bad)?;
        if link.is_none() {
            // who has nothing that the root signed makes nobody check more than one signature
            signatures.settle()?;
        }
        link = Some(Link { next_key: block.next_key, signature: block.signature });
    }
    let Some(last) = link else { return Err(Reason::TokenMalformed.into()) };
    match &token.proof {
        Proof::Open(secret) => {
            signatures.settle()?;
            if last.next_key.belongs_to(secret) { Ok(()) } else { Err(Reason::BadProof.into()) }
        }
        Proof::Sealed(signature) => {
            seal_payload(&mut payload, last_block, &last);
            signatures.add(&last.next_key, &payload, signature, Reason::BadProof.into())?;
            signatures.settle()
        }
    }
}

pub(super) fn block_payload(out: &mut Vec<u8>, block: &SignedBlock, previous_signature: Option<&[u8; 64]>) {
    start(out, b"\0BLOCK\0", &block.bytes);
    out.extend(b"\0ALGORITHM\0");
    out.extend(ED25519);
    out.extend(b"\0NEXTKEY\0");
    out.extend(block.next_key.as_bytes());
    if let Some(signature) = previous_signature {
        out.extend(b"\0PREVSIG\0");
        out.extend(signature);
    }
    if let Some(external) = &block.external {
        out.extend(b"\0EXTERNALSIG\0");
        out.extend(external.signature);
    }
}

fn external_payload(out: &mut Vec<u8>, block: &[u8], previous_signature: &[u8; 64]) {
    start(out, b"\0EXTERNAL\0", block);
    out.extend(b"\0PREVSIG\0");
    out.extend(previous_signature);
}

/// The seal has no tag of its own in Biscuit; it is safe since a next key is fresh and signs nothing but one more block.
pub(super) fn seal_payload(out: &mut Vec<u8>, block: &[u8], last: &Link) {
    out.clear();
    out.extend(block);
    out.extend(ED25519);
    out.extend(last.next_key.as_bytes());
    out.extend(last.signature);
}

fn start(out: &mut Vec<u8>, tag: &[u8], block: &[u8]) {
    out.clear();
    out.extend(tag);
    out.extend(b"\0VERSION\0");
    out.extend(1_u32.to_le_bytes());
    out.extend(b"\0PAYLOAD\0");
    out.extend(block);
}

/// Biscuit's number for the algorithm, little-endian.
const ED25519: [u8; 4] = 0_i32.to_le_bytes();
