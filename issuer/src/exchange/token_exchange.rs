//! The grant `token-exchange` (RFC 8693): a login, or a token of this service, becomes a capability for whoever acts.
//!
//! Which way a request goes is decided by what the verified tokens say, and only then compared with what was sent along: a token
//! that speaks of delegation is a delegated one also where the request names no actor.

use std::collections::BTreeSet;

use narrows_policies::GrantType;
use narrows_verifier::{Reason, log::TraceId};
use zeroize::Zeroizing;

use super::{
    ExchangeError, Issued, Sender, Wanted,
    binding::{ProvenKey, bind, check_confirmation},
    ceiling::token_ceilings,
    delegation::{Party, earlier_actors, may_act},
    issue::{Parties, issue},
    narrowing::{self, Consent},
};
use crate::{
    app::App,
    federation::{TokenType, VerifiedSubject},
    log::SideRow,
    record::spend,
    revocation::minted,
};

/// The tokens of a request. No Debug: they are live.
pub struct TokenExchange {
    /// Whose authority is asked for.
    pub subject: SubjectToken,
    /// Who acts; without it, the client.
    pub actor: Option<ActorToken>,
    /// The consent of the newest holder of a token of ours.
    pub narrow_proof: Option<NarrowProof>,
}

/// The consent of a holder to what a request makes of its token.
pub struct NarrowProof {
    /// The proof.
    pub text: String,
    /// What the request asks for, as the proof is to name it.
    pub request_digest: [u8; 32],
}

/// A subject token.
pub struct SubjectToken {
    /// The token.
    pub token: Zeroizing<String>,
    /// What it is said to be.
    pub kind: SubjectType,
}

/// What a subject token is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectType {
    /// A JWT of a trusted issuer.
    Outside(TokenType),
    /// A capability of this service.
    Own,
}

/// An actor token.
pub struct ActorToken {
    /// The token, a JWT of a trusted issuer.
    pub token: Zeroizing<String>,
    /// What it is said to be.
    pub declared: TokenType,
}

/// Issues a token for a token.
///
/// # Errors
/// Nothing is issued on any error.
pub async fn token_exchange(
    app: &App,
    sender: Sender,
    request: TokenExchange,
    wanted: &Wanted,
    trace: TraceId,
) -> Result<Issued, ExchangeError> {
    let now = app.now_seconds();
    let subject = match request.subject.kind {
        SubjectType::Outside(declared) => Some(app.federation.verify(&request.subject.token, declared, now).await?),
        SubjectType::Own => None,
    };
    let actor = match &request.actor {
        Some(actor) => Some(app.federation.verify(&actor.token, actor.declared, now).await?),
        None => None,
    };
    let actor = acting(app, &sender, actor)?;
    let bound = bind(app, &sender.client.client, sender.dpop.as_ref(), &wanted.binding, &request.subject.token)?;
    let mut parties = match subject {
        Some(subject) => {
            if wanted.audiences.is_empty() {
                return Err(Reason::TargetInvalid.into());
            }
            let is_access_token = request.subject.kind == SubjectType::Outside(TokenType::AccessToken);
            from_outside(subject, is_access_token, actor, sender.dpop.as_ref())?
        }
        None => {
            let proof = request.narrow_proof.ok_or(Reason::ProofMissing)?;
            let consent = Consent { proof: &proof.text, request_digest: proof.request_digest, new_holder: bound.holder };
            let parent = narrowing::verify(app, &sender.client.client, &request.subject.token, &consent, now)?;
            // Whoever stole a key could make a token, and have the next key sign one like it before the first is given up.
            if minted(app, &parent.token)?.is_none() {
                return Err(Reason::TaskUnknown.into());
            }
            of_our_own(app, parent, actor)?
        }
    };
    parties.ceilings.extend(sender.client.client.ceiling.clone());
    issue(app, &sender.client, parties, wanted, bound, trace).await
}

/// Who acts, whether a token of its own says so, when that token ends, and what is used up with it.
struct Acting {
    party: Party,
    named: bool,
    expires_s: Option<u64>,
    spends: Vec<SideRow>,
}

/// The actor token's subject, else the client. Nobody is impersonated in silence: there is always one.
fn acting(app: &App, sender: &Sender, token: Option<VerifiedSubject>) -> Result<Acting, Reason> {
    let client = Party::client(app, &sender.client.client);
    let Some(token) = token else { return Ok(Acting { party: client, named: false, expires_s: None, spends: Vec::new() }) };
    // an actor that itself acts for somebody, or with less than all its authority, is more than one name
    if ["act", "authorization_details"].into_iter().any(|claim| token.bounds.contains_key(claim)) {
        return Err(Reason::SubjectBound);
    }
    confirm(&token, sender.dpop.as_ref())?;
    // the client is who uses the actor's token
    may_act(token.bounds.get("may_act"), &client)?;
    Ok(Acting { named: true, expires_s: Some(token.expires_s), spends: spent(&token), party: Party::of(token) })
}

fn from_outside(subject: VerifiedSubject, is_access_token: bool, actor: Acting, dpop: Option<&ProvenKey>) -> Result<Parties, Reason> {
    confirm(&subject, dpop)?;
    may_act(subject.bounds.get("may_act"), &actor.party)?;
    if (&subject.issuer, &subject.subject) == (&actor.party.issuer, &actor.party.name) {
        return Err(Reason::SubjectIsActor);
    }
    let mut spends = spent(&subject);
    spends.extend(actor.spends);
    Ok(Parties {
        grant: GrantType::TokenExchange,
        claims: subject.claims.clone(),
        earlier: earlier_actors(subject.bounds.get("act"))?,
        ceilings: token_ceilings(&subject, is_access_token)?.into_iter().collect(),
        expires_s: Some(actor.expires_s.map_or(subject.expires_s, |end| end.min(subject.expires_s))),
        subject: Party::of(subject),
        actor: actor.party,
        actor_named: actor.named,
        audiences: BTreeSet::new(),
        parent: None,
        spends,
    })
}

fn of_our_own(app: &App, parent: narrowing::Parent, actor: Acting) -> Result<Parties, ExchangeError> {
    let authority = &parent.token.authority;
    let mut spends = actor.spends;
    if actor.named {
        // The token names its subject by a pseudonym, and the log knows whom its task is for. A client that is not named so is
        // the subject only of tokens that it got for itself, and may narrow these.
        spends.push(SideRow::NotForSubject { task: authority.task, actor: app.log.pseudonym(&actor.party.issuer, &actor.party.name)? });
    }
    Ok(Parties {
        grant: GrantType::TokenExchange,
        subject: Party { issuer: authority.issuer.clone(), name: authority.subject.clone(), client_id: None },
        claims: serde_json::Map::new(),
        earlier: Vec::new(),
        actor: actor.party,
        actor_named: actor.named,
        audiences: parent.audiences(),
        ceilings: vec![parent.ceiling()],
        expires_s: Some(actor.expires_s.map_or(parent.token.expires, |end| end.min(parent.token.expires))),
        parent: Some(parent),
        spends,
    })
}

fn confirm(token: &VerifiedSubject, dpop: Option<&ProvenKey>) -> Result<(), Reason> {
    if token.require_proof { check_confirmation(token.bounds.get("cnf"), dpop) } else { Ok(()) }
}

fn spent(token: &VerifiedSubject) -> Vec<SideRow> {
    token.once.map(|once| spend(once, Reason::SubjectReplayed)).into_iter().collect()
}
