//! Pruned logs that somebody changed, put back or let go by hand.

use super::*;

#[tokio::test]
async fn changes_to_a_pruned_log_are_found_and_named() {
    use Reason::{
        DisclosureMismatch, LogHashChanged, LogIndexChanged, LogLeafChanged, LogLeafMissing, LogRetentionChanged, LogRootMismatch,
    };
    let turned = |index: u64| format!("UPDATE leaf SET {TURNED} WHERE idx = {index};");
    let emptied = |index: u64| format!("UPDATE leaf SET bytes = x'' WHERE idx = {index};");
    let newest = Some(603);
    let (deleted, denied) = (pruned_files(true).await, pruned_files(false).await);
    for (delete, sql, reasons, index) in [
        (true, "UPDATE leaf SET hash = zeroblob(32) WHERE idx = 300;", &[LogRootMismatch, LogHashChanged][..], None),
        (true, "UPDATE node SET hash = zeroblob(32) WHERE level = 8 AND idx = 0;", &[LogHashChanged], Some(0)),
        (true, "DELETE FROM leaf WHERE idx = 40;", &[LogLeafMissing], Some(40)),
        (true, "DELETE FROM leaf WHERE idx = 540;", &[LogLeafMissing], Some(540)),
        (true, &emptied(540), &[LogLeafChanged], Some(540)),
        (true, &emptied(0), &[LogLeafChanged], Some(0)),
        (true, &turned(540), &[LogLeafChanged], Some(540)),
        (true, "UPDATE leaf SET entry = zeroblob(16) WHERE idx = 540;", &[LogIndexChanged], Some(540)),
        (false, &emptied(40), &[LogLeafChanged], Some(40)),
        (false, &turned(40), &[LogLeafChanged], Some(40)),
        (false, "UPDATE retention SET minimum = 256;", &[LogRetentionChanged], newest),
        (false, "UPDATE retention SET deleted = 512; UPDATE leaf SET bytes = x'' WHERE idx = 9;", &[LogRetentionChanged], newest),
        (false, "UPDATE retention SET leaf = 601, minimum = 0, deleted = 0;", &[LogRetentionChanged], newest),
        (false, "DELETE FROM retention;", &[LogRetentionChanged], newest),
        (false, "UPDATE disclosure SET expired = 0, sealed = zeroblob(64) WHERE expired = 1;", &[DisclosureMismatch], None),
        (
            false,
            "UPDATE disclosure SET sealed = NULL, expired = 1 WHERE entry IN (SELECT entry FROM leaf WHERE idx = 603);",
            &[LogRetentionChanged],
            newest,
        ),
    ] {
        let changed = Place::new();
        let whole = if delete { &deleted } else { &denied };
        for (name, bytes) in [("log.db", &whole.0), ("subjects.db", &whole.1)] {
            std::fs::write(changed.directory.join(name), bytes).unwrap();
        }
        changed.check().unwrap();
        tamper(&changed.database(), sql);
        let finding = changed.check().unwrap_err();
        assert!(reasons.contains(&finding.reason), "{sql}: {finding}");
        assert!(index.is_none() || finding.index == index, "{sql}: {finding}");
    }
}

/// Database and keys of a log of which 512 leaves are pruned.
async fn pruned_files(delete: bool) -> (Vec<u8>, Vec<u8>) {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 600).await;
    aged.pass(50);
    assert_eq!(aged.retain(&log, &short(delete)).await, 512);
    drop(log);
    (std::fs::read(aged.place.database()).unwrap(), std::fs::read(aged.place.database().with_file_name("subjects.db")).unwrap())
}

/// A guard against our own mistakes: the tables take no other change than the log states.
#[tokio::test]
async fn the_store_lets_nothing_go_that_the_log_did_not_state() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 600).await;
    aged.pass(50);
    aged.retain(&log, &short(true)).await;
    drop(log);
    let attempt = |sql| attempt(&aged.place.database(), sql);
    for sql in [
        "UPDATE leaf SET bytes = x'' WHERE idx = 540",
        "UPDATE leaf SET bytes = x'' WHERE idx = 0",
        "UPDATE leaf SET bytes = x'7b7d' WHERE idx = 40",
        "UPDATE leaf SET hash = zeroblob(32) WHERE idx = 40",
        "UPDATE leaf SET idx = 9999 WHERE idx = 40",
        "DELETE FROM leaf WHERE idx = 40",
        "UPDATE retention SET leaf = leaf + 1, minimum = 256",
        "UPDATE retention SET minimum = 512",
        "DELETE FROM retention",
    ] {
        assert!(attempt(sql).is_err(), "{sql}");
    }
    assert!(attempt("UPDATE leaf SET bytes = x'' WHERE idx = 40").is_ok(), "the control");
}

