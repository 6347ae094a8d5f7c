//! Typed caveats: the closed vocabulary of what a token can demand of a call.
//!
//! All caveats of all blocks must hold, so adding one can only narrow (law L1). Each has a JSON form, one rendering as a
//! Datalog check and a sentence for people. A verifier reads checks back into caveats and refuses what it can't read.

mod describe;
mod json;
mod read;
mod render;

use std::collections::BTreeSet;

use crate::Reason;

pub use json::{parse_list, to_list};

/// One condition on a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caveat {
    /// The tool is one of these, or begins with one of these prefixes.
    Tools(Tools),
    /// When the tool is called, one of its arguments must match.
    Argument(Argument),
    /// When the tool is called, an object among its arguments has no members but these.
    ClosedArguments(ClosedArguments),
    /// The verifier is one of these audiences.
    Audience(BTreeSet<String>),
    /// Seconds since the Unix epoch from which on the token is no longer accepted.
    Expires(u64),
    /// The most hops that may follow the authority block, in the whole chain.
    Depth(u32),
}

/// The tools that a grant covers. At least one name or prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Exact names, compared byte by byte.
    pub names: BTreeSet<String>,
    /// Prefixes of names.
    pub prefixes: BTreeSet<String>,
}

/// A condition on one argument of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The exact name of the tool.
    pub tool: String,
    /// Where the argument is: a JSON pointer (RFC 6901) into the call's arguments.
    pub path: String,
    /// What it must be. A missing argument never matches.
    pub is: Matcher,
}

/// What an argument must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matcher {
    /// This value.
    Exact(Scalar),
    /// One of these values, of which there is at least one.
    OneOf(BTreeSet<Scalar>),
    /// An integer within these inclusive bounds; a side may be open.
    Range {
        /// The smallest value accepted.
        min: Option<i64>,
        /// The largest value accepted.
        max: Option<i64>,
    },
    /// A text that begins so.
    Prefix(String),
}

/// A value that an argument is compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// A boolean.
    Flag(bool),
    /// An integer within ±(2^53-1).
    Integer(i64),
    /// A text.
    Text(String),
}

/// A closed-world condition on one object among the arguments of one tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedArguments {
    /// The exact name of the tool.
    pub tool: String,
    /// JSON pointer to the object; empty for the arguments themselves.
    pub at: String,
    /// The member names that may occur.
    pub names: BTreeSet<String>,
}

impl Caveat {
    /// The reason that a call gets which fails this caveat.
    pub fn refusal(&self) -> Reason {
        match self {
            Caveat::Tools(_) => Reason::ToolNotGranted,
            Caveat::Argument(_) => Reason::ArgumentRefused,
            Caveat::ClosedArguments(_) => Reason::ArgumentNotListed,
            Caveat::Audience(_) => Reason::WrongAudience,
            Caveat::Expires(_) => Reason::Expired,
            Caveat::Depth(_) => Reason::HopDepth,
        }
    }

    /// The stable name of the kind, as in its JSON form.
    pub fn kind(&self) -> &'static str {
        match self {
            Caveat::Tools(_) => "tools",
            Caveat::Argument(_) => "arg",
            Caveat::ClosedArguments(_) => "closed_args",
            Caveat::Audience(_) => "audience",
            Caveat::Expires(_) => "expires",
            Caveat::Depth(_) => "depth",
        }
    }
}

impl Tools {
    /// Whether a tool of this name is covered.
    pub fn cover(&self, tool: &str) -> bool {
        self.names.contains(tool) || self.prefixes.iter().any(|prefix| tool.starts_with(prefix.as_str()))
    }

    /// Whether everything that `self` covers is covered by `other` too.
    pub fn within(&self, other: &Tools) -> bool {
        self.names.iter().all(|name| other.cover(name))
            && self.prefixes.iter().all(|prefix| other.prefixes.iter().any(|wider| prefix.starts_with(wider.as_str())))
    }
}

impl Matcher {
    /// Whether every value that `self` accepts is provably accepted by `other` too.
    pub fn within(&self, other: &Matcher) -> bool {
        match (self, other) {
            (Matcher::Exact(value), other) => other.accepts(value),
            (Matcher::OneOf(values), other) => values.iter().all(|value| other.accepts(value)),
            (Matcher::Range { min, max }, Matcher::Range { min: wider_min, max: wider_max }) => {
                wider_min.is_none_or(|wider| min.is_some_and(|min| min >= wider))
                    && wider_max.is_none_or(|wider| max.is_some_and(|max| max <= wider))
            }
            (Matcher::Prefix(prefix), Matcher::Prefix(wider)) => prefix.starts_with(wider.as_str()),
            (Matcher::Range { .. } | Matcher::Prefix(_), _) => false,
        }
    }

    fn accepts(&self, value: &Scalar) -> bool {
        match (self, value) {
            (Matcher::Exact(expected), value) => expected == value,
            (Matcher::OneOf(values), value) => values.contains(value),
            (Matcher::Range { min, max }, Scalar::Integer(number)) => {
                min.is_none_or(|min| *number >= min) && max.is_none_or(|max| *number <= max)
            }
            (Matcher::Prefix(prefix), Scalar::Text(text)) => text.starts_with(prefix.as_str()),
            (Matcher::Range { .. } | Matcher::Prefix(_), _) => false,
        }
    }
}

#[cfg(test)]
mod tests;
