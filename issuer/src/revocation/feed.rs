//! The feed as verifiers get it: snapshots that are signed anew before they are too old, and deltas between them.
//!
//! A snapshot is made when somebody asks and the newest is too old or lacks a revocation. So whoever polls finds one that is
//! at most [`FeedSettings::refresh_ms`] old, whether or not anything changes, and nobody is served what nobody asks for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use narrows_verifier::{
    PublicKey, Reason,
    revocation::{Changes, MaxStaleness, RevocationDelta, RevocationList},
};

use super::{live::Live, signer::FeedSigner};

/// How the feed is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedSettings {
    /// The issuer's identifier.
    pub issuer: String,
    /// How old a snapshot may be at a verifier.
    pub max_staleness: MaxStaleness,
    /// How old the newest snapshot may become here.
    pub refresh_ms: u64,
    /// The number after which this process counts its snapshots. Those of processes before it are below.
    pub sequence_base: u64,
}

/// The newest snapshot and the way to it from earlier ones.
pub(super) struct Feed {
    settings: FeedSettings,
    signer: FeedSigner,
    /// Locked while a snapshot is made: of many who ask at once, one makes it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    newest: Option<Arc<Snapshot>>,
    /// What changed at which number, the oldest first. Most snapshots change nothing and have none.
    steps: VecDeque<(u64, Changes)>,
    /// The number of the first snapshot from which the steps lead on.
    first: u64,
}

/// A signed snapshot.
pub struct Snapshot {
    /// Its number.
    pub sequence: u64,
    /// Its text.
    pub text: String,
    list: RevocationList,
    digest: [u8; 32],
    made_ms: u64,
    changes: u64,
}

/// What somebody gets who holds the snapshot of a number.
pub enum Update {
    /// It is the newest.
    Same,
    /// A delta's text.
    Delta(String),
    /// The newest snapshot: the way from theirs is not known any more, or longer.
    Snapshot(Arc<Snapshot>),
}

impl Feed {
    pub(super) fn new(settings: FeedSettings, signer: FeedSigner) -> Self {
        Self { settings, signer, state: Mutex::new(State::default()) }
    }

    pub(super) const fn key(&self) -> &PublicKey {
        self.signer.public_key()
    }

    /// A snapshot that holds every revocation so far and is young enough.
    pub(super) fn newest(&self, live: &Live, now_ms: u64) -> Result<Arc<Snapshot>, Reason> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.newest_in(&mut state, live, now_ms)
    }

    /// The way from the snapshot of this number to the newest.
    pub(super) fn update(&self, live: &Live, since: u64, now_ms: u64) -> Result<Update, Reason> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = self.newest_in(&mut state, live, now_ms)?;
        if since == newest.sequence {
            return Ok(Update::Same);
        }
        if !(state.first..newest.sequence).contains(&since) {
            return Ok(Update::Snapshot(newest));
        }
        let later = state.steps.iter().filter(|(sequence, _)| *sequence > since);
        let changes = later.fold(Changes::default(), |changes, (_, later)| changes.then(later));
        drop(state);
        let delta = RevocationDelta {
            issuer: newest.list.issuer.clone(),
            since,
            sequence: newest.sequence,
            issued: newest.list.issued,
            max_staleness: newest.list.max_staleness,
            changes,
            result: newest.digest,
        };
        match self.signer.delta(&delta) {
            Ok(text) if text.len() < newest.text.len() => Ok(Update::Delta(text)),
            Ok(_) | Err(Reason::FeedTooLarge) => Ok(Update::Snapshot(newest)),
            Err(reason) => Err(reason),
        }
    }

    fn newest_in(&self, state: &mut State, live: &Live, now_ms: u64) -> Result<Arc<Snapshot>, Reason> {
        if let Some(newest) = &state.newest
            && newest.changes == live.changes()
            && newest.made_ms <= now_ms
            && now_ms - newest.made_ms < self.settings.refresh_ms
        {
            return Ok(Arc::clone(newest));
        }
        let snapshot = Arc::new(self.make(state, live, now_ms)?);
        match state.newest.replace(Arc::clone(&snapshot)) {
            None => state.first = snapshot.sequence,
            Some(last) => {
                let changes = Changes::between(&last.list.revoked, &snapshot.list.revoked);
                if changes != Changes::default() {
                    state.steps.push_back((snapshot.sequence, changes));
                }
            }
        }
        let entries = |(_, changes): &(u64, Changes)| changes.added.len() + changes.removed.len();
        while state.steps.iter().map(entries).sum::<usize>() > MAX_REMEMBERED
            && let Some((sequence, _)) = state.steps.pop_front()
        {
            state.first = sequence;
        }
        Ok(snapshot)
    }

    fn make(&self, state: &State, live: &Live, now_ms: u64) -> Result<Snapshot, Reason> {
        let last = state.newest.as_ref().map_or(self.settings.sequence_base, |newest| newest.sequence);
        let (revoked, changes) = live.at(now_ms / 1000);
        let list = RevocationList {
            issuer: self.settings.issuer.clone(),
            sequence: last.saturating_add(1),
            issued: now_ms / 1000,
            max_staleness: self.settings.max_staleness,
            revoked,
        };
        Ok(Snapshot { sequence: list.sequence, text: self.signer.snapshot(&list)?, digest: list.digest()?, list, made_ms: now_ms, changes })
    }
}

/// Entries that came or went and are remembered for deltas. Beyond, a snapshot is not much longer.
const MAX_REMEMBERED: usize = 16_384;
