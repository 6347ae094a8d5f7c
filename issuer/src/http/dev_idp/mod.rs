//! A small OpenID provider for development, so that one command needs no other identity provider.
//!
//! It is an identity provider with a real login: authorization code with PKCE (RFC 7636), a page with a password, and no way to a
//! token without both. It lives on loopback alone, keeps everything in memory, and says on its page what it is.

mod authorize;
mod page;
mod parameters;
mod tables;
mod token;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::jose::TokenSigner;

use tables::Tables;

/// Someone who can log in at the development identity provider. No Debug: it holds a password.
pub struct DevUser {
    /// The login name, which is also the `sub` of the ID token.
    pub name: String,
    /// The password, drawn at random by the caller.
    pub password: Zeroizing<String>,
    /// The `email` claim, if any.
    pub email: Option<String>,
    /// The `groups` claim.
    pub groups: Vec<String>,
}

/// What the development identity provider is made of. No Debug: it holds passwords and a key.
pub struct DevIdpSettings {
    /// Its issuer identifier: the address at which [`router`] is nested, http on loopback.
    pub issuer: String,
    /// The client ids that may send people here.
    pub clients: Vec<String>,
    /// The people who can log in.
    pub users: Vec<DevUser>,
    /// The seed of the key that signs ID tokens; a fresh one at every start.
    pub signing_seed: Zeroizing<[u8; 32]>,
    /// The clock, in milliseconds since the epoch.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// 32 fresh random bytes for each ticket and code.
    pub entropy: Arc<dyn Fn() -> [u8; 32] + Send + Sync>,
}

/// The development identity provider would be reachable from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the development identity provider runs on plain http loopback alone")]
pub struct NotLoopback;

/// The routes, to be nested at the path of the issuer identifier, such as `/dev/idp`.
pub fn router(settings: DevIdpSettings) -> Result<Router, NotLoopback> {
    if authorize::loopback_url(&settings.issuer).is_none() {
        return Err(NotLoopback);
    }
    let idp = Arc::new(DevIdp { signer: TokenSigner::from_seed(&settings.signing_seed), tables: Mutex::new(Tables::default()), settings });
    Ok(Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks", get(key_set))
        .route("/authorize", get(authorize::show_login).post(authorize::log_in))
        .route("/token", post(token::redeem_code))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(map_response(close_headers))
        .with_state(idp))
}

struct DevIdp {
    settings: DevIdpSettings,
    signer: TokenSigner,
    tables: Mutex<Tables>,
}

impl DevIdp {
    fn now_ms(&self) -> u64 {
        (self.settings.now_ms)()
    }

    /// An unguessable name for a ticket or code.
    fn nonce(&self) -> String {
        URL_SAFE_NO_PAD.encode((self.settings.entropy)())
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The user with this name and password. Takes the same time whether name, password or both are wrong.
    fn user_with_password(&self, name: &str, password: &str) -> Option<&DevUser> {
        let given = Sha256::digest(password);
        let mut found = None;
        for user in &self.settings.users {
            let same_name = Choice::from(u8::from(user.name == name));
            if (same_name & Sha256::digest(user.password.as_bytes()).ct_eq(&given)).into() {
                found = Some(user);
            }
        }
        found
    }
}

async fn discovery(State(idp): State<Arc<DevIdp>>) -> Json<Value> {
    let issuer = &idp.settings.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "scopes_supported": ["openid"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "email", "groups"],
    }))
}

async fn key_set(State(idp): State<Arc<DevIdp>>) -> Json<Value> {
    Json(idp.signer.public_key_set())
}

/// Every answer is private to this exchange, and none may be framed, sniffed or followed with a referrer.
async fn close_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'"));
    response
}

const MAX_BODY_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests;
