//! Refusals become HTTP answers here, once: the rest of the issuer knows reasons, not status codes.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use narrows_verifier::Reason;
use serde::Serialize;

use crate::{exchange::ExchangeError, log::LogError};

/// A refusal on its way out. The trace layer adds the trace id when the answer passes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status code.
    pub status: StatusCode,
    /// The OAuth error code (RFC 6749 §5.2, RFC 8693 §2.2.2); `None` gives the shape of the other endpoints.
    pub oauth: Option<&'static str>,
    /// The stable reason code.
    pub reason: Reason,
    /// One sentence for a person; characters outside RFC 6749's set are replaced on the way out.
    pub description: Cow<'static, str>,
    /// Seconds after which a retry may help.
    pub retry_after: Option<u32>,
    /// The nonce that the next DPoP proof must carry (RFC 9449 §8).
    pub dpop_nonce: Option<String>,
}

impl ApiError {
    /// A refusal of an OAuth endpoint, with status and error code by its reason.
    pub fn oauth(reason: Reason, description: impl Into<Cow<'static, str>>) -> Self {
        let (status, code) = oauth_code(reason);
        Self::new(status, Some(code), reason, description.into())
    }

    /// A refusal of an OAuth endpoint with an error code that the reason alone doesn't give, such as `invalid_target`;
    /// the status is 400.
    pub fn oauth_as(code: &'static str, reason: Reason, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Some(code), reason, description.into())
    }

    /// A refusal of any other endpoint.
    pub fn plain(reason: Reason, description: impl Into<Cow<'static, str>>) -> Self {
        Self::new(oauth_code(reason).0, None, reason, description.into())
    }

    /// A refusal in the shape of the endpoint at `path`, for layers that stand before all endpoints.
    pub fn at_path(path: &str, reason: Reason) -> Self {
        if path.starts_with("/oauth/") { Self::oauth(reason, reason.meaning()) } else { Self::plain(reason, reason.meaning()) }
    }

    /// Names another time to come back, where whoever refused knows one.
    pub(super) fn retry_after(mut self, seconds: Option<u32>) -> Self {
        self.retry_after = seconds.or(self.retry_after);
        self
    }

    /// Tells the nonce for the next DPoP proof.
    pub(super) fn with_nonce(mut self, nonce: String) -> Self {
        self.dpop_nonce = Some(nonce);
        self
    }

    /// The JSON body with the trace id.
    pub(crate) fn body(&self, trace: &str) -> String {
        let description = description_text(&self.description);
        let reason = self.reason.code();
        let answer = match self.oauth {
            Some(error) => serde_json::to_string(&OauthBody { error, error_description: &description, reason, trace }),
            None => serde_json::to_string(&PlainBody { reason, message: &description, trace }),
        };
        // Plain strings always serialise; an empty body would still be a refusal.
        answer.unwrap_or_default()
    }

    fn new(status: StatusCode, oauth: Option<&'static str>, reason: Reason, description: Cow<'static, str>) -> Self {
        // One text for every failure of client authentication: a difference would tell which client ids exist.
        let description = if reason == Reason::ClientAuth { Cow::Borrowed(Reason::ClientAuth.meaning()) } else { description };
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_SECONDS);
        Self { status, oauth, reason, description, retry_after, dpop_nonce: None }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body("")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = match self.reason {
                Reason::AuditorAuth => "Bearer realm=\"narrows-audit\"",
                Reason::AdminAuth => "Bearer realm=\"narrows-admin\"",
                _ => "Basic realm=\"narrows\", charset=\"UTF-8\"",
            };
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(nonce) = self.dpop_nonce.as_deref().and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Any refusal of the domain in OAuth's words, where nothing more is known than its reason.
impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        match error {
            ExchangeError::Refused(reason) => Self::oauth(reason, reason.meaning()),
            ExchangeError::Denied { reason, detail } => Self::oauth(reason, detail),
            ExchangeError::Unavailable { reason, retry_after_s } => Self::oauth(reason, reason.meaning()).retry_after(retry_after_s),
        }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        Self::oauth(error.reason(), error.reason().meaning()).retry_after(error.retry_after_s())
    }
}

