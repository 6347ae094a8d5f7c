//! The JSON form of caveats, and the bounds of their values.

use std::collections::{BTreeMap, BTreeSet};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Argument, Caveat, ClosedArguments, Matcher, Scalar, Tools};
use crate::{
    Reason,
    json::{Key, Value},
};

/// Reads a JSON array of caveats.
///
/// # Errors
/// `CAVEAT_MALFORMED`, or `CAVEAT_NAMES_NO_TOOL` where a caveat that needs one names none.
pub fn parse_list(value: &Value) -> Result<Vec<Caveat>, Reason> {
    match value {
        Value::Array(items) if items.len() <= MAX_CAVEATS => items.iter().map(Caveat::from_json).collect(),
        _ => Err(Reason::CaveatMalformed),
    }
}

/// Writes caveats as a JSON array.
pub fn to_list(caveats: &[Caveat]) -> Value {
    Value::Array(caveats.iter().map(Caveat::to_json).collect())
}

impl Caveat {
    /// Reads one caveat. Unknown kinds and members are refused: a caveat that is not understood must not be dropped.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED` or `CAVEAT_NAMES_NO_TOOL`.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        let kind = members.text("kind")?;
        let caveat = match kind.as_str() {
            "tools" => Caveat::Tools(Tools::from_json(members.value("allow")?)?),
            "arg" => Caveat::Argument(Argument {
                tool: members.tool()?,
                path: members.text("path")?,
                is: Matcher::from_json(members.value("is")?)?,
            }),
            "closed_args" => Caveat::ClosedArguments(ClosedArguments {
                tool: members.tool()?,
                at: if members.has("at") { members.text("at")? } else { String::new() },
                names: text_set(members.value("names")?)?,
            }),
            "audience" => Caveat::Audience(text_set(members.value("one_of")?)?),
            "expires" => Caveat::Expires(read_time(&members.text("at")?)?),
            "depth" => Caveat::Depth(members.integer("max")?.try_into().map_err(|_| Reason::CaveatMalformed)?),
            _ => return Err(Reason::CaveatMalformed),
        };
        members.end()?;
        caveat.within_bounds()?;
        Ok(caveat)
    }

    /// The JSON form, which [`Caveat::from_json`] reads back.
    pub fn to_json(&self) -> Value {
        let kind = ("kind", text(self.kind()));
        match self {
            Caveat::Tools(tools) => Value::object([kind, ("allow", tools.to_json())]),
            Caveat::Argument(argument) => {
                Value::object([kind, ("tool", text(&argument.tool)), ("path", text(&argument.path)), ("is", argument.is.to_json())])
            }
            Caveat::ClosedArguments(closed) => {
                Value::object([kind, ("tool", text(&closed.tool)), ("at", text(&closed.at)), ("names", text_array(&closed.names))])
            }
            Caveat::Audience(audiences) => Value::object([kind, ("one_of", text_array(audiences))]),
            Caveat::Expires(at) => Value::object([kind, ("at", text(&write_time(*at)))]),
            Caveat::Depth(max) => Value::object([kind, ("max", Value::Integer((*max).into()))]),
        }
    }

    /// Checks sizes, so that what was read from JSON always fits a block, and the reverse.
    pub(super) fn within_bounds(&self) -> Result<(), Reason> {
        match self {
            Caveat::Tools(tools) if tools.names.is_empty() && tools.prefixes.is_empty() => Err(Reason::CaveatNamesNoTool),
            Caveat::Tools(tools) => {
                bounded_set(&tools.names, MAX_SET, MAX_NAME)?;
                // each prefix is an alternative of its own, and a check has at most eight
                bounded_set(&tools.prefixes, MAX_PREFIXES, MAX_NAME)
            }
            Caveat::Argument(argument) => {
                tool_name(&argument.tool)?;
                pointer(&argument.path)?;
                if argument.path.is_empty() { Err(Reason::CaveatMalformed) } else { argument.is.within_bounds() }
            }
            Caveat::ClosedArguments(closed) => {
                tool_name(&closed.tool)?;
                pointer(&closed.at)?;
                if closed.names.len() > MAX_SET || closed.names.iter().any(|name| name.len() > MAX_TEXT) {
                    Err(Reason::CaveatMalformed)
                } else {
                    Ok(())
                }
            }
            Caveat::Audience(audiences) if audiences.is_empty() => Err(Reason::CaveatMalformed),
            Caveat::Audience(audiences) => bounded_set(audiences, MAX_SET, MAX_TEXT),
            Caveat::Expires(at) if *at > MAX_TIME => Err(Reason::CaveatMalformed),
            Caveat::Depth(max) if *max > MAX_DEPTH => Err(Reason::CaveatMalformed),
            Caveat::Expires(_) | Caveat::Depth(_) => Ok(()),
        }
    }
}

