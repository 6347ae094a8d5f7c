//! Client authentication: exactly one method a request, and the one that the client is registered for.

use std::sync::Arc;

use narrows_verifier::{Reason, proof::Once};

use crate::{
    app::App,
    clients::Client,
    jose::{self, Profile, UnverifiedJwt},
};

/// What a request carries to prove which client sent it. No Debug: it holds secrets.
pub(crate) struct Credentials<'a> {
    /// Every `Authorization` header.
    pub authorization: Vec<&'a [u8]>,
    /// The `client_secret` of the body.
    pub secret: Option<&'a str>,
    /// The signed assertion (RFC 7523 §2.2).
    pub assertion: Option<&'a str>,
    /// Its declared type.
    pub assertion_type: Option<&'a str>,
    /// The `client_id` of the body, which must then name the same client.
    pub client_id: Option<&'a str>,
}

/// Who sent the request: a client whose credentials held.
pub struct AuthenticatedClient {
    /// The client.
    pub client: Arc<Client>,
    /// What must be spent with this request, for a client that signed an assertion.
    pub once: Option<Once>,
}

/// Finds the client whose credentials these are.
///
/// # Errors
/// `CLIENT_AUTH_METHODS` for credentials of more than one way, which tells nothing of any client; else `CLIENT_AUTH` whatever
/// was wrong: a difference would tell which clients exist.
pub(crate) fn authenticate(app: &App, credentials: &Credentials<'_>) -> Result<AuthenticatedClient, Reason> {
    let signed = credentials.assertion.is_some() || credentials.assertion_type.is_some();
    let ways = credentials.authorization.len() + usize::from(credentials.secret.is_some()) + usize::from(signed);
    if ways > 1 {
        return Err(Reason::ClientAuthMethods);
    }
    let by_secret = |client| AuthenticatedClient { client, once: None };
    let authenticated = match (credentials.authorization.first(), credentials.secret, credentials.assertion) {
        (Some(basic), ..) => by_secret(app.clients.authenticate_basic(basic)?),
        (_, Some(secret), _) => by_secret(app.clients.authenticate_post(credentials.client_id.unwrap_or_default(), secret)?),
        (_, _, Some(assertion)) if credentials.assertion_type == Some(JWT_BEARER) => {
            check_assertion(app, assertion).map_err(|_| Reason::ClientAuth)?
        }
        _ => return Err(Reason::ClientAuth),
    };
    match credentials.client_id {
        Some(named) if named != authenticated.client.id => Err(Reason::ClientAuth),
        _ => Ok(authenticated),
    }
}

fn check_assertion(app: &App, assertion: &str) -> Result<AuthenticatedClient, Reason> {
    let unverified = UnverifiedJwt::parse(assertion)?;
    let claimed = unverified.unverified_issuer().unwrap_or_default().to_owned();
    let client = app.clients.signer(&claimed);
    let keys = app.clients.keys_of(client.as_deref());
    let verified = jose::verify(unverified, &Profile::client_assertion(&claimed, &app.identifier), keys, app.now_seconds())?;
    let once = verified.once(ASSERTION);
    let client = client.filter(|_| once.is_some()).ok_or(Reason::ClientAuth)?;
    Ok(AuthenticatedClient { client, once })
}

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Keeps what is spent of assertions apart from all else.
const ASSERTION: &str = "narrows/client-assertion/1";
