//! Why a token does not pass a snapshot.

use core::fmt;

use crate::{BlockId, Reason, TaskId};

/// Why a token does not pass a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotCurrent {
    /// The stable reason.
    pub reason: Reason,
    /// The entry that revokes the token, when one does.
    pub matched: Option<Matched>,
}

/// The entry of a snapshot that revokes a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matched {
    /// A block of the token.
    Block {
        /// Its id.
        id: BlockId,
        /// Its place, counted from the authority block at 0.
        index: usize,
    },
    /// A block that the token was made from.
    Lineage(BlockId),
    /// The token's task.
    Task(TaskId),
    /// The token's subject; it was issued before this time, in seconds since the Unix epoch.
    Subject(u64),
    /// An agent that a block names.
    Agent {
        /// Its name.
        agent: String,
        /// The token was issued before this time, in seconds since the Unix epoch.
        before: u64,
    },
    /// The key, or its thumbprint, of a holder that a block names.
    Key {
        /// The key's 32 bytes, or the thumbprint.
        key: [u8; 32],
        /// The token was issued before this time, in seconds since the Unix epoch.
        before: u64,
    },
}

impl From<Reason> for NotCurrent {
    fn from(reason: Reason) -> Self {
        Self { reason, matched: None }
    }
}

impl fmt::Display for NotCurrent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.matched {
            None => write!(formatter, "{}: {}", self.reason, self.reason.meaning()),
            Some(Matched::Block { id, index }) => write!(formatter, "{}: block {index}, `{id}`", self.reason),
            Some(Matched::Lineage(id)) => write!(formatter, "{}: made from block `{id}`", self.reason),
            Some(Matched::Task(task)) => write!(formatter, "{}: task `{task}`", self.reason),
            Some(Matched::Subject(before)) => write!(formatter, "{}: the subject's tokens issued before {before}", self.reason),
            Some(Matched::Agent { agent, before }) => {
                write!(formatter, "{}: tokens of the agent `{}` issued before {before}", self.reason, agent.escape_debug())
            }
            Some(Matched::Key { before, .. }) => write!(formatter, "{}: a holder key's tokens issued before {before}", self.reason),
        }
    }
}

impl core::error::Error for NotCurrent {}
