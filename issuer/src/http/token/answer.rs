//! A token on its way out (RFC 6749 §5.1, RFC 8693 §2.2.1).

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use narrows_policies::{GrantType, RequestedType};
use narrows_verifier::json::{Key, Value};

use super::parameters::{ACCESS_TOKEN, BISCUIT, JWT};
use crate::{
    details::{self, Details},
    exchange::Issued,
};

/// The answer with its extension member, leaf and receipt.
pub(super) fn answer(issued: &Issued, grant: GrantType, asked: Option<&Details>) -> Response {
    let text = |text: &str| Value::Text(text.to_owned());
    let granted = asked.map_or_else(|| details::granted(&issued.granted), |asked| asked.granted(&issued.granted));
    let narrows = Value::object([
        ("task", text(&issued.task.to_string())),
        ("entry", text(&issued.entry.to_string())),
        ("leaf", text(&STANDARD.encode(&issued.leaf))),
        ("receipt", text(&issued.receipt)),
    ]);
    let mut body = vec![
        ("access_token", text(&issued.token)),
        // to clients of others a holder's own proof is unknown; at our tools it stands beside DPoP
        ("token_type", text(if issued.bound { "DPoP" } else { "Bearer" })),
        ("expires_in", Value::Integer(i64::try_from(issued.expires_in).unwrap_or(i64::MAX))),
        ("authorization_details", granted),
        ("narrows", narrows),
    ];
    if grant == GrantType::TokenExchange {
        body.push(("issued_token_type", text(token_type(issued.form))));
    }
    // an empty scope is no scope (RFC 6749 §3.3), and strict clients refuse it
    if !issued.scope.is_empty() {
        body.push(("scope", text(&issued.scope)));
    }
    let body = Value::Object(body.into_iter().map(|(name, value)| (Key(name.to_owned()), value)).collect());
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];
    (headers, body.canonical()).into_response()
}

fn token_type(form: RequestedType) -> &'static str {
    match form {
        RequestedType::AccessToken => ACCESS_TOKEN,
        RequestedType::Biscuit => BISCUIT,
        RequestedType::Jwt => JWT,
    }
}
