//! Strict reading of JSON objects: every member is taken once, and what is left over is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Reason,
    json::{Key, Value},
};

/// The members of an object; a member that is not understood may have been meant to restrict.
pub(crate) struct Members<'a> {
    members: &'a BTreeMap<Key, Value>,
    taken: usize,
}

impl<'a> Members<'a> {
    pub(crate) fn of(value: &'a Value) -> Result<Self, Reason> {
        Ok(Self { members: value.as_object().ok_or(Reason::CaveatMalformed)?, taken: 0 })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(&Key(name.to_owned()))
    }

    pub(crate) fn value(&mut self, name: &str) -> Result<&'a Value, Reason> {
        self.taken += 1;
        self.members.get(&Key(name.to_owned())).ok_or(Reason::CaveatMalformed)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Reason> {
        self.value(name)?.as_text().map(str::to_owned).ok_or(Reason::CaveatMalformed)
    }

    pub(crate) fn integer(&mut self, name: &str) -> Result<i64, Reason> {
        match self.value(name)? {
            Value::Integer(number) => Ok(*number),
            _ => Err(Reason::CaveatMalformed),
        }
    }

    pub(crate) fn tool(&mut self) -> Result<String, Reason> {
        if self.has("tool") { self.text("tool") } else { Err(Reason::CaveatNamesNoTool) }
    }

    pub(crate) fn optional<T>(&mut self, name: &str, read: impl FnOnce(&mut Self, &str) -> Result<T, Reason>) -> Result<Option<T>, Reason> {
        if self.has(name) { read(self, name).map(Some) } else { Ok(None) }
    }

    pub(crate) fn texts(&mut self, name: &str) -> Result<BTreeSet<String>, Reason> {
        text_set(self.value(name)?)
    }

    pub(crate) fn end(self) -> Result<(), Reason> {
        if self.taken == self.members.len() { Ok(()) } else { Err(Reason::CaveatMalformed) }
    }
}

/// The one member of an object that has exactly one.
pub(crate) fn only(value: &Value) -> Result<(&str, &Value), Reason> {
    let mut members = value.as_object().ok_or(Reason::CaveatMalformed)?.iter();
    match (members.next(), members.next()) {
        (Some((key, value)), None) => Ok((key.0.as_str(), value)),
        _ => Err(Reason::CaveatMalformed),
    }
}

/// An array of different texts.
pub(crate) fn text_set(value: &Value) -> Result<BTreeSet<String>, Reason> {
    let Value::Array(items) = value else { return Err(Reason::CaveatMalformed) };
    let set: BTreeSet<String> =
        items.iter().map(|item| item.as_text().map(str::to_owned).ok_or(Reason::CaveatMalformed)).collect::<Result<_, _>>()?;
    if set.len() == items.len() { Ok(set) } else { Err(Reason::CaveatMalformed) }
}

pub(crate) fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

pub(crate) fn text_array(values: &BTreeSet<String>) -> Value {
    Value::Array(values.iter().map(|value| text(value)).collect())
}
