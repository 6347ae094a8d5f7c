//! Texts that look like a pattern with `*` and `?`.

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
    /// A byte of a literal character.
    Byte(u8),
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
            let literal = match character {
                '*' if parts.last() == Some(&Part::Run) => return Err(Reason::CaveatMalformed),
                '*' | '?' => {
                    parts.push(if character == '*' { Part::Run } else { Part::One });
                    continue;
                }
                '\\' => characters.next().filter(|next| matches!(next, '*' | '?' | '\\')).ok_or(Reason::CaveatMalformed)?,
                other => other,
            };
            parts.extend(literal.encode_utf8(&mut [0; 4]).bytes().map(Part::Byte));
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
        // most patterns fit one word, and clearing the wide form's table would be most of their work
        let looks_like = if self.parts.len() < 64 { looks_like::<1> } else { looks_like::<MAX_WORDS> };
        (text.len() <= MAX_TEXT).then(|| looks_like(&self.parts, text))
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        format!("a text like {}", quote(&self.source))
    }
}

/// Follows all ways to match at once: a bit says that a way leads to that place of the pattern.
///
/// Backtracking would let a pattern like `*aaa…b` compare every place of a long text with every part, a thousand times the
/// work of an honest one. Here each byte of the text costs one step a word, so no pattern and text take more than
/// 4,096 × 5 of them, beside at most 256 to lay out the pattern.
fn looks_like<const WORDS: usize>(parts: &[Part], text: &str) -> bool {
    let (mut words, mut wanted) = ([Word::default(); WORDS], [[0_u64; WORDS]; 256]);
    let mut place = 0;
    for part in parts {
        let (Some(word), bit) = (words.get_mut(place / 64), 1 << (place % 64)) else { return false };
        match part {
            Part::Run => {
                word.run |= bit;
                continue;
            }
            Part::One => word.one |= bit,
            Part::Byte(byte) => {
                let row = wanted.get_mut(usize::from(*byte)).and_then(|row| row.get_mut(place / 64));
                row.into_iter().for_each(|row| *row |= bit);
            }
        }
        place += 1;
    }
    words.first_mut().into_iter().for_each(|first| first.reached = 1);
    for byte in text.bytes() {
        let Some(row) = wanted.get(usize::from(byte)) else { return false };
        // bytes after the first of a character: a `?` has taken that one and takes them too
        let continues = byte & 0xc0 == 0x80;
        let (mut carried, mut carried_one, mut alive) = (0, 0, 0);
        for (word, wanted) in words.iter_mut().zip(row) {
            let after_one = word.one << 1 | carried_one;
            carried_one = word.one >> 63;
            let (moves, stays) = if continues { (*wanted, word.run | after_one) } else { (wanted | word.one, word.run) };
            let moved = word.reached & moves;
            word.reached = moved << 1 | carried | (word.reached & stays);
            carried = moved >> 63;
            alive |= word.reached;
        }
        if alive == 0 {
            return false;
        }
    }
    words.get(place / 64).is_some_and(|word| word.reached & 1 << (place % 64) != 0)
}

/// 64 places of a pattern, a bit each. A place lies before a part that takes something, the last one after all.
#[derive(Clone, Copy, Default)]
struct Word {
    /// Some way leads here.
    reached: u64,
    /// What stands here is `?`.
    one: u64,
    /// A run is here, so that a way may stay.
    run: u64,
}

/// One place more than a pattern has bytes.
const MAX_WORDS: usize = MAX_PATTERN / 64 + 1;
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
    fn a_question_mark_takes_the_whole_character_and_no_more() {
        for (pattern, text, expected) in [
            ("??", "é", false),
            ("??", "éé", true),
            ("?\u{301}", "e\u{301}", true),
            ("é?", "é\u{1f600}", true),
            ("?é", "é", false),
            ("*?", "\u{1f600}", true),
            ("*?é", "é", false),
            ("?*?", "é\u{1f600}", true),
            ("?*?", "\u{1f600}", false),
        ] {
            assert_eq!(glob(pattern).unwrap().test(text), Some(expected), "{pattern} {text}");
        }
    }

    #[test]
    fn places_beyond_one_word_are_followed_too() {
        for length in [62, 63, 64, 65, 127, 128, 129, 191, 192, 193, 254, 255, 256] {
            let (literal, ones) = (glob(&"a".repeat(length)).unwrap(), glob(&"?".repeat(length)).unwrap());
            for (text, expected) in [(length - 1, false), (length, true), (length + 1, false)] {
                assert_eq!(literal.test(&"a".repeat(text)), Some(expected), "{length} {text}");
                assert_eq!(ones.test(&"\u{1f600}".repeat(text)), Some(expected), "{length} {text}");
            }
            let run = glob(&format!("{}*", "a".repeat(length - 1))).unwrap();
            assert_eq!(run.test(&"a".repeat(length - 2)), Some(false), "{length}");
            assert_eq!(run.test(&"a".repeat(length + 300)), Some(true), "{length}");
        }
    }

    #[test]
    fn a_text_made_to_be_slow_is_answered() {
        let slow = glob(&format!("{}*a{}b", "*a".repeat(6), "a".repeat(200))).unwrap();
        assert_eq!(slow.test(&"a".repeat(MAX_TEXT)), Some(false));
        assert_eq!(slow.test(&format!("{}b", "a".repeat(MAX_TEXT - 1))), Some(true));
    }
}
