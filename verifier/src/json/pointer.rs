//! JSON pointers (RFC 6901) to values among the arguments of a call.

use super::{Key, Value};

/// A pointer, split once so that following it allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    text: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    key: Key,
    index: Option<usize>,
}

impl Pointer {
    /// Reads a pointer: empty, or tokens that each begin with `/` and in which `~` is only `~0` or `~1`. At most 256
    /// bytes; else `None`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let mut tokens = text.split('/');
        if tokens.next() != Some("") {
            return None;
        }
        let steps = tokens.map(Step::parse).collect::<Option<_>>()?;
        Some(Self { text: text.to_owned(), steps })
    }

    /// The arguments themselves.
    pub fn root() -> Self {
        Self::default()
    }

    /// The pointer's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it points at the arguments themselves.
    pub fn is_root(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many members or elements it passes through.
    pub fn depth(&self) -> usize {
        self.steps.len()
    }

    /// What it points at, if that exists. An element of an array is named by its index without leading zeros.
    pub fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(root, |value, step| match value {
            Value::Object(members) => members.get(&step.key),
            Value::Array(items) => items.get(step.index?),
            _ => None,
        })
    }
}

impl Step {
    fn parse(token: &str) -> Option<Self> {
        let mut key = String::with_capacity(token.len());
        let mut characters = token.chars();
        while let Some(character) = characters.next() {
            key.push(match character {
                '~' => match characters.next()? {
                    '0' => '~',
                    '1' => '/',
                    _ => return None,
                },
                other => other,
            });
        }
        let digits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
        let index = if digits { token.parse().ok() } else { None };
        Some(Self { key: Key(key), index })
    }
}

const MAX_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn a_pointer_finds_members_and_elements_and_nothing_else() {
        let value = parse(br#"{"a":[{"b/c":1},2],"~":3,"":{"":4},"0":5}"#, Limits::ARGUMENTS).unwrap();
        let find = |text: &str| Pointer::parse(text).unwrap().find(&value).cloned();
        assert_eq!(find(""), Some(value.clone()));
        for (text, number) in [("/a/0/b~1c", 1), ("/a/1", 2), ("/~0", 3), ("//", 4), ("/0", 5)] {
            assert_eq!(find(text), Some(Value::Integer(number)), "{text}");
        }
        for text in ["/a/2", "/a/01", "/a/-", "/a/+1", "/b", "/a/0/b", "/~0/x"] {
            assert_eq!(find(text), None, "{text}");
        }
        for text in ["a", "/~", "/~2", &"/a".repeat(129)] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }
}
