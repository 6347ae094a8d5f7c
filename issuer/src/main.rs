//! The command line of Narrows.

mod cli;

use std::process::ExitCode;

/// An exchange asks for memory some hundred times, and half of what it gets is given back by the log's thread, which the system's
/// allocator serves slowly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run()
}
