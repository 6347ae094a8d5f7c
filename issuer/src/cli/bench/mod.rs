//! `narrows bench`: what this machine makes of the service's parts, and of the whole.

mod appends;
mod audit;
mod exchange;
mod machine;

use clap::Subcommand;

/// The verbs of `narrows bench`.
#[derive(Subcommand)]
pub(super) enum Bench {
    /// Measure the log: durable appends with receipt, proofs, size, start-up and full check
    Audit(audit::Audit),
    /// Measure a service of its own under load: durable exchanges as a stock OAuth client asks for them
    Load(exchange::Load),
}

impl Bench {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Audit(audit) => audit.run(),
            Self::Load(load) => load.run(),
        }
    }
}
