//! `narrows audit compare`: do two signed checkpoints belong to one history?

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use narrows_verifier::{
    Reason,
    log::{Comparison, Hash, Kept, MAX_NOTE_BYTES, SplitView, compare},
};
use serde_json::{Value, json};

use super::source::{SourceArgs, read_key};
use crate::cli::input;

/// The flags of `narrows audit compare`.
#[derive(Args)]
pub(in crate::cli) struct Compare {
    /// A signed checkpoint, as somebody was shown it
    first: PathBuf,
    /// Another one; without it, the newest of the log named below
    second: Option<PathBuf>,
    /// The issuer's data directory, whose log gives the proof that joins them
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    data: Option<PathBuf>,
    /// The issuer's address, which gives that proof
    #[arg(long, value_name = "URL", requires = "vkey")]
    url: Option<String>,
    /// The log's public key, as you pinned it
    #[arg(long, value_name = "VKEY", required_unless_present = "data")]
    vkey: Option<String>,
    /// Print one JSON object, also of a split view
    #[arg(long)]
    json: bool,
}

impl Compare {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let log = self.data.is_some() || self.url.is_some();
        let mut source = log.then(|| SourceArgs::new(self.data.clone(), self.url.clone(), self.vkey.clone()).open()).transpose()?;
        let key = match (&source, &self.vkey) {
            (Some(source), _) => source.key().clone(),
            (None, Some(key)) => read_key(key)?,
            (None, None) => bail!("{}", input::missing("name the log, or give its public key as `--vkey`")),
        };
        let read = |file: &PathBuf| -> anyhow::Result<Kept> {
            let note = input::text(file, MAX_NOTE_BYTES)?;
            Kept::new(&note, std::slice::from_ref(&key)).with_context(|| file.display().to_string())
        };
        let first = read(&self.first)?;
        let second = match (&self.second, &mut source) {
            (Some(file), _) => read(file)?,
            (None, Some(source)) => source.head()?.checkpoint,
            (None, None) => bail!("{}", input::missing("give a second checkpoint, or name the log")),
        };
        let (old, new) = if first.needs_proof(&second) { (&first, &second) } else { (&second, &first) };
        let sizes = (old.checkpoint().size, new.checkpoint().size);
        let path = match &mut source {
            _ if sizes.0 == sizes.1 => Vec::new(),
            Some(source) => source.prefix_path(sizes.0, sizes.1).map_err(|error| unproven(old, new, &error))?,
            None => bail!("{}", input::missing("checkpoints of two sizes take a proof: name the log with --data or --url")),
        };
        // A log that can't prove its own past is as telling as a wrong proof.
        match compare(old.note(), new.note(), &path, std::slice::from_ref(&key)).map_err(|refusal| unproven(old, new, &refusal))? {
            Comparison::Same | Comparison::Consistent => {}
            Comparison::Split(split) => {
                if self.json {
                    say!("{}", convicting_object(&split));
                }
                bail!("{}", convicting(&split))
            }
        }
        if self.json {
            say!("{}", json!({ "result": "consistent", "from": sizes.0, "to": sizes.1 }));
            return Ok(());
        }
        say!("consistent: the tree of {} leaves is the beginning of that of {}", sizes.0, sizes.1);
        Ok(())
    }
}

/// Nothing is shown either way, so both notes are: whoever else holds the log can join them or not.
fn unproven(old: &Kept, new: &Kept, error: &dyn std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("the log gives no proof that joins the two: {error}\n\n{}\n{}", old.note(), new.note())
}

fn convicting_object(split: &SplitView) -> Value {
    let path: Vec<String> = split.path.iter().map(Hash::to_base64).collect();
    json!({ "result": "split_view", "reason": Reason::SplitView.code(), "smaller": split.smaller, "larger": split.larger, "path": path })
}

/// All that anybody with the log's key needs to see that it signed two histories.
fn convicting(split: &SplitView) -> String {
    let path: Vec<String> = split.path.iter().map(Hash::to_base64).collect();
    let path =
        if path.is_empty() { String::new() } else { format!("\nroot of the larger at the smaller size, by:\n{}\n", path.join("\n")) };
    format!(
        "the log's key signed two histories, and these notes prove it to anybody ({})\n\n{}\n{}{path}",
        Reason::SplitView,
        split.smaller,
        split.larger
    )
}
