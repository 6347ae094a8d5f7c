//! A leaf for people: on one line, and in full.

use narrows_issuer::log::{Shown, utc};
use narrows_verifier::log::VerifiedEntry;

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
pub(super) fn full(entry: &VerifiedEntry) -> String {
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
        let shown = disclosed.map_or(Shown::Withheld, |it| Shown::Disclosed(it.value.clone()));
        lines.push(format!("{field:<8} {shown}"));
    }
    lines.join("\n")
}

fn name(verdict: &narrows_verifier::log::Verdict) -> String {
    serde_json::to_value(verdict).ok().and_then(|name| name.as_str().map(ToOwned::to_owned)).unwrap_or_default()
}
