//! `narrows audit verify`: evidence that was carried here, or the full check of a log; offline, with nothing but its public key.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::Args;
use narrows_issuer::{
    config::Config,
    log::{Evidence, check_database, task_trees},
    service,
};
use narrows_verifier::{
    TaskId,
    log::{Bundle, MAX_BUNDLE_BYTES, MAX_LEAF_BYTES, MAX_NOTE_BYTES, MAX_RECEIPT_BYTES, VerifierKey, verify},
};
use serde_json::json;

use super::line::{line, pruned};
use super::report::{leaves, object};
use super::source::read_key;
use crate::cli::input;

/// The flags of `narrows audit verify`.
#[derive(Args)]
pub(in crate::cli) struct Verify {
    /// Exported evidence, a saved receipt (with --leaf) or a saved answer, to be checked under --vkey on its own
    #[arg(value_name = "FILE", conflicts_with_all = ["data", "config", "answer", "receipt", "checkpoint", "task"], requires = "vkey")]
    evidence: Option<PathBuf>,
    /// The issuer's data directory
    #[arg(long, value_name = "DIR", required_unless_present_any = ["config", "evidence"], conflicts_with = "config")]
    data: Option<PathBuf>,
    /// The issuer's configuration, which names the data directory
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The log's public key, as you pinned it; without it, the one in the data directory, which whoever owns the directory
    /// could have swapped
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
    /// A saved answer of /oauth/token or /v1/derivations, whose receipt must hold
    #[arg(long, value_name = "FILE")]
    answer: Vec<PathBuf>,
    /// A saved receipt, whose leaf follows as --leaf
    #[arg(long, value_name = "FILE", requires = "leaf")]
    receipt: Vec<PathBuf>,
    /// The leaf of the receipt at the same place
    #[arg(long, value_name = "FILE")]
    leaf: Vec<PathBuf>,
    /// A checkpoint kept from earlier, which the log must still contain
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Show the delegation tree of this task only
    #[arg(long, value_name = "ID")]
    task: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if let (Some(file), Some(vkey)) = (&self.evidence, &self.vkey) {
            return self.check_carried(file, &read_key(vkey)?);
        }
        let data = match (&self.data, &self.config) {
            (Some(data), _) => data.clone(),
            (None, Some(file)) => Config::load(file)?.data_dir,
            (None, None) => bail!("give `--data` or `--config`"),
        };
        let key = match &self.vkey {
            Some(text) => read_key(text)?,
            None => service::read_log_key(&data)?,
        };
        let task = self
            .task
            .as_deref()
            .map(|text| TaskId::from_hex(text).with_context(|| input::invalid("`--task` is not 32 hex digits")))
            .transpose()?;
        let receipts = self.receipts()?;
        let checkpoints = self.checkpoint.iter().map(|file| input::text(file, MAX_NOTE_BYTES)).collect::<anyhow::Result<Vec<_>>>()?;
        let database = service::log_file_in(&data);
        let report = check_database(&database, &key, Evidence { receipts: &receipts, checkpoints: &checkpoints })?;
        if self.json {
            say!("{}", object(&report, self.vkey.is_some(), Vec::new()));
            return Ok(());
        }
        say!("log          {}", report.origin);
        say!("{}", leaves(&report));
        say!("root         {}", report.root.to_base64());
        say!("checkpoints  {} signed and consistent", report.checkpoints);
        say!("receipts     {} of {} given verify against this log", report.receipts, receipts.len());
        say!("revocations  {} in the table, as the leaves say", report.revocations);
        if report.paused > 0 {
            say!("paused       {} tasks and agents, as the leaves say", report.paused);
        }
        say!("clients      {} registered, as the leaves say", report.clients);
        say!("keys         {} in the table, as the leaves say", report.keys);
        say!(
            "disclosures  {} open their commitments, {} erased, {} expired, {} withheld",
            report.disclosures,
            report.erased,
            report.expired,
            report.withheld
        );
        let (trees, more) = task_trees(&database, task.as_ref(), MAX_TREES)?;
        if task.is_some() && trees.is_empty() {
            match report.pruned() {
                None => bail!("the log has no such task (ENTRY_UNKNOWN)"),
                Some(pruned) => bail!("the log has no such task that can be read: {pruned} (ENTRY_UNKNOWN)"),
            }
        }
        for tree in &trees {
            say!("\n{tree}");
        }
        if more {
            say!("\n… and more tasks; name one with --task");
        }
        say!("\nin order: nothing logged has been changed since it was signed");
        if self.vkey.is_none() {
            say!("note: the log key was read from the data directory; pin it with --vkey to notice a log that was replaced whole");
        }
        Ok(())
    }

    /// Checks a file on its own: nothing of the issuer is at hand.
    fn check_carried(&self, file: &Path, key: &VerifierKey) -> anyhow::Result<()> {
        let keys = std::slice::from_ref(key);
        let text = input::text(file, MAX_BUNDLE_BYTES)?;
        let receipt = match (self.leaf.as_slice(), text.starts_with("c2sp.org/")) {
            ([leaf], true) => Some((text.clone(), input::bytes(leaf, MAX_LEAF_BYTES)?)),
            (_, true) => bail!("{}", input::missing("a receipt is checked with the one `--leaf` that it is of")),
            ([], false) => answered(&text).ok(),
            (_, false) => bail!("{}", input::invalid("`--leaf` goes with a receipt")),
        };
        if let Some((receipt, leaf)) = receipt {
            let verified = verify(&receipt, &leaf, keys)?;
            if self.json {
                let (index, origin, size) = (verified.index, verified.origin, verified.size);
                say!("{}", json!({ "result": "in_order", "origin": origin, "index": index, "size": size }));
                return Ok(());
            }
            say!("in order: leaf {} is in the log `{}` of {}", verified.index, verified.origin, verified.size);
            return Ok(());
        }
        let verified = Bundle::parse(&text)?.verify(keys)?;
        if self.json {
            let checkpoint = &verified.checkpoint;
            let entries: Vec<u64> = verified.entries.iter().map(|entry| entry.index).collect();
            let packs: Vec<String> = verified.packs.iter().map(ToString::to_string).collect();
            let told = json!({
                "result": "in_order", "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.to_base64(),
                "entries": entries, "packs": packs, "gapless": verified.gapless, "goes_on": verified.goes_on,
                "minimum_index": verified.retention.as_ref().map_or(0, |logged| logged.state.minimum),
                "policy": verified.retention.as_ref().map(|logged| logged.state.policy),
            });
            say!("{told}");
            return Ok(());
        }
        say!("log          {}", verified.checkpoint.origin);
        say!("checkpoint   {} leaves, root {}", verified.checkpoint.size, verified.checkpoint.root.to_base64());
        verified.packs.iter().for_each(|pack| say!("pack         {pack}"));
        if let Some(pruned) = pruned(&verified) {
            say!("pruned       {pruned}");
        }
        verified.entries.iter().for_each(|entry| say!("{}", line(entry)));
        let left = match (verified.gapless, verified.goes_on) {
            (true, false) => "no leaf of the range is left out that the log keeps",
            (true, true) => "no leaf is left out up to the last one; the range goes on",
            (false, true) => "the selection goes on",
            (false, false) => "whether others belong to the selection, a range would show",
        };
        say!("\nin order: {} leaves, each in the log; {left}", verified.entries.len());
        Ok(())
    }

    fn receipts(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        if self.receipt.len() != self.leaf.len() {
            bail!("{}", input::missing("each `--receipt` needs one `--leaf`"));
        }
        let mut receipts = Vec::new();
        for (receipt, leaf) in self.receipt.iter().zip(&self.leaf) {
            receipts.push((input::text(receipt, MAX_RECEIPT_BYTES)?, input::bytes(leaf, MAX_LEAF_BYTES)?));
        }
        for file in &self.answer {
            receipts.push(
                answered(&input::text(file, MAX_ANSWER_BYTES)?)
                    .with_context(|| format!("`{}` is no saved answer (RECEIPT_MALFORMED)", file.display()))?,
            );
        }
        Ok(receipts)
    }
}

/// Receipt and leaf of a saved answer of the token or report endpoint.
fn answered(text: &str) -> anyhow::Result<(String, Vec<u8>)> {
    let answer: serde_json::Value = serde_json::from_str(text)?;
    let answer = answer.get("narrows").unwrap_or(&answer);
    let member = |name: &str| answer.get(name).and_then(serde_json::Value::as_str).with_context(|| format!("there is no `{name}`"));
    let leaf = STANDARD.decode(member("leaf")?).context("the leaf is not base64")?;
    Ok((member("receipt")?.to_owned(), leaf))
}

/// Trees shown when no task is named.
const MAX_TREES: usize = 20;

/// A token, and a leaf and a receipt in JSON.
const MAX_ANSWER_BYTES: usize = 1 << 20;
