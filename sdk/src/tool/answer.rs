//! Refusals of the guard as HTTP answers.

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE},
};
use http_body_util::Full;
use narrows_verifier::{
    Denial, Reason,
    json::{Key, Value},
};

use super::{
    Refused,
    challenge::{Complaint, Scheme, challenge},
    resource::Resource,
};

/// What a refusal needs to say how a caller gets further.
#[derive(Clone, Copy)]
pub(super) struct Hint<'a> {
    /// The scheme in which the credentials came.
    pub(super) scheme: Scheme,
    /// Where tokens are had, if the server says so.
    pub(super) resource: Option<&'a Resource>,
    /// What to ask for there.
    pub(super) scope: &'a str,
    /// The id of the JSON-RPC request that is refused, in whose error the refusal stands then.
    pub(super) request: Option<&'a Value>,
}

/// 401 asks for another token or proof, 403 says that a good one does not permit this call.
pub(super) fn refuse(refused: &Refused, hint: Hint<'_>) -> Response<Full<Bytes>> {
    let proof_error = match hint.scheme {
        Scheme::Narrows => "invalid_proof",
        Scheme::Dpop => "invalid_dpop_proof",
        // there is no proof: it is the token that is of the wrong kind
        Scheme::Bearer => "invalid_token",
    };
    let (status, error) = match refused {
        Refused::Tool(Reason::UnknownTool | Reason::McpMethod) => (StatusCode::NOT_FOUND, None),
        Refused::Tool(_) => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
        // a token for elsewhere, or of the past, is no token here, and more scope would not help
        Refused::Call(denial) if elsewhere_or_past(denial) => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
        Refused::Call(_) => (StatusCode::FORBIDDEN, Some("insufficient_scope")),
        Refused::Token(_) => (StatusCode::UNAUTHORIZED, Some("invalid_token")),
        Refused::Proof(_) => (StatusCode::UNAUTHORIZED, Some(proof_error)),
        Refused::Arguments(Reason::JsonTooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, None),
        Refused::Arguments(_) => (StatusCode::BAD_REQUEST, None),
        Refused::Guard(_) => (StatusCode::SERVICE_UNAVAILABLE, None),
    };
    let reason = refused.reason();
    let body = body(refused);
    let mut response = answer(status, hint.request.map_or_else(|| body.clone(), |id| rpc_error(id, reason, &body)));
    if error.is_some() {
        let error = error.filter(|_| reason != Reason::TokenMissing);
        challenge(response.headers_mut(), Complaint { scheme: hint.scheme, error, reason }, hint.resource, hint.scope);
    }
    response
}

/// A request whose credentials are not where they belong (RFC 6750 §3.1): those in an address end up in logs.
pub(super) fn refuse_request(hint: Hint<'_>) -> Response<Full<Bytes>> {
    let reason = Reason::RequestMalformed;
    let mut response = refuse_form(StatusCode::BAD_REQUEST, reason);
    if hint.resource.is_some() {
        let complaint = Complaint { scheme: hint.scheme, error: Some("invalid_request"), reason };
        challenge(response.headers_mut(), complaint, hint.resource, hint.scope);
    }
    response
}

/// What the server says of itself: public, and read by clients that run in browsers too.
pub(super) fn metadata(document: &str) -> Response<Full<Bytes>> {
    let mut response = json(document.to_owned());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=300"));
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
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

/// A refusal as a JSON-RPC error, which clients show: the reason and its sentence as message, the members of any refusal as data.
fn rpc_error(id: &Value, reason: Reason, body: &Value) -> Value {
    let message = body.as_object().and_then(|members| members.get(&Key("message".to_owned()))).and_then(Value::as_text);
    let code = match reason {
        Reason::McpMethod => METHOD_NOT_FOUND,
        Reason::McpMalformed => INVALID_REQUEST,
        _ => REFUSED,
    };
    let error = Value::object([
        ("code", Value::Integer(code)),
        ("message", Value::Text(format!("{reason}: {}", message.unwrap_or_default()))),
        ("data", body.clone()),
    ]);
    Value::object([("jsonrpc", Value::Text("2.0".to_owned())), ("id", id.clone()), ("error", error)])
}

fn elsewhere_or_past(denial: &Denial) -> bool {
    let reasons = [Reason::WrongAudience, Reason::Expired, Reason::NotYetValid];
    denial.failures.iter().any(|failure| reasons.contains(&failure.reason))
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
    let mut response = json(body.canonical());
    *response.status_mut() = status;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn json(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Codes of JSON-RPC 2.0, and one of those that it leaves to servers.
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_REQUEST: i64 = -32600;
const REFUSED: i64 = -32010;
