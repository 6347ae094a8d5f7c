//! `/v1/audit/`: the log for auditors. Heads and proofs are everybody's; entries take a credential.

mod access;
mod erasures;
mod evidence;
mod proofs;
mod reading;

pub(super) use access::{READING, read_tile, recorded};
pub(super) use erasures::erasures;
pub(super) use evidence::{entry, export, search, task};
pub(super) use proofs::{consistency, head, number, optional, proof};
pub(super) use reading::reading;

use http::Uri;
use narrows_verifier::Reason;

use super::error::ApiError;
use crate::log::LogError;

/// The query's parameters; one that is not among `known` may have been meant to narrow the answer.
pub(super) fn parameters(uri: &Uri, known: &[&str]) -> Result<Vec<(String, String)>, ApiError> {
    let query = uri.query().unwrap_or_default().as_bytes();
    let pairs: Vec<(String, String)> =
        form_urlencoded::parse(query).take(MAX_PARAMETERS + 1).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    if pairs.len() > MAX_PARAMETERS {
        return Err(ApiError::plain(Reason::ParameterInvalid, "too many parameters"));
    }
    for (place, (name, _)) in pairs.iter().enumerate() {
        if !known.contains(&name.as_str()) {
            return Err(ApiError::plain(Reason::ParameterInvalid, "an unknown parameter"));
        }
        if pairs.iter().skip(place + 1).any(|(other, _)| other == name) {
            return Err(ApiError::plain(Reason::ParameterRepeated, format!("`{name}` is given more than once")));
        }
    }
    Ok(pairs)
}

/// What went wrong with the log's own file is not the caller's fault.
fn refusal(error: &LogError) -> ApiError {
    let reason = match error.reason() {
        reason @ (Reason::CheckpointUnknown | Reason::EntryPruned) => reason,
        _ => Reason::LogUnreadable,
    };
    ApiError::plain(reason, reason.meaning())
}

const MAX_PARAMETERS: usize = 32;
