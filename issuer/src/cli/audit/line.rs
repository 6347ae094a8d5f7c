//! A leaf for people: on one line, and in full.

use narrows_issuer::log::{Shown, pruned_under, utc};
use narrows_verifier::log::{Retention, VerifiedBundle, VerifiedEntry};

/// Index, time, kind, verdict, task, entry and whoever is disclosed.
pub(super) fn line(entry: &VerifiedEntry) -> String {
    let leaf = &entry.leaf;
    let mut text = format!("{:>8}  {}  {:<16} {}", entry.index, utc(leaf.t_ms), leaf.kind.as_str(), name(&leaf.verdict));
    for reason in &leaf.reasons {
        text.push(' ');
        text.push_str(reason);
    }
    if let Some(task) = leaf.task {
        text.push_str(&format!("  task {task}"));
    }
    text.push_str(&format!("  entry {}", leaf.id));
    let chain: Vec<String> = entry
        .disclosures
        .iter()
        .filter(|it| it.name.starts_with("chain/"))
        .map(|it| Shown::Disclosed(it.value.clone()).to_string())
        .collect();
    if !chain.is_empty() {
        text.push_str(&format!("  {}", chain.join(" → ")));
    }
    text
}

/// Everything of a leaf that is not empty, one member a line.
pub(super) fn full(entry: &VerifiedEntry, retention: Option<&Retention>) -> String {
    let leaf = &entry.leaf;
    let mut lines = vec![
        format!("entry    {}", leaf.id),
        format!("index    {}", entry.index),
        format!("kind     {}", leaf.kind.as_str()),
        format!("time     {}", utc(leaf.t_ms)),
        format!("verdict  {}", name(&leaf.verdict)),
        format!("trace    {}", leaf.trace),
    ];
    lines.extend(leaf.reasons.iter().map(|reason| format!("reason   {reason}")));
    lines.extend(leaf.task.map(|task| format!("task     {task}")));
    lines.extend(leaf.pack.map(|pack| format!("pack     {pack}")));
    lines.extend(leaf.blocks.iter().map(|block| format!("block    {block}")));
    lines.extend(leaf.parents.iter().map(|block| format!("parent   {block}")));
    let chain = leaf.chain.iter().enumerate().map(|(place, _)| format!("chain/{place}"));
    for field in chain.chain(leaf.fields.keys().cloned()) {
        let disclosed = entry.disclosures.iter().find(|it| it.name == field);
        let unopened = || Shown::unopened(&leaf.kind, entry.index, retention);
        let shown = disclosed.map_or_else(unopened, |it| Shown::Disclosed(it.value.clone()));
        lines.push(format!("{field:<8} {shown}"));
    }
    if let Some(kept) = &leaf.retention {
        lines.push(format!("minimum  {}", kept.minimum));
        lines.push(format!("deleted  below {}", kept.deleted));
        lines.extend(kept.expired.iter().map(|(kind, bound)| format!("expired  {kind} below {bound}")));
        lines.push(format!("policy   {}, announced at {}", kept.policy, utc(kept.announced_ms)));
    }
    lines.join("\n")
}

/// The sentence for evidence out of a log that no longer hands out all of its leaves.
pub(super) fn pruned(verified: &VerifiedBundle) -> Option<String> {
    verified.retention.as_ref().filter(|logged| logged.state.minimum > 0).map(|logged| pruned_under(&logged.state))
}

fn name(verdict: &narrows_verifier::log::Verdict) -> String {
    serde_json::to_value(verdict).ok().and_then(|name| name.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}
