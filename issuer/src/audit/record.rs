//! Reading evidence is itself evidence: each reading under a credential is a leaf before its answer leaves.

use narrows_verifier::json::Value;
use narrows_verifier::log::{EntryId, Kind, Leaf, TraceId};

use super::access::Auditor;
use crate::app::App;
use crate::exchange::ExchangeError;
use crate::record::{Record, append, text};

/// What is read, by its kind of leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Entries, a task, a search, a bundle of entries.
    Read,
    /// Evidence to be carried away.
    Export,
}

/// Appends the leaf of one reading and gives its entry. Names that were asked for are not stored: they would outlive an erasure here.
///
/// # Errors
/// `AUDIT_UNAVAILABLE`: nothing may then be handed out.
pub(crate) async fn record(
    app: &App,
    auditor: &Auditor,
    reading: Reading,
    query: &[(&str, String)],
    trace: TraceId,
) -> Result<EntryId, ExchangeError> {
    let kind = match reading {
        Reading::Read => Kind::AuditRead,
        Reading::Export => Kind::AuditExport,
    };
    let mut draft = Leaf::draft(kind, app.fresh_entry(), trace);
    draft.dev = app.dev;
    let shown = query.iter().map(|(name, value)| {
        let personal = matches!(*name, "principal" | "agent" | "tool");
        let value = if personal { Value::Flag(true) } else { text(value) };
        (narrows_verifier::json::Key((*name).to_owned()), value)
    });
    let mut record = Record::new(app);
    record.field("by", text(auditor.name()));
    record.field("query", Value::Object(shown.collect()));
    let entry = draft.id;
    append(app, draft, record, Vec::new()).await?;
    Ok(entry)
}
