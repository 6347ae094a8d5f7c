//! A policy pack: ordered rules, read once and checked whole before the first decision.

mod read;

use std::collections::BTreeSet;

use narrows_verifier::{Caveat, caveat::Tools};
use sha2::{Digest, Sha256};

pub use read::MAX_LIFE_SECONDS;

use crate::{PackError, condition::Condition, scope::Scopes};

/// The pack of the demo and of development mode.
pub const STARTER: &str = include_str!("../../packs/starter.toml");
/// The cases of [`STARTER`].
pub const STARTER_CASES: &str = include_str!("../../packs/starter.cases.toml");

/// A policy pack that was read and checked. Nothing is granted but by one of its rules.
#[derive(Clone, Debug)]
pub struct Pack {
    name: String,
    digest: String,
    pub(crate) scopes: Scopes,
    pub(crate) rules: Vec<Rule>,
}

/// One rule, with the pack's limits already in it.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) when: Condition,
    pub(crate) audiences: Audiences,
    pub(crate) tools: Tools,
    pub(crate) default_tools: Option<Tools>,
    pub(crate) bearer: bool,
    pub(crate) max_life_seconds: u64,
    pub(crate) max_depth: u32,
    pub(crate) reveal_subject: bool,
    pub(crate) ceilings: Vec<Caveat>,
}

/// The audiences that a rule may grant.
#[derive(Clone, Debug)]
pub(crate) enum Audiences {
    /// Whatever the client names, so its word alone decides which tool servers accept the token.
    Any,
    /// These identifiers, byte by byte.
    These(BTreeSet<String>),
}

impl Pack {
    /// Reads a pack. Text, nesting, rules, conditions and ceilings are all bounded and checked here.
    ///
    /// # Errors
    /// `PACK_TOO_LARGE`, `PACK_MALFORMED`, `PACK_CONDITION` or `PACK_CEILING`, with rule and key.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        let (name, scopes, rules) = read::read(text)?;
        let hash = Sha256::digest(text.as_bytes());
        let digest = hash.iter().fold("sha256:".to_owned(), |digest, byte| digest + &format!("{byte:02x}"));
        Ok(Self { name, digest, scopes, rules })
    }

    /// The pack's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `sha256:` and the lower-case hex digest of the exact text, which every leaf that this pack decided carries.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The names of the scopes, as the metadata of an authorization server lists them.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.0.keys().map(String::as_str)
    }

    /// The names of the rules, in the order in which they are tried.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.name.as_str())
    }
}

impl Audiences {
    /// Those of `asked` that the rule does not grant.
    pub(crate) fn missing<'a>(&'a self, asked: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
        let granted = move |audience: &str| match self {
            Audiences::Any => true,
            Audiences::These(these) => these.contains(audience),
        };
        asked.iter().map(String::as_str).filter(move |audience| !granted(audience))
    }
}

#[cfg(test)]
mod tests;
