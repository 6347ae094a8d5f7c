//! A refusal with the place where it happened.

use core::fmt;

use crate::Reason;

/// Why a token was refused, and at which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// The block, counted from the authority block at 0, where one block is to blame.
    pub block: Option<usize>,
}

impl Refusal {
    /// A refusal that concerns one block.
    pub fn at(reason: Reason, block: usize) -> Self {
        Self { reason, block: Some(block) }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, block: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.reason, self.reason.meaning())?;
        self.block.map_or(Ok(()), |block| write!(formatter, " (block {block})"))
    }
}

impl core::error::Error for Refusal {}
