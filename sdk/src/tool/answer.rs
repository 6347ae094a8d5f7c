//! Refusals of the guard as HTTP answers.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use http_body_util::Full;
use narrows_verifier::{Reason, json::Value};

use super::Refused;

/// The authorization scheme of a request, in which the challenge of a refusal answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Narrows,
    /// RFC 9449 §7.1.
    Dpop,
}

/// 401 asks for another token or proof, 403 says that a good one does not permit this call.
pub(super) fn refuse(refused: &Refused, scheme: Scheme) -> Response<Full<Bytes>> {
    let (status, error) = match refused {
        Refused::Tool(Reason::UnknownTool) => (StatusCode::NOT_FOUND, None),
        Refused::Tool(_) | Refused::Call(_) => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
        Refused::Token(_) => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
        Refused::Proof(_) => (StatusCode::UNAUTHORIZED, Some(if scheme == Scheme::Dpop { "invalid_dpop_proof" } else { "invalid_proof" })),
        Refused::Arguments(Reason::JsonTooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Refused::Arguments(_) => (StatusCode::BAD_REQUEST, None),
        Refused::Guard(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
    };
    let reason = refused.reason();
    let mut response = answer(status, body(refused));
    // reason codes are capital letters and underscores, so the header can't be broken out of
    let challenge = error.and_then(|error| {
        let algorithms = if scheme == Scheme::Dpop { ", algs=\"EdDSA Ed25519\"" } else { "" };
        HeaderValue::try_from(format!("{} error=\"{error}\", reason=\"{reason}\"{algorithms}", scheme.name())).ok()
    });
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// A request that is not in the form of a call.
pub(super) fn refuse_form(status: StatusCode, reason: Reason) -> Response<Full<Bytes>> {
    answer(status, fields(reason, reason.meaning().to_owned(), [Value::Null, Value::Null, Value::Null]))
}

/// The answer to the opening of a session.
pub(super) fn accepted(accept: String) -> Response<Full<Bytes>> {
    answer(StatusCode::OK, Value::object([("accept", Value::Text(accept))]))
}

impl Scheme {
    /// The name in `Authorization` and `WWW-Authenticate`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Scheme::Narrows => "Narrows",
            Scheme::Dpop => "DPoP",
        }
    }
}

fn body(refused: &Refused) -> Value {
    let reason = refused.reason();
    let position = |block: usize| i64::try_from(block).map_or(Value::Null, Value::Integer);
    let failure = if let Refused::Call(denial) = refused { denial.failures.first() } else { None };
    if let Some(first) = failure {
        let place = [position(first.block), Value::Text(first.added_by.clone()), first.caveat.to_json()];
        return fields(reason, first.caveat.sentence(), place);
    }
    let block = if let Refused::Token(refusal) = refused { refusal.block } else { None };
    fields(reason, reason.meaning().to_owned(), [block.map_or(Value::Null, position), Value::Null, Value::Null])
}

fn fields(reason: Reason, message: String, [block, added_by, caveat]: [Value; 3]) -> Value {
    Value::object([
        ("reason", Value::Text(reason.code().to_owned())),
        ("message", Value::Text(message)),
        ("block", block),
        ("added_by", added_by),
        ("caveat", caveat),
    ])
}

fn answer(status: StatusCode, body: Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.canonical())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
