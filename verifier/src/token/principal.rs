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
        let issuer = |role, name| Principal { role, name, word: Word::Issuer };
        let mut chain = vec![issuer(Role::Subject, self.authority.subject.as_str())];
        chain.extend(self.authority.actors.iter().map(|actor| issuer(Role::Actor, actor)));
        let mut delegator = "";
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
