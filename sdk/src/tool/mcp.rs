//! The guard before an MCP server: which messages pass, and with which credentials.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response};
use http_body_util::Full;
use narrows_verifier::{
    Reason, Refusal,
    proof::mcp::{MESSAGE, McpMessage, McpProof, read_message},
};
use tower::BoxError;

use super::{
    Clock, Credentials, Guard, Proof, Refused,
    answer::{Hint, refuse},
    challenge::Scheme,
    presented::Sent,
    request::{open_door, proof, read_body, receipts, replace_body},
};

/// Replaces a request by the permitted one, or by the answer to it.
pub(super) async fn permit<B>(guard: &Guard, clock: &Clock, request: Request<B>) -> Result<Request<Full<Bytes>>, Response<Full<Bytes>>>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    let resource = guard.manifest().resource();
    let first = resource.map(|resource| resource.first_scope.as_str()).unwrap_or_default();
    let (scheme, token) = open_door(guard, &parts, first).map_err(|answer| *answer)?;
    let refused = |refused: Refused, scope: &str| refuse(&refused, Hint { scheme, resource, scope, request: None });
    if !token.is_empty() {
        // nobody with a bad token makes a server read a body; who has none may have one in there
        guard.verify(token).map_err(|error| refused(error, first))?;
    }
    let body = read_body(body, MESSAGE.bytes, Refused::Arguments(Reason::JsonTooLarge)).await;
    let body = body.map_err(|error| error.answer(|error| refused(error, first)))?;
    let message = read(&body).map_err(|error| refused(error, first))?;
    let id = message.id();
    let refused = |refused: Refused, scope: &str| refuse(&refused, Hint { scheme, resource, scope, request: Some(&id) });
    says_the_same(&message, &parts.headers).map_err(|error| refused(error, first))?;
    let presented = Credential::of(&message, &parts.headers, scheme, token).map_err(|error| refused(error, first))?;
    let canonical = message.message.canonical();
    match &message.call {
        Some((tool, arguments)) => {
            let scope = guard.manifest().scope(tool).unwrap_or_default();
            let admitted = guard.admit(presented.credentials, tool).map_err(|error| refused(error, scope))?;
            let arguments = arguments.canonical();
            let sent = Sent { body: arguments.as_bytes(), url: guard.manifest().endpoint(), now: clock() };
            let call = admitted.check(guard, presented.proof, sent).map_err(|error| refused(error, &admitted.scope(guard)))?;
            parts.extensions.insert(call);
        }
        None if METHODS.contains(&message.method.as_str()) => {
            let visit = guard.verify(presented.credentials.token);
            let visit = visit.and_then(|token| token.visit(guard, presented.proof, &message.method, clock()));
            parts.extensions.insert(visit.map_err(|error| refused(error, first))?);
        }
        None => return Err(refused(Refused::Tool(Reason::McpMethod), first)),
    }
    replace_body(&mut parts, canonical.len());
    Ok(Request::from_parts(parts, Full::new(Bytes::from(canonical))))
}

/// The one credential of a message.
struct Credential<'a> {
    credentials: Credentials<'a>,
    proof: Proof<'a>,
}

impl<'a> Credential<'a> {
    /// That of the headers, or our member of `_meta`; with both there would be two answers to who asks.
    fn of(message: &'a McpMessage, headers: &'a HeaderMap, scheme: Scheme, token: &'a str) -> Result<Self, Refused> {
        let by_headers = proof(headers, scheme).ok_or(Refused::Proof(Reason::ProofMalformed))?;
        let receipts = receipts(headers).ok_or(Refused::Token(Reason::ReceiptsMalformed.into()))?;
        let Some(ours) = &message.authorization else {
            return Ok(Self { credentials: Credentials { token, receipts }, proof: by_headers });
        };
        if !token.is_empty() || !receipts.is_empty() || !matches!(by_headers, Proof::Possession("")) {
            return Err(Refused::Arguments(Reason::McpMalformed));
        }
        let proof = match &ours.proof {
            McpProof::Possession(proof) => Proof::Possession(proof),
            McpProof::Session(proof) => Proof::Session(proof),
        };
        Ok(Self { credentials: Credentials { token: &ours.token, receipts: &ours.receipts }, proof })
    }
}

fn read(body: &[u8]) -> Result<McpMessage, Refused> {
    read_message(body).map_err(|reason| match reason {
        Reason::TokenMissing => Refused::Token(Refusal::from(reason)),
        Reason::ProofMissing => Refused::Proof(reason),
        reason => Refused::Arguments(reason),
    })
}

/// Refuses headers that say another thing of the message: something on the way may have gone by them.
fn says_the_same(message: &McpMessage, headers: &HeaderMap) -> Result<(), Refused> {
    let says = |name: &HeaderName, expected: &str| headers.get_all(name).iter().all(|value| value.as_bytes() == expected.as_bytes());
    let called = message.call.as_ref().is_none_or(|(tool, _)| says(&NAME, tool));
    if says(&METHOD, &message.method) && called { Ok(()) } else { Err(Refused::Arguments(Reason::McpMalformed)) }
}

/// What passes without running a tool. Other methods read or do what no caveat speaks of.
const METHODS: [&str; 7] = [
    "initialize",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "ping",
    "server/discover",
    "tools/list",
];
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
