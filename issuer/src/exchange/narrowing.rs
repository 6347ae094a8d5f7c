//! A token of this service as the subject: the service makes a narrower one of it, in its holder's name and into the log.
//!
//! The new token is no hop: it begins anew, with all that the old one demands and more. So nothing of the old one that bounds it
//! may be lost on the way, and nobody but its newest holder may ask.

use std::collections::BTreeSet;

use narrows_policies::Ceiling;
use narrows_verifier::{
    BlockId, Caveat, EarlierActor, Effective, Holder, Needs, Principal, Reason, Role, TaskId, UnverifiedToken, VerifiedToken, Word,
    caveat::Tools,
    proof::{NarrowClaims, Once, check_narrow, dpop::thumbprint},
};

use super::delegation::MAX_ACTORS;
use crate::{app::App, clients::Client};

/// What the new token is made from.
pub(super) struct Parent {
    /// The token.
    pub token: VerifiedToken,
    /// Every block that the new token comes from.
    pub lineage: Vec<BlockId>,
    /// The consent of the newest holder, to be spent.
    pub once: Once,
}

/// What a request says beside the token that it narrows.
pub(super) struct Consent<'a> {
    /// The proof by the token's newest holder.
    pub proof: &'a str,
    /// What the request asks for, as the proof must name it.
    pub request_digest: [u8; 32],
    /// What the new token is to be bound to.
    pub new_holder: Holder,
}

/// Verifies a token of this service and its newest holder's consent.
///
/// # Errors
/// What the verifier refuses; `EXPIRED`, `ISSUED_AHEAD`, `TOKEN_SEALED`, `REVOKED`; `HOLDER_THUMBPRINT` for a holder that can't
/// sign our statements; `BEARER_ABOVE_CEILING` for a new token without a holder; a `PROOF_…` reason; `STATE_NOT_CARRIED`, `HOP_DEPTH`,
/// `LINEAGE_TOO_LONG`.
pub(super) fn verify(app: &App, client: &Client, token: &str, consent: &Consent<'_>, now_s: u64) -> Result<Parent, Reason> {
    let token = UnverifiedToken::from_text(token).and_then(|token| token.verify(&app.roots())).map_err(|refusal| refusal.reason)?;
    if token.expires <= now_s {
        return Err(Reason::Expired);
    }
    token.authority.issued_by(now_s)?;
    if token.sealed {
        return Err(Reason::TokenSealed);
    }
    refuse_revoked(app, &token)?;
    let new_holder = match &consent.new_holder {
        Holder::Key(key) => thumbprint(key),
        Holder::Thumbprint(thumbprint) => *thumbprint,
        Holder::Bearer => return Err(Reason::BearerAboveCeiling),
    };
    let claims = NarrowClaims {
        issuer: &app.identifier,
        client: &client.id,
        block: token.newest(),
        new_holder,
        request_digest: consent.request_digest,
    };
    let once = check_narrow(consent.proof, &claims, token.holder.key()?, now_s)?;
    refuse_state(&token)?;
    refuse_overrun(&token)?;
    let lineage = lineage(&token)?;
    Ok(Parent { token, lineage, once })
}

impl Parent {
    /// The task, which goes on.
    pub(super) fn task(&self) -> TaskId {
        self.token.authority.task
    }

    /// What bounds the new token. Hops that the old one has made count against its depth.
    pub(super) fn ceiling(&self) -> Ceiling {
        Ceiling::of_parent(self.caveats(), self.token.depth())
    }

    /// Every tool that all blocks grant together, where that can be said as one list.
    pub(super) fn tools(&self) -> Option<Tools> {
        let effective = Effective::of(self.caveats());
        let mut lists =
            effective.caveats.into_iter().filter_map(|caveat| if let Caveat::Tools(tools) = caveat { Some(tools) } else { None });
        lists.next().filter(|_| lists.next().is_none())
    }

    /// Every audience that all blocks grant together.
    pub(super) fn audiences(&self) -> BTreeSet<String> {
        let mut sets = self.caveats().filter_map(|caveat| if let Caveat::Audience(names) = caveat { Some(names) } else { None });
        let first = sets.next().cloned().unwrap_or_default();
        sets.fold(first, |met, names| &met & names)
    }

    /// Those who acted before `agent`, the latest last. An agent that asks for itself is not its own predecessor.
    ///
    /// # Errors
    /// `ACT_TOO_DEEP`.
    pub(super) fn earlier_actors(&self, agent: &str) -> Result<Vec<EarlierActor>, Reason> {
        let chain = self.token.chain().into_iter().filter(|principal| principal.role != Role::Subject);
        let earlier = |principal: Principal<'_>| EarlierActor { name: principal.name.to_owned(), attested: principal.word == Word::Issuer };
        let mut actors: Vec<_> = chain.map(earlier).collect();
        if actors.last().is_some_and(|newest| newest.name == agent) {
            actors.pop();
        }
        if actors.len() > MAX_ACTORS { Err(Reason::ActTooDeep) } else { Ok(actors) }
    }

    fn caveats(&self) -> impl Iterator<Item = &Caveat> {
        self.token.blocks.iter().flat_map(|block| block.caveats.iter())
    }
}

/// Asked here and, of the same token, once more with the leaf.
fn refuse_revoked(app: &App, token: &VerifiedToken) -> Result<(), Reason> {
    app.revocations.refuses(token).map_or(Ok(()), Err)
}

/// Counts and sums are kept by block. In a new block they would begin at nothing, and a token of five calls would become one of
/// five more.
fn refuse_state(token: &VerifiedToken) -> Result<(), Reason> {
    let counts = |caveat: &Caveat| matches!(caveat.needs(), Some(Needs::Counter | Needs::Spend));
    let counted = token.blocks.iter().any(|block| block.caveats.iter().any(counts));
    if counted { Err(Reason::StateNotCarried) } else { Ok(()) }
}

/// A plain block may allow fewer hops than were made already. Such a token permits nothing any more, and what is made of it has made
/// no hop yet, so it would permit something again.
fn refuse_overrun(token: &VerifiedToken) -> Result<(), Reason> {
    let overrun = |caveat: &Caveat| matches!(caveat, Caveat::Depth(max) if (*max as usize) < token.depth());
    let overrun = token.blocks.iter().any(|block| block.caveats.iter().any(overrun));
    if overrun { Err(Reason::HopDepth) } else { Ok(()) }
}

/// All blocks, so that revoking any one of them reaches what is made from them.
fn lineage(token: &VerifiedToken) -> Result<Vec<BlockId>, Reason> {
    let mut lineage = token.authority.lineage.clone();
    lineage.extend(token.block_ids().into_iter().filter(|id| !token.authority.lineage.contains(id)));
    if lineage.len() > MAX_LINEAGE { Err(Reason::LineageTooLong) } else { Ok(lineage) }
}

/// As many blocks as an authority block names.
const MAX_LINEAGE: usize = 32;
