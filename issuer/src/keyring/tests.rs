//! The keys against real files and a real log, cut off at every point.

use std::{fs, path::PathBuf, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use narrows_verifier::log::{EntryId, TraceId};
use zeroize::Zeroizing;

use super::{
    job::Moment,
    proved::{hold, number, unsaid},
    set::Answer,
    *,
};
use crate::{
    keys::{tests::Scratch, write_private},
    log::{Log, LogSigner, Opening, Settings},
};

const OPENED_S: u64 = 1_763_700_000;
const PACE: Pace = Pace { overlap_s: 100, request_s: 30, life_s: 1_000 };

/// A data directory with a log and a first key.
struct Desk {
    scratch: Scratch,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { scratch: Scratch::new() };
        for seed in 1..=3 {
            let line = format!("narrows-key ed25519 issuer {}\n", URL_SAFE_NO_PAD.encode([seed; 32]));
            write_private(&desk.file(seed), line.as_bytes()).unwrap();
        }
        let opening = Opening { id: EntryId([7; 16]), trace: TraceId([8; 16]), t_ms: OPENED_S * 1000, dev: false };
        Log::init(&desk.database(), &signer(), opening).unwrap();
        desk
    }

    fn file(&self, seed: u8) -> PathBuf {
        self.scratch.0.join(format!("{seed}.key"))
    }

    fn database(&self) -> PathBuf {
        self.scratch.0.join("log.db")
    }

    fn place(&self) -> Place {
        Place::new(&self.scratch.0)
    }

    fn log(&self) -> Log {
        Log::open(&self.database(), signer(), Arc::new(|| (OPENED_S + 50) * 1000), Settings::default()).unwrap()
    }

    /// As a start of the service has it.
    fn open(&self, log: &Log) -> Result<Keyring, KeyError> {
        let first = || Ok(KeySet::of(mint_of(&SecretKey::read(&self.file(1), KeyRole::Issuer)?, OPENED_S).root(), self.file(1)));
        let set = hold(self.place().set()?, first, &log.root_keys().unwrap(), &self.place().waiting())?;
        let ring = Ring::new(set, None, &config::Keys::default(), &[])?;
        let ring = RwLock::new(Arc::new(ring));
        Ok(Keyring { place: self.place(), pace: PACE, unlock: config::Keys::default(), others: Vec::new(), ring })
    }

    /// A start that carries out what waits, as one does before it serves.
    async fn start(&self, now_s: u64) -> Result<Keyring, Reason> {
        let log = self.log();
        let keyring = self.open(&log).map_err(|error| error.reason)?;
        keyring.take_order(&log, moment(now_s)).await?;
        Ok(keyring)
    }

    async fn ordered(&self, id: &str, step: Step, now_s: u64) -> Option<Reason> {
        self.place().leave(&Order { id: id.to_owned(), step }).unwrap();
        let keyring = self.start(now_s).await.unwrap();
        let answer = keyring.ring().set.last().cloned().unwrap();
        assert_eq!(answer.order, id);
        answer.refused.map(|code| Reason::from_code(&code).unwrap())
    }

    /// Every key as the state file has it.
    fn states(&self) -> Vec<(u32, RootState, Option<u64>)> {
        let set = self.place().set().unwrap().unwrap();
        set.keys().iter().map(|own| (own.root.id, own.root.state, own.root.spared_below)).collect()
    }

    /// What the leaves beside the first are about, in order.
    fn leaves(&self) -> u64 {
        let log = self.log();
        (1..).find(|index| log.proof(*index).unwrap().is_none()).unwrap() - 1
    }

    /// Leaves things as they are when the process ends at this point of an order, and whether it has so many.
    async fn cut_off(&self, order: &Order, point: usize, now_s: u64) -> bool {
        self.place().leave(order).unwrap();
        if point == 0 {
            return true;
        }
        let log = self.log();
        let keyring = self.open(&log).unwrap();
        self.place().take().unwrap();
        let (base, logged) = (keyring.ring().set.clone(), log.root_keys().unwrap());
        let next = keyring.next(&base, order, &logged, moment(now_s)).unwrap();
        let rows = unsaid(&base, &next.set, &logged, &order.id);
        for row in rows.iter().take(point - 1) {
            log.append_key(row, false).await.unwrap();
        }
        if point > rows.len() + 1 {
            let answer = Answer { order: order.id.clone(), refused: None };
            self.place().replace_set(&next.answering(answer).set).unwrap();
        }
        point <= rows.len() + 2
    }
}

