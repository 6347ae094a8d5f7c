//! What a caller presents beside its proof: the token, and receipts of its derivations for tools that demand them.

use std::sync::{Arc, PoisonError, RwLock};

use narrows_verifier::{
    Refusal, VerifiedToken,
    log::{Policy, ReceiptDemand, ReceiptVerifier},
};

use super::{Refused, guard::seed};
use crate::Presentation;

/// A token with the receipts that came with it. A token's text alone makes one without receipts.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The token's text.
    pub token: &'a str,
    /// The receipts as they travel; empty where there are none.
    pub receipts: &'a str,
}

impl<'a> From<&'a str> for Credentials<'a> {
    fn from(token: &'a str) -> Self {
        Self { token, receipts: "" }
    }
}

impl<'a> From<&'a String> for Credentials<'a> {
    fn from(token: &'a String) -> Self {
        token.as_str().into()
    }
}

impl<'a> From<&'a Presentation> for Credentials<'a> {
    fn from(call: &'a Presentation) -> Self {
        Self { token: &call.token, receipts: &call.receipts }
    }
}

/// The logs whose receipts a guard believes, and the witnesses that it demands. Without any log, a tool that demands receipts
/// refuses every call.
pub(super) struct TrustedLogs {
    /// How many texts of receipts are remembered.
    remembered: usize,
    /// Locked only to take or set the pointer. What it points to is never changed, so no panic leaves it half-written.
    verifier: RwLock<Arc<ReceiptVerifier>>,
}

impl TrustedLogs {
    /// Trusts nobody yet.
    pub(super) fn remembering(remembered: usize) -> Self {
        Self { remembered, verifier: RwLock::new(Arc::new(ReceiptVerifier::new(Policy::default(), 0, seed()))) }
    }

    /// Forgets what satisfied the policy before.
    pub(super) fn replace(&self, policy: Policy) {
        let verifier = Arc::new(ReceiptVerifier::new(policy, self.remembered, seed()));
        *self.verifier.write().unwrap_or_else(PoisonError::into_inner) = verifier;
    }

    pub(super) fn policy(&self) -> Policy {
        self.verifier.read().unwrap_or_else(PoisonError::into_inner).policy().clone()
    }

    pub(super) fn check(&self, token: &VerifiedToken, receipts: &str, demand: ReceiptDemand) -> Result<(), Refused> {
        let verifier = Arc::clone(&self.verifier.read().unwrap_or_else(PoisonError::into_inner));
        verifier.check(token, receipts, demand).map_err(|refusal| Refused::Token(Refusal::from(refusal.reason)))
    }
}
