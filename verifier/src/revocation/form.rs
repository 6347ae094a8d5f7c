//! What all payloads of the feed have in common: their bounds, and the one text of each list.

use std::collections::BTreeMap;

use super::{MaxStaleness, ToolClass};
use crate::{
    Reason,
    json::{Key, Value},
};

/// A number of a payload, which two JSON readers must not read differently.
pub(super) fn number(number: u64) -> Result<Value, Reason> {
    i64::try_from(number).ok().filter(|number| *number <= MAX_INTEGER).map(Value::Integer).ok_or(Reason::FeedMalformed)
}

/// A name of a payload, as long as a text in a block may be.
pub(super) fn bounded(text: &str) -> Result<&str, Reason> {
    if (1..=MAX_TEXT).contains(&text.len()) { Ok(text) } else { Err(Reason::FeedMalformed) }
}

pub(super) fn staleness_to_json(staleness: &MaxStaleness) -> Result<Value, Reason> {
    let bound = |class: ToolClass| Ok((Key(class.name().to_owned()), number(staleness.of(class))?));
    ToolClass::ALL.into_iter().map(bound).collect::<Result<_, Reason>>().map(Value::Object)
}

pub(super) fn staleness_from_json(value: &Value) -> Result<MaxStaleness, Reason> {
    let members = Members::of(value, &ToolClass::ALL.map(ToolClass::name))?;
    Ok(MaxStaleness {
        read: members.number(ToolClass::Read.name())?,
        write: members.number(ToolClass::Write.name())?,
        egress: members.number(ToolClass::Egress.name())?,
        irreversible: members.number(ToolClass::Irreversible.name())?,
    })
}

/// Reads each item of a list that must ascend strictly.
pub(super) fn ascending<K: Ord, V>(items: &[Value], read: impl Fn(&Value) -> Option<(K, V)>) -> Result<BTreeMap<K, V>, Reason> {
    if items.len() > MAX_ENTRIES {
        return Err(Reason::FeedTooLarge);
    }
    let mut found = BTreeMap::new();
    for item in items {
        let (key, value) = read(item).ok_or(Reason::FeedMalformed)?;
        if found.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(Reason::FeedMalformed);
        }
        found.insert(key, value);
    }
    Ok(found)
}

/// The members of an object that has exactly the expected ones.
pub(super) struct Members<'a>(&'a BTreeMap<Key, Value>);

impl<'a> Members<'a> {
    pub(super) fn of(value: &'a Value, names: &[&str]) -> Result<Self, Reason> {
        let members = value.as_object().ok_or(Reason::FeedMalformed)?;
        let exact = members.len() == names.len() && members.keys().all(|key| names.contains(&key.0.as_str()));
        if exact { Ok(Self(members)) } else { Err(Reason::FeedMalformed) }
    }

    pub(super) fn value(&self, name: &str) -> Result<&'a Value, Reason> {
        self.0.get(&Key(name.to_owned())).ok_or(Reason::FeedMalformed)
    }

    pub(super) fn text(&self, name: &str) -> Result<&'a str, Reason> {
        self.value(name)?.as_text().ok_or(Reason::FeedMalformed)
    }

    /// A name within its bounds.
    pub(super) fn name(&self, name: &str) -> Result<String, Reason> {
        bounded(self.text(name)?).map(str::to_owned)
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Reason> {
        match self.value(name)? {
            Value::Integer(number) => u64::try_from(*number).map_err(|_| Reason::FeedMalformed),
            _ => Err(Reason::FeedMalformed),
        }
    }

    pub(super) fn array(&self, name: &str) -> Result<&'a [Value], Reason> {
        match self.value(name)? {
            Value::Array(items) => Ok(items),
            _ => Err(Reason::FeedMalformed),
        }
    }
}

/// Entries of all kinds together.
pub(super) const MAX_ENTRIES: usize = 100_000;
/// As long as a text in a block may be.
const MAX_TEXT: usize = 1024;
/// 2^53-1, beyond which two JSON readers may differ (RFC 8259 §6).
const MAX_INTEGER: i64 = (1 << 53) - 1;
