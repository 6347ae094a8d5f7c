//! What people and programs read on standard output.

use std::fmt::Arguments;
use std::io::Write as _;

/// Prints like `println!`, which panics where nobody reads any more, as behind `| head`.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::print(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints a text as it is.
///
/// Where standard output is gone the process ends as one that failed: what it had to say was not heard, and exit code 0 says that all
/// is in order.
pub(super) fn print(text: Arguments<'_>) {
    let mut output = std::io::stdout().lock();
    if let Err(error) = output.write_fmt(text).and_then(|()| output.flush()) {
        eprintln!("narrows: can't write to standard output: {error}");
        std::process::exit(1);
    }
}
