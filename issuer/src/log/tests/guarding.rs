//! What the writer looks at before it writes: the clock, the disk, the file, and who goes first.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use narrows_verifier::log::Leaf;

use super::*;
use crate::revocation::Target;

fn revocation(number: u8) -> (Leaf, Vec<SideRow>) {
    revoking::revocation(number.into(), &Target::Block(block(number)), None)
}

fn leaf_at(log: &Log, index: u64) -> Leaf {
    Leaf::parse(&log.proof(index).unwrap().unwrap().leaf).unwrap()
}

/// A log whose clock says what the test wrote there last.
fn log_with_clock(place: &Place, now_ms: &Arc<AtomicU64>) -> Log {
    Log::init(&place.database(), &signer(), opening()).unwrap();
    let now_ms = Arc::clone(now_ms);
    Log::open(&place.database(), signer(), Arc::new(move || now_ms.load(Ordering::Relaxed)), patient()).unwrap()
}

#[tokio::test]
async fn time_in_the_log_never_runs_backwards_and_a_step_back_is_written_down_once() {
    let place = Place::new();
    let now_ms = Arc::new(AtomicU64::new(NOW_MS + 7));
    let log = log_with_clock(&place, &now_ms);
    let mut number = 0;
    let mut at = async |t_ms: u64| {
        now_ms.store(t_ms, Ordering::Relaxed);
        number += 1;
        appended(&log, mint(number), Vec::new()).await.0
    };
    assert_eq!(at(NOW_MS + 7).await, 1);
    // ordinary synchronisation is no event
    assert_eq!(at(NOW_MS - 500).await, 2);
    // an hour back: one leaf says so, ahead of the entry that met it
    assert_eq!(at(NOW_MS - 3_600_000).await, 4);
    assert_eq!(at(NOW_MS - 3_599_000).await, 5);
    // another step back from there, and from the recovered clock
    assert_eq!(at(NOW_MS - 7_200_000).await, 7);
    assert_eq!(at(NOW_MS + 60_000).await, 8);
    assert_eq!(at(NOW_MS).await, 10);
    assert_eq!(log.clock_regressions(), 3);
    for index in [3, 6, 9] {
        let leaf = leaf_at(&log, index);
        assert_eq!((leaf.kind.as_str(), leaf.reasons), ("clock", vec!["CLOCK_REGRESSION".to_owned()]));
    }
    let times: Vec<u64> = (0..=10).map(|index| leaf_at(&log, index).t_ms).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(place.check().unwrap().size, 11);
}

#[tokio::test]
async fn a_clock_far_ahead_stays_in_the_log_and_expiries_follow_the_true_clock() {
    let place = Place::new();
    let ahead = 3_600_000;
    let now_ms = Arc::new(AtomicU64::new(NOW_MS + ahead));
    let log = log_with_clock(&place, &now_ms);
    appended(&log, mint(1), Vec::new()).await;
    now_ms.store(NOW_MS, Ordering::Relaxed);
    let now_s = NOW_MS / 1000;
    let task_row = SideRow::NewTask { task: task(1), expires_s: now_s + 60, max_hops: 9 };
    appended(&log, mint(2), vec![task_row]).await;
    let hop = || vec![SideRow::TaskHop { task: task(1) }];
    let (index, ..) = appended(&log, mint(3), hop()).await;
    assert_eq!(leaf_at(&log, index).t_ms, NOW_MS + ahead, "not before the leaf before it");
    now_ms.store(NOW_MS + 61_000, Ordering::Relaxed);
    assert_eq!(log.append(mint(4), hop()).await.unwrap(), Outcome::Refused(Reason::TaskQuota));
}

