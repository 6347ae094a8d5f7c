use core::fmt;

use crate::Reason;

/// Why a log text, proof or leaf was refused: the stable reason and one plain phrase on what was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRefusal {
    /// The stable code.
    pub reason: Reason,
    /// What was wrong; never holds any part of the input.
    pub detail: &'static str,
}

impl LogRefusal {
    /// A refusal with this reason and phrase.
    pub const fn new(reason: Reason, detail: &'static str) -> Self {
        Self { reason, detail }
    }
}

impl fmt::Display for LogRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.detail, self.reason)
    }
}

impl std::error::Error for LogRefusal {}
