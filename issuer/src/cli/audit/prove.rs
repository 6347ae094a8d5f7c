//! `narrows audit prove`: a fresh receipt for a leaf.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use narrows::LeafPlace;
use narrows_verifier::{EntryId, log::leaf_hash};

use super::source::SourceArgs;

/// The flags of `narrows audit prove`.
#[derive(Args)]
pub(in crate::cli) struct Prove {
    /// An entry id, or a leaf's index
    id: String,
    #[command(flatten)]
    source: SourceArgs,
    /// The leaf that the receipt must be of
    #[arg(long, value_name = "FILE")]
    leaf: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Prove {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut source = self.source.open()?;
        let id = EntryId::from_hex(&self.id);
        let place = match &id {
            Some(id) => LeafPlace::Entry(id),
            None => LeafPlace::Index(self.id.parse().context("neither an entry id of 32 hex digits nor an index")?),
        };
        let (hash, receipt) = source.receipt(place)?;
        if let Some(file) = &self.leaf {
            let leaf = std::fs::read(file).with_context(|| file.display().to_string())?;
            if leaf_hash(&leaf) != hash {
                bail!("the receipt is of another leaf (INCLUSION_PROOF)");
            }
        }
        if self.json {
            println!("{}", serde_json::json!({ "leaf_hash": hash.to_base64(), "receipt": receipt }));
            return Ok(());
        }
        print!("{receipt}");
        Ok(())
    }
}
