//! Receipts on demand: of any entry, under the newest checkpoint or the newest witnessed one.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use narrows_verifier::{EntryId, Reason};

use super::{error::ApiError, path_text::PathText};
use crate::{app::App, log::LogError};

/// `GET /v1/receipts/{entry}[?witnessed]`: the entry by its id or its index. A receipt shows hashes only, so everybody may
/// have it; the leaf that it is of, whoever holds the leaf.
pub(super) async fn receipt(
    State(app): State<Arc<App>>,
    PathText(entry): PathText,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let witnessed = match query.as_deref() {
        None => false,
        Some("witnessed") => true,
        Some(_) => return Err(ApiError::plain(Reason::RequestMalformed, "the one query is `witnessed`")),
    };
    let unknown = || ApiError::plain(Reason::RouteUnknown, "there is no such entry");
    let index = index(&app, &entry)?.ok_or_else(unknown)?;
    let newest = app.log.newest().map_err(refusal)?;
    if index >= newest.size {
        return Err(unknown());
    }
    let head = if witnessed { app.witnesses.as_ref().and_then(|witnesses| witnesses.witnessed()) } else { Some(Arc::new(newest)) };
    let receipt = match head {
        Some(head) => app.log.receipt_under(index, &head).map_err(refusal)?,
        None => None,
    };
    let receipt = receipt.ok_or_else(|| refusal(LogError::not_witnessed()))?;
    let headers = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    Ok((headers, receipt).into_response())
}

/// 32 hex digits are an id; an index has no more than 19 digits.
fn index(app: &App, entry: &str) -> Result<Option<u64>, ApiError> {
    match EntryId::from_hex(entry) {
        Some(id) => app.log.index_of(&id).map_err(refusal),
        None if entry == "0" || !entry.starts_with(['0', '+']) => Ok(entry.parse().ok()),
        None => Ok(None),
    }
}

fn refusal(error: LogError) -> ApiError {
    ApiError::plain(error.reason(), error.reason().meaning()).retry_after(error.retry_after_s())
}
