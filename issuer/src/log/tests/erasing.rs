use narrows_verifier::Reason;
use narrows_verifier::log::{Leaf, verify};

use super::*;
use crate::audit::Index;
use crate::log::{Erasure, Pseudonym, erase, pseudonym};
use crate::store::sqlite_tamper::{number, tamper};

const PROVIDER: &str = "https://login.example";

/// What must be found in no file but in the answer to a reader with all keys.
const PLANTED: [&str; 3] = ["alice.planted@example.org", "planted-agent-name", "planted-argument-4711"];

fn erasure(subject: Pseudonym) -> Erasure {
    Erasure { subject, basis: "art. 17 (1) b".to_owned(), by: "officer".to_owned(), random: crate::app::random }
}

/// A mint for this person, with everything about it disclosed.
async fn mint_for(log: &Log, number: u16, person: &str) -> (String, Vec<u8>) {
    let disclosures = [disclosure("chain/0", person), disclosure("chain/1", PLANTED[1]), disclosure("tools", PLANTED[2])];
    let leaf = committing(derivation(Kind::Mint, number, &[person, PLANTED[1]]), &[&disclosures[2]]);
    let mut rows: Vec<_> = disclosures.into_iter().map(SideRow::disclosure).collect();
    rows.push(SideRow::Subject(log.pseudonym(PROVIDER, person).unwrap()));
    rows.push(SideRow::NewTask { task: leaf.task.unwrap(), expires_s: u64::MAX, max_hops: 9 });
    let (_, leaf, receipt) = appended(log, leaf, rows).await;
    (receipt, leaf)
}

