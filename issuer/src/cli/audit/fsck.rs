//! `narrows audit fsck`: the whole log recomputed, from its file or from what a service hands out.

use std::path::Path;

use anyhow::bail;
use clap::Args;
use narrows::LogReading;
use narrows_issuer::{
    audit::Index,
    log::{Evidence, MadeTile, Pieces, Report, check_database},
};
use narrows_verifier::log::{TILE_WIDTH, TileKind, TilePath, decode_entries, decode_tile};
use serde_json::{Value, json};

use super::report::{leaves, object};
use super::source::{Source, SourceArgs};

/// The flags of `narrows audit fsck`.
#[derive(Args)]
pub(in crate::cli) struct Fsck {
    #[command(flatten)]
    source: SourceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Fsck {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut source = self.source.open()?;
        let pinned = self.source.is_pinned();
        let (report, told, more) = match source.database().map(ToOwned::to_owned) {
            Some(database) => from_file(&mut source, &database)?,
            None => served(&mut source)?,
        };
        if self.json {
            say!("{}", object(&report, pinned, more));
            return Ok(());
        }
        say!("{told}");
        say!("log          {}", report.origin);
        say!("{}", leaves(&report));
        say!("root         {}", report.root.to_base64());
        say!("\nin order: nothing logged has been changed since it was signed");
        if !pinned {
            say!("note: the log key was read from the data directory; pin it with --vkey to notice a log that was replaced whole");
        }
        Ok(())
    }
}

/// A report, its own lines for people, and its own members for machines.
type Found = (Report, String, Vec<(&'static str, Value)>);

fn from_file(source: &mut Source, database: &Path) -> anyhow::Result<Found> {
    let report = check_database(database, source.key(), Evidence::default())?;
    let index = Index::open_existing(&database.with_file_name("index.db"))?.map(|index| index.compare(database)).transpose()?;
    source.head()?;
    let told = format!(
        "checkpoints  {} signed and consistent\ndisclosures  {} open their commitments, {} erased, {} expired, {} withheld\nindex        {}",
        report.checkpoints,
        report.disclosures,
        report.erased,
        report.expired,
        report.withheld,
        index.map_or_else(|| "none".to_owned(), |leaves| format!("{leaves} leaves, as they give it"))
    );
    Ok((report, told, vec![("indexed", json!(index))]))
}

/// Recomputes what a service serves, one bundle at a time: its leaves, and every hash tile of the tree that they make.
fn served(source: &mut Source) -> anyhow::Result<Found> {
    let key = source.key().clone();
    let mut reading = source.read_all()?;
    let mut pieces = Pieces::new(reading.checkpoint.note(), &key, Evidence::default())?;
    let mut tiles = 0;
    let mut compare = |source: &mut Source, reading: &mut LogReading, made: Vec<MadeTile>| {
        tiles += made.len();
        made.iter().try_for_each(|tile| anyhow::Ok(tile.compare(&source.tile(reading, &tile.path)?)?))
    };
    let (size, full) = (pieces.size(), u64::from(TILE_WIDTH));
    // Of what is pruned, the hash tiles are there for ever.
    let pruned = reading.minimum_index / full;
    for index in 0..pruned.min(size / full) {
        let hashes = source.tile(&mut reading, &TilePath::new(TileKind::Hashes(0), index, TILE_WIDTH)?)?;
        for hash in decode_tile(&hashes, TILE_WIDTH)? {
            compare(source, &mut reading, pieces.append_pruned(hash)?)?;
        }
    }
    for index in pruned..size.div_ceil(full) {
        let width = u16::try_from(size - index * full).map_or(TILE_WIDTH, |left| left.min(TILE_WIDTH));
        let bundle = source.tile(&mut reading, &TilePath::new(TileKind::Entries, index, width)?)?;
        for leaf in decode_entries(&bundle, width)? {
            compare(source, &mut reading, pieces.append(leaf)?)?;
        }
    }
    let (report, edge) = pieces.finish()?;
    compare(source, &mut reading, edge)?;
    let logged = report.retention.as_ref().map_or(0, |logged| logged.state.minimum);
    if logged != reading.minimum_index {
        bail!("the service's minimum index is {} and its log says {logged} (LOG_RETENTION_CHANGED)", reading.minimum_index);
    }
    Ok((report, format!("tiles        {tiles}, as the leaves make them"), vec![("tiles", json!(tiles))]))
}
