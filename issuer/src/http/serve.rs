//! The accept loop. `axum::serve` sets no header time-out, so one silent peer per connection slot would starve the rest;
//! here every phase of a connection has an end: first byte, handshake, headers, request, answer, age, drain.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::{Service, ServiceExt};

use super::metrics::Metrics;
use super::tls::Tls;
use super::write_deadline::WriteDeadline;
use crate::config::Limits;

/// How the service stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request in flight was answered.
    Whole,
    /// The drain deadline cut this many connections off.
    CutOff(usize),
}

/// Serves HTTP/1.1 until `shutdown` ends, then lets requests in flight finish within the drain time.
///
/// It takes an axum router or any other tower service over hyper's request body. The service bounds its own bodies
/// (see [`super::envelope`]); as a backstop, a request that is still without an answer shortly after its time is cut off.
pub async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: &Limits,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    serve_over(None, listener, service, limits, metrics, shutdown).await
}

/// The same over TLS where there is a certificate, and then over nothing else. The handshake has the time of a request's headers.
pub async fn serve_over<S, B>(
    tls: Option<Arc<Tls>>,
    listener: TcpListener,
    service: S,
    limits: &Limits,
    metrics: Arc<Metrics>,
    shutdown: impl Future<Output = ()>,
) -> Drained
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limits = Arc::new(limits.clone());
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let (stop, stopping) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                wait_out(&error).await;
                continue;
            }
        };
        // Closed at once rather than queued: a queue would hold the peer, and us, without a bound on time.
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            metrics.count_refused_connection();
            continue;
        };
        let (service, limits, stopping, tls) = (service.clone(), Arc::clone(&limits), stopping.clone(), tls.clone());
        let open = Arc::clone(&metrics).open_connection();
        let metrics = Arc::clone(&metrics);
        connections.spawn(async move {
            match connection(stream, tls.as_deref(), service, &limits, stopping).await {
                Ended::Closed => {}
                Ended::TimedOut => metrics.count_expired_connection(),
                Ended::NoHandshake => metrics.count_failed_handshake(),
            }
            drop((open, slot));
        });
    }
    drop(listener);
    // Nobody listens any more when the last connection has gone, which is as good.
    let _ = stop.send(());
    let drained = async { while connections.join_next().await.is_some() {} };
    match timeout(limits.drain_timeout(), drained).await {
        Ok(()) => Drained::Whole,
        Err(_) => {
            let left = connections.len();
            connections.shutdown().await;
            Drained::CutOff(left)
        }
    }
}

/// Ends when the process is asked to stop, by SIGTERM or SIGINT. They are watched from the call on, so that whoever gets an answer
/// of the service can stop it well.
///
/// # Errors
/// The signals can't be watched.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[derive(PartialEq, Eq)]
enum Ended {
    Closed,
    TimedOut,
    NoHandshake,
}

async fn connection<S, B>(stream: TcpStream, tls: Option<&Tls>, service: S, limits: &Limits, mut stopping: watch::Receiver<()>) -> Ended
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // Answers are written whole; waiting for more to send would only add delay.
    let _ = stream.set_nodelay(true);
    let mut first_byte = [0];
    tokio::select! {
        peeked = timeout(limits.first_byte_timeout(), stream.peek(&mut first_byte)) => match peeked {
            Ok(Ok(1)) => {}
            Ok(_) => return Ended::Closed,
            Err(_) => return Ended::TimedOut,
        },
        _ = stopping.changed() => return Ended::Closed,
    }
    let stream = WriteDeadline::new(stream, limits.write_timeout());
    let Some(tls) = tls else {
        return requests(stream, service, limits, stopping).await;
    };
    tokio::select! {
        shaken = timeout(limits.header_timeout(), tls.accept(stream)) => match shaken {
            Ok(Ok(stream)) => requests(stream, service, limits, stopping).await,
            Ok(Err(_)) => Ended::NoHandshake,
            Err(_) => Ended::TimedOut,
        },
        _ = stopping.changed() => Ended::Closed,
    }
}

