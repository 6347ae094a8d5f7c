//! Going on with a service that is away for a moment: a restart and a full queue pass, evidence against the log does not.

use std::time::Duration;

use narrows::AuditError;

/// How long one reader bears with its service.
pub(super) struct Patience {
    /// Failures since the last answer.
    failed: u32,
    /// Nothing was answered yet: the address may be wrong, and then no waiting helps.
    stranger: bool,
    endless: bool,
}

impl Patience {
    pub(super) const fn new() -> Self {
        Self { failed: 0, stranger: true, endless: false }
    }

    /// From now on, waits as long as it takes.
    pub(super) const fn never_end(&mut self) {
        self.endless = true;
    }

    pub(super) const fn answered(&mut self) {
        self.failed = 0;
        self.stranger = false;
    }

    /// Waits, and says so on standard error, or gives the error back.
    pub(super) fn wait(&mut self, error: AuditError) -> Result<(), AuditError> {
        let Some(wait) = self.next_wait(&error) else { return Err(error) };
        eprintln!("narrows: {error}; asking again in {} s", wait.as_secs());
        std::thread::sleep(wait);
        Ok(())
    }

    fn next_wait(&mut self, error: &AuditError) -> Option<Duration> {
        // Who is told to come back later has met the service.
        let met = !self.stranger || error.retry_after().is_some();
        if !error.is_passing() || !met || (self.failed >= MOST_TRIES && !self.endless) {
            return None;
        }
        let own = FIRST_WAIT.saturating_mul(1 << self.failed.min(5));
        self.failed = self.failed.saturating_add(1);
        Some(own.max(error.retry_after().unwrap_or_default()).min(LONGEST_WAIT))
    }
}

const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Also of what the service asks for: nobody is to be kept waiting for a day.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// About five minutes in all, which a restart with its checks does not take.
const MOST_TRIES: u32 = 9;

#[cfg(test)]
mod tests {
    use narrows::{IssuerError, IssuerRefusal, TransportError};
    use narrows_verifier::Reason;

    use super::*;

    fn away() -> AuditError {
        IssuerError::Transport(TransportError::Connect).into()
    }

    fn refused(code: &str, retry_after: Option<u64>) -> AuditError {
        let refusal = IssuerRefusal {
            status: 503,
            error: None,
            code: code.to_owned(),
            message: String::new(),
            trace: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        };
        IssuerError::Refused(refusal).into()
    }

    #[test]
    fn waits_grow_end_and_begin_anew_after_an_answer() {
        let mut patience = Patience::new();
        assert_eq!(patience.next_wait(&away()), None, "the address may be wrong");
        patience.answered();
        let waits: Vec<u64> = std::iter::from_fn(|| patience.next_wait(&away())).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 32, 32, 32]);
        patience.answered();
        assert_eq!(patience.next_wait(&away()), Some(FIRST_WAIT));
        patience.never_end();
        assert!((0..1000).all(|_| patience.next_wait(&away()).is_some_and(|wait| wait <= LONGEST_WAIT)));
    }

    #[test]
    fn the_service_says_how_long_within_reason() {
        let mut patience = Patience::new();
        assert_eq!(patience.next_wait(&refused("AUDITOR_RATE", Some(7))), Some(Duration::from_secs(7)), "it was met by saying so");
        assert_eq!(patience.next_wait(&refused("AUDITOR_RATE", Some(86_400))), Some(LONGEST_WAIT));
        assert_eq!(patience.next_wait(&refused("AUDITOR_RATE", Some(0))), Some(Duration::from_secs(4)));
    }

    #[test]
    fn evidence_against_the_log_ends_it_at_once() {
        let mut patience = Patience::new();
        patience.answered();
        patience.never_end();
        assert_eq!(patience.next_wait(&refused(Reason::AuditRollbackDetected.code(), Some(1))), None);
        assert_eq!(patience.next_wait(&IssuerError::Answer(Reason::PeerAnswer).into()), None);
    }
}
