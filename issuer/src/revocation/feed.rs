//! The feed as verifiers get it: snapshots that are signed anew before they are too old, and deltas between them.
//!
//! A snapshot is made when somebody asks and the newest is too old or lacks a revocation. So whoever polls finds one that is
//! at most [`FeedSettings::refresh_ms`] old, whether or not anything changes, and nobody is served what nobody asks for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
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
    /// Its text, shared by all who are sent it.
    pub text: Bytes,
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
        Ok(Snapshot {
            sequence: list.sequence,
            text: self.signer.snapshot(&list)?.into(),
            digest: list.digest()?,
            list,
            made_ms: now_ms,
            changes,
        })
    }
}

/// Entries that came or went and are remembered for deltas. Beyond, a snapshot is not much longer.
const MAX_REMEMBERED: usize = 16_384;

#[cfg(test)]
mod tests {
    use narrows_verifier::{
        BlockId, TaskId,
        revocation::{Revocation, Revocations},
    };
    use rand_core::OsRng;

    use super::*;
    use crate::keys::{KeyRole, SecretKey};
    use crate::revocation::{Revoked, Target};

    const ISSUER: &str = "https://issuer.example";
    const NOW_MS: u64 = 1_795_000_000_000;
    const NOW: u64 = NOW_MS / 1000;

    fn feed(sequence_base: u64) -> Feed {
        let settings = FeedSettings { issuer: ISSUER.to_owned(), max_staleness: MaxStaleness::USUAL, refresh_ms: 2_000, sequence_base };
        Feed::new(settings, FeedSigner::new(&SecretKey::generate(KeyRole::Feed, &mut OsRng)))
    }

    fn block(number: u32) -> Revoked {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        Revoked { target: Target::Block(BlockId(id)), before_s: None, until_s: NOW + 900 }
    }

    /// What a verifier holds that takes whatever it is answered.
    fn taken(feed: &Feed, live: &Live, held: Option<&Revocations>, now_ms: u64) -> Revocations {
        let whole = |snapshot: Arc<Snapshot>| String::from_utf8(snapshot.text.to_vec()).unwrap();
        let text = match held {
            None => whole(feed.newest(live, now_ms).unwrap()),
            Some(held) => match feed.update(live, held.list().sequence, now_ms).unwrap() {
                Update::Same => return held.clone(),
                Update::Delta(text) => text,
                Update::Snapshot(snapshot) => whole(snapshot),
            },
        };
        Revocations::update(&text, feed.key(), ISSUER, held, now_ms / 1000).unwrap()
    }

    #[test]
    fn a_snapshot_is_signed_anew_before_it_is_too_old_and_at_once_for_what_was_revoked() {
        let (feed, live) = (feed(7_000), Live::new([], []));
        let number = |now_ms| feed.newest(&live, now_ms).unwrap().sequence;
        assert_eq!([number(NOW_MS), number(NOW_MS + 1_999)], [7_001, 7_001]);
        assert_eq!([number(NOW_MS + 2_000), number(NOW_MS + 3_999)], [7_002, 7_002]);
        live.add([block(1)]);
        assert_eq!(number(NOW_MS + 3_999), 7_003);
        // a clock that steps back makes an older time under a higher number, and that once
        assert_eq!([number(NOW_MS), number(NOW_MS + 1)], [7_004, 7_004]);
        assert_eq!(feed.newest(&live, NOW_MS).unwrap().list.issued, NOW);
    }

    #[test]
    fn whoever_follows_by_deltas_holds_what_the_snapshot_says() {
        let (feed, live) = (feed(0), Live::new([], []));
        let mut held = taken(&feed, &live, None, NOW_MS);
        let first = held.clone();
        for number in 0..20 {
            let now_ms = NOW_MS + u64::from(number) * 1_000;
            live.add((0..number % 3).map(|more| block(number * 10 + more)));
            held = taken(&feed, &live, Some(&held), now_ms);
            let whole = taken(&feed, &live, None, now_ms);
            assert_eq!(held.list(), whole.list());
            assert_eq!(whole.follows(&held), Ok(()), "to the byte");
        }
        assert_eq!(taken(&feed, &live, Some(&first), NOW_MS + 19_000).list(), held.list(), "from long ago in one step");
        // what is over goes with a delta as well
        let later = taken(&feed, &live, Some(&held), (NOW + 901) * 1_000);
        assert!(later.list().revoked.is_empty() && !held.list().revoked.is_empty());
    }

