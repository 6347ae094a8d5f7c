//! Pauses in the log: with their leaf or not at all, in the feed as long as they last, and held against the leaves by the full check.

use narrows_verifier::{
    Reason,
    log::{Leaf, Verdict},
    revocation::Revocation,
};

use super::*;
use crate::{
    revocation::{Hold, Standing, Target},
    store::sqlite_tamper::tamper,
};

const NOW_S: u64 = NOW_MS / 1000;

fn targets() -> [Target; 2] {
    [Target::Task(task(1)), Target::Agent("crawler".to_owned())]
}

/// A leaf as the issuer writes it.
fn leaf(kind: Kind, number: u16, target: &Target) -> (Leaf, Vec<SideRow>) {
    let mut disclosures = vec![disclosure("by", "administrator sam")];
    let mut leaf = Leaf::draft(kind, entry(number), TraceId::new([9; 16]));
    match target {
        Target::Task(task) => leaf.task = Some(*task),
        _ => disclosures.push(disclosure("agent", &target.name())),
    }
    let leaf = committing(leaf, &disclosures.iter().collect::<Vec<_>>());
    (leaf, disclosures.into_iter().map(SideRow::disclosure).collect())
}

async fn pause(log: &Log, number: u16, target: &Target) -> Outcome {
    let (leaf, mut rows) = leaf(Kind::Pause, number, target);
    rows.push(SideRow::Hold(Hold::Pause(target.clone())));
    log.append(leaf.because(Verdict::Pause, Reason::Paused), rows).await.unwrap()
}

async fn resume(log: &Log, number: u16, target: &Target, (index, paused): (u64, EntryId)) -> Outcome {
    let (leaf, mut rows) = leaf(Kind::Resume, number, target);
    rows.push(SideRow::Hold(Hold::Resume(target.clone(), index)));
    log.append(Leaf { of: Some(paused), ..leaf }, rows).await.unwrap()
}

fn entries(log: &Log) -> Vec<Revocation> {
    log.live().at(NOW_S).0.iter().collect()
}

#[tokio::test]
async fn what_is_paused_is_in_the_feed_over_restarts_until_it_is_resumed() {
    let place = Place::new();
    let mut log = place.log();
    for (number, target) in (1..).zip(targets()) {
        assert!(matches!(pause(&log, number, &target).await, Outcome::Appended { .. }));
        let again = pause(&log, number + 10, &target).await;
        assert!(matches!(again, Outcome::Existing { index, .. } if index == u64::from(number)), "{again:?}");
    }
    let held = entries(&log);
    assert!(
        matches!(&held[..], [Revocation::Task(_), Revocation::Agent(name, before)] if name == "crawler" && *before > NOW_S),
        "{held:?}"
    );
    drop(log);
    log = place.open();
    assert_eq!((entries(&log), place.check().unwrap().paused), (held, 2));
    let changes = log.live().changes();
    for (number, target) in (20..).zip(targets()) {
        let paused = log.paused_by(&target).unwrap().unwrap();
        let other = (paused.0 + 7, paused.1);
        assert_eq!(resume(&log, number, &target, other).await, Outcome::Refused(Reason::NotPaused), "another pause");
        assert!(matches!(resume(&log, number + 1, &target, paused).await, Outcome::Appended { .. }));
        assert_eq!(resume(&log, number + 2, &target, paused).await, Outcome::Refused(Reason::NotPaused), "resumed");
    }
    assert_eq!((entries(&log), log.live().changes(), log.live().paused()), (Vec::new(), changes + 2, Vec::new()));
    drop(log);
    log = place.open();
    assert_eq!((entries(&log), place.check().unwrap().paused), (Vec::new(), 0));
}

#[tokio::test]
async fn what_is_revoked_while_it_is_paused_stays_revoked() {
    let place = Place::new();
    let log = place.log();
    for (number, target) in (1..).zip(targets()) {
        pause(&log, number, &target).await;
        let before = target.is_cut_off().then_some(NOW_S);
        assert!(matches!(revoking::revoke(&log, number + 10, &target, before).await, Outcome::Appended { .. }));
        let paused = log.paused_by(&target).unwrap().unwrap();
        resume(&log, number + 20, &target, paused).await;
        assert!(entries(&log).contains(&revoking::revoked(&target, before).entry()), "{target:?}");
    }
}

#[tokio::test]
async fn nothing_that_stands_on_what_is_paused_is_appended_until_it_is_resumed() {
    let place = Place::new();
    let log = place.log();
    let derive = async |number, target: &Target| {
        let standing = Standing { targets: vec![target.clone()], issued_s: NOW_S };
        let outcome = log.append(mint(number), vec![SideRow::Stands(standing)]).await.unwrap();
        if let Outcome::Refused(reason) = outcome { Some(reason) } else { None }
    };
    for (number, target) in (1..).zip(targets()) {
        assert_eq!(derive(number, &target).await, None);
        pause(&log, number + 10, &target).await;
        assert_eq!(derive(number + 20, &target).await, Some(Reason::Paused));
        let paused = log.paused_by(&target).unwrap().unwrap();
        resume(&log, number + 30, &target, paused).await;
        assert_eq!(derive(number + 40, &target).await, None);
    }
}

#[tokio::test]
async fn a_table_of_pauses_that_is_not_what_the_leaves_say_is_found() {
    let place = Place::new();
    let log = place.log();
    let [one, agent] = targets();
    pause(&log, 1, &one).await;
    pause(&log, 2, &agent).await;
    let other = Target::Agent("other".to_owned());
    pause(&log, 3, &other).await;
    let paused = log.paused_by(&other).unwrap().unwrap();
    resume(&log, 4, &other, paused).await;
    drop(log);
    assert_eq!(place.check().unwrap().paused, 2);
    let sound = std::fs::read(place.database()).unwrap();
    for (sql, index) in [
        ("DELETE FROM pause WHERE kind = 'task';", 1),
        ("DELETE FROM pause WHERE kind = 'agent';", 2),
        ("DROP TABLE pause;", 1),
        ("UPDATE pause SET target = zeroblob(16) WHERE kind = 'task';", 1),
        ("UPDATE pause SET target = CAST('else' AS BLOB) WHERE kind = 'agent';", 2),
        ("INSERT INTO pause VALUES ('agent', CAST('other' AS BLOB), 3);", 3),
        ("INSERT INTO pause VALUES ('agent', CAST('other' AS BLOB), 0);", 0),
    ] {
        std::fs::write(place.database(), &sound).unwrap();
        tamper(&place.database(), sql);
        let finding = place.check().unwrap_err();
        assert_eq!((finding.reason, finding.index), (Reason::LogPausesChanged, Some(index)), "{sql}");
    }
}
