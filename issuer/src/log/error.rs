use core::fmt;

use narrows_verifier::{
    Reason,
    log::{LogRefusal, OutOfRange},
};

use super::verify::Finding;
use crate::store::StoreError;

/// Why the log did not do what was asked. Whoever needed a leaf must then release nothing.
#[derive(Clone, Debug)]
pub struct LogError {
    reason: Reason,
    detail: String,
    retry_after_s: Option<u32>,
}

impl LogError {
    /// The stable code.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What was wrong, without the code.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Seconds after which asking again can help; `None` when it can't.
    pub const fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    pub(crate) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), retry_after_s: None }
    }

    pub(super) fn queue_full() -> Self {
        Self::unavailable("too many entries wait to be written", 1)
    }

    pub(super) fn too_slow() -> Self {
        Self::unavailable("the entry was not durable in time", 5)
    }

    /// The erasure's leaf is durable and the key is still there.
    pub(super) fn shredding_held_up() -> Self {
        Self::unavailable("the erasure is recorded, and a reader holds up what is left to do: ask again", 2)
    }

    pub(super) fn disk_reserve() -> Self {
        let detail = "the disk is nearly full and what is left is kept for revocations";
        Self { reason: Reason::AuditDiskReserve, detail: detail.to_owned(), retry_after_s: Some(60) }
    }

    /// The entry is durable, and the witnesses that must have seen it have not.
    pub(crate) fn not_witnessed() -> Self {
        let detail = Reason::WitnessQuorum.meaning();
        Self { reason: Reason::WitnessQuorum, detail: detail.to_owned(), retry_after_s: Some(5) }
    }

    /// The log has stopped, for `reason`.
    pub(super) fn halted(reason: Reason) -> Self {
        match reason {
            Reason::AuditUnavailable => Self::unavailable("a commit failed and the log takes no entries until it is restarted", RESTART_S),
            reason => Self { reason, detail: reason.meaning().to_owned(), retry_after_s: Some(RESTART_S) },
        }
    }

    fn unavailable(detail: &str, retry_after_s: u32) -> Self {
        Self { reason: Reason::AuditUnavailable, detail: detail.to_owned(), retry_after_s: Some(retry_after_s) }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.detail, self.reason)
    }
}

impl std::error::Error for LogError {}

impl From<StoreError> for LogError {
    fn from(error: StoreError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

impl From<LogRefusal> for LogError {
    fn from(refusal: LogRefusal) -> Self {
        Self::new(refusal.reason, refusal.detail)
    }
}

impl From<Finding> for LogError {
    fn from(finding: Finding) -> Self {
        Self::new(finding.reason, finding.detail)
    }
}

impl From<OutOfRange> for LogError {
    fn from(error: OutOfRange) -> Self {
        StoreError::from(error).into()
    }
}

/// As long as somebody may take to restart the service.
const RESTART_S: u32 = 30;
