//! What can go wrong with the issuer, by who is at fault.

use core::fmt;

use narrows_verifier::Reason;
use serde::Deserialize;

use crate::http::{Answer, TransportError};

/// Why the issuer gave nothing that we accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuerError {
    /// The issuer refused what we asked for.
    #[error("{0}")]
    Refused(IssuerRefusal),
    /// No usable answer came.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// An answer came, and it is not what it claims to be; or what we were about to send is not.
    #[error("{0}: {meaning}", meaning = .0.meaning())]
    Answer(Reason),
}

/// A refusal in the issuer's words. All of it comes from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerRefusal {
    /// The HTTP status.
    pub status: u16,
    /// The OAuth error code (RFC 6749 §5.2), from the token endpoint.
    pub error: Option<String>,
    /// The reason code; a newer issuer may have codes that [`Reason::from_code`] does not know.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// The trace id to ask the operator about.
    pub trace: String,
}

impl IssuerError {
    /// The stable reason; `None` when the issuer gave a code that this version does not know.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            IssuerError::Refused(refusal) => Reason::from_code(&refusal.code),
            IssuerError::Transport(TransportError::Address) => Some(Reason::AddressRefused),
            IssuerError::Transport(TransportError::TooLarge) => Some(Reason::PeerAnswer),
            IssuerError::Transport(TransportError::Connect | TransportError::Broken) => Some(Reason::PeerUnreachable),
            IssuerError::Answer(reason) => Some(*reason),
        }
    }
}

impl From<Reason> for IssuerError {
    fn from(reason: Reason) -> Self {
        IssuerError::Answer(reason)
    }
}

impl fmt::Display for IssuerRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, code, message, trace, .. } = self;
        write!(formatter, "{}: {} (status {status}, trace `{}`)", code.escape_debug(), message.escape_debug(), trace.escape_debug())
    }
}

/// The body of a 200, or the refusal that any other answer is.
pub(crate) fn success(answer: Answer) -> Result<Vec<u8>, IssuerError> {
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let body: RefusalBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    // what a peer sends ends in our caller's log, so it is short
    let short = |text: String| text.chars().take(MAX_FIELD).collect::<String>();
    Err(IssuerError::Refused(IssuerRefusal {
        status: answer.status,
        error: body.error.map(short),
        code: short(body.reason),
        message: short(if body.error_description.is_empty() { body.message } else { body.error_description }),
        trace: short(body.trace),
    }))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RefusalBody {
    error: Option<String>,
    error_description: String,
    reason: String,
    message: String,
    trace: String,
}

const MAX_FIELD: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> IssuerError {
        success(Answer { status, body: body.into() }).err().unwrap()
    }

    #[test]
    fn refusals_of_both_shapes_keep_their_reason_and_trace() {
        let oauth = r#"{"error":"invalid_request","error_description":"too late","reason":"EXPIRED","trace":"ab"}"#;
        let refused = refusal(400, oauth);
        assert_eq!(refused.reason(), Some(Reason::Expired));
        assert_eq!(refused.to_string(), "EXPIRED: too late (status 400, trace `ab`)");
        let plain = refusal(503, r#"{"reason":"NOT_READY","message":"later","trace":"cd"}"#);
        assert_eq!(plain.reason(), Some(Reason::NotReady));
        let IssuerError::Refused(newer) = refusal(400, r#"{"reason":"NEWER_CODE","message":"","trace":""}"#) else { panic!() };
        assert_eq!((newer.code.as_str(), newer.error), ("NEWER_CODE", None));
    }

    #[test]
    fn answers_that_are_no_refusal_of_ours_are_refusals_all_the_same() {
        for (status, body) in [(502, "<html>"), (302, ""), (204, ""), (500, "[]")] {
            assert_eq!(refusal(status, body).reason(), None);
        }
        let long = format!(r#"{{"reason":"X","message":"{}\n","trace":""}}"#, "x".repeat(100_000));
        assert!(refusal(400, &long.replace('\n', "")).to_string().len() < 1024);
    }
}
