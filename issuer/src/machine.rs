//! What the service asks of the operating system beyond the standard library.

use std::{io, path::Path};

/// The bytes that an unprivileged process can still write on the file system of `path`.
///
/// # Errors
/// What the system says.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Lets the service's other threads go before this one: what it does can be done later.
pub(crate) fn give_way() {
    // elsewhere than on Linux, the call is about the whole process
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BACKGROUND) {
        tracing::debug!(%error, "a thread runs at the priority of the service, which it was to give way to");
    }
}

/// How much nicer than the service: a tenth of its share while all cores are taken, and nothing less while one is free.
#[cfg(target_os = "linux")]
const BACKGROUND: i32 = 10;
