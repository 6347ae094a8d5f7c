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

/// Work is divided among callers, each with a connection or task of its own.
pub(super) fn check_callers(callers: &[usize]) -> anyhow::Result<()> {
    anyhow::ensure!(callers.iter().all(|count| (1..=MAX_CALLERS).contains(count)), "`--callers` takes numbers from 1 to {MAX_CALLERS}");
    Ok(())
}

pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// As many connections as a service takes by default leave room for what the run itself asks.
const MAX_CALLERS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_and_too_many_are_refused() {
        for (callers, good) in [(&[1, 64, 512][..], true), (&[0], false), (&[64, 0], false), (&[513], false)] {
            assert_eq!(check_callers(callers).is_ok(), good, "{callers:?}");
        }
    }
}
