//! What the writer tells the rest of the process about itself.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use narrows_verifier::Reason;

/// Shared by the writer, which sets it, and everybody who asks.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the log stopped. It never starts again in this process: only a restart reads the file afresh.
    halted: OnceLock<Reason>,
    clock_regressions: AtomicU64,
}

impl Health {
    /// The first reason stays: later ones are its consequences.
    pub(super) fn halt(&self, reason: Reason) {
        let _ = self.halted.set(reason);
    }

    pub(super) fn halted(&self) -> Option<Reason> {
        self.halted.get().copied()
    }

    pub(super) fn count_clock_regression(&self) {
        self.clock_regressions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn clock_regressions(&self) -> u64 {
        self.clock_regressions.load(Ordering::Relaxed)
    }
}
