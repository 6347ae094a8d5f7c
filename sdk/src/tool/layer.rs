//! The guard as a tower layer over HTTP: `POST /tools/<name>` with a JSON object as body, and `POST /sessions` with the
//! opening of a session.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, TRANSFER_ENCODING},
};
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use narrows_verifier::{Reason, json::Limits, proof::session::MAX_STATEMENT};
use tower::{BoxError, Layer, Service};

use super::{
    Clock, Credentials, Guard, PermittedCall, Proof, Refused,
    answer::{Scheme, accepted, refuse, refuse_form},
};

/// Puts a [`Guard`] before a service of tools.
///
/// The service behind it gets only permitted calls: [`PermittedCall`] in the request's extensions, the canonical
/// arguments as body, and neither token nor proof. `/sessions` is answered here when the guard opens sessions. Time-outs
/// for slow bodies are the server's.
#[derive(Clone)]
pub struct GuardLayer {
    guard: Arc<Guard>,
    clock: Clock,
}

/// A service behind a [`GuardLayer`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Arc<Guard>,
    clock: Clock,
}

impl GuardLayer {
    /// A layer that decides with this guard at the time of this clock.
    pub fn new(guard: Guard, clock: Clock) -> Self {
        Self { guard: Arc::new(guard), clock }
    }

    /// The guard, to replace its root keys and revocations while it serves.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, guard: Arc::clone(&self.guard), clock: Arc::clone(&self.clock) }
    }
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<Either<Full<Bytes>, R>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (guard, clock) = (Arc::clone(&self.guard), Arc::clone(&self.clock));
        // the clone is not known to be ready, the original is
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            match permit(&guard, &clock, request).await {
                Ok(request) => Ok(inner.call(request).await?.map(Either::Right)),
                Err(refusal) => Ok(refusal.map(Either::Left)),
            }
        })
    }
}

/// Replaces a request by the permitted one, or by the answer that refuses it.
async fn permit<B>(guard: &Guard, clock: &Clock, request: Request<B>) -> Result<Request<Full<Bytes>>, Response<Full<Bytes>>>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let malformed = || refuse_form(StatusCode::BAD_REQUEST, Reason::RequestMalformed);
    if parts.method != Method::POST {
        return Err(refuse_form(StatusCode::METHOD_NOT_ALLOWED, Reason::MethodNotAllowed));
    }
    // no proof covers a query, so an argument there would be nobody's
    if parts.uri.query().is_some() {
        return Err(malformed());
    }
    let (scheme, token) = token(&parts.headers).map_err(|reason| refuse(&Refused::Token(reason.into()), Scheme::Narrows))?;
    let refused = |refused: Refused| refuse(&refused, scheme);
    let too_large = |error: &BoxError| error.is::<LengthLimitError>();
    if parts.uri.path() == SESSIONS && guard.opens_sessions() {
        let presented = guard.verify(token).map_err(refused)?;
        let opening = Limited::new(body, MAX_STATEMENT).collect().await;
        let opening =
            opening.map_err(|error| if too_large(&error) { refused(Refused::Proof(Reason::ProofMalformed)) } else { malformed() })?;
        let opening = opening.to_bytes();
        let opening = core::str::from_utf8(&opening).map_err(|_| refused(Refused::Proof(Reason::ProofMalformed)))?;
        let accept = presented.open_session(guard, opening, clock()).map_err(refused)?;
        return Err(accepted(accept));
    }
    let tool = parts.uri.path().strip_prefix(TOOLS).unwrap_or_default();
    let receipts = single(&parts.headers, &RECEIPTS).ok_or_else(|| refused(Refused::Token(Reason::ReceiptsMalformed.into())))?;
    let admitted = guard.admit(Credentials { token, receipts }, tool).map_err(refused)?;
    let proof = proof(&parts.headers, scheme).ok_or_else(|| refused(Refused::Proof(Reason::ProofMalformed)))?;
    let body = Limited::new(body, Limits::ARGUMENTS.bytes).collect().await;
    let body = body.map_err(|error| if too_large(&error) { refused(Refused::Arguments(Reason::JsonTooLarge)) } else { malformed() })?;
    let call = admitted.check(guard, proof, &body.to_bytes(), clock()).map_err(refused)?;
    let canonical = call.arguments.canonical();
    for header in [AUTHORIZATION, PROOF, SESSION, DPOP, RECEIPTS, TRANSFER_ENCODING] {
        parts.headers.remove(header);
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(canonical.len()));
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.extensions.insert::<PermittedCall>(call);
    Ok(Request::from_parts(parts, Full::new(Bytes::from(canonical))))
}

