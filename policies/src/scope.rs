//! Scopes: names that a pack gives to sets of tools, for clients that ask in no other way.

use std::collections::{BTreeMap, BTreeSet};

use narrows_verifier::{Reason, caveat::Tools};

use crate::tools::union;

/// Reads the `scope` parameter: scope tokens with single spaces between them (RFC 6749 §3.3).
///
/// # Errors
/// `SCOPE_MALFORMED`, also for more than 64 tokens and for one of more than 128 bytes.
pub fn parse_scopes(text: &str) -> Result<BTreeSet<String>, Reason> {
    let mut scopes = BTreeSet::new();
    for (number, token) in text.split(' ').enumerate() {
        if number >= MAX_ASKED || !is_scope_token(token) {
            return Err(Reason::ScopeMalformed);
        }
        scopes.insert(token.to_owned());
    }
    Ok(scopes)
}

/// The tools of each scope of a pack.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scopes(pub(crate) BTreeMap<String, Tools>);

impl Scopes {
    /// The tools of a scope that was asked for.
    ///
    /// # Errors
    /// `SCOPE_UNKNOWN`: to leave an unknown scope out would be to grant less than was asked for in silence.
    pub(crate) fn of(&self, name: &str) -> Result<&Tools, Reason> {
        self.0.get(name).ok_or(Reason::ScopeUnknown)
    }

    /// The tools of those of the named scopes that the pack has. Others are somebody else's words and stand for nothing.
    pub(crate) fn known<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> Tools {
        names.into_iter().filter_map(|name| self.0.get(name)).fold(Tools::default(), |tools, more| union(&tools, more))
    }

    /// The scopes whose tools are all granted.
    pub(crate) fn granted(&self, covers: impl Fn(&Tools) -> bool) -> BTreeSet<String> {
        self.0.iter().filter(|(_, tools)| covers(tools)).map(|(name, _)| name.clone()).collect()
    }
}

/// `scope-token` of RFC 6749 §3.3, of a length that a pack and an answer can hold.
pub(crate) fn is_scope_token(token: &str) -> bool {
    (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

const MAX_ASKED: usize = 64;
const MAX_TOKEN: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_by_the_grammar_of_rfc_6749_alone() {
        let read = |text: &str| parse_scopes(text).map(|scopes| scopes.into_iter().collect::<Vec<_>>().join("|"));
        for (text, expected) in [("crm:read", "crm:read"), ("b a b", "a|b"), ("!#[]~ urn:x/y?z=1", "!#[]~|urn:x/y?z=1")] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", " ", " a", "a ", "a  b", "a\tb", "a\nb", "a\"", "a\\b", "é", "a\u{7f}", "a\0", "a\r\nset-cookie:x"] {
            assert_eq!(read(text), Err(Reason::ScopeMalformed), "{text:?}");
        }
        let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert!(read(&many(64)).is_ok() && read(&"x".repeat(128)).is_ok());
        assert_eq!(read(&many(65)), Err(Reason::ScopeMalformed));
        assert_eq!(read(&"a ".repeat(100_000)), Err(Reason::ScopeMalformed));
        assert_eq!(read(&"x".repeat(129)), Err(Reason::ScopeMalformed));
    }
}
