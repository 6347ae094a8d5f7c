//! `/v1/clients`: the clients of the configuration and those that operators register.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, State},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Uri};
use narrows_verifier::Reason;
use serde_json::{Value, json};

use super::{answer, parsed, refusal};
use crate::{
    admin::{self, Changed, Operator, secret_id},
    app::App,
    clients::{Known, Registration},
    config::Client,
    http::{
        audit::{number, optional, parameters},
        error::ApiError,
        request_id::TraceId,
    },
};

pub(super) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, ApiError> {
    let pairs = parameters(&uri, &["after", "limit"])?;
    let after = pairs.iter().find(|(name, _)| name == "after").map(|(_, id)| id.as_str());
    let limit = page(optional(&pairs, "limit", number)?)?;
    let clients: Vec<_> = app.clients.page(after, limit).iter().map(|known| described(&app, known)).collect();
    let next = (clients.len() == limit).then(|| clients.last().and_then(|client| client.get("id").cloned())).flatten();
    Ok(answer(json!({ "clients": clients, "next": next })))
}

pub(super) async fn show(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let known = app.clients.known(&id);
    let known = known.ok_or_else(|| ApiError::plain(Reason::ClientUnknown, Reason::ClientUnknown.meaning()))?;
    Ok(answer(described(&app, &known)))
}

pub(super) async fn add(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    trace: TraceId,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let client: Client = parsed(&headers, &body)?;
    admin::add(&app, &by, client, trace.into()).await.map(|changed| told(&changed)).map_err(refusal)
}

pub(super) async fn disable(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    Path(id): Path<String>,
    trace: TraceId,
) -> Result<Response, ApiError> {
    admin::disable(&app, &by, &id, trace.into()).await.map(|changed| told(&changed)).map_err(refusal)
}

pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    Path(id): Path<String>,
    trace: TraceId,
) -> Result<Response, ApiError> {
    admin::rotate(&app, &by, &id, trace.into()).await.map(|changed| told(&changed)).map_err(refusal)
}

pub(super) async fn forget_secret(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    Path((id, secret)): Path<(String, String)>,
    trace: TraceId,
) -> Result<Response, ApiError> {
    admin::forget_secret(&app, &by, &id, &secret, trace.into()).await.map(|changed| told(&changed)).map_err(refusal)
}

/// Reads how many things a page is to hold.
pub(super) fn page(limit: Option<u64>) -> Result<usize, ApiError> {
    match limit.map(usize::try_from) {
        None => Ok(MAX_PAGE),
        Some(Ok(limit)) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        Some(_) => Err(ApiError::plain(Reason::ParameterInvalid, "`limit` is not from 1 to 256")),
    }
}

fn told(changed: &Changed) -> Response {
    let Changed { registration, secret, entry, leaf, receipt } = changed;
    let mut told = json!({
        "client": entry_of(registration, "registered"),
        "entry": entry.to_string(),
        "leaf": STANDARD.encode(leaf),
        "receipt": receipt,
    });
    if let (Some(secret), Some(members)) = (secret, told.as_object_mut()) {
        members.insert("client_secret".to_owned(), secret.as_str().into());
    }
    answer(told)
}

fn described(app: &App, known: &Known) -> Value {
    let mut entry = entry_of(&known.registration, if known.index.is_some() { "registered" } else { "configuration" });
    if let (Some(hidden), Some(members)) = (app.clients.hidden(&known.client.id), entry.as_object_mut()) {
        members.insert("hides".to_owned(), entry_of(&hidden.registration, "registered"));
    }
    entry
}

/// The entry as the configuration would have it, but for the digests of secrets: of those, the ids.
fn entry_of(registration: &Registration, source: &str) -> Value {
    let client = &registration.client;
    let mut entry = serde_json::to_value(client).unwrap_or_default();
    if let Some(members) = entry.as_object_mut() {
        members.remove("secret_hashes");
        members.insert("secrets".to_owned(), client.secret_hashes.iter().map(|hash| secret_id(hash)).collect());
        members.insert("source".to_owned(), source.into());
        members.insert("state".to_owned(), if registration.disabled { "disabled" } else { "active" }.into());
    }
    entry
}

const MAX_PAGE: usize = 256;
