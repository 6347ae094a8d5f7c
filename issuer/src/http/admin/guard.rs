//! What stands before every act: who asks, how often, and whether a role extends to it; and the leaf of what was looked at or refused.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header::AUTHORIZATION};
use narrows_verifier::Reason;

use super::refusal;
use crate::{
    admin::{Act, Operator, done, refused},
    app::App,
    http::{error::ApiError, request_id::TraceId},
};

/// Lets an act happen and its answer leave, in this order: credential, rate, role, the act itself, its leaf. An act that changes
/// something has written its leaf in the same commit; where that one does not say by whom, this one does.
pub(super) async fn admit(
    State((app, act)): State<(Arc<App>, Act)>,
    trace: TraceId,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let operator = authenticate(&app, request.headers())?;
    app.operators
        .take_turn(&operator, (app.clock)())
        .map_err(|seconds| ApiError::plain(Reason::AdminRate, Reason::AdminRate.meaning()).retry_after(Some(seconds)))?;
    let target = request.uri().path().to_owned();
    let response = if operator.may(act) {
        request.extensions_mut().insert(Arc::clone(&operator));
        next.run(request).await
    } else {
        ApiError::plain(Reason::AdminRole, Reason::AdminRole.meaning()).into_response()
    };
    let recorded = match reason(&response) {
        None if !act.is_named_elsewhere() => done(&app, &operator, act, &target, trace.into()).await,
        // Its leaf is durable, and says that it was done; only the witnesses are missing.
        Some(Reason::WitnessQuorum) if !act.only_looks() => Ok(()),
        Some(reason) => refused(&app, &operator, (act, &target), reason, trace.into()).await,
        None => Ok(()),
    };
    recorded.map_err(refusal)?;
    Ok(response)
}

fn authenticate(app: &App, headers: &HeaderMap) -> Result<Arc<Operator>, ApiError> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let operator = match (given.next(), given.next()) {
        (Some(credential), None) => app.operators.authenticate(credential.as_bytes()),
        _ => Err(Reason::AdminAuth),
    };
    operator.map_err(|reason| ApiError::plain(reason, reason.meaning()))
}

/// Why the answer is a refusal, if it is one. The router's own, of a path that it can't read, have no reason.
fn reason(response: &Response) -> Option<Reason> {
    let refused = response.status().is_client_error() || response.status().is_server_error();
    refused.then(|| response.extensions().get::<ApiError>().map_or(Reason::ParameterInvalid, |error| error.reason))
}
