//! Every route of the service, on one screen.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::Response,
    routing::{get, post},
};

use super::{
    Listener, audit,
    derivations::derivations,
    envelope, health,
    introspect::introspection,
    log_tiles, metrics, openapi, receipts, revocations,
    revoke::revocation,
    token::token,
    well_known::{AuthorizationServer, NarrowsKeys, PublishedFeedKey, PublishedKey, PublishedLog, document, refuse_authorization},
};
use crate::{app::App, config::Limits, jose::TokenSigner};

/// A set of routes that can be served.
pub type Routes = Router;

/// The whole service, inside its envelope of bounds, trace ids and metrics. `extra` is the development identity provider.
pub fn router(app: Arc<App>, limits: &Limits, extra: Option<Router>) -> Router {
    let metrics = Arc::clone(&app.metrics);
    let probe = Arc::clone(&app);
    let readiness = health::readiness(move || {
        let halted = probe.log.halted().or_else(|| probe.keyring.mint().err());
        async move { halted.map_or(Ok(()), Err) }
    });
    let routes = Router::new()
        // clients
        .route("/oauth/token", post(token))
        .route("/oauth/revoke", post(revocation))
        .route("/oauth/introspect", post(introspection))
        .route("/oauth/authorize", get(refuse_authorization))
        .route("/oauth/jwks", get(jwks))
        .route("/.well-known/oauth-authorization-server", get(authorization_server))
        // agents
        .route("/v1/derivations", post(derivations))
        // tools and verifiers
        .route("/.well-known/narrows-keys", get(narrows_keys))
        .route("/v1/revocations", get(revocations::feed).post(revocations::given_up))
        // auditors
        .route("/v1/receipts/{entry}", get(receipts::receipt))
        .route("/log/checkpoint", get(log_tiles::checkpoint))
        .route("/log/tile/{*path}", get(log_tiles::tile))
        .route("/v1/audit/head", get(audit::head))
        .route("/v1/audit/proof", get(audit::proof))
        .route("/v1/audit/consistency", get(audit::consistency))
        .route("/v1/audit/entries/{id}", get(audit::entry))
        .route("/v1/audit/tasks/{id}", get(audit::task))
        .route("/v1/audit/search", get(audit::search))
        .route("/v1/audit/export", get(audit::export))
        .route("/v1/audit/reading", get(audit::reading))
        .route("/v1/audit/erasures", post(audit::erasures))
        .with_state(app)
        // operators
        .merge(health::routes(readiness))
        .merge(metrics::routes(Arc::clone(&metrics)))
        // whoever generates clients or tests
        .merge(openapi::routes(Listener::Public));
    let routes = match extra {
        Some(extra) => routes.nest("/dev/idp", extra),
        None => routes,
    };
    envelope(routes, limits, metrics)
}

async fn authorization_server(State(app): State<Arc<App>>) -> Response {
    document(&AuthorizationServer::new(&app.identifier, app.policy.now().pack.scopes(), &app.clients.grants()))
}

/// The keys that sign JWT views; none where no key is configured.
async fn jwks(State(app): State<Arc<App>>) -> Response {
    document(&app.jwt_signer.as_ref().map_or_else(|| serde_json::json!({ "keys": [] }), TokenSigner::public_key_set))
}

async fn narrows_keys(State(app): State<Arc<App>>) -> Response {
    document(&published_keys(&app))
}

/// Everything that a verifier needs to know.
pub(super) fn published_keys(app: &App) -> NarrowsKeys {
    NarrowsKeys {
        issuer: app.roots().keys().iter().map(PublishedKey::from).collect(),
        feed: vec![PublishedFeedKey::from(app.revocations.feed_key())],
        log: PublishedLog {
            origin: app.log_key.name().to_owned(),
            vkey: app.log_key.to_string(),
            retention: app.retention.digest().to_string(),
        },
        dev: app.dev,
    }
}

/// Route templates that metrics may be labelled with.
pub(crate) const ROUTES: &[&str] = &[
    "/oauth/token",
    "/oauth/revoke",
    "/oauth/introspect",
    "/oauth/authorize",
    "/oauth/jwks",
    "/v1/derivations",
    "/v1/revocations",
    "/v1/receipts/{entry}",
    "/.well-known/oauth-authorization-server",
    "/.well-known/narrows-keys",
    "/log/checkpoint",
    "/log/tile/{*path}",
    "/v1/audit/head",
    "/v1/audit/proof",
    "/v1/audit/consistency",
    "/v1/audit/entries/{id}",
    "/v1/audit/tasks/{id}",
    "/v1/audit/search",
    "/v1/audit/export",
    "/v1/audit/reading",
    "/v1/audit/erasures",
    "/v1/clients",
    "/v1/clients/{id}",
    "/v1/clients/{id}/secrets",
    "/v1/clients/{id}/secrets/{secret}",
    "/v1/agents",
    "/v1/issuers",
    "/v1/packs",
    "/v1/packs/reload",
    "/v1/keys",
    "/v1/keys/{kid}/activate",
    "/v1/keys/{kid}/retire",
    "/v1/keys/{kid}/taint",
    "/v1/tasks",
    "/v1/tasks/{id}",
    "/v1/tasks/{id}/revoke",
    "/v1/pause",
    "/v1/resume",
    "/v1/revoke",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
];
