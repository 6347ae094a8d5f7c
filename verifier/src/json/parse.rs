//! A bounded JSON reader (RFC 8259) that refuses every text with two readings.

use std::collections::BTreeMap;

use super::{Key, Value, number};
use crate::Reason;

/// Bounds on a JSON text, looked at before the work that they bound.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest text in bytes.
    pub bytes: usize,
    /// Deepest nesting of arrays and objects.
    pub depth: usize,
    /// Most values in the whole text, containers included.
    pub values: usize,
}

impl Limits {
    /// Bounds for the arguments of one tool call: 64 KiB, depth 32, 1,024 values.
    pub const ARGUMENTS: Limits = Limits { bytes: 64 * 1024, depth: 32, values: 1024 };
    /// Bounds for a proof or another small signed object: 4 KiB, depth 4, 64 values.
    pub const SIGNED: Limits = Limits { bytes: 4 * 1024, depth: 4, values: 64 };
    /// Bounds for a list of caveats: 16 KiB, depth 16, 4,096 values.
    pub const CAVEATS: Limits = Limits { bytes: 16 * 1024, depth: 16, values: 4096 };
}

/// Parses one JSON text.
///
/// # Errors
/// `JSON_TOO_LARGE`, `JSON_MALFORMED`, `JSON_DUPLICATE_KEY`, `JSON_NUMBER` or `JSON_STRING`.
pub fn parse(text: &[u8], limits: Limits) -> Result<Value, Reason> {
    if text.len() > limits.bytes {
        return Err(Reason::JsonTooLarge);
    }
    let text = core::str::from_utf8(text).map_err(|_| Reason::JsonMalformed)?;
    let mut reader = Reader { rest: text, values_left: limits.values, depth_left: limits.depth };
    let value = reader.value()?;
    reader.skip_space();
    if reader.rest.is_empty() { Ok(value) } else { Err(Reason::JsonMalformed) }
}

struct Reader<'a> {
    rest: &'a str,
    values_left: usize,
    depth_left: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value, Reason> {
        self.values_left = self.values_left.checked_sub(1).ok_or(Reason::JsonTooLarge)?;
        self.skip_space();
        match self.rest.bytes().next().ok_or(Reason::JsonMalformed)? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => Ok(Value::Text(self.string()?)),
            b't' => self.word("true", Value::Flag(true)),
            b'f' => self.word("false", Value::Flag(false)),
            b'n' => self.word("null", Value::Null),
            _ => number::read(self.number()?),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Reason>) -> Result<Value, Reason> {
        self.depth_left = self.depth_left.checked_sub(1).ok_or(Reason::JsonTooLarge)?;
        let value = read(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Reason> {
        self.expect('{')?;
        let mut members = BTreeMap::new();
        if self.accept('}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let key = Key(self.string()?);
            self.expect(':')?;
            let value = self.value()?;
            if members.insert(key, value).is_some() {
                return Err(Reason::JsonDuplicateKey);
            }
            if self.accept('}') {
                return Ok(Value::Object(members));
            }
            self.expect(',')?;
        }
    }

    fn array(&mut self) -> Result<Value, Reason> {
        self.expect('[')?;
        let mut items = Vec::new();
        if self.accept(']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value()?);
            if self.accept(']') {
                return Ok(Value::Array(items));
            }
            self.expect(',')?;
        }
    }

    fn string(&mut self) -> Result<String, Reason> {
        self.rest = self.rest.strip_prefix('"').ok_or(Reason::JsonMalformed)?;
        let mut text = String::new();
        loop {
            let stop = self.rest.find(|character| character == '"' || character == '\\' || character < ' ').ok_or(Reason::JsonMalformed)?;
            let (plain, rest) = self.rest.split_at_checked(stop).ok_or(Reason::JsonMalformed)?;
            text.push_str(plain);
            self.rest = rest;
            match self.next()? {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                _ => return Err(Reason::JsonString),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Reason> {
        Ok(match self.next()? {
            '"' => '"',
            '\\' => '\\',
            '/' => '/',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.code_unit()?;
                let scalar = if (0xd800..0xdc00).contains(&first) {
                    self.rest = self.rest.strip_prefix("\\u").ok_or(Reason::JsonString)?;
                    let second = self.code_unit()?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err(Reason::JsonString);
                    }
                    0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                } else {
                    first
                };
                // a lone low surrogate is no scalar value and ends here
                char::from_u32(scalar).ok_or(Reason::JsonString)?
            }
            _ => return Err(Reason::JsonString),
        })
    }

    fn code_unit(&mut self) -> Result<u32, Reason> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(Reason::JsonString)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Reason::JsonString);
        }
        self.rest = rest;
        u32::from_str_radix(digits, 16).map_err(|_| Reason::JsonString)
    }

    /// Takes the longest text of the number grammar: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    fn number(&mut self) -> Result<&'a str, Reason> {
        let start = self.rest;
        self.accept_here('-');
        if !self.accept_here('0') && self.digits() == 0 {
            return Err(Reason::JsonMalformed);
        }
        if self.accept_here('.') && self.digits() == 0 {
            return Err(Reason::JsonMalformed);
        }
        if self.accept_here('e') || self.accept_here('E') {
            let _sign = self.accept_here('+') || self.accept_here('-');
            if self.digits() == 0 {
                return Err(Reason::JsonMalformed);
            }
        }
        start.get(..start.len() - self.rest.len()).ok_or(Reason::JsonMalformed)
    }

    fn digits(&mut self) -> usize {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(|character: char| character.is_ascii_digit());
        before - self.rest.len()
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Reason> {
        self.rest = self.rest.strip_prefix(word).ok_or(Reason::JsonMalformed)?;
        Ok(value)
    }

    fn expect(&mut self, character: char) -> Result<(), Reason> {
        if self.accept(character) { Ok(()) } else { Err(Reason::JsonMalformed) }
    }

    fn accept(&mut self, character: char) -> bool {
        self.skip_space();
        self.accept_here(character)
    }

    fn accept_here(&mut self, character: char) -> bool {
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Result<char, Reason> {
        let mut characters = self.rest.chars();
        let character = characters.next().ok_or(Reason::JsonMalformed)?;
        self.rest = characters.as_str();
        Ok(character)
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }
}
