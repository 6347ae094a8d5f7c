//! A token from bytes to a verified chain: guard, signatures, hop rule.

mod authority;
mod principal;
mod rule;

use core::fmt;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    BlockId, Caveat, EntryId, PublicKey, Reason, Refusal, RootKey, Roots,
    biscuit::{Dialect, Envelope, guard, verify_chain},
};

pub use authority::Authority;
pub use principal::{EarlierActor, Principal, Role, Word};
pub(crate) use rule::Trail;

/// The name of the profile, in every authority block.
pub const PROFILE: &str = "narrows/1";

/// A token that passed the guard. Nothing in it has been verified, so nothing of it can be read.
pub struct UnverifiedToken {
    envelope: Envelope,
}

/// A token whose signatures and hop rule hold under a trusted root key.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    /// What the issuer said.
    pub authority: Arc<Authority>,
    /// Every block, the authority block first.
    pub blocks: Vec<Arc<Block>>,
    /// The newest holder, whose proof of possession a presentation needs.
    pub holder: Holder,
    /// The root key that signed the authority block, as the set at hand had it.
    pub root: RootKey,
    /// Seconds since the Unix epoch from which on the token is no longer accepted: the least of all blocks.
    pub expires: u64,
    /// Whether nothing can be appended any more.
    pub sealed: bool,
    hops: u32,
}

/// Whom a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An Ed25519 key: it signs proofs and hops.
    Key(PublicKey),
    /// The RFC 7638 SHA-256 thumbprint of a DPoP key (RFC 9449): it can be presented with DPoP, and makes no hop.
    Thumbprint([u8; 32]),
    /// Nobody: whoever has the bytes can present it, and no proof says anything more. Such a token is sealed, allows no hop
    /// and has one block.
    Bearer,
}

/// One verified block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Names the block for revocation, parent links and receipts.
    pub id: BlockId,
    /// Who made it, and whom it names.
    pub maker: Maker,
    /// What it demands of calls.
    pub caveats: Arc<[Caveat]>,
}

/// Who made a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The issuer, block 0: `agent` is attested by the issuer.
    Issuer {
        /// The first agent's name.
        agent: String,
        /// Whom it is bound to.
        holder: Holder,
        /// The log entry of the mint.
        entry: EntryId,
    },
    /// The holder named by the block before, or the issuer when the service narrows.
    Delegator {
        /// The key that signed the hop.
        signer: PublicKey,
        /// Counted from 1.
        index: u32,
        /// The new holder's name, by the delegator's word alone.
        agent: String,
        /// The new holder's key.
        holder: PublicKey,
        /// The log entry under which the hop is to be reported.
        entry: EntryId,
    },
    /// Whoever held the open token: it can only add caveats, and its id is no handle.
    Anyone,
}

impl UnverifiedToken {
    /// Decodes the text form: url-safe base64 without padding (RFC 4648 §5).
    ///
    /// # Errors
    /// `TOKEN_TOO_LARGE`, `TOKEN_ENCODING`, or what [`UnverifiedToken::from_bytes`] refuses.
    pub fn from_text(text: &str) -> Result<Self, Refusal> {
        Self::from_bytes(&token_bytes(text)?)
    }

    /// Runs the guard over the bytes of a token.
    ///
    /// # Errors
    /// The reasons under "guard" in the registry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        Self::from_bytes_in(bytes, Dialect::default())
    }

    /// The same for a verifier that accepts more checks than renderings of caveats, if it was told to.
    ///
    /// # Errors
    /// As [`UnverifiedToken::from_bytes`].
    pub fn from_bytes_in(bytes: &[u8], dialect: Dialect) -> Result<Self, Refusal> {
        guard(bytes, dialect).map(|envelope| Self { envelope })
    }

    /// Checks every signature under a trusted root, then the hop rule, then whether the root may have signed at that time.
    ///
    /// Expiry is not looked at: it is a caveat, and [`VerifiedToken::decide`] takes the time. Nor is a time of issue in the
    /// future, which [`Authority::issued_by`] tells, nor revocation.
    ///
    /// # Errors
    /// `UNKNOWN_ROOT`, `ROOT_TAINTED`, `BAD_SIGNATURE`, `BAD_PROOF`, `PROFILE_FACTS`, `FACTS_IN_PLAIN_BLOCK`, `BEARER_FORM`, a
    /// `HOP_…` reason or `ROOT_NOT_VALID`.
    pub fn verify(&self, roots: &Roots) -> Result<VerifiedToken, Refusal> {
        let root = roots.find(self.envelope.root_key_id)?;
        let Some((first, later)) = self.envelope.blocks.split_first() else { return Err(Reason::TokenMalformed.into()) };
        let last = later.last().unwrap_or(first);
        verify_chain(&self.envelope, &root.key, None, &last.bytes)?;
        let mut trail = Trail::begin(first, later, root, &|_| None)?;
        later.iter().try_for_each(|block| trail.extend(block, later, &|_| None))?;
        let token = trail.token(self.envelope.sealed())?;
        root.accepts(token.authority.issued)?;
        Ok(token)
    }
}

impl fmt::Debug for UnverifiedToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the envelope of an open token holds the secret for appending
        write!(formatter, "UnverifiedToken({} blocks)", self.envelope.blocks.len())
    }
}

impl VerifiedToken {
    /// The newest block.
    pub fn newest(&self) -> BlockId {
        self.blocks.last().map_or(BlockId([0; 32]), |block| block.id)
    }

    /// How many hops follow the authority block.
    pub fn depth(&self) -> usize {
        self.hops as usize
    }

    /// The blocks that name a holder, the authority block first: name, holder and log entry.
    pub fn principals(&self) -> impl Iterator<Item = (&str, Holder, &EntryId)> {
        self.blocks.iter().filter_map(|block| match &block.maker {
            Maker::Issuer { agent, holder, entry } => Some((agent.as_str(), *holder, entry)),
            Maker::Delegator { agent, holder, entry, .. } => Some((agent.as_str(), Holder::Key(*holder), entry)),
            Maker::Anyone => None,
        })
    }

    /// The block ids, the authority block's first.
    pub fn block_ids(&self) -> Vec<BlockId> {
        self.blocks.iter().map(|block| block.id).collect()
    }
}

impl Holder {
    /// The key, for proofs that Ed25519 keys make.
    ///
    /// # Errors
    /// `HOLDER_THUMBPRINT` when only a thumbprint is known, `HOLDER_BEARER` when there is no key.
    pub fn key(&self) -> Result<&PublicKey, Reason> {
        match self {
            Holder::Key(key) => Ok(key),
            Holder::Thumbprint(_) => Err(Reason::HolderThumbprint),
            Holder::Bearer => Err(Reason::HolderBearer),
        }
    }
}

impl From<PublicKey> for Holder {
    fn from(key: PublicKey) -> Self {
        Holder::Key(key)
    }
}

/// The bytes of a token's text form.
///
/// # Errors
/// `TOKEN_TOO_LARGE` or `TOKEN_ENCODING`.
pub fn token_bytes(text: &str) -> Result<Vec<u8>, Reason> {
    if text.len() > MAX_TEXT {
        return Err(Reason::TokenTooLarge);
    }
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Reason::TokenEncoding)
}

/// The text form of a token.
pub fn token_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 16 KiB in base64, which is bounded before it is decoded.
const MAX_TEXT: usize = 22 * 1024;
