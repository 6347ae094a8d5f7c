//! The hop rule: who may have made each block. All safety of delegation is in here; Biscuit itself accepts a thief's own
//! signed hop and a thief's plain block with facts.

use std::sync::Arc;

use super::{Authority, Block, Holder, Maker, RootKey, VerifiedToken, authority};
use crate::{
    BlockId, Caveat, EntryId, PublicKey, Reason, Refusal,
    biscuit::{Body, KnownKeys, Link, SignedBlock, Symbols},
    datalog::Term,
};

/// A verified chain of blocks, with all that the next block has to be judged by. It is what a cache keeps of a token, so that
/// a child of a known parent costs its own hop alone.
#[derive(Clone)]
pub(crate) struct Trail {
    root: RootKey,
    authority: Arc<Authority>,
    blocks: Vec<Arc<Block>>,
    holder: Holder,
    hops: u32,
    bounds: Bounds,
    /// Where the signatures go on.
    pub(crate) link: Link,
    /// Where the symbols go on.
    pub(crate) symbols: Arc<Symbols>,
}

#[derive(Clone, Copy)]
struct Bounds {
    expires: u64,
    depth: u32,
}

impl Trail {
    /// Begins with an authority block whose signature holds. `later` are the blocks among which its holder may have signed.
    pub(crate) fn begin(first: &SignedBlock, later: &[SignedBlock], root: &RootKey, keys: KnownKeys<'_>) -> Result<Self, Refusal> {
        let refuse = |reason| Refusal::at(reason, 0);
        let (authority, maker, holder) = authority::read(&first.body.facts, |holder| decoded(holder, later, keys)).map_err(refuse)?;
        let bounds = Bounds::of_authority(&first.body.caveats).map_err(refuse)?;
        if holder == Holder::Bearer && bounds.depth != 0 {
            return Err(refuse(Reason::BearerForm));
        }
        let mut trail = Self {
            root: *root,
            authority: Arc::new(authority),
            blocks: Vec::with_capacity(8),
            holder,
            hops: 0,
            bounds,
            link: first.link(),
            symbols: Arc::default(),
        };
        trail.distinct_state(&first.body.caveats).map_err(refuse)?;
        trail.blocks.push(Arc::new(Block { id: BlockId::of(None, &first.bytes, None), maker, caveats: first.body.caveats.clone() }));
        Ok(trail)
    }

    /// Goes on with a block whose signatures hold. `later` are the blocks among which its new holder may have signed.
    pub(crate) fn extend(&mut self, block: &SignedBlock, later: &[SignedBlock], keys: KnownKeys<'_>) -> Result<(), Refusal> {
        let maker = self.admit(block, later, keys).map_err(|reason| Refusal::at(reason, self.blocks.len()))?;
        let parent = self.blocks.last().map(|parent| parent.id);
        let id = BlockId::of(parent, &block.bytes, block.external.as_ref().map(|external| external.key.as_bytes()));
        self.blocks.push(Arc::new(Block { id, maker, caveats: block.body.caveats.clone() }));
        self.link = block.link();
        Ok(())
    }

    /// The token whose blocks these are.
    pub(crate) fn token(&self, sealed: bool) -> Result<VerifiedToken, Reason> {
        // who has an open one could hang blocks on it, and hand on what nobody answers for
        if self.holder == Holder::Bearer && !sealed {
            return Err(Reason::BearerForm);
        }
        Ok(VerifiedToken {
            authority: self.authority.clone(),
            blocks: self.blocks.clone(),
            holder: self.holder,
            root: self.root,
            expires: self.bounds.expires,
            sealed,
            hops: self.hops,
        })
    }

    /// How many blocks there are.
    pub(crate) fn length(&self) -> usize {
        self.blocks.len()
    }

