//! Revocations in the log: with their leaf or not at all, known in memory before anybody is answered, and held against the
//! leaves by the full check.

use narrows_verifier::Reason;
use narrows_verifier::log::{Leaf, Verdict};
use narrows_verifier::revocation::Revocation;

use super::*;
use crate::log::{KnownTask, MintedRow};
use crate::revocation::{FORGET_AFTER_S, LONGEST_REACH_S, Revoked, Standing, Target};
use crate::store::sqlite_tamper::tamper;

const NOW_S: u64 = NOW_MS / 1000;
const UNTIL_S: u64 = NOW_S + 900;

/// A revocation as the issuer writes it.
pub(super) fn revocation(number: u16, target: &Target, before_s: Option<u64>) -> (Leaf, Vec<SideRow>) {
    let opens = |name: &str, value: Value| Disclosure { name: name.to_owned(), salt: Salt::new([0x5a; 16]), value };
    let seconds = |time: u64| Value::Integer(i64::try_from(time).unwrap());
    let mut disclosures = vec![opens("by", Value::Text("client planner".to_owned())), opens("until", seconds(UNTIL_S))];
    disclosures.extend(before_s.map(|before| opens("cut_off", seconds(before))));
    let named = match target {
        Target::Subject(_) => Some("subject"),
        Target::Agent(_) => Some("agent"),
        Target::Key(_) => Some("holder"),
        Target::Block(_) | Target::Task(_) => None,
    };
    disclosures.extend(named.map(|name| opens(name, Value::Text(target.name().into_owned()))));
    let mut leaf = Leaf::draft(Kind::Revoke, entry(number), TraceId::new([9; 16]));
    match target {
        Target::Block(block) => (leaf.blocks, leaf.task) = (vec![*block], Some(task(1))),
        Target::Task(task) => leaf.task = Some(*task),
        _ => {}
    }
    let leaf = committing(leaf, &disclosures.iter().collect::<Vec<_>>());
    let mut rows = vec![SideRow::Revoke(revoked(target, before_s))];
    rows.extend(disclosures.into_iter().map(SideRow::disclosure));
    (leaf, rows)
}

/// Its row.
pub(super) fn revoked(target: &Target, before_s: Option<u64>) -> Revoked {
    Revoked { target: target.clone(), before_s, until_s: UNTIL_S }
}

pub(super) async fn revoke(log: &Log, number: u16, target: &Target, before_s: Option<u64>) -> Outcome {
    let (leaf, rows) = revocation(number, target, before_s);
    log.append(leaf, rows).await.unwrap()
}

/// One of each kind.
fn targets() -> [(Target, Option<u64>); 5] {
    [
        (Target::Block(block(1)), None),
        (Target::Task(task(2)), None),
        (Target::Subject("p-1".to_owned()), Some(NOW_S)),
        (Target::Agent("crawler".to_owned()), Some(NOW_S)),
        (Target::Key([4; 32]), Some(NOW_S)),
    ]
}

fn entries(log: &Log, now_s: u64) -> Vec<Revocation> {
    log.live().at(now_s).0.iter().collect()
}

#[tokio::test]
async fn what_is_revoked_is_known_when_the_answer_comes_and_after_a_restart() {
    let place = Place::new();
    let log = place.log();
    for (number, (target, before)) in (1..).zip(targets()) {
        assert!(matches!(revoke(&log, number, &target, before).await, Outcome::Appended { .. }));
        let entry = revoked(&target, before).entry();
        assert!(entries(&log, NOW_S).contains(&entry), "{entry:?}");
    }
    let before = entries(&log, NOW_S);
    let epoch = log.epoch();
    drop(log);
    let log = place.open();
    assert_eq!((before.len(), entries(&log, NOW_S)), (5, before));
    assert_eq!(log.epoch(), epoch + 1, "from which the feed counts on");
    assert_eq!(place.check().unwrap().revocations, 5);
}

#[tokio::test]
async fn revoking_again_writes_no_second_leaf_and_a_later_cut_off_does() {
    let place = Place::new();
    let log = place.log();
    for (number, (target, before)) in (1..).zip(targets()) {
        let Outcome::Appended { index, leaf, .. } = revoke(&log, number, &target, before).await else { panic!("{target:?}") };
        let again = revoke(&log, number + 100, &target, before).await;
        assert!(matches!(again, Outcome::Existing { index: old, leaf: ref bytes, .. } if old == index && *bytes == leaf), "{again:?}");
    }
    let cut_off = |before| (Target::Key([4; 32]), Some(before));
    let (target, before) = cut_off(NOW_S - 1);
    assert!(matches!(revoke(&log, 200, &target, before).await, Outcome::Existing { .. }), "an earlier one is said already");
    let (target, before) = cut_off(NOW_S + 1);
    assert!(matches!(revoke(&log, 201, &target, before).await, Outcome::Appended { index: 6, .. }));
    assert!(entries(&log, NOW_S).contains(&Revocation::Key([4; 32], NOW_S + 1)));
    let report = place.check().unwrap();
    assert_eq!((report.size, report.revocations), (7, 5), "the leaf of the earlier cut-off is held by the row of the later");
}

