//! The anchor against logs that went back, branched or lost it.

use std::time::Duration;

use narrows_verifier::Reason;

use super::*;

fn settings(place: &Place, lag_ms: u64) -> Settings {
    let anchor = AnchorPlace { path: anchor_file(place), lag: Duration::from_millis(lag_ms), accept_missing: false };
    Settings { anchor: Some(anchor), ..patient() }
}

fn anchor_file(place: &Place) -> PathBuf {
    place.directory.join("log.anchor")
}

fn open(place: &Place, settings: Settings) -> Result<Log, LogError> {
    Log::open(&place.database(), signer(), clock(NOW_MS), settings)
}

fn refusal(place: &Place) -> Reason {
    open(place, settings(place, 0)).map(drop).unwrap_err().reason()
}

fn anchor(place: &Place) -> String {
    std::fs::read_to_string(anchor_file(place)).unwrap()
}

/// An anchored log with `count` leaves beside the first, closed.
async fn anchored(place: &Place, count: u16) {
    Log::init(&place.database(), &signer(), opening()).unwrap();
    let log = open(place, settings(place, 0)).unwrap();
    for number in 0..count {
        appended(&log, mint(number), Vec::new()).await;
        assert_eq!(anchor(place), log.checkpoint().unwrap(), "the anchor moves before the receipt leaves");
    }
}

#[tokio::test]
async fn a_database_behind_its_anchor_is_refused() {
    let place = Place::new();
    anchored(&place, 3).await;
    let backup = std::fs::read(place.database()).unwrap();
    let log = open(&place, settings(&place, 0)).unwrap();
    appended(&log, mint(4), Vec::new()).await;
    drop(log);
    std::fs::write(place.database(), &backup).unwrap();
    place.check().unwrap();
    assert_eq!(refusal(&place), Reason::AuditRollbackDetected);
    // without a lock held over, so that the refusal can be had again, and recovery can work
    assert_eq!(refusal(&place), Reason::AuditRollbackDetected);
}

#[tokio::test]
async fn another_branch_of_the_log_is_refused_at_any_size() {
    let place = Place::new();
    anchored(&place, 2).await;
    let fork = std::fs::read(place.database()).unwrap();
    let log = open(&place, settings(&place, 0)).unwrap();
    appended(&log, mint(3), Vec::new()).await;
    drop(log);
    // with the log's own key: what verifies by itself, longer or equal, is not what was anchored
    for more in [1, 2] {
        std::fs::write(place.database(), &fork).unwrap();
        let log = place.open();
        for number in 0..more {
            appended(&log, mint(20 + number), Vec::new()).await;
        }
        drop(log);
        place.check().unwrap();
        assert_eq!(refusal(&place), Reason::AuditRollbackDetected, "{more}");
    }
}

#[tokio::test]
async fn an_anchor_that_is_gone_needs_the_operators_word() {
    let place = Place::new();
    anchored(&place, 1).await;
    std::fs::remove_file(anchor_file(&place)).unwrap();
    assert_eq!(refusal(&place), Reason::AuditAnchorMissing);
    for other in ["", "garbage", &"x".repeat(10_000_000)] {
        std::fs::write(anchor_file(&place), other).unwrap();
        assert_eq!(refusal(&place), Reason::AuditAnchorMissing);
    }
    // nor does the word cover a file that is there and is no anchor of this log
    let word = |accept_missing| {
        let anchor = AnchorPlace { path: anchor_file(&place), lag: Duration::ZERO, accept_missing };
        open(&place, Settings { anchor: Some(anchor), ..patient() })
    };
    assert_eq!(word(true).map(drop).unwrap_err().reason(), Reason::AuditAnchorMissing);
    std::fs::remove_file(anchor_file(&place)).unwrap();
    drop(word(true).unwrap());
    drop(word(false).unwrap());
}

#[tokio::test]
async fn an_anchor_that_is_behind_moves_up_at_the_start() {
    let place = Place::new();
    anchored(&place, 2).await;
    let log = place.open();
    appended(&log, mint(3), Vec::new()).await;
    let newest = log.checkpoint().unwrap();
    drop(log);
    assert_ne!(anchor(&place), newest);
    drop(open(&place, settings(&place, 0)).unwrap());
    assert_eq!(anchor(&place), newest);
}

#[tokio::test]
async fn an_anchor_that_another_changed_stops_the_log_before_the_receipt_leaves() {
    let place = Place::new();
    anchored(&place, 1).await;
    let old = anchor(&place);
    let log = open(&place, settings(&place, 0)).unwrap();
    appended(&log, mint(2), Vec::new()).await;
    std::fs::write(anchor_file(&place), old).unwrap();
    assert_eq!(log.append(mint(3), Vec::new()).await.unwrap_err().reason(), Reason::AuditRollbackDetected);
    assert_eq!(log.halted(), Some(Reason::AuditRollbackDetected));
}

#[tokio::test]
async fn an_anchor_that_can_not_be_written_stops_the_log() {
    let place = Place::new();
    anchored(&place, 1).await;
    let log = open(&place, settings(&place, 0)).unwrap();
    // a directory in the place of the new file: also root can't write there
    std::fs::create_dir(place.directory.join("log.anchor.new")).unwrap();
    assert_eq!(log.append(mint(2), Vec::new()).await.unwrap_err().reason(), Reason::AuditUnavailable);
    assert_eq!(log.halted(), Some(Reason::AuditUnavailable));
    drop(log);
    std::fs::remove_dir(place.directory.join("log.anchor.new")).unwrap();
    drop(open(&place, settings(&place, 0)).unwrap());
    assert_eq!(place.check().unwrap().size, 3, "the leaf is there and gave nobody anything");
}

#[tokio::test]
async fn a_lagging_anchor_is_even_with_the_log_after_a_clean_stop() {
    let place = Place::new();
    Log::init(&place.database(), &signer(), opening()).unwrap();
    let log = open(&place, settings(&place, 3_600_000)).unwrap();
    for number in 0..5 {
        appended(&log, mint(number), Vec::new()).await;
    }
    let newest = log.checkpoint().unwrap();
    drop(log);
    assert_eq!(anchor(&place), newest);
}

#[tokio::test]
async fn two_services_do_not_share_an_anchor() {
    let (first, second) = (Place::new(), Place::new());
    anchored(&first, 1).await;
    std::fs::copy(first.database(), second.database()).unwrap();
    let _running = open(&first, settings(&first, 0)).unwrap();
    let other = open(&second, settings(&first, 0)).map(drop).unwrap_err();
    assert_eq!(other.reason(), Reason::LogBusy);
}