#[tokio::test]
async fn the_end_of_the_disk_is_kept_for_what_takes_authority_away() {
    let place = Place::new();
    Log::init(&place.database(), &signer(), opening()).unwrap();
    let free = Arc::new(AtomicU64::new(100 << 20));
    let disk = Arc::clone(&free);
    let settings = Settings { disk_reserve: 80 << 20, free_space: Some(Arc::new(move || Ok(disk.load(Ordering::Relaxed)))), ..patient() };
    let log = Log::open(&place.database(), signer(), clock(NOW_MS), settings).unwrap();
    let block_row = || vec![SideRow::Derivation { block_id: block(1) }];
    appended(&log, Leaf { blocks: vec![block(1)], ..mint(1) }, block_row()).await;

    free.store(79 << 20, Ordering::Relaxed);
    let error = log.append(mint(2), Vec::new()).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after_s()), (Reason::AuditDiskReserve, Some(60)));
    let (leaf, rows) = revocation(3);
    appended(&log, leaf, rows).await;
    // what needs no room is still answered
    assert!(matches!(log.append(mint(4), block_row()).await.unwrap(), Outcome::Existing { index: 1, .. }));

    free.store(9 << 20, Ordering::Relaxed);
    let (fifth, rows) = revocation(5);
    assert_eq!(log.append(fifth, rows).await.unwrap_err().reason(), Reason::AuditDiskReserve);
    assert_eq!(log.halted(), None);

    free.store(100 << 20, Ordering::Relaxed);
    appended(&log, mint(6), Vec::new()).await;
    assert_eq!(place.check().unwrap().size, 4);
}

#[tokio::test]
async fn a_flood_of_hops_delays_no_revocation() {
    let place = Place::new();
    Log::init(&place.database(), &signer(), opening()).unwrap();
    // The writer asks for the time when it begins a batch: that is where this test holds it.
    let (entered, writer_entered) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let held: Clock = Arc::new(move || {
        entered.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        NOW_MS
    });
    let settings = Settings { queue: 3, urgent_queue: 1, ..patient() };
    let log = Arc::new(Log::open(&place.database(), signer(), held, settings).unwrap());
    let send = |(leaf, rows): (Leaf, Vec<SideRow>)| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.append(leaf, rows).await })
    };
    let first = send((mint(1), Vec::new()));
    tokio::task::yield_now().await;
    writer_entered.recv().unwrap();
    let flood = [2, 3, 4].map(|number| send((derivation(Kind::Hop, number, &["alice"]), Vec::new())));
    tokio::task::yield_now().await;
    assert_eq!(log.append(mint(5), Vec::new()).await.unwrap_err().reason(), Reason::AuditUnavailable);
    let urgent = send(revocation(6));
    tokio::task::yield_now().await;
    let (seventh, rows) = revocation(7);
    assert_eq!(log.append(seventh, rows).await.unwrap_err().reason(), Reason::AuditUnavailable, "bounded as well");
    drop(release);
    let index = |answer: Result<Outcome, LogError>| match answer.unwrap() {
        Outcome::Appended { index, .. } => index,
        other => panic!("{other:?}"),
    };
    assert_eq!(index(first.await.unwrap()), 1);
    assert_eq!(index(urgent.await.unwrap()), 2);
    for (hop, place) in flood.into_iter().zip(3..) {
        assert_eq!(index(hop.await.unwrap()), place);
    }
}

#[tokio::test]
async fn a_file_that_is_swapped_stops_the_log() {
    for name in ["log.db", "log.db-wal"] {
        let place = Place::new();
        let log = place.log();
        appended(&log, mint(1), Vec::new()).await;
        let file = place.database().with_file_name(name);
        std::fs::rename(&file, file.with_extension("moved")).unwrap();
        std::fs::copy(file.with_extension("moved"), &file).unwrap();
        let error = log.append(mint(2), Vec::new()).await.unwrap_err();
        assert_eq!(error.reason(), Reason::AuditFileSwapped, "{name}");
        // also when the old file is back: what happened in between is unknown
        std::fs::rename(file.with_extension("moved"), &file).unwrap();
        assert_eq!(log.append(mint(3), Vec::new()).await.unwrap_err().reason(), Reason::AuditFileSwapped);
        assert_eq!(log.halted(), Some(Reason::AuditFileSwapped));
        drop(log);
        assert_eq!(place.check().unwrap().size, 2);
    }
}

#[tokio::test]
async fn a_halted_log_says_why() {
    let place = Place::new();
    let log = place.log();
    log.halt(Reason::AuditRollbackDetected);
    log.halt(Reason::AuditUnavailable);
    let error = log.append(mint(1), Vec::new()).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after_s()), (Reason::AuditRollbackDetected, Some(30)));
    assert_eq!(place.check().unwrap().size, 1);
}
