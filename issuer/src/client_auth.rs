//! Client authentication: exactly one method a request, and the one that the client is registered for.

use narrows_verifier::{Reason, proof::Once};
use sha2::{Digest, Sha256};

use crate::{
    app::App,
    clients::Client,
    config::AuthMethod,
    exchange::AuthenticatedClient,
    jose::{self, Profile, UnverifiedJwt},
};

/// What a request carries to prove which client sent it. No Debug: it holds secrets.
pub(crate) struct Credentials<'a> {
    /// The `Authorization` header.
    pub basic: Option<&'a [u8]>,
    /// The signed assertion (RFC 7523 §2.2).
    pub assertion: Option<&'a str>,
    /// Its declared type.
    pub assertion_type: Option<&'a str>,
    /// The `client_id` of the body, which must then name the same client.
    pub client_id: Option<&'a str>,
    /// Whether the request tries a method that is not offered.
    pub secret_in_body: bool,
}

/// Finds the client whose credentials these are.
///
/// # Errors
/// `CLIENT_AUTH` whatever was wrong: a difference would tell which clients exist.
pub(crate) fn authenticate<'a>(app: &'a App, credentials: &Credentials<'_>) -> Result<AuthenticatedClient<'a>, Reason> {
    if credentials.secret_in_body {
        return Err(Reason::ClientAuth);
    }
    let authenticated = match (credentials.basic, credentials.assertion) {
        (Some(basic), None) => AuthenticatedClient { client: app.clients.authenticate_basic(basic)?, once: None },
        (None, Some(assertion)) if credentials.assertion_type == Some(JWT_BEARER) => {
            check_assertion(app, assertion).map_err(|_| Reason::ClientAuth)?
        }
        _ => return Err(Reason::ClientAuth),
    };
    match credentials.client_id {
        Some(named) if named != authenticated.client.id => Err(Reason::ClientAuth),
        _ => Ok(authenticated),
    }
}

fn check_assertion<'a>(app: &'a App, assertion: &str) -> Result<AuthenticatedClient<'a>, Reason> {
    let unverified = UnverifiedJwt::parse(assertion)?;
    let client: &Client = unverified
        .unverified_issuer()
        .and_then(|name| app.clients.find(name))
        .filter(|client| client.auth_method == AuthMethod::PrivateKeyJwt)
        .ok_or(Reason::ClientAuth)?;
    let keys = client.keys.as_ref().ok_or(Reason::ClientAuth)?;
    let profile = Profile::client_assertion(&client.id, &app.identifier);
    let verified = jose::verify(unverified, &profile, keys, app.now_seconds())?;
    let token_id = verified.jwt_id.ok_or(Reason::ClientAuth)?;
    Ok(AuthenticatedClient {
        client,
        once: Some(Once { key: spent(&client.id, &token_id), forget_after: verified.expires_s.saturating_add(CLOCK_SKEW_SECONDS) }),
    })
}

/// Names an assertion in the table of spent things.
fn spent(client: &str, token_id: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in ["narrows/client-assertion/1", client, token_id] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// An assertion is remembered longer than the skew of 30 s for which it is accepted after it expires.
const CLOCK_SKEW_SECONDS: u64 = 60;