fn of_task(leaf: Leaf, number: u8) -> Leaf {
    Leaf { task: Some(task(number)), ..leaf }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn what_is_disclosed_is_on_disk_only_sealed() {
    let place = Place::new();
    let log = place.log();
    mint_for(&log, 1, PLANTED[0]).await;
    let open = place.bytes();
    drop(log);
    for bytes in [open, place.bytes()] {
        assert!(bytes.len() > 10_000 && PLANTED.iter().all(|text| !holds(&bytes, text)));
    }
    let shown = task_trees(&place.database(), None, 9).unwrap().0[0].to_string();
    assert!(PLANTED.iter().all(|text| shown.contains(text)), "the control: with the keys, all of it can be read: {shown}");
}

#[tokio::test]
async fn a_copy_of_the_log_alone_opens_nothing_and_passes_the_check() {
    let (place, copy) = (Place::new(), Place::new());
    let log = place.log();
    mint_for(&log, 1, PLANTED[0]).await;
    drop(log);
    std::fs::copy(place.database(), copy.database()).unwrap();
    let (all, alone) = (place.check().unwrap(), copy.check().unwrap());
    assert_eq!((all.disclosures, all.erased, all.withheld), (3, 0, 2));
    assert_eq!((alone.disclosures, alone.erased, alone.withheld), (0, 0, 5));
    let shown = task_trees(&copy.database(), None, 9).unwrap().0[0].to_string();
    assert!(PLANTED.iter().all(|text| !shown.contains(text)), "{shown}");
}

#[tokio::test]
async fn an_erased_person_is_gone_from_all_copies_and_every_proof_holds() {
    let (place, backup) = (Place::new(), Place::new());
    let log = place.log();
    let mut receipts = vec![mint_for(&log, 1, PLANTED[0]).await];
    // a hop of the task is about the same person, whom only the task's row knows
    let hop = derivation(Kind::Hop, 2, &[PLANTED[0], PLANTED[1]]);
    let hop = appended(&log, hop, vec![SideRow::disclosure(disclosure("chain/0", PLANTED[0]))]).await;
    receipts.push((hop.2, hop.1));
    let other = of_task(derivation(Kind::Mint, 3, &["bob", "planner"]), 2);
    let rows = vec![SideRow::disclosure(disclosure("chain/0", "bob")), SideRow::Subject(log.pseudonym(PROVIDER, "bob").unwrap())];
    appended(&log, other, rows).await;
    let alice = log.pseudonym(PROVIDER, PLANTED[0]).unwrap();
    let busy = erase(&place.database(), signer(), clock(NOW_MS), patient(), &erasure(alice)).await.unwrap_err();
    assert_eq!(busy.reason(), Reason::LogBusy);
    drop(log);
    std::fs::copy(place.database(), backup.database()).unwrap();
    assert_eq!(pseudonym(&place.database(), PROVIDER, PLANTED[0]).unwrap(), alice);

    let (leaf, receipt) = erase(&place.database(), signer(), clock(NOW_MS), patient(), &erasure(alice)).await.unwrap();
    let recorded = Leaf::parse(&leaf).unwrap();
    assert_eq!(recorded.kind, Kind::Erasure);
    verify(&receipt, &leaf, &[verifier_key()]).unwrap();
    receipts.push((receipt, leaf));
    let report = check_database(&place.database(), &verifier_key(), Evidence { receipts: &receipts, checkpoints: &[] }).unwrap();
    // bob's name and the erasure's own three stay; of alice's four nothing does
    assert_eq!((report.receipts, report.disclosures, report.erased), (3, 4, 4));
    let shown = task_trees(&place.database(), None, 9).unwrap().0.iter().map(ToString::to_string).collect::<String>();
    assert!(shown.contains("bob") && PLANTED.iter().all(|text| !shown.contains(text)), "{shown}");
    assert_eq!(number(&place.database(), "SELECT count(*) FROM disclosure WHERE sealed IS NULL"), 2);

    // a copy of the log from before, read with the keys of today
    std::fs::copy(place.database().with_file_name("subjects.db"), backup.database().with_file_name("subjects.db")).unwrap();
    let old = backup.check().unwrap();
    assert_eq!((old.disclosures, old.erased), (1, 4));
    let again = erase(&place.database(), signer(), clock(NOW_MS), patient(), &erasure(alice)).await.unwrap_err();
    assert_eq!(again.reason(), Reason::SubjectUnknown);
    assert_eq!(place.check().unwrap().size, 5, "a refused erasure writes nothing");
}

#[tokio::test]
async fn a_key_destroyed_while_the_log_runs_is_in_no_file_and_the_log_goes_on() {
    let place = Place::new();
    let log = place.log();
    mint_for(&log, 1, PLANTED[0]).await;
    let alice = log.pseudonym(PROVIDER, PLANTED[0]).unwrap();
    let subjects = place.database().with_file_name("subjects.db");
    let key = crate::store::sqlite_tamper::blob(&subjects, "SELECT key FROM subject LIMIT 1");
    let sealed = crate::store::sqlite_tamper::blob(&place.database(), "SELECT sealed FROM disclosure LIMIT 1");
    let found = |part: &[u8]| place.bytes().windows(part.len()).any(|window| window == part);
    assert!(found(&key) && found(&sealed), "the control");
    let erasing = || (derivation(Kind::Erasure, 9, &[]), vec![SideRow::Erase(alice), SideRow::Shred(alice)]);
    let leaf = |number: u16| Leaf { id: entry(number), task: None, blocks: Vec::new(), ..erasing().0 };

    // a reader in the middle of something: the leaf is there, the key is too, and the log takes on
    let reader = crate::store::Snapshot::open(&place.database()).unwrap();
    let held = log.append(leaf(9), erasing().1).await.unwrap_err();
    assert_eq!((held.reason(), held.retry_after_s()), (Reason::AuditUnavailable, Some(2)));
    assert!(log.knows(alice).unwrap() && log.halted().is_none());
    drop(reader);
    appended(&log, leaf(10), erasing().1).await;
    assert!(!log.knows(alice).unwrap() && !found(&key) && !found(&sealed));
    appended(&log, leaf(11), Vec::new()).await;
    drop(log);
    assert_eq!(place.check().unwrap().erased, 3);
}

#[tokio::test]
async fn an_index_that_ends_forgets_an_erased_name_also_where_it_is_behind() {
    let place = Place::new();
    let log = place.log();
    mint_for(&log, 1, PLANTED[0]).await;
    let file = place.database().with_file_name("index.db");
    let index = Index::open(&file).unwrap();
    assert_eq!(index.catch_up(&place.database()).unwrap(), 2);
    let named = || number(&file, "SELECT count(DISTINCT idx) FROM term WHERE field >= 32");
    let alice = log.pseudonym(PROVIDER, PLANTED[0]).unwrap();
    let leaf = Leaf { id: entry(9), task: None, blocks: Vec::new(), ..derivation(Kind::Erasure, 9, &[]) };
    appended(&log, leaf, vec![SideRow::Erase(alice), SideRow::Shred(alice)]).await;
    assert_eq!(named(), 1, "the control");
    assert_eq!(index.compare(&place.database()).unwrap(), 2, "it has not read of the erasure yet");
    index.let_go(&place.database()).unwrap();
    assert_eq!(named(), 0);
    assert_eq!(index.catch_up(&place.database()).unwrap(), 3);
    assert_eq!(index.compare(&place.database()).unwrap(), 3);
}

#[tokio::test]
async fn nobody_is_no_person_whose_disclosures_can_be_erased() {
    let place = Place::new();
    let log = place.log();
    let leaf = committing(derivation(Kind::Mint, 1, &["alice"]), &[]);
    appended(&log, leaf, vec![SideRow::disclosure(disclosure("chain/0", "alice")), SideRow::Subject(crate::store::NOBODY)]).await;
    assert!(!log.knows(crate::store::NOBODY).unwrap());
    drop(log);
    let asked = erase(&place.database(), signer(), clock(NOW_MS), patient(), &erasure(crate::store::NOBODY)).await;
    assert_eq!(asked.unwrap_err().reason(), Reason::SubjectUnknown);
    assert_eq!(number(&place.database(), "SELECT count(*) FROM disclosure WHERE sealed IS NULL"), 0);
}

#[tokio::test]
async fn a_destroyed_key_is_in_no_file() {
    let place = Place::new();
    let log = place.log();
    mint_for(&log, 1, PLANTED[0]).await;
    let alice = log.pseudonym(PROVIDER, PLANTED[0]).unwrap();
    drop(log);
    let subjects = place.database().with_file_name("subjects.db");
    let key = crate::store::sqlite_tamper::blob(&subjects, "SELECT key FROM subject LIMIT 1");
    let found = |bytes: &[u8]| bytes.windows(key.len()).any(|window| window == key);
    assert!(key.len() == 32 && found(&place.bytes()), "the control");
    erase(&place.database(), signer(), clock(NOW_MS), patient(), &erasure(alice)).await.unwrap();
    assert!(!found(&place.bytes()));
}

/// As a crash leaves it between the deletion of the key and the cleaning of the journal.
#[tokio::test]
async fn an_erasure_that_was_cut_short_can_be_run_again() {
    let place = Place::new();
    let log = place.log();
    mint_for(&log, 1, PLANTED[0]).await;
    let alice = log.pseudonym(PROVIDER, PLANTED[0]).unwrap();
    drop(log);
    tamper(
        &place.database().with_file_name("subjects.db"),
        "INSERT INTO leaving SELECT pseudonym FROM subject; DELETE FROM subject WHERE pseudonym IN (SELECT pseudonym FROM leaving);",
    );
    let run = || async { erase(&place.database(), signer(), clock(NOW_MS), patient(), &erasure(alice)).await };
    run().await.unwrap();
    assert_eq!(run().await.unwrap_err().reason(), Reason::SubjectUnknown, "now it is done");
    assert_eq!(number(&place.database().with_file_name("subjects.db"), "SELECT count(*) FROM leaving"), 0);
}

/// Neither may a sealed value be passed off as that of another row.
#[tokio::test]
async fn a_sealed_value_that_was_changed_or_moved_is_found() {
    for sql in [
        "UPDATE disclosure SET sealed = zeroblob(length(sealed)) WHERE instr(name, 'tools') > 0;",
        "UPDATE disclosure SET sealed = zeroblob(3) WHERE instr(name, 'tools') > 0;",
        "UPDATE disclosure SET sealed = (SELECT sealed FROM disclosure WHERE name = 'chain/0') WHERE instr(name, 'tools') > 0;",
        "UPDATE disclosure SET name = replace(name, 'tools', 'client');",
        "UPDATE disclosure SET name = replace(name, char(10) || 'tools', '');",
        "INSERT INTO disclosure SELECT entry, 'tools', zeroblob(16), NULL, 0 FROM disclosure WHERE instr(name, 'tools') > 0;",
    ] {
        let place = Place::new();
        let log = place.log();
        mint_for(&log, 1, PLANTED[0]).await;
        let other = of_task(derivation(Kind::Mint, 3, &[PLANTED[0], "planner"]), 2);
        let rows =
            vec![SideRow::disclosure(disclosure("chain/0", PLANTED[0])), SideRow::Subject(log.pseudonym(PROVIDER, PLANTED[0]).unwrap())];
        appended(&log, other, rows).await;
        drop(log);
        place.check().unwrap();
        tamper(&place.database(), sql);
        assert_eq!(place.check().unwrap_err().reason, Reason::DisclosureMismatch, "{sql}");
    }
}

#[tokio::test]
async fn pseudonyms_of_different_people_differ_and_need_the_key() {
    let (place, other) = (Place::new(), Place::new());
    let (log, elsewhere) = (place.log(), other.log());
    let of = |log: &Log, issuer: &str, subject: &str| log.pseudonym(issuer, subject).unwrap();
    assert_eq!(of(&log, "a", "bc"), of(&log, "a", "bc"));
    assert_ne!(of(&log, "a", "bc"), of(&log, "ab", "c"));
    assert_ne!(of(&log, "a", "bc"), of(&elsewhere, "a", "bc"));
}
