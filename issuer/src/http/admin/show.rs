//! What the configuration says, and what is in force: agents, trusted issuers, policy pack. But for the pack, it can only be looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{Extension, extract::State, response::Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Value, json};

use super::{answer, refusal};
use crate::{
    admin::Operator,
    app::App,
    clients::Known,
    exchange::ExchangeError,
    http::{error::ApiError, request_id::TraceId},
    policy::{self, Loaded},
    revocation::Target,
};

/// The names that clients may give to agents, each with its clients, those that are paused, and the clients that may give any.
pub(super) async fn agents(State(app): State<Arc<App>>) -> Response {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut any = Vec::new();
    for Known { registration, client, .. } in app.clients.page(None, usize::MAX).into_iter().filter(|known| !known.registration.disabled) {
        match registration.client.agents {
            Some(agents) => agents.into_iter().for_each(|agent| named.entry(agent).or_default().push(client.id.clone())),
            None => any.push(client.id.clone()),
        }
    }
    let paused: BTreeSet<String> = app.revocations.paused().into_iter().filter_map(agent).collect();
    for agent in &paused {
        named.entry(agent.clone()).or_default();
    }
    let state = |agent: &String| if paused.contains(agent) { "paused" } else { "active" };
    let agents: Vec<_> =
        named.into_iter().map(|(agent, clients)| json!({ "state": state(&agent), "agent": agent, "clients": clients })).collect();
    answer(json!({ "agents": agents, "any_name": any }))
}

fn agent(paused: Target) -> Option<String> {
    if let Target::Agent(name) = paused { Some(name) } else { None }
}

/// As configured; nothing of it is a secret.
pub(super) async fn issuers(State(app): State<Arc<App>>) -> Response {
    let issuers: Vec<_> = app.federation.trusted().map(|issuer| serde_json::to_value(issuer).unwrap_or_default()).collect();
    answer(json!({ "issuers": issuers }))
}

/// The pack that decides. There is one.
pub(super) async fn packs(State(app): State<Arc<App>>) -> Response {
    answer(packs_of(&app))
}

/// Reads the pack's file again. What is wrong with the file is no fault of the request.
pub(super) async fn reload_packs(
    State(app): State<Arc<App>>,
    Extension(by): Extension<Arc<Operator>>,
    trace: TraceId,
) -> Result<Response, ApiError> {
    let loaded = policy::reload(&app, by.word(), trace.into()).await.map_err(|error| match error {
        ExchangeError::Denied { .. } => ApiError { status: StatusCode::CONFLICT, ..refusal(error) },
        error => refusal(error),
    })?;
    let mut told = packs_of(&app);
    if let Some(members) = told.as_object_mut() {
        let Loaded { entry, leaf, receipt } = loaded;
        let more = [("entry", entry.to_string()), ("leaf", STANDARD.encode(leaf)), ("receipt", receipt)];
        members.extend(more.map(|(name, value)| (name.to_owned(), value.into())));
    }
    Ok(answer(told))
}

fn packs_of(app: &App) -> Value {
    let policy = app.policy.now();
    let (scopes, rules): (Vec<_>, Vec<_>) = (policy.pack.scopes().collect(), policy.pack.rules().collect());
    json!({ "packs": [{
        "name": policy.pack.name(), "digest": policy.pack.digest(), "state": "active", "scopes": scopes, "rules": rules,
    }] })
}
