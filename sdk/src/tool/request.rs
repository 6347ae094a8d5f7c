//! Reading a request before anything is decided: its form, what its headers present, its body within bounds.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
    request::Parts,
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use narrows_verifier::Reason;
use tower::BoxError;

use super::{
    Guard, Proof, Refused,
    answer::{Hint, metadata, refuse, refuse_form, refuse_request},
    challenge::Scheme,
};

/// What is looked at before any token: a request for the metadata is answered, one in another form refused. Gives the scheme and
/// token of the others.
pub(super) fn open_door<'a>(guard: &Guard, parts: &'a Parts, scope: &str) -> Result<(Scheme, &'a str), Box<Response<Full<Bytes>>>> {
    let resource = guard.manifest().resource();
    let hint = |scheme| Hint { scheme, resource, scope, request: None };
    if parts.method == Method::GET
        && let Some(document) = resource.and_then(|resource| resource.document_at(parts.uri.path()))
    {
        return Err(metadata(document).into());
    }
    if parts.method != Method::POST {
        return Err(refuse_form(StatusCode::METHOD_NOT_ALLOWED, Reason::MethodNotAllowed).into());
    }
    // no proof covers a query, so an argument there would be nobody's, and a token there ends up in logs
    if parts.uri.query().is_some() {
        return Err(refuse_request(hint(Scheme::Bearer)).into());
    }
    token(&parts.headers).map_err(|reason| refuse(&Refused::Token(reason.into()), hint(Scheme::Narrows)).into())
}

/// Why a body was not read.
pub(super) enum BodyError {
    /// It is larger than what it may be.
    Refused(Refused),
    /// The sender broke off.
    Broken,
}

impl BodyError {
    pub(super) fn answer(self, refused: impl FnOnce(Refused) -> Response<Full<Bytes>>) -> Response<Full<Bytes>> {
        match self {
            BodyError::Refused(error) => refused(error),
            BodyError::Broken => refuse_form(StatusCode::BAD_REQUEST, Reason::RequestMalformed),
        }
    }
}

impl From<Refused> for BodyError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Reads a body of at most so many bytes.
pub(super) async fn read_body<B>(body: B, most: usize, too_large: Refused) -> Result<Bytes, BodyError>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    match Limited::new(body, most).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::Refused(too_large)),
        Err(_) => Err(BodyError::Broken),
    }
}

/// Takes away what is for the guard alone, and says what is true of the body that comes instead of the request's own.
pub(super) fn replace_body(parts: &mut Parts, length: usize) {
    for header in [AUTHORIZATION, PROOF, SESSION, DPOP, RECEIPTS, TRANSFER_ENCODING] {
        parts.headers.remove(header);
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
}

/// The scheme and token of `Authorization: Narrows <token>`, `DPoP <token>` or `Bearer <token>`; empty when the header is missing.
pub(super) fn token(headers: &HeaderMap) -> Result<(Scheme, &str), Reason> {
    let value = single(headers, &AUTHORIZATION).ok_or(Reason::TokenEncoding)?;
    let (named, token) = value.split_once(' ').unwrap_or_default();
    let scheme = Scheme::ALL.into_iter().find(|scheme| named.eq_ignore_ascii_case(scheme.name()));
    // a credential of another scheme is no token of ours
    Ok(scheme.map_or((Scheme::Narrows, ""), |scheme| (scheme, token)))
}

/// The one proof of a request, empty when there is none; `None` when there are two, or one of another scheme.
pub(super) fn proof(headers: &HeaderMap, scheme: Scheme) -> Option<Proof<'_>> {
    match (scheme, single(headers, &PROOF)?, single(headers, &SESSION)?, single(headers, &DPOP)?) {
        (Scheme::Narrows, proof, "", "") => Some(Proof::Possession(proof)),
        (Scheme::Narrows, "", session, "") => Some(Proof::Session(session)),
        (Scheme::Dpop, "", "", dpop) => Some(Proof::Dpop(dpop)),
        (Scheme::Bearer, "", "", "") => Some(Proof::Bearer),
        _ => None,
    }
}

/// The receipts as they travel, empty when there are none; `None` when there are two headers.
pub(super) fn receipts(headers: &HeaderMap) -> Option<&str> {
    single(headers, &RECEIPTS)
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

pub(super) const PROOF: HeaderName = HeaderName::from_static("narrows-proof");
pub(super) const SESSION: HeaderName = HeaderName::from_static("narrows-session");
pub(super) const DPOP: HeaderName = HeaderName::from_static("dpop");
pub(super) const RECEIPTS: HeaderName = HeaderName::from_static("narrows-receipts");
