//! What a full check found, for machines.

use narrows_issuer::log::Report;
use serde_json::{Value, json};

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
        "disclosures": { "open": report.disclosures, "erased": report.erased, "withheld": report.withheld },
        "receipts": report.receipts,
        "key_pinned": pinned,
    });
    if let Value::Object(members) = &mut object {
        members.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    object
}
