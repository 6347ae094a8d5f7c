//! One trace id per request: in the answer's header and body, in the log line and in the leaf.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use rand_core::{OsRng, RngCore};

use super::error::ApiError;
use super::metrics::Metrics;

/// The trace id of a request, shown as 32 lower-case hex digits. A handler takes it as an extractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// Takes the trace id of a valid W3C `traceparent` header, if there is exactly one.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let value = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }
        let mut fields = value.split('-');
        let version = fields.next().filter(|field| is_lower_hex(field, 2))?;
        let trace = fields.next().filter(|field| is_lower_hex(field, 32))?;
        let parent = fields.next().filter(|field| is_lower_hex(field, 16))?;
        fields.next().filter(|field| is_lower_hex(field, 2))?;
        // Later versions may have further fields, version 00 has none and ff does not exist.
        if version == "ff" || (version == "00" && fields.next().is_some()) {
            return None;
        }
        let number = u128::from_str_radix(trace, 16).ok()?;
        let parent = u64::from_str_radix(parent, 16).ok()?;
        (number != 0 && parent != 0).then(|| Self(number.to_be_bytes()))
    }

    fn random() -> Self {
        let mut bytes = [0; 16];
        // Without entropy the id stays zero: it names nothing secret, and nothing can be minted then anyway.
        let _ = OsRng.try_fill_bytes(&mut bytes);
        Self(bytes)
    }
}

impl From<TraceId> for narrows_verifier::log::TraceId {
    fn from(trace: TraceId) -> Self {
        Self(trace.0)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl<S: Sync> FromRequestParts<S> for TraceId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_else(Self::random))
    }
}

/// Wraps a router so that each request gets a trace id, one log line and its place in the metrics.
pub fn trace(router: Router, metrics: Arc<Metrics>) -> Router {
    router.layer(middleware::from_fn(move |request: Request, next: Next| answer_traced(request, next, Arc::clone(&metrics))))
}

async fn answer_traced(mut request: Request, next: Next, metrics: Arc<Metrics>) -> Response {
    let started = Instant::now();
    let trace = TraceId::from_headers(request.headers()).unwrap_or_else(TraceId::random);
    request.extensions_mut().insert(trace);
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();
    // The matched pattern, never the path itself: a path or query string may hold a token by a client's mistake.
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);

    let mut response = next.run(request).await;

    let text = trace.to_string();
    let refusal = response.extensions_mut().remove::<ApiError>();
    if let Some(refusal) = &refusal {
        *response.body_mut() = Body::from(refusal.body(&text));
        response.headers_mut().remove(CONTENT_LENGTH);
        metrics.count_refusal(refusal);
    }
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert("narrows-trace", value);
    }
    metrics.count_request(route, response.status());
    tracing::info!(
        method,
        route,
        status = response.status().as_u16(),
        reason = refusal.map_or("", |refusal| refusal.reason.code()),
        duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        trace = text,
        "answered request"
    );
    response
}

/// A method is any word the peer likes; the log keeps to the known ones.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn is_lower_hex(text: &str, length: usize) -> bool {
    let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == length && text.bytes().all(lower_hex)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::config::LogFormat;
    use crate::telemetry;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn traced(value: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value.parse().unwrap());
        TraceId::from_headers(&headers).map(|trace| trace.to_string())
    }

    #[test]
    fn only_a_valid_traceparent_gives_the_trace_id() {
        let parent = "00f067aa0ba902b7";
        assert_eq!(traced(&format!("00-{TRACE}-{parent}-01")).as_deref(), Some(TRACE));
        assert_eq!(traced(&format!("cc-{TRACE}-{parent}-01-more")).as_deref(), Some(TRACE));
        let zeros = "0".repeat(32);
        for bad in [
            String::new(),
            TRACE.to_string(),
            format!("ff-{TRACE}-{parent}-01"),
            format!("00-{TRACE}-{parent}-01-more"),
            format!("00-{TRACE}-{parent}"),
            format!("00-{}-{parent}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{parent}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}\t-{parent}-01"),
        ] {
            assert_eq!(traced(&bad), None, "{bad}");
        }
        let mut twice = HeaderMap::new();
        for _ in 0..2 {
            twice.append("traceparent", format!("00-{TRACE}-{parent}-01").parse().unwrap());
        }
        assert_eq!(TraceId::from_headers(&twice), None);
    }

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn log_line_has_the_route_and_trace_but_nothing_secret() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let captured = Captured::default();
            let writer = captured.clone();
            let subscriber = telemetry::subscriber(format, "info", move || writer.clone()).unwrap();
            let _guard = tracing::subscriber::set_default(subscriber);
            let metrics = Arc::new(Metrics::new(&["/items/{id}"]));
            let router = Router::new().route("/items/{id}", get(|| async { "fine" }));
            let request = http::Request::get("/items/SECRET1?token=SECRET2")
                .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
                .header("authorization", "Bearer SECRET3")
                .body(Body::from("SECRET4"))
                .unwrap();
            let response = trace(router, metrics).oneshot(request).await.unwrap();
            assert_eq!(response.headers()["narrows-trace"], TRACE);
            let lines = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
            assert_eq!(lines.lines().count(), 1, "{lines}");
            assert!(lines.contains("/items/{id}") && lines.contains(TRACE) && lines.contains("200"), "{lines}");
            assert!(!lines.contains("SECRET"), "{lines}");
        }
    }

    #[tokio::test]
    async fn refusal_carries_the_trace_of_its_header() {
        let metrics = Arc::new(Metrics::new(&[]));
        let router = super::super::with_fallbacks(Router::new());
        let request = http::Request::get("/nowhere").body(Body::empty()).unwrap();
        let response = trace(router, metrics).oneshot(request).await.unwrap();
        let header = response.headers()["narrows-trace"].to_str().unwrap().to_string();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["trace"], header);
        assert_eq!(value["reason"], "ROUTE_UNKNOWN");
    }
}
