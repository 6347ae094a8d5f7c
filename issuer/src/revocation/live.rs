//! Every revocation that a token could still meet, in memory, kept by the log's writer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use narrows_verifier::{Reason, VerifiedToken, json::Value, revocation::Entries};

use super::{
    hold::Hold,
    target::{Revoked, Target},
};

/// The revocations of the log's table, as of its last commit.
///
/// The writer alone adds to it, after the commit and before anybody is answered: whoever was told that something is revoked
/// finds it here, also when the one who asked has gone away meanwhile.
pub(crate) struct Live {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// What a token is held against.
    entries: Entries,
    /// The same with their ends.
    revoked: BTreeMap<Target, Revoked>,
    /// What is paused.
    paused: BTreeSet<Target>,
    /// The same as a token is held against it.
    held: Entries,
    /// Grows with each change.
    changes: u64,
}

impl Live {
    /// What was stored before.
    pub(crate) fn new(stored: impl IntoIterator<Item = Revoked>, paused: impl IntoIterator<Item = Target>) -> Self {
        let live = Self { state: RwLock::new(State::default()) };
        live.add(stored);
        live.follow(paused.into_iter().map(Hold::Pause));
        live
    }

    /// Follows what was committed, in its order.
    pub(crate) fn follow(&self, holds: impl IntoIterator<Item = Hold>) {
        let mut state = self.write();
        for hold in holds {
            match hold {
                Hold::Pause(target) => state.paused.insert(target),
                Hold::Resume(target, _) => state.paused.remove(&target),
            };
            state.held = state.paused.iter().filter_map(Target::held).collect();
            state.changes += 1;
        }
    }

    /// What is paused.
    pub(crate) fn paused(&self) -> Vec<Target> {
        self.read().paused.iter().cloned().collect()
    }

    /// Adds what was committed.
    pub(crate) fn add(&self, revoked: impl IntoIterator<Item = Revoked>) {
        let mut state = self.write();
        for revoked in revoked {
            state.entries.insert(revoked.entry());
            state.revoked.insert(revoked.target.clone(), revoked);
            state.changes += 1;
        }
    }

    /// Whether one more revocation of this kind fits into the feed, which no verifier would load beyond its size.
    ///
    /// Blocks get three quarters of it and all else the rest, so that a flood of single blocks never keeps a task, a key or a
    /// subject from being cut off.
    ///
    /// # Errors
    /// `REVOCATIONS_FULL`.
    pub(crate) fn room_for(&self, target: &Target, now_s: u64) -> Result<(), Reason> {
        let state = self.read();
        if state.revoked.len() + state.paused.len() < ALWAYS_FIT || state.revoked.contains_key(target) || state.paused.contains(target) {
            return Ok(());
        }
        let is_block = |target: &Target| matches!(target, Target::Block(_));
        let alike = state.revoked.values().filter(|revoked| revoked.until_s >= now_s && is_block(&revoked.target) == is_block(target));
        let paused = state.paused.iter().filter(|_| !is_block(target));
        let used: usize = alike.map(|revoked| &revoked.target).chain(paused).map(text_bytes).sum();
        let most = if is_block(target) { MOST_OF_BLOCKS } else { MOST_OF_OTHERS };
        if used + text_bytes(target) <= most { Ok(()) } else { Err(Reason::RevocationsFull) }
    }

    /// `REVOKED` when the token, or one that it was made from, is; `PAUSED` while its task or an agent of it is held.
    pub(crate) fn refuses(&self, token: &VerifiedToken) -> Option<Reason> {
        let state = self.read();
        let revoked = state.entries.matched(token).map(|_| Reason::Revoked);
        revoked.or_else(|| state.held.matched(token).map(|_| Reason::Paused))
    }

    /// Grows whenever something is revoked, paused or resumed.
    pub(crate) fn changes(&self) -> u64 {
        self.read().changes
    }

    /// What a token that lives at this time can meet, and the number of changes that it holds.
    ///
    /// An entry that is over stays in memory for a while: a clock that was ahead and is put right must bring it back.
    pub(crate) fn at(&self, now_s: u64) -> (Entries, u64) {
        self.forget(now_s);
        let state = self.read();
        let revoked = state.revoked.values().filter(|revoked| revoked.until_s >= now_s).map(Revoked::entry);
        let entries = revoked.chain(state.held.iter()).collect();
        (entries, state.changes)
    }

    fn forget(&self, now_s: u64) {
        let long_over = |revoked: &Revoked| revoked.until_s.saturating_add(FORGET_AFTER_S) < now_s;
        if !self.read().revoked.values().any(long_over) {
            return;
        }
        let mut state = self.write();
        let State { entries, revoked, .. } = &mut *state;
        revoked.retain(|_, revoked| !(long_over(revoked) && entries.remove(&revoked.entry())));
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        // No code that can panic runs under this lock, so what it guards is whole.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an entry takes in a snapshot's text: its JSON, in base64url.
fn text_bytes(target: &Target) -> usize {
    let json = match target {
        Target::Block(_) => 67,
        Target::Task(_) => 35,
        Target::Key(_) => 100,
        Target::Subject(name) | Target::Agent(name) => 40 + Value::Text(name.clone()).canonical().len(),
    };
    (json * 4).div_ceil(3)
}

/// So few fit whatever they are: a name has at most 1,024 bytes, each of which takes up to six in JSON.
const ALWAYS_FIT: usize = 400;

/// Of the 4 MiB that a verifier reads. What is left over is for the other members, and for revocations at the same moment.
const MOST_OF_BLOCKS: usize = 3008 << 10;
const MOST_OF_OTHERS: usize = 960 << 10;

/// A week: longer than a clock that is wrong goes unnoticed.
pub(crate) const FORGET_AFTER_S: u64 = 7 * 86_400;