    #[test]
    fn a_way_that_is_unknown_or_longer_is_a_snapshot() {
        let (feed, live) = (feed(100), Live::new([], []));
        let first = feed.newest(&live, NOW_MS).unwrap().sequence;
        let kind = |since| match feed.update(&live, since, NOW_MS).unwrap() {
            Update::Same => "same",
            Update::Delta(_) => "delta",
            Update::Snapshot(_) => "snapshot",
        };
        assert_eq!([kind(first), kind(first - 1), kind(first + 1), kind(0)], ["same", "snapshot", "snapshot", "snapshot"]);
        live.add((0..100).map(block));
        assert_eq!(kind(first), "snapshot", "a delta with all of it is longer than the list");
        let second = feed.newest(&live, NOW_MS).unwrap().sequence;
        live.add([block(1_000)]);
        assert_eq!([kind(second), kind(first)], ["delta", "snapshot"]);
    }

    #[test]
    fn ten_thousand_revocations_are_bounded_in_time_and_size() {
        let (feed, live) = (feed(0), Live::new([], []));
        live.add((0..10_000).map(block));
        let mut held = taken(&feed, &live, None, NOW_MS);
        let text = feed.newest(&live, NOW_MS).unwrap().text.len();
        assert!(text < 1 << 20, "{text} bytes");
        let begun = std::time::Instant::now();
        for number in 0..20 {
            live.add([block(20_000 + number)]);
            let Update::Delta(delta) = feed.update(&live, held.list().sequence, NOW_MS).unwrap() else { panic!("no delta") };
            assert!(delta.len() < 2_048, "{} bytes for one more", delta.len());
            held = held.apply(&delta, feed.key(), NOW).unwrap();
        }
        assert_eq!(held.list().revoked.len(), 10_020);
        // an unoptimised build on a busy machine; what it costs is measured elsewhere
        assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
    }

    #[test]
    fn as_many_as_there_is_room_for_can_be_signed_and_blocks_never_take_the_room_of_the_rest() {
        let (feed, live) = (feed(0), Live::new([], []));
        let mut number = 0;
        while live.room_for(&block(number).target, NOW).is_ok() {
            live.add((number..number + 500).map(block));
            number += 500;
        }
        assert!(number > 30_000, "{number} blocks");
        assert_eq!(live.room_for(&block(0).target, NOW), Ok(()), "what is there already needs no room");
        assert_eq!(live.room_for(&block(number).target, NOW + 901), Ok(()), "what is over takes none");
        let mut tasks = 0_u32;
        let task = |number: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            Revoked { target: Target::Task(TaskId(id)), before_s: None, until_s: NOW + 900 }
        };
        while live.room_for(&task(tasks).target, NOW).is_ok() {
            live.add((tasks..tasks + 500).map(task));
            tasks += 500;
        }
        assert!(tasks > 15_000, "{tasks} tasks");
        let name = Target::Agent("\u{1}".repeat(1024));
        assert_eq!(live.room_for(&name, NOW), Err(Reason::RevocationsFull));
        let held = taken(&feed, &live, None, NOW_MS);
        assert_eq!(held.list().revoked.len() as u32, number + tasks);
    }

    #[test]
    fn a_cut_off_that_moves_is_told() {
        let (feed, live) = (feed(0), Live::new([], []));
        let key = |before_s| Revoked { target: Target::Key([4; 32]), before_s: Some(before_s), until_s: NOW + 900 };
        live.add([key(NOW)]);
        let held = taken(&feed, &live, None, NOW_MS);
        live.add([key(NOW + 5)]);
        let held = taken(&feed, &live, Some(&held), NOW_MS);
        assert_eq!(held.list().revoked.iter().collect::<Vec<_>>(), [Revocation::Key([4; 32], NOW + 5)]);
    }
}
