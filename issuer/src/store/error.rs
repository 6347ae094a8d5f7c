use narrows_verifier::{Reason, log::OutOfRange};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("there is no log at this path")]
    Missing,
    #[error("the path already holds a database")]
    Exists,
    #[error("another process is writing this log")]
    Busy,
    #[error("the log's schema version {0} is newer than this program")]
    Newer(i64),
    #[error("the database can't promise durable commits: {0}")]
    NotDurable(&'static str),
    #[error("the log's head was moved by another writer")]
    HeadMoved,
    #[error("another file lies at the path of the database or its journal")]
    Swapped,
    #[error("a disclosure does not open under its subject's key")]
    DisclosureBroken,
    #[error("the row of what the log keeps is not what its leaf says")]
    RetentionChanged,
    #[error("the file with the subjects' keys is missing")]
    SubjectsMissing,
    #[error("the store failed: {0}")]
    Failed(String),
}

impl StoreError {
    pub(crate) fn failed(what: impl std::fmt::Display) -> Self {
        Self::Failed(what.to_string())
    }

    pub(crate) const fn reason(&self) -> Reason {
        match self {
            Self::Missing => Reason::LogMissing,
            Self::Exists => Reason::LogExists,
            Self::Busy => Reason::LogBusy,
            Self::Newer(_) => Reason::LogNewer,
            Self::NotDurable(_) => Reason::LogNotDurable,
            Self::HeadMoved => Reason::AuditUnavailable,
            Self::Swapped => Reason::AuditFileSwapped,
            Self::DisclosureBroken => Reason::DisclosureMismatch,
            Self::RetentionChanged => Reason::LogRetentionChanged,
            Self::SubjectsMissing => Reason::LogUnreadable,
            Self::Failed(_) => Reason::LogUnreadable,
        }
    }
}

impl From<OutOfRange> for StoreError {
    fn from(error: OutOfRange) -> Self {
        Self::failed(error)
    }
}
