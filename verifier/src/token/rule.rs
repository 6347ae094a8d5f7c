//! The hop rule: who may have made each block. All safety of delegation is in here; Biscuit itself accepts a thief's own
//! signed hop and a thief's plain block with facts.

use super::{Block, Holder, Maker, RootKey, VerifiedToken, authority};
use crate::{
    BlockId, Caveat, EntryId, PublicKey, Reason, Refusal,
    biscuit::{Body, Envelope, SignedBlock},
    datalog::Term,
};

/// Follows the chain from the authority block and names every maker.
pub(super) fn follow(envelope: &Envelope, root: &RootKey) -> Result<VerifiedToken, Refusal> {
    let Some((first, later)) = envelope.blocks.split_first() else { return Err(Reason::TokenMalformed.into()) };
    let (authority, maker, holder) = authority::read(&first.body.facts).map_err(|reason| Refusal::at(reason, 0))?;
    let bounds = Bounds::of_authority(&first.body.caveats).map_err(|reason| Refusal::at(reason, 0))?;
    let mut chain = Chain { holder, hops: 0, bounds };
    let mut parent = BlockId::of(None, &first.bytes, None);
    let mut blocks = vec![Block { id: parent, maker, caveats: first.body.caveats.clone() }];
    for (index, block) in (1..).zip(later) {
        let maker = chain.admit(block, &root.key, later).map_err(|reason| Refusal::at(reason, index))?;
        parent = BlockId::of(Some(parent), &block.bytes, block.external.as_ref().map(|external| external.key.as_bytes()));
        blocks.push(Block { id: parent, maker, caveats: block.body.caveats.clone() });
    }
    Ok(VerifiedToken { authority, blocks, holder: chain.holder, root: *root, expires: chain.bounds.expires, sealed: envelope.sealed() })
}

/// What the blocks so far allow of the next one.
struct Chain {
    holder: Holder,
    hops: u32,
    bounds: Bounds,
}

struct Bounds {
    expires: u64,
    depth: u32,
}

impl Chain {
    fn admit(&mut self, block: &SignedBlock, issuer: &PublicKey, all: &[SignedBlock]) -> Result<Maker, Reason> {
        let Some(external) = &block.external else {
            if !block.body.facts.is_empty() {
                return Err(Reason::FactsInPlainBlock);
            }
            self.bounds.narrow(&block.body.caveats);
            return Ok(Maker::Anyone);
        };
        // a thumbprint is no key, so its holder signs no hop
        if Holder::Key(external.key) != self.holder && external.key != *issuer {
            return Err(Reason::HopSigner);
        }
        let hop = read_hop(&block.body, all)?;
        if self.hops.checked_add(1) != Some(hop.index) {
            return Err(Reason::HopIndex);
        }
        let outlives = block.body.caveats.iter().any(|caveat| matches!(caveat, Caveat::Expires(at) if *at > self.bounds.expires));
        if outlives {
            return Err(Reason::HopOutlivesParent);
        }
        self.bounds.narrow(&block.body.caveats);
        self.hops = hop.index;
        if self.hops > self.bounds.depth {
            return Err(Reason::HopDepth);
        }
        self.holder = Holder::Key(hop.holder);
        Ok(Maker::Delegator { signer: external.key, index: hop.index, agent: hop.agent, holder: hop.holder, entry: hop.entry })
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

struct HopFact {
    index: u32,
    holder: PublicKey,
    agent: String,
    entry: EntryId,
}

/// A holder that delegated has signed a later block, so its key has been decoded already: the newest holder's alone is
/// decoded here, which spares a point decompression a hop.
fn read_hop(body: &Body, all: &[SignedBlock]) -> Result<HopFact, Reason> {
    let [fact] = body.facts.as_slice() else { return Err(Reason::ProfileFacts) };
    match (fact.name.as_str(), fact.terms.as_slice()) {
        ("hop", [Term::Integer(index), Term::Bytes(holder), Term::Text(agent), Term::Bytes(entry)]) if !agent.is_empty() => Ok(HopFact {
            index: u32::try_from(*index).map_err(|_| Reason::HopIndex)?,
            holder: match all.iter().filter_map(|block| block.external.as_ref()).find(|external| external.key.as_bytes()[..] == holder[..])
            {
                Some(external) => external.key,
                None => PublicKey::from_bytes(holder)?,
            },
            agent: agent.clone(),
            entry: EntryId::from_slice(entry).ok_or(Reason::ProfileFacts)?,
        }),
        _ => Err(Reason::ProfileFacts),
    }
}
