//! The command line of Narrows.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
