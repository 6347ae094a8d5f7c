//! A TOML document that is read key by key, so that each fault names its place and nothing is skipped.

use core::fmt;
use std::collections::BTreeSet;

use narrows_verifier::{
    Caveat, Reason,
    caveat::Tools,
    json::{self, Key},
};
use toml::{Table, Value};

/// Why a pack or its cases can't be used, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError {
    /// The stable reason.
    pub reason: Reason,
    /// The rule or case by its name, or by its number such as `#3` where it has none; `None` for the document itself.
    pub entry: Option<String>,
    /// The key that is at fault; empty when the text is not TOML.
    pub key: String,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for PackError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.reason)?;
        if let Some(entry) = &self.entry {
            write!(formatter, "in `{}`: ", entry.escape_debug())?;
        }
        if !self.key.is_empty() {
            write!(formatter, "`{}`: ", self.key.escape_debug())?;
        }
        formatter.write_str(&self.detail)
    }
}

impl core::error::Error for PackError {}

/// A table whose keys are taken one by one; what is left over at the end is refused.
pub(crate) struct Keys {
    malformed: Reason,
    entry: Option<String>,
    table: Table,
}

impl Keys {
    /// Parses a whole document. `malformed` is the reason of every fault in it.
    pub(crate) fn parse(text: &str, malformed: Reason) -> Result<Self, PackError> {
        let error = |reason, detail| PackError { reason, entry: None, key: String::new(), detail };
        if text.len() > MAX_TEXT {
            return Err(error(Reason::PackTooLarge, format!("larger than {MAX_TEXT} bytes")));
        }
        let table = text.parse::<Table>().map_err(|fault| {
            let before = fault.span().map_or(0, |span| span.start);
            let line = text.bytes().take(before).filter(|byte| *byte == b'\n').count() + 1;
            error(malformed, format!("not TOML at line {line}: {}", fault.message().escape_debug()))
        })?;
        Ok(Self { malformed, entry: None, table })
    }

    /// A fault of one key of this table.
    pub(crate) fn fault(&self, reason: Reason, key: &str, detail: impl Into<String>) -> PackError {
        PackError { reason, entry: self.entry.clone(), key: key.to_owned(), detail: detail.into() }
    }

    /// A fault of this document's own kind.
    pub(crate) fn malformed(&self, key: &str, detail: impl Into<String>) -> PackError {
        self.fault(self.malformed, key, detail)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Insists on a key that may otherwise be absent.
    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, PackError> {
        value.ok_or_else(|| self.malformed(key, "missing"))
    }

    /// A text of 1 to `longest` bytes without control characters.
    pub(crate) fn text(&mut self, key: &str, longest: usize) -> Result<Option<String>, PackError> {
        let read = |value| match value {
            Value::String(text) if !text.is_empty() && text.len() <= longest && !text.chars().any(char::is_control) => Some(text),
            _ => None,
        };
        self.take(key, read, || format!("must be a text of 1 to {longest} bytes without control characters"))
    }

    /// A condition or JSON: a text of any form.
    pub(crate) fn free_text(&mut self, key: &str) -> Result<Option<String>, PackError> {
        let read = |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        };
        self.take(key, read, || "must be a text".to_owned())
    }

    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, PackError> {
        self.take(key, |value| value.as_bool(), || "must be true or false".to_owned())
    }

    /// An integer from `least` to `most`.
    pub(crate) fn count(&mut self, key: &str, least: u64, most: u64) -> Result<Option<u64>, PackError> {
        let read = |value: Value| value.as_integer().and_then(|number| u64::try_from(number).ok()).filter(|n| (least..=most).contains(n));
        self.take(key, read, || format!("must be an integer from {least} to {most}"))
    }

    /// A list of 1 to 256 distinct texts.
    pub(crate) fn texts(&mut self, key: &str) -> Result<Option<BTreeSet<String>>, PackError> {
        let read = |value| match value {
            Value::Array(items) if !items.is_empty() && items.len() <= MAX_TEXTS => {
                let texts: BTreeSet<String> = items
                    .iter()
                    .map(|item| item.as_str().filter(|text| !text.is_empty() && text.len() <= MAX_NAME).map(str::to_owned))
                    .collect::<Option<_>>()?;
                (texts.len() == items.len()).then_some(texts)
            }
            _ => None,
        };
        self.take(key, read, || format!("must be a list of 1 to {MAX_TEXTS} distinct texts of 1 to {MAX_NAME} bytes"))
    }

    /// A value as the JSON that it stands for.
    pub(crate) fn json(&mut self, key: &str) -> Result<Option<json::Value>, PackError> {
        self.take(key, |value| to_json(&value), || "must be made of texts, integers, flags, lists and tables".to_owned())
    }

    /// A list of values, each as the JSON that it stands for.
    pub(crate) fn json_list(&mut self, key: &str) -> Result<Vec<json::Value>, PackError> {
        match self.json(key)? {
            None => Ok(Vec::new()),
            Some(json::Value::Array(items)) => Ok(items),
            Some(_) => Err(self.malformed(key, "must be a list")),
        }
    }

