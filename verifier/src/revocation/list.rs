//! What a snapshot says: its members and its one text.

use super::{
    MaxStaleness,
    entries::Entries,
    form::{Members, bounded, number, staleness_from_json, staleness_to_json},
};
use crate::{Reason, json::Value};

/// What an issuer has revoked, complete as of one moment.
///
/// An entry may leave the list once every token that it reaches has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// The issuer's identifier, as its tokens carry it.
    pub issuer: String,
    /// Grows with every snapshot.
    pub sequence: u64,
    /// Seconds since the Unix epoch at which the list was complete.
    pub issued: u64,
    /// How old the list may be at a verifier that decides.
    pub max_staleness: MaxStaleness,
    /// What is revoked.
    pub revoked: Entries,
}

impl RevocationList {
    /// The JSON form, when the list is within its bounds.
    pub(super) fn to_json(&self) -> Result<Value, Reason> {
        let [agents, blocks, keys, subjects, tasks] = self.revoked.to_members()?;
        Ok(Value::object([
            agents,
            blocks,
            ("issued", number(self.issued)?),
            ("issuer", Value::Text(bounded(&self.issuer)?.to_owned())),
            keys,
            ("max_staleness", staleness_to_json(&self.max_staleness)?),
            ("sequence", number(self.sequence)?),
            subjects,
            tasks,
        ]))
    }

    /// Reads the JSON form: exactly its members.
    pub(super) fn from_json(value: &Value) -> Result<Self, Reason> {
        let members =
            Members::of(value, &["agents", "blocks", "issued", "issuer", "keys", "max_staleness", "sequence", "subjects", "tasks"])?;
        Ok(Self {
            issuer: members.name("issuer")?,
            sequence: members.number("sequence")?,
            issued: members.number("issued")?,
            max_staleness: staleness_from_json(members.value("max_staleness")?)?,
            revoked: Entries::from_members(&members)?,
        })
    }
}
