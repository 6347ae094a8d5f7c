//! The parameters of a token request, parsed and bounded; nothing of them is verified here.

use std::{borrow::Cow, collections::BTreeSet};

use narrows_policies::{RequestedType, parse_scopes};
use narrows_verifier::{PublicKey, Reason, proof::narrow_request_digest};
use zeroize::Zeroizing;

use super::super::{error::ApiError, form::Form};
use crate::{
    details,
    exchange::{ActorToken, Binding, NarrowProof, SubjectToken, SubjectType, TokenExchange, Wanted},
    federation::TokenType,
    jose,
};

/// What may be sent once at most, whichever the grant. `resource` and `audience` may be sent several times; all else is ignored,
/// however often it comes (RFC 6749 §3.2).
pub(super) const KNOWN: [&str; 17] = [
    "actor_token",
    "actor_token_type",
    "assertion",
    "authorization_details",
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "expires_in",
    "grant_type",
    "holder_proof",
    "narrow_proof",
    "req_cnf",
    "requested_token_type",
    "scope",
    "subject_token",
    "subject_token_type",
];

/// What is asked for, which each grant reads alike.
pub(super) fn read_wanted(form: &Form) -> Result<Wanted, ApiError> {
    let details = form.optional("authorization_details")?.map(details::parse).transpose();
    // a key twice, or a number out of bounds, is of the details here and of the request elsewhere
    let details = details.map_err(|reason| ApiError::oauth_as("invalid_authorization_details", reason, reason.meaning()))?;
    let scopes = form.optional("scope")?.map(parse_scopes).transpose();
    let scopes = scopes.map_err(|reason| ApiError::oauth(reason, reason.meaning()))?;
    Ok(Wanted {
        audiences: read_audiences(form)?,
        scopes: scopes.unwrap_or_default(),
        details,
        life_seconds: form.optional("expires_in")?.map(read_seconds).transpose()?,
        form: read_form(form)?,
        binding: read_binding(form)?,
    })
}

/// What only a token exchange has.
pub(super) fn read_exchange(form: &Form) -> Result<TokenExchange, ApiError> {
    let token = Zeroizing::new(form.required("subject_token")?.to_owned());
    let declared = form.required("subject_token_type")?;
    let kind = match TokenType::from_uri(declared) {
        // our own access tokens are no JWTs, and so have no dot
        Some(TokenType::AccessToken) if !token.contains('.') => SubjectType::Own,
        Some(declared) => SubjectType::Outside(declared),
        None if declared == BISCUIT => SubjectType::Own,
        None => return Err(unsupported("the `subject_token_type` is not supported")),
    };
    let actor = match (form.optional("actor_token")?, form.optional("actor_token_type")?) {
        (None, None) => None,
        (Some(token), Some(declared)) => Some(ActorToken {
            token: Zeroizing::new(token.to_owned()),
            declared: TokenType::from_uri(declared).ok_or_else(|| unsupported("the `actor_token_type` is not supported"))?,
        }),
        (None, Some(_)) => return Err(missing("actor_token")),
        (Some(_), None) => return Err(missing("actor_token_type")),
    };
    Ok(TokenExchange {
        subject: SubjectToken { token, kind },
        actor,
        narrow_proof: form
            .optional("narrow_proof")?
            .map(|text| NarrowProof { text: text.to_owned(), request_digest: narrow_request_digest(form.pairs()) }),
    })
}

/// The identity assertion of the grant `jwt-bearer`.
pub(super) fn read_assertion(form: &Form) -> Result<Zeroizing<String>, ApiError> {
    Ok(Zeroizing::new(form.required("assertion")?.to_owned()))
}

fn read_form(form: &Form) -> Result<RequestedType, ApiError> {
    match form.optional("requested_token_type")? {
        None | Some(ACCESS_TOKEN) => Ok(RequestedType::AccessToken),
        Some(BISCUIT) => Ok(RequestedType::Biscuit),
        Some(JWT) => Ok(RequestedType::Jwt),
        Some(_) => Err(unsupported("the `requested_token_type` is not supported")),
    }
}

fn read_binding(form: &Form) -> Result<Binding, ApiError> {
    let key = form.optional("req_cnf")?.map(|text| jose::parse_holder_key(text).and_then(|key| PublicKey::from_bytes(&key)));
    Ok(Binding {
        key: key.transpose().map_err(|reason| ApiError::oauth(reason, reason.meaning()))?,
        proof: form.optional("holder_proof")?.map(str::to_owned),
    })
}

fn read_seconds(text: &str) -> Result<u64, ApiError> {
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| ApiError::oauth(Reason::ParameterInvalid, "`expires_in` is not a number of seconds"))
}

/// `resource` is an absolute URI without fragment (RFC 8707 §2), `audience` a logical name (RFC 8693 §2.1).
fn read_audiences(form: &Form) -> Result<BTreeSet<String>, ApiError> {
    let absolute = |resource: &str| url::Url::parse(resource).is_ok_and(|parsed| parsed.fragment().is_none());
    let sound = |name: &String| name.len() <= MAX_AUDIENCE && !name.chars().any(char::is_control);
    let audiences: BTreeSet<String> = form.all("resource").chain(form.all("audience")).map(str::to_owned).collect();
    if audiences.len() > MAX_AUDIENCES || !audiences.iter().all(sound) || !form.all("resource").all(absolute) {
        return Err(ApiError::oauth(Reason::TargetInvalid, Reason::TargetInvalid.meaning()));
    }
    Ok(audiences)
}

fn unsupported(description: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::oauth(Reason::ParameterUnsupported, description)
}

fn missing(name: &str) -> ApiError {
    ApiError::oauth(Reason::ParameterMissing, format!("`{name}` is missing"))
}

/// The kinds of token that are issued, by name.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub(super) const BISCUIT: &str = "urn:narrows:token-type:biscuit";
pub(super) const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const MAX_AUDIENCES: usize = 8;
const MAX_AUDIENCE: usize = 1024;
