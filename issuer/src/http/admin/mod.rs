//! `/v1/` of administration, on a listener of its own: each route is an act of one table, and each act is a leaf.

mod clients;
mod guard;
mod hold;
mod keys;
mod show;
mod tasks;

use std::{borrow::Cow, sync::Arc};

use axum::{
    Json, Router,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, post},
};
use http::{HeaderMap, header::CACHE_CONTROL};
use narrows_verifier::Reason;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Listener, envelope, error::ApiError, form::is_declared, openapi, router::Routes};
use crate::{admin::Act, app::App, config::Limits, exchange::ExchangeError};

/// Every route of administration. A route is there only by an act of the table, and so with the roles that it takes.
pub(crate) fn admin_router(app: &Arc<App>, limits: &Limits) -> Routes {
    let routes = Act::ALL.iter().fold(Router::new(), |routes, act| {
        let guard = from_fn_with_state((Arc::clone(app), *act), guard::admit);
        routes.route(act.path(), handler(*act).route_layer(guard))
    });
    // What is described there anybody can read in the source: it takes no credential, and is no act.
    let routes = routes.with_state(Arc::clone(app)).merge(openapi::routes(Listener::Administration));
    envelope(routes, limits, Arc::clone(&app.metrics))
}

fn handler(act: Act) -> MethodRouter<Arc<App>> {
    match act {
        Act::ListClients => get(clients::list),
        Act::ShowClient => get(clients::show),
        Act::AddClient => post(clients::add),
        Act::DisableClient => delete(clients::disable),
        Act::RotateSecret => post(clients::rotate),
        Act::ForgetSecret => delete(clients::forget_secret),
        Act::ListAgents => get(show::agents),
        Act::ListIssuers => get(show::issuers),
        Act::ShowPacks => get(show::packs),
        Act::ReloadPacks => post(show::reload_packs),
        Act::ListKeys => get(keys::list),
        Act::PrepareKey => post(keys::prepare),
        Act::ActivateKey => post(keys::activate),
        Act::RetireKey => post(keys::retire),
        Act::TaintKey => post(keys::taint),
        Act::ListTasks => get(tasks::list),
        Act::ShowTask => get(tasks::show),
        Act::RevokeTask => post(tasks::revoke_task),
        Act::Pause => post(hold::pause_target),
        Act::Resume => post(hold::resume_target),
        Act::Revoke => post(tasks::revoke_target),
    }
}

fn answer(value: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

fn refusal(error: ExchangeError) -> ApiError {
    match error {
        ExchangeError::Refused(reason) => ApiError::plain(reason, reason.meaning()),
        ExchangeError::Denied { reason, detail } => ApiError::plain(reason, detail),
        ExchangeError::Unavailable { reason, retry_after_s } => ApiError::plain(reason, reason.meaning()).retry_after(retry_after_s),
    }
}

fn invalid(reason: Reason, message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::plain(reason, message)
}

/// Reads a JSON body. What is wrong is told by its place: a value in the wrong place may be a secret.
fn parsed<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, ApiError> {
    if !is_declared(headers, "application/json") {
        return Err(ApiError::plain(Reason::ContentType, Reason::ContentType.meaning()));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        invalid(Reason::JsonMalformed, format!("the body is not the object that is read here, at line {line}, column {column}"))
    })
}
