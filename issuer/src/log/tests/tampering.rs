use narrows_verifier::Reason;
use narrows_verifier::log::{Leaf, node_hash};

use super::*;
use crate::store::sqlite_tamper::tamper;

/// Twelve leaves, then the SQL; what the full check says, and whether the log still opens for writing.
async fn after(sql: &str) -> (Result<Report, Finding>, Result<(), LogError>) {
    let place = Place::new();
    filled(&place, 11).await;
    place.check().unwrap();
    tamper(&place.database(), sql);
    (place.check(), place.try_open().map(drop))
}

async fn finding(sql: &str) -> (Reason, Option<u64>) {
    let finding = after(sql).await.0.unwrap_err();
    (finding.reason, finding.index)
}

#[tokio::test]
async fn every_change_to_the_file_is_found_and_named() {
    for (sql, reason, index) in [
        (
            "UPDATE leaf SET bytes = CAST(replace(CAST(bytes AS TEXT), 'allow', 'block') AS BLOB) WHERE idx = 4;",
            Reason::LogLeafChanged,
            Some(4),
        ),
        ("UPDATE leaf SET hash = zeroblob(32) WHERE idx = 5;", Reason::LogLeafChanged, Some(5)),
        ("INSERT INTO node VALUES (8, 0, zeroblob(32));", Reason::LogHashChanged, None),
        (
            "UPDATE checkpoint SET note = replace(note, char(10) || '7' || char(10), char(10) || '8' || char(10)) WHERE size = 7;",
            Reason::CheckpointSignature,
            Some(6),
        ),
        ("UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 6) WHERE size = 7;", Reason::LogRootMismatch, Some(6)),
        ("UPDATE checkpoint SET note = 'nothing' WHERE size = 7;", Reason::NoteMalformed, Some(6)),
        ("UPDATE checkpoint SET root = zeroblob(32) WHERE size = 7;", Reason::LogRootMismatch, Some(6)),
        ("DELETE FROM checkpoint WHERE size = 12;", Reason::LogRootMismatch, None),
        ("DELETE FROM leaf WHERE idx = 11;", Reason::LogTailMissing, Some(11)),
        ("DELETE FROM leaf WHERE idx > 8;", Reason::LogTailMissing, Some(9)),
        (
            "DELETE FROM leaf WHERE idx = 11; UPDATE head SET size = 11, root = (SELECT root FROM checkpoint WHERE size = 11);",
            Reason::LogTailMissing,
            Some(11),
        ),
        ("DELETE FROM leaf WHERE idx = 3;", Reason::LogLeafMissing, Some(3)),
        ("DELETE FROM leaf WHERE idx = 0;", Reason::LogLeafMissing, Some(0)),
        (
            "UPDATE leaf SET idx = -1 WHERE idx = 4; UPDATE leaf SET idx = 4 WHERE idx = 7; UPDATE leaf SET idx = 7 WHERE idx = -1;",
            Reason::LogRootMismatch,
            Some(4),
        ),
        ("DELETE FROM leaf WHERE idx = 3; UPDATE leaf SET idx = idx - 1 WHERE idx > 3;", Reason::LogRootMismatch, Some(3)),
        ("UPDATE leaf SET entry = zeroblob(16) WHERE idx = 4;", Reason::LogIndexChanged, Some(4)),
        ("UPDATE head SET root = zeroblob(32);", Reason::LogRootMismatch, None),
        ("UPDATE head SET size = 13;", Reason::LogTailMissing, Some(12)),
        ("UPDATE head SET size = 11;", Reason::LogRootMismatch, Some(11)),
        ("DELETE FROM head;", Reason::LogTailMissing, None),
        ("INSERT INTO derivation VALUES (zeroblob(32), 2);", Reason::LogIndexChanged, Some(2)),
        (
            "INSERT INTO disclosure SELECT entry, 'agent', zeroblob(16), zeroblob(64), 0 FROM leaf WHERE idx = 2;",
            Reason::DisclosureMismatch,
            Some(2),
        ),
        ("UPDATE leaf SET hash = x'00' WHERE idx = 2;", Reason::LogUnreadable, None),
    ] {
        assert_eq!(finding(sql).await, (reason, index), "{sql}");
    }
}

