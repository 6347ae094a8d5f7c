//! Calling a guarded tool over HTTP.

use core::fmt;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use narrows_verifier::{PublicKey, Reason, proof::session::HolderSession};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Presentation, ProofKind, SessionOpening,
    http::{Answer, Http, Origin, TransportError},
};

/// A client of one tool server.
pub struct ToolClient {
    http: Http,
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The tool's guard refused the call, or the tool failed.
    #[error("{0}")]
    Refused(Box<CallRefusal>),
    /// No usable answer came. Whether the tool ran is not known unless no connection came about.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The call succeeded, and its result is not JSON.
    #[error("the tool's result is not JSON")]
    NotJson,
    /// The tool's answer to the opening of a session was not accepted.
    #[error("the tool's answer makes no session: {0}")]
    Session(Reason),
}

/// A refusal in the tool's words. All of it comes from the peer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct CallRefusal {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// The reason code; [`Reason::from_code`] reads it.
    pub reason: String,
    /// One sentence for a person.
    pub message: String,
    /// The block that carries the refused caveat, counted from the authority block at 0.
    pub block: Option<u64>,
    /// Who added the caveat.
    pub added_by: Option<String>,
    /// The caveat in its JSON form.
    pub caveat: Option<Value>,
}

impl ToolClient {
    /// A client of the tool server at this address: an https origin, or http on loopback.
    ///
    /// # Errors
    /// For other addresses.
    pub fn new(address: &str) -> Result<Self, CallError> {
        Ok(Self { http: Http::new(Origin::parse(address)?)? })
    }

    /// Makes one call. A presentation is good for one attempt: prove again to try again.
    ///
    /// # Errors
    /// The refusal with its reason, or what kept an answer from coming.
    pub async fn call(&self, call: &Presentation) -> Result<Value, CallError> {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        let (scheme, name) = match call.kind {
            ProofKind::Possession => ("Narrows", Some(PROOF)),
            ProofKind::Session => ("Narrows", Some(SESSION)),
            ProofKind::Dpop => ("DPoP", Some(DPOP)),
            ProofKind::Bearer => ("Bearer", None),
        };
        headers.extend(sensitive(&format!("{scheme} {}", call.token)).map(|value| (AUTHORIZATION, value)));
        headers.extend(name.and_then(|name| Some((name, sensitive(&call.proof)?))));
        if !call.receipts.is_empty() {
            headers.extend(HeaderValue::try_from(&call.receipts).ok().map(|value| (RECEIPTS, value)));
        }
        let path = format!("/tools/{}", form_urlencoded::byte_serialize(call.tool.as_bytes()).collect::<String>());
        result(&self.http.post(&path, headers, call.arguments.clone()).await?)
    }

    /// Opens a session. `tool` is the key that is pinned for this server; one that the server itself names proves nothing.
    ///
    /// # Errors
    /// As [`ToolClient::call`], and [`CallError::Session`] when the answer is not the pinned key's, or grants more than was
    /// asked.
    pub async fn open_session(&self, opening: SessionOpening, tool: &PublicKey, now: u64) -> Result<HolderSession, CallError> {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
        headers.extend(sensitive(&format!("Narrows {}", opening.token())).map(|value| (AUTHORIZATION, value)));
        let answer = result(&self.http.post("/sessions", headers, opening.text().to_owned()).await?)?;
        let accept = answer.get("accept").and_then(Value::as_str).ok_or(CallError::Session(Reason::PeerAnswer))?;
        opening.accepted(accept, tool, now).map_err(CallError::Session)
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn result(answer: &Answer) -> Result<Value, CallError> {
    if (200..300).contains(&answer.status) {
        return serde_json::from_slice(&answer.body).map_err(|_| CallError::NotJson);
    }
    let refusal: CallRefusal = serde_json::from_slice(&answer.body).unwrap_or_default();
    Err(CallError::Refused(Box::new(CallRefusal { status: answer.status, ..refusal })))
}

impl CallRefusal {
    /// The stable reason, when this version knows it.
    pub fn known_reason(&self) -> Option<Reason> {
        Reason::from_code(&self.reason)
    }
}

impl fmt::Display for CallRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (status {}): {}", self.reason.escape_debug(), self.status, self.message.escape_debug())?;
        match (self.block, &self.added_by) {
            (Some(block), Some(added_by)) => write!(formatter, ", block {block}, added by `{}`", added_by.escape_debug()),
            _ => Ok(()),
        }
    }
}

const PROOF: HeaderName = HeaderName::from_static("narrows-proof");
const SESSION: HeaderName = HeaderName::from_static("narrows-session");
const DPOP: HeaderName = HeaderName::from_static("dpop");
const RECEIPTS: HeaderName = HeaderName::from_static("narrows-receipts");