impl Tools {
    /// Reads an array whose elements are names or `{"prefix": …}`.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, or `CAVEAT_NAMES_NO_TOOL` when the array is empty.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let Value::Array(items) = value else { return Err(Reason::CaveatMalformed) };
        let mut tools = Tools::default();
        for item in items {
            let fresh = match item {
                Value::Text(name) => tools.names.insert(name.clone()),
                other => {
                    let mut members = Members::of(other)?;
                    let prefix = members.text("prefix")?;
                    members.end()?;
                    tools.prefixes.insert(prefix)
                }
            };
            if !fresh {
                return Err(Reason::CaveatMalformed);
            }
        }
        Caveat::Tools(tools.clone()).within_bounds()?;
        Ok(tools)
    }

    /// Names first, then prefixes, each in order.
    pub fn to_json(&self) -> Value {
        let prefixes = self.prefixes.iter().map(|prefix| Value::object([("prefix", text(prefix))]));
        Value::Array(self.names.iter().map(|name| text(name)).chain(prefixes).collect())
    }
}

impl Matcher {
    fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        let matcher = if members.has("exact") {
            Matcher::Exact(Scalar::from_json(members.value("exact")?)?)
        } else if members.has("one_of") {
            let Value::Array(items) = members.value("one_of")? else { return Err(Reason::CaveatMalformed) };
            let values: BTreeSet<Scalar> = items.iter().map(Scalar::from_json).collect::<Result<_, _>>()?;
            if values.len() != items.len() {
                return Err(Reason::CaveatMalformed);
            }
            Matcher::OneOf(values)
        } else if members.has("range") {
            let mut bounds = Members::of(members.value("range")?)?;
            let mut side = |name| if bounds.has(name) { bounds.integer(name).map(Some) } else { Ok(None) };
            let (min, max) = (side("min")?, side("max")?);
            bounds.end()?;
            Matcher::Range { min, max }
        } else {
            Matcher::Prefix(members.text("prefix")?)
        };
        members.end()?;
        Ok(matcher)
    }

    fn to_json(&self) -> Value {
        match self {
            Matcher::Exact(value) => Value::object([("exact", value.to_json())]),
            Matcher::OneOf(values) => Value::object([("one_of", Value::Array(values.iter().map(Scalar::to_json).collect()))]),
            Matcher::Range { min, max } => {
                let sides = [("min", min), ("max", max)];
                let members = sides.into_iter().filter_map(|(name, side)| side.map(|side| (Key(name.to_owned()), Value::Integer(side))));
                Value::object([("range", Value::Object(members.collect()))])
            }
            Matcher::Prefix(prefix) => Value::object([("prefix", text(prefix))]),
        }
    }

    fn within_bounds(&self) -> Result<(), Reason> {
        let bounded = |scalar: &Scalar| match scalar {
            Scalar::Text(text) => text.len() <= MAX_TEXT,
            Scalar::Integer(number) => number.unsigned_abs() <= MAX_INTEGER,
            Scalar::Flag(_) => true,
        };
        let sound = match self {
            Matcher::Exact(value) => bounded(value),
            Matcher::OneOf(values) => !values.is_empty() && values.len() <= MAX_SET && values.iter().all(bounded),
            Matcher::Range { min, max } => {
                [min, max].into_iter().flatten().all(|side| side.unsigned_abs() <= MAX_INTEGER)
                    && !matches!((min, max), (Some(min), Some(max)) if min > max)
            }
            Matcher::Prefix(prefix) => prefix.len() <= MAX_TEXT,
        };
        if sound { Ok(()) } else { Err(Reason::CaveatMalformed) }
    }
}

impl Scalar {
    fn from_json(value: &Value) -> Result<Self, Reason> {
        match value {
            Value::Flag(flag) => Ok(Scalar::Flag(*flag)),
            Value::Integer(number) => Ok(Scalar::Integer(*number)),
            Value::Text(text) => Ok(Scalar::Text(text.clone())),
            Value::Null | Value::Decimal(_) | Value::Array(_) | Value::Object(_) => Err(Reason::CaveatMalformed),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Scalar::Flag(flag) => Value::Flag(*flag),
            Scalar::Integer(number) => Value::Integer(*number),
            Scalar::Text(value) => text(value),
        }
    }
}