#[tokio::test]
async fn nothing_that_stands_on_what_is_revoked_is_appended_behind_it() {
    let place = Place::new();
    let log = place.log();
    let standing = Standing { targets: targets().map(|(target, _)| target).into(), issued_s: NOW_S - 1 };
    let derive = async |number, standing: &Standing| {
        let outcome = log.append(mint(number), vec![SideRow::Stands(standing.clone())]).await.unwrap();
        if let Outcome::Refused(reason) = outcome { Some(reason) } else { None }
    };
    assert_eq!(derive(1, &standing).await, None);
    for (number, (target, before)) in (10..).zip(targets()) {
        revoke(&log, number, &target, before).await;
        let alone = |issued_s| Standing { targets: vec![target.clone()], issued_s };
        assert_eq!(derive(number + 10, &alone(NOW_S - 1)).await, Some(Reason::Revoked), "{target:?}");
        let later = derive(number + 20, &alone(NOW_S)).await;
        assert_eq!(later, if before.is_some() { None } else { Some(Reason::Revoked) }, "issued in the second of the cut-off: {target:?}");
    }
    let others = [Target::Block(block(9)), Target::Task(task(9)), Target::Subject("crawler".to_owned()), Target::Agent("p-1".to_owned())];
    assert_eq!(derive(40, &Standing { targets: others.into(), issued_s: NOW_S - 1 }).await, None);
}

/// Of a revocation and a derivation that reach the writer together, the one that stands behind is refused.
#[tokio::test]
async fn a_revocation_wins_over_what_waits_beside_it() {
    let place = Place::new();
    let log = Arc::new(place.log());
    let standing = Standing { targets: vec![Target::Task(task(1))], issued_s: NOW_S };
    let derivations: Vec<_> = (1..200_u16)
        .map(|number| {
            let (log, standing) = (Arc::clone(&log), standing.clone());
            tokio::spawn(async move { log.append(mint(number), vec![SideRow::Stands(standing)]).await.unwrap() })
        })
        .collect();
    let Outcome::Appended { index: revoked, .. } = revoke(&log, 500, &Target::Task(task(1)), None).await else { panic!("not appended") };
    for derivation in derivations {
        match derivation.await.unwrap() {
            Outcome::Appended { index, .. } => assert!(index < revoked, "leaf {index} stands behind the revocation {revoked}"),
            outcome => assert_eq!(outcome, Outcome::Refused(Reason::Revoked)),
        }
    }
}

#[tokio::test]
async fn what_is_over_leaves_the_feed_and_comes_back_with_the_clock() {
    let place = Place::new();
    let log = place.log();
    let (target, before) = (Target::Block(block(1)), None);
    revoke(&log, 1, &target, before).await;
    let known = [Revocation::Block(block(1))];
    assert_eq!(entries(&log, UNTIL_S), known);
    assert_eq!(entries(&log, UNTIL_S + 1), []);
    assert_eq!(entries(&log, UNTIL_S), known, "the clock was wrong");
    drop(log);
    let after_leaf_at = async |number, now_s: u64| {
        let log = Log::open(&place.database(), signer(), clock(now_s * 1000), Settings::default()).unwrap();
        appended(&log, mint(number), Vec::new()).await;
        drop(log);
        entries(&place.open(), UNTIL_S)
    };
    assert_eq!(after_leaf_at(2, UNTIL_S + FORGET_AFTER_S).await, known, "also over a restart");
    assert_eq!(after_leaf_at(3, UNTIL_S + FORGET_AFTER_S + 1).await, [], "until it has long been over");
}

#[tokio::test]
async fn a_spent_key_needs_no_leaf_and_stays_spent() {
    let place = Place::new();
    let log = place.log();
    let key = |byte| SideRow::SingleUse { key: [byte; 32], expires_s: u64::MAX, reason: Reason::ClientAuth };
    assert_eq!(log.spend(key(1)).await.unwrap(), None);
    assert_eq!(log.spend(key(1)).await.unwrap(), Some(Reason::ClientAuth));
    assert_eq!(log.append(mint(1), vec![key(1)]).await.unwrap(), Outcome::Refused(Reason::ClientAuth), "nor with a leaf");
    drop(log);
    let log = place.open();
    assert_eq!(log.spend(key(1)).await.unwrap(), Some(Reason::ClientAuth), "nor after a restart");
    let log = Arc::new(log);
    let tries = (0..50).map(|_| {
        let (log, row) = (Arc::clone(&log), key(2));
        tokio::spawn(async move { log.spend(row).await.unwrap() })
    });
    let mut spent = 0;
    for tried in tries.collect::<Vec<_>>() {
        spent += usize::from(tried.await.unwrap().is_none());
    }
    assert_eq!(spent, 1, "of fifty at once, one");
    assert_eq!(place.check().unwrap().size, 1);
}

