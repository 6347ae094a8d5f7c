//! `POST /v1/audit/erasures`: a person's disclosures go, while the service runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use narrows_verifier::Reason;
use serde::Deserialize;
use serde_json::json;

use super::access::{administrator, unavailable};
use crate::app::App;
use crate::audit::{Erased, erase};
use crate::http::error::ApiError;
use crate::http::form::is_declared;
use crate::http::request_id::TraceId;
use crate::log::Pseudonym;

/// The request body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Erasing {
    subject: String,
    basis: String,
}

/// Erases, and answers with the leaf that records it.
pub(in crate::http) async fn erasures(
    State(app): State<Arc<App>>,
    trace: TraceId,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let administrator = administrator(&app, &headers)?;
    if !is_declared(&headers, "application/json") {
        return Err(ApiError::plain(Reason::ContentType, Reason::ContentType.meaning()));
    }
    let asked: Erasing = serde_json::from_slice(&body)
        .map_err(|_| ApiError::plain(Reason::JsonMalformed, "the body is not an object of `subject` and `basis`"))?;
    let invalid = |text: &'static str| ApiError::plain(Reason::ParameterInvalid, text);
    let subject = Pseudonym::from_hex(&asked.subject).ok_or_else(|| invalid("`subject` is not 32 hex digits"))?;
    if !(1..=MAX_BASIS_BYTES).contains(&asked.basis.len()) {
        return Err(invalid("`basis` is not 1 to 1,024 bytes"));
    }
    let Erased { entry, leaf, receipt } = erase(&app, administrator, subject, &asked.basis, trace.into()).await.map_err(unavailable)?;
    let answer = json!({ "entry": entry.to_string(), "leaf": STANDARD.encode(&leaf), "receipt": receipt });
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

const MAX_BASIS_BYTES: usize = 1024;