#[derive(Serialize)]
struct OauthBody<'a> {
    error: &'a str,
    error_description: &'a str,
    reason: &'a str,
    trace: &'a str,
}

#[derive(Serialize)]
struct PlainBody<'a> {
    reason: &'a str,
    message: &'a str,
    trace: &'a str,
}

/// The one table from reasons to status and OAuth error code. Whatever is not named is the caller's fault: a bad token
/// is `invalid_request` in a token exchange, and so is a subject that the policy denies (RFC 8693 §2.2.2).
fn oauth_code(reason: Reason) -> (StatusCode, &'static str) {
    match reason {
        Reason::ClientAuth => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Reason::AuditorAuth | Reason::AdminAuth => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Reason::RouteUnknown
        | Reason::WitnessLogUnknown
        | Reason::EntryUnknown
        | Reason::CheckpointUnknown
        | Reason::SubjectUnknown
        | Reason::ClientUnknown
        | Reason::ClientSecretUnknown
        | Reason::KeyUnknown => (StatusCode::NOT_FOUND, "invalid_request"),
        Reason::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request"),
        Reason::ContentType | Reason::ContentEncoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
        Reason::RequestTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
        Reason::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "invalid_request"),
        Reason::ResponseType => (StatusCode::BAD_REQUEST, "unsupported_response_type"),
        Reason::GrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
        Reason::ClientGrant => (StatusCode::BAD_REQUEST, "unauthorized_client"),
        Reason::DpopMissing | Reason::DpopRepeated | Reason::DpopReplayed => (StatusCode::BAD_REQUEST, "invalid_dpop_proof"),
        Reason::DpopNonce => (StatusCode::BAD_REQUEST, "use_dpop_nonce"),
        Reason::ReportRate
        | Reason::RevocationRate
        | Reason::AuditorRate
        | Reason::AdminRate
        | Reason::ClientRate
        | Reason::SubjectRate => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        Reason::EntriesPrivate | Reason::AuditorRole | Reason::AdminRole | Reason::WitnessLogSignature => {
            (StatusCode::FORBIDDEN, "invalid_request")
        }
        Reason::EntryPruned => (StatusCode::GONE, "invalid_request"),
        Reason::WitnessConflict
        | Reason::ClientExists
        | Reason::ClientConfigured
        | Reason::ClientChanged
        | Reason::ClientDisabled
        | Reason::ClientSecrets
        | Reason::ClientsFull
        | Reason::NotPaused
        | Reason::KeyState
        | Reason::KeyTooFresh
        | Reason::KeyStillNeeded
        | Reason::KeySetFull
        | Reason::KeySpareBeyond
        | Reason::KeySpareRaised
        | Reason::KeyOrderWaiting => (StatusCode::CONFLICT, "invalid_request"),
        Reason::WitnessInconsistent => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request"),
        Reason::Overloaded
        | Reason::NotReady
        | Reason::AuditUnavailable
        | Reason::AuditDiskReserve
        | Reason::AuditFileSwapped
        | Reason::AuditRollbackDetected
        | Reason::LogUnreadable
        | Reason::WitnessState
        | Reason::WitnessQuorum
        | Reason::RevocationsFull
        | Reason::NoSigningKey
        | Reason::KeyFileMissing
        | Reason::KeyFileExists
        | Reason::KeyFileMode
        | Reason::KeyFileMalformed
        | Reason::KeyRole
        | Reason::KeyFileSealed
        | Reason::KeyPassphrase
        | Reason::KeyWorkFactor
        | Reason::KeySetMalformed
        | Reason::KeyFileLink
        | Reason::IssuerUnreachable
        | Reason::IssuerDocument => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"),
        Reason::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        Reason::ScopeMalformed
        | Reason::ScopeUnknown
        | Reason::ScopeNotInPolicy
        | Reason::ScopeMissing
        | Reason::ScopeTooWide
        | Reason::ScopeAboveCeiling => (StatusCode::BAD_REQUEST, "invalid_scope"),
        Reason::TargetInvalid | Reason::AudienceNotInPolicy | Reason::AudienceEmpty | Reason::AudienceAboveCeiling => {
            (StatusCode::BAD_REQUEST, "invalid_target")
        }
        Reason::AuthorizationDetails
        | Reason::DetailsTooLarge
        | Reason::ConstraintMalformed
        | Reason::ToolNotInPolicy
        | Reason::ToolAboveCeiling
        | Reason::ArgumentAbovePolicy
        | Reason::ArgumentAboveCeiling
        | Reason::DepthAbovePolicy
        | Reason::TooManyChecks
        | Reason::CaveatMalformed
        | Reason::CaveatTooComplex
        | Reason::CaveatNamesNoTool => (StatusCode::BAD_REQUEST, "invalid_authorization_details"),
        _ => (StatusCode::BAD_REQUEST, "invalid_request"),
    }
}

