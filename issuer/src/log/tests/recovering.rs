//! Ways on after a rollback: the missing leaves come back to where they were, or a new log says what became of the old.

use std::time::Duration;

use narrows_verifier::Reason;
use narrows_verifier::log::verify_checkpoint;

use super::*;
use crate::store::sqlite_tamper::tamper;

fn anchor_file(place: &Place) -> PathBuf {
    place.directory.join("log.anchor")
}

fn open(place: &Place) -> Result<Log, LogError> {
    let anchor = AnchorPlace { path: anchor_file(place), lag: Duration::ZERO, accept_missing: false };
    Log::open(&place.database(), signer(), clock(NOW_MS), Settings { anchor: Some(anchor), ..patient() })
}

/// A log of `count` leaves and more, put back to where it had three; the newer copy, and what it had answered.
async fn rolled_back(place: &Place, count: u16) -> (PathBuf, Vec<(String, Vec<u8>)>) {
    Log::init(&place.database(), &signer(), opening()).unwrap();
    let log = open(place).unwrap();
    let mut receipts = Vec::new();
    for number in 0..2 {
        let (_, leaf, receipt) = appended(&log, mint(number), Vec::new()).await;
        receipts.push((receipt, leaf));
    }
    drop(log);
    let old = std::fs::read(place.database()).unwrap();
    let log = open(place).unwrap();
    for number in 2..count {
        let (_, leaf, receipt) = appended(&log, mint(number), Vec::new()).await;
        receipts.push((receipt, leaf));
    }
    export(&log, place);
    drop(log);
    let newer = place.directory.join("newer.db");
    std::fs::rename(place.database(), &newer).unwrap();
    std::fs::write(place.database(), old).unwrap();
    assert_eq!(open(place).map(drop).unwrap_err().reason(), Reason::AuditRollbackDetected);
    (newer, receipts)
}

/// Every bundle of entries as it is served, under its path.
fn export(log: &Log, place: &Place) {
    let size = verify_checkpoint(&log.checkpoint().unwrap(), &[verifier_key()]).unwrap().size;
    for index in 0..size.div_ceil(256) {
        let width = (size - index * 256).min(256) as u16;
        let path = TilePath::new(TileKind::Entries, index, width).unwrap();
        let file = place.directory.join("tiles").join(path.to_string());
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, log.tile(&path).unwrap().unwrap()).unwrap();
    }
}

#[tokio::test]
async fn missing_leaves_come_back_from_a_copy_or_from_tiles_with_every_receipt() {
    let place = Place::new();
    let (newer, receipts) = rolled_back(&place, 300).await;
    let old = std::fs::read(place.database()).unwrap();
    for source in [Source::Database(newer), Source::Bundles(place.directory.join("tiles"))] {
        std::fs::write(place.database(), &old).unwrap();
        assert_eq!(replay(&place.database(), &verifier_key(), &anchor_file(&place), &source).unwrap(), 298);
        let evidence = Evidence { receipts: &receipts, checkpoints: &[] };
        let report = check_database(&place.database(), &verifier_key(), evidence).unwrap();
        assert_eq!((report.size, report.receipts), (301, 300));
        assert_eq!(replay(&place.database(), &verifier_key(), &anchor_file(&place), &source).unwrap(), 0, "once more is harmless");
        drop(open(&place).unwrap());
    }
}

