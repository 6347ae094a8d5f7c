use std::sync::Mutex;
use std::sync::mpsc::channel;

use narrows_verifier::Reason;
use narrows_verifier::log::Verdict;

use super::*;
use crate::store::sqlite_tamper::{break_commits, number, tamper};

#[tokio::test]
async fn a_failed_commit_answers_nobody_and_stops_the_log() {
    let place = Place::new();
    let log = place.log();
    appended(&log, mint(1), Vec::new()).await;
    break_commits(&place.database());
    let proof = SideRow::SingleUse { key: [1; 32], expires_s: u64::MAX, reason: Reason::ProofReplayed };
    let error = log.append(mint(2), vec![proof]).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after_s()), (Reason::AuditUnavailable, Some(30)));
    assert_eq!(log.halted(), Some(Reason::AuditUnavailable));
    // Even with the cause gone, nothing is tried on the same handle.
    tamper(&place.database(), "DROP TRIGGER trap; DROP TABLE trap;");
    assert_eq!(log.append(mint(3), Vec::new()).await.unwrap_err().reason(), Reason::AuditUnavailable);
    assert_eq!(number(&place.database(), "SELECT count(*) FROM single_use"), 0);
    drop(log);
    assert_eq!(place.check().unwrap().size, 2);
    let log = place.open();
    assert_eq!(appended(&log, mint(3), Vec::new()).await.0, 2);
}

#[tokio::test]
async fn a_head_that_another_writer_moved_stops_the_log() {
    let place = Place::new();
    let log = place.log();
    tamper(&place.database(), "UPDATE head SET epoch = epoch + 1;");
    assert_eq!(log.append(mint(1), Vec::new()).await.unwrap_err().reason(), Reason::AuditUnavailable);
    assert_eq!(log.halted(), Some(Reason::AuditUnavailable));
    drop(log);
    assert_eq!(place.check().unwrap().size, 1);
}

/// The lock is a file, and somebody may take it away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_writers_that_got_past_the_lock_one_stops() {
    let place = Place::new();
    let first = Arc::new(place.log());
    let hammer = |log: &Arc<Log>, numbers: std::ops::Range<u16>| {
        let log = Arc::clone(log);
        tokio::spawn(async move {
            let mut answered = Vec::new();
            for number in numbers {
                let Ok(outcome) = log.append(mint(number), Vec::new()).await else { break };
                let Outcome::Appended { leaf, receipt, .. } = outcome else { panic!("{outcome:?}") };
                answered.push((receipt, leaf));
            }
            answered
        })
    };
    let under_way = hammer(&first, 1..60_000);
    while first.checkpoint().unwrap().lines().nth(1) == Some("1") {
        tokio::task::yield_now().await;
    }
    std::fs::remove_file(place.directory.join("log.db.lock")).unwrap();
    // What is read of the file at start is read between two commits of the first, or refused.
    let second = Arc::new(std::iter::repeat_with(|| place.try_open()).find_map(Result::ok).unwrap());
    let mut answered = under_way.await.unwrap();
    assert_eq!((first.halted(), answered.is_empty()), (Some(Reason::AuditUnavailable), false));
    // The first may also have written while the second one opened: then this one is behind as well and stops, and another goes on.
    answered.extend(hammer(&second, 60_000..60_020).await.unwrap());
    if second.halted().is_some() {
        drop(second);
        answered.extend(hammer(&Arc::new(place.open()), 60_020..60_040).await.unwrap());
    }
    let report = check_database(&place.database(), &verifier_key(), Evidence { receipts: &answered, checkpoints: &[] }).unwrap();
    assert_eq!((report.size, report.receipts), (1 + answered.len() as u64, answered.len() as u64));
}

/// Production gives up on a disk after a while, whatever the tests' patience.
#[tokio::test]
async fn a_caller_does_not_wait_for_ever_and_what_was_written_gave_nobody_anything() {
    let place = Place::new();
    Log::init(&place.database(), &signer(), opening()).unwrap();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let clock: Clock = Arc::new(move || {
        let _ = released.lock().unwrap().recv();
        NOW_MS
    });
    let settings = Settings { answer_wait: Duration::from_millis(1), ..patient() };
    let log = Log::open(&place.database(), signer(), clock, settings).unwrap();
    let error = log.append(mint(1), Vec::new()).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after_s()), (Reason::AuditUnavailable, Some(5)));
    assert_eq!((log.halted(), Settings::default().answer_wait), (None, Duration::from_secs(10)));
    drop(release);
    drop(log);
    assert_eq!(place.check().unwrap().size, 2, "the writer was slow, not dead");
}

