//! Salted commitments: a leaf binds a field without showing it, and a deletable disclosure opens it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::json::Value;

/// SHA-256 over the canonical JSON of `[salt, name, value]`, as it stands in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment([u8; 32]);

/// Sixteen random bytes, fresh for every field: without them, a guess at the value could be tried against the leaf.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

/// What opens one commitment of one leaf. It is kept apart from the leaf so that it can be deleted.
#[derive(Clone, PartialEq, Eq)]
pub struct Disclosure {
    /// The field's name: `chain/0`, `chain/1`, … for the principal chain, else the member of `c`.
    pub name: String,
    /// The salt used.
    pub salt: Salt,
    /// The field's value.
    pub value: Value,
}

/// Commits to a field's name and value under a salt.
pub fn commit(salt: &Salt, name: &str, value: &Value) -> Commitment {
    Commitment(Value::digest_of([&Value::Text(salt.to_string()), &Value::Text(name.to_owned()), value]))
}

impl Disclosure {
    /// True when this is what `commitment` was made from.
    pub fn opens(&self, commitment: &Commitment) -> bool {
        commit(&self.salt, &self.name, &self.value) == *commitment
    }
}

impl Salt {
    /// The salt with these bytes; they must come from the system's random source.
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The salt in `bytes`, or `None` unless they are exactly 16.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl core::fmt::Display for Salt {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// Prints nothing of the salt: with it, a withheld value could be guessed from a log line.
impl core::fmt::Debug for Salt {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str("Salt")
    }
}

/// Prints the name alone: value and salt are what a disclosure protects.
impl core::fmt::Debug for Disclosure {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.debug_struct("Disclosure").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Commitment {
    /// Reads unpadded base64url of exactly 32 bytes, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        // 43 characters are 32 bytes: longer text is refused before it is decoded.
        if text.len() != 43 {
            return None;
        }
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl core::fmt::Display for Commitment {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Serialize for Commitment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Commitment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a commitment"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disclosure(salt: u8, name: &str, value: &str) -> Disclosure {
        Disclosure { name: name.to_owned(), salt: Salt::new([salt; 16]), value: Value::Text(value.to_owned()) }
    }

    /// The digest was computed with Python's `hashlib` over the text that stands before it.
    #[test]
    fn a_commitment_is_the_documented_digest() {
        let salt = Salt::new([1; 16]);
        let commitment = commit(&salt, "chain/0", &Value::Text("alice".to_owned()));
        let example = format!("```commitment\n[\"{salt}\",\"chain/0\",\"alice\"]\n{commitment}\n```");
        assert!(include_str!("../../../docs/audit-log.md").contains(&example), "{example}");
        assert_eq!(Commitment::parse(&commitment.to_string()), Some(commitment));
        assert_eq!(Commitment::parse(&format!("{commitment}=")), None);
    }

    #[test]
    fn only_the_same_salt_name_and_value_open_it() {
        let alice = disclosure(1, "chain/0", "alice");
        let commitment = commit(&alice.salt, &alice.name, &alice.value);
        assert!(alice.opens(&commitment));
        for other in [disclosure(2, "chain/0", "alice"), disclosure(1, "chain/1", "alice"), disclosure(1, "chain/0", "bob")] {
            assert!(!other.opens(&commitment));
        }
    }

    #[test]
    fn debug_text_shows_neither_value_nor_salt() {
        let text = format!("{:?}", disclosure(1, "chain/0", "alice"));
        assert!(text.contains("chain/0") && !text.contains("alice") && !text.contains('1'), "{text}");
    }
}
