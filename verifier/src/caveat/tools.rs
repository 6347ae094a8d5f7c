//! The tools that a grant covers.

use std::collections::BTreeSet;

use super::{
    MAX_NAME, MAX_SET,
    json::bounded_set,
    members::{only, text},
};
use crate::{Reason, json::Value};

/// Tools by exact name, prefix or suffix. At least one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// Exact names, compared byte by byte.
    pub names: BTreeSet<String>,
    /// Prefixes of names.
    pub prefixes: BTreeSet<String>,
    /// Suffixes of names.
    pub suffixes: BTreeSet<String>,
}

impl Tools {
    /// Whether a tool of this name is covered.
    pub fn cover(&self, tool: &str) -> bool {
        self.names.contains(tool)
            || self.prefixes.iter().any(|prefix| tool.starts_with(prefix.as_str()))
            || self.suffixes.iter().any(|suffix| tool.ends_with(suffix.as_str()))
    }

    /// Whether everything that `self` covers is covered by `other` too.
    pub fn within(&self, other: &Tools) -> bool {
        self.names.iter().all(|name| other.cover(name))
            && self.prefixes.iter().all(|prefix| other.prefixes.iter().any(|wider| prefix.starts_with(wider.as_str())))
            && self.suffixes.iter().all(|suffix| other.suffixes.iter().any(|wider| suffix.ends_with(wider.as_str())))
    }

    /// The tools that both cover. `None` when a prefix meets a suffix, for which there is no form.
    pub fn meet(&self, other: &Tools) -> Option<Tools> {
        let crossed = |one: &Tools, other: &Tools| !one.prefixes.is_empty() && !other.suffixes.is_empty();
        if crossed(self, other) || crossed(other, self) {
            return None;
        }
        let names = self.names.iter().filter(|name| other.cover(name)).chain(other.names.iter().filter(|name| self.cover(name)));
        let longer = |one: &BTreeSet<String>, other: &BTreeSet<String>, within: fn(&str, &str) -> bool| -> BTreeSet<String> {
            let kept = |affix: &&String, others: &BTreeSet<String>| others.iter().any(|wider| within(affix, wider));
            one.iter().filter(|affix| kept(affix, other)).chain(other.iter().filter(|affix| kept(affix, one))).cloned().collect()
        };
        Some(Tools {
            names: names.cloned().collect(),
            prefixes: longer(&self.prefixes, &other.prefixes, |long, short| long.starts_with(short)),
            suffixes: longer(&self.suffixes, &other.suffixes, |long, short| long.ends_with(short)),
        })
    }

    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty() && self.suffixes.is_empty()
    }

    /// Reads an array whose elements are names, `{"prefix": …}` or `{"suffix": …}`.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, or `CAVEAT_NAMES_NO_TOOL` when the array is empty.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let Value::Array(items) = value else { return Err(Reason::CaveatMalformed) };
        let mut tools = Tools::default();
        for item in items {
            let fresh = match item {
                Value::Text(name) => tools.names.insert(name.clone()),
                other => match only(other)? {
                    ("prefix", Value::Text(prefix)) => tools.prefixes.insert(prefix.clone()),
                    ("suffix", Value::Text(suffix)) => tools.suffixes.insert(suffix.clone()),
                    _ => return Err(Reason::CaveatMalformed),
                },
            };
            if !fresh {
                return Err(Reason::CaveatMalformed);
            }
        }
        tools.within_bounds()?;
        Ok(tools)
    }

    /// Names first, then prefixes and suffixes, each in order.
    pub fn to_json(&self) -> Value {
        let prefixes = self.prefixes.iter().map(|prefix| Value::object([("prefix", text(prefix))]));
        let suffixes = self.suffixes.iter().map(|suffix| Value::object([("suffix", text(suffix))]));
        Value::Array(self.names.iter().map(|name| text(name)).chain(prefixes).chain(suffixes).collect())
    }

    pub(super) fn within_bounds(&self) -> Result<(), Reason> {
        if self.is_empty() {
            return Err(Reason::CaveatNamesNoTool);
        }
        bounded_set(&self.names, MAX_SET, MAX_NAME)?;
        bounded_set(&self.prefixes, MAX_AFFIXES, MAX_NAME)?;
        // each is an alternative of its own, and a check has at most eight
        bounded_set(&self.suffixes, MAX_AFFIXES.saturating_sub(self.prefixes.len()), MAX_NAME)
    }
}

const MAX_AFFIXES: usize = 7;