#[tokio::test]
async fn a_task_and_its_blocks_are_known_by_client() {
    let place = Place::new();
    let log = place.log();
    let row = |client: &str| MintedRow { client: client.to_owned(), scope: "crm".to_owned() };
    let minted = |number, client: &str| {
        let new = SideRow::NewTask { task: task(1), expires_s: UNTIL_S, max_hops: 1 };
        (mint(number), vec![new, SideRow::Minted { block: numbered_block(number), minted: row(client) }])
    };
    let (leaf, rows) = minted(1, "planner-app");
    appended(&log, leaf, rows).await;
    let (leaf, mut rows) = minted(2, "other-app");
    rows.remove(0);
    appended(&log, leaf, rows).await;
    assert_eq!(log.task(&task(1)).unwrap(), Some(KnownTask { client: Some("planner-app".to_owned()), expires_s: UNTIL_S }));
    assert_eq!(log.minted(&task(1), &numbered_block(2)).unwrap(), Some(row("other-app")));
    assert_eq!(log.minted(&task(2), &numbered_block(2)).unwrap(), None);
    assert_eq!(log.task(&task(2)).unwrap(), None);
}

#[tokio::test]
async fn a_table_that_is_not_what_the_leaves_say_is_found() {
    let place = Place::new();
    let log = place.log();
    appended(&log, mint(1), Vec::new()).await;
    for (number, (target, before)) in (2..).zip(targets()) {
        revoke(&log, number, &target, before).await;
    }
    let (leaf, rows) = revocation(20, &Target::Block(block(2)), None);
    let refused = rows.into_iter().filter(|row| !matches!(row, SideRow::Revoke(_))).collect();
    appended(&log, leaf.because(Verdict::Block, Reason::TokenOtherClient), refused).await;
    drop(log);
    assert_eq!(place.check().unwrap().revocations, 5, "a revocation that was refused has no row");
    let sound = std::fs::read(place.database()).unwrap();
    let until = UNTIL_S - 1;
    for (sql, index) in [
        ("DELETE FROM revocation WHERE kind = 'block';".to_owned(), 2),
        ("DELETE FROM revocation WHERE kind = 'task';".to_owned(), 3),
        ("DELETE FROM revocation WHERE kind = 'subject';".to_owned(), 4),
        ("DELETE FROM revocation WHERE kind = 'agent';".to_owned(), 5),
        ("DELETE FROM revocation WHERE kind = 'key';".to_owned(), 6),
        ("DROP TABLE revocation;".to_owned(), 2),
        (format!("UPDATE revocation SET until_s = {until} WHERE kind = 'block';"), 2),
        (format!("UPDATE revocation SET until_s = {until} WHERE kind = 'key';"), 6),
        ("UPDATE revocation SET before_s = before_s - 1 WHERE kind = 'subject';".to_owned(), 4),
        ("UPDATE revocation SET target = CAST('p-2' AS BLOB) WHERE kind = 'subject';".to_owned(), 4),
        ("UPDATE revocation SET target = zeroblob(32) WHERE kind = 'block';".to_owned(), 2),
        ("INSERT INTO revocation VALUES ('block', zeroblob(32), NULL, 9999999999, 1);".to_owned(), 1),
        ("INSERT INTO revocation VALUES ('block', zeroblob(32), NULL, 9999999999, 2);".to_owned(), 2),
        ("INSERT INTO revocation VALUES ('block', zeroblob(32), NULL, 9999999999, 0);".to_owned(), 0),
        // without its disclosure, a leaf still says that there is a row
        ("DELETE FROM disclosure WHERE instr(name, 'holder') > 0; DELETE FROM revocation WHERE kind = 'key';".to_owned(), 6),
    ] {
        std::fs::write(place.database(), &sound).unwrap();
        tamper(&place.database(), &sql);
        let finding = place.check().unwrap_err();
        assert_eq!((finding.reason, finding.index), (Reason::LogRevocationsChanged, Some(index)), "{sql}");
    }
}

#[tokio::test]
async fn a_leaf_needs_its_row_only_while_something_that_it_reaches_can_live() {
    let place = Place::new();
    let log = place.log();
    revoke(&log, 1, &Target::Block(block(1)), None).await;
    revoke(&log, 2, &Target::Key([4; 32]), Some(NOW_S)).await;
    drop(log);
    let gone = |sql: &str| tamper(&place.database(), sql);
    let later = async |number, now_s: u64| {
        let log = Log::open(&place.database(), signer(), clock(now_s * 1000), Settings::default()).unwrap();
        appended(&log, mint(number), Vec::new()).await;
        drop(log);
        // a start takes out what has long been over
        drop(place.open());
        place.check().map(|report| report.revocations).map_err(|finding| finding.index)
    };
    assert_eq!(later(3, UNTIL_S + FORGET_AFTER_S + 1).await, Ok(0));
    // when the leaf does not say any more how long it matters, the longest time counts
    gone("DELETE FROM disclosure WHERE instr(name, 'until') > 0;");
    assert_eq!(later(4, UNTIL_S + FORGET_AFTER_S + 2).await, Err(Some(1)));
    assert_eq!(later(5, NOW_S + LONGEST_REACH_S + FORGET_AFTER_S + 1).await, Ok(0));
}
