//! The log's public face, in the paths and bytes of C2SP tlog-tiles.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::HeaderMap;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use narrows_verifier::{
    Reason,
    log::{TILE_WIDTH, TileKind, TilePath},
};

use super::audit::{READING, read_tile};
use super::error::ApiError;
use super::path_text::PathText;
use super::request_id::TraceId;
use crate::{app::App, log::LogError};

/// `GET /log/checkpoint`: the newest signed checkpoint, with the witnesses' lines where there are witnesses.
pub(super) async fn checkpoint(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let note = match &app.witnesses {
        None => app.log.checkpoint(),
        Some(witnesses) => witnesses.published(&app.log),
    };
    let note = note.map_err(unreadable)?;
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-store"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], note)
        .into_response())
}

/// `GET /log/tile/…`: hash tiles and entry bundles, which never change once they can be had.
pub(super) async fn tile(
    State(app): State<Arc<App>>,
    PathText(path): PathText,
    trace: TraceId,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let absent = || ApiError::plain(Reason::RouteUnknown, "there is no such tile");
    let path = TilePath::parse(&format!("tile/{path}")).map_err(|_| absent())?;
    // entry bundles show the delegation graph: outside of development they take an auditor's credential
    let entries = matches!(path.kind(), TileKind::Entries);
    let mut reading = None;
    if entries {
        // before anybody is asked for a credential or a reading is recorded: everybody may know the minimum index
        if app.log.minimum_index().map_err(unreadable)? > path.index().saturating_mul(TILE_WIDTH.into()) {
            return Err(ApiError::plain(Reason::EntryPruned, Reason::EntryPruned.meaning()));
        }
        reading = read_tile(&app, &headers, trace, &path).await?;
    }
    let bytes = app.log.tile(&path).map_err(unreadable)?.ok_or_else(absent)?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        // what took a credential must not be served on to others by a cache in between
        (CACHE_CONTROL, if entries && !app.public_entries { "private, no-store" } else { "public, max-age=31536000, immutable" }),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    let mut answer = (headers, bytes).into_response();
    // whoever does not find it there knows that this tile was a reading of its own
    reading.map(|reading| answer.headers_mut().insert(READING, reading));
    Ok(answer)
}

fn unreadable(error: LogError) -> ApiError {
    ApiError::plain(error.reason(), error.reason().meaning())
}
