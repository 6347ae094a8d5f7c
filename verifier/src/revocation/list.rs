//! What a snapshot says: its members, their bounds, and the one text of each list.

use std::collections::{BTreeMap, BTreeSet};

use super::{MaxStaleness, ToolClass};
use crate::{
    BlockId, Reason, TaskId,
    id::{from_hex, to_hex},
    json::{Key, Value},
};

/// What an issuer has revoked, complete as of one moment.
///
/// An entry may leave the list once every token that it reaches has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// The issuer's identifier, as its tokens carry it.
    pub issuer: String,
    /// Grows with every change of the list.
    pub sequence: u64,
    /// Seconds since the Unix epoch at which the list was complete.
    pub issued: u64,
    /// How old the list may be at a verifier that decides.
    pub max_staleness: MaxStaleness,
    /// Revoked authority and hop blocks: with each falls every token that contains it or was made from it. The id of a
    /// plain block is looked up too and is no handle, since its maker can remake the block.
    pub blocks: BTreeSet<BlockId>,
    /// Revoked tasks.
    pub tasks: BTreeSet<TaskId>,
    /// Subjects whose tokens are revoked when issued before this time, in seconds since the Unix epoch.
    pub subjects: BTreeMap<String, u64>,
    /// Holder keys, or thumbprints of holders known by one. A token issued before the time is revoked when a block of it
    /// names that holder. A time ahead reaches tokens that are yet to be issued.
    pub keys: BTreeMap<[u8; 32], u64>,
}

impl RevocationList {
    /// The JSON form, when the list is within its bounds.
    pub(super) fn to_json(&self) -> Result<Value, Reason> {
        self.bounded()?;
        let hex = |bytes: &[u8]| Value::Text(to_hex(bytes));
        let seconds =
            |time: u64| i64::try_from(time).ok().filter(|time| *time <= MAX_INTEGER).map(Value::Integer).ok_or(Reason::FeedMalformed);
        let cut_offs = |entries: Vec<(&str, Value, u64)>| {
            let object = |(name, who, before)| Ok(Value::object([(name, who), ("before", seconds(before)?)]));
            entries.into_iter().map(object).collect::<Result<_, Reason>>().map(Value::Array)
        };
        Ok(Value::object([
            ("blocks", Value::Array(self.blocks.iter().map(|block| hex(&block.0)).collect())),
            ("issued", seconds(self.issued)?),
            ("issuer", Value::Text(self.issuer.clone())),
            ("keys", cut_offs(self.keys.iter().map(|(key, before)| ("key", hex(key), *before)).collect())?),
            (
                "max_staleness",
                Value::object([
                    (ToolClass::Egress.name(), seconds(self.max_staleness.egress)?),
                    (ToolClass::Irreversible.name(), seconds(self.max_staleness.irreversible)?),
                    (ToolClass::Read.name(), seconds(self.max_staleness.read)?),
                    (ToolClass::Write.name(), seconds(self.max_staleness.write)?),
                ]),
            ),
            ("sequence", seconds(self.sequence)?),
            (
                "subjects",
                cut_offs(self.subjects.iter().map(|(subject, before)| ("subject", Value::Text(subject.clone()), *before)).collect())?,
            ),
            ("tasks", Value::Array(self.tasks.iter().map(|task| hex(&task.0)).collect())),
        ]))
    }

    /// Reads the JSON form: exactly its members, each list in ascending order of bytes and without repetition, so that
    /// one list has one text.
    pub(super) fn from_json(value: &Value) -> Result<Self, Reason> {
        let members = Members::of(value, &["blocks", "issued", "issuer", "keys", "max_staleness", "sequence", "subjects", "tasks"])?;
        let staleness = ToolClass::ALL.map(ToolClass::name);
        let staleness = Members::of(members.value("max_staleness")?, &staleness)?;
        let list = Self {
            issuer: members.text("issuer")?.to_owned(),
            sequence: members.number("sequence")?,
            issued: members.number("issued")?,
            max_staleness: MaxStaleness {
                read: staleness.number(ToolClass::Read.name())?,
                write: staleness.number(ToolClass::Write.name())?,
                egress: staleness.number(ToolClass::Egress.name())?,
                irreversible: staleness.number(ToolClass::Irreversible.name())?,
            },
            blocks: ascending(members.array("blocks")?, |item| item.as_text().and_then(BlockId::from_hex).map(|id| (id, ())))?
                .into_keys()
                .collect(),
            tasks: ascending(members.array("tasks")?, |item| item.as_text().and_then(TaskId::from_hex).map(|id| (id, ())))?
                .into_keys()
                .collect(),
            subjects: ascending(members.array("subjects")?, |item| {
                let entry = Members::of(item, &["before", "subject"]).ok()?;
                Some((entry.text("subject").ok()?.to_owned(), entry.number("before").ok()?))
            })?,
            keys: ascending(members.array("keys")?, |item| {
                let entry = Members::of(item, &["before", "key"]).ok()?;
                Some((from_hex(entry.text("key").ok()?)?, entry.number("before").ok()?))
            })?,
        };
        list.bounded()?;
        Ok(list)
    }

    fn bounded(&self) -> Result<(), Reason> {
        let texts = core::iter::once(&self.issuer).chain(self.subjects.keys());
        if !texts.into_iter().all(|text| (1..=MAX_TEXT).contains(&text.len())) {
            return Err(Reason::FeedMalformed);
        }
        let entries = [self.blocks.len(), self.tasks.len(), self.subjects.len(), self.keys.len()];
        if entries.iter().sum::<usize>() > MAX_ENTRIES { Err(Reason::FeedTooLarge) } else { Ok(()) }
    }
}

/// Reads each item of a list that must ascend strictly.
fn ascending<K: Ord, V>(items: &[Value], read: impl Fn(&Value) -> Option<(K, V)>) -> Result<BTreeMap<K, V>, Reason> {
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
struct Members<'a>(&'a BTreeMap<Key, Value>);

impl<'a> Members<'a> {
    fn of(value: &'a Value, names: &[&str]) -> Result<Self, Reason> {
        let members = value.as_object().ok_or(Reason::FeedMalformed)?;
        let exact = members.len() == names.len() && members.keys().all(|key| names.contains(&key.0.as_str()));
        if exact { Ok(Self(members)) } else { Err(Reason::FeedMalformed) }
    }

    fn value(&self, name: &str) -> Result<&'a Value, Reason> {
        self.0.get(&Key(name.to_owned())).ok_or(Reason::FeedMalformed)
    }

    fn text(&self, name: &str) -> Result<&'a str, Reason> {
        self.value(name)?.as_text().ok_or(Reason::FeedMalformed)
    }

    fn number(&self, name: &str) -> Result<u64, Reason> {
        match self.value(name)? {
            Value::Integer(number) => u64::try_from(*number).map_err(|_| Reason::FeedMalformed),
            _ => Err(Reason::FeedMalformed),
        }
    }

    fn array(&self, name: &str) -> Result<&'a [Value], Reason> {
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
