//! What a server's processes have used, by `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// CPU time of a process and its children, all threads together, in the kernel and outside.
pub(super) fn cpu(process: u32) -> anyhow::Result<Duration> {
    let ticks = family(process)?.iter().map(|(_, fields)| fields.ticks).sum::<u64>();
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

/// The same of this process alone.
pub(super) fn own_cpu() -> anyhow::Result<Duration> {
    let own = fields(std::process::id()).context("no `/proc`")?;
    Ok(Duration::from_millis(own.ticks * 1000 / TICKS_PER_SECOND))
}

/// The most memory that a process and its children have had, each by itself.
pub(super) fn peak_bytes(process: u32) -> anyhow::Result<u64> {
    let peak = |(process, _): &(u32, Fields)| {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak in /proc")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
    };
    family(process)?.iter().map(peak).sum()
}

/// What `/proc/PID/stat` says.
struct Fields {
    parent: u32,
    ticks: u64,
}

fn family(process: u32) -> anyhow::Result<Vec<(u32, Fields)>> {
    let own = fields(process).context("no such process in /proc")?;
    let all = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let children = all.filter_map(|other| Some((other, fields(other)?))).filter(|(_, fields)| fields.parent == process);
    Ok(children.chain([(process, own)]).collect())
}

/// `None` for a process that has ended.
fn fields(process: u32) -> Option<Fields> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // behind the name, which may hold anything
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Fields { parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
}

/// `USER_HZ`, which Linux shows to programs as 100 on every architecture that this runs on.
const TICKS_PER_SECOND: u64 = 100;