/// The scheme and token of `Authorization: Narrows <token>` or `DPoP <token>`; empty when the header is missing.
fn token(headers: &HeaderMap) -> Result<(Scheme, &str), Reason> {
    let value = single(headers, &AUTHORIZATION).ok_or(Reason::TokenEncoding)?;
    let (named, token) = value.split_once(' ').unwrap_or_default();
    let scheme = [Scheme::Narrows, Scheme::Dpop].into_iter().find(|scheme| named.eq_ignore_ascii_case(scheme.name()));
    // a credential of another scheme is no token of ours
    Ok(scheme.map_or((Scheme::Narrows, ""), |scheme| (scheme, token)))
}

/// The one proof of a request, empty when there is none; `None` when there are two, or one of the other scheme.
fn proof(headers: &HeaderMap, scheme: Scheme) -> Option<Proof<'_>> {
    match (scheme, single(headers, &PROOF)?, single(headers, &SESSION)?, single(headers, &DPOP)?) {
        (Scheme::Narrows, proof, "", "") => Some(Proof::Possession(proof)),
        (Scheme::Narrows, "", session, "") => Some(Proof::Session(session)),
        (Scheme::Dpop, "", "", dpop) => Some(Proof::Dpop(dpop)),
        _ => None,
    }
}

/// The value of a header, empty when it is missing; `None` when there are two, of which others might read the other.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(""),
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    }
}

