//! Refusals of the grants in OAuth's words. What was asked for, and how, decides which word fits.

use narrows_policies::GrantType;
use narrows_verifier::Reason;

use super::super::error::ApiError;
use crate::exchange::ExchangeError;

/// What a refusal answers.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// By which grant.
    pub grant: GrantType,
    /// Whether tools were asked for by `authorization_details`.
    pub by_details: bool,
}

/// The answer to a request that a grant refused.
pub(super) fn refusal(error: ExchangeError, asked: Asked) -> ApiError {
    let named = match &error {
        ExchangeError::Refused(reason) | ExchangeError::Denied { reason, .. } => code(*reason, asked),
        ExchangeError::Unavailable { .. } => None,
    };
    let answer = ApiError::from(error);
    named.map_or_else(|| answer.clone(), |code| ApiError::oauth_as(code, answer.reason, answer.description.clone()))
}

/// The error code where the reason alone does not give it.
fn code(reason: Reason, asked: Asked) -> Option<&'static str> {
    Some(match reason {
        // what nobody asked for by details is the scope's, or that of a token that is narrowed
        Reason::ToolNotInPolicy | Reason::ToolAboveCeiling if !asked.by_details => "invalid_scope",
        _ if asked.grant == GrantType::JwtBearer && is_of_the_assertion(reason) => "invalid_grant",
        // a subject or actor that is bad, or that the policy denies, is `invalid_request` (RFC 8693 §2.2.2)
        _ => return None,
    })
}

/// What is wrong with an identity assertion, or with whom it speaks of (RFC 7521 §4.1.1).
fn is_of_the_assertion(reason: Reason) -> bool {
    let of_the_jwt = reason.code().starts_with("JWT_") && !reason.code().starts_with("JWT_VIEW_");
    of_the_jwt
        || matches!(
            reason,
            Reason::SubjectBound
                | Reason::SubjectIsActor
                | Reason::SubjectReplayed
                | Reason::ActMalformed
                | Reason::ActTooDeep
                | Reason::MayAct
                | Reason::TokenKeyUnproven
                | Reason::PolicyDenied
                | Reason::NoLifeLeft
        )
}
