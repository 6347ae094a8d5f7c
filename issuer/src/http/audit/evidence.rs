//! Entries with their proofs: by id, by task, by search, and to be carried away.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, Uri};
use narrows_verifier::Reason;
use narrows_verifier::log::{Bundle, EntryId, TaskId};

use super::{parameters, recorded, refusal};
use crate::app::App;
use crate::audit::{Archive, Query, Reading};
use crate::http::error::ApiError;
use crate::http::path_text::PathText;
use crate::http::request_id::TraceId;
use crate::log::LogError;

/// `GET /v1/audit/search`: leaves that a question finds.
pub(in crate::http) async fn search(
    State(app): State<Arc<App>>,
    trace: TraceId,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = query(&uri, Query::PARAMETERS)?;
    found(&app, &headers, trace, Reading::Read, query).await
}

/// `GET /v1/audit/export`: the same, recorded as carried away.
pub(in crate::http) async fn export(
    State(app): State<Arc<App>>,
    trace: TraceId,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let query = query(&uri, Query::PARAMETERS)?;
    found(&app, &headers, trace, Reading::Export, query).await
}

/// `GET /v1/audit/tasks/{id}`: the leaves of a task.
pub(in crate::http) async fn task(
    State(app): State<Arc<App>>,
    PathText(id): PathText,
    trace: TraceId,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let mut query = query(&uri, &["after", "limit", "names", "size"])?;
    query.selection.task = Some(TaskId::from_hex(&id).ok_or_else(unknown)?);
    found(&app, &headers, trace, Reading::Read, query).await
}

/// `GET /v1/audit/entries/{id}`: one entry.
pub(in crate::http) async fn entry(
    State(app): State<Arc<App>>,
    PathText(id): PathText,
    trace: TraceId,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let names = query(&uri, &["names"])?.names;
    let id = EntryId::from_hex(&id).ok_or_else(unknown)?;
    recorded(&app, &headers, trace, Reading::Read, (&[("entry", id.to_string())], names)).await?;
    let bundle = read(&app, move |archive| archive.entry(&id, names)).await?;
    Ok(answer(&bundle.ok_or_else(unknown)?))
}

async fn found(app: &App, headers: &HeaderMap, trace: TraceId, reading: Reading, query: Query) -> Result<Response, ApiError> {
    let asked = Query::selection_pairs(&query.selection);
    recorded(app, headers, trace, reading, (&asked, query.names)).await?;
    let bundle = read(app, move |archive| archive.search(&query)).await?;
    Ok(answer(&bundle))
}

/// Reads on a thread that may wait for the disk.
async fn read<T: Send + 'static>(app: &App, read: impl FnOnce(Archive) -> Result<T, LogError> + Send + 'static) -> Result<T, ApiError> {
    let overloaded = || ApiError::plain(Reason::Overloaded, Reason::Overloaded.meaning());
    let _turn = app.readings.acquire().await.map_err(|_| overloaded())?;
    let archive = app.archive.clone();
    tokio::task::spawn_blocking(move || read(archive)).await.map_err(|_| overloaded())?.map_err(|error| refusal(&error))
}

fn query(uri: &Uri, known: &[&str]) -> Result<Query, ApiError> {
    let pairs = parameters(uri, known)?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Query::parse(pairs).map_err(|error| ApiError::plain(error.reason, error.message))
}

fn answer(bundle: &Bundle) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], bundle.to_text()).into_response()
}

fn unknown() -> ApiError {
    ApiError::plain(Reason::EntryUnknown, Reason::EntryUnknown.meaning())
}
