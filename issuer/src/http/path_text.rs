//! The one parameter of a path, as text.

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
};
use http::request::Parts;
use narrows_verifier::Reason;

use super::error::ApiError;

/// What stands in a path where its pattern has a name. What is no UTF-8 is refused as everything else is.
pub(super) struct PathText(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let text = parts.extract::<Path<String>>().await;
        text.map(|Path(text)| Self(text)).map_err(|_| ApiError::plain(Reason::RequestMalformed, "the path is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, routing::get};
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_path_that_is_no_text_is_refused_as_everything_else_is() {
        let send = async |path: &str| {
            let router: Router = Router::new().route("/v1/receipts/{entry}", get(async |PathText(entry): PathText| entry));
            let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
            let (parts, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            (parts.status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
        };
        assert_eq!(send("/v1/receipts/a%20b").await, (200, "a b".to_owned()));
        let (status, body) = send("/v1/receipts/%ff").await;
        assert_eq!(status, 400);
        assert!(body.contains("\"REQUEST_MALFORMED\""), "{body}");
    }
}
