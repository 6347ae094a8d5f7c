//! `POST /oauth/token`: parse, call, map (RFC 6749 §3.2, RFC 8693 §2).
//!
//! In this order: the form, the client, the grant, DPoP, the parameters, and then whatever the grant itself looks at.

mod answer;
mod parameters;
mod refusal;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use narrows_policies::GrantType;
use narrows_verifier::Reason;

use super::{
    credentials::authenticate,
    error::{ApiError, DPOP_NONCE},
    form::Form,
    request_id::TraceId,
    well_known::grant_type,
};
use crate::{
    app::App,
    client_auth::AuthenticatedClient,
    digest,
    exchange::{self, ProvenKey, check_dpop, client_credentials, jwt_bearer, token_exchange},
};
use answer::answer;
use parameters::{KNOWN, read_assertion, read_exchange, read_wanted};
use refusal::{Asked, refusal};

/// Issues a token, or says why not in OAuth's words. Whoever sends a DPoP proof gets the nonce for the next one.
pub(super) async fn token(State(app): State<Arc<App>>, trace: TraceId, headers: HeaderMap, body: Bytes) -> Result<Response, ApiError> {
    let issued = issue(&app, trace, &headers, &body).await;
    if !headers.contains_key(DPOP) {
        return issued;
    }
    let nonce = app.dpop_nonces.current(app.now_seconds());
    match issued {
        Ok(mut response) => {
            response.headers_mut().extend(HeaderValue::try_from(&nonce).map(|nonce| (DPOP_NONCE, nonce)));
            Ok(response)
        }
        Err(error) => Err(error.with_nonce(nonce)),
    }
}

async fn issue(app: &App, trace: TraceId, headers: &HeaderMap, body: &[u8]) -> Result<Response, ApiError> {
    let form = Form::parse(headers, body)?;
    form.refuse_repeated(&KNOWN)?;
    let client = authenticate(app, headers, &form)?;
    take_rate(app, &client)?;
    let grant = read_grant(&form, &client)?;
    let dpop = read_dpop(app, headers, &client)?;
    let wanted = read_wanted(&form)?;
    let asked = Asked { grant, by_details: wanted.details.is_some() };
    let sender = exchange::Sender { client, dpop };
    let trace = trace.into();
    let issued = match grant {
        GrantType::TokenExchange => token_exchange(app, sender, read_exchange(&form)?, &wanted, trace).await,
        GrantType::ClientCredentials => client_credentials(app, sender, &wanted, trace).await,
        GrantType::JwtBearer => jwt_bearer(app, sender, read_assertion(&form)?, &wanted, trace).await,
    };
    let issued = issued.map_err(|error| refusal(error, asked))?;
    app.metrics.count_token();
    Ok(answer(&issued, grant, wanted.details.as_ref()))
}

/// After authentication: else anybody could use up the rate of somebody else.
fn take_rate(app: &App, client: &AuthenticatedClient) -> Result<(), ApiError> {
    let taken = app.client_rate.take(&digest::of_parts(&["client", &client.client.id]), (app.clock)());
    taken.map_err(|seconds| ApiError::oauth(Reason::ClientRate, Reason::ClientRate.meaning()).retry_after(Some(seconds)))
}

fn read_grant(form: &Form, client: &AuthenticatedClient) -> Result<GrantType, ApiError> {
    let named = form.required("grant_type")?;
    let grant = GrantType::ALL.into_iter().find(|grant| grant_type(*grant) == named);
    let grant = grant.ok_or_else(|| ApiError::oauth(Reason::GrantType, Reason::GrantType.meaning()))?;
    let registered = client.client.grants.contains(&grant);
    if registered { Ok(grant) } else { Err(ApiError::oauth(Reason::ClientGrant, Reason::ClientGrant.meaning())) }
}

fn read_dpop(app: &App, headers: &HeaderMap, client: &AuthenticatedClient) -> Result<Option<ProvenKey>, ApiError> {
    let bad = |reason: Reason| {
        let code = if reason == Reason::DpopNonce { "use_dpop_nonce" } else { "invalid_dpop_proof" };
        ApiError::oauth_as(code, reason, reason.meaning())
    };
    let mut proofs = headers.get_all(DPOP).iter();
    match (proofs.next(), proofs.next()) {
        (None, _) if client.client.dpop_bound => Err(bad(Reason::DpopMissing)),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(bad(Reason::DpopRepeated)),
        (Some(proof), None) => {
            let proof = proof.to_str().map_err(|_| bad(Reason::DpopMalformed))?;
            check_dpop(app, proof, app.now_seconds()).map(Some).map_err(bad)
        }
    }
}

const DPOP: &str = "dpop";
