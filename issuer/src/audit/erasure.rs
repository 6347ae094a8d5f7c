//! Erasing what is disclosed about a person while the service runs.

use narrows_verifier::Reason;
use narrows_verifier::log::{EntryId, Kind, Leaf, TraceId};

use super::access::Auditor;
use crate::app::App;
use crate::exchange::ExchangeError;
use crate::log::{Pseudonym, SideRow};
use crate::record::{Record, append, text};

/// A recorded erasure.
pub(crate) struct Erased {
    pub(crate) entry: EntryId,
    pub(crate) leaf: Vec<u8>,
    pub(crate) receipt: String,
}

/// Takes the values out of the person's rows and records that in one commit of the running writer, in the lane that goes first;
/// then empties the journal and destroys the person's key. `basis` stays readable.
///
/// # Errors
/// `SUBJECT_UNKNOWN`, or `AUDIT_UNAVAILABLE`: then ask again, which does what is left to do.
pub(crate) async fn erase(app: &App, by: &Auditor, subject: Pseudonym, basis: &str, trace: TraceId) -> Result<Erased, ExchangeError> {
    if !app.log.knows(subject)? {
        return Err(ExchangeError::Refused(Reason::SubjectUnknown));
    }
    let mut draft = Leaf::draft(Kind::Erasure, app.fresh_entry(), trace);
    draft.dev = app.dev;
    let entry = draft.id;
    let mut record = Record::new(app);
    record.field("basis", text(basis));
    record.field("by", text(by.name()));
    record.field("subject", text(&subject.to_string()));
    let rows = vec![SideRow::Erase(subject), SideRow::Shred(subject)];
    let (leaf, receipt) = append(app, draft, record, rows).await?;
    Ok(Erased { entry, leaf, receipt })
}
