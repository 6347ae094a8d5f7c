//! Rules on one text, for arguments whose meaning a comparison of bytes would miss.
//!
//! A rule answers in three values. `Some(true)` accepts, `Some(false)` rejects, and `None` says that the text is none that
//! the rule can read, which denies even under `not`. That third answer is what makes negation safe: a text that the rule
//! and a tool could read differently must get it, or `not` would turn a misreading into a permission.

mod address;
mod cidr;
mod decimal;
mod glob;
mod length;
mod shell;
mod subpath;
mod time_window;
mod url;

pub use address::is_public;
pub use cidr::Cidr;
pub use decimal::{Decimal, plain};
pub use glob::Glob;
pub use length::Length;
pub use shell::Shell;
pub use subpath::Subpath;
pub use time_window::TimeWindow;
pub use url::Url;

/// The longest text, in bytes, that a rule reads; it bounds the work that a caller can ask for with one argument.
pub const MAX_TEXT: usize = 4096;

#[cfg(test)]
mod tests;
