//! `/v1/keys`: the keys that sign tokens, and the steps of their lives.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::HeaderMap;
use narrows_verifier::Reason;
use serde::Deserialize;
use serde_json::Value;

use super::{answer, invalid, parsed, refusal};
use crate::{
    admin::{KeyStep, change_key},
    app::App,
    http::{error::ApiError, router::published_keys},
    jose::TokenSigner,
    log::LoggedEntry,
};

/// What may be said of a key that is given up.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taint {
    spare_below: Option<u64>,
}

/// Public halves with their states, as verifiers see them, and the keys of JWT views.
pub(super) async fn list(State(app): State<Arc<App>>) -> Response {
    answer(keys(&app))
}

pub(super) async fn prepare(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    step(&app, KeyStep::Prepare).await
}

pub(super) async fn activate(State(app): State<Arc<App>>, Path(kid): Path<String>) -> Result<Response, ApiError> {
    step(&app, KeyStep::Activate(number(&kid)?)).await
}

pub(super) async fn retire(State(app): State<Arc<App>>, Path(kid): Path<String>) -> Result<Response, ApiError> {
    step(&app, KeyStep::Retire(number(&kid)?)).await
}

pub(super) async fn taint(
    State(app): State<Arc<App>>,
    Path(kid): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let kid = number(&kid)?;
    let Taint { spare_below } = if body.is_empty() { Taint::default() } else { parsed(&headers, &body)? };
    step(&app, KeyStep::Taint(kid, spare_below)).await
}

/// Its leaves are those of any change of keys, of kind `key`; the answer has the newest about the key that was named. By whom, the
/// leaf of the act says.
async fn step(app: &Arc<App>, step: KeyStep) -> Result<Response, ApiError> {
    let kid = change_key(app, step).await.map_err(refusal)?;
    let logged = match app.log.key_entry(kid) {
        // nothing changed by this step, and what did long ago is not handed out any more
        Err(error) if error.reason() == Reason::EntryPruned => None,
        found => found.map_err(|error| refusal(error.into()))?,
    };
    let evidence = logged.map(|(entry, LoggedEntry { leaf, receipt, .. })| {
        [("entry", entry.to_string()), ("leaf", STANDARD.encode(leaf)), ("receipt", receipt)]
    });
    let mut told = keys(app);
    if let Some(members) = told.as_object_mut() {
        let more = evidence.into_iter().flatten().chain([("kid", kid.to_string())]);
        members.extend(more.map(|(name, value)| (name.to_owned(), value.into())));
    }
    Ok(answer(told))
}

fn keys(app: &App) -> Value {
    let mut keys = serde_json::to_value(published_keys(app)).unwrap_or_default();
    if let Some(members) = keys.as_object_mut() {
        let views = app.jwt_signer.as_ref().map(TokenSigner::public_key_set);
        members.insert("jwt".to_owned(), views.and_then(|set| set.get("keys").cloned()).unwrap_or_else(|| Value::Array(Vec::new())));
    }
    keys
}

/// A number as the list has it, and no other way to write it.
fn number(text: &str) -> Result<u32, ApiError> {
    let kid = text.parse::<u32>().ok().filter(|kid| kid.to_string() == text);
    kid.ok_or_else(|| invalid(Reason::KeyUnknown, Reason::KeyUnknown.meaning()))
}