fn moment(now_s: u64) -> Moment {
    Moment { now_s, published: 9, dev: false }
}

fn kid(seed: u8) -> u32 {
    root_key_id(narrows_verifier::public_key(&[seed; 32]).as_bytes())
}

fn signer() -> LogSigner {
    LogSigner::new("log.example/keys", &Zeroizing::new([5; 32])).unwrap()
}

/// A desk whose first key signs and whose second one is published.
async fn prepared() -> Desk {
    let desk = Desk::new();
    assert_eq!(desk.ordered("prepare", Step::Prepare { file: desk.file(2) }, OPENED_S + 10).await, None);
    desk
}

fn taint(seed: u8, spare_below: Option<u64>) -> Step {
    Step::Taint { kid: kid(seed), spare_below }
}

#[tokio::test]
async fn a_change_that_is_cut_off_anywhere_is_gone_on_with_and_said_once() {
    let steps = [
        (None, Step::Activate { kid: kid(2) }),
        (None, Step::Retire { kid: kid(2) }),
        (None, taint(1, None)),
        (None, taint(1, Some(2))),
        (None, taint(2, None)),
        (Some(taint(1, Some(2))), taint(1, Some(1))),
        (Some(taint(1, Some(2))), Step::Activate { kid: kid(2) }),
    ];
    let mut cuts = 0;
    for (before, step) in steps {
        let begun = async || {
            let desk = prepared().await;
            if let Some(before) = &before {
                assert_eq!(desk.ordered("before", before.clone(), OPENED_S + 20).await, None);
            }
            desk
        };
        let order = Order { id: "order".to_owned(), step: step.clone() };
        let whole = begun().await;
        assert_eq!(whole.ordered("order", step.clone(), OPENED_S + 200).await, None);
        for point in 0.. {
            let desk = begun().await;
            if !desk.cut_off(&order, point, OPENED_S + 200).await {
                break;
            }
            cuts += 1;
            // What was given up by then is given up at once, before the order is gone on with.
            let log = desk.log();
            let (logged, keyring) = (log.root_keys().unwrap(), desk.open(&log).unwrap());
            for row in logged.iter().filter(|row| row.state == Some(RootState::Tainted)) {
                let own = keyring.roots().keys().iter().find(|root| root.id == number(row)).copied().unwrap();
                assert_eq!((own.state, own.spared_below), (RootState::Tainted, row.spared_below), "{step:?} at {point}");
            }
            drop((keyring, log));
            desk.start(OPENED_S + 207).await.unwrap();
            assert_eq!(desk.states(), whole.states(), "{step:?} at {point}");
            assert_eq!(desk.leaves(), whole.leaves(), "{step:?} at {point}");
            let last = desk.place().set().unwrap().unwrap().last().cloned().unwrap();
            assert_eq!((last.order.as_str(), last.refused), ("order", None), "{step:?} at {point}");
            assert!(desk.place().order().unwrap().is_none(), "{step:?} at {point}");
            desk.start(OPENED_S + 300).await.unwrap();
            assert_eq!(desk.leaves(), whole.leaves(), "{step:?} at {point}: nothing is left to be done");
        }
    }
    assert!(cuts >= 28, "{cuts} points");
}

#[tokio::test]
async fn a_key_is_given_up_although_another_order_can_not_be_gone_on_with() {
    let desk = prepared().await;
    let activate = Order { id: "order".to_owned(), step: Step::Activate { kid: kid(2) } };
    assert!(desk.cut_off(&activate, 2, OPENED_S + 200).await);
    fs::remove_file(desk.file(2)).unwrap();
    assert_eq!(desk.start(OPENED_S + 207).await.err(), Some(Reason::KeyFileMissing));
    let other = Order { id: "other".to_owned(), step: Step::Retire { kid: kid(2) } };
    assert_eq!(desk.place().leave(&other).unwrap_err().reason, Reason::KeyOrderWaiting);
    for seed in [1, 2] {
        assert_eq!(desk.ordered(&format!("taint {seed}"), taint(seed, None), OPENED_S + 210).await, None);
    }
    assert!(desk.states().iter().all(|(_, state, _)| *state == RootState::Tainted));
    desk.start(OPENED_S + 220).await.unwrap();
}

