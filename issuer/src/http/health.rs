//! `/livez` speaks of the process, `/readyz` of its one duty: can a token be made durable now.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use narrows_verifier::Reason;

use super::error::ApiError;

/// Tells whether a token could be made durable now, or why not. It must not share a connection pool with the requests,
/// or the answer is lost just when it matters.
pub type Readiness = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Reason>> + Send>> + Send + Sync>;

/// Makes a [`Readiness`] of an async closure.
pub fn readiness<F, Answer>(probe: F) -> Readiness
where
    F: Fn() -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<(), Reason>> + Send + 'static,
{
    Arc::new(move || Box::pin(probe()))
}

/// The routes `/livez` and `/readyz`.
pub fn routes<S: Clone + Send + Sync + 'static>(readiness: Readiness) -> Router<S> {
    Router::new().route("/livez", get(async || fine("alive"))).route("/readyz", get(move || ready(readiness, PROBE_TIMEOUT)))
}

async fn ready(readiness: Readiness, limit: Duration) -> Response {
    match tokio::time::timeout(limit, readiness()).await {
        Ok(Ok(())) => fine("ready"),
        Ok(Err(reason)) => unready(reason),
        Err(_) => unready(Reason::Overloaded),
    }
}

/// Any reason is a 503 here, also one that elsewhere blames the caller.
fn unready(reason: Reason) -> Response {
    let mut error = ApiError::plain(Reason::NotReady, reason.meaning());
    error.reason = reason;
    error.into_response()
}

fn fine(status: &str) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (headers, format!("{{\"status\":\"{status}\"}}")).into_response()
}

const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, readiness: Readiness) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = routes::<()>(readiness).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn readiness_follows_the_probe_and_liveness_does_not() {
        let ready = || readiness(async || Ok(()));
        let broken = || readiness(async || Err(Reason::LogRootMismatch));
        assert_eq!(ask("/readyz", ready()).await, (200, "{\"status\":\"ready\"}".into()));
        let (status, body) = ask("/readyz", broken()).await;
        assert_eq!(status, 503);
        assert!(body.contains("LOG_ROOT_MISMATCH"), "{body}");
        assert_eq!(ask("/livez", broken()).await.0, 200);
    }

    #[tokio::test]
    async fn hanging_probe_is_not_ready() {
        let hangs = readiness(std::future::pending);
        assert_eq!(ready(hangs, Duration::from_millis(20)).await.status(), 503);
    }
}
