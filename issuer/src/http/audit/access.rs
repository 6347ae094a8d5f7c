//! Who reads, and the leaf that says so.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use narrows_verifier::Reason;

use crate::app::App;
use crate::audit::{Auditor, Reading, record};
use crate::exchange::ExchangeError;
use crate::http::error::ApiError;
use crate::http::request_id::TraceId;

/// The auditor who asks; `None` where everybody may read. A wrong credential is refused there too: its owner would
/// believe that it works.
fn reader<'a>(app: &'a App, headers: &HeaderMap) -> Result<Option<&'a Auditor>, ApiError> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let auditor = match (given.next(), given.next()) {
        (None, _) if app.public_entries => return Ok(None),
        (Some(credential), None) => app.auditors.authenticate(credential.as_bytes()),
        _ => Err(Reason::AuditorAuth),
    };
    let auditor = auditor.map_err(|reason| ApiError::plain(reason, reason.meaning()))?;
    let admitted = auditor.admit((app.clock)());
    admitted.map_err(|reason| ApiError::plain(reason, reason.meaning()).retry_after(Some(1)))?;
    Ok(Some(auditor))
}

/// Lets a reading pass once its leaf is durable.
pub(in crate::http) async fn recorded(
    app: &App,
    headers: &HeaderMap,
    trace: TraceId,
    reading: Reading,
    (query, names): (&[(&str, String)], bool),
) -> Result<(), ApiError> {
    let auditor = reader(app, headers)?;
    if names && !auditor.is_some_and(Auditor::sees_names) {
        return Err(ApiError::plain(Reason::AuditorRole, Reason::AuditorRole.meaning()));
    }
    match auditor {
        None => Ok(()),
        Some(auditor) => record(app, auditor, reading, query, trace.into()).await.map_err(unavailable),
    }
}

/// Lets the reading of an entry bundle pass. Without any credential, its refusal says that entries are not public.
pub(in crate::http) async fn read_tile(app: &App, headers: &HeaderMap, trace: TraceId, path: String) -> Result<(), ApiError> {
    if !app.public_entries && !headers.contains_key(AUTHORIZATION) {
        return Err(ApiError::plain(Reason::EntriesPrivate, Reason::EntriesPrivate.meaning()));
    }
    recorded(app, headers, trace, Reading::Read, (&[("tile", path)], false)).await
}

fn unavailable(error: ExchangeError) -> ApiError {
    match error {
        ExchangeError::Refused(reason) | ExchangeError::Denied { reason, .. } => ApiError::plain(reason, reason.meaning()),
        ExchangeError::Unavailable { reason, retry_after_s } => ApiError::plain(reason, reason.meaning()).retry_after(retry_after_s),
    }
}
