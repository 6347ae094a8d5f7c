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

/// Facts that only a verifier supplies, about the call at hand. They are refused as facts of any block, else a block
/// could satisfy its own check.
pub const CALL_FACTS: Vocabulary = &[
    Signature { name: "tool", types: &[Type::Text] },
    Signature { name: "time", types: &[Type::Date] },
    Signature { name: "audience", types: &[Type::Text] },
    Signature { name: "depth", types: &[Type::Integer] },
    Signature { name: "arg_text", types: &[Type::Text, Type::Text] },
    Signature { name: "arg_int", types: &[Type::Text, Type::Integer] },
    Signature { name: "arg_decimal", types: &[Type::Text, Type::Text] },
    Signature { name: "arg_flag", types: &[Type::Text, Type::Flag] },
    Signature { name: "arg_null", types: &[Type::Text] },
    Signature { name: "arg_names", types: &[Type::Text, Type::Texts] },
];

/// Facts that only blocks carry. No check may ask for them, so no block vouches for itself.
pub const PROFILE_FACTS: Vocabulary = &[
    Signature { name: "profile", types: &[Type::Text, Type::Null] },
    Signature { name: "task", types: &[Type::Bytes] },
    Signature { name: "entry", types: &[Type::Bytes] },
    Signature { name: "issuer", types: &[Type::Text] },
    Signature { name: "subject", types: &[Type::Text] },
    Signature { name: "agent", types: &[Type::Text] },
    Signature { name: "holder", types: &[Type::Bytes] },
    Signature { name: "dev", types: &[Type::Flag] },
    Signature { name: "hop", types: &[Type::Integer, Type::Bytes, Type::Text, Type::Bytes] },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_facts_and_profile_facts_are_disjoint() {
        for call in CALL_FACTS {
            assert!(PROFILE_FACTS.iter().all(|profile| profile.name != call.name), "{}", call.name);
        }
    }
}
