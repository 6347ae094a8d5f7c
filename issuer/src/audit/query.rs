//! A question to the log, read strictly: what is not understood must not silently widen the answer.

use narrows_verifier::Reason;
use narrows_verifier::log::{BlockId, Selection, TaskId, TraceId, Verdict};
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as ValueError;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What to look for, and how much of it to hand out at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What to look for.
    pub selection: Selection,
    /// The most leaves in one answer.
    pub limit: u16,
    /// Prove under the checkpoint of this size instead of the newest.
    pub size: Option<u64>,
    /// Hand out names beside the leaves.
    pub names: bool,
}

/// Why a question was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({reason})")]
pub struct QueryError {
    /// `PARAMETER_INVALID` or `PARAMETER_REPEATED`.
    pub reason: Reason,
    /// Which parameter, and what is wrong with it.
    pub message: String,
}

impl Default for Query {
    fn default() -> Self {
        Self { selection: Selection::default(), limit: DEFAULT_LIMIT, size: None, names: false }
    }
}

impl Query {
    /// Every parameter that is read.
    pub const PARAMETERS: &[&str] = &[
        "after",
        "agent",
        "before",
        "block",
        "from",
        "kind",
        "limit",
        "names",
        "parent",
        "principal",
        "reason",
        "size",
        "task",
        "to",
        "tool",
        "trace",
        "verdict",
    ];

    /// Reads parameters by name and value. Times are RFC 3339 or milliseconds since 1970.
    ///
    /// # Errors
    /// `PARAMETER_INVALID` for an unknown name or a bad value, `PARAMETER_REPEATED`.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, QueryError> {
        let mut query = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in pairs {
            if seen.contains(&name) {
                return Err(QueryError { reason: Reason::ParameterRepeated, message: format!("`{name}` is given more than once") });
            }
            seen.push(name);
            if !query.set(name, value) {
                // Only names that are ours are repeated to the caller's terminal.
                let known = Self::PARAMETERS.iter().find(|known| **known == name);
                let message = known.map_or_else(|| "an unknown parameter".to_owned(), |name| format!("`{name}` has a bad value"));
                return Err(QueryError { reason: Reason::ParameterInvalid, message });
            }
        }
        Ok(query)
    }

    /// The parameters that [`Query::parse`] reads as this, without `limit`, `size` and `names`.
    pub fn selection_pairs(selection: &Selection) -> Vec<(&'static str, String)> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let values = [
            ("after", number(selection.after)),
            ("agent", selection.agent.clone()),
            ("before", number(selection.before)),
            ("block", selection.block.map(|block| block.to_string())),
            ("from", number(selection.from_ms)),
            ("kind", selection.kind.clone()),
            ("parent", selection.parent.map(|block| block.to_string())),
            ("principal", selection.principal.clone()),
            ("reason", selection.reason.clone()),
            ("task", selection.task.map(|task| task.to_string())),
            ("to", number(selection.to_ms)),
            ("tool", selection.tool.clone()),
            ("trace", selection.trace.map(|trace| trace.to_string())),
            ("verdict", selection.verdict.map(verdict_name)),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Sets one parameter; false when it is unknown or its value is bad.
    fn set(&mut self, name: &str, value: &str) -> bool {
        let it = &mut self.selection;
        match name {
            "after" => put(&mut it.after, decimal(value)),
            "before" => put(&mut it.before, decimal(value)),
            "from" => put(&mut it.from_ms, time_ms(value)),
            "to" => put(&mut it.to_ms, time_ms(value)),
            "agent" => put(&mut it.agent, text(value)),
            "principal" => put(&mut it.principal, text(value)),
            "tool" => put(&mut it.tool, text(value)),
            "kind" => put(&mut it.kind, text(value)),
            "reason" => put(&mut it.reason, text(value)),
            "block" => put(&mut it.block, BlockId::from_hex(value)),
            "parent" => put(&mut it.parent, BlockId::from_hex(value)),
            "task" => put(&mut it.task, TaskId::from_hex(value)),
            "trace" => put(&mut it.trace, TraceId::from_hex(value)),
            "verdict" => put(&mut it.verdict, verdict(value)),
            "size" => put(&mut self.size, decimal(value)),
            "limit" => match decimal(value).and_then(|limit| u16::try_from(limit).ok()).filter(|limit| (1..=MAX_LIMIT).contains(limit)) {
                Some(limit) => {
                    self.limit = limit;
                    true
                }
                None => false,
            },
            "names" => {
                self.names = value == "true";
                matches!(value, "true" | "false")
            }
            _ => false,
        }
    }
}

