//! The bounds of one request: its body is read whole, in bounded size and time, before any handler runs.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use narrows_verifier::Reason;
use tokio::time::{Instant, timeout_at};

use super::error::ApiError;
use crate::config::Limits;

/// Wraps a router so that handlers see only complete, bounded and unencoded bodies, and answer in time.
pub fn bound(router: Router, limits: &Limits) -> Router {
    let limits = Arc::new(limits.clone());
    router.layer(middleware::from_fn(move |request: Request, next: Next| answer_bounded(request, next, Arc::clone(&limits))))
}

async fn answer_bounded(request: Request, next: Next, limits: Arc<Limits>) -> Response {
    let deadline = Instant::now() + limits.request_timeout();
    let path = request.uri().path().to_string();
    let (parts, body) = request.into_parts();
    let body = match read_body(&parts.headers, body, limits.max_body_bytes, deadline).await {
        Ok(body) => body,
        Err(reason) => return ApiError::at_path(&path, reason).into_response(),
    };
    let request = Request::from_parts(parts, Body::from(body));
    // A handler cut off here may have written its leaf; it has not released a token, which is the side to err on.
    timeout_at(deadline, next.run(request)).await.unwrap_or_else(|_| ApiError::at_path(&path, Reason::Overloaded).into_response())
}

async fn read_body(headers: &HeaderMap, body: Body, limit: usize, deadline: Instant) -> Result<Bytes, Reason> {
    let encodings = headers.get_all(CONTENT_ENCODING).iter();
    // An inflated body has no bound that its compressed size tells.
    if encodings.into_iter().any(|value| value != "identity") {
        return Err(Reason::ContentEncoding);
    }
    let declared = headers.get(CONTENT_LENGTH).map(|value| {
        let text = value.to_str().unwrap_or_default();
        text.parse::<u64>().map_err(|_| Reason::RequestMalformed)
    });
    if declared.transpose()?.unwrap_or(0) > limit as u64 {
        return Err(Reason::RequestTooLarge);
    }
    match timeout_at(deadline, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Reason::RequestTooLarge),
        Ok(Err(_)) => Err(Reason::RequestMalformed),
        Err(_) => Err(Reason::RequestTimeout),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::routing::{get, post};
    use hyper::body::Frame;
    use tower::ServiceExt;

    use super::*;

    /// Sends so many chunks of five bytes, then nothing more, ever.
    struct Chunks(usize);

    impl hyper::body::Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.0 == 0 {
                return Poll::Pending;
            }
            self.0 -= 1;
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"12345")))))
        }
    }

    fn router() -> Router {
        let router = Router::new().route("/oauth/token", post(async |body: String| body)).route("/hang", get(std::future::pending::<()>));
        bound(router, &Limits { max_body_bytes: 8, request_timeout_ms: 200, ..Limits::default() })
    }

    async fn send(request: Request) -> (u16, String) {
        let response = router().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn post_of(body: Body) -> http::request::Request<Body> {
        Request::post("/oauth/token").body(body).unwrap()
    }

    #[tokio::test]
    async fn body_up_to_the_limit_passes_and_one_byte_more_is_413() {
        assert_eq!(send(post_of("12345678".into())).await, (200, "12345678".into()));
        let (status, body) = send(post_of("123456789".into())).await;
        assert_eq!(status, 413);
        assert!(body.contains("\"error\":\"invalid_request\"") && body.contains("REQUEST_TOO_LARGE"), "{body}");
    }

    #[tokio::test]
    async fn chunks_without_a_length_are_bounded_too() {
        assert_eq!(send(post_of(Body::new(Chunks(2)))).await.0, 413);
    }

    #[tokio::test]
    async fn encoded_body_is_415() {
        let mut request = post_of("1234".into());
        request.headers_mut().insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        let (status, body) = send(request).await;
        assert_eq!(status, 415);
        assert!(body.contains("CONTENT_ENCODING"), "{body}");
    }

    #[tokio::test]
    async fn slow_body_is_408_and_slow_handler_503() {
        assert_eq!(send(post_of(Body::new(Chunks(1)))).await.0, 408);
        let hang = Request::get("/hang").body(Body::empty()).unwrap();
        let (status, body) = send(hang).await;
        assert_eq!(status, 503);
        assert!(body.contains("OVERLOADED"), "{body}");
    }
}