/// Seconds since the epoch as RFC 3339 in UTC.
pub(crate) fn write_time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| seconds.to_string())
}

/// RFC 3339 with whole seconds; a fraction would be rounded by somebody, so it is refused.
fn read_time(text: &str) -> Result<u64, Reason> {
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| Reason::CaveatMalformed)?;
    if time.nanosecond() == 0 {
        u64::try_from(time.unix_timestamp()).map_err(|_| Reason::CaveatMalformed)
    } else {
        Err(Reason::CaveatMalformed)
    }
}

/// The members of an object, each taken once; what is left over at the end is refused.
struct Members<'a> {
    members: &'a BTreeMap<Key, Value>,
    taken: usize,
}

impl<'a> Members<'a> {
    fn of(value: &'a Value) -> Result<Self, Reason> {
        Ok(Self { members: value.as_object().ok_or(Reason::CaveatMalformed)?, taken: 0 })
    }

    fn has(&self, name: &str) -> bool {
        self.members.contains_key(&Key(name.to_owned()))
    }

    fn value(&mut self, name: &str) -> Result<&'a Value, Reason> {
        self.taken += 1;
        self.members.get(&Key(name.to_owned())).ok_or(Reason::CaveatMalformed)
    }

    fn text(&mut self, name: &str) -> Result<String, Reason> {
        self.value(name)?.as_text().map(str::to_owned).ok_or(Reason::CaveatMalformed)
    }

    fn integer(&mut self, name: &str) -> Result<i64, Reason> {
        match self.value(name)? {
            Value::Integer(number) => Ok(*number),
            _ => Err(Reason::CaveatMalformed),
        }
    }

    fn tool(&mut self) -> Result<String, Reason> {
        if self.has("tool") { self.text("tool") } else { Err(Reason::CaveatNamesNoTool) }
    }

    fn end(self) -> Result<(), Reason> {
        if self.taken == self.members.len() { Ok(()) } else { Err(Reason::CaveatMalformed) }
    }
}

fn text_set(value: &Value) -> Result<BTreeSet<String>, Reason> {
    let Value::Array(items) = value else { return Err(Reason::CaveatMalformed) };
    let set: BTreeSet<String> =
        items.iter().map(|item| item.as_text().map(str::to_owned).ok_or(Reason::CaveatMalformed)).collect::<Result<_, _>>()?;
    if set.len() == items.len() { Ok(set) } else { Err(Reason::CaveatMalformed) }
}

fn text_array(values: &BTreeSet<String>) -> Value {
    Value::Array(values.iter().map(|value| text(value)).collect())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn tool_name(name: &str) -> Result<(), Reason> {
    match name.len() {
        0 => Err(Reason::CaveatNamesNoTool),
        length if length > MAX_NAME || name.chars().any(char::is_control) => Err(Reason::CaveatMalformed),
        _ => Ok(()),
    }
}

fn bounded_set(set: &BTreeSet<String>, count: usize, length: usize) -> Result<(), Reason> {
    let sound =
        set.len() <= count && set.iter().all(|text| !text.is_empty() && text.len() <= length && !text.chars().any(char::is_control));
    if sound { Ok(()) } else { Err(Reason::CaveatMalformed) }
}

/// RFC 6901: empty, or `/`-led tokens in which `~` is only `~0` or `~1`.
fn pointer(path: &str) -> Result<(), Reason> {
    let mut characters = path.chars();
    let mut sound = path.len() <= MAX_POINTER && (path.is_empty() || path.starts_with('/'));
    while let Some(character) = characters.next() {
        sound &= character != '~' || matches!(characters.next(), Some('0' | '1'));
    }
    if sound { Ok(()) } else { Err(Reason::CaveatMalformed) }
}

const MAX_CAVEATS: usize = 16;
const MAX_SET: usize = 256;
const MAX_PREFIXES: usize = 7;
const MAX_NAME: usize = 256;
const MAX_TEXT: usize = 1024;
const MAX_POINTER: usize = 256;
const MAX_INTEGER: u64 = (1 << 53) - 1;
/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const MAX_TIME: u64 = 253_402_300_799;
/// A token has at most 16 blocks, one of which is the authority.
const MAX_DEPTH: u32 = 15;
