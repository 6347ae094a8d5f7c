//! Verification with a memory: bytes seen before, and children of parents seen before.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::{
    PublicKey, Reason, Refusal, RootKey, Roots, VerifiedToken,
    biscuit::{Dialect, Envelope, frame, verify_chain},
    cache::Cache,
    token::{Trail, token_bytes},
};

/// Verifies tokens and remembers what it verified. It is a value that its owner shares between threads.
///
/// Three tiers: a token whose exact text was verified under the same root keys is not verified again; of a token whose first
/// blocks are known only the others are; all else is verified whole, where only keys of known holders need no decoding. Each tier gives the same answer, and only what was
/// verified is remembered. Nothing that can change is: whoever asks looks at expiry, revocation and the proof of possession
/// each time.
pub struct Verifier {
    dialect: Dialect,
    /// Tokens by the epoch of the root keys and their text.
    tokens: Cache<VerifiedToken>,
    /// Chains of blocks by the entry of the block before (the epoch, for the first) and the bytes of the newest.
    trails: Cache<Known>,
    next_entry: AtomicU64,
    /// Keys of holders by their bytes: agents come again with other tokens.
    holders: Cache<PublicKey>,
}

/// A verified chain of blocks.
struct Known {
    /// Names the entry in the keys of those that go on from it.
    entry: u64,
    trail: Trail,
}

impl Verifier {
    /// Remembers at most about `tokens` tokens and four times as many chains of blocks, and at most 4 KiB for each token on
    /// average. The seed is fresh randomness.
    pub fn new(tokens: usize, seed: [u64; 2]) -> Self {
        let [first, second] = seed;
        let bytes = tokens.saturating_mul(AVERAGE_BYTES);
        Self {
            dialect: Dialect::Caveats,
            tokens: Cache::new(tokens, bytes, seed),
            trails: Cache::new(tokens.saturating_mul(TRAILS_A_TOKEN), bytes, [second, first]),
            next_entry: AtomicU64::new(0),
            holders: Cache::new(tokens, bytes, seed),
        }
    }

    /// The same, for a verifier that also accepts operators' checks in blocks that the issuer signed.
    #[must_use]
    pub fn with_dialect(self, dialect: Dialect) -> Self {
        Self { dialect, ..self }
    }

    /// Verifies the text form of a token under these roots.
    ///
    /// Expiry, the time of issue and revocation are the caller's to look at, each time.
    ///
    /// # Errors
    /// What [`UnverifiedToken`](crate::UnverifiedToken) refuses, in the same order.
    pub fn verify(&self, text: &str, roots: &Roots) -> Result<Arc<VerifiedToken>, Refusal> {
        if let Some(token) = self.tokens.find(roots.epoch(), text.as_bytes()) {
            return Ok(token);
        }
        let token = Arc::new(self.verify_bytes(&token_bytes(text)?, roots)?);
        self.tokens.keep(roots.epoch(), text.as_bytes(), token.clone());
        Ok(token)
    }

    /// Verifies the bytes of a token that need not have been seen before, from the longest chain of its blocks that was.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify_bytes(&self, bytes: &[u8], roots: &Roots) -> Result<VerifiedToken, Refusal> {
        let framed = frame(bytes)?;
        let wholes = framed.wholes();
        // an epoch and an entry can be equal by chance, but the first block's bytes are never those of a later one
        let mut parent = Parent { key: roots.epoch(), known: None };
        for whole in &wholes {
            let Some(known) = self.trails.find(parent.key, whole) else { break };
            parent = Parent { key: known.entry, known: Some(known) };
        }
        let length = parent.known.as_ref().map_or(0, |known| known.trail.length());
        let last_block = framed.last_block();
        let root_key_id = framed.root_key_id();
        let symbols = parent.known.as_ref().map(|known| known.trail.symbols.clone()).unwrap_or_default();
        let envelope = framed.open(length, (*symbols).clone(), self.dialect, &|bytes| self.holder(bytes))?;
        let root = roots.find(root_key_id)?;
        let link = parent.known.as_ref().map(|known| (&known.trail.link, length));
        verify_chain(&envelope, &root.key, link, last_block)?;
        self.follow(&envelope, root, parent, wholes.get(length..).unwrap_or_default())
    }

    /// How many tokens are remembered.
    pub fn remembered(&self) -> usize {
        self.tokens.len()
    }

    fn holder(&self, bytes: &[u8]) -> Option<PublicKey> {
        self.holders.find(0, bytes).map(|key| *key)
    }

    /// The hop rule over the blocks that were not known, each of which is remembered once the whole token stands.
    fn follow(&self, envelope: &Envelope, root: &RootKey, parent: Parent, wholes: &[&[u8]]) -> Result<VerifiedToken, Refusal> {
        let table = Arc::new(envelope.symbols.clone());
        let keys = |bytes: &[u8]| self.holder(bytes);
        let mut trail = parent.known.as_ref().map(|known| known.trail.clone());
        let mut made = Vec::with_capacity(wholes.len());
        for block in &envelope.blocks {
            let mut next = match trail.take() {
                None => Trail::begin(block, &envelope.blocks, root, &keys)?,
                Some(mut trail) => {
                    trail.extend(block, &envelope.blocks, &keys)?;
                    trail
                }
            };
            next.symbols = if block.symbols == table.len() { table.clone() } else { Arc::new(table.first(block.symbols)) };
            made.push(next.clone());
            trail = Some(next);
        }
        let Some(trail) = trail else { return Err(Reason::TokenMalformed.into()) };
        let token = trail.token(envelope.sealed())?;
        root.accepts(token.authority.issued)?;
        for key in token.principals().filter_map(|(_, holder, _)| holder.key().ok().copied()) {
            if self.holder(key.as_bytes()).is_none() {
                self.holders.keep(0, key.as_bytes(), Arc::new(key));
            }
        }
        let mut key = parent.key;
        for (whole, trail) in wholes.iter().zip(made) {
            let entry = self.next_entry.fetch_add(1, Ordering::Relaxed);
            self.trails.keep(key, whole, Arc::new(Known { entry, trail }));
            key = entry;
        }
        Ok(token)
    }
}

struct Parent {
    key: u64,
    known: Option<Arc<Known>>,
}

const AVERAGE_BYTES: usize = 4096;
const TRAILS_A_TOKEN: usize = 4;