fn put<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    *place = value;
    place.is_some()
}

fn text(value: &str) -> Option<String> {
    (1..=MAX_TEXT_BYTES).contains(&value.len()).then(|| value.to_owned())
}

/// A number with one spelling, small enough for every index.
fn decimal(value: &str) -> Option<u64> {
    let number: u64 = value.parse().ok()?;
    (number.to_string() == value && i64::try_from(number).is_ok()).then_some(number)
}

fn time_ms(value: &str) -> Option<u64> {
    let parsed =
        || OffsetDateTime::parse(value, &Rfc3339).ok().and_then(|time| u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok());
    decimal(value).or_else(parsed)
}

fn verdict(name: &str) -> Option<Verdict> {
    let name: serde::de::value::StrDeserializer<'_, ValueError> = name.into_deserializer();
    Verdict::deserialize(name).ok()
}

fn verdict_name(verdict: Verdict) -> String {
    serde_json::to_value(verdict).ok().and_then(|name| name.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}

const DEFAULT_LIMIT: u16 = 64;
const MAX_LIMIT: u16 = 256;
const MAX_TEXT_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Query, Reason> {
        Query::parse(pairs.iter().copied()).map_err(|error| error.reason)
    }

    #[test]
    fn every_parameter_is_read_and_written_back() {
        let (id, block) = ("0a".repeat(16), "0b".repeat(32));
        let pairs = [
            ("after", "3"),
            ("agent", "planner"),
            ("before", "9"),
            ("block", &block),
            ("from", "1763700000000"),
            ("kind", "hop"),
            ("parent", &block),
            ("principal", "alice"),
            ("reason", "EXPIRED"),
            ("task", &id),
            ("to", "2025-11-21T04:40:00.5Z"),
            ("tool", "crm.read"),
            ("trace", &id),
            ("verdict", "block"),
            ("limit", "256"),
            ("size", "10"),
            ("names", "true"),
        ];
        let query = parse(&pairs).unwrap();
        assert_eq!((query.limit, query.size, query.names), (256, Some(10), true));
        assert_eq!(query.selection.to_ms, Some(1_763_700_000_500));
        let written = Query::selection_pairs(&query.selection);
        assert_eq!(written.len(), 14);
        let again = Query::parse(written.iter().map(|(name, value)| (*name, value.as_str()))).unwrap();
        assert_eq!(again.selection, query.selection);
        assert_eq!(parse(&[]), Ok(Query::default()));
        for (name, value) in pairs {
            assert!(Query::PARAMETERS.contains(&name) && parse(&[(name, value)]).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        for (name, value) in [
            ("color", "red"),
            ("", ""),
            ("Task", ""),
            ("after", "-1"),
            ("after", "01"),
            ("after", "9223372036854775808"),
            ("after", ""),
            ("limit", "0"),
            ("limit", "257"),
            ("names", "yes"),
            ("task", "0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A"),
            ("block", "00"),
            ("verdict", "maybe"),
            ("from", "yesterday"),
            ("from", "1969-12-31T23:59:59Z"),
            ("agent", ""),
            ("agent", &long),
        ] {
            assert_eq!(parse(&[(name, value)]), Err(Reason::ParameterInvalid), "{name}={value}");
        }
        assert_eq!(parse(&[("after", "1"), ("after", "1")]), Err(Reason::ParameterRepeated));
    }
}
