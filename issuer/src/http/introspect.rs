//! `POST /oauth/introspect`: whether a token stands and what it permits (RFC 7662).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CACHE_CONTROL, PRAGMA},
};
use narrows_verifier::{Holder, Principal, Role, Word, proof::dpop::thumbprint};
use serde_json::{Map, Value, json};

use super::{
    credentials::{authenticate, use_up},
    error::ApiError,
    form::Form,
};
use crate::{
    app::App,
    details,
    introspection::{Active, introspect},
};

/// Answers `{"active":false}`, and nothing more, for whatever the client may not know.
pub(super) async fn introspection(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    let form = Form::parse(&headers, &body)?;
    let client = authenticate(&app, &headers, &form)?;
    let token = form.required("token")?;
    // a hint is a hint: there is one kind of token
    form.optional("token_type_hint")?;
    use_up(&app, &client).await?;
    let active = introspect(&app, &client.client, token)?;
    let answer = active.map_or_else(|| json!({ "active": false }), |active| describe(&app.identifier, &active));
    Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(answer)).into_response())
}

/// RFC 7662 §2.2, RFC 8693 §4.1, RFC 9396 §9.2, RFC 9449 §6.2, and the chain as only this service's tokens have it.
fn describe(issuer: &str, active: &Active) -> Value {
    let (token, authority) = (&active.token, &active.token.authority);
    let acting: Vec<_> = token.chain().into_iter().filter(|principal| principal.role != Role::Subject).collect();
    let granted: Value = serde_json::from_str(&details::granted(&active.permits).canonical()).unwrap_or_default();
    let mut members = Map::new();
    let mut member = |name: &str, value: Value| members.insert(name.to_owned(), value);
    member("active", true.into());
    member("iss", issuer.into());
    member("sub", authority.subject.clone().into());
    member("aud", active.audiences.iter().cloned().collect());
    member("exp", token.expires.into());
    member("iat", authority.issued.into());
    member("nbf", active.not_before.unwrap_or(authority.issued).into());
    member("jti", token.newest().to_string().into());
    member("act", act(&acting));
    if let Some(key) = jkt(token.holder) {
        member("cnf", json!({ "jkt": URL_SAFE_NO_PAD.encode(key) }));
    }
    member("token_type", if token.holder == Holder::Bearer { "Bearer" } else { "DPoP" }.into());
    member("authorization_details", granted);
    if let Some(client) = &active.client {
        member("client_id", client.clone().into());
    }
    if let Some(scope) = &active.scope {
        member("scope", scope.clone().into());
    }
    let blocks: Vec<String> = token.block_ids().iter().map(ToString::to_string).collect();
    let made_from: Vec<String> = authority.lineage.iter().map(ToString::to_string).collect();
    member(
        "narrows",
        json!({ "task": authority.task.to_string(), "blocks": blocks, "made_from": made_from, "chain": chain(&acting), "sealed": token.sealed }),
    );
    Value::Object(members)
}

/// The newest agent, with those before it inside (RFC 8693 §4.1).
fn act(acting: &[Principal<'_>]) -> Value {
    let nested = acting.iter().fold(None, |before: Option<Value>, principal| {
        let mut actor = json!({ "sub": principal.name });
        if let (Some(before), Some(members)) = (before, actor.as_object_mut()) {
            members.insert("act".to_owned(), before);
        }
        Some(actor)
    });
    nested.unwrap_or_default()
}

/// The same from the first on, with whose word each name is.
fn chain(acting: &[Principal<'_>]) -> Value {
    let named = |principal: &Principal<'_>| {
        let role = if principal.role == Role::Actor { "actor" } else { "agent" };
        json!({ role: principal.name, "word_of": if principal.word == Word::Issuer { "issuer" } else { "delegator" } })
    };
    acting.iter().map(named).collect()
}

/// RFC 9449 §6: the thumbprint of the key that a proof must be made with, where there is one.
fn jkt(holder: Holder) -> Option<[u8; 32]> {
    match holder {
        Holder::Key(key) => Some(thumbprint(&key)),
        Holder::Thumbprint(thumbprint) => Some(thumbprint),
        Holder::Bearer => None,
    }
}