#[tokio::test]
async fn a_log_put_back_from_before_lets_go_again_what_had_gone() {
    for delete in [false, true] {
        let mut aged = Aged::new();
        let file = aged.place.directory.join("log.anchor");
        let open = |aged: &Aged| {
            let anchor = AnchorPlace { path: file.clone(), lag: Duration::ZERO, accept_missing: false };
            Log::open(&aged.place.database(), signer(), aged.clock(), Settings { anchor: Some(anchor), ..Settings::default() })
        };
        let log = Arc::new(open(&aged).unwrap());
        aged.fill(&log, 300).await;
        drop(log);
        let old = std::fs::read(aged.place.database()).unwrap();
        let log = Arc::new(open(&aged).unwrap());
        aged.fill(&log, 300).await;
        aged.pass(50);
        aged.retain(&log, &short(delete)).await;
        let state = aged.state();
        drop(log);
        let newer = aged.place.directory.join("newer.db");
        std::fs::rename(aged.place.database(), &newer).unwrap();
        std::fs::write(aged.place.database(), &old).unwrap();
        assert_eq!(open(&aged).map(drop).unwrap_err().reason(), Reason::AuditRollbackDetected);
        let leaves = replay(&aged.place.database(), &verifier_key(), &file, &Source::Database(newer)).unwrap();
        assert_eq!((leaves, aged.state()), (303, state));
        let report = aged.check().unwrap();
        assert_eq!((report.receipts, report.unread), (600, if delete { 511 } else { 0 }));
        assert_eq!(
            number(&aged.place.database(), "SELECT count(*) FROM disclosure JOIN leaf USING (entry) WHERE idx < 512 AND idx > 0"),
            0
        );
        drop(open(&aged).unwrap());
    }
}

#[tokio::test]
async fn the_operator_lets_go_at_once_and_keys_that_open_nothing_go_too() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 300).await;
    aged.pass(31);
    aged.fill(&log, 10).await;
    aged.pass(10);
    let run = || async { retain(&aged.place.database(), signer(), aged.clock(), Settings::default(), (&short(true), random)).await };
    let plan = || planned(&aged.place.database(), aged.time.load(Ordering::Relaxed), &short(true)).unwrap();
    let told = plan();
    assert_eq!((told.values, told.after.minimum, told.after.bound("mint")), (600, 256, 301));
    assert_eq!(run().await.unwrap_err().reason(), Reason::LogBusy);
    assert_eq!(aged.leaves("retention"), 0, "a plan changes nothing");
    drop(log);
    let done = run().await.unwrap();
    assert_eq!((done.values, done.keys, done.after.minimum, done.after.deleted), (600, 300, 256, 256));
    assert_eq!(number(&aged.place.database().with_file_name("subjects.db"), "SELECT count(*) FROM subject"), 11);
    let again = run().await.unwrap();
    assert_eq!((again.values, again.keys, again.before), (0, 0, done.after), "run again, it finds nothing");
    assert_eq!(aged.check().unwrap().receipts, 310);
    // a service goes on from there
    let log = aged.open();
    assert_eq!(aged.round(&log, &short(true)).await, 256);
}

#[tokio::test]
async fn a_log_of_the_first_schema_is_read_as_it_is_and_goes_on() {
    let mut aged = Aged::new();
    let log = aged.open();
    aged.fill(&log, 300).await;
    drop(log);
    first_schema(&aged.place.database());
    let bytes = std::fs::read(aged.place.database()).unwrap();
    let report = aged.check().unwrap();
    assert_eq!((report.receipts, report.disclosures, report.retention), (300, 600, None));
    assert_eq!(aged.archive().search(&Query::default()).unwrap().verify(&[verifier_key()]).unwrap().entries.len(), 64);
    assert_eq!(std::fs::read(aged.place.database()).unwrap(), bytes, "reading changes nothing");

    let log = aged.open();
    assert_eq!(number(&aged.place.database(), "PRAGMA user_version"), 8);
    aged.fill(&log, 300).await;
    aged.pass(50);
    assert_eq!(aged.retain(&log, &short(true)).await, 512);
    drop(log);
    assert_eq!(aged.check().unwrap().receipts, 600);
}
