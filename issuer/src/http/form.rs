//! Form bodies as OAuth reads them: empty is absent, unknown is ignored, known is sent once (RFC 6749 §3.2).

use http::{HeaderMap, header::CONTENT_TYPE};
use narrows_verifier::Reason;

use super::error::ApiError;

/// The parameters of one request, in order. No Debug: they hold tokens and secrets.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Parses a body of type `application/x-www-form-urlencoded`.
    ///
    /// # Errors
    /// `CONTENT_TYPE` (415), or `PARAMETER_INVALID` when there are more than 64 parameters.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        if !is_declared(headers, FORM) {
            return Err(ApiError::oauth(Reason::ContentType, Reason::ContentType.meaning()));
        }
        let pairs: Vec<_> =
            form_urlencoded::parse(body).take(MAX_PARAMETERS + 1).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        if pairs.len() > MAX_PARAMETERS {
            return Err(ApiError::oauth(Reason::ParameterInvalid, "too many parameters"));
        }
        Ok(Self(pairs))
    }

    /// Refuses a request that sends one of these parameters more than once, whether or not it will be read (RFC 6749 §3.2).
    ///
    /// # Errors
    /// `PARAMETER_REPEATED`.
    pub(super) fn refuse_repeated(&self, names: &[&str]) -> Result<(), ApiError> {
        names.iter().try_for_each(|name| self.optional(name).map(drop))
    }

    /// A parameter that may be sent at most once.
    ///
    /// # Errors
    /// `PARAMETER_REPEATED`.
    pub(super) fn optional(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(ApiError::oauth(Reason::ParameterRepeated, format!("`{name}` is sent more than once"))),
        }
    }

    /// A parameter that must be sent exactly once.
    ///
    /// # Errors
    /// `PARAMETER_MISSING` or `PARAMETER_REPEATED`.
    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.optional(name)?.ok_or_else(|| ApiError::oauth(Reason::ParameterMissing, format!("`{name}` is missing")))
    }

    /// Every name with its value, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Every non-empty value of a parameter.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(found, value)| found == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// Whether the body is declared to be of this media type, whatever its parameters.
pub(super) fn is_declared(headers: &HeaderMap, media_type: &str) -> bool {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

/// The media type of HTML forms.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";

const MAX_PARAMETERS: usize = 64;
