//! The credentials of a client, from header and form.

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

use narrows_verifier::Reason;

use super::{error::ApiError, form::Form};
use crate::{
    app::App,
    client_auth::{self, AuthenticatedClient, Credentials},
    record::spend,
};

/// Finds the client that sent a form to an OAuth endpoint.
///
/// # Errors
/// `PARAMETER_REPEATED`, `CLIENT_AUTH_METHODS`, or 401 with one answer for whatever else is wrong.
pub(super) fn authenticate(app: &App, headers: &HeaderMap, form: &Form) -> Result<AuthenticatedClient, ApiError> {
    let credentials = Credentials {
        authorization: headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes).collect(),
        secret: form.optional("client_secret")?,
        assertion: form.optional("client_assertion")?,
        assertion_type: form.optional("client_assertion_type")?,
        client_id: form.optional("client_id")?,
    };
    client_auth::authenticate(app, &credentials).map_err(|reason| ApiError::oauth(reason, reason.meaning()))
}

/// Uses up the assertion with which a client authenticated a request that writes nothing which would (RFC 7523 §3).
///
/// # Errors
/// 401 for one that was used before, or what the log met.
pub(super) async fn use_up(app: &App, client: &AuthenticatedClient) -> Result<(), ApiError> {
    let Some(once) = client.once else { return Ok(()) };
    match app.log.spend(spend(once, Reason::ClientAuth)).await {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(ApiError::oauth(reason, reason.meaning())),
        Err(error) => Err(error.into()),
    }
}
