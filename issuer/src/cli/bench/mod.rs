//! `narrows bench`: what this machine makes of the service's parts.

mod audit;
mod load;

use clap::Subcommand;

/// The verbs of `narrows bench`.
#[derive(Subcommand)]
pub(super) enum Bench {
    /// Measure the log: durable appends with receipt, proofs, size, start-up and full check
    Audit(audit::Audit),
}

impl Bench {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self::Audit(audit) = self;
        audit.run()
    }
}
