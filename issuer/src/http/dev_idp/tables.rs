//! What the development identity provider remembers, each part with a bound on number and age.

use std::collections::VecDeque;

use super::authorize::AuthorizationRequest;

/// Open login pages, unredeemed codes and recent wrong passwords.
pub(super) struct Tables {
    /// Login tickets: each login form can be sent once.
    pub(super) tickets: OneTime<AuthorizationRequest>,
    /// Authorization codes.
    pub(super) codes: OneTime<Grant>,
    failures_ms: VecDeque<u64>,
}

/// A login that succeeded and waits for its code to be redeemed.
pub(super) struct Grant {
    pub(super) request: AuthorizationRequest,
    pub(super) user: String,
    pub(super) logged_in_s: u64,
}

/// Values that can each be taken once, for a limited time. When the table is full the oldest makes room, so that a page
/// which opens logins in a loop can't lock people out for long.
pub(super) struct OneTime<T> {
    lifetime_ms: u64,
    entries: VecDeque<(u64, String, T)>,
}

impl<T> OneTime<T> {
    pub(super) fn new(lifetime_ms: u64) -> Self {
        Self { lifetime_ms, entries: VecDeque::new() }
    }

    pub(super) fn put(&mut self, name: String, value: T, now_ms: u64) {
        self.drop_expired(now_ms);
        while self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back((now_ms, name, value));
    }

    pub(super) fn take(&mut self, name: &str, now_ms: u64) -> Option<T> {
        self.drop_expired(now_ms);
        let index = self.entries.iter().position(|(_, held, _)| held == name)?;
        self.entries.remove(index).map(|(_, _, value)| value)
    }

    fn drop_expired(&mut self, now_ms: u64) {
        self.entries.retain(|(put_ms, ..)| now_ms.abs_diff(*put_ms) < self.lifetime_ms);
    }
}

impl Tables {
    /// Whether so many wrong passwords were given in the last minute that no more are looked at.
    pub(super) fn is_throttled(&mut self, now_ms: u64) -> bool {
        self.failures_ms.retain(|failed_ms| now_ms.abs_diff(*failed_ms) < FAILURE_WINDOW_MS);
        self.failures_ms.len() >= MAX_FAILURES
    }

    pub(super) fn note_failure(&mut self, now_ms: u64) {
        self.failures_ms.push_back(now_ms);
    }
}

impl Default for Tables {
    fn default() -> Self {
        Self { tickets: OneTime::new(TICKET_LIFETIME_MS), codes: OneTime::new(CODE_LIFETIME_MS), failures_ms: VecDeque::new() }
    }
}

const MAX_ENTRIES: usize = 256;
const TICKET_LIFETIME_MS: u64 = 10 * 60 * 1000;
const CODE_LIFETIME_MS: u64 = 60 * 1000;
const FAILURE_WINDOW_MS: u64 = 60 * 1000;
const MAX_FAILURES: usize = 10;
