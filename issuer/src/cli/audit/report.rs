//! What a full check found, for machines.

use narrows_issuer::log::Report;
use serde_json::{Value, json};

/// How many leaves there are and how many could be read, and what is pruned: for people.
pub(super) fn leaves(report: &Report) -> String {
    let read = match report.unread {
        0 => "each hashed anew".to_owned(),
        unread => format!("{} hashed anew; of {unread} only the hashes are there, which lead to the signed root", report.size - unread),
    };
    let pruned = report.pruned().map(|pruned| format!("\npruned       {pruned}")).unwrap_or_default();
    format!("leaves       {}, {read}{pruned}", report.size)
}

/// The report as one object; `pinned` says whether its key came from elsewhere than the log itself.
pub(super) fn object(report: &Report, pinned: bool, more: Vec<(&'static str, Value)>) -> Value {
    let mut object = json!({
        "result": "in_order",
        "origin": report.origin,
        "size": report.size,
        "root": report.root.to_base64(),
        "checkpoints": report.checkpoints,
        "derivations": report.derivations,
        "revocations": report.revocations,
        "clients": report.clients,
        "keys": report.keys,
        "disclosures": {
            "open": report.disclosures, "erased": report.erased, "expired": report.expired, "withheld": report.withheld,
        },
        "minimum_index": report.retention.as_ref().map_or(0, |logged| logged.state.minimum),
        "policy": report.retention.as_ref().map(|logged| logged.state.policy),
        "unread": report.unread,
        "receipts": report.receipts,
        "key_pinned": pinned,
    });
    if let Value::Object(members) = &mut object {
        members.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    object
}
