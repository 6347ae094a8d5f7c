//! `narrows audit retain`: what the policy on retention lets go, at once, in the files of a service that is stopped.

use std::path::PathBuf;

use clap::Args;
use narrows_issuer::{
    audit::Index,
    clock::system_clock,
    config::Config,
    log::{Retained, RetentionPolicy, planned, pruned_under, retain},
    service,
};
use rand_core::{OsRng, RngCore};

/// The flags of `narrows audit retain`.
#[derive(Args)]
pub(in crate::cli) struct Retain {
    /// The issuer's configuration, which states the policy under `[log.retention]`
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Say what would go, and change nothing; the service may run
    #[arg(long)]
    dry_run: bool,
}

impl Retain {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.config)?;
        let (database, policy, clock) = (service::log_file(&config), RetentionPolicy::new(&config.log.retention), system_clock());
        say!("policy       {}", policy.text());
        say!("digest       {}", policy.digest());
        if self.dry_run {
            show(&planned(&database, clock(), &policy)?, "would expire");
            say!("nothing was changed");
            return Ok(());
        }
        let (signer, settings) = (service::log_signer(&config)?, service::log_settings(&config));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let done = runtime.block_on(retain(&database, signer, clock, settings, (&policy, random)))?;
        // The search index holds what leaves say and keyed hashes of names, which must not wait for the service's next start.
        if let Some(index) = Index::open_existing(&service::index_file_in(&config.data_dir))? {
            index.catch_up(&database)?;
            index.forget_withheld(&database)?;
        }
        show(&done, "expired");
        say!("keys         {} of people about whom nothing is disclosed any more, destroyed", done.keys);
        Ok(())
    }
}

fn show(retained: &Retained, expired: &str) {
    let Retained { before, after, values, .. } = retained;
    say!("disclosures  {values} values {expired}");
    match after.minimum {
        0 => say!("leaves       all are kept"),
        _ => say!("leaves       {} (before: below {})", pruned_under(after), before.minimum),
    }
    if after.deleted > 0 {
        say!("bytes        of leaves below {} deleted (before: below {}); hashes stay", after.deleted, before.deleted);
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes
}
