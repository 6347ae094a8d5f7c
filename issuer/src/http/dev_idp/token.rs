//! The token endpoint: a code and its PKCE verifier for an ID token.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::DevIdp;
use super::parameters::Parameters;
use super::tables::Grant;
use crate::http::form::{FORM, is_declared};

pub(super) async fn redeem_code(State(idp): State<Arc<DevIdp>>, headers: HeaderMap, body: String) -> Response {
    match redeem(&idp, &headers, &body) {
        Ok(answer) => Json(answer).into_response(),
        Err((status, error)) => (status, Json(json!({"error": error}))).into_response(),
    }
}

fn redeem(idp: &DevIdp, headers: &HeaderMap, body: &str) -> Result<Value, (StatusCode, &'static str)> {
    let bad = |error| (StatusCode::BAD_REQUEST, error);
    if !is_declared(headers, FORM) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"));
    }
    let form = Parameters::parse(body).ok_or(bad("invalid_request"))?;
    match form.text("grant_type") {
        Some("authorization_code") => {}
        Some(_) => return Err(bad("unsupported_grant_type")),
        None => return Err(bad("invalid_request")),
    }
    let code = form.text("code").ok_or(bad("invalid_request"))?;
    let verifier = form.text("code_verifier").ok_or(bad("invalid_request"))?;
    let now_ms = idp.now_ms();
    // Taken before it is looked at: a guess at the verifier costs the code.
    let grant = idp.tables().codes.take(code, now_ms).ok_or(bad("invalid_grant"))?;
    let same_client = form.text("client_id") == Some(&grant.request.client_id);
    let same_address = form.text("redirect_uri") == Some(&grant.request.redirect_uri);
    if !same_client || !same_address || !proves(verifier, &grant.request.code_challenge) {
        return Err(bad("invalid_grant"));
    }
    let failed = |_| (StatusCode::INTERNAL_SERVER_ERROR, "server_error");
    let id_token = idp.signer.sign("JWT", &claims(idp, grant, now_ms / 1000)).map_err(failed)?;
    // RFC 6749 section 5.1 demands an access token. There is nothing here that this one opens.
    Ok(json!({
        "access_token": idp.nonce(), "token_type": "Bearer", "expires_in": ID_TOKEN_LIFETIME_S, "scope": "openid",
        "id_token": id_token,
    }))
}

fn proves(verifier: &str, challenge: &str) -> bool {
    let long_enough = (43..=128).contains(&verifier.len());
    let unreserved = verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    long_enough && unreserved && computed.as_bytes().ct_eq(challenge.as_bytes()).into()
}

fn claims(idp: &DevIdp, grant: Grant, now_s: u64) -> Map<String, Value> {
    let mut claims = Map::new();
    if let Some(user) = idp.settings.users.iter().find(|user| user.name == grant.user) {
        claims.insert("groups".to_owned(), json!(user.groups));
        if let Some(email) = &user.email {
            claims.insert("email".to_owned(), json!(email));
        }
    }
    if let Some(nonce) = grant.request.nonce {
        claims.insert("nonce".to_owned(), json!(nonce));
    }
    claims.insert("iss".to_owned(), json!(idp.settings.issuer));
    claims.insert("sub".to_owned(), json!(grant.user));
    claims.insert("aud".to_owned(), json!(grant.request.client_id));
    claims.insert("auth_time".to_owned(), json!(grant.logged_in_s));
    claims.insert("iat".to_owned(), json!(now_s));
    claims.insert("exp".to_owned(), json!(now_s + ID_TOKEN_LIFETIME_S));
    claims
}

const ID_TOKEN_LIFETIME_S: u64 = 600;
