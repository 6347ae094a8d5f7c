//! `narrows audit erase` and `narrows audit pseudonym`: taking a person's disclosures out of a log.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use narrows_issuer::{
    audit::Index,
    clock::system_clock,
    config::Config,
    log::{Erasure, Pseudonym, erase},
    service,
};
use rand_core::{OsRng, RngCore};

/// The flags of `narrows audit erase`.
#[derive(Args)]
pub(in crate::cli) struct Erase {
    /// The issuer's configuration, which names the data directory and the log's key. The service must be stopped
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The person's pseudonym, which `narrows audit pseudonym` tells
    #[arg(long, value_name = "PSEUDONYM")]
    subject: String,
    /// The legal basis, without personal data: it stays readable
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Who erases
    #[arg(long, value_name = "NAME")]
    by: String,
}

/// The flags of `narrows audit pseudonym`.
#[derive(Args)]
pub(in crate::cli) struct NameOf {
    /// The issuer's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The person's identity provider, as trusted issuers are configured
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The person's name there, the `sub` of its logins
    #[arg(long, value_name = "SUB")]
    subject: String,
}

impl Erase {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.config)?;
        let subject = Pseudonym::from_hex(&self.subject).context("`--subject` is not 32 hex digits")?;
        let erasure = Erasure { subject, basis: self.basis, by: self.by, random };
        let signer = service::log_signer(&config)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        runtime.block_on(erase(&service::log_file(&config), signer, system_clock(), service::log_settings(&config), &erasure))?;
        // The search index holds keyed hashes of names, which must not wait for the service's next start.
        if let Some(index) = Index::open_existing(&service::index_file_in(&config.data_dir))? {
            index.forget_withheld(&service::log_file(&config))?;
        }
        println!("erased     everything that was disclosed about {subject}");
        println!("recorded   as a leaf of kind erasure; every receipt stays valid");
        println!("note: copies of subjects.db made before still hold the person's key");
        Ok(())
    }
}

impl NameOf {
    pub(super) fn run(self) -> anyhow::Result<()> {
        println!("{}", narrows_issuer::log::pseudonym(&service::log_file_in(&self.data), &self.issuer, &self.subject)?);
        Ok(())
    }
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes
}
