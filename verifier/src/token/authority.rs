//! The facts of the authority block: the issuer's word about task, subject, first agent and origin.

use std::collections::BTreeMap;

use super::{EarlierActor, Holder, Maker, PROFILE};
use crate::{
    BlockId, EntryId, PublicKey, Reason, TaskId,
    datalog::{Predicate, Term},
    proof::MAX_AHEAD_SECONDS,
};

/// The facts of the authority block: the issuer's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The task that the token is for.
    pub task: TaskId,
    /// Seconds since the Unix epoch at which it was minted.
    pub issued: u64,
    /// The issuer's identifier.
    pub issuer: String,
    /// The person or workload, by pseudonym unless a pack says otherwise.
    pub subject: String,
    /// Those through whom the subject's authority came before the first agent, the latest last. For information: no
    /// authority depends on them.
    pub actors: Vec<EarlierActor>,
    /// The blocks that the service made this token from: revoking one of them revokes this token.
    pub lineage: Vec<BlockId>,
    /// Whether a development issuer made it.
    pub dev: bool,
}

impl Authority {
    /// Whether the token can have been issued by `now`, give or take ten seconds between two clocks.
    ///
    /// Verification knows no time, so it leaves this to whoever decides. Without it a token from the future would outlive
    /// the cut-offs of a revocation feed, which reach what was issued before them.
    ///
    /// # Errors
    /// `ISSUED_AHEAD`.
    pub fn issued_by(&self, now: u64) -> Result<(), Reason> {
        if self.issued <= now.saturating_add(MAX_AHEAD_SECONDS) { Ok(()) } else { Err(Reason::IssuedAhead) }
    }
}

/// Reads exactly the facts that an authority block must hold: what it says, and who is its maker and first holder.
///
/// `decode` makes a key of the holder's bytes.
pub(super) fn read(
    facts: &[Predicate],
    decode: impl FnOnce(&[u8]) -> Result<PublicKey, Reason>,
) -> Result<(Authority, Maker, Holder), Reason> {
    let profile = single(facts, "profile")?;
    let dev = facts.iter().any(|fact| fact.name == "dev");
    let (lineage, actors) = (lineage(facts)?, actors(facts)?);
    let expected = 8 + usize::from(dev) + lineage.len() + actors.len();
    if profile.terms.first() != Some(&Term::text(PROFILE)) || facts.len() != expected {
        return Err(Reason::ProfileFacts);
    }
    if dev && single(facts, "dev")?.terms != [Term::Flag(true)] {
        return Err(Reason::ProfileFacts);
    }
    let text = |name| match single(facts, name)?.terms.as_slice() {
        [Term::Text(text)] if !text.is_empty() => Ok(text.to_string()),
        _ => Err(Reason::ProfileFacts),
    };
    let [Term::Date(issued)] = single(facts, "issued")?.terms.as_slice() else { return Err(Reason::ProfileFacts) };
    let authority = Authority {
        task: TaskId::from_slice(bytes(facts, "task")?).ok_or(Reason::ProfileFacts)?,
        issued: *issued,
        issuer: text("issuer")?,
        subject: text("subject")?,
        actors,
        lineage,
        dev,
    };
    let holder = holder(facts, decode)?;
    let entry = EntryId::from_slice(bytes(facts, "entry")?).ok_or(Reason::ProfileFacts)?;
    Ok((authority, Maker::Issuer { agent: text("agent")?, holder, entry }, holder))
}

/// One key, one thumbprint or the word that there is none, never two of them: two holders would be two answers to who may
/// present the token. That nobody holds it is said, so that no minter says so by forgetting the holder.
fn holder(facts: &[Predicate], decode: impl FnOnce(&[u8]) -> Result<PublicKey, Reason>) -> Result<Holder, Reason> {
    if facts.iter().any(|fact| fact.name == "bearer") {
        let said = single(facts, "bearer")?.terms == [Term::Flag(true)];
        return if said { Ok(Holder::Bearer) } else { Err(Reason::ProfileFacts) };
    }
    if facts.iter().any(|fact| fact.name == "holder_jkt") {
        let thumbprint = bytes(facts, "holder_jkt")?.try_into().map_err(|_| Reason::ProfileFacts)?;
        return Ok(Holder::Thumbprint(thumbprint));
    }
    decode(bytes(facts, "holder")?).map(Holder::Key)
}

fn lineage(facts: &[Predicate]) -> Result<Vec<BlockId>, Reason> {
    let mut lineage = Vec::new();
    for fact in facts.iter().filter(|fact| fact.name == "from") {
        let [Term::Bytes(id)] = fact.terms.as_slice() else { return Err(Reason::ProfileFacts) };
        let id = BlockId::from_slice(id).ok_or(Reason::ProfileFacts)?;
        if lineage.contains(&id) || lineage.len() >= MAX_LINEAGE {
            return Err(Reason::ProfileFacts);
        }
        lineage.push(id);
    }
    Ok(lineage)
}

/// Numbered from 1 without a gap, both sorts together, since facts have no order of their own.
fn actors(facts: &[Predicate]) -> Result<Vec<EarlierActor>, Reason> {
    let mut actors = BTreeMap::new();
    for fact in facts.iter().filter(|fact| matches!(&*fact.name, "actor" | "actor_named")) {
        let [Term::Integer(index), Term::Text(name)] = fact.terms.as_slice() else { return Err(Reason::ProfileFacts) };
        let actor = EarlierActor { name: name.to_string(), attested: fact.name == "actor" };
        if name.is_empty() || actors.insert(*index, actor).is_some() {
            return Err(Reason::ProfileFacts);
        }
    }
    let consecutive = actors.keys().copied().eq((1..).take(actors.len()));
    if consecutive && actors.len() <= MAX_ACTORS { Ok(actors.into_values().collect()) } else { Err(Reason::ProfileFacts) }
}

fn bytes<'a>(facts: &'a [Predicate], name: &str) -> Result<&'a [u8], Reason> {
    match single(facts, name)?.terms.as_slice() {
        [Term::Bytes(bytes)] => Ok(bytes),
        _ => Err(Reason::ProfileFacts),
    }
}

fn single<'a>(facts: &'a [Predicate], name: &str) -> Result<&'a Predicate, Reason> {
    let mut found = facts.iter().filter(|fact| fact.name == name);
    match (found.next(), found.next()) {
        (Some(fact), None) => Ok(fact),
        _ => Err(Reason::ProfileFacts),
    }
}

/// Two whole tokens: a token has at most 16 blocks.
const MAX_LINEAGE: usize = 32;
/// A chain of delegation that is longer than this before it reaches us is refused where it comes in.
pub(super) const MAX_ACTORS: usize = 8;
