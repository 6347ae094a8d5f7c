//! The way from one state of what a log keeps to another, in parts that one commit can take.

use std::ops::Range;

use narrows_verifier::log::Retention;

/// The next part of the way from `before` to `goal`; `None` at its end. Policy and announcement are for the caller to set.
pub(super) fn step(before: &Retention, goal: &Retention) -> Option<Retention> {
    if !is_further(before, goal) {
        return None;
    }
    // Classes are all there from the first step on: a bound that moved for every kind would say too much of one that has its own.
    let expired = goal.expired.keys().map(|class| (class.clone(), before.bound(class))).collect();
    let mut after = Retention { expired, ..before.clone() };
    let deleted_due = goal.deleted.min(before.minimum);
    if before.deleted < deleted_due {
        after.deleted = deleted_due.min(before.deleted + STEP);
    } else if before.minimum < goal.minimum {
        after.minimum = goal.minimum.min(before.minimum + STEP);
        if goal.deleted > before.deleted {
            after.deleted = after.minimum.min(goal.deleted);
        }
    } else {
        expire(before, goal, &mut after);
    }
    Some(after)
}

/// Moves the bounds that lie furthest back, those of one place together: each leaf on the way is read once for all of them.
fn expire(before: &Retention, goal: &Retention, after: &mut Retention) {
    let from = |class: &str| before.expired_below(class);
    let due = || goal.expired.iter().filter(|(class, to)| before.bound(class) < **to);
    let Some(first) = due().map(|(class, _)| from(class)).min() else { return };
    let together = || due().filter(|(class, _)| from(class) == first);
    let reach = together().map(|(_, to)| *to).filter(|to| *to > first).min().unwrap_or(first).min(first + STEP);
    for (class, to) in together() {
        after.expired.insert(class.clone(), reach.min(*to));
    }
}

/// True when something is to go on the way from `before` to `goal`.
pub(super) fn is_further(before: &Retention, goal: &Retention) -> bool {
    let expires = goal.expired.iter().any(|(class, to)| before.bound(class) < *to);
    expires || before.minimum < goal.minimum || before.deleted < goal.deleted
}

/// Ranges of leaves whose disclosures expire from `before` to `after`, each with the classes that do.
pub(crate) fn expiring<'a>(before: &Retention, after: &'a Retention) -> Vec<(Range<u64>, Vec<&'a str>)> {
    let mut ranges: Vec<(Range<u64>, Vec<&str>)> = Vec::new();
    for (class, to) in &after.expired {
        let range = before.expired_below(class)..*to;
        if range.is_empty() {
            continue;
        }
        match ranges.iter_mut().find(|(known, _)| *known == range) {
            Some((_, classes)) => classes.push(class),
            None => ranges.push((range, vec![class])),
        }
    }
    ranges
}

/// Leaves that one commit looks at for this, so that what others append never waits for a long one.
pub(super) const STEP: u64 = 4 * 256;

#[cfg(test)]
mod tests {
    use narrows_verifier::log::PackDigest;

    use super::*;

    fn state(minimum: u64, deleted: u64, expired: &[(&str, u64)]) -> Retention {
        let expired = expired.iter().map(|(kind, bound)| ((*kind).to_owned(), *bound)).collect();
        Retention { expired, minimum, deleted, ..Retention::none(PackDigest([1; 32])) }
    }

    /// Every combination of these ends of a way.
    fn states() -> Vec<Retention> {
        let mut states = Vec::new();
        for minimum in [0, 256, 5120] {
            for deleted in [0, 256, 5120] {
                for (others, own) in [(0, None), (100, Some(0)), (100, Some(900)), (9000, None), (9000, Some(4000)), (9000, Some(9000))] {
                    let mut it = state(minimum, deleted.min(minimum), &[("*", others), ("erasure", others / 100)]);
                    it.expired.extend(own.map(|own| ("mint".to_owned(), own)));
                    states.push(it);
                }
            }
        }
        states
    }

    #[test]
    fn small_steps_lead_to_the_goal_and_never_back() {
        for (before, further) in states().iter().flat_map(|before| states().into_iter().map(move |further| (before.clone(), further))) {
            // a goal never lies behind what has gone, and knows the classes that there were
            let mut goal = Retention { minimum: further.minimum.max(before.minimum), ..further.clone() };
            goal.deleted = further.deleted.max(before.deleted);
            for class in before.expired.keys().chain(further.expired.keys()) {
                goal.expired.insert(class.clone(), further.bound(class).max(before.bound(class)));
            }
            let mut at = before;
            for _ in 0..100 {
                let Some(next) = step(&at, &goal) else { break };
                assert!(next.follows(Some(&at), u64::MAX) && next != at, "{at:?} {next:?}");
                let expire: u64 = expiring(&at, &next).iter().map(|(range, _)| range.end - range.start).sum();
                assert!(expire.max(next.minimum - at.minimum).max(next.deleted - at.deleted) <= STEP, "{at:?} {next:?}");
                at = next;
            }
            assert!(!is_further(&at, &goal));
            assert_eq!((at.minimum, at.deleted), (goal.minimum, goal.deleted));
            assert!(goal.expired.keys().all(|class| at.bound(class) == goal.bound(class)), "{at:?} {goal:?}");
        }
    }

    #[test]
    fn kinds_of_one_age_go_together_and_others_by_themselves() {
        let before = state(0, 0, &[("*", 100), ("erasure", 0), ("hop", 100), ("mint", 900)]);
        let goal = state(0, 0, &[("*", 150), ("erasure", 0), ("hop", 150), ("mint", 1000)]);
        let first = step(&before, &goal).unwrap();
        assert_eq!(expiring(&before, &first), [(100..150, vec!["*", "hop"])]);
        let second = step(&first, &goal).unwrap();
        assert_eq!(expiring(&first, &second), [(900..1000, vec!["mint"])]);
        assert_eq!(step(&second, &goal), None);
    }
}
