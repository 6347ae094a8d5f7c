//! `narrows audit task`: a task from its leaves alone, and what is missing.

use anyhow::{Context, bail};
use clap::Args;
use narrows_issuer::{
    audit::TaskRecord,
    log::{Evidence, check_database},
};
use narrows_verifier::{
    TaskId,
    log::{MAX_BUNDLE_ENTRIES, Selection},
};

use super::source::SourceArgs;
use crate::cli::input;

/// The flags of `narrows audit task`.
#[derive(Args)]
pub(in crate::cli) struct Task {
    /// The task's id
    id: String,
    #[command(flatten)]
    source: SourceArgs,
    /// Show names, where the credential's role allows it
    #[arg(long)]
    names: bool,
    /// Print the evidence as a bundle
    #[arg(long)]
    json: bool,
}

impl Task {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let task = TaskId::from_hex(&self.id).with_context(|| input::invalid("a task id is 32 hex digits"))?;
        let mut source = self.source.open()?;
        // From a file, all of it is at hand: then no leaf can have been left out.
        let whole = source.database().map(ToOwned::to_owned);
        if let Some(database) = &whole {
            check_database(database, source.key(), Evidence::default())?;
        }
        let selection = Selection { task: Some(task), ..Selection::default() };
        let (bundle, verified) = source.collect(&selection, MAX_BUNDLE_ENTRIES, (self.names, false))?;
        if verified.entries.is_empty() {
            bail!("the log has no such task (ENTRY_UNKNOWN)");
        }
        if self.json {
            say!("{}", bundle.to_text());
        }
        let record = TaskRecord::rebuild(task, &verified.entries)?;
        if !self.json {
            say!("{record}");
            match whole {
                Some(_) => say!("the whole log of {} leaves was checked: none is left out", verified.checkpoint.size),
                None => {
                    say!("each leaf is in the log of {}; that none was left out, `fsck` or a whole range shows", verified.checkpoint.size)
                }
            }
        }
        if verified.goes_on {
            bail!("the task has more leaves than are read at once");
        }
        if record.is_complete() { Ok(()) } else { bail!("the evidence of the task is incomplete") }
    }
}
