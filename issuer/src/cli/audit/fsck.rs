//! `narrows audit fsck`: the whole log recomputed, from its file or from what a service hands out.

use clap::Args;
use narrows_issuer::{
    audit::Index,
    log::{Evidence, check_database, check_pieces},
};
use narrows_verifier::log::Selection;

use super::source::SourceArgs;

/// The flags of `narrows audit fsck`.
#[derive(Args)]
pub(in crate::cli) struct Fsck {
    #[command(flatten)]
    source: SourceArgs,
}

impl Fsck {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut source = self.source.open()?;
        let report = match source.database().map(ToOwned::to_owned) {
            Some(database) => {
                let report = check_database(&database, source.key(), Evidence::default())?;
                println!("checkpoints  {} signed and consistent", report.checkpoints);
                println!(
                    "disclosures  {} open their commitments, {} erased, {} withheld",
                    report.disclosures, report.erased, report.withheld
                );
                match Index::open_existing(&database.with_file_name("index.db"))? {
                    Some(index) => println!("index        {} leaves, as they give it", index.compare(&database)?),
                    None => println!("index        none"),
                }
                source.head()?;
                report
            }
            None => {
                let (bundle, _) = source.collect(&Selection::default(), usize::MAX, (false, true))?;
                let leaves = bundle.entries.iter().map(|entry| entry.leaf.as_bytes());
                check_pieces(leaves, &bundle.checkpoint, source.key(), Evidence::default())?
            }
        };
        println!("log          {}", report.origin);
        println!("leaves       {}, each hashed anew", report.size);
        println!("root         {}", report.root.to_base64());
        println!("\nin order: nothing logged has been changed since it was signed");
        if !self.source.is_pinned() {
            println!("note: the log key was read from the data directory; pin it with --vkey to notice a log that was replaced whole");
        }
        Ok(())
    }
}
