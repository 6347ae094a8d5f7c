//! `narrows audit index`: the search index against the leaves, or made anew.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use narrows_issuer::{audit, service};

/// The verbs of `narrows audit index`.
#[derive(Subcommand)]
pub(in crate::cli) enum Index {
    /// Compare each row with its leaf
    Compare(Data),
    /// Throw the index away and make it from the leaves; the service must not run
    Rebuild(Data),
}

/// Where the log and its index are.
#[derive(Args)]
pub(in crate::cli) struct Data {
    /// The issuer's data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl Index {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Compare(Data { data }) => {
                let index = audit::Index::open_existing(&service::index_file_in(&data))?
                    .context("there is no search index of this version (LOG_MISSING)")?;
                let reaches = index.compare(&service::log_file_in(&data))?;
                say!("in order: the index is what the first {reaches} leaves give");
            }
            Self::Rebuild(Data { data }) => {
                let index = audit::Index::open(&service::index_file_in(&data))?;
                index.clear()?;
                let reaches = index.catch_up(&service::log_file_in(&data))?;
                say!("made anew from {reaches} leaves");
            }
        }
        Ok(())
    }
}
