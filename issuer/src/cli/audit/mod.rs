//! `narrows audit`: checking and reading the log. One file per verb.

mod verify;

use clap::Subcommand;

/// The verbs of `narrows audit`.
#[derive(Subcommand)]
pub(super) enum Audit {
    /// Recompute the whole log and check its checkpoints, receipts and disclosures
    Verify(verify::Verify),
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run(),
        }
    }
}