const TOOLS: &str = "/tools/";
const SESSIONS: &str = "/sessions";
const PROOF: HeaderName = HeaderName::from_static("narrows-proof");
const SESSION: HeaderName = HeaderName::from_static("narrows-session");
const DPOP: HeaderName = HeaderName::from_static("dpop");
const RECEIPTS: HeaderName = HeaderName::from_static("narrows-receipts");

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt as _, service_fn};

    use super::{super::guard::tests::guard, *};
    use crate::{
        Presentation,
        tests::{AUDIENCE, NOW, arguments, held},
        tool::ToolKey,
    };

    /// What the tool saw: its body and the call, and whether a credential came through.
    async fn tool(request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
        let call = request.extensions().get::<PermittedCall>().cloned().unwrap();
        assert!([AUTHORIZATION, PROOF, SESSION, DPOP, RECEIPTS].iter().all(|name| !request.headers().contains_key(name)));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, call.arguments.canonical().as_bytes());
        Ok(Response::new(Full::new(body)))
    }

    async fn send(request: Request<Full<Bytes>>) -> (StatusCode, String, serde_json::Value) {
        let service = GuardLayer::new(guard(), Arc::new(|| NOW)).layer(service_fn(tool));
        let response = service.oneshot(request).await.unwrap();
        let challenge = response.headers().get("www-authenticate").map_or("", |value| value.to_str().unwrap()).to_owned();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, challenge, serde_json::from_slice(&body).unwrap())
    }

    fn request(call: &Presentation) -> Request<Full<Bytes>> {
        Request::post(format!("{TOOLS}{}", call.tool))
            .header(AUTHORIZATION, format!("narrows {}", call.token))
            .header(PROOF, &call.proof)
            .header(RECEIPTS, &call.receipts)
            .body(Full::new(Bytes::from(call.arguments.clone())))
            .unwrap()
    }

    fn call(id: u8, caveats: &str) -> Presentation {
        held(caveats).prove("crm.read", &arguments(&format!("{{\"id\":{id},\"a\":1}}")), AUDIENCE, NOW)
    }

    #[tokio::test]
    async fn the_tool_gets_the_canonical_arguments_and_no_credential() {
        let mut call = call(1, "[]");
        call.arguments = " {\"id\": 1.0, \"a\": 1}".into();
        let (status, _, body) = send(request(&call)).await;
        assert_eq!((status, body.to_string().as_str()), (StatusCode::OK, r#"{"a":1,"id":1}"#));
    }

    #[tokio::test]
    async fn a_refused_caveat_is_403_and_names_its_block() {
        let caveat = r#"{"is":{"range":{"max":10}},"kind":"arg","path":"/id","tool":"crm.read"}"#;
        let (status, challenge, body) = send(request(&call(11, &format!("[{caveat}]")))).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(challenge, r#"Narrows error="insufficient_scope", reason="ARGUMENT_REFUSED""#);
        assert_eq!((&body["reason"], &body["block"], &body["added_by"]), (&"ARGUMENT_REFUSED".into(), &0.into(), &"issuer".into()));
        assert_eq!(body["caveat"].to_string(), caveat);
        assert_eq!(body["message"], "`/id` of `crm.read` must be an integer of at most 10");
    }

    #[tokio::test]
    async fn requests_without_a_good_token_and_proof_are_401_with_a_challenge() {
        let good = || request(&call(1, "[]"));
        let without = |name: HeaderName| {
            let mut request = good();
            request.headers_mut().remove(name);
            request
        };
        let with = |name: HeaderName, value: &'static str| {
            let mut request = good();
            request.headers_mut().append(name, HeaderValue::from_static(value));
            request
        };
        let mut bearer = good();
        bearer.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Bearer AAAA"));
        let table = [
            (without(AUTHORIZATION), "TOKEN_MISSING"),
            (bearer, "TOKEN_MISSING"),
            (with(AUTHORIZATION, "Narrows AAAA"), "TOKEN_ENCODING"),
            (without(PROOF), "PROOF_MISSING"),
            (with(PROOF, "a.b"), "PROOF_MALFORMED"),
            (with(SESSION, "a"), "PROOF_MALFORMED"),
            (with(DPOP, "a.b.c"), "PROOF_MALFORMED"),
            (with(RECEIPTS, "a.b"), "RECEIPTS_MALFORMED"),
        ];
        for (request, reason) in table {
            let (status, challenge, body) = send(request).await;
            assert_eq!((status, &body["reason"]), (StatusCode::UNAUTHORIZED, &reason.into()));
            assert!(challenge.contains(reason), "{challenge}");
        }
    }

    #[tokio::test]
    async fn requests_that_are_no_calls_never_reach_the_tool() {
        let changed = |change: &dyn Fn(&mut Request<Full<Bytes>>)| {
            let mut request = request(&call(1, "[]"));
            change(&mut request);
            request
        };
        let at = |path: &'static str| changed(&|request| *request.uri_mut() = path.parse().unwrap());
        let table = [
            (changed(&|request| *request.method_mut() = Method::GET), 405, "METHOD_NOT_ALLOWED"),
            (at("/tools/crm.read?id=2"), 400, "REQUEST_MALFORMED"),
            (at("/tools/crm%2Eread"), 404, "UNKNOWN_TOOL"),
            (at("/tools/crm.read/"), 404, "UNKNOWN_TOOL"),
            (at("/other/crm.read"), 404, "UNKNOWN_TOOL"),
            (at("/tools/payments.send"), 403, "PERMIT_REQUIRED"),
            (changed(&|request| *request.body_mut() = Full::new(vec![b' '; 64 * 1024 + 1].into())), 413, "JSON_TOO_LARGE"),
            (changed(&|request| *request.body_mut() = Full::new("{\"id\":1,\"id\":1}".into())), 400, "JSON_DUPLICATE_KEY"),
        ];
        for (request, status, reason) in table {
            let (got, _, body) = send(request).await;
            assert_eq!((got.as_u16(), &body["reason"]), (status, &reason.into()));
        }
    }

    #[tokio::test]
    async fn a_session_is_opened_and_used_over_http() {
        let key = ToolKey::generate();
        let (holder, pinned) = (held("[]"), key.public());
        let service = GuardLayer::new(guard().with_sessions(key, 4), Arc::new(|| NOW)).layer(service_fn(tool));
        let ask = async |request: Request<Full<Bytes>>| {
            let response = service.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
        };
        let post = |token: &str, body: Vec<u8>| {
            let request = Request::post("/sessions").header(AUTHORIZATION, format!("Narrows {token}"));
            request.body(Full::new(Bytes::from(body))).unwrap()
        };
        let opening = holder.open_session(&["crm.read"], AUDIENCE, 60, NOW).ok().unwrap();
        let table = [
            (post("", opening.text().into()), 401, "TOKEN_MISSING"),
            (post(opening.token(), vec![0xff]), 401, "PROOF_MALFORMED"),
            (post(opening.token(), vec![b'a'; MAX_STATEMENT + 1]), 401, "PROOF_MALFORMED"),
        ];
        for (request, status, reason) in table {
            let (got, body) = ask(request).await;
            assert_eq!((got, &body["reason"]), (status, &reason.into()));
        }
        let (status, body) = ask(post(opening.token(), opening.text().into())).await;
        assert_eq!(status, 200, "{body}");
        let (again, refused) = ask(post(opening.token(), opening.text().into())).await;
        assert_eq!((again, &refused["reason"]), (401, &"PROOF_REPLAYED".into()));
        let session = opening.accepted(body["accept"].as_str().unwrap(), &pinned, NOW).ok().unwrap();
        for id in 1..=2 {
            let call = holder.session_proof(&session, "crm.read", &arguments(&format!("{{\"id\":{id}}}")), NOW).ok().unwrap();
            let request = |call: &Presentation| {
                let mut request = request(call);
                let proof = request.headers_mut().remove(PROOF).unwrap();
                request.headers_mut().insert(SESSION, proof);
                request
            };
            assert_eq!(ask(request(&call)).await, (200, serde_json::json!({ "id": id })));
            assert_eq!(ask(request(&call)).await.1["reason"], "SESSION_COUNTER");
        }
        // a guard that opens no sessions has no such path
        let opening = holder.open_session(&["crm.read"], AUDIENCE, 60, NOW).ok().unwrap();
        let (status, _, body) = send(post(opening.token(), opening.text().into())).await;
        assert_eq!((status.as_u16(), &body["reason"]), (404, &"UNKNOWN_TOOL".into()));
    }

    #[tokio::test]
    async fn a_dpop_proof_goes_with_its_scheme_and_is_answered_in_it() {
        let call = held("[]").dpop("crm.read", &arguments("{}"), AUDIENCE, "https://crm.example", NOW);
        let request = |scheme: &str, call: &Presentation| {
            let request = Request::post("/tools/crm.read").header(AUTHORIZATION, format!("{scheme} {}", call.token));
            request.header(DPOP, &call.proof).body(Full::new(Bytes::from(call.arguments.clone()))).unwrap()
        };
        assert_eq!(send(request("DPoP", &call)).await.0, StatusCode::OK);
        let (status, challenge, _) = send(request("DPoP", &Presentation { proof: "a.b.c".into(), ..call.clone() })).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(challenge, r#"DPoP error="invalid_dpop_proof", reason="DPOP_MALFORMED", algs="EdDSA Ed25519""#);
        assert_eq!(send(request("Narrows", &call)).await.2["reason"], "PROOF_MALFORMED");
        let mut two = request("DPoP", &call);
        two.headers_mut().append(DPOP, HeaderValue::from_static("x"));
        assert_eq!(send(two).await.2["reason"], "PROOF_MALFORMED");
        let mut both = request("DPoP", &call);
        both.headers_mut().append(PROOF, HeaderValue::from_static("x"));
        assert_eq!(send(both).await.2["reason"], "PROOF_MALFORMED");
        let mut none = request("DPoP", &call);
        none.headers_mut().remove(DPOP);
        assert_eq!(send(none).await.2["reason"], "PROOF_MISSING");
    }
}
