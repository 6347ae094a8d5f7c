//! `/v1/tasks` and `/v1/revoke`: what runs, and its end.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use narrows_verifier::{Reason, TaskId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answer, clients::page, invalid, parsed, refusal};
use crate::{
    admin::Operator,
    app::App,
    http::{
        audit::{number, optional, parameters},
        error::ApiError,
        request_id::TraceId,
        revoke::{answer as evidence, read_target},
    },
    log::{ListedTask, LogError},
    revocation::{By, Target, revoke, whose},
};

/// What is to be ended: one member, and for a subject, an agent or a key the second of issue before which tokens end.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ends {
    block: Option<String>,
    task: Option<String>,
    subject: Option<String>,
    agent: Option<String>,
    key: Option<String>,
    before: Option<u64>,
}

/// The newest first; `before` is the last one of the page before.
pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, ApiError> {
    let pairs = parameters(&uri, &["before", "limit"])?;
    let before = optional(&pairs, "before", TaskId::from_hex)?;
    let limit = page(optional(&pairs, "limit", number)?)?;
    let most = u16::try_from(limit).unwrap_or(u16::MAX);
    let tasks = read(&app, move |app| app.log.tasks(before.as_ref(), most)).await?;
    let next = (tasks.len() == limit).then(|| tasks.last().map(|task| task.task.to_string())).flatten();
    let tasks: Vec<_> = tasks.iter().map(described).collect();
    Ok(answer(json!({ "tasks": tasks, "next": next })))
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    Ok(answer(described(&known(&app, &id).await?)))
}

pub(super) async fn revoke_task(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    Path(id): Path<String>,
    trace: TraceId,
) -> Result<Response, ApiError> {
    let task = known(&app, &id).await?.task;
    end(&app, &by, Target::Task(task), None, trace).await
}

pub(super) async fn revoke_target(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    trace: TraceId,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let Ends { block, task, subject, agent, key, before } = parsed(&headers, &body)?;
    let mut named = [("block", block), ("task", task), ("subject", subject), ("agent", agent), ("key", key)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let (name, value) = match (named.next(), named.next()) {
        (Some(named), None) => named,
        (None, _) => return Err(invalid(Reason::ParameterMissing, "name what is to be ended")),
        _ => return Err(invalid(Reason::ParameterInvalid, "one revocation names one thing")),
    };
    let target = read_target(name, &value).ok_or_else(|| invalid(Reason::ParameterInvalid, format!("`{name}` has a bad value")))?;
    end(&app, &by, target, before, trace).await
}

/// Its leaf is that of any revocation, by the word of an administrator.
async fn end(app: &Arc<App>, by: &Operator, target: Target, before_s: Option<u64>, trace: TraceId) -> Result<Response, ApiError> {
    let _turn = app.readings.acquire().await.map_err(|_| overloaded())?;
    let reader = Arc::clone(app);
    let found = tokio::task::spawn_blocking(move || whose(&reader, target, before_s)).await.map_err(|_| overloaded())?;
    let (ending, _) = found.map_err(refusal)?;
    let ended = revoke(app, By::Administrator(by.name()), ending, trace.into()).await.map_err(refusal)?;
    app.metrics.count_revocation();
    Ok(answer(evidence(Some(&ended))))
}

async fn known(app: &Arc<App>, id: &str) -> Result<ListedTask, ApiError> {
    let unknown = || ApiError { status: http::StatusCode::NOT_FOUND, ..invalid(Reason::TaskUnknown, Reason::TaskUnknown.meaning()) };
    let task = TaskId::from_hex(id).ok_or_else(unknown)?;
    read(app, move |app| app.log.listed_task(&task)).await?.ok_or_else(unknown)
}

/// Reads on a thread that may wait for the disk.
async fn read<T: Send + 'static>(app: &Arc<App>, read: impl FnOnce(&App) -> Result<T, LogError> + Send + 'static) -> Result<T, ApiError> {
    let _turn = app.readings.acquire().await.map_err(|_| overloaded())?;
    let reader = Arc::clone(app);
    let found = tokio::task::spawn_blocking(move || read(&reader)).await.map_err(|_| overloaded())?;
    found.map_err(|error| ApiError::plain(error.reason(), error.reason().meaning()).retry_after(error.retry_after_s()))
}

fn described(task: &ListedTask) -> Value {
    json!({
        "task": task.task.to_string(),
        "client": task.client,
        "expires": task.expires_s,
        "hops": task.hops,
        "max_hops": task.max_hops,
        "revoked": task.revoked,
        "paused": task.paused,
    })
}

fn overloaded() -> ApiError {
    ApiError::plain(Reason::Overloaded, Reason::Overloaded.meaning())
}
