//! Which predicates exist, and the one type of each of their arguments.

/// The type of an argument position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A signed 64-bit integer.
    Integer,
    /// A string.
    Text,
    /// Seconds since the Unix epoch.
    Date,
    /// Bytes.
    Bytes,
    /// A boolean.
    Flag,
    /// Null.
    Null,
    /// A set of strings.
    Texts,
}

/// A predicate: its name and the type of each argument.
#[derive(Clone, Copy, Debug)]
pub struct Signature {
    /// The predicate's name.
    pub name: &'static str,
    /// The type of each argument, in order.
    pub types: &'static [Type],
}

/// A closed list of predicates.
pub type Vocabulary = &'static [Signature];

/// What a check may ask for: first the facts of the call, then those of the state. They are refused as facts of any
/// block, else a block could satisfy its own check.
pub const CHECK_FACTS: Vocabulary = &[
    Signature { name: "tool", types: &[Type::Text] },
    Signature { name: "time", types: &[Type::Date] },
    Signature { name: "audience", types: &[Type::Text] },
    Signature { name: "depth", types: &[Type::Integer] },
    Signature { name: "arg_text", types: &[Type::Text, Type::Text] },
    Signature { name: "arg_int", types: &[Type::Text, Type::Integer] },
    Signature { name: "arg_decimal", types: &[Type::Text, Type::Text] },
    Signature { name: "arg_flag", types: &[Type::Text, Type::Flag] },
    Signature { name: "arg_null", types: &[Type::Text] },
    Signature { name: "arg_items", types: &[Type::Text, Type::Texts] },
    Signature { name: "arg_array", types: &[Type::Text, Type::Texts] },
    Signature { name: "arg_count", types: &[Type::Text, Type::Integer] },
    Signature { name: "arg_names", types: &[Type::Text, Type::Texts] },
    Signature { name: "arg_any", types: &[Type::Text, Type::Text] },
    // from here on: the state
    Signature { name: "calls", types: &[Type::Text, Type::Integer, Type::Integer] },
    Signature { name: "uses", types: &[Type::Text, Type::Integer] },
    Signature { name: "spend", types: &[Type::Text, Type::Text, Type::Text, Type::Text] },
    Signature { name: "history", types: &[Type::Texts] },
    Signature { name: "labels", types: &[Type::Texts] },
    Signature { name: "approvals", types: &[Type::Text, Type::Texts, Type::Integer] },
    Signature { name: "enforces", types: &[Type::Text, Type::Texts] },
];

/// Facts that only a verifier supplies, about the call at hand.
pub const CALL_FACTS: Vocabulary = CHECK_FACTS.split_at(FIRST_STATE_FACT).0;

/// Facts that only a service with memory, or a plane that enforces, can supply.
pub const STATE_FACTS: Vocabulary = CHECK_FACTS.split_at(FIRST_STATE_FACT).1;

const FIRST_STATE_FACT: usize = 14;

/// Facts that only blocks carry. No check may ask for them, so no block vouches for itself.
pub const PROFILE_FACTS: Vocabulary = &[
    Signature { name: "profile", types: &[Type::Text, Type::Null] },
    Signature { name: "task", types: &[Type::Bytes] },
    Signature { name: "entry", types: &[Type::Bytes] },
    Signature { name: "issuer", types: &[Type::Text] },
    Signature { name: "subject", types: &[Type::Text] },
    Signature { name: "agent", types: &[Type::Text] },
    Signature { name: "holder", types: &[Type::Bytes] },
    Signature { name: "holder_jkt", types: &[Type::Bytes] },
    Signature { name: "bearer", types: &[Type::Flag] },
    Signature { name: "actor", types: &[Type::Integer, Type::Text] },
    Signature { name: "actor_named", types: &[Type::Integer, Type::Text] },
    Signature { name: "issued", types: &[Type::Date] },
    Signature { name: "from", types: &[Type::Bytes] },
    Signature { name: "dev", types: &[Type::Flag] },
    Signature { name: "hop", types: &[Type::Integer, Type::Bytes, Type::Text, Type::Bytes] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_checks_and_of_the_profile_are_disjoint() {
        assert_eq!(CALL_FACTS.last().map(|fact| fact.name), Some("arg_any"));
        assert_eq!(STATE_FACTS.first().map(|fact| fact.name), Some("calls"));
        for call in CHECK_FACTS {
            assert_eq!(CHECK_FACTS.iter().filter(|other| other.name == call.name).count(), 1, "{}", call.name);
            assert!(PROFILE_FACTS.iter().all(|profile| profile.name != call.name), "{}", call.name);
        }
    }
}
