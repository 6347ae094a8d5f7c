//! Auditors: who may read entries, how they prove it, and how often they may ask.

use std::sync::{Mutex, PoisonError};

use narrows_verifier::Reason;
use narrows_verifier::log::{EntryId, TilePath};

use super::reading::OpenReadings;
use crate::clients::{SecretHashes, owner_of_bearer};
use crate::config::{self, AuditorRole};

/// The registered auditors.
pub struct Auditors(Vec<Auditor>);

/// Somebody who may read the log's entries. No Debug: it holds digests of secrets.
pub struct Auditor {
    name: String,
    role: AuditorRole,
    secrets: SecretHashes,
    allowance: Mutex<Allowance>,
    readings: OpenReadings,
}

/// A bucket of readings that fills with time. Each reading is a leaf, so this also bounds how fast auditors grow the log.
struct Allowance {
    thousandths: u64,
    at_ms: u64,
}

impl Auditors {
    /// Takes the auditors of a configuration that was checked.
    pub fn new(auditors: &[config::Auditor]) -> Self {
        let auditor = |auditor: &config::Auditor| Auditor {
            name: auditor.name.clone(),
            role: auditor.role,
            secrets: SecretHashes::new(&auditor.secret_hashes),
            allowance: Mutex::new(Allowance { thousandths: BURST * 1000, at_ms: 0 }),
            readings: OpenReadings::default(),
        };
        Self(auditors.iter().map(auditor).collect())
    }

    /// Finds the auditor whose credential an `Authorization: Bearer` header carries (RFC 6750 §2.1).
    ///
    /// # Errors
    /// `AUDITOR_AUTH`, whatever was wrong.
    pub fn authenticate(&self, authorization: &[u8]) -> Result<&Auditor, Reason> {
        let place = owner_of_bearer(authorization, self.0.iter().map(|auditor| &auditor.secrets));
        place.and_then(|place| self.0.get(place)).ok_or(Reason::AuditorAuth)
    }
}

impl Auditor {
    /// The name under which readings are recorded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether names may be handed out beside the leaves.
    pub const fn sees_names(&self) -> bool {
        matches!(self.role, AuditorRole::Administrator)
    }

    /// Lets the tiles of a range be read under the one leaf that records it.
    pub fn open_reading(&self, entry: EntryId, range: (u64, u64), now_ms: u64) {
        self.readings.open(entry, range, now_ms);
    }

    /// Whether a bundle of entries is part of a reading that is recorded already.
    pub fn is_reading(&self, entry: &EntryId, tile: &TilePath, now_ms: u64) -> bool {
        self.readings.take(entry, tile, now_ms)
    }

    /// Takes one reading out of the allowance.
    ///
    /// # Errors
    /// `AUDITOR_RATE`.
    pub fn admit(&self, now_ms: u64) -> Result<(), Reason> {
        let mut allowance = self.allowance.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now_ms.saturating_sub(allowance.at_ms).saturating_mul(PER_SECOND);
        allowance.at_ms = allowance.at_ms.max(now_ms);
        allowance.thousandths = allowance.thousandths.saturating_add(gained).min(BURST * 1000);
        allowance.thousandths = allowance.thousandths.checked_sub(1000).ok_or(Reason::AuditorRate)?;
        Ok(())
    }
}

/// Readings that may be asked for at once, and then per second.
const BURST: u64 = 200;
const PER_SECOND: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::secret_hash;

    fn auditors() -> Auditors {
        let auditor = |name: &str, secrets: &[&str], role| config::Auditor {
            name: name.to_owned(),
            secret_hashes: secrets.iter().map(|secret| secret_hash(secret)).collect(),
            role,
        };
        Auditors::new(&[
            auditor("first", &["one", "two"], AuditorRole::Auditor),
            auditor("second", &["three"], AuditorRole::Administrator),
            auditor("nobody", &[], AuditorRole::Administrator),
        ])
    }

    #[test]
    fn a_secret_finds_its_auditor_and_role() {
        let auditors = auditors();
        for (header, name, sees_names) in
            [("Bearer one", "first", false), ("bearer  two", "first", false), ("BEARER three", "second", true)]
        {
            let found = auditors.authenticate(header.as_bytes()).ok().unwrap();
            assert_eq!((found.name(), found.sees_names()), (name, sees_names), "{header}");
        }
    }

    #[test]
    fn every_bad_credential_is_the_same_refusal() {
        let long = format!("Bearer {}", "x".repeat(512));
        for header in ["", "Bearer", "Bearer ", "Bearer four", "Basic one", "one", "Bearer one ", "Bearer\tone", &long] {
            assert_eq!(auditors().authenticate(header.as_bytes()).err(), Some(Reason::AuditorAuth), "{header}");
        }
        assert_eq!(auditors().authenticate(b"Bearer \xff").err(), Some(Reason::AuditorAuth));
        assert!(Auditors::new(&[]).authenticate(b"Bearer one").is_err());
    }

    #[test]
    fn an_allowance_runs_out_and_fills_again() {
        let auditors = auditors();
        let auditor = auditors.authenticate(b"Bearer one").ok().unwrap();
        let now = 1_763_700_000_000;
        assert_eq!((0..BURST + 1).filter(|_| auditor.admit(now).is_ok()).count() as u64, BURST);
        assert_eq!(auditor.admit(now + 49), Err(Reason::AuditorRate));
        assert_eq!(auditor.admit(now + 50), Ok(()));
        assert_eq!(auditor.admit(now + 50), Err(Reason::AuditorRate));
        assert_eq!(auditor.admit(0), Err(Reason::AuditorRate), "a clock that steps back gives nothing");
        assert_eq!((0..2 * BURST).filter(|_| auditor.admit(u64::MAX).is_ok()).count() as u64, BURST);
        assert!(auditors.authenticate(b"Bearer three").ok().unwrap().admit(now).is_ok(), "each has its own");
    }
}
