//! On what the figures were taken.

use std::{fs, process::Command};

/// Load averages as the kernel prints them.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// One line: CPU, cores, load before and after, compiler, samples.
pub fn describe(before: &str, samples: usize) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown CPU", |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let rustc = rustc.unwrap_or_else(|_| "rustc unknown".to_owned());
    format!("{cpu}, {cores} cores; load average {before} before, {} after; {rustc}; {samples} samples a cell.", load())
}