    fn admit(&mut self, block: &SignedBlock, later: &[SignedBlock], keys: KnownKeys<'_>) -> Result<Maker, Reason> {
        if self.holder == Holder::Bearer {
            return Err(Reason::BearerForm);
        }
        let caveats = &block.body.caveats;
        let issuer = block.external.as_ref().is_some_and(|external| external.key == self.root.key);
        if !issuer && caveats.iter().any(|caveat| matches!(caveat, Caveat::Datalog(_))) {
            return Err(Reason::UnknownCaveat);
        }
        let Some(external) = &block.external else {
            if !block.body.facts.is_empty() {
                return Err(Reason::FactsInPlainBlock);
            }
            self.distinct_state(caveats)?;
            self.bounds.narrow(caveats);
            return Ok(Maker::Anyone);
        };
        // a thumbprint is no key, so its holder signs no hop
        if Holder::Key(external.key) != self.holder && !issuer {
            return Err(Reason::HopSigner);
        }
        let hop = read_hop(&block.body, later, keys)?;
        if self.hops.checked_add(1) != Some(hop.index) {
            return Err(Reason::HopIndex);
        }
        let outlives = caveats.iter().any(|caveat| matches!(caveat, Caveat::Expires(at) if *at > self.bounds.expires));
        if outlives {
            return Err(Reason::HopOutlivesParent);
        }
        self.distinct_state(caveats)?;
        self.bounds.narrow(caveats);
        self.hops = hop.index;
        if self.hops > self.bounds.depth {
            return Err(Reason::HopDepth);
        }
        self.holder = Holder::Key(hop.holder);
        Ok(Maker::Delegator { signer: external.key, index: hop.index, agent: hop.agent, holder: hop.holder, entry: hop.entry })
    }

    /// State is kept by block and name and told by name alone, so a name that stands twice would let one count answer for
    /// another.
    fn distinct_state(&self, caveats: &[Caveat]) -> Result<(), Reason> {
        let mut names: Vec<&str> = Vec::new();
        for name in caveats.iter().filter_map(Caveat::state_name) {
            let before = self.blocks.iter().flat_map(|block| block.caveats.iter()).filter_map(Caveat::state_name);
            if names.contains(&name) || before.into_iter().any(|other| other == name) {
                return Err(Reason::StateNameRepeated);
            }
            names.push(name);
        }
        Ok(())
    }
}

impl Bounds {
    /// The authority block says expiry, depth and audience exactly once and tools at least once.
    fn of_authority(caveats: &[Caveat]) -> Result<Self, Reason> {
        let count = |kind| caveats.iter().filter(|caveat| caveat.kind() == kind).count();
        if count("tools") == 0 || count("audience") != 1 || count("expires") != 1 || count("depth") != 1 {
            return Err(Reason::ProfileFacts);
        }
        let mut bounds = Self { expires: u64::MAX, depth: u32::MAX };
        bounds.narrow(caveats);
        Ok(bounds)
    }

    fn narrow(&mut self, caveats: &[Caveat]) {
        for caveat in caveats {
            match caveat {
                Caveat::Expires(at) => self.expires = self.expires.min(*at),
                Caveat::Depth(max) => self.depth = self.depth.min(*max),
                _ => {}
            }
        }
    }
}

/// A holder that delegated has signed a later block, so its key has been decoded already: the newest holder's alone is decoded
/// here, which spares a point decompression a hop.
fn decoded(holder: &[u8], later: &[SignedBlock], keys: KnownKeys<'_>) -> Result<PublicKey, Reason> {
    let mut signers = later.iter().filter_map(|block| block.external.as_ref()).map(|external| external.key);
    signers.find(|key| key.as_bytes()[..] == *holder).or_else(|| keys(holder)).map_or_else(|| PublicKey::from_bytes(holder), Ok)
}

struct HopFact {
    index: u32,
    holder: PublicKey,
    agent: String,
    entry: EntryId,
}

fn read_hop(body: &Body, all: &[SignedBlock], keys: KnownKeys<'_>) -> Result<HopFact, Reason> {
    let [fact] = body.facts.as_slice() else { return Err(Reason::ProfileFacts) };
    match (fact.name.as_str(), fact.terms.as_slice()) {
        ("hop", [Term::Integer(index), Term::Bytes(holder), Term::Text(agent), Term::Bytes(entry)]) if !agent.is_empty() => Ok(HopFact {
            index: u32::try_from(*index).map_err(|_| Reason::HopIndex)?,
            holder: decoded(holder, all, keys)?,
            agent: agent.to_string(),
            entry: EntryId::from_slice(entry).ok_or(Reason::ProfileFacts)?,
        }),
        _ => Err(Reason::ProfileFacts),
    }
}
