//! Counters for Prometheus. Every label comes from a set fixed at start, so no caller can grow the memory or the page.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use narrows_verifier::Reason;

use super::{Listener, error::ApiError};

/// The process's counters; shared, and written without locks.
pub struct Metrics {
    requests: Vec<RouteCounter>,
    refusals: Vec<AtomicU64>,
    fail_closed: AtomicU64,
    tokens_issued: AtomicU64,
    derivations: AtomicU64,
    revocations: AtomicU64,
    log_size: AtomicU64,
    minimum_index: AtomicU64,
    clock_regressions: AtomicU64,
    cosignatures: AtomicU64,
    witness_failures: AtomicU64,
    unproven_rollbacks: AtomicU64,
    fail_open: AtomicU64,
    witnessed_size: AtomicU64,
    connections_open: AtomicU64,
    connections_refused: AtomicU64,
    connections_expired: AtomicU64,
    failed_handshakes: AtomicU64,
    failed_reloads: AtomicU64,
    /// 0 without TLS.
    certificate_expiry: AtomicU64,
    /// The same of administration.
    admin_certificate_expiry: AtomicU64,
}

struct RouteCounter {
    route: &'static str,
    by_class: [AtomicU64; CLASSES.len()],
}

impl Metrics {
    /// Counters for the given route patterns; requests of any other path count as `unmatched`.
    pub fn new(routes: &[&'static str]) -> Self {
        let counter = |route| RouteCounter { route, by_class: Default::default() };
        Self {
            requests: routes.iter().copied().chain(["unmatched"]).map(counter).collect(),
            refusals: Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            fail_closed: AtomicU64::new(0),
            tokens_issued: AtomicU64::new(0),
            derivations: AtomicU64::new(0),
            revocations: AtomicU64::new(0),
            log_size: AtomicU64::new(0),
            minimum_index: AtomicU64::new(0),
            clock_regressions: AtomicU64::new(0),
            cosignatures: AtomicU64::new(0),
            witness_failures: AtomicU64::new(0),
            unproven_rollbacks: AtomicU64::new(0),
            fail_open: AtomicU64::new(0),
            witnessed_size: AtomicU64::new(0),
            connections_open: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_expired: AtomicU64::new(0),
            failed_handshakes: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
            certificate_expiry: AtomicU64::new(0),
            admin_certificate_expiry: AtomicU64::new(0),
        }
    }

    /// Counts a token that left the service.
    pub fn count_token(&self) {
        add(&self.tokens_issued);
    }

    /// Counts an offline derivation that was reported and logged.
    pub fn count_derivation(&self) {
        add(&self.derivations);
    }

    /// Counts a revocation that was answered.
    pub fn count_revocation(&self) {
        add(&self.revocations);
    }

    /// States the number of leaves in the log.
    pub fn set_log_size(&self, leaves: u64) {
        // answers overtake each other, the log's size does not fall
        self.log_size.fetch_max(leaves, Ordering::Relaxed);
    }

    /// States the log's minimum index.
    pub fn set_minimum_index(&self, index: u64) {
        self.minimum_index.fetch_max(index, Ordering::Relaxed);
    }

    /// States how often the clock stepped back under the log.
    pub fn set_clock_regressions(&self, times: u64) {
        self.clock_regressions.fetch_max(times, Ordering::Relaxed);
    }

    /// Counts a witness's cosignature of our log.
    pub fn count_cosignature(&self) {
        add(&self.cosignatures);
    }

    /// Counts a question to a witness that brought no cosignature.
    pub fn count_witness_failure(&self) {
        add(&self.witness_failures);
    }

    /// Counts a witness's word that the log was rolled back, without proof.
    pub fn count_unproven_rollback(&self) {
        add(&self.unproven_rollbacks);
    }

    /// Counts a checkpoint that was published without the quorum.
    pub fn count_fail_open(&self) {
        add(&self.fail_open);
    }

    /// States the size of the newest checkpoint with a quorum.
    pub fn set_witnessed_size(&self, leaves: u64) {
        self.witnessed_size.fetch_max(leaves, Ordering::Relaxed);
    }

    /// Counts a refusal by its reason, and as fail-closed when the service itself was the cause.
    pub fn count_refusal(&self, refusal: &ApiError) {
        if let Some(counter) = self.refusals.get(refusal.reason as usize) {
            add(counter);
        }
        if refusal.status.is_server_error() {
            add(&self.fail_closed);
        }
    }

    pub(crate) fn count_request(&self, route: &str, status: StatusCode) {
        let counter = self.requests.iter().find(|counter| counter.route == route).or(self.requests.last());
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = counter.and_then(|counter| counter.by_class.get(class)) {
            add(counter);
        }
    }

    pub(crate) fn count_refused_connection(&self) {
        add(&self.connections_refused);
    }

    pub(crate) fn count_expired_connection(&self) {
        add(&self.connections_expired);
    }

    /// Counts a connection that ended in its TLS handshake.
    pub(crate) fn count_failed_handshake(&self) {
        add(&self.failed_handshakes);
    }

    /// Counts a TLS certificate that could not replace the one in use.
    pub(crate) fn count_failed_reload(&self) {
        add(&self.failed_reloads);
    }

    /// States when the TLS certificate in use at a listener expires, in seconds since the Unix epoch.
    pub(crate) fn set_certificate_expiry(&self, listener: Listener, seconds: u64) {
        let expiry = match listener {
            Listener::Public => &self.certificate_expiry,
            Listener::Administration => &self.admin_certificate_expiry,
        };
        expiry.store(seconds, Ordering::Relaxed);
    }

    /// Counts a connection as open until the guard is dropped.
    pub(crate) fn open_connection(self: Arc<Self>) -> OpenConnection {
        add(&self.connections_open);
        OpenConnection(self)
    }

    /// The page in Prometheus' text format.
    pub fn text(&self) -> String {
        let mut page = Page(String::with_capacity(4_096));
        page.kind("narrows_requests_total", "counter", "answered requests by route and status class");
        for counter in &self.requests {
            for (class, count) in CLASSES.iter().zip(&counter.by_class) {
                let labels = format!("{{route=\"{}\",status=\"{class}\"}}", counter.route);
                page.count_if_any("narrows_requests_total", &labels, count);
            }
        }
        page.kind("narrows_refusals_total", "counter", "refusals by reason code");
        for (reason, count) in Reason::ALL.iter().zip(&self.refusals) {
            let labels = format!("{{reason=\"{reason}\"}}");
            page.count_if_any("narrows_refusals_total", &labels, count);
        }
        let single = [
            (
                "narrows_fail_closed_total",
                "counter",
                "refusals caused by the service itself, above all: no durable log, no token",
                &self.fail_closed,
            ),
            ("narrows_tokens_issued_total", "counter", "tokens that left the service", &self.tokens_issued),
            ("narrows_derivations_total", "counter", "offline derivations reported and logged", &self.derivations),
            ("narrows_revocations_total", "counter", "revocations answered", &self.revocations),
            ("narrows_log_leaves", "gauge", "leaves in the merkle log", &self.log_size),
            ("narrows_log_minimum_index", "gauge", "leaves of the log below it are pruned", &self.minimum_index),
            ("narrows_witness_cosignatures_total", "counter", "cosignatures that witnesses gave our log", &self.cosignatures),
            ("narrows_witness_failures_total", "counter", "questions to witnesses that brought no cosignature", &self.witness_failures),
            (
                "narrows_witness_unproven_rollbacks_total",
                "counter",
                "times that a witness said without proof that the log was rolled back",
                &self.unproven_rollbacks,
            ),
            ("narrows_witness_fail_open_total", "counter", "checkpoints published without the quorum of witnesses", &self.fail_open),
            (
                "narrows_log_witnessed_leaves",
                "gauge",
                "leaves under the newest checkpoint with a quorum of witnesses",
                &self.witnessed_size,
            ),
            ("narrows_clock_regressions_total", "counter", "steps back of the clock that the log wrote down", &self.clock_regressions),
            ("narrows_connections_open", "gauge", "connections open now", &self.connections_open),
            (
                "narrows_connections_refused_total",
                "counter",
                "connections closed at once because the cap was reached",
                &self.connections_refused,
            ),
            (
                "narrows_connections_expired_total",
                "counter",
                "connections closed by a first-byte, header, write or request time-out",
                &self.connections_expired,
            ),
            ("narrows_tls_handshakes_failed_total", "counter", "connections that ended in their TLS handshake", &self.failed_handshakes),
            (
                "narrows_tls_reloads_failed_total",
                "counter",
                "faults of new TLS certificates, in place of which the old one is served on",
                &self.failed_reloads,
            ),
            (
                "narrows_tls_certificate_expiry_seconds",
                "gauge",
                "when the TLS certificate in use expires, in seconds since 1970; 0 without TLS",
                &self.certificate_expiry,
            ),
            (
                "narrows_admin_tls_certificate_expiry_seconds",
                "gauge",
                "when the TLS certificate in use for administration expires, in seconds since 1970; 0 without TLS",
                &self.admin_certificate_expiry,
            ),
        ];
        for (name, kind, help, count) in single {
            page.kind(name, kind, help);
            page.count(name, "", count);
        }
        page.0
    }
}

/// One open connection; dropping it ends the count.
pub(crate) struct OpenConnection(Arc<Metrics>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections_open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The route `/metrics`.
pub fn routes<S: Clone + Send + Sync + 'static>(metrics: Arc<Metrics>) -> Router<S> {
    let page = move || async move {
        let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
        (headers, metrics.text())
    };
    Router::new().route("/metrics", get(page))
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

struct Page(String);

impl Page {
    fn kind(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string can't fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn count(&mut self, name: &str, labels: &str, count: &AtomicU64) {
        let _ = writeln!(self.0, "{name}{labels} {}", count.load(Ordering::Relaxed));
    }

    fn count_if_any(&mut self, name: &str, labels: &str, count: &AtomicU64) {
        if count.load(Ordering::Relaxed) > 0 {
            self.count(name, labels, count);
        }
    }
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_from_fixed_sets_only() {
        let metrics = Metrics::new(&["/oauth/token"]);
        metrics.count_request("/oauth/token", StatusCode::OK);
        metrics.count_request("/oauth/token\" evil=\"", StatusCode::NOT_FOUND);
        metrics.count_request("/another", StatusCode::NOT_FOUND);
        let text = metrics.text();
        assert!(text.contains("narrows_requests_total{route=\"/oauth/token\",status=\"2xx\"} 1\n"));
        assert!(text.contains("narrows_requests_total{route=\"unmatched\",status=\"4xx\"} 2\n"));
        assert!(!text.contains("evil") && !text.contains("another"));
    }

    #[test]
    fn refusals_count_by_reason_and_fail_closed_apart() {
        let metrics = Metrics::new(&[]);
        metrics.count_refusal(&ApiError::oauth(Reason::ClientAuth, ""));
        metrics.count_refusal(&ApiError::oauth(Reason::NotReady, ""));
        let text = metrics.text();
        assert!(text.contains("narrows_refusals_total{reason=\"CLIENT_AUTH\"} 1\n"));
        assert!(text.contains("narrows_refusals_total{reason=\"NOT_READY\"} 1\n"));
        assert!(text.contains("narrows_fail_closed_total 1\n"));
    }

    #[test]
    fn open_connections_fall_back_to_zero() {
        let metrics = Arc::new(Metrics::new(&[]));
        let open = Arc::clone(&metrics).open_connection();
        assert!(metrics.text().contains("narrows_connections_open 1\n"));
        drop(open);
        assert!(metrics.text().contains("narrows_connections_open 0\n"));
    }
}