#[tokio::test]
async fn a_full_queue_pushes_back_and_what_it_holds_is_written() {
    let place = Place::new();
    Log::init(&place.database(), &signer(), opening()).unwrap();
    // The writer asks for the time when it begins a batch: that is where this test holds it.
    let (entered, writer_entered) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let clock: Clock = Arc::new(move || {
        entered.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        NOW_MS
    });
    let settings = Settings { queue: 2, urgent_queue: 1, ..patient() };
    let log = Arc::new(Log::open(&place.database(), signer(), clock, settings).unwrap());
    let send = |number| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.append(mint(number), Vec::new()).await })
    };
    let first = send(1);
    tokio::task::yield_now().await;
    writer_entered.recv().unwrap();
    let waiting = [send(2), send(3)];
    tokio::task::yield_now().await;
    let error = log.append(mint(4), Vec::new()).await.unwrap_err();
    assert_eq!((error.reason(), error.retry_after_s()), (Reason::AuditUnavailable, Some(1)));
    assert_eq!(log.halted(), None);
    drop(release);
    assert!(matches!(first.await.unwrap(), Ok(Outcome::Appended { index: 1, .. })));
    for answer in waiting {
        assert!(matches!(answer.await.unwrap(), Ok(Outcome::Appended { .. })));
    }
    assert_eq!(place.check().unwrap().size, 4);
}

/// Twice as many as fit, round after round: what is taken is written in its order, and what ends authority always gets in.
#[tokio::test]
async fn a_flood_at_twice_the_capacity_loses_and_reorders_nothing() {
    let place = Place::new();
    Log::init(&place.database(), &signer(), opening()).unwrap();
    // as above: each batch waits at the clock until the test lets it go
    let (entered, writer_entered) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let clock: Clock = Arc::new(move || {
        entered.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        NOW_MS
    });
    let settings = Settings { queue: 8, urgent_queue: 1, ..patient() };
    let log = Arc::new(Log::open(&place.database(), signer(), clock, settings).unwrap());
    let send = |leaf| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.append(leaf, Vec::new()).await })
    };
    let mut expected = 1;
    let mut answered = vec![send(mint(0))];
    tokio::task::yield_now().await;
    writer_entered.recv().unwrap();
    for round in 1..20u16 {
        let flood: Vec<_> = (0..16).map(|place| send(mint(round * 100 + place))).collect();
        let clock = Leaf::draft(Kind::Clock, entry(round * 100 + 99), TraceId::new([9; 16]));
        let urgent = send(clock.because(Verdict::Allow, Reason::ClockRegression));
        tokio::task::yield_now().await;
        release.send(()).unwrap();
        writer_entered.recv().unwrap();
        for waiting in answered.drain(..) {
            match waiting.await.unwrap() {
                Ok(Outcome::Appended { index, .. }) => assert_eq!(index, std::mem::replace(&mut expected, index + 1)),
                other => panic!("{other:?}"),
            }
        }
        let mut flood = flood.into_iter();
        answered = std::iter::once(urgent).chain(flood.by_ref().take(8)).collect();
        for refused in flood {
            let error = refused.await.unwrap().unwrap_err();
            assert_eq!((error.reason(), error.retry_after_s()), (Reason::AuditUnavailable, Some(1)));
        }
    }
    drop(release);
    for waiting in answered {
        assert!(matches!(waiting.await.unwrap(), Ok(Outcome::Appended { .. })));
    }
    assert_eq!((log.halted(), place.check().unwrap().size), (None, 1 + 1 + 19 * 9));
}

#[tokio::test]
async fn a_log_of_a_newer_program_or_another_key_is_refused() {
    let place = Place::new();
    filled(&place, 3).await;
    let stranger = LogSigner::new(ORIGIN, &Zeroizing::new([6; 32])).unwrap();
    let error = Log::open(&place.database(), stranger, clock(NOW_MS), patient()).err().unwrap();
    assert_eq!(error.reason(), Reason::CheckpointSignature);
    tamper(&place.database(), "PRAGMA user_version = 99;");
    assert_eq!(place.try_open().err().unwrap().reason(), Reason::LogNewer);
    assert_eq!(place.check().unwrap_err().reason, Reason::LogNewer);
}

#[test]
fn the_database_is_readable_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    let _log = place.log();
    for file in std::fs::read_dir(&place.directory).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", path_text(&file.path()));
    }
}

/// What a power cut leaves of the write-ahead log is some prefix of it, down to half a page.
#[tokio::test]
async fn a_journal_cut_anywhere_leaves_a_whole_log() {
    let place = Place::new();
    let log = place.log();
    for number in 0..6 {
        appended(&log, mint(number), vec![SideRow::disclosure(disclosure("chain/0", "alice"))]).await;
    }
    let journal_of = |database: &Path| PathBuf::from(format!("{}-wal", path_text(database)));
    let (database, journal) = (std::fs::read(place.database()).unwrap(), std::fs::read(journal_of(&place.database())).unwrap());
    let mut sizes = Vec::new();
    // after its header, at the end of each frame (a header and a page), and within some
    let ends = (32..=journal.len()).step_by(24 + 4096);
    let cuts = ends.enumerate().flat_map(|(frame, end)| if frame % 8 == 3 { vec![end, end + 1000] } else { vec![end] });
    for kept in std::iter::once(0).chain(cuts).filter(|kept| *kept <= journal.len()) {
        let cut = Place::new();
        std::fs::write(cut.database(), &database).unwrap();
        std::fs::write(journal_of(&cut.database()), &journal[..kept]).unwrap();
        let log = cut.open();
        appended(&log, mint(99), Vec::new()).await;
        sizes.push(cut.check().unwrap().size - 1);
    }
    assert!(sizes.is_sorted() && sizes.first() == Some(&1) && sizes.last() == Some(&7), "{sizes:?}");
}
