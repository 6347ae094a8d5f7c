//! Strict JSON and its one canonical form (RFC 8785), as far as arguments, proofs and caveats need it.
//!
//! Two parties that disagree on what a text means can be played against each other, so whatever has two readings is
//! refused: a key given twice, a lone surrogate, an integer beyond 2^53-1, a decimal that a double can't hold exactly
//! enough to print back. No Unicode normalisation takes place. `1` and `1.0` are one value, `"1"` is another.

mod number;
mod parse;
mod pointer;

use core::fmt::{self, Write};
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
        let mut text = String::with_capacity(128);
        // a String takes everything
        let _ = self.write(&mut text);
        text
    }

    /// SHA-256 over the canonical text: the `args_digest` of a call. The text itself is never built.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Hash(Sha256::new());
        let _ = self.write(&mut hash);
        hash.0.finalize().into()
    }

    /// The digest of an array of these items, none of which is copied for it.
    pub(crate) fn digest_of<const N: usize>(items: [&Value; N]) -> [u8; 32] {
        let mut text = String::with_capacity(256);
        let _ = write_array(items.into_iter(), &mut text);
        Sha256::digest(text).into()
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

    fn write<W: Write>(&self, out: &mut W) -> fmt::Result {
        match self {
            Value::Null => out.write_str("null"),
            Value::Flag(true) => out.write_str("true"),
            Value::Flag(false) => out.write_str("false"),
            Value::Integer(number) => write!(out, "{number}"),
            Value::Decimal(number) => out.write_str(number.as_str()),
            Value::Text(text) => write_string(text, out),
            Value::Array(items) => write_array(items.iter(), out),
            Value::Object(members) => {
                out.write_char('{')?;
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.write_char(',')?;
                    }
                    write_string(&key.0, out)?;
                    out.write_char(':')?;
                    value.write(out)?;
                }
                out.write_char('}')
            }
        }
    }
}

fn write_array<'a, W: Write>(items: impl Iterator<Item = &'a Value>, out: &mut W) -> fmt::Result {
    out.write_char('[')?;
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        item.write(out)?;
    }
    out.write_char(']')
}

/// RFC 8785 §3.2.2.2: two-character escapes where JSON has them, `\u00xx` for other control characters, nothing else.
fn write_string<W: Write>(text: &str, out: &mut W) -> fmt::Result {
    out.write_char('"')?;
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.write_str(plain)?;
        let mut characters = tail.chars();
        match characters.next() {
            Some('\u{8}') => out.write_str("\\b")?,
            Some('\u{9}') => out.write_str("\\t")?,
            Some('\u{a}') => out.write_str("\\n")?,
            Some('\u{c}') => out.write_str("\\f")?,
            Some('\u{d}') => out.write_str("\\r")?,
            Some(control) if u32::from(control) < 0x20 => write!(out, "\\u{:04x}", u32::from(control))?,
            Some(mark) => {
                out.write_char('\\')?;
                out.write_char(mark)?;
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.write_str(rest)?;
    out.write_char('"')
}

struct Hash(Sha256);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
