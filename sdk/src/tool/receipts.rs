//! What a caller presents beside its proof: the token, and receipts of its derivations for tools that demand them.

use std::sync::{Arc, PoisonError, RwLock};

use narrows_verifier::{
    Refusal, VerifiedToken,
    log::{Policy, ReceiptDemand, check_receipts},
};

use super::Refused;
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
#[derive(Default)]
pub(super) struct TrustedLogs {
    /// Locked only to take or set the pointer. What it points to is never changed, so no panic leaves it half-written.
    policy: RwLock<Arc<Policy>>,
}

impl TrustedLogs {
    pub(super) fn replace(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    pub(super) fn check(&self, token: &VerifiedToken, receipts: &str, demand: ReceiptDemand) -> Result<(), Refused> {
        let policy = Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner));
        let verified = check_receipts(token, receipts, demand, |receipt, leaf| policy.verify_receipt(receipt, leaf));
        verified.map_err(|refusal| Refused::Token(Refusal::from(refusal.reason)))
    }
}
