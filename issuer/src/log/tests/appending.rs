use narrows_verifier::Reason;
use narrows_verifier::log::{Leaf, verify};

use super::*;
use crate::store::sqlite_tamper::number;

#[tokio::test]
async fn a_receipt_verifies_offline_and_the_log_passes_the_full_check() {
    let place = Place::new();
    let receipts = filled(&place, 20).await;
    for (position, (receipt, leaf)) in receipts.iter().enumerate() {
        let proved = verify(receipt, leaf, &[verifier_key()]).unwrap();
        assert_eq!((proved.index, proved.size), (position as u64 + 1, position as u64 + 2));
    }
    let evidence = Evidence { receipts: &receipts, checkpoints: &[] };
    let report = check_database(&place.database(), &verifier_key(), evidence).unwrap();
    assert_eq!((report.size, report.checkpoints, report.receipts), (21, 21, 20));
}

#[tokio::test]
async fn the_first_leaf_opens_the_log_under_its_origin() {
    let place = Place::new();
    let log = place.log();
    let first = log.proof(0).unwrap().unwrap();
    let leaf = Leaf::parse(&first.leaf).unwrap();
    assert_eq!((leaf.kind, leaf.origin.as_deref()), (Kind::LogOpen, Some(ORIGIN)));
    verify(&first.receipt, &first.leaf, &[verifier_key()]).unwrap();
    assert_eq!(Log::init(&place.database(), &signer(), opening()).unwrap_err().reason(), Reason::LogBusy);
    drop(log);
    assert_eq!(Log::init(&place.database(), &signer(), opening()).unwrap_err().reason(), Reason::LogExists);
}

#[tokio::test]
async fn a_reopened_log_continues_and_a_second_writer_is_refused() {
    let place = Place::new();
    assert_eq!(place.try_open().err().unwrap().reason(), Reason::LogMissing);
    let log = place.log();
    appended(&log, mint(1), Vec::new()).await;
    assert_eq!(place.try_open().err().unwrap().reason(), Reason::LogBusy);
    drop(log);
    let log = place.open();
    let (index, leaf, receipt) = appended(&log, mint(2), Vec::new()).await;
    assert_eq!(index, 2);
    verify(&receipt, &leaf, &[verifier_key()]).unwrap();
    assert_eq!(place.check().unwrap().size, 3);
}

