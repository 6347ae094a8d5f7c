//! The power fails, and processes are killed, at any call to the disk: while the log is made, opened, written, folded and closed.

use std::{collections::BTreeMap, time::Instant};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_call_loses_nothing_that_was_answered() {
    let (cuts, seed) = (number("NARROWS_POWER_CUTS", 300), number("NARROWS_POWER_SEED", 1));
    let (mut tally, begun) = (Tally::default(), Instant::now());
    let mut life = seed;
    while tally.cuts < cuts {
        live(life, &mut tally).await;
        life += 1;
        if (life - seed).is_multiple_of(100) {
            println!("{tally} after {} s", begun.elapsed().as_secs());
        }
    }
    println!("{tally} in {} s", begun.elapsed().as_secs());
    for (call, file) in [
        (Call::Write, "log.db-wal"),
        (Call::Sync, "log.db-wal"),
        (Call::Write, "log.db"),
        (Call::Sync, "log.db"),
        (Call::Write, "subjects.db-wal"),
        (Call::Sync, "subjects.db-wal"),
    ] {
        assert!(tally.struck.keys().any(|struck| struck.call == call && struck.file == file), "no cut at {call:?} of {file}");
    }
}

#[tokio::test]
async fn a_power_cut_while_a_log_is_made_leaves_none_or_a_whole_one() {
    for nth in 1.. {
        let mut place = Place::bare(nth, None);
        place.machine.arm(any(nth), Fault::Cut);
        let made = place.init();
        let struck = !place.machine.is_running();
        place.machine.cut();
        place.machine.restart();
        match place.init() {
            Ok(()) => assert!(made.is_err(), "{nth}"),
            Err(error) => assert_eq!(error.reason(), Reason::LogExists, "{nth}: {error}"),
        }
        let log = place.open().unwrap();
        assert_eq!(place.verify(&log, &nth.to_string()).await.size, 1);
        if !struck {
            assert!(nth > 20, "{nth} calls make a log");
            break;
        }
    }
}

/// What a killed service had written and not synchronised is still there for the next one to read, and must not be relied on
/// before it is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_while_a_killed_service_starts_again_leaves_no_anchor_ahead_of_its_log() {
    for seed in 0..60 {
        let told = format!("{seed}");
        let mut place = Place::new(seed, Some(Duration::ZERO));
        let log = place.open().unwrap();
        load::run(&mut place, &log, 5).await;
        place.machine.arm(at(Call::Sync, "log.db-wal", 1), Fault::Kill);
        load::run(&mut place, &log, 100).await;
        drop(log);
        place.restart(&told);
        place.machine.arm(any(1 + seed % 8), Fault::Cut);
        drop(place.open());
        place.machine.cut();
        place.restart(&told);
        let log = place.open().unwrap_or_else(|error| panic!("{told}: {error}"));
        place.verify(&log, &told).await;
    }
}

/// One log from its beginning over some cuts and kills.
async fn live(seed: u64, tally: &mut Tally) {
    let lag = [None, Some(Duration::ZERO), Some(Duration::from_millis(5))][(seed % 3) as usize];
    let mut place = Place::new(seed, lag);
    for round in 0..ROUNDS {
        let told = format!("NARROWS_POWER_SEED={seed} round {round}");
        let fault = if place.chance.once_in(4) { Fault::Kill } else { Fault::Cut };
        let (while_opening, while_closing) = (place.chance.once_in(4), place.chance.once_in(5));
        if while_opening {
            place.machine.arm(any(1 + place.chance.below(30)), fault);
        }
        match place.open() {
            Ok(log) => {
                if place.machine.is_running() {
                    place.verify(&log, &told).await;
                }
                if !while_closing {
                    place.machine.arm(moment(&mut place.chance), fault);
                }
                let answers = place.chance.below(24) as usize;
                load::run(&mut place, &log, answers).await;
                if while_closing {
                    place.machine.arm(any(1 + place.chance.below(30)), fault);
                }
            }
            Err(error) => assert!(!place.machine.is_running(), "{told}: {error}"),
        }
        match fault {
            Fault::Kill if place.machine.is_running() => place.machine.kill(),
            _ if place.machine.is_running() => place.machine.cut(),
            _ => {}
        }
        tally.count(fault, &place.machine);
        place.restart(&told);
    }
    let log = place.open().unwrap();
    let told = format!("NARROWS_POWER_SEED={seed} at its end");
    let report = place.verify(&log, &told).await;
    assert_eq!(place.check().unwrap_or_else(|finding| panic!("{told}: {finding}")).receipts, place.known.answers.receipts.len() as u64);
    tally.answers += place.known.answers.receipts.len();
    tally.leaves += report.size;
}

/// Somewhere within a commit: most calls are writes to a journal, so the others are aimed at.
fn moment(chance: &mut Chance) -> Moment {
    match chance.below(8) {
        0 => at(Call::Sync, "log.db-wal", 1 + chance.below(20)),
        1 => at(Call::Sync, "", 1 + chance.below(30)),
        2 => at(Call::Write, "log.db", 1 + chance.below(30)),
        3 => at(Call::Write, "subjects.db-wal", 1 + chance.below(40)),
        4 => at([Call::Truncate, Call::Delete, Call::Create][chance.below(3) as usize], "", 1 + chance.below(3)),
        5 => at(Call::Write, "log.db-wal", 1 + chance.below(30)),
        _ => any(1 + chance.below(600)),
    }
}

#[derive(Default)]
struct Tally {
    cuts: u64,
    kills: u64,
    answers: usize,
    leaves: u64,
    struck: BTreeMap<narrows_vfs::Struck, u64>,
}

impl Tally {
    fn count(&mut self, fault: Fault, machine: &Machine) {
        match fault {
            Fault::Kill => self.kills += 1,
            _ => self.cuts += 1,
        }
        for struck in machine.struck() {
            *self.struck.entry(struck).or_default() += 1;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cuts, kills, answers, leaves, struck } = self;
        write!(formatter, "{cuts} cuts, {kills} kills, {answers} answers, {leaves} leaves, none missing;")?;
        let places = struck.iter().map(|(struck, times)| format!("{:?} {} {times}", struck.call, struck.file).to_lowercase());
        write!(formatter, " struck at {}", places.collect::<Vec<_>>().join(", "))
    }
}

const ROUNDS: u64 = 8;
