//! `narrows audit show`: one leaf in full.

use anyhow::Context;
use clap::Args;
use narrows_verifier::log::Selection;

use super::line::full;
use super::source::SourceArgs;
use crate::cli::input::{self, Place, UNKNOWN_ENTRY};

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
        let place = input::place(&self.id)?;
        let mut source = self.source.open()?;
        let (bundle, verified) = match place {
            Place::Entry(id) => source.entry(&id, self.names)?,
            Place::Index(index) => {
                let selection = Selection { after: index.checked_sub(1), before: index.checked_add(1), ..Selection::default() };
                source.collect(&selection, 1, (self.names, false))?
            }
        };
        if self.json {
            say!("{}", bundle.to_text());
            return Ok(());
        }
        let entry = verified.entries.first().context(UNKNOWN_ENTRY)?;
        say!("{}", full(entry));
        say!("\nproven to be in the log of {}", verified.checkpoint.size);
        Ok(())
    }
}