#[tokio::test]
async fn reporting_a_block_again_answers_its_old_leaf_with_a_valid_receipt() {
    let place = Place::new();
    let log = place.log();
    let draft = |number| Leaf { blocks: vec![block(1)], ..mint(number) };
    let proof = SideRow::SingleUse { key: [7; 32], expires_s: u64::MAX, reason: Reason::ProofReplayed };
    let rows = || vec![SideRow::Derivation { block_id: block(1) }, proof.clone()];
    let (index, leaf, _) = appended(&log, draft(1), rows()).await;
    appended(&log, mint(2), Vec::new()).await;
    match log.append(draft(3), rows()).await.unwrap() {
        Outcome::Existing { index: old_index, leaf: old_leaf, receipt } => {
            assert_eq!((old_index, &old_leaf), (index, &leaf));
            assert_eq!(verify(&receipt, &leaf, &[verifier_key()]).unwrap().size, 3);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(place.check().unwrap().size, 3);
}

#[tokio::test]
async fn a_key_is_spent_once_until_it_expires() {
    let place = Place::new();
    let now_s = NOW_MS / 1000;
    let spend = |expires_s| vec![SideRow::SingleUse { key: [7; 32], expires_s, reason: Reason::ProofReplayed }];
    let log = place.log();
    appended(&log, mint(1), spend(now_s + 60)).await;
    let again = log.append(mint(2), spend(now_s + 60)).await.unwrap();
    assert_eq!(again, Outcome::Refused(Reason::ProofReplayed));
    drop(log);
    // A later commit forgets what has expired by then.
    let log = Log::open(&place.database(), signer(), clock(NOW_MS + 120_000), patient()).unwrap();
    appended(&log, mint(2), Vec::new()).await;
    appended(&log, mint(3), spend(now_s + 300)).await;
}

/// A clock that was ahead let the log forget what was spent; with the true time, that is young again.
#[tokio::test]
async fn what_was_spent_stays_spent_when_the_clock_is_put_back() {
    let place = Place::new();
    let now_s = NOW_MS / 1000;
    let spend = |key, expires_s| vec![SideRow::SingleUse { key: [key; 32], expires_s, reason: Reason::ProofReplayed }];
    let at = |now_ms| Log::open(&place.database(), signer(), clock(now_ms), patient()).unwrap();
    let log = place.log();
    appended(&log, mint(1), spend(7, now_s + 60)).await;
    drop(log);
    let log = at(NOW_MS + 3_600_000);
    appended(&log, mint(2), Vec::new()).await;
    drop(log);
    assert_eq!(number(&place.database(), "SELECT count(*) FROM single_use"), 0, "it was forgotten");
    let log = at(NOW_MS);
    assert_eq!(log.append(mint(3), spend(7, now_s + 60)).await.unwrap(), Outcome::Refused(Reason::ProofReplayed));
    assert_eq!(log.append(mint(3), spend(8, now_s + 60)).await.unwrap(), Outcome::Refused(Reason::ProofReplayed), "nobody knows");
    // an hour ahead did not make the log refuse an hour of proofs
    appended(&log, mint(4), spend(8, now_s + 61)).await;
    drop(log);
    // nor does a year, in which proofs were spent and forgotten as well
    let year_s = 365 * 24 * 3600;
    let log = at(NOW_MS + year_s * 1000);
    appended(&log, mint(5), spend(9, now_s + year_s + 60)).await;
    drop(log);
    let log = at(NOW_MS + (year_s + 61) * 1000);
    appended(&log, mint(6), Vec::new()).await;
    drop(log);
    assert_eq!(number(&place.database(), "SELECT count(*) FROM single_use"), 0, "it was forgotten");
    let log = at(NOW_MS + 100_000);
    for spent in [60, 61, year_s + 60] {
        let again = log.append(mint(7), spend(9, now_s + spent)).await.unwrap();
        assert_eq!(again, Outcome::Refused(Reason::ProofReplayed), "{spent}");
    }
    appended(&log, mint(7), spend(9, now_s + 160)).await;
}

#[tokio::test]
async fn hops_need_a_known_running_task_within_its_quota() {
    let place = Place::new();
    let now_s = NOW_MS / 1000;
    let hop = |number| vec![SideRow::TaskHop { task: task(number) }];
    let open = |number, expires_s| vec![SideRow::NewTask { task: task(number), expires_s, max_hops: 2 }];
    let log = place.log();
    assert_eq!(log.append(mint(1), hop(1)).await.unwrap(), Outcome::Refused(Reason::TaskUnknown));
    appended(&log, mint(2), open(1, now_s + 60)).await;
    appended(&log, mint(3), open(2, now_s)).await;
    assert_eq!(log.append(mint(4), open(1, now_s + 99)).await.unwrap(), Outcome::Refused(Reason::TaskExists));
    appended(&log, mint(5), hop(1)).await;
    appended(&log, mint(6), hop(1)).await;
    assert_eq!(log.append(mint(7), hop(1)).await.unwrap(), Outcome::Refused(Reason::TaskQuota));
    assert_eq!(log.append(mint(8), hop(2)).await.unwrap(), Outcome::Refused(Reason::TaskQuota));
    assert_eq!(log.halted(), None);
    assert_eq!(place.check().unwrap().size, 5);
}

#[tokio::test]
async fn what_a_caller_can_get_wrong_is_refused_without_stopping_the_log() {
    let place = Place::new();
    let log = place.log();
    appended(&log, mint(1), Vec::new()).await;
    let named = Leaf { kind: Kind::Other("Alice did it".to_owned()), ..mint(2) };
    let large = Leaf { blocks: vec![block(1); 1000], ..mint(3) };
    let wrong = vec![SideRow::disclosure(disclosure("client", "another name"))];
    let unbound = vec![SideRow::disclosure(disclosure("nothing", "planner"))];
    let endless = disclosure("client", &"x".repeat(70_000));
    let oversized = committing(mint(7), &[&endless]);
    let incomplete = Leaf { task: None, ..mint(8) };
    for (draft, rows, reason) in [
        (oversized, vec![SideRow::disclosure(endless)], Reason::JsonTooLarge),
        (mint(1), Vec::new(), Reason::EntryExists),
        (named, Vec::new(), Reason::LeafMalformed),
        (incomplete, Vec::new(), Reason::LeafKind),
        (large, Vec::new(), Reason::LeafTooLarge),
        (mint(4), wrong, Reason::DisclosureMismatch),
        (mint(5), unbound, Reason::DisclosureMismatch),
    ] {
        assert_eq!(log.append(draft, rows).await.unwrap(), Outcome::Refused(reason));
    }
    let twice = vec![SideRow::SingleUse { key: [1; 32], expires_s: u64::MAX, reason: Reason::ProofReplayed }; 2];
    appended(&log, mint(6), twice).await;
    assert_eq!(place.check().unwrap().size, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_get_distinct_contiguous_places_and_valid_receipts() {
    let place = Place::new();
    let log = Arc::new(place.log());
    let callers: Vec<_> = (0..64u16)
        .map(|caller| {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                let mut got = Vec::new();
                for round in 0..10 {
                    got.push(appended(&log, mint(caller * 10 + round), Vec::new()).await);
                }
                got
            })
        })
        .collect();
    let mut indices = Vec::new();
    let mut receipts = Vec::new();
    for caller in callers {
        for (index, leaf, receipt) in caller.await.unwrap() {
            assert_eq!(verify(&receipt, &leaf, &[verifier_key()]).unwrap().index, index);
            indices.push(index);
            receipts.push((receipt, leaf));
        }
    }
    indices.sort_unstable();
    assert_eq!(indices, (1..=640).collect::<Vec<_>>());
    let evidence = Evidence { receipts: &receipts, checkpoints: &[] };
    let report = check_database(&place.database(), &verifier_key(), evidence).unwrap();
    assert_eq!((report.size, report.receipts), (641, 640));
    assert!(report.checkpoints < 641, "waiting requests share a commit");
}

#[tokio::test]
async fn a_committed_value_whose_disclosure_is_withheld_is_nowhere_on_disk() {
    let place = Place::new();
    let log = place.log();
    let secret = "pj7-planted-secret-value";
    let withheld = disclosure("tools", secret);
    let shown = disclosure("client", "planner-in-plain-sight");
    let leaf = committing(mint(1), &[&withheld, &shown]);
    appended(&log, leaf, vec![SideRow::disclosure(shown)]).await;
    let found = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for bytes in [place.bytes(), {
        drop(log);
        place.bytes()
    }] {
        assert!(found(&bytes, "\"kind\":\"mint\""), "the search itself works");
        assert!(!found(&bytes, secret));
    }
}
