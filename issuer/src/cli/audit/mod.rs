//! `narrows audit`: checking and reading the log. One file per verb.

mod verify;
mod witness;

use clap::Subcommand;

/// The verbs of `narrows audit`.
#[derive(Subcommand)]
pub(super) enum Audit {
    /// Recompute the whole log and check its checkpoints, receipts and disclosures
    Verify(verify::Verify),
    /// Be a witness for other logs: cosign each checkpoint that follows from the ones before
    Witness(witness::Witness),
}

impl Audit {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Witness(witness) => witness.run(),
        }
    }
}