async fn requests<I, S, B>(stream: I, service: S, limits: &Limits, mut stopping: watch::Receiver<()>) -> Ended
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let backstop = limits.request_timeout() + ANSWER_GRACE;
    let answer = service_fn(move |request| {
        let service = service.clone();
        async move {
            match timeout(backstop, service.oneshot(request)).await {
                Ok(Ok(response)) => Ok(response),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
            }
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout())
            .max_headers(limits.max_headers)
            .max_header_size(limits.max_header_bytes)
            .max_buf_size(limits.max_header_bytes)
            .serve_connection(TokioIo::new(stream), answer)
    );
    let result = tokio::select! {
        result = connection.as_mut() => Some(result),
        _ = stopping.changed() => None,
        () = sleep(limits.connection_age()) => None,
    };
    let result = match result {
        Some(result) => result,
        None => {
            connection.as_mut().graceful_shutdown();
            let last_request = limits.header_timeout() + backstop + limits.write_timeout();
            match timeout(last_request, connection).await {
                Ok(result) => result,
                Err(_) => return Ended::TimedOut,
            }
        }
    };
    match result {
        Err(error) if error.is_timeout() || is_timed_out(&error) => Ended::TimedOut,
        _ => Ended::Closed,
    }
}

/// A lack of file handles lasts longer than a peer that hung up before it was accepted.
async fn wait_out(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "can't accept connections, trying again");
        sleep(ACCEPT_PAUSE).await;
    }
}

fn is_timed_out(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io_error) = inner.downcast_ref::<io::Error>() {
            return io_error.kind() == io::ErrorKind::TimedOut;
        }
        source = inner.source();
    }
    false
}

