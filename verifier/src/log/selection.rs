//! Which leaves somebody asked for: the one meaning of a search, for the service that looks and the auditor who checks.

use serde::{Deserialize, Serialize};

use super::commitment::Disclosure;
use super::leaf::{Leaf, Verdict};
use crate::id::{BlockId, TaskId, TraceId};
use crate::json::Value;

/// What a leaf must be to belong: every member that is given must hold. The empty selection is the whole log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Behind this index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// An agent of the composite principal, as disclosed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Before this index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// A block that the leaf lists: it was derived, or the token that it is about contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<BlockId>,
    /// Not before this time, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal")]
    pub from_ms: Option<u64>,
    /// The kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A block that something was derived from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BlockId>,
    /// The subject at the beginning of the composite principal, as disclosed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// A reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// Before this time, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "decimal")]
    pub to_ms: Option<u64>,
    /// A tool that was called or granted by its name, as disclosed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// The verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

impl Selection {
    /// True when everything in the clear holds for the leaf at this index; names are for [`Selection::names_match`].
    pub fn clear_matches(&self, index: u64, leaf: &Leaf) -> bool {
        let holds = |holds: Option<bool>| holds.unwrap_or(true);
        holds(self.after.map(|after| index > after))
            && holds(self.before.map(|before| index < before))
            && holds(self.from_ms.map(|from| leaf.t_ms >= from))
            && holds(self.to_ms.map(|to| leaf.t_ms < to))
            && holds(self.kind.as_deref().map(|kind| leaf.kind.as_str() == kind))
            && holds(self.verdict.map(|verdict| leaf.verdict == verdict))
            && holds(self.task.map(|task| leaf.task == Some(task)))
            && holds(self.trace.map(|trace| leaf.trace == trace))
            && holds(self.block.map(|block| leaf.blocks.contains(&block)))
            && holds(self.parent.map(|parent| leaf.parents.contains(&parent)))
            && holds(self.reason.as_ref().map(|reason| leaf.reasons.contains(reason)))
    }

    /// True when the names asked for stand in these disclosures of the leaf, each of which must have been found to open its
    /// commitment. Without its disclosure a name never matches: what is withheld or erased can't be found.
    pub fn names_match(&self, disclosures: &[Disclosure]) -> bool {
        let shown = |wanted: &Option<String>, field| {
            let wanted = wanted.as_deref();
            wanted.is_none_or(|wanted| names(disclosures).any(|(found, name)| found == field && name == wanted))
        };
        shown(&self.principal, NameField::Principal) && shown(&self.agent, NameField::Agent) && shown(&self.tool, NameField::Tool)
    }

    /// True when no name is asked for, so that leaves alone show whether they belong.
    pub const fn is_clear(&self) -> bool {
        self.principal.is_none() && self.agent.is_none() && self.tool.is_none()
    }

    /// True for a plain range of indices, which can be checked for gaps.
    pub fn is_range(&self) -> bool {
        *self == Self { after: self.after, before: self.before, ..Self::default() }
    }
}

/// A kind of name that can be searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameField {
    /// The subject.
    Principal,
    /// An agent.
    Agent,
    /// A tool.
    Tool,
}

/// Every name in a leaf's disclosures under which it can be found.
pub fn names(disclosures: &[Disclosure]) -> impl Iterator<Item = (NameField, &str)> {
    disclosures.iter().flat_map(|disclosure| {
        let value = &disclosure.value;
        let (field, texts): (_, Vec<&str>) = match disclosure.name.as_str() {
            "chain/0" => (NameField::Principal, subject(value).into_iter().collect()),
            name if name.starts_with("chain/") => (NameField::Agent, value.as_text().into_iter().collect()),
            "tool" | "tools" => (NameField::Tool, tools(value)),
            _ => (NameField::Tool, Vec::new()),
        };
        texts.into_iter().map(move |text| (field, text))
    })
}

/// A subject is a pseudonym, or an object that names its identity provider as well.
fn subject(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        Value::Object(members) => members.iter().find(|(key, _)| key.0 == "subject").and_then(|(_, subject)| subject.as_text()),
        _ => None,
    }
}

fn tools(value: &Value) -> Vec<&str> {
    match value {
        Value::Text(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_text).collect(),
        _ => Vec::new(),
    }
}

/// A time beyond 2^53 must not lose digits in a reader of doubles, so it travels as text.
mod decimal {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use crate::log::checkpoint::parse_decimal;

    pub(super) fn serialize<S: Serializer>(number: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        number.map(|number| number.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_decimal(&text).map(Some).ok_or_else(|| D::Error::custom("not a decimal number"))
    }
}
