//! `/v1/pause` and `/v1/resume`: a task or an agent is held for now.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use narrows_verifier::Reason;
use serde::Deserialize;

use super::{answer, invalid, parsed, refusal};
use crate::{
    admin::Operator,
    app::App,
    exchange::ExchangeError,
    http::{
        error::ApiError,
        request_id::TraceId,
        revoke::{answer as evidence, read_target},
    },
    revocation::{By, Target, pause, resume},
};

/// What is meant: one of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    task: Option<String>,
    agent: Option<String>,
}

pub(super) async fn pause_target(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    trace: TraceId,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let target = named(&headers, &body)?;
    let paused = pause(&app, By::Administrator(by.name()), target, trace.into()).await.map_err(refused)?;
    Ok(answer(evidence(Some(&paused))))
}

pub(super) async fn resume_target(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    trace: TraceId,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let target = named(&headers, &body)?;
    let resumed = resume(&app, By::Administrator(by.name()), target, trace.into()).await.map_err(refused)?;
    Ok(answer(evidence(Some(&resumed))))
}

fn named(headers: &HeaderMap, body: &[u8]) -> Result<Target, ApiError> {
    let (name, value) = match parsed(headers, body)? {
        Named { task: Some(task), agent: None } => ("task", task),
        Named { task: None, agent: Some(agent) } => ("agent", agent),
        Named { task: None, agent: None } => return Err(invalid(Reason::ParameterMissing, "name a task or an agent")),
        Named { .. } => return Err(invalid(Reason::ParameterInvalid, "name a task or an agent, not both")),
    };
    read_target(name, &value).ok_or_else(|| invalid(Reason::ParameterInvalid, format!("`{name}` has a bad value")))
}

/// A task that nobody knows is what the path names in other routes of administration, and the same answer here.
fn refused(error: ExchangeError) -> ApiError {
    match refusal(error) {
        error if error.reason == Reason::TaskUnknown => ApiError { status: StatusCode::NOT_FOUND, ..error },
        error => error,
    }
}
