//! Heads and proofs. They hold hashes alone, and anybody could compute them from the public tiles.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Uri;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use narrows_verifier::Reason;
use narrows_verifier::log::{EntryId, Hash};
use serde_json::{Value, json};

use super::{parameters, refusal};
use crate::app::App;
use crate::http::error::ApiError;

/// `GET /v1/audit/head`: where the log stands, and what of it can be had.
pub(in crate::http) async fn head(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, ApiError> {
    parameters(&uri, &[])?;
    let head = app.archive.head().map_err(|error| refusal(&error))?;
    let retention = json!({
        "policy": app.retention.text(),
        "digest": app.retention.digest(),
        // what has gone so far, and under which policy, as the leaf at this index says
        "leaf": head.retention.as_ref().map(|logged| logged.index),
        "applied": head.retention.as_ref().map(|logged| logged.state.policy),
    });
    Ok(open(json!({
        "origin": app.log_key.name(),
        "size": head.size,
        "root": head.root.to_base64(),
        "checkpoint": head.checkpoint,
        "minimum_index": head.minimum_index(),
        "retention": retention,
        "t_ms": head.t_ms.to_string(),
        "entries": if app.public_entries { "public" } else { "credential" },
    })))
}

/// `GET /v1/audit/proof`: a receipt for a leaf that one has, by index or entry id.
pub(in crate::http) async fn proof(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, ApiError> {
    let pairs = parameters(&uri, &["index", "entry", "size"])?;
    let size = optional(&pairs, "size", number)?;
    let found = match (optional(&pairs, "index", number)?, optional(&pairs, "entry", EntryId::from_hex)?) {
        (Some(index), None) => app.archive.proof(index, size),
        (None, Some(entry)) => app.archive.proof_of_entry(&entry, size),
        _ => return Err(ApiError::plain(Reason::ParameterMissing, "give `index` or `entry`")),
    };
    let found = found.map_err(|error| refusal(&error))?;
    let proof = found.ok_or_else(|| ApiError::plain(Reason::EntryUnknown, Reason::EntryUnknown.meaning()))?;
    Ok(open(json!({ "index": proof.index, "leaf_hash": proof.leaf_hash.to_base64(), "receipt": proof.receipt })))
}

/// `GET /v1/audit/consistency`: that an earlier tree is a prefix of a later one.
pub(in crate::http) async fn consistency(State(app): State<Arc<App>>, uri: Uri) -> Result<Response, ApiError> {
    let pairs = parameters(&uri, &["from", "to"])?;
    let from = optional(&pairs, "from", number)?.ok_or_else(|| ApiError::plain(Reason::ParameterMissing, "`from` is missing"))?;
    let found = app.archive.consistency(from, optional(&pairs, "to", number)?).map_err(|error| refusal(&error))?;
    let texts = |hashes: &[Hash]| hashes.iter().map(Hash::to_base64).collect::<Vec<_>>();
    let (proof, path) = (texts(&found.proof), texts(&found.path));
    Ok(open(json!({ "from": from, "to": found.to, "proof": proof, "path": path, "checkpoint": found.checkpoint })))
}

pub(in crate::http) fn optional<T>(
    pairs: &[(String, String)],
    name: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let value = pairs.iter().find(|(found, _)| found == name).map(|(_, value)| value);
    let bad = || ApiError::plain(Reason::ParameterInvalid, format!("`{name}` has a bad value"));
    value.map(|value| read(value).ok_or_else(bad)).transpose()
}

pub(in crate::http) fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text && i64::try_from(number).is_ok()).then_some(number)
}

fn open(value: Value) -> Response {
    ([(CACHE_CONTROL, "no-store"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(value)).into_response()
}
