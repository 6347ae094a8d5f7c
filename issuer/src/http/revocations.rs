//! `/v1/revocations`: the feed for verifiers, and the word of holders that what they hold is to end.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{
    HeaderMap, StatusCode, Uri,
    header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use narrows_verifier::Reason;
use serde::Deserialize;

use super::{
    audit::{number, optional, parameters},
    derivations::refusal,
    error::ApiError,
    form::is_declared,
    request_id::TraceId,
    revoke::answer,
};
use crate::{
    app::App,
    revocation::{Update, by_holder, revoke},
};

/// `GET /v1/revocations[?since=NUMBER]`: the newest snapshot, or what leads to it from the snapshot of that number.
pub(super) async fn feed(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Result<Response, ApiError> {
    let since = optional(&parameters(&uri, &["since"])?, "since", number)?;
    // whether the last commit reached the disk is unknown then, and a list that may lack it must not be called complete
    if let Some(reason) = app.log.halted() {
        return Err(failed(reason));
    }
    // a long list takes milliseconds to sign
    let signing = Arc::clone(&app);
    let made = tokio::task::spawn_blocking(move || {
        let now_ms = (signing.clock)();
        match since {
            None => signing.revocations.snapshot(now_ms).map(Update::Snapshot),
            Some(since) => signing.revocations.update(since, now_ms),
        }
    });
    let update = made.await.map_err(|_| failed(Reason::Overloaded))?.map_err(failed)?;
    let caching = (CACHE_CONTROL, CACHE.to_owned());
    Ok(match update {
        Update::Same => (StatusCode::NO_CONTENT, [caching]).into_response(),
        Update::Delta(text) => ([caching, (CONTENT_TYPE, TEXT.to_owned())], text).into_response(),
        Update::Snapshot(snapshot) => {
            let tag = format!("\"{}\"", snapshot.sequence);
            if since.is_none() && headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
                return Ok((StatusCode::NOT_MODIFIED, [caching, (ETAG, tag)]).into_response());
            }
            ([caching, (CONTENT_TYPE, TEXT.to_owned()), (ETAG, tag)], snapshot.text.clone()).into_response()
        }
    })
}

/// The request body. No Debug: it holds a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    token: String,
    proof: String,
}

/// `POST /v1/revocations`: the newest hop of a token ends, by the word of its holder or of whoever handed it on.
pub(super) async fn given_up(State(app): State<Arc<App>>, trace: TraceId, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    if !is_declared(&headers, "application/json") {
        return Err(failed(Reason::ContentType));
    }
    let given: Given = serde_json::from_slice(&body)
        .map_err(|_| ApiError::plain(Reason::JsonMalformed, "the body is not an object of `token` and `proof`"))?;
    let (by, ending) = by_holder(&app, &given.token, &given.proof).await.map_err(refusal)?;
    let ended = revoke(&app, by, ending, trace.into()).await.map_err(refusal)?;
    app.metrics.count_revocation();
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer(Some(&ended)))).into_response())
}

fn failed(reason: Reason) -> ApiError {
    ApiError::plain(reason, reason.meaning())
}

/// Short beside every bound on the age of a snapshot, and enough for a cache before many verifiers.
const CACHE: &str = "public, max-age=1, must-revalidate";
const TEXT: &str = "text/plain; charset=utf-8";
