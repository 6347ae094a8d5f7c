//! `GET /v1/audit/reading`: many bundles of entries as one reading.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, Uri};
use serde_json::json;

use super::proofs::{number, optional};
use super::{parameters, recorded, refusal};
use crate::app::App;
use crate::audit::Reading;
use crate::http::error::ApiError;
use crate::http::request_id::TraceId;

/// Records that a range of leaves is going to be read. Its bundles then come under this one leaf, each about once.
pub(in crate::http) async fn reading(
    State(app): State<Arc<App>>,
    trace: TraceId,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let pairs = parameters(&uri, &["first", "size"])?;
    let first = optional(&pairs, "first", number)?.unwrap_or(0);
    let (size, checkpoint, minimum_index) = app.archive.checkpoint(optional(&pairs, "size", number)?).map_err(|error| refusal(&error))?;
    let asked = [("first", first.to_string()), ("size", size.to_string())];
    let reading = recorded(&app, &headers, trace, Reading::Read, (&asked, false)).await?.map(|(auditor, entry)| {
        auditor.open_reading(entry, (first, size), (app.clock)());
        entry.to_string()
    });
    let answer = json!({
        "reading": reading, "first": first, "size": size, "checkpoint": checkpoint, "minimum_index": minimum_index,
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}
