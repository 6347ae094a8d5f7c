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

use super::line::pruned;
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
        let pruned = pruned(&verified);
        if verified.entries.is_empty() {
            match pruned {
                None => bail!("the log has no such task (ENTRY_UNKNOWN)"),
                Some(pruned) => bail!("the log has no such task that can be read: {pruned} (ENTRY_UNKNOWN)"),
            }
        }
        if self.json {
            say!("{}", bundle.to_text());
        }
        let state = verified.retention.as_ref().map(|logged| &logged.state);
        let record = TaskRecord::rebuild(task, &verified.entries, state)?;
        if !self.json {
            say!("{record}");
            pruned.iter().for_each(|pruned| say!("{pruned}"));
            match whole {
                Some(_) => say!("the whole log of {} leaves was checked: none is left out that it keeps", verified.checkpoint.size),
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