#[tokio::test]
async fn the_very_first_order_may_be_cut_off_before_there_is_a_state_file() {
    for step in [Step::Prepare { file: "2.key".into() }, taint(1, None)] {
        for point in 0.. {
            let desk = Desk::new();
            let step = match &step {
                Step::Prepare { .. } => Step::Prepare { file: desk.file(2) },
                step => step.clone(),
            };
            let order = Order { id: "order".to_owned(), step };
            if !desk.cut_off(&order, point, OPENED_S + 10).await {
                break;
            }
            desk.start(OPENED_S + 17).await.unwrap();
            let states: Vec<_> = desk.states().into_iter().map(|(_, state, _)| state).collect();
            match order.step {
                Step::Prepare { .. } => assert_eq!((states, desk.leaves()), (vec![RootState::Active, RootState::Prepared], 2)),
                _ => assert_eq!((states, desk.leaves()), (vec![RootState::Tainted], 1)),
            }
        }
    }
}

#[tokio::test]
async fn a_state_file_of_before_or_none_stops_the_start() {
    let desk = prepared().await;
    let file = desk.scratch.0.join("issuer-keys.json");
    let mut older = vec![fs::read(&file).unwrap()];
    let steps = [Step::Activate { kid: kid(2) }, taint(1, Some(2)), taint(1, None), Step::Prepare { file: desk.file(3) }];
    for (number, step) in steps.into_iter().enumerate() {
        assert_eq!(desk.ordered(&format!("order {number}"), step, OPENED_S + 200).await, None);
        older.push(fs::read(&file).unwrap());
    }
    let newest = older.pop().unwrap();
    for (number, text) in older.into_iter().enumerate() {
        fs::write(&file, text).unwrap();
        assert_eq!(desk.start(OPENED_S + 300).await.err(), Some(Reason::KeySetBehind), "after order {number}");
    }
    fs::remove_file(&file).unwrap();
    assert_eq!(desk.start(OPENED_S + 300).await.err(), Some(Reason::KeySetMissing));
    // What no leaf has said is no better, for any key and member.
    let newest = String::from_utf8(newest).unwrap();
    for (from, to) in [("\"tainted\"", "\"prepared\""), ("\"prepared\"", "\"tainted\""), ("\"not_after\": 1", "\"not_after\": 2")] {
        assert!(newest.contains(from), "{newest}");
        write_private(&file, newest.replacen(from, to, 1).as_bytes()).unwrap();
        assert_eq!(desk.start(OPENED_S + 300).await.err(), Some(Reason::KeySetBehind), "{from}");
        fs::remove_file(&file).unwrap();
    }
    write_private(&file, newest.as_bytes()).unwrap();
    desk.start(OPENED_S + 300).await.unwrap();
}

#[tokio::test]
async fn a_key_that_was_taken_away_is_of_no_use_any_more() {
    let desk = prepared().await;
    assert_eq!(desk.ordered("taint", taint(2, None), OPENED_S + 20).await, None);
    assert_eq!(desk.ordered("early", Step::Retire { kid: kid(2) }, OPENED_S + 20 + 30 + 1_000).await, Some(Reason::KeyStillNeeded));
    assert_eq!(desk.ordered("late", Step::Retire { kid: kid(2) }, OPENED_S + 20 + 30 + 1_001).await, None);
    assert_eq!(desk.ordered("again", Step::Prepare { file: desk.file(2) }, OPENED_S + 9_000).await, Some(Reason::KeyState));
    assert_eq!(desk.states().len(), 1);
}

#[tokio::test]
async fn an_order_to_spare_what_the_log_has_not_reached_is_refused_and_changes_nothing() {
    let desk = prepared().await;
    // The moment of these tests has 9 leaves.
    assert_eq!(desk.ordered("beyond", taint(1, Some(10)), OPENED_S + 20).await, Some(Reason::KeySpareBeyond));
    assert_eq!(desk.states()[0].1, RootState::Active);
    assert_eq!(desk.ordered("all", taint(1, Some(9)), OPENED_S + 20).await, None);
    assert_eq!(desk.ordered("raised", taint(1, Some(10)), OPENED_S + 20).await, Some(Reason::KeySpareBeyond));
    assert_eq!(desk.ordered("lower", taint(1, Some(8)), OPENED_S + 20).await, None);
    assert_eq!(desk.ordered("raised again", taint(1, Some(9)), OPENED_S + 20).await, Some(Reason::KeySpareRaised));
    assert_eq!(desk.states()[0], (kid(1), RootState::Tainted, Some(8)));
}