/// Hashes above the leaves are stored for whole tiles only, so this log has two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_to_a_stored_hash_is_found_and_named() {
    let place = Place::new();
    let log = Arc::new(place.log());
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..540 {
        let log = Arc::clone(&log);
        callers.spawn(async move { appended(&log, mint(number), Vec::new()).await });
    }
    callers.join_all().await;
    drop(log);
    let whole = std::fs::read(place.database()).unwrap();
    for (sql, index) in [
        ("UPDATE node SET hash = zeroblob(32) WHERE idx = 1;", 256),
        ("DELETE FROM node WHERE idx = 0;", 0),
        ("UPDATE node SET idx = 2 WHERE idx = 1;", 256),
    ] {
        let changed = Place::new();
        std::fs::write(changed.database(), &whole).unwrap();
        changed.check().unwrap();
        tamper(&changed.database(), sql);
        let finding = changed.check().unwrap_err();
        assert_eq!((finding.reason, finding.index), (Reason::LogHashChanged, Some(index)), "{sql}");
        let refused = changed.try_open().map(drop).unwrap_err().reason();
        assert!(matches!(refused, Reason::LogHashChanged | Reason::LogRootMismatch | Reason::LogUnreadable), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn a_damaged_edge_or_a_hole_keeps_the_log_from_opening() {
    for (sql, reason) in [
        ("DELETE FROM leaf WHERE idx = 3;", Reason::LogLeafMissing),
        ("DELETE FROM leaf WHERE idx = 11;", Reason::LogTailMissing),
        ("UPDATE leaf SET bytes = x'7b7d' WHERE idx = 11;", Reason::LogLeafChanged),
        (
            "UPDATE leaf SET idx = -1 WHERE idx = 4; UPDATE leaf SET idx = 4 WHERE idx = 7; UPDATE leaf SET idx = 7 WHERE idx = -1;",
            Reason::LogRootMismatch,
        ),
        ("UPDATE head SET size = 11, root = (SELECT root FROM checkpoint WHERE size = 11);", Reason::LogTailMissing),
        ("UPDATE head SET root = zeroblob(32);", Reason::LogRootMismatch),
        ("DELETE FROM checkpoint WHERE size = 12;", Reason::LogRootMismatch),
        ("UPDATE checkpoint SET note = replace(note, '12', '13') WHERE size = 12;", Reason::CheckpointSignature),
        ("DELETE FROM checkpoint;", Reason::LogTailMissing),
        ("DELETE FROM head;", Reason::LogTailMissing),
    ] {
        assert_eq!(after(sql).await.1.unwrap_err().reason(), reason, "{sql}");
    }
}

/// Someone with the file but not the key rewrites a leaf and every hash above it.
#[tokio::test]
async fn a_tree_hashed_anew_without_the_key_is_found() {
    let place = Place::new();
    let log = place.log();
    let (_, leaf, _) = appended(&log, mint(1), Vec::new()).await;
    let first = log.proof(0).unwrap().unwrap().leaf;
    drop(log);
    let forged = Leaf { dev: true, ..Leaf::parse(&leaf).unwrap() }.to_bytes().unwrap();
    let hash = leaf_hash(&forged);
    let root = node_hash(&leaf_hash(&first), &hash);
    tamper(
        &place.database(),
        &format!(
            "UPDATE leaf SET bytes = CAST('{}' AS BLOB), hash = x'{hash:?}' WHERE idx = 1; 
             UPDATE head SET root = x'{root:?}'; UPDATE checkpoint SET root = x'{root:?}' WHERE size = 2;",
            String::from_utf8(forged).unwrap()
        ),
    );
    assert_eq!(place.check().unwrap_err().reason, Reason::LogRootMismatch);
    assert!(place.try_open().is_err());
}

/// A clean cut, checkpoints and head included, is consistent in itself: only what others kept reveals it.
#[tokio::test]
async fn a_log_cut_cleanly_is_found_by_a_kept_receipt_or_checkpoint() {
    let place = Place::new();
    let receipts = filled(&place, 11).await;
    let kept = [place.open().checkpoint().unwrap()];
    tamper(
        &place.database(),
        "DELETE FROM leaf WHERE idx >= 8;
         DELETE FROM checkpoint WHERE size > 8; UPDATE head SET size = 8, root = (SELECT root FROM checkpoint WHERE size = 8);",
    );
    assert_eq!(place.check().unwrap().size, 8);
    let check = |evidence| check_database(&place.database(), &verifier_key(), evidence);
    let finding = check(Evidence { receipts: &receipts, checkpoints: &[] }).unwrap_err();
    assert_eq!((finding.reason, finding.index), (Reason::LogTailMissing, Some(8)));
    let finding = check(Evidence { receipts: &[], checkpoints: &kept }).unwrap_err();
    assert_eq!((finding.reason, finding.index), (Reason::LogTailMissing, Some(8)));
    check(Evidence { receipts: &receipts[..7], checkpoints: &[] }).unwrap();
}

/// The holder of the log key rewrites everything: a kept receipt of the old tree no longer fits.
#[tokio::test]
async fn a_log_rewritten_with_its_key_contradicts_kept_receipts() {
    let (old, new) = (Place::new(), Place::new());
    let receipts = filled(&old, 3).await;
    let log = new.log();
    for number in 10..13 {
        appended(&log, mint(number), Vec::new()).await;
    }
    let kept = [old.open().checkpoint().unwrap()];
    new.check().unwrap();
    let check = |evidence| check_database(&new.database(), &verifier_key(), evidence).unwrap_err().reason;
    assert_eq!(check(Evidence { receipts: &receipts, checkpoints: &[] }), Reason::LogReceiptInvalid);
    assert_eq!(check(Evidence { receipts: &[], checkpoints: &kept }), Reason::LogRootMismatch);
}

#[tokio::test]
async fn receipts_and_fetched_pieces_that_do_not_fit_are_refused() {
    let place = Place::new();
    let receipts = filled(&place, 5).await;
    let other = vec![(receipts[1].0.clone(), receipts[2].1.clone())];
    let evidence = Evidence { receipts: &other, checkpoints: &[] };
    let error = check_database(&place.database(), &verifier_key(), evidence).unwrap_err();
    assert_eq!(error.reason, Reason::LogReceiptInvalid);

    let log = place.open();
    let checkpoint = log.checkpoint().unwrap();
    let leaves: Vec<Vec<u8>> = (0..6).map(|index| log.proof(index).unwrap().unwrap().leaf).collect();
    let check = |leaves: &[Vec<u8>]| check_pieces(leaves, &checkpoint, &verifier_key(), Evidence::default());
    assert_eq!(check(&leaves).unwrap().size, 6);
    assert_eq!(check(&leaves[..5]).unwrap_err().reason, Reason::LogTailMissing);
    assert_eq!(check(&leaves[1..]).unwrap_err().reason, Reason::LeafMalformed);
    let mut swapped = leaves.clone();
    swapped.swap(2, 3);
    assert_eq!(check(&swapped).unwrap_err().reason, Reason::LogRootMismatch);
    let mut longer = leaves.clone();
    longer.push(receipts[0].1.clone());
    assert_eq!(check(&longer).unwrap_err().reason, Reason::LogRootMismatch);
}

#[tokio::test]
async fn a_disclosure_that_does_not_open_its_commitment_is_no_name() {
    let place = Place::new();
    let log = place.log();
    appended(&log, mint(1), vec![SideRow::disclosure(disclosure("chain/0", "alice"))]).await;
    drop(log);
    tamper(&place.database(), "UPDATE disclosure SET sealed = zeroblob(length(sealed));");
    let finding = task_trees(&place.database(), None, 9).unwrap_err();
    assert_eq!((finding.reason, finding.index), (Reason::DisclosureMismatch, Some(1)));
    tamper(&place.database(), "DELETE FROM disclosure;");
    assert_eq!(place.check().unwrap().disclosures, 0);
    assert!(task_trees(&place.database(), None, 9).unwrap().0[0].to_string().contains("person withheld\n└─ agent withheld"));
}
