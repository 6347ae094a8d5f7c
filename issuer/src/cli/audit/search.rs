//! `narrows audit search` and `tail`: leaves on a line each.

use std::time::Duration;

use clap::Args;
use narrows_verifier::log::{Bundle, Kind, MAX_BUNDLE_ENTRIES, Selection, VerifiedBundle};

use super::line::{line, pruned};
use super::selecting::Selecting;
use super::source::{Source, SourceArgs};

/// The flags of `narrows audit search`.
#[derive(Args)]
pub(in crate::cli) struct Search {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    selecting: Selecting,
    /// The most leaves to show
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=MAX_BUNDLE_ENTRIES as i64))]
    limit: u32,
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
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=MAX_BUNDLE_ENTRIES as i64))]
    count: u32,
    /// Go on with what comes, until interrupted. Over HTTP each look at new leaves is recorded as a reading
    #[arg(long)]
    follow: bool,
    /// End once the log has this many leaves
    #[arg(long, value_name = "SIZE", requires = "follow")]
    until: Option<u64>,
    /// Show names, where the credential's role allows it
    #[arg(long)]
    names: bool,
    /// Print the evidence as a bundle
    #[arg(long)]
    json: bool,
}

impl Search {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let found = self.source.open()?.collect(&self.selecting.selection()?, self.limit as usize, (self.names, false))?;
        show(&found, self.json);
        Ok(())
    }
}

impl Tail {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut source = self.source.open()?;
        let size = source.head()?.checkpoint.checkpoint().size;
        let first = size.saturating_sub(u64::from(self.count));
        let selection = Selection { after: first.checked_sub(1), before: Some(size), ..Selection::default() };
        let found = source.collect(&selection, self.count.max(1) as usize, (self.names, false))?;
        if !self.follow {
            show(&found, self.json);
            return Ok(());
        }
        print(&found, self.json);
        source.never_give_up();
        self.go_on(&mut source, size)
    }

    /// Looks again and again, less often the longer nothing comes. An auditor's own readings are leaves too, and do not count
    /// as something: each look would bring about the next. A service that is away is waited for; a log that contradicts what it
    /// showed before ends it.
    fn go_on(&self, source: &mut Source, mut seen: u64) -> anyhow::Result<()> {
        let mut wait = SHORTEST_WAIT;
        while self.until.is_none_or(|until| seen < until) {
            std::thread::sleep(wait);
            wait = LONGEST_WAIT.min(wait * 2);
            let size = source.head()?.checkpoint.checkpoint().size;
            if size <= seen {
                continue;
            }
            let size = size.min(seen + LOOK as u64);
            let selection = Selection { after: seen.checked_sub(1), before: Some(size), ..Selection::default() };
            let found = source.collect(&selection, LOOK, (self.names, false))?;
            print(&found, self.json);
            if found.1.entries.iter().any(|entry| entry.leaf.kind != Kind::AuditRead) {
                wait = SHORTEST_WAIT;
            }
            seen = size;
        }
        Ok(())
    }
}

/// The leaves alone, or one bundle a line.
fn print((bundle, verified): &(Bundle, VerifiedBundle), json: bool) {
    match json {
        true => say!("{}", bundle.to_text()),
        false => verified.entries.iter().for_each(|entry| say!("{}", line(entry))),
    }
}

fn show(found: &(Bundle, VerifiedBundle), json: bool) {
    print(found, json);
    if json {
        return;
    }
    let verified = &found.1;
    if let Some(pruned) = pruned(verified) {
        say!("{pruned}");
    }
    let size = verified.checkpoint.size;
    let left = if verified.goes_on { "; there may be more" } else { "" };
    say!("{} leaves, each proven to be in the log of {size}{left}", verified.entries.len());
}

/// Leaves looked at in one go; what is behind them comes with the next.
const LOOK: usize = 1024;
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
