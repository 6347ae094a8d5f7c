//! `POST /oauth/revoke`: authority ends (RFC 7009), by a token or by the handle that the log shows.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CACHE_CONTROL, PRAGMA},
};
use narrows_verifier::{BlockId, Reason, TaskId};
use serde_json::{Value, json};

use super::{
    credentials::{authenticate, use_up},
    error::ApiError,
    form::Form,
    request_id::TraceId,
};
use crate::{
    app::App,
    clients::Client,
    exchange::ExchangeError,
    revocation::{By, Ended, Ending, Reach, Target, of_target, of_token, revoke},
};

/// Ends what the client may end. What is unknown, expired or revoked already is answered alike: it is not good any more.
pub(super) async fn revocation(State(app): State<Arc<App>>, trace: TraceId, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    let form = Form::parse(&headers, &body)?;
    let client = authenticate(&app, &headers, &form)?;
    let asked = read_request(&form)?;
    let by = By::Client(&client.client.id);
    by.take_turn(&app).map_err(refusal)?;
    use_up(&app, &client).await?;
    let ending = match asked {
        Asked::Token(token, reach) => of_token(&app, &client.client, token, reach),
        Asked::Target(target, before_s) => find(&app, &client.client, target, before_s).await,
    };
    let ended = match ending.map_err(refusal)? {
        Some(ending) => Some(revoke(&app, by, ending, trace.into()).await.map_err(refusal)?),
        None => None,
    };
    if ended.is_some() {
        app.metrics.count_revocation();
    }
    Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(answer(ended.as_ref()))).into_response())
}

/// What is to be ended, as the form says it.
enum Asked<'a> {
    Token(&'a str, Reach),
    Target(Target, Option<u64>),
}

fn read_request(form: &Form) -> Result<Asked<'_>, ApiError> {
    // a hint is a hint: there is one kind of token
    form.optional("token_type_hint")?;
    let before_s = form.optional("before")?.map(|text| text.parse().map_err(|_| invalid("`before` is not a second"))).transpose()?;
    let reach = match form.optional("reach")? {
        None | Some("last") => Reach::Last,
        Some("chain") => Reach::Chain,
        Some(_) => return Err(invalid("`reach` is `last` or `chain`")),
    };
    let mut asked = Vec::new();
    for name in ["token", "block", "task", "subject", "agent", "key"] {
        if let Some(text) = form.optional(name)? {
            asked.push(if name == "token" {
                Asked::Token(text, reach)
            } else {
                Asked::Target(read_target(name, text).ok_or_else(|| invalid(format!("`{name}` has a bad value")))?, before_s)
            });
        }
    }
    match (asked.pop(), asked.is_empty()) {
        (Some(asked), true) => Ok(asked),
        (None, _) => Err(ApiError::oauth(Reason::ParameterMissing, "`token` is missing")),
        _ => Err(invalid("one revocation names one thing")),
    }
}

pub(super) fn read_target(name: &str, text: &str) -> Option<Target> {
    // an entry without a name would be in no snapshot's form
    let named = || Some(text.to_owned()).filter(|text| (1..=MAX_NAME).contains(&text.len()));
    match name {
        "block" => BlockId::from_hex(text).map(Target::Block),
        "task" => TaskId::from_hex(text).map(Target::Task),
        "subject" => named().map(Target::Subject),
        "agent" => named().map(Target::Agent),
        "key" => Target::named("holder", text),
        _ => None,
    }
}

/// Whose the target is stands in the log, which is read on a thread that may wait for the disk.
async fn find(app: &Arc<App>, client: &Client, target: Target, before_s: Option<u64>) -> Result<Option<Ending>, ExchangeError> {
    let (app, id) = (Arc::clone(app), client.id.clone());
    let _turn = app.readings.acquire().await.map_err(|_| Reason::Overloaded)?;
    let reader = Arc::clone(&app);
    let found = tokio::task::spawn_blocking(move || {
        let client = reader.clients.find(&id).ok_or(Reason::ClientAuth)?;
        of_target(&reader, &client, target, before_s)
    });
    found.await.map_err(|_| Reason::Overloaded)?.map(Some)
}

/// RFC 7009 leaves the body to nobody, so it holds the evidence.
pub(super) fn answer(ended: Option<&Ended>) -> Value {
    ended.map_or_else(
        || json!({}),
        |ended| json!({ "entry": ended.entry.to_string(), "leaf": STANDARD.encode(&ended.leaf), "receipt": ended.receipt }),
    )
}

fn refusal(error: ExchangeError) -> ApiError {
    match error {
        ExchangeError::Refused(Reason::TokenOtherClient) => {
            ApiError::oauth_as("unauthorized_client", Reason::TokenOtherClient, Reason::TokenOtherClient.meaning())
        }
        error => error.into(),
    }
}

fn invalid(description: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::oauth(Reason::ParameterInvalid, description)
}

/// As long as a name in a token can be.
const MAX_NAME: usize = 1024;
