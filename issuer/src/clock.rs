//! The clock as an argument, so that a test can turn it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time in milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's wall clock.
pub fn system_clock() -> Clock {
    Arc::new(|| milliseconds(SystemTime::now()))
}

/// A clock that can't be right reads as the end of time, when everything has expired: at 0, nothing ever would.
fn milliseconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).ok().and_then(|since| u64::try_from(since.as_millis()).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_before_1970_lets_everything_expire() {
        assert_eq!(milliseconds(UNIX_EPOCH - Duration::from_secs(1)), u64::MAX);
        assert_eq!(milliseconds(UNIX_EPOCH + Duration::from_millis(1_500)), 1_500);
    }

    #[test]
    fn system_clock_counts_milliseconds() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let now = system_clock()();
        assert!(now >= before && now - before < 60_000);
    }
}
