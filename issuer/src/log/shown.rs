//! A leaf as an auditor sees it: what stands in clear, and of each commitment what its disclosure opens.

use core::fmt;

use narrows_verifier::Reason;
use narrows_verifier::json::Value;
use narrows_verifier::log::{BlockId, Commitment, Disclosure, EntryId, Kind, Leaf, Retention, Verdict};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::verify::Finding;

/// One leaf, opened as far as it is disclosed.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownLeaf {
    /// Position in the log.
    pub index: u64,
    /// The entry.
    pub entry: EntryId,
    /// What happened.
    pub kind: Kind,
    /// When, in milliseconds since 1970.
    pub t_ms: u64,
    /// What was decided.
    pub verdict: Verdict,
    /// Reason codes of the verdict.
    pub reasons: Vec<String>,
    /// The newest block of the token that it is about, where there is one.
    pub block: Option<BlockId>,
    /// The composite principal, subject first.
    pub chain: Vec<Shown>,
    /// Further fields, by name.
    pub fields: Vec<(String, Shown)>,
}

/// A committed field as an auditor sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Opened, and it matches the commitment.
    Disclosed(Value),
    /// Committed to, and what opened it was kept for as long as the log's policy says.
    Expired,
    /// Committed to, but not opened: withheld or erased.
    Withheld,
}

impl ShownLeaf {
    /// Opens a leaf of a log that keeps what `retention` says.
    ///
    /// # Errors
    /// `DISCLOSURE_MISMATCH` for a disclosure that opens another commitment than that of its name.
    pub(crate) fn new(index: u64, leaf: Leaf, disclosures: &[Disclosure], retention: Option<&Retention>) -> Result<Self, Finding> {
        let shown = |name: &str, commitment: &Commitment| match disclosures.iter().find(|disclosure| disclosure.name == name) {
            None => Ok(Shown::unopened(&leaf.kind, index, retention)),
            Some(disclosure) if disclosure.opens(commitment) => Ok(Shown::Disclosed(disclosure.value.clone())),
            Some(_) => Err(Finding::new(Reason::DisclosureMismatch, Some(index), "a disclosure does not open its leaf's commitment")),
        };
        let chain = leaf.chain.iter().enumerate().map(|(place, it)| shown(&format!("chain/{place}"), it)).collect::<Result<_, _>>()?;
        let fields = leaf.fields.iter().map(|(name, it)| Ok((name.clone(), shown(name, it)?))).collect::<Result<_, Finding>>()?;
        Ok(Self {
            index,
            entry: leaf.id,
            kind: leaf.kind,
            t_ms: leaf.t_ms,
            verdict: leaf.verdict,
            reasons: leaf.reasons,
            block: leaf.blocks.last().copied(),
            chain,
            fields,
        })
    }
}

impl Shown {
    /// A field that nothing opens, of a leaf of this kind at this index, in a log that keeps what `retention` says.
    pub fn unopened(kind: &Kind, index: u64, retention: Option<&Retention>) -> Self {
        let expired = retention.is_some_and(|retention| index < retention.expired_below(kind.as_str()));
        if expired { Self::Expired } else { Self::Withheld }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => formatter.write_str("expired"),
            Self::Withheld => formatter.write_str("withheld"),
            // An agent may call itself anything: escape what would move the reader's terminal or hide text.
            Self::Disclosed(Value::Text(text)) => write!(formatter, "{text:?}"),
            Self::Disclosed(value) => value.canonical().chars().try_for_each(|character| match character {
                ' '..='~' => write!(formatter, "{character}"),
                other => write!(formatter, "{}", other.escape_debug()),
            }),
        }
    }
}

/// Milliseconds since 1970 as RFC 3339, to the second.
pub fn utc(t_ms: u64) -> String {
    i64::try_from(t_ms / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{t_ms} ms"))
}
