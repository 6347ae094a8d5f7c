//! When the anchor moves: before receipts leave, or a little later on a thread of its own.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::anchor::Anchor;
use super::error::LogError;
use super::health::Health;
use crate::store::StoreError;

/// Who advances the anchor.
pub(super) enum Anchoring {
    /// There is none.
    Without,
    /// The writer, after each commit and before its receipts leave.
    Strict(Anchor),
    /// A thread, which then rests: many commits share one write.
    Lagged(Lagged),
}

/// A thread that writes the newest checkpoint that it was handed.
pub(super) struct Lagged {
    newest: Arc<Newest>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Newest {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    note: Option<String>,
    closed: bool,
}

impl Anchoring {
    pub(super) fn start(anchor: Anchor, lag: Duration, health: Arc<Health>) -> Result<Self, LogError> {
        if lag.is_zero() {
            return Ok(Self::Strict(anchor));
        }
        let newest = Arc::new(Newest::default());
        let handed = Arc::clone(&newest);
        let thread = std::thread::Builder::new()
            .name("narrows-anchor".to_owned())
            .spawn(move || run(anchor, &handed, lag, &health))
            .map_err(StoreError::failed)?;
        Ok(Self::Lagged(Lagged { newest, thread: Some(thread) }))
    }

    /// Takes the checkpoint of a commit whose receipts have not left yet.
    ///
    /// # Errors
    /// Where the anchor had to move first and did not.
    pub(super) fn committed(&mut self, note: &str) -> Result<(), LogError> {
        match self {
            Self::Without => Ok(()),
            Self::Strict(anchor) => anchor.advance(note),
            Self::Lagged(lagged) => {
                lagged.newest.set(|state| state.note = Some(note.to_owned()));
                Ok(())
            }
        }
    }
}

impl Newest {
    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

impl Drop for Lagged {
    fn drop(&mut self) {
        // What was handed over is still written, so that a service that was stopped cleanly lies even with its anchor.
        self.newest.set(|state| state.closed = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut anchor: Anchor, newest: &Newest, lag: Duration, health: &Health) {
    loop {
        let mut state = newest.state.lock().unwrap_or_else(PoisonError::into_inner);
        let note = loop {
            match state.note.take() {
                Some(note) => break note,
                None if state.closed => return,
                None => state = newest.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(state);
        if let Err(error) = anchor.advance(&note) {
            // An anchor that stands still would let everything after it be rolled back unseen.
            health.halt(error.reason());
            tracing::error!(reason = error.reason().code(), %error, "the log stopped: its anchor can't be advanced");
            return;
        }
        let state = newest.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _rested = newest.changed.wait_timeout_while(state, lag, |state| !state.closed).unwrap_or_else(PoisonError::into_inner);
    }
}
