//! `narrows bench audit`: the log's figures, on the disk that is asked about.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use narrows_issuer::{
    clock::system_clock,
    keys::{KeyRole, SecretKey},
    log::{Evidence, Log, Opening, Settings, check_database},
    service,
};
use narrows_verifier::{
    EntryId,
    log::{TraceId, VerifierKey},
};
use rand_core::{OsRng, RngCore};

use super::appends::{Load, Measured, append, random};
use super::machine::{check_callers, fsync, machine, ms};
use crate::cli::serve::Scratch;

/// The flags of `narrows bench audit`.
#[derive(Args)]
pub(in crate::cli) struct Audit {
    /// Sizes of the log at which everything is measured
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10_000, 100_000])]
    leaves: Vec<u64>,
    /// Callers that append at once
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    callers: Vec<usize>,
    /// What the log is filled with up to each size
    #[arg(long, value_enum, default_value_t = Load::Mint)]
    fill: Load,
    /// Appends per measurement and caller
    #[arg(long, value_name = "N", default_value_t = 200)]
    appends: usize,
    /// The directory whose disk is measured; without it, the temporary one
    #[arg(long, value_name = "DIR")]
    on: Option<PathBuf>,
    /// Keep the log, as the data directory of an issuer, and say where it is
    #[arg(long, requires = "on")]
    keep: bool,
}

impl Audit {
    pub(in crate::cli) fn run(self) -> anyhow::Result<()> {
        check_callers(&self.callers)?;
        let scratch = Scratch::new()?;
        let place = match &self.on {
            Some(directory) => directory.join(format!("narrows-bench-{}", std::process::id())),
            None => scratch.0.join("bench"),
        };
        std::fs::create_dir(&place).with_context(|| place.display().to_string())?;
        let done = crate::cli::block_on(self.measure(&place));
        if self.keep {
            say!("\nthe log is in {}", place.display());
            return done;
        }
        std::fs::remove_dir_all(&place)?;
        done
    }

    async fn measure(&self, place: &Path) -> anyhow::Result<()> {
        let database = place.join("log.db");
        // In files under their usual names, so that a log that is kept is the data directory of an issuer.
        let key = SecretKey::generate(KeyRole::Log, &mut OsRng);
        key.write_new(&place.join("log.key"))?;
        let vkey = VerifierKey::new(ORIGIN, key.public_key().as_bytes())?;
        std::fs::write(place.join("log.vkey"), format!("{vkey}\n"))?;
        let signer = || service::log_signer_in(place);
        let opening = Opening { id: EntryId::new(random()), trace: TraceId::new(random()), t_ms: system_clock()(), dev: true };
        Log::init(&database, &signer()?, opening)?;
        let open = || anyhow::Ok(Arc::new(Log::open(&database, signer()?, system_clock(), Settings::default())?));
        let mut log = open()?;
        let mut size = 1;
        say!("{}", machine());
        for target in &self.leaves {
            let missing = usize::try_from(target.saturating_sub(size))?;
            let filled = fill(&log, self.fill, missing).await?;
            size += missing as u64;
            say!("\n{size} leaves, the last {missing} appended as {} by 512 callers at {filled:.0}/s", self.fill.name());
            say!("| load | callers | receipts/s | p50 ms | p99 ms | fsync p50 ms |\n|---|---|---|---|---|---|");
            for load in [Load::Leaf, Load::Mint] {
                for callers in &self.callers {
                    let fsync = fsync(place)?;
                    let measured = append(&log, load, *callers, callers * self.appends).await?;
                    size += (callers * self.appends) as u64;
                    say!("{}", row(load, *callers, &measured, fsync));
                }
            }
            let proof = proofs(&log, size)?;
            drop(log);
            let bytes = std::fs::metadata(&database)?.len();
            let started = Instant::now();
            log = open()?;
            let start = started.elapsed();
            let started = Instant::now();
            let report = check_database(&database, &vkey, Evidence::default())?;
            let checked = report.size as f64 / started.elapsed().as_secs_f64();
            say!(
                "entry with receipt by index {:.3} ms; database {:.1} MB, {} bytes a leaf; start {:.1} ms; full check {checked:.0} leaves/s",
                ms(proof),
                bytes as f64 / 1e6,
                bytes / size,
                ms(start),
            );
        }
        Ok(())
    }
}

fn row(load: Load, callers: usize, measured: &Measured, fsync: Duration) -> String {
    let [p50, p99] = [50, 99].map(|part| ms(measured.percentile(part)));
    let (name, per_second) = (load.name(), measured.per_second());
    format!("| {name} | {callers} | {per_second:.0} | {p50:.2} | {p99:.2} | {:.2} |", ms(fsync))
}

/// Appends so many, in parts: the duration of each append is kept, which would be all of the memory for a long fill.
async fn fill(log: &Arc<Log>, load: Load, count: usize) -> anyhow::Result<f64> {
    let (mut left, started) = (count, Instant::now());
    while left > 0 {
        let part = left.min(FILL);
        append(log, load, 512, part).await?;
        left -= part;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

/// Median of random entries with their receipts.
fn proofs(log: &Log, size: u64) -> anyhow::Result<Duration> {
    let mut each = Vec::new();
    for _ in 0..1000 {
        let index = OsRng.next_u64() % size;
        let started = Instant::now();
        log.proof(index)?.context("an entry is missing")?;
        each.push(started.elapsed());
    }
    each.sort_unstable();
    Ok(each.get(each.len() / 2).copied().unwrap_or_default())
}

/// Appends at once while a log is filled.
const FILL: usize = 100_000;

const ORIGIN: &str = "bench.example/log";
