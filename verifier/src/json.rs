//! Strict JSON and its one canonical form (RFC 8785), as far as arguments, proofs and caveats need it.
//!
//! Two parties that disagree on what a text means can be played against each other, so whatever has two readings is
//! refused: a key given twice, a lone surrogate, an integer beyond 2^53-1, a decimal that a double can't hold exactly
//! enough to print back. No Unicode normalisation takes place. `1` and `1.0` are one value, `"1"` is another.

mod number;
mod parse;
mod pointer;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

pub use number::Decimal;
pub use parse::{Limits, parse};
pub use pointer::Pointer;

/// A parsed JSON value of which exactly one canonical text exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// An integer within ±(2^53-1).
    Integer(i64),
    /// A number with a fraction, of at most 15 significant digits.
    Decimal(Decimal),
    /// A string of Unicode scalar values.
    Text(String),
    /// An array.
    Array(Vec<Value>),
    /// An object, ordered as RFC 8785 orders keys.
    Object(BTreeMap<Key, Value>),
}

/// An object key, ordered by UTF-16 code units (RFC 8785 §3.2.3) and not by Unicode scalar values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(pub String);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        // UTF-8 orders as UTF-16 does but for one case: surrogate pairs come before U+E000 to U+FFFF
        let differing = self.0.bytes().zip(other.0.bytes()).find(|(one, two)| one != two);
        match differing {
            None => self.0.len().cmp(&other.0.len()),
            Some((one, two)) if one >= 0xee && two >= 0xee && (one >= 0xf0) != (two >= 0xf0) => two.cmp(&one),
            Some((one, two)) => one.cmp(&two),
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Value {
    /// The canonical text of RFC 8785.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    /// SHA-256 over the canonical text: the `args_digest` of a call.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.canonical().as_bytes()).into()
    }

    /// The members when this is an object.
    pub fn as_object(&self) -> Option<&BTreeMap<Key, Value>> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The text when this is a string.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Builds an object from members; a later member of the same name replaces an earlier one.
    pub fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
        Value::Object(members.into_iter().map(|(name, value)| (Key(name.to_owned()), value)).collect())
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Flag(true) => out.push_str("true"),
            Value::Flag(false) => out.push_str("false"),
            Value::Integer(number) => out.push_str(&number.to_string()),
            Value::Decimal(number) => out.push_str(number.as_str()),
            Value::Text(text) => write_string(text, out),
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Value::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write_string(&key.0, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// RFC 8785 §3.2.2.2: two-character escapes where JSON has them, `\u00xx` for other control characters, nothing else.
fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{9}' => out.push_str("\\t"),
            '\u{a}' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\u{d}' => out.push_str("\\r"),
            control if (control as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
