//! Registering clients and changing those that are registered. What the configuration says of a client, it alone changes.

use narrows_verifier::{
    EntryId, Reason,
    log::{Leaf, TraceId},
};
use zeroize::Zeroizing;

use super::{Act, Operator, record};
use crate::{
    app::App,
    clients::{Known, Registration, secret_hash},
    config::{AuthMethod, Client, Role},
    exchange::ExchangeError,
};

/// A change that is recorded and in force. No Debug: it may hold a fresh secret.
pub struct Changed {
    /// What is said of the client now.
    pub registration: Registration,
    /// Its fresh secret, which nobody can read later.
    pub secret: Option<Zeroizing<String>>,
    /// The log entry.
    pub entry: EntryId,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The receipt.
    pub receipt: String,
}

/// Registers a client. One that authenticates by a secret is given one.
///
/// # Errors
/// `CLIENT_INVALID`; `ADMIN_ROLE` for a client that may revoke everything, which takes the role that may do so itself;
/// `CLIENT_CONFIGURED`, `CLIENT_EXISTS`, `CLIENTS_FULL`, or what the log met.
pub async fn add(app: &App, by: &Operator, mut client: Client, trace: TraceId) -> Result<Changed, ExchangeError> {
    if !client.secret_hashes.is_empty() {
        return Err(invalid("secrets are generated here, so leave `secret_hashes` out"));
    }
    // as the last segment of a path these name something else, so no route would reach the client
    if matches!(client.id.as_str(), "." | "..") {
        return Err(invalid("`id` is no name in a path"));
    }
    if client.revoker && !by.has(Role::Security) {
        return Err(Reason::AdminRole.into());
    }
    let secret = (client.auth_method != AuthMethod::PrivateKeyJwt).then(|| app.fresh_secret());
    client.secret_hashes = secret.iter().map(|secret| secret_hash(secret)).collect();
    client.check().map_err(|fault| invalid(&fault))?;
    if app.clients.known(&client.id).is_some_and(|known| known.index.is_none()) {
        return Err(Reason::ClientConfigured.into());
    }
    change(app, by, Act::AddClient, Registration { client, disabled: false }, None, secret, trace).await
}

/// Disables a client, for good: from the answer on it authenticates nowhere. What was issued to it stands until it is revoked.
///
/// A registered client that one of the configuration hides is disabled too, and can't come back when that one goes.
///
/// # Errors
/// `CLIENT_UNKNOWN`, `CLIENT_CONFIGURED`, `CLIENT_DISABLED`, `CLIENT_CHANGED`, or what the log met.
pub async fn disable(app: &App, by: &Operator, id: &str, trace: TraceId) -> Result<Changed, ExchangeError> {
    let hidden = app.clients.hidden(id).filter(|known| !known.registration.disabled);
    let Known { mut registration, index, .. } = hidden.map_or_else(|| changeable(app, id), Ok)?;
    registration.disabled = true;
    change(app, by, Act::DisableClient, registration, index, None, trace).await
}

/// Gives a client one more secret; the old one works until it is taken away.
///
/// # Errors
/// As [`disable`]; `CLIENT_SECRETS` for one that has two already, or authenticates by none.
pub async fn rotate(app: &App, by: &Operator, id: &str, trace: TraceId) -> Result<Changed, ExchangeError> {
    let Known { mut registration, index, .. } = changeable(app, id)?;
    // Whoever gets a secret of it can do what it can.
    if registration.client.revoker && !by.has(Role::Security) {
        return Err(Reason::AdminRole.into());
    }
    let hashes = &mut registration.client.secret_hashes;
    if registration.client.auth_method == AuthMethod::PrivateKeyJwt || hashes.len() >= MAX_SECRETS {
        return Err(Reason::ClientSecrets.into());
    }
    let secret = app.fresh_secret();
    hashes.push(secret_hash(&secret));
    change(app, by, Act::RotateSecret, registration, index, Some(secret), trace).await
}

/// Takes a secret from a client, by its id. The last one stays: whoever wants to put the client out disables it.
///
/// # Errors
/// As [`disable`]; `CLIENT_SECRET_UNKNOWN`; `CLIENT_SECRETS` for the last one.
pub async fn forget_secret(app: &App, by: &Operator, id: &str, secret: &str, trace: TraceId) -> Result<Changed, ExchangeError> {
    let Known { mut registration, index, .. } = changeable(app, id)?;
    let hashes = &mut registration.client.secret_hashes;
    let place = hashes.iter().position(|hash| secret_id(hash) == secret).ok_or(Reason::ClientSecretUnknown)?;
    if hashes.len() == 1 {
        return Err(Reason::ClientSecrets.into());
    }
    hashes.remove(place);
    change(app, by, Act::ForgetSecret, registration, index, None, trace).await
}

/// What a secret is called: the first 64 bits of its digest, which tell nothing of 256 random ones.
pub fn secret_id(hash: &str) -> &str {
    hash.strip_prefix("sha256:").and_then(|hex| hex.get(..16)).unwrap_or_default()
}

fn changeable(app: &App, id: &str) -> Result<Known, Reason> {
    let known = app.clients.known(id).ok_or(Reason::ClientUnknown)?;
    match (known.index, known.registration.disabled) {
        (None, _) => Err(Reason::ClientConfigured),
        (_, true) => Err(Reason::ClientDisabled),
        _ => Ok(known),
    }
}

async fn change(
    app: &App,
    by: &Operator,
    act: Act,
    registration: Registration,
    replaces: Option<u64>,
    secret: Option<Zeroizing<String>>,
    trace: TraceId,
) -> Result<Changed, ExchangeError> {
    let (leaf, receipt) = record::registered(app, by, act, (&registration, replaces), trace).await?;
    let entry = Leaf::parse(&leaf).map_err(|_| Reason::Internal)?.id;
    Ok(Changed { registration, secret, entry, leaf, receipt })
}

fn invalid(detail: &str) -> ExchangeError {
    ExchangeError::Denied { reason: Reason::ClientInvalid, detail: detail.to_owned() }
}

/// One, and a second while it is being replaced.
const MAX_SECRETS: usize = 2;
