//! What stands beside every figure: the machine, its load, and what its disk takes for a synchronisation.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Median of appending 4 KiB and making it durable, which no commit can beat.
pub(super) fn fsync(place: &Path) -> anyhow::Result<Duration> {
    let path = place.join("fsync");
    let mut file: File = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut each = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        each.push(started.elapsed());
    }
    std::fs::remove_file(path)?;
    each.sort_unstable();
    Ok(each.get(each.len() / 2).copied().unwrap_or_default())
}

/// Load and cores: without them no figure means anything.
pub(super) fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).map_or("", |rest| rest.trim_start_matches(['\t', ':', ' ']));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{model}, {cores} cores; load average {}", read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "))
}

pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
