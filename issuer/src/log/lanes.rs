//! The writer's queue: two bounded lanes, of which the urgent one goes first.
//!
//! What ends authority must never wait behind what makes it: a flood of reported hops fills the ordinary lane, and a
//! revocation still finds room and stands first in the next commit.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use narrows_verifier::log::Kind;

/// Which lane an entry waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Revocations, pauses, key events, erasures: few, and each takes authority away.
    Urgent,
    Ordinary,
}

impl Lane {
    pub(super) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Revoke | Kind::Pause | Kind::Rollback | Kind::Key | Kind::Erasure | Kind::ApprovalRefuse | Kind::Clock => Self::Urgent,
            _ => Self::Ordinary,
        }
    }
}

/// How many requests may wait in each lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) urgent: usize,
    pub(super) ordinary: usize,
}

/// Two queues with many senders and one taker.
pub(super) struct Lanes<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    capacity: Capacity,
}

struct State<T> {
    urgent: VecDeque<T>,
    ordinary: VecDeque<T>,
    /// The taker sleeps: only then does a sender pay for waking it.
    waiting: bool,
    closed: bool,
}

impl<T> Lanes<T> {
    pub(super) const fn new(capacity: Capacity) -> Self {
        let state = State { urgent: VecDeque::new(), ordinary: VecDeque::new(), waiting: false, closed: false };
        Self { state: Mutex::new(state), arrived: Condvar::new(), capacity }
    }

    /// Adds one to its lane, or gives back false when the lane is full or closed.
    pub(super) fn push(&self, lane: Lane, item: T) -> bool {
        let mut state = self.lock();
        let closed = state.closed;
        let (queue, capacity) = match lane {
            Lane::Urgent => (&mut state.urgent, self.capacity.urgent),
            Lane::Ordinary => (&mut state.ordinary, self.capacity.ordinary),
        };
        if closed || queue.len() >= capacity {
            return false;
        }
        queue.push_back(item);
        let wake = std::mem::take(&mut state.waiting);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        true
    }

    /// Waits for something to do and takes at most `limit`, the urgent first; nothing when its patience is at its end, and `None`
    /// once closed and empty.
    pub(super) fn take(&self, limit: usize, patience: Option<Duration>) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.urgent.is_empty() && state.ordinary.is_empty() {
            if state.closed {
                return None;
            }
            state.waiting = true;
            let Some(patience) = patience else {
                state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (woken, waited) = self.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if waited.timed_out() {
                state.waiting = false;
                break;
            }
        }
        let urgent = state.urgent.len().min(limit);
        let ordinary = state.ordinary.len().min(limit - urgent);
        let mut taken = Vec::with_capacity(urgent + ordinary);
        taken.extend(state.urgent.drain(..urgent));
        taken.extend(state.ordinary.drain(..ordinary));
        Some(taken)
    }

    /// Lets the taker end after what waits now.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code that can panic runs under this lock, so what it guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> Lanes<u8> {
        Lanes::new(Capacity { urgent: 2, ordinary: 3 })
    }

    #[test]
    fn the_urgent_go_first_and_each_lane_keeps_its_order() {
        let lanes = lanes();
        for (lane, item) in [(Lane::Ordinary, 1), (Lane::Urgent, 2), (Lane::Ordinary, 3), (Lane::Urgent, 4)] {
            assert!(lanes.push(lane, item));
        }
        assert_eq!(lanes.take(3, None).unwrap(), [2, 4, 1]);
        assert_eq!(lanes.take(3, None).unwrap(), [3]);
    }

    #[test]
    fn a_full_lane_leaves_room_in_the_other() {
        let lanes = lanes();
        assert!((0..3).all(|item| lanes.push(Lane::Ordinary, item)));
        assert!(!lanes.push(Lane::Ordinary, 3));
        assert!((0..2).all(|item| lanes.push(Lane::Urgent, item)));
        assert!(!lanes.push(Lane::Urgent, 2));
    }

    #[test]
    fn a_closed_queue_gives_what_it_holds_and_ends() {
        let lanes = lanes();
        lanes.push(Lane::Ordinary, 1);
        lanes.close();
        assert!(!lanes.push(Lane::Urgent, 2));
        assert_eq!(lanes.take(9, None).unwrap().len(), 1);
        assert!(lanes.take(9, None).is_none());
    }

    #[test]
    fn patience_ends_with_nothing_and_loses_nothing() {
        let lanes = lanes();
        assert!(lanes.take(9, Some(Duration::from_millis(1))).unwrap().is_empty());
        lanes.push(Lane::Ordinary, 1);
        assert_eq!(lanes.take(9, Some(Duration::ZERO)).unwrap(), [1]);
    }

    #[test]
    fn whatever_takes_authority_away_is_urgent() {
        let urgent = ["revoke", "pause", "rollback", "key", "erasure", "approval.refuse", "clock"];
        for kind in Kind::ALL.iter().chain([&Kind::Other("resumed".to_owned())]) {
            assert_eq!(Lane::of(kind) == Lane::Urgent, urgent.contains(&kind.as_str()), "{kind:?}");
        }
    }
}
