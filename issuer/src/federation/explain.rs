//! Why a token is believed or not, told to whoever operates the service.

use narrows_verifier::Reason;

use super::config::{TokenType, TrustedIssuer};
use super::{Federation, FederationError, VerifiedSubject};
use crate::jose::Fault;

/// How far a token got, step by step.
#[derive(Default)]
pub(super) struct Trace<'a> {
    pub(super) issuer: Option<&'a TrustedIssuer>,
    pub(super) profile: Option<&'static str>,
    pub(super) keys: Option<usize>,
    pub(super) member: Option<&'static str>,
}

/// What became of one token, and at which step. It holds nothing of the token but what the verified subject holds.
pub struct Explanation<'a> {
    /// The trusted issuer that was found to vouch for it.
    pub issuer: Option<&'a TrustedIssuer>,
    /// The rules it was held to.
    pub profile: Option<&'static str>,
    /// How many keys of the issuer were at hand.
    pub keys: Option<usize>,
    /// The member of header, claims or key set at which it was refused.
    pub member: Option<&'static str>,
    /// The answer, the very one that an exchange would get.
    pub outcome: Result<VerifiedSubject, FederationError>,
}

impl Federation {
    /// What [`Federation::verify`] answers, with the way there.
    pub async fn explain(&self, token: &str, declared: TokenType, now_s: u64) -> Explanation<'_> {
        let mut trace = Trace::default();
        let outcome = self.examine(token, declared, now_s, &mut trace).await;
        trace.explain(outcome)
    }

    /// What [`Federation::verify_id_jag`] answers, with the way there.
    pub async fn explain_id_jag(&self, token: &str, client_id: &str, now_s: u64) -> Explanation<'_> {
        let mut trace = Trace::default();
        let outcome = self.examine_id_jag(token, client_id, now_s, &mut trace).await;
        trace.explain(outcome)
    }
}

impl<'a> Trace<'a> {
    /// Keeps the member at which a step failed.
    pub(super) fn note<T>(&mut self, step: Result<T, impl Into<Fault>>) -> Result<T, Reason> {
        step.map_err(|error| {
            let fault = error.into();
            self.member = fault.member;
            fault.reason
        })
    }

    fn explain(self, outcome: Result<VerifiedSubject, FederationError>) -> Explanation<'a> {
        let Self { issuer, profile, keys, member } = self;
        Explanation { issuer, profile, keys, member, outcome }
    }
}
