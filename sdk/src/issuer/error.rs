//! What can go wrong with the issuer, by who is at fault.

use core::fmt;
use core::time::Duration;

use http::header::RETRY_AFTER;
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
    #[error("{0} ({reason})", reason = .0.reason())]
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
    /// After how long the issuer says that it may be asked again.
    pub retry_after: Option<Duration>,
}

impl IssuerError {
    /// The stable reason; `None` when the issuer gave a code that this version does not know.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            IssuerError::Refused(refusal) => Reason::from_code(&refusal.code),
            IssuerError::Transport(error) => Some(error.reason()),
            IssuerError::Answer(reason) => Some(*reason),
        }
    }

    /// True where the same question may get an answer later: the issuer is away, too busy, or asked too often. Whoever asks again
    /// waits at least for [`IssuerRefusal::retry_after`], and not without end.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Transport(error) => matches!(error, TransportError::Connect | TransportError::Broken),
            // A log that was found to be rolled back, or can't be read, gives a 503 too, and that does not pass.
            Self::Refused(refusal) => match Reason::from_code(&refusal.code) {
                Some(reason) => PASSING.contains(&reason),
                None => matches!(refusal.status, 429 | 502 | 503 | 504),
            },
            Self::Answer(_) => false,
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
        write!(formatter, "{}: {} (status {status}, trace `{}`)", shown(code), shown(message), shown(trace))
    }
}

/// What a peer wrote, without what would move a reader's terminal or hide text.
fn shown(text: &str) -> String {
    text.chars().fold(String::new(), |mut shown, character| {
        match character {
            '\'' | '"' => shown.push(character),
            character => shown.extend(character.escape_debug()),
        }
        shown
    })
}

/// The body of a 200, or the refusal that any other answer is.
pub(crate) fn success(answer: Answer) -> Result<Vec<u8>, IssuerError> {
    if answer.status == 200 {
        return Ok(answer.body);
    }
    // A date may stand there too, from a proxy; then our own patience decides.
    let retry_after = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    let body: RefusalBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    // what a peer sends ends in our caller's log, so it is short
    let short = |text: String| text.chars().take(MAX_FIELD).collect::<String>();
    Err(IssuerError::Refused(IssuerRefusal {
        status: answer.status,
        error: body.error.map(short),
        code: short(body.reason),
        message: short(if body.error_description.is_empty() { body.message } else { body.error_description }),
        trace: short(body.trace),
        retry_after,
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

const PASSING: [Reason; 7] = [
    Reason::AuditUnavailable,
    Reason::AuditorRate,
    Reason::NotReady,
    Reason::Overloaded,
    Reason::ReportRate,
    Reason::RequestTimeout,
    Reason::WitnessQuorum,
];

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn refusal(status: u16, body: &str) -> IssuerError {
        success(Answer { status, headers: HeaderMap::new(), body: body.into() }).err().unwrap()
    }

    #[test]
    fn only_what_time_heals_is_worth_another_question() {
        let refused = |status, code: &str| refusal(status, &format!(r#"{{"reason":"{code}"}}"#));
        for error in [
            refused(429, "AUDITOR_RATE"),
            refused(503, "NOT_READY"),
            refused(503, "AUDIT_UNAVAILABLE"),
            refused(503, "NEWER_CODE"),
            refusal(502, "<html>"),
            IssuerError::Transport(TransportError::Connect),
            IssuerError::Transport(TransportError::Broken),
        ] {
            assert!(error.is_passing(), "{error:?}");
        }
        for error in [
            refused(503, "AUDIT_ROLLBACK_DETECTED"),
            refused(503, "LOG_UNREADABLE"),
            refused(401, "AUDITOR_AUTH"),
            refused(500, "INTERNAL"),
            refusal(404, "<html>"),
            IssuerError::Transport(TransportError::TooLarge),
            IssuerError::Transport(TransportError::Address),
            IssuerError::Answer(Reason::PeerAnswer),
        ] {
            assert!(!error.is_passing(), "{error:?}");
        }
    }

    #[test]
    fn a_refusal_says_when_to_ask_again() {
        let after = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, http::HeaderValue::from_static(value))]);
            match success(Answer { status: 429, headers, body: Vec::new() }) {
                Err(IssuerError::Refused(refusal)) => refusal.retry_after,
                _ => panic!(),
            }
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }

    #[test]
    fn refusals_of_both_shapes_keep_their_reason_and_trace() {
        let oauth = r#"{"error":"invalid_request","error_description":"too late","reason":"EXPIRED","trace":"ab"}"#;
        let refused = refusal(400, oauth);
        assert_eq!(refused.reason(), Some(Reason::Expired));
        assert_eq!(refused.to_string(), "EXPIRED: too late (status 400, trace `ab`)");
        let told = refusal(401, r#"{"reason":"X","message":"the log's \u001b[2J \"end\"","trace":""}"#);
        assert_eq!(told.to_string(), r#"X: the log's \u{1b}[2J "end" (status 401, trace ``)"#);
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
