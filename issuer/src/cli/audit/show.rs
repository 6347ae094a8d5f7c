//! `narrows audit show`: one leaf in full.

use anyhow::Context;
use clap::Args;
use narrows_verifier::{EntryId, log::Selection};

use super::line::full;
use super::source::SourceArgs;

/// The flags of `narrows audit show`.
#[derive(Args)]
pub(in crate::cli) struct Show {
    /// An entry id, or a leaf's index
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

impl Show {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut source = self.source.open()?;
        let (bundle, verified) = match EntryId::from_hex(&self.id) {
            Some(id) => source.entry(&id, self.names)?,
            None => {
                let index: u64 = self.id.parse().context("neither an entry id of 32 hex digits nor an index")?;
                let selection = Selection { after: index.checked_sub(1), before: index.checked_add(1), ..Selection::default() };
                source.collect(&selection, 1, (self.names, false))?
            }
        };
        if self.json {
            println!("{}", bundle.to_text());
            return Ok(());
        }
        let entry = verified.entries.first().context("the log has no such entry (ENTRY_UNKNOWN)")?;
        println!("{}", full(entry));
        println!("\nproven to be in the log of {}", verified.checkpoint.size);
        Ok(())
    }
}