#[tokio::test]
async fn revocations_come_back_with_their_leaves_and_the_check_names_those_that_do_not() {
    use crate::revocation::Target;
    let place = Place::new();
    Log::init(&place.database(), &signer(), opening()).unwrap();
    drop(open(&place).unwrap());
    let old = std::fs::read(place.database()).unwrap();
    let log = open(&place).unwrap();
    let targets = [(Target::Block(block(1)), None), (Target::Task(task(2)), None), (Target::Key([4; 32]), Some(NOW_MS / 1000))];
    for (number, (target, before)) in (1..).zip(&targets) {
        revoking::revoke(&log, number, target, *before).await;
    }
    export(&log, &place);
    let known: Vec<_> = log.live().at(0).0.iter().collect();
    drop(log);
    let newer = place.directory.join("newer.db");
    std::fs::rename(place.database(), &newer).unwrap();
    let back = |source: &Source| {
        std::fs::write(place.database(), &old).unwrap();
        assert_eq!(replay(&place.database(), &verifier_key(), &anchor_file(&place), source).unwrap(), 3);
        let entries: Vec<_> = open(&place).unwrap().live().at(0).0.iter().collect();
        (
            entries,
            check_database(&place.database(), &verifier_key(), Evidence::default()).map_err(|finding| (finding.reason, finding.index)),
        )
    };
    // the copy's disclosures stay there, so what a cut-off reaches is taken from its row
    assert_eq!(back(&Source::Database(newer)).0, known);
    let (entries, checked) = back(&Source::Bundles(place.directory.join("tiles")));
    assert_eq!(entries, known[..2], "a cut-off names nobody in clear");
    assert_eq!(checked.unwrap_err(), (Reason::LogRevocationsChanged, Some(3)));
}

#[tokio::test]
async fn what_does_not_lead_to_the_anchor_is_not_replayed() {
    let place = Place::new();
    let (newer, _) = rolled_back(&place, 6).await;
    let old = place.check().unwrap();
    let replayed = |source: &Source| replay(&place.database(), &verifier_key(), &anchor_file(&place), source).unwrap_err().reason();
    // another branch with the log's own key
    let branch = Place::new();
    std::fs::copy(place.database(), branch.database()).unwrap();
    let log = branch.open();
    for number in 40..44 {
        appended(&log, mint(number), Vec::new()).await;
    }
    assert_eq!(replayed(&Source::Database(branch.database())), Reason::AuditRollbackDetected);
    drop(log);
    tamper(&newer, "DELETE FROM leaf WHERE idx = 5;");
    assert_eq!(replayed(&Source::Database(newer)), Reason::LogTailMissing);
    assert_eq!(replayed(&Source::Bundles(place.directory.clone())), Reason::LogTailMissing);
    assert_eq!(place.check().unwrap(), old, "nothing was written");
}

#[tokio::test]
async fn a_new_log_names_the_old_one_its_end_and_the_cause() {
    let place = Place::new();
    rolled_back(&place, 6).await;
    let known = last_checkpoint(&place.database(), &anchor_file(&place), &verifier_key()).unwrap();
    assert_eq!(verify_checkpoint(&known, &[verifier_key()]).unwrap().size, 7, "the anchor knows more than the database");

    let new = Place::new();
    let signer = || LogSigner::new("log.example/narrows-2", &Zeroizing::new([5; 32])).unwrap();
    let revoked = revoking::revoked(&crate::revocation::Target::Block(block(1)), None);
    let paused = vec![Target::Agent("crawler".to_owned())];
    let kept = Kept { revoked: vec![revoked], paused, epoch: 5, ..Kept::default() };
    let previous = Previous { checkpoint: known.clone(), cause: "the disk was lost".to_owned(), kept };
    Log::init_after(&new.database(), &signer(), opening(), &previous).unwrap();
    let log = Log::open(&new.database(), signer(), clock(NOW_MS), patient()).unwrap();
    let first = log.proof(0).unwrap().unwrap();
    let leaf = Leaf::parse(&first.leaf).unwrap();
    assert_eq!(leaf.fields.keys().collect::<Vec<_>>(), ["cause", "kept", "previous"]);
    let report = check_database(&new.database(), signer().verifier_key(), Evidence::default()).unwrap();
    assert_eq!((report.size, report.disclosures, report.revocations), (1, 3, 1));
    assert_eq!(log.epoch(), 6, "from which the feed counts on");
    assert_eq!(log.live().at(0).0.len(), 2, "what was revoked, and who is paused");
    drop(log);
    assert_eq!(recover::kept(&new.database()).unwrap(), Kept { epoch: 6, ..previous.kept });
}

#[tokio::test]
async fn a_running_service_is_not_recovered_under() {
    let place = Place::new();
    let _log = place.log();
    let error = last_checkpoint(&place.database(), &anchor_file(&place), &verifier_key()).unwrap_err();
    assert_eq!(error.reason(), Reason::LogBusy);
}
