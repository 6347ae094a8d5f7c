//! `narrows audit search` and `tail`: leaves on a line each.

use clap::Args;
use narrows_verifier::log::{Bundle, Selection, VerifiedBundle};

use super::line::line;
use super::selecting::Selecting;
use super::source::SourceArgs;

/// The flags of `narrows audit search`.
#[derive(Args)]
pub(in crate::cli) struct Search {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    selecting: Selecting,
    /// The most leaves to show
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Show names, where the credential's role allows it
    #[arg(long)]
    names: bool,
    /// Print the evidence as a bundle
    #[arg(long)]
    json: bool,
}

/// The flags of `narrows audit tail`.
#[derive(Args)]
pub(in crate::cli) struct Tail {
    #[command(flatten)]
    source: SourceArgs,
    /// How many leaves
    #[arg(long, value_name = "N", default_value_t = 20)]
    count: usize,
    /// Show names, where the credential's role allows it
    #[arg(long)]
    names: bool,
    /// Print the evidence as a bundle
    #[arg(long)]
    json: bool,
}

impl Search {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let found = self.source.open()?.collect(&self.selecting.selection()?, self.limit.max(1), (self.names, false))?;
        show(&found, self.json);
        Ok(())
    }
}

impl Tail {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut source = self.source.open()?;
        let size = source.head()?.0.checkpoint().size;
        let first = size.saturating_sub(self.count as u64);
        let selection = Selection { after: first.checked_sub(1), before: Some(size), ..Selection::default() };
        let found = source.collect(&selection, self.count.max(1), (self.names, false))?;
        show(&found, self.json);
        Ok(())
    }
}

fn show((bundle, verified): &(Bundle, VerifiedBundle), json: bool) {
    if json {
        println!("{}", bundle.to_text());
        return;
    }
    for entry in &verified.entries {
        println!("{}", line(entry));
    }
    let size = verified.checkpoint.size;
    let left = if verified.goes_on { "; there may be more" } else { "" };
    println!("{} leaves, each proven to be in the log of {size}{left}", verified.entries.len());
}