type Taken = fn(&mut KeySet, u64) -> Result<(), Reason>;

/// Every way of four steps, and at its end every state file of the way: what starts has nothing back that the log gives up, and is the
/// newest unless an order waits.
#[test]
fn no_state_file_of_before_says_more_than_the_log() {
    let steps: [Taken; 7] = [
        |set, now| set.prepare(narrows_verifier::public_key(&[2; 32]), "2.key".into(), now),
        |set, now| set.activate(kid(2), now, &PACE),
        |set, now| set.retire(kid(1), now, &PACE),
        |set, now| set.retire(kid(2), now, &PACE),
        |set, now| set.taint(kid(1), Some(2), now, &PACE),
        |set, now| set.taint(kid(1), None, now, &PACE),
        |set, now| set.taint(kid(2), None, now, &PACE),
    ];
    let first = || KeySet::of(RootKey { not_before: 1, ..RootKey::active(kid(1), narrows_verifier::public_key(&[1; 32])) }, "1.key".into());
    let (mut started, mut refused) = (0, 0);
    for way in 0..steps.len().pow(4) {
        let (mut set, mut logged, mut files): (_, Vec<KeyRow>, _) = (first(), Vec::new(), vec![None]);
        for (number, power) in (0..4).enumerate() {
            let (mut next, order) = (set.clone(), format!("order {number}"));
            // Far enough apart for a tainted key to go.
            if steps[way / steps.len().pow(power) % steps.len()](&mut next, 2_000 * (number as u64 + 1)).is_err() {
                continue;
            }
            for row in unsaid(&set, &next, &logged, &order) {
                logged.retain(|known| known.key != row.key);
                logged.push(row);
            }
            set = next;
            files.push(Some(set.clone()));
        }
        let newest = logged.iter().map(|row| row.asked.clone()).filter(|asked| asked.starts_with("order")).max();
        for file in files {
            let same = file.as_ref().is_some_and(|file| file.keys() == set.keys()) || logged.is_empty();
            for waiting in [Vec::new(), newest.clone().into_iter().collect()] {
                let Ok(held) = hold(file.clone(), || Ok(first()), &logged, &waiting) else {
                    refused += 1;
                    assert!(!same, "{logged:?}");
                    continue;
                };
                started += 1;
                assert!(same || !waiting.is_empty(), "{file:?} {logged:?}");
                for row in &logged {
                    let own = held.find(number(row)).map(|own| (own.root.state, own.root.spared_below));
                    match row.state {
                        Some(RootState::Tainted) => assert_eq!(own, Some((RootState::Tainted, row.spared_below)), "{file:?} {logged:?}"),
                        None => assert_eq!(own, None, "{file:?} {logged:?}"),
                        Some(_) => {}
                    }
                }
            }
        }
    }
    assert!(started > 1_000 && refused > 1_000, "{started} and {refused}");
}

/// Whatever the service asks for: the log itself has no way back.
#[tokio::test]
async fn the_log_takes_no_leaf_that_brings_a_key_back() {
    let desk = Desk::new();
    let log = desk.log();
    let row = |state, spared_below| KeyRow {
        key: [9; 32],
        state,
        not_before: Some(1),
        not_after: Some(2),
        spared_below,
        asked: "somebody".to_owned(),
    };
    let said = async |state, spared_below| log.append_key(&row(state, spared_below), false).await.map_err(|error| error.reason());
    assert_eq!(said(Some(RootState::Tainted), Some(5)).await, Ok(1));
    for state in [RootState::Prepared, RootState::Active, RootState::Retired] {
        assert_eq!(said(Some(state), None).await, Err(Reason::KeyState), "{state:?}");
    }
    assert_eq!(said(Some(RootState::Tainted), Some(6)).await, Err(Reason::KeySpareRaised));
    assert_eq!(said(Some(RootState::Tainted), Some(4)).await, Ok(2));
    assert_eq!(said(Some(RootState::Tainted), None).await, Ok(3));
    assert_eq!(said(Some(RootState::Tainted), Some(0)).await, Err(Reason::KeySpareRaised));
    assert_eq!(said(None, None).await, Ok(4));
    for state in [None, Some(RootState::Prepared), Some(RootState::Tainted)] {
        assert_eq!(said(state, None).await, Err(Reason::KeyState), "{state:?}");
    }
}
