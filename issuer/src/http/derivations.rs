//! `POST /v1/derivations`: an offline hop enters the log.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header::CACHE_CONTROL};
use narrows_verifier::Reason;
use serde::Deserialize;
use serde_json::json;

use super::{error::ApiError, form::is_declared, request_id::TraceId};
use crate::{app::App, derivation::report, exchange::ExchangeError};

/// The request body. No Debug: it holds a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Report {
    token: String,
    proof: String,
}

/// Records the newest hop of a sealed token and answers with its receipt.
pub(super) async fn derivations(
    State(app): State<Arc<App>>,
    trace: TraceId,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    if !is_declared(&headers, "application/json") {
        return Err(ApiError::plain(Reason::ContentType, Reason::ContentType.meaning()));
    }
    let request: Report = serde_json::from_slice(&body)
        .map_err(|_| ApiError::plain(Reason::JsonMalformed, "the body is not an object of `token` and `proof`"))?;
    let reported = report(&app, &request.token, &request.proof, trace.into()).await.map_err(refusal)?;
    app.metrics.count_derivation();
    let answer = json!({ "entry": reported.entry.to_string(), "leaf": STANDARD.encode(&reported.leaf), "receipt": reported.receipt });
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

pub(super) fn refusal(error: ExchangeError) -> ApiError {
    match error {
        ExchangeError::Refused(reason) | ExchangeError::Denied { reason, .. } => ApiError::plain(reason, reason.meaning()),
        ExchangeError::Unavailable { reason, retry_after_s } => ApiError::plain(reason, reason.meaning()).retry_after(retry_after_s),
    }
}
