//! The service's face: transport bounds, the HTTP envelope, and one file per endpoint.

pub mod admin;
mod audit;
mod credentials;
mod derivations;
pub mod dev_idp;
pub mod error;
mod form;
pub mod health;
mod introspect;
pub mod limits;
mod log_tiles;
pub mod metrics;
pub mod openapi;
mod path_text;
mod receipts;
pub mod request_id;
mod revocations;
mod revoke;
pub mod router;
pub mod serve;
pub mod tls;
mod token;
pub mod well_known;
pub mod witness;
mod write_deadline;

use std::sync::Arc;

use axum::Router;
use http::Uri;
use narrows_verifier::Reason;

use crate::config::Limits;
use error::ApiError;
use metrics::Metrics;

/// Where requests come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The service's own.
    Public,
    /// That of administration.
    Administration,
}

/// Puts the envelope around a router: 404 and 405 in JSON, and all that [`bounded`] does.
pub fn envelope(router: Router, limits: &Limits, metrics: Arc<Metrics>) -> Router {
    bounded(with_fallbacks(router), limits, metrics)
}

/// Bounded bodies and times, trace id, log line and metrics, around a router that answers unknown paths itself, such
/// as one whose fallback is another tower service.
pub fn bounded(router: Router, limits: &Limits, metrics: Arc<Metrics>) -> Router {
    request_id::trace(limits::bound(router, limits), metrics)
}

/// Answers unknown paths and wrong methods in the shape of all other refusals; the `Allow` header stays.
fn with_fallbacks(router: Router) -> Router {
    router
        .fallback(async |uri: Uri| ApiError::at_path(uri.path(), Reason::RouteUnknown))
        .method_not_allowed_fallback(async |uri: Uri| ApiError::at_path(uri.path(), Reason::MethodNotAllowed))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::{get, post};
    use http::Request;
    use http_body_util::BodyExt;
    use serde_json::Value;
    use tower::ServiceExt;

    use super::*;

    async fn send(method: &str, path: &str) -> (http::response::Parts, Value) {
        let router = Router::new().route("/oauth/token", post(async || "token")).route("/livez", get(async || "alive"));
        let metrics = Arc::new(Metrics::new(&["/oauth/token", "/livez"]));
        let router = envelope(router, &Limits::default(), metrics);
        let request = Request::builder().method(method).uri(path);
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    #[tokio::test]
    async fn unknown_path_is_404_in_json() {
        let (parts, body) = send("GET", "/nowhere?token=x").await;
        assert_eq!(parts.status, 404);
        assert_eq!(parts.headers["cache-control"], "no-store");
        assert_eq!(parts.headers["content-type"], "application/json");
        assert_eq!(body["reason"], "ROUTE_UNKNOWN");
        let members: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(members, ["message", "reason", "trace"]);
    }

    #[tokio::test]
    async fn wrong_method_is_405_with_allow_in_the_shape_of_the_endpoint() {
        let (parts, body) = send("GET", "/oauth/token").await;
        assert_eq!(parts.status, 405);
        assert_eq!(parts.headers["allow"], "POST");
        assert_eq!(body["error"], "invalid_request");
        assert_eq!(body["reason"], "METHOD_NOT_ALLOWED");
        assert_eq!(body["trace"], parts.headers["narrows-trace"].to_str().unwrap());
        let (parts, body) = send("POST", "/livez").await;
        assert_eq!(parts.status, 405);
        assert_eq!(parts.headers["allow"], "GET,HEAD");
        assert_eq!(body["error"], Value::Null);
    }
}
