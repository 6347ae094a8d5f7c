//! `POST /oauth/token`: parse, call, map (RFC 6749 §3.2, RFC 8693 §2).

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap,
    header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, PRAGMA},
};
use narrows_verifier::{PublicKey, Reason};
use serde_json::json;
use zeroize::Zeroizing;

use super::{details, error::ApiError, form::Form, request_id::TraceId};
use crate::{
    app::App,
    client_auth::{self, Credentials},
    exchange::{AuthenticatedClient, ExchangeError, ExchangeRequest, Exchanged, exchange},
    federation::TokenType,
    jose,
    log::LogError,
    record::spend,
};

/// Exchanges a token, or says why not in OAuth's words.
pub(super) async fn token(State(app): State<Arc<App>>, trace: TraceId, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    let form = Form::parse(&headers, &body)?;
    let client = authenticate(&app, &headers, &form)?;
    if form.required("grant_type")? != TOKEN_EXCHANGE {
        return Err(ApiError::oauth_as("unsupported_grant_type", Reason::GrantType, Reason::GrantType.meaning()));
    }
    let request = read_request(&form)?;
    let exchanged = exchange(&app, client, request, trace.into()).await.map_err(refusal)?;
    app.metrics.count_token();
    Ok(answer(&exchanged))
}

pub(super) fn authenticate<'a>(app: &'a App, headers: &HeaderMap, form: &Form) -> Result<AuthenticatedClient<'a>, ApiError> {
    let mut basic = headers.get_all(AUTHORIZATION).iter();
    let credentials = Credentials {
        basic: basic.next().map(http::HeaderValue::as_bytes),
        assertion: form.optional("client_assertion")?,
        assertion_type: form.optional("client_assertion_type")?,
        client_id: form.optional("client_id")?,
        secret_in_body: form.optional("client_secret")?.is_some() || basic.next().is_some(),
    };
    client_auth::authenticate(app, &credentials).map_err(|reason| ApiError::oauth(reason, reason.meaning()))
}

/// Uses up the assertion with which a client authenticated a request that writes nothing which would (RFC 7523 §3).
pub(super) async fn use_up(app: &App, client: &AuthenticatedClient<'_>) -> Result<(), ApiError> {
    let Some(once) = client.once else { return Ok(()) };
    match app.log.spend(spend(once, Reason::ClientAuth)).await {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(ApiError::oauth(reason, reason.meaning())),
        Err(error) => Err(unavailable(&error)),
    }
}

/// What the log met.
pub(super) fn unavailable(error: &LogError) -> ApiError {
    ApiError::oauth(error.reason(), error.reason().meaning()).retry_after(error.retry_after_s())
}

fn read_request(form: &Form) -> Result<ExchangeRequest, ApiError> {
    for unsupported in ["actor_token", "actor_token_type"] {
        if form.optional(unsupported)?.is_some() {
            return Err(invalid(Reason::ParameterUnsupported, format!("`{unsupported}` is not supported")));
        }
    }
    if form.optional("scope")?.is_some() {
        return Err(ApiError::oauth_as(
            "invalid_scope",
            Reason::ParameterUnsupported,
            "`scope` is not supported, ask with `authorization_details`",
        ));
    }
    if form.optional("requested_token_type")?.is_some_and(|wanted| wanted != ACCESS_TOKEN && wanted != BISCUIT) {
        return Err(invalid(Reason::ParameterUnsupported, "only access tokens are issued"));
    }
    let details = details::parse(form.required("authorization_details")?)
        .map_err(|reason| ApiError::oauth_as("invalid_authorization_details", reason, reason.meaning()))?;
    let holder = jose::parse_holder_key(form.required("req_cnf")?)
        .and_then(|key| PublicKey::from_bytes(&key))
        .map_err(|reason| invalid(reason, reason.meaning()))?;
    Ok(ExchangeRequest {
        subject_token: Zeroizing::new(form.required("subject_token")?.to_owned()),
        subject_token_type: TokenType::from_uri(form.required("subject_token_type")?)
            .ok_or_else(|| invalid(Reason::ParameterUnsupported, "the `subject_token_type` is not supported"))?,
        audiences: read_audiences(form)?,
        tools: details.tools,
        caveats: details.caveats,
        agent: details.agent,
        holder,
        holder_proof: form.optional("holder_proof")?.ok_or_else(|| invalid(Reason::ProofMissing, "`holder_proof` is missing"))?.to_owned(),
        life_seconds: form.optional("expires_in")?.map(read_seconds).transpose()?,
    })
}

fn read_seconds(text: &str) -> Result<u64, ApiError> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| invalid(Reason::ParameterInvalid, "`expires_in` is not a number of seconds"))
}

/// `resource` is an absolute URI without fragment (RFC 8707 §2), `audience` a logical name (RFC 8693 §2.1).
fn read_audiences(form: &Form) -> Result<BTreeSet<String>, ApiError> {
    let bad = |reason: Reason| ApiError::oauth_as("invalid_target", reason, reason.meaning());
    let sound = |name: &str| !name.is_empty() && name.len() <= MAX_AUDIENCE && !name.chars().any(char::is_control);
    for resource in form.all("resource") {
        let parsed = url::Url::parse(resource).map_err(|_| bad(Reason::TargetInvalid))?;
        if parsed.fragment().is_some() {
            return Err(bad(Reason::TargetInvalid));
        }
    }
    let audiences: BTreeSet<String> = form.all("resource").chain(form.all("audience")).map(str::to_owned).collect();
    if audiences.is_empty() || audiences.len() > MAX_AUDIENCES || !audiences.iter().all(|name| sound(name)) {
        return Err(bad(Reason::TargetInvalid));
    }
    Ok(audiences)
}

fn answer(exchanged: &Exchanged) -> Response {
    let granted: serde_json::Value = serde_json::from_str(&details::granted(&exchanged.granted).canonical()).unwrap_or_default();
    let body = json!({
        "access_token": exchanged.token.as_str(),
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "narrows",
        "expires_in": exchanged.expires_in,
        "authorization_details": granted,
        "narrows": {
            "task": exchanged.task.to_string(),
            "entry": exchanged.entry.to_string(),
            "leaf": STANDARD.encode(&exchanged.leaf),
            "receipt": exchanged.receipt,
        },
    });
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(body)).into_response()
}

pub(super) fn refusal(error: ExchangeError) -> ApiError {
    match error {
        ExchangeError::Refused(reason) => invalid(reason, reason.meaning()),
        ExchangeError::Unavailable { reason, retry_after_s } => ApiError::oauth(reason, reason.meaning()).retry_after(retry_after_s),
        ExchangeError::Denied { reason, detail } => {
            let code = match reason {
                Reason::AudienceNotInPolicy | Reason::AudienceEmpty => "invalid_target",
                Reason::ToolNotInPolicy
                | Reason::ArgumentAbovePolicy
                | Reason::DepthAbovePolicy
                | Reason::TooManyChecks
                | Reason::CaveatMalformed
                | Reason::CaveatNamesNoTool => "invalid_authorization_details",
                // a subject that the policy denies is invalid_request (RFC 8693 §2.2.2)
                _ => "invalid_request",
            };
            ApiError::oauth_as(code, reason, detail)
        }
    }
}

fn invalid(reason: Reason, description: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::oauth(reason, description)
}

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const BISCUIT: &str = "urn:narrows:token-type:biscuit";
const MAX_AUDIENCES: usize = 8;
const MAX_AUDIENCE: usize = 1024;
