//! A token on its way out (RFC 6749 §5.1, RFC 8693 §2.2.1).

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use narrows_policies::{GrantType, RequestedType};
use serde_json::{Map, Value, json};

use super::parameters::{ACCESS_TOKEN, BISCUIT, JWT};
use crate::{
    details::{self, Details},
    exchange::Issued,
};

/// The answer with its extension member, leaf and receipt.
pub(super) fn answer(issued: &Issued, grant: GrantType, asked: Option<&Details>) -> Response {
    let granted = asked.map_or_else(|| details::granted(&issued.granted), |asked| asked.granted(&issued.granted));
    let granted: Value = serde_json::from_str(&granted.canonical()).unwrap_or_default();
    let mut body = Map::new();
    let mut add = |name: &str, value: Value| body.insert(name.to_owned(), value);
    add("access_token", json!(issued.token.as_str()));
    if grant == GrantType::TokenExchange {
        add("issued_token_type", json!(token_type(issued.form)));
    }
    // to clients of others a holder's own proof is unknown; at our tools it stands beside DPoP
    add("token_type", json!(if issued.bound { "DPoP" } else { "Bearer" }));
    add("expires_in", json!(issued.expires_in));
    // an empty scope is no scope (RFC 6749 §3.3), and strict clients refuse it
    if !issued.scope.is_empty() {
        add("scope", json!(issued.scope));
    }
    add("authorization_details", granted);
    add(
        "narrows",
        json!({
            "task": issued.task.to_string(),
            "entry": issued.entry.to_string(),
            "leaf": STANDARD.encode(&issued.leaf),
            "receipt": issued.receipt,
        }),
    );
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];
    (headers, Json(body)).into_response()
}

fn token_type(form: RequestedType) -> &'static str {
    match form {
        RequestedType::AccessToken => ACCESS_TOKEN,
        RequestedType::Biscuit => BISCUIT,
        RequestedType::Jwt => JWT,
    }
}
