//! The composite principal: everybody in whose name a token speaks, and whose word each name is.

use super::{Maker, VerifiedToken};

/// One name of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal<'a> {
    /// Its place in the chain.
    pub role: Role,
    /// The name.
    pub name: &'a str,
    /// Who says so.
    pub word: Word<'a>,
}

/// Somebody through whom an authority came before the agent that a token is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierActor {
    /// The name.
    pub name: String,
    /// Whether the issuer verified whoever has the name, or took it from a token that it trusts. Otherwise a delegator chose it,
    /// in a hop of the token that this one was made from.
    pub attested: bool,
}

impl EarlierActor {
    /// A name by the issuer's word.
    pub fn attested(name: impl Into<String>) -> Self {
        Self { name: name.into(), attested: true }
    }

    /// A name by the word of whoever comes before.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), attested: false }
    }
}

/// What somebody is in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person or workload whose authority it is.
    Subject,
    /// Somebody through whom the authority came before the first agent. For information alone.
    Actor,
    /// An agent that the token names, the first by the authority block.
    Agent,
}

/// Whose word a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// The issuer's: it verified whoever it names, or took the name from a token that it verified.
    Issuer,
    /// The delegator's of this name, and nobody else's.
    Delegator(&'a str),
}

impl VerifiedToken {
    /// The chain: subject, earlier actors, agents.
    pub fn chain(&self) -> Vec<Principal<'_>> {
        let subject = self.authority.subject.as_str();
        let mut chain = vec![Principal { role: Role::Subject, name: subject, word: Word::Issuer }];
        let mut delegator = subject;
        for actor in &self.authority.actors {
            let word = if actor.attested { Word::Issuer } else { Word::Delegator(delegator) };
            chain.push(Principal { role: Role::Actor, name: &actor.name, word });
            delegator = &actor.name;
        }
        for block in &self.blocks {
            let (name, word) = match &block.maker {
                Maker::Issuer { agent, .. } => (agent, Word::Issuer),
                Maker::Delegator { agent, signer, .. } if *signer == self.root.key => (agent, Word::Issuer),
                Maker::Delegator { agent, .. } => (agent, Word::Delegator(delegator)),
                Maker::Anyone => continue,
            };
            chain.push(Principal { role: Role::Agent, name, word });
            delegator = name;
        }
        chain
    }
}
