//! The guard as a tower layer over HTTP: `POST /tools/<name>` with a JSON object as body, and `POST /sessions` with the
//! opening of a session; or an MCP server's one address.

use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use narrows_verifier::{Reason, json::Limits, proof::session::MAX_STATEMENT};
use tower::{BoxError, Layer, Service};

use super::{
    Clock, Credentials, Guard, PermittedCall, Refused,
    answer::{Hint, accepted, refuse},
    mcp,
    presented::Sent,
    request::{BodyError, open_door, proof, read_body, receipts, replace_body},
};

/// Puts a [`Guard`] before a service of tools.
///
/// The service behind it gets only permitted calls: [`PermittedCall`] in the request's extensions, the canonical
/// arguments as body, and neither token nor proof. `/sessions` is answered here when the guard opens sessions, and so is the
/// metadata of RFC 9728 when the manifest names authorization servers. Time-outs for slow bodies are the server's.
#[derive(Clone)]
pub struct GuardLayer {
    guard: Arc<Guard>,
    clock: Clock,
    door: Door,
}

/// How tools are called.
#[derive(Clone, Copy)]
enum Door {
    /// Each at a path of its own.
    Tools,
    /// All at one address, by the Model Context Protocol.
    Mcp,
}

/// A service behind a [`GuardLayer`].
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: Arc<Guard>,
    clock: Clock,
    door: Door,
}

impl GuardLayer {
    /// A layer that decides with this guard at the time of this clock.
    pub fn new(guard: Guard, clock: Clock) -> Self {
        Self { guard: Arc::new(guard), clock, door: Door::Tools }
    }

    /// The same before a server of the Model Context Protocol, over HTTP without streams of its own.
    ///
    /// The server behind it gets the messages of permitted requests, as values that were read in one way and without token and proof: a
    /// `tools/call` with [`PermittedCall`] in the request's extensions, whose arguments it runs, and the few methods that
    /// run no tool with [`PermittedMessage`](super::PermittedMessage). Nothing else passes.
    pub fn mcp(guard: Guard, clock: Clock) -> Self {
        Self { guard: Arc::new(guard), clock, door: Door::Mcp }
    }

    /// The guard, to replace its root keys and revocations while it serves.
    pub fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, guard: Arc::clone(&self.guard), clock: Arc::clone(&self.clock), door: self.door }
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
        let (guard, clock, door) = (Arc::clone(&self.guard), Arc::clone(&self.clock), self.door);
        // the clone is not known to be ready, the original is
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let permitted = match door {
                Door::Tools => permit(&guard, &clock, request).await,
                Door::Mcp => mcp::permit(&guard, &clock, request).await,
            };
            match permitted {
                Ok(request) => Ok(inner.call(request).await?.map(Either::Right)),
                Err(refusal) => Ok(refusal.map(Either::Left)),
            }
        })
    }
}

/// Replaces a request by the permitted one, or by the answer to it: a refusal, a session, or what the server says of itself.
async fn permit<B>(guard: &Guard, clock: &Clock, request: Request<B>) -> Result<Request<Full<Bytes>>, Response<Full<Bytes>>>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let tool = parts.uri.path().strip_prefix(TOOLS).unwrap_or_default().to_owned();
    let scope = guard.manifest().scope(&tool).unwrap_or_default();
    let (scheme, token) = open_door(guard, &parts, scope).map_err(|answer| *answer)?;
    let refused =
        |refused: Refused, scope: &str| refuse(&refused, Hint { scheme, resource: guard.manifest().resource(), scope, request: None });
    if parts.uri.path() == SESSIONS && guard.opens_sessions() {
        let opened = open_session(guard, clock, token, body).await;
        return Err(opened.map_or_else(|error| error.answer(|error| refused(error, scope)), accepted));
    }
    let presented = receipts(&parts.headers).ok_or(Refused::Token(Reason::ReceiptsMalformed.into()));
    let admitted = presented.and_then(|receipts| guard.admit(Credentials { token, receipts }, &tool));
    let admitted = admitted.map_err(|error| refused(error, scope))?;
    let proof = proof(&parts.headers, scheme).ok_or_else(|| refused(Refused::Proof(Reason::ProofMalformed), scope))?;
    let body = read_body(body, Limits::ARGUMENTS.bytes, Refused::Arguments(Reason::JsonTooLarge)).await;
    let body = body.map_err(|error| error.answer(|error| refused(error, scope)))?;
    let url = guard.manifest().url_of(&tool);
    let call = admitted.check(guard, proof, Sent { body: &body, url: url.as_deref(), now: clock() });
    let call = call.map_err(|error| refused(error, &admitted.scope(guard)))?;
    let canonical = call.arguments.canonical();
    replace_body(&mut parts, canonical.len());
    parts.extensions.insert::<PermittedCall>(call);
    Ok(Request::from_parts(parts, Full::new(Bytes::from(canonical))))
}

async fn open_session<B>(guard: &Guard, clock: &Clock, token: &str, body: B) -> Result<String, BodyError>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let malformed = || Refused::Proof(Reason::ProofMalformed);
    let presented = guard.verify(token)?;
    let opening = read_body(body, MAX_STATEMENT, malformed()).await?;
    let opening = core::str::from_utf8(&opening).map_err(|_| malformed())?;
    Ok(presented.open_session(guard, opening, clock())?)
}

const TOOLS: &str = "/tools/";
const SESSIONS: &str = "/sessions";

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{
        HeaderValue, Method, StatusCode,
        header::{AUTHORIZATION, HeaderName},
    };
    use http_body_util::BodyExt as _;
    use tower::{ServiceExt as _, service_fn};

    use super::{
        super::{
            guard::tests::guard,
            request::{DPOP, PROOF, RECEIPTS, SESSION},
        },
        *,
    };
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
        let mut foreign = good();
        foreign.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static("Basic AAAA"));
        let table = [
            (without(AUTHORIZATION), "TOKEN_MISSING"),
            (foreign, "TOKEN_MISSING"),
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
        assert_eq!(challenge, r#"DPoP error="invalid_dpop_proof", reason="DPOP_MALFORMED", algs="ES256 EdDSA Ed25519""#);
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
