//! A witness for other logs, over HTTP: C2SP tlog-witness. Its state is its own; it is not part of the issuer's service.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use narrows_verifier::Reason;
use narrows_verifier::log::{MAX_REQUEST_BYTES, SIZE_CONTENT_TYPE, WitnessRefusal};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::error::ApiError;
use super::metrics::Metrics;
use super::{envelope, router::Routes};
use crate::config::Limits;
use crate::witness::{CosignError, Cosigner};

/// The witness's routes, inside the envelope of bounds, trace ids and log lines that the service has.
pub fn router(cosigner: Arc<Cosigner>, limits: &Limits, metrics: Arc<Metrics>) -> Routes {
    let routes = Router::new()
        // logs
        .route("/add-checkpoint", post(add_checkpoint))
        // monitors
        .route("/{origin}/checkpoint", get(newest))
        // operators
        .route("/healthz", get(health))
        .with_state(cosigner);
    envelope(routes, limits, metrics)
}

/// The bounds of a witness: as the service's, with room for the largest request of the protocol.
pub fn limits() -> Limits {
    Limits { max_body_bytes: MAX_REQUEST_BYTES, ..Limits::default() }
}

async fn add_checkpoint(State(cosigner): State<Arc<Cosigner>>, body: Bytes) -> Result<Response, ApiError> {
    let answer = blocking(move || {
        let body = std::str::from_utf8(&body).map_err(|_| ApiError::plain(Reason::WitnessRequest, "the body is not UTF-8"))?;
        match cosigner.add_checkpoint(body) {
            Err(CosignError::Refused(WitnessRefusal::Conflict(size))) => Ok(conflict(size)),
            answer => answer.map(|line| text(line).into_response()).map_err(refusal),
        }
    });
    answer.await
}

/// The newest checkpoint cosigned for the log whose origin hashes to this.
async fn newest(State(cosigner): State<Arc<Cosigner>>, Path(hash): Path<String>) -> Result<Response, ApiError> {
    let chosen = move |origin: &str| {
        let digest = Sha256::digest(origin);
        digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == hash
    };
    let note = blocking(move || cosigner.newest(chosen).map_err(refusal)).await?;
    let note = note.ok_or_else(|| ApiError::plain(Reason::WitnessLogUnknown, "this witness has cosigned nothing of such a log"))?;
    Ok((([(CACHE_CONTROL, "no-store"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")]), text(note)).into_response())
}

async fn health(State(cosigner): State<Arc<Cosigner>>) -> Result<Response, ApiError> {
    if !cosigner.is_healthy() {
        return Err(ApiError::plain(Reason::WitnessState, "the witness's state could not be written"));
    }
    Ok((([(CACHE_CONTROL, "no-store")]), Json(Health { status: "ready", vkey: cosigner.key().to_string() })).into_response())
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    vkey: String,
}

/// The database blocks; other requests go on meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(ApiError::plain(Reason::Internal, Reason::Internal.meaning())))
}

fn text(body: String) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], body)
}

fn conflict(size: u64) -> Response {
    (StatusCode::CONFLICT, [(CONTENT_TYPE, SIZE_CONTENT_TYPE)], format!("{size}\n")).into_response()
}

fn refusal(error: CosignError) -> ApiError {
    match error {
        CosignError::Refused(WitnessRefusal::Malformed(refusal)) => ApiError::plain(Reason::WitnessRequest, refusal.detail),
        // What the disk said is for the operator, not for whoever asks.
        error => ApiError::plain(error.reason(), error.reason().meaning()),
    }
}

/// Route templates that metrics may be labelled with.
pub const ROUTES: &[&str] = &["/add-checkpoint", "/{origin}/checkpoint", "/healthz"];

#[cfg(test)]
mod tests;
