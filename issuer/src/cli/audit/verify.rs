//! `narrows audit verify`: evidence that was carried here, or the full check of a log; offline, with nothing but its public key.

use std::path::PathBuf;

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
    log::{Bundle, MAX_BUNDLE_BYTES, VerifierKey, verify},
};
use serde_json::json;

use super::line::line;
use super::report::object;
use super::source::read_key;

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
        let task = self.task.as_deref().map(|text| TaskId::from_hex(text).context("`--task` is not 32 hex digits")).transpose()?;
        let receipts = self.receipts()?;
        let checkpoints = self.checkpoint.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
        let database = service::log_file_in(&data);
        let report = check_database(&database, &key, Evidence { receipts: &receipts, checkpoints: &checkpoints })?;
        if self.json {
            println!("{}", object(&report, self.vkey.is_some(), Vec::new()));
            return Ok(());
        }
        println!("log          {}", report.origin);
        println!("leaves       {}, each hashed anew", report.size);
        println!("root         {}", report.root.to_base64());
        println!("checkpoints  {} signed and consistent", report.checkpoints);
        println!("receipts     {} of {} given verify against this log", report.receipts, receipts.len());
        println!("revocations  {} in the table, as the leaves say", report.revocations);
        println!("disclosures  {} open their commitments, {} erased, {} withheld", report.disclosures, report.erased, report.withheld);
        let trees = task_trees(&database, task.as_ref())?;
        if task.is_some() && trees.is_empty() {
            bail!("the log has no such task");
        }
        for tree in trees.iter().take(MAX_TREES) {
            println!("\n{tree}");
        }
        if trees.len() > MAX_TREES {
            println!("\n… and {} more tasks; name one with --task", trees.len() - MAX_TREES);
        }
        println!("\nin order: nothing logged has been changed since it was signed");
        if self.vkey.is_none() {
            println!("note: the log key was read from the data directory; pin it with --vkey to notice a log that was replaced whole");
        }
        Ok(())
    }

    /// Checks a file on its own: nothing of the issuer is at hand.
    fn check_carried(&self, file: &PathBuf, key: &VerifierKey) -> anyhow::Result<()> {
        let keys = std::slice::from_ref(key);
        if std::fs::metadata(file).with_context(|| file.display().to_string())?.len() > MAX_BUNDLE_BYTES as u64 {
            bail!("`{}` is larger than any evidence (BUNDLE_MALFORMED)", file.display());
        }
        let text = read(file)?;
        let receipt = match (self.leaf.as_slice(), text.starts_with("c2sp.org/")) {
            ([leaf], true) => Some((text.clone(), std::fs::read(leaf).with_context(|| leaf.display().to_string())?)),
            (_, true) => bail!("a receipt is checked with the one `--leaf` that it is of"),
            ([], false) => answered(&text).ok(),
            (_, false) => bail!("`--leaf` goes with a receipt"),
        };
        if let Some((receipt, leaf)) = receipt {
            let verified = verify(&receipt, &leaf, keys)?;
            if self.json {
                let (index, origin, size) = (verified.index, verified.origin, verified.size);
                println!("{}", json!({ "result": "in_order", "origin": origin, "index": index, "size": size }));
                return Ok(());
            }
            println!("in order: leaf {} is in the log `{}` of {}", verified.index, verified.origin, verified.size);
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
            });
            println!("{told}");
            return Ok(());
        }
        println!("log          {}", verified.checkpoint.origin);
        println!("checkpoint   {} leaves, root {}", verified.checkpoint.size, verified.checkpoint.root.to_base64());
        verified.packs.iter().for_each(|pack| println!("pack         {pack}"));
        verified.entries.iter().for_each(|entry| println!("{}", line(entry)));
        let left = match (verified.gapless, verified.goes_on) {
            (true, false) => "no leaf of the range is left out",
            (true, true) => "no leaf is left out up to the last one; the range goes on",
            (false, true) => "the selection goes on",
            (false, false) => "whether others belong to the selection, a range would show",
        };
        println!("\nin order: {} leaves, each in the log; {left}", verified.entries.len());
        Ok(())
    }

    fn receipts(&self) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        if self.receipt.len() != self.leaf.len() {
            bail!("each `--receipt` needs one `--leaf`");
        }
        let mut receipts = Vec::new();
        for (receipt, leaf) in self.receipt.iter().zip(&self.leaf) {
            receipts.push((read(receipt)?, std::fs::read(leaf).with_context(|| leaf.display().to_string())?));
        }
        for file in &self.answer {
            receipts.push(answered(&read(file)?).with_context(|| file.display().to_string())?);
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

fn read(file: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// Trees shown when no task is named.
const MAX_TREES: usize = 20;
