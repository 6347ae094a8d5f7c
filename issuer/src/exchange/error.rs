//! Why nothing was issued. The rest of the service knows faults, not status codes.

use narrows_verifier::{Reason, Refusal};

use crate::{federation::FederationError, log::LogError};

/// Why nothing was issued.
#[derive(Debug)]
pub enum ExchangeError {
    /// The request is at fault.
    Refused(Reason),
    /// The policy said no; the refusal is in the log.
    Denied {
        /// The stable reason.
        reason: Reason,
        /// What the policy says about it.
        detail: String,
    },
    /// Something that this service needs can't be had now.
    Unavailable {
        /// The stable reason.
        reason: Reason,
        /// Seconds after which asking again can help, where that is known.
        retry_after_s: Option<u32>,
    },
}

impl From<Reason> for ExchangeError {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<Refusal> for ExchangeError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.reason)
    }
}

impl From<FederationError> for ExchangeError {
    fn from(error: FederationError) -> Self {
        match error {
            FederationError::Refused(reason) => Self::Refused(reason),
            FederationError::Unavailable(reason) => Self::Unavailable { reason, retry_after_s: None },
        }
    }
}

impl From<LogError> for ExchangeError {
    fn from(error: LogError) -> Self {
        tracing::error!(reason = %error.reason(), %error, "the log did not take an entry, so nothing was issued");
        Self::Unavailable { reason: error.reason(), retry_after_s: error.retry_after_s() }
    }
}
