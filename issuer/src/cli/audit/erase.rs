//! `narrows audit erase` and `narrows audit pseudonym`: taking a person's disclosures out of a log.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use narrows_issuer::{
    audit::Index,
    clock::system_clock,
    config::Config,
    log::{Erasure, Pseudonym, erase},
    service,
};
use rand_core::{OsRng, RngCore};

use super::source::SourceArgs;
use crate::cli::input;

/// The flags of `narrows audit erase`.
#[derive(Args)]
pub(in crate::cli) struct Erase {
    #[command(flatten)]
    place: Place,
    /// The log's public key, as you pinned it, which the service's answer is verified under
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
    /// A file with an administrator's secret
    #[arg(long, value_name = "FILE", requires = "url")]
    credential: Option<PathBuf>,
    /// The person's pseudonym, which `narrows audit pseudonym` tells
    #[arg(long, value_name = "PSEUDONYM")]
    subject: String,
    /// The legal basis, without personal data: it stays readable
    #[arg(long, value_name = "TEXT")]
    basis: String,
    /// Who erases; a service takes the name that goes with the credential
    #[arg(long, value_name = "NAME", required_unless_present = "url", conflicts_with = "url")]
    by: Option<String>,
}

/// Where the log is. Without `--url`, the service must be stopped.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// The issuer's configuration, which names the data directory and the log's key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The issuer's data directory, where key and anchor have their usual names
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The address of a running issuer
    #[arg(long, value_name = "URL", requires = "vkey")]
    url: Option<String>,
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
        let subject = Pseudonym::from_hex(&self.subject).with_context(|| input::invalid("`--subject` is not 32 hex digits"))?;
        match (&self.place.url, self.by) {
            (Some(url), _) => {
                let source = SourceArgs::new(None, Some(url.clone()), self.vkey).with_credential(self.credential);
                source.open()?.erase(&self.subject, &self.basis)?;
            }
            (None, by) => {
                let erasure = Erasure { subject, basis: self.basis, by: by.context("give `--by`")?, random };
                stopped(&self.place, &erasure)?;
            }
        }
        say!("erased     everything that was disclosed about {subject}");
        say!("recorded   as a leaf of kind erasure; every receipt stays valid");
        say!("note: copies of subjects.db made before still hold the person's key");
        Ok(())
    }
}

impl NameOf {
    pub(super) fn run(self) -> anyhow::Result<()> {
        say!("{}", narrows_issuer::log::pseudonym(&service::log_file_in(&self.data), &self.issuer, &self.subject)?);
        Ok(())
    }
}

/// Erases in the files of a service that is stopped.
fn stopped(place: &Place, erasure: &Erasure) -> anyhow::Result<()> {
    let (data, signer, settings) = match (&place.config, &place.data) {
        (Some(file), _) => {
            let config = Config::load(file)?;
            (config.data_dir.clone(), service::log_signer(&config)?, service::log_settings(&config))
        }
        (None, Some(data)) => (data.clone(), service::log_signer_in(data)?, service::log_settings_in(data)),
        (None, None) => bail!("give `--config`, `--data` or `--url`"),
    };
    let database = service::log_file_in(&data);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(erase(&database, signer, system_clock(), settings, erasure))?;
    // The search index holds keyed hashes of names, which must not wait for the service's next start.
    if let Some(index) = Index::open_existing(&service::index_file_in(&data))? {
        index.forget_withheld(&database)?;
    }
    Ok(())
}

fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes
}
