//! The revocation feed: whoever follows it by deltas holds what whoever loads snapshots holds.

use narrows_verifier::{
    BlockId, Reason, TaskId, public_key,
    revocation::{Changes, Entries, MaxStaleness, Revocation, RevocationDelta, RevocationList, Revocations},
};
use proptest::prelude::*;

use super::cases;

proptest! {
    #![proptest_config(cases(300))]

    /// Snapshot and deltas give the next snapshot, one by one and in one step, to the byte.
    #[test]
    fn a_snapshot_and_deltas_are_the_next_snapshot(lists in prop::collection::vec(entries(), 2..6)) {
        let lists: Vec<_> = lists.into_iter().zip(1..).map(|(revoked, sequence)| list(sequence, revoked)).collect();
        let steps: Vec<_> = lists.windows(2).map(|pair| Changes::between(&pair[0].revoked, &pair[1].revoked)).collect();
        let (first, last) = (&lists[0], lists.last().unwrap());
        let mut held = load(first);
        for (step, next) in steps.iter().zip(&lists[1..]) {
            held = apply(&held, step.clone(), next).unwrap();
            prop_assert_eq!(held.list(), next);
            prop_assert_eq!(load(next).follows(&held), Ok(()));
        }
        let together = steps.iter().fold(Changes::default(), |all, step| all.then(step));
        prop_assert_eq!(&together, &Changes::between(&first.revoked, &last.revoked), "what came and went again is in neither list");
        let at_once = apply(&load(first), together, last).unwrap();
        prop_assert_eq!(at_once.list(), last);
    }

    /// A delta is good for one snapshot: on any other that does not say the same, it is refused.
    #[test]
    fn a_delta_never_leads_anywhere_else(old in entries(), other in entries(), new in entries()) {
        prop_assume!(old != other);
        let delta = Changes::between(&old, &new);
        let led = apply(&load(&list(1, other)), delta, &list(2, new.clone()));
        match led {
            // from another beginning to the same end: then it says the truth all the same
            Ok(led) => prop_assert_eq!(&led.list().revoked, &new),
            Err(reason) => prop_assert_eq!(reason, Reason::FeedDeltaResult),
        }
    }
}

fn apply(held: &Revocations, changes: Changes, next: &RevocationList) -> Result<Revocations, Reason> {
    let delta = RevocationDelta {
        issuer: next.issuer.clone(),
        since: held.list().sequence,
        sequence: next.sequence,
        issued: next.issued,
        max_staleness: next.max_staleness,
        changes,
        result: next.digest().unwrap(),
    };
    held.apply(&delta.sign(&FEED).unwrap(), &public_key(&FEED), NOW)
}

fn load(list: &RevocationList) -> Revocations {
    Revocations::load(&list.sign(&FEED).unwrap(), &public_key(&FEED), ISSUER, None, NOW).unwrap()
}

fn list(sequence: u64, revoked: Entries) -> RevocationList {
    RevocationList { issuer: ISSUER.to_owned(), sequence, issued: NOW, max_staleness: MaxStaleness::USUAL, revoked }
}

/// Few names, so that entries come, go and move.
fn entries() -> impl Strategy<Value = Entries> {
    let entry = (0..5_u8, 0..4_u8, 0..3_u64).prop_map(|(kind, name, before)| match kind {
        0 => Revocation::Block(BlockId([name; 32])),
        1 => Revocation::Task(TaskId([name; 16])),
        2 => Revocation::Subject(format!("p-{name}"), before),
        3 => Revocation::Agent(format!("agent {name}"), before),
        _ => Revocation::Key([name; 32], before),
    });
    prop::collection::vec(entry, 0..12).prop_map(|entries| entries.into_iter().collect())
}

const ISSUER: &str = "https://issuer.example";
const NOW: u64 = 1_795_000_000;
const FEED: [u8; 32] = [30; 32];
