//! `narrows audit export`: evidence in one file, for whoever has never seen the log.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use narrows_verifier::log::{MAX_BUNDLE_BYTES, MAX_BUNDLE_ENTRIES};

use super::line::pruned;
use super::selecting::Selecting;
use super::source::SourceArgs;
use crate::cli::input;

/// The flags of `narrows audit export`.
#[derive(Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    selecting: Selecting,
    /// Put names beside the leaves, where the credential's role allows it
    #[arg(long)]
    names: bool,
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Export {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut source = self.source.open()?;
        let (bundle, _) = source.collect(&self.selecting.selection()?, MAX_BUNDLE_ENTRIES, (self.names, true))?;
        let text = bundle.to_text();
        if text.len() > MAX_BUNDLE_BYTES {
            bail!("the evidence is larger than {MAX_BUNDLE_BYTES} bytes: ask for less of the log at once (BUNDLE_MALFORMED)");
        }
        // As it will be checked elsewhere, so that no file is handed on that nobody can use.
        let verified = bundle.verify(std::slice::from_ref(source.key()))?;
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.write(true).create_new(true).open(&self.out).with_context(|| input::unwritable(&self.out))?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        say!("{} leaves under the checkpoint of {}", verified.entries.len(), verified.checkpoint.size);
        if let Some(pruned) = pruned(&verified) {
            say!("{pruned}");
        }
        if let Some(next) = bundle.next {
            say!("the selection goes on: export the rest with --after {next}");
        }
        say!("check it with: narrows audit verify {} --vkey {}", self.out.display(), source.key());
        Ok(())
    }
}