/// Keeps to %x20-21 / %x23-5B / %x5D-7E (RFC 6749 §5.2) and a length that a log line bears: whatever a caller slipped
/// into a text can't break out of a header, a log line or a terminal.
fn description_text(description: &str) -> String {
    description
        .chars()
        .take(MAX_DESCRIPTION)
        .map(|character| match character {
            '"' => '\'',
            ' '..='[' | ']'..='~' => character,
            _ => '?',
        })
        .collect()
}

/// Where an answer tells the nonce for the next DPoP proof.
pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const MAX_DESCRIPTION: usize = 512;
const RETRY_AFTER_SECONDS: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oauth_refusal_has_the_shape_of_rfc_6749() {
        let error = ApiError::oauth(Reason::Expired, "the subject token has expired");
        assert_eq!(
            error.body("abc"),
            r#"{"error":"invalid_request","error_description":"the subject token has expired","reason":"EXPIRED","trace":"abc"}"#
        );
        let response = error.into_response();
        assert_eq!(response.status(), 400);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[PRAGMA], "no-cache");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    }

    #[test]
    fn other_refusals_have_reason_message_and_trace() {
        let error = ApiError::plain(Reason::Expired, "too late");
        assert_eq!(error.body("abc"), r#"{"reason":"EXPIRED","message":"too late","trace":"abc"}"#);
    }

    #[test]
    fn every_client_auth_refusal_is_the_same_with_a_challenge() {
        let unknown = ApiError::oauth(Reason::ClientAuth, "no client `x`");
        assert_eq!(unknown, ApiError::oauth(Reason::ClientAuth, "wrong secret of `y`"));
        let response = unknown.into_response();
        assert_eq!(response.status(), 401);
        assert!(response.headers()[WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic "));
    }

    #[test]
    fn unavailable_says_when_to_come_back() {
        for reason in [Reason::NotReady, Reason::Overloaded] {
            let error = ApiError::oauth(reason, reason.meaning());
            assert_eq!(error.oauth, Some("temporarily_unavailable"));
            let response = error.into_response();
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key(RETRY_AFTER));
        }
    }

    #[test]
    fn description_keeps_to_the_characters_of_rfc_6749() {
        let hostile = "a\"b\\c\r\nd\u{202e}e\u{7f}é\u{1b}[31m";
        let error = ApiError::oauth(Reason::Expired, hostile);
        let value: serde_json::Value = serde_json::from_str(&error.body("")).unwrap();
        assert_eq!(value["error_description"], "a'b?c??d?e???[31m");
        let endless = ApiError::oauth(Reason::Expired, "x".repeat(1 << 20));
        assert!(endless.body("").len() < 1_024);
    }
}
