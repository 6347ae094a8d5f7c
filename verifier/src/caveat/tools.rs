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