    /// Tools, in the form of the caveat that grants them.
    pub(crate) fn tools(&mut self, key: &str) -> Result<Option<Tools>, PackError> {
        let rule = "must be a list of 1 to 256 distinct tool names and at most 7 `{ prefix = … }` and `{ suffix = … }`";
        self.json(key)?.map(|tools| Tools::from_json(&tools).map_err(|_| self.malformed(key, rule))).transpose()
    }

    /// A list of caveats, empty where there is none.
    pub(crate) fn caveats(&mut self, key: &str) -> Result<Vec<Caveat>, PackError> {
        let caveats = self.json_list(key)?.iter().map(Caveat::from_json).collect::<Result<_, _>>();
        caveats.map_err(|reason| self.malformed(key, reason.meaning()))
    }

    /// One of these words, as what it stands for.
    pub(crate) fn one_of<T: Copy, const N: usize>(&mut self, key: &str, words: [(&str, T); N]) -> Result<Option<T>, PackError> {
        let read = |value: Value| words.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, meant)| *meant);
        self.take(key, read, || format!("must be one of {}", words.map(|(word, _)| format!("`{word}`")).join(", ")))
    }

    /// A list of tables; faults there name the same entry.
    pub(crate) fn tables(&mut self, key: &str) -> Result<Vec<Keys>, PackError> {
        let read = |value| match value {
            Value::Array(items) => items.into_iter().map(|item| if let Value::Table(table) = item { Some(table) } else { None }).collect(),
            _ => None,
        };
        let tables: Option<Vec<Table>> = self.take(key, read, || "must be a list of tables".to_owned())?;
        Ok(tables.unwrap_or_default().into_iter().map(|table| self.inside(table)).collect())
    }

    /// A table of its own.
    pub(crate) fn table(&mut self, key: &str) -> Result<Option<Table>, PackError> {
        let read = |value| match value {
            Value::Table(table) => Some(table),
            _ => None,
        };
        self.take(key, read, || "must be a table".to_owned())
    }

    /// Goes into a table; faults there name the same entry.
    pub(crate) fn inside(&self, table: Table) -> Self {
        Self { malformed: self.malformed, entry: self.entry.clone(), table }
    }

    /// A list of at most `most` tables, each an entry that is known by its `name` from here on.
    pub(crate) fn entries(&mut self, key: &str, most: usize) -> Result<Vec<(String, Keys)>, PackError> {
        let items = match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.malformed(key, "must be a list of tables")),
        };
        if items.len() > most {
            return Err(self.fault(Reason::PackTooLarge, key, format!("more than {most}")));
        }
        let mut seen = BTreeSet::new();
        let mut entries = Vec::new();
        for (number, item) in (1..).zip(items) {
            let Value::Table(table) = item else { return Err(self.malformed(key, "must be a list of tables")) };
            let mut entry = Keys { entry: Some(format!("#{number}")), ..self.inside(table) };
            let name = entry.text("name", MAX_ENTRY_NAME)?;
            let name = entry.required("name", name)?;
            entry.entry = Some(name.clone());
            if !seen.insert(name.clone()) {
                return Err(entry.malformed("name", "used twice"));
            }
            entries.push((name, entry));
        }
        Ok(entries)
    }

    /// Refuses what nobody took: a misspelt limit must not be no limit.
    pub(crate) fn end(self) -> Result<(), PackError> {
        match self.table.keys().next() {
            Some(key) => Err(self.malformed(key, "unknown key")),
            None => Ok(()),
        }
    }

    fn take<T>(&mut self, key: &str, read: impl FnOnce(Value) -> Option<T>, rule: impl FnOnce() -> String) -> Result<Option<T>, PackError> {
        match self.table.remove(key).map(read) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value)),
            Some(None) => Err(self.malformed(key, rule())),
        }
    }
}

/// `None` for what caveats do not have: a float is not exact, and a TOML date is no JSON.
fn to_json(value: &Value) -> Option<json::Value> {
    Some(match value {
        Value::String(text) => json::Value::Text(text.clone()),
        Value::Integer(number) => json::Value::Integer(*number),
        Value::Boolean(flag) => json::Value::Flag(*flag),
        Value::Array(items) => json::Value::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Value::Table(members) => {
            json::Value::Object(members.iter().map(|(key, member)| Some((Key(key.clone()), to_json(member)?))).collect::<Option<_>>()?)
        }
        Value::Float(_) | Value::Datetime(_) => return None,
    })
}

/// Bounds what the TOML reader may be handed; it bounds nesting by itself.
/// The largest pack or cases, in bytes.
pub const MAX_TEXT: usize = 64 * 1024;
const MAX_ENTRY_NAME: usize = 128;
const MAX_TEXTS: usize = 256;
const MAX_NAME: usize = 1024;
