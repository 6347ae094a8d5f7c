//! Who reads, and the leaf that says so.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use narrows_verifier::Reason;
use narrows_verifier::log::{EntryId, TilePath};

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

/// The administrator who asks. Open entries open nothing here.
pub(super) fn administrator<'a>(app: &'a App, headers: &HeaderMap) -> Result<&'a Auditor, ApiError> {
    let refused = |reason: Reason| ApiError::plain(reason, reason.meaning());
    let auditor = reader(app, headers)?.ok_or_else(|| refused(Reason::AuditorAuth))?;
    if auditor.sees_names() { Ok(auditor) } else { Err(refused(Reason::AuditorRole)) }
}

/// Lets a reading pass once its leaf is durable; who reads and the entry, where that is recorded.
pub(in crate::http) async fn recorded<'a>(
    app: &'a App,
    headers: &HeaderMap,
    trace: TraceId,
    reading: Reading,
    (query, names): (&[(&str, String)], bool),
) -> Result<Option<(&'a Auditor, EntryId)>, ApiError> {
    let auditor = reader(app, headers)?;
    if names && !auditor.is_some_and(Auditor::sees_names) {
        return Err(ApiError::plain(Reason::AuditorRole, Reason::AuditorRole.meaning()));
    }
    match auditor {
        None => Ok(None),
        Some(auditor) => {
            let entry = record(app, auditor, reading, query, trace.into()).await.map_err(unavailable)?;
            Ok(Some((auditor, entry)))
        }
    }
}

/// Lets the reading of an entry bundle pass, alone or as part of a reading that is recorded already, which it then names. Without any
/// credential, its refusal says that entries are not public.
pub(in crate::http) async fn read_tile(
    app: &App,
    headers: &HeaderMap,
    trace: TraceId,
    path: &TilePath,
) -> Result<Option<HeaderValue>, ApiError> {
    if !app.public_entries && !headers.contains_key(AUTHORIZATION) {
        return Err(ApiError::plain(Reason::EntriesPrivate, Reason::EntriesPrivate.meaning()));
    }
    if part_of_reading(app, headers, path)? {
        return Ok(headers.get(READING).cloned());
    }
    recorded(app, headers, trace, Reading::Read, (&[("tile", path.to_string())], false)).await.map(|_| None)
}

/// A reading that does not cover the tile is passed over: the tile is then a reading of its own.
fn part_of_reading(app: &App, headers: &HeaderMap, path: &TilePath) -> Result<bool, ApiError> {
    let named = headers.get(READING).and_then(|value| value.to_str().ok()).and_then(EntryId::from_hex);
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(entry), Some(credential), None) = (named, given.next(), given.next()) else { return Ok(false) };
    let auditor = app.auditors.authenticate(credential.as_bytes());
    let auditor = auditor.map_err(|reason| ApiError::plain(reason, reason.meaning()))?;
    Ok(auditor.is_reading(&entry, path, (app.clock)()))
}

pub(super) fn unavailable(error: ExchangeError) -> ApiError {
    match error {
        ExchangeError::Refused(reason) | ExchangeError::Denied { reason, .. } => ApiError::plain(reason, reason.meaning()),
        ExchangeError::Unavailable { reason, retry_after_s } => ApiError::plain(reason, reason.meaning()).retry_after(retry_after_s),
    }
}

/// Names the reading that a tile is part of.
pub(in crate::http) const READING: &str = "narrows-reading";
