//! What the configuration says, and what is in force: agents, trusted issuers, policy pack, keys. It can only be looked at.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, response::Response};
use serde_json::{Value, json};

use super::answer;
use crate::{app::App, clients::Known, http::router::published_keys, jose::TokenSigner};

/// The names that clients may give to agents, each with its clients, and the clients that may give any.
pub(super) async fn agents(State(app): State<Arc<App>>) -> Response {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut any = Vec::new();
    for Known { registration, client, .. } in app.clients.page(None, usize::MAX).into_iter().filter(|known| !known.registration.disabled) {
        match registration.client.agents {
            Some(agents) => agents.into_iter().for_each(|agent| named.entry(agent).or_default().push(client.id.clone())),
            None => any.push(client.id.clone()),
        }
    }
    let agents: Vec<_> = named.into_iter().map(|(agent, clients)| json!({ "agent": agent, "clients": clients })).collect();
    answer(json!({ "agents": agents, "any_name": any }))
}

/// As configured; nothing of it is a secret.
pub(super) async fn issuers(State(app): State<Arc<App>>) -> Response {
    let issuers: Vec<_> = app.federation.trusted().map(|issuer| serde_json::to_value(issuer).unwrap_or_default()).collect();
    answer(json!({ "issuers": issuers }))
}

/// The pack that decides. There is one.
pub(super) async fn packs(State(app): State<Arc<App>>) -> Response {
    let (scopes, rules): (Vec<_>, Vec<_>) = (app.pack.scopes().collect(), app.pack.rules().collect());
    answer(json!({ "packs": [{
        "name": app.pack.name(), "digest": app.pack.digest(), "state": "active", "scopes": scopes, "rules": rules,
    }] }))
}

/// Public halves with their states, as verifiers see them, and the keys of JWT views.
pub(super) async fn keys(State(app): State<Arc<App>>) -> Response {
    let mut keys = serde_json::to_value(published_keys(&app)).unwrap_or_default();
    if let Some(members) = keys.as_object_mut() {
        let views = app.jwt_signer.as_ref().map(TokenSigner::public_key_set);
        members.insert("jwt".to_owned(), views.and_then(|set| set.get("keys").cloned()).unwrap_or_else(|| Value::Array(Vec::new())));
    }
    answer(keys)
}
