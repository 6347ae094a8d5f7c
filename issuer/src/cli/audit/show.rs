//! `narrows audit show`: one leaf in full.

use anyhow::bail;
use clap::Args;
use narrows_issuer::log::pruned_under;
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
    /// From a file: also a pruned leaf, where its bytes were not deleted; by its entry id
    #[arg(long, conflicts_with = "url")]
    pruned: bool,
    /// Print the evidence as a bundle
    #[arg(long)]
    json: bool,
}

impl Show {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let place = input::place(&self.id)?;
        let mut source = self.source.open()?;
        let (bundle, verified) = match place {
            Place::Entry(id) => source.entry(&id, self.names, self.pruned)?,
            Place::Index(index) => {
                let selection = Selection { after: index.checked_sub(1), before: index.checked_add(1), ..Selection::default() };
                source.collect(&selection, 1, (self.names, false))?
            }
        };
        if self.json {
            say!("{}", bundle.to_text());
            return Ok(());
        }
        let state = verified.retention.as_ref().map(|logged| &logged.state);
        let Some(entry) = verified.entries.first() else {
            let below = state.filter(|state| self.id.parse::<u64>().is_ok_and(|index| index < state.minimum));
            match below {
                None => bail!("{UNKNOWN_ENTRY}"),
                Some(state) => bail!("{} (ENTRY_PRUNED)", pruned_under(state)),
            }
        };
        say!("{}", full(entry, state));
        say!("\nproven to be in the log of {}", verified.checkpoint.size);
        Ok(())
    }
}
