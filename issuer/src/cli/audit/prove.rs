//! `narrows audit prove`: a fresh receipt for a leaf.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use narrows::LeafPlace;
use narrows_verifier::log::{MAX_LEAF_BYTES, leaf_hash};

use super::source::SourceArgs;
use crate::cli::{
    input::{self, Place},
    output,
};

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
        let place = input::place(&self.id)?;
        let place = match &place {
            Place::Entry(id) => LeafPlace::Entry(id),
            Place::Index(index) => LeafPlace::Index(*index),
        };
        let (hash, receipt) = self.source.open()?.receipt(place)?;
        if let Some(file) = &self.leaf {
            let leaf = input::bytes(file, MAX_LEAF_BYTES)?;
            if leaf_hash(&leaf) != hash {
                bail!("the receipt is of another leaf (INCLUSION_PROOF)");
            }
        }
        if self.json {
            say!("{}", serde_json::json!({ "leaf_hash": hash.to_base64(), "receipt": receipt }));
            return Ok(());
        }
        output::print(format_args!("{receipt}"));
        Ok(())
    }
}
