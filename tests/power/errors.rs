//! Calls to the disk that fail: nobody is answered, and what was answered stays, also where the system forgot what it could
//! not write.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_fails_stops_the_log_and_loses_nothing_that_was_answered() {
    let mut stopped = 0;
    for seed in 0..48 {
        let (call, file, fault) = FAULTS[(seed % FAULTS.len() as u64) as usize];
        let told = format!("{seed}: {call:?} {file} {fault:?}");
        let mut place = Place::new(seed, Some(Duration::ZERO));
        let log = place.open().unwrap();
        load::run(&mut place, &log, 10).await;
        let nth = if call == Call::Write { 1 + place.chance.below(40) } else { 1 + place.chance.below(3) };
        place.machine.arm(at(call, file, nth), fault);
        let mut struck = false;
        for _ in 0..20 {
            load::run(&mut place, &log, 20).await;
            // folding, as an erasure does
            place.fold();
            struck |= !place.machine.struck().is_empty();
            if struck {
                break;
            }
        }
        assert!(struck, "{told}");
        if let Some(reason) = log.halted() {
            assert_eq!(reason, Reason::AuditUnavailable, "{told}");
            stopped += 1;
            let refused = log.append(load::mint(&mut place.chance), Vec::new()).await.unwrap_err();
            assert_eq!(refused.reason(), Reason::AuditUnavailable, "{told}");
        }
        // the process ends, cleanly or not, and the machine goes on
        if place.chance.once_in(2) {
            place.machine.kill();
        }
        drop(log);
        if !place.machine.is_running() {
            place.restart(&told);
        }
        let log = place.open().unwrap();
        place.verify(&log, &told).await;
        load::run(&mut place, &log, 10).await;
        // what the system had forgotten is needed only now
        place.machine.cut();
        drop(log);
        place.restart(&told);
        let log = place.open().unwrap_or_else(|error| panic!("{told}: {error}"));
        place.verify(&log, &told).await;
    }
    // a journal that could not be folded is folded later; whatever fails in a commit stops the log
    assert!(stopped >= 24, "{stopped}");
}

const FAULTS: [(Call, &str, Fault); 8] = [
    (Call::Sync, "log.db-wal", Fault::Error),
    (Call::Write, "log.db-wal", Fault::Error),
    (Call::Write, "log.db-wal", Fault::Full),
    (Call::Sync, "subjects.db-wal", Fault::Error),
    (Call::Write, "subjects.db-wal", Fault::Full),
    (Call::Sync, "log.db", Fault::Error),
    (Call::Write, "log.db", Fault::Error),
    (Call::Write, "log.db", Fault::Full),
];
