//! Texts that look like a pattern with `*` and `?`.

use core::str::Chars;

use super::MAX_TEXT;
use crate::{Reason, caveat::describe::quote, json::Value};

/// A pattern for whole texts: `*` is any run of characters, `?` any one character, `\` takes the special meaning away.
///
/// A run takes `/` and `.` too, so for paths use [`Subpath`](super::Subpath) and for hosts [`Url`](super::Url).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Character(char),
    One,
    Run,
}

impl Glob {
    /// Reads a text of 1 to 256 bytes with at most 8 stars, no two of them side by side.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, also for `\` before anything but `*`, `?` and `\`.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let source = value.as_text().filter(|text| (1..=MAX_PATTERN).contains(&text.len())).ok_or(Reason::CaveatMalformed)?;
        let mut parts = Vec::new();
        let mut characters = source.chars();
        while let Some(character) = characters.next() {
            parts.push(match character {
                '*' if parts.last() == Some(&Part::Run) => return Err(Reason::CaveatMalformed),
                '*' => Part::Run,
                '?' => Part::One,
                '\\' => {
                    let escaped = characters.next().filter(|next| matches!(next, '*' | '?' | '\\'));
                    Part::Character(escaped.ok_or(Reason::CaveatMalformed)?)
                }
                other => Part::Character(other),
            });
        }
        let runs = parts.iter().filter(|part| **part == Part::Run).count();
        if runs > MAX_RUNS { Err(Reason::CaveatMalformed) } else { Ok(Self { source: source.to_owned(), parts }) }
    }

    /// The pattern as it was given.
    pub fn to_json(&self) -> Value {
        Value::Text(self.source.clone())
    }

    /// Whether the whole text looks like the pattern; `None` only for one of more than 4,096 bytes.
    pub fn test(&self, text: &str) -> Option<bool> {
        (text.len() <= MAX_TEXT).then(|| looks_like(&self.parts, text))
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        format!("a text like {}", quote(&self.source))
    }
}

/// Takes characters greedily and, on a mismatch, lets the latest run take one character more.
///
/// An earlier run never has to be looked at again: whatever the latest run could reach from a later start, it reaches
/// from here. So the place where the latest run ends only moves forward, at most once for each character of the text, and
/// between two moves at most every part is compared: no more than (4,096 + 1) × (256 + 1) steps for any pattern and text.
fn looks_like(parts: &[Part], text: &str) -> bool {
    let (mut parts, mut rest) = (parts, text.chars());
    let mut latest_run: Option<(&[Part], Chars<'_>)> = None;
    loop {
        match parts.split_first() {
            Some((Part::Run, after)) => {
                latest_run = Some((after, rest.clone()));
                parts = after;
                continue;
            }
            Some((part, after)) => {
                let mut ahead = rest.clone();
                // a run that takes more leaves even less text for the parts after it
                let Some(character) = ahead.next() else { return false };
                if *part == Part::One || *part == Part::Character(character) {
                    (parts, rest) = (after, ahead);
                    continue;
                }
            }
            None if rest.as_str().is_empty() => return true,
            None => {}
        }
        let Some((after, end)) = &mut latest_run else { return false };
        if end.next().is_none() {
            return false;
        }
        (parts, rest) = (after, end.clone());
    }
}

const MAX_PATTERN: usize = 256;
const MAX_RUNS: usize = 8;

#[cfg(test)]
mod tests {
    use super::{super::tests::json, *};

    fn glob(pattern: &str) -> Result<Glob, Reason> {
        Glob::from_json(&Value::Text(pattern.to_owned()))
    }

    #[test]
    fn whole_texts_are_compared_with_the_pattern() {
        for (pattern, text, expected) in [
            ("db-*-prod", "db-eu-prod", true),
            ("db-*-prod", "db--prod", true),
            ("db-*-prod", "db-prod", false),
            ("db-*-prod", "db-eu-prod-2", false),
            ("db-*-prod", "xdb-eu-prod", false),
            ("db-*-prod", "DB-eu-prod", false),
            ("*", "", true),
            ("*", "a/b/../c\nd", true),
            ("?", "", false),
            ("?", "é", true),
            ("?", "e\u{301}", false),
            ("?", "\u{1f600}", true),
            ("a?c", "a/c", true),
            ("*a", "aab", false),
            ("*a", "aba", true),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("a*b*c", "abbbcbc", true),
            ("a*bc*d?", "abcbcdd", true),
            ("?*?", "a", false),
            (r"\*\?\\", r"*?\", true),
            (r"\*", "a", false),
            ("[a-c]", "b", false),
            ("[a-c]", "[a-c]", true),
            ("a", "a\0", false),
        ] {
            assert_eq!(glob(pattern).unwrap().test(text), Some(expected), "{pattern} {text}");
        }
    }

    #[test]
    fn patterns_with_a_second_reading_are_refused() {
        for pattern in ["", "a**", r"\a", r"a\", r"\n", r"\[", &"*a".repeat(9), &"x".repeat(257)] {
            assert_eq!(glob(pattern), Err(Reason::CaveatMalformed), "{pattern}");
        }
        assert!(glob(&"*a".repeat(8)).is_ok());
        assert!(glob(r"*\**").is_ok());
        assert!(glob(&"x".repeat(256)).is_ok());
        assert_eq!(Glob::from_json(&Value::Integer(1)), Err(Reason::CaveatMalformed));
        assert_eq!(Glob::from_json(&json(r#"["a"]"#)), Err(Reason::CaveatMalformed));
    }

    #[test]
    fn a_text_made_to_be_slow_is_answered() {
        let slow = glob(&format!("{}*a{}b", "*a".repeat(6), "a".repeat(200))).unwrap();
        assert_eq!(slow.test(&"a".repeat(MAX_TEXT)), Some(false));
        assert_eq!(slow.test(&format!("{}b", "a".repeat(MAX_TEXT - 1))), Some(true));
    }
}