/// The envelope answers a late request itself, with a reason; only a service without one meets the backstop.
const ANSWER_GRACE: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::{Notify, oneshot};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::http::envelope;

    struct Server {
        address: SocketAddr,
        metrics: Arc<Metrics>,
        stop: oneshot::Sender<()>,
        task: JoinHandle<Drained>,
        /// Tells that `/slow` has begun.
        begun: Arc<Notify>,
        /// Lets `/slow` finish.
        finish: Arc<Notify>,
    }

    fn quick() -> Limits {
        Limits { first_byte_timeout_ms: 200, header_timeout_ms: 200, request_timeout_ms: 200, write_timeout_ms: 200, ..Limits::default() }
    }

    async fn start(limits: Limits) -> Server {
        let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (Arc::clone(&begun), Arc::clone(&finish));
        let slow = async move || {
            tell.notify_one();
            wait.notified().await;
            "done"
        };
        let router = Router::new()
            .route("/fast", get(async || "fast"))
            .route("/big", get(async || vec![b'x'; 64 << 20]))
            .route("/echo", post(async |body: String| body))
            .route("/slow", get(slow));
        let metrics = Arc::new(Metrics::new(&["/fast"]));
        let router = envelope(router, &limits, Arc::clone(&metrics));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let counted = Arc::clone(&metrics);
        let task = tokio::spawn(async move {
            serve(listener, router, &limits, counted, async {
                let _ = stopped.await;
            })
            .await
        });
        Server { address, metrics, stop, task, begun, finish }
    }

    impl Server {
        async fn send(&self, bytes: impl AsRef<[u8]>) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes.as_ref()).await.unwrap();
            stream
        }

        fn counts(&self, line: &str) -> bool {
            self.metrics.text().lines().any(|counted| counted == line)
        }
    }

    /// Everything until the peer closes; a reset counts as closed.
    async fn until_closed(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        let closed = timeout(Duration::from_secs(20), stream.read_to_end(&mut text)).await;
        closed.expect("the connection must be closed").ok();
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn silent_connection_is_closed() {
        let server = start(quick()).await;
        assert_eq!(until_closed(&mut server.send("").await).await, "");
        assert!(server.counts("narrows_connections_expired_total 1"));
    }

    #[tokio::test]
    async fn half_sent_header_is_closed() {
        let server = start(quick()).await;
        let mut stream = server.send("GET /fast HTTP/1.1\r\nHost: x\r\nX-Half: ").await;
        let text = until_closed(&mut stream).await;
        assert!(!text.contains("200 OK"), "{text}");
    }

    #[tokio::test]
    async fn idle_kept_connection_is_closed() {
        let server = start(quick()).await;
        let mut stream = server.send("GET /fast HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let text = until_closed(&mut stream).await;
        assert!(text.contains("200 OK") && text.ends_with("fast"), "{text}");
    }

    #[tokio::test]
    async fn slow_body_gets_408_in_json() {
        let server = start(quick()).await;
        let mut stream = server.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab").await;
        let text = until_closed(&mut stream).await;
        assert!(text.contains(" 408 ") && text.contains("REQUEST_TIMEOUT"), "{text}");
    }

    #[tokio::test]
    async fn slow_handler_gets_503_with_retry_after() {
        let server = start(quick()).await;
        let mut stream = server.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let text = until_closed(&mut stream).await;
        assert!(text.contains(" 503 ") && text.contains("retry-after"), "{text}");
    }

    #[tokio::test]
    async fn slow_reader_is_cut_off() {
        let server = start(quick()).await;
        let stream = server.send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let expired = "narrows_connections_expired_total 1";
        let cut_off = async {
            while !server.counts(expired) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(20), cut_off).await.unwrap();
        drop(stream);
    }

    #[tokio::test]
    async fn oversize_headers_are_refused() {
        let server = start(Limits::default()).await;
        let large = format!("GET /fast HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(20_000));
        let many = format!("GET /fast HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: b\r\n".repeat(65));
        let line = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(100_000));
        for request in [large, many, line] {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            // The service may close before all is sent.
            let _ = stream.write_all(request.as_bytes()).await;
            let text = until_closed(&mut stream).await;
            // A reset may overtake the answer, since what the peer still sends is never read.
            assert!(text.is_empty() || text.contains(" 431 "), "{text}");
        }
    }

    #[tokio::test]
    async fn oversize_body_is_413_before_it_is_sent() {
        let server = start(Limits::default()).await;
        let mut stream = server.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n").await;
        let text = until_closed(&mut stream).await;
        assert!(text.contains(" 413 ") && text.contains("REQUEST_TOO_LARGE"), "{text}");
    }

    #[tokio::test]
    async fn one_connection_over_the_cap_is_closed_at_once() {
        let limits = Limits { max_connections: 1, ..Limits::default() };
        let server = start(limits).await;
        let mut first = server.send("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        server.begun.notified().await;
        assert_eq!(until_closed(&mut server.send("").await).await, "");
        assert!(server.counts("narrows_connections_refused_total 1"));
        server.finish.notify_one();
        assert!(until_closed(&mut first).await.ends_with("done"));
    }

    #[tokio::test]
    async fn stopping_lets_the_request_in_flight_finish() {
        let limits = Limits { first_byte_timeout_ms: 60_000, ..Limits::default() };
        let server = start(limits).await;
        let mut slow = server.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut silent = server.send("").await;
        server.begun.notified().await;
        server.stop.send(()).unwrap();
        assert_eq!(until_closed(&mut silent).await, "");
        server.finish.notify_one();
        assert!(until_closed(&mut slow).await.ends_with("done"));
        assert_eq!(server.task.await.unwrap(), Drained::Whole);
        assert!(TcpStream::connect(server.address).await.is_err());
    }

    #[tokio::test]
    async fn drain_deadline_cuts_off_what_hangs() {
        let limits = Limits { drain_timeout_ms: 100, ..Limits::default() };
        let server = start(limits).await;
        let mut slow = server.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
        server.begun.notified().await;
        server.stop.send(()).unwrap();
        assert_eq!(server.task.await.unwrap(), Drained::CutOff(1));
        assert_eq!(until_closed(&mut slow).await, "");
    }

    #[tokio::test]
    async fn old_connection_takes_no_further_request() {
        let limits = Limits { connection_age_ms: 100, header_timeout_ms: 60_000, ..Limits::default() };
        let server = start(limits).await;
        let mut stream = server.send("GET /fast HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(until_closed(&mut stream).await.ends_with("fast"));
    }

    #[tokio::test]
    async fn service_without_an_envelope_is_cut_off_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = Arc::new(Metrics::new(&[]));
        let counted = Arc::clone(&metrics);
        let router = Router::new().route("/hang", get(std::future::pending::<()>));
        tokio::spawn(async move { serve(listener, router, &quick(), counted, std::future::pending()).await });
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /hang HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(until_closed(&mut stream).await, "");
        assert!(metrics.text().contains("narrows_connections_expired_total 1\n"));
    }
}
