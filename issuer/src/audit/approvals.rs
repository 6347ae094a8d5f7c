//! Whether a question to approvers was answered by as many of them as it says that it takes.

use std::collections::BTreeSet;

use narrows_verifier::json::Value;
use narrows_verifier::log::{Kind, VerifiedEntry};

/// Approvals that a question takes and that its answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) needed: u64,
    pub(super) given: u64,
}

/// Counts the approvals of a question whose `stages` are disclosed: how many each of its stages takes. `None` where they are not, or
/// where somebody refused or the time ran out: then one answer is all that the leaves can show to be there.
pub(super) fn tally(ask: &VerifiedEntry, answers: &[&VerifiedEntry]) -> Option<Tally> {
    let stages = stages(disclosed(ask, "stages")?)?;
    if answers.iter().any(|answer| answer.leaf.kind != Kind::ApprovalGrant) {
        return None;
    }
    let mut given = vec![BTreeSet::new(); stages.len()];
    // Of a grant whose stage is withheld nothing says which stage it was for: it fills any.
    let mut anywhere = BTreeSet::new();
    for answer in answers {
        // One person counts once, where leaves say who it was.
        let who = disclosed(answer, "approver").map_or_else(|| answer.leaf.id.to_string(), Value::canonical);
        let stage = disclosed(answer, "stage").and_then(natural).and_then(|stage| usize::try_from(stage).ok());
        match stage {
            None => anywhere.insert(who),
            Some(stage) => given.get_mut(stage).is_some_and(|given| given.insert(who)),
        };
    }
    let needed = stages.iter().fold(0u64, |sum, stage| sum.saturating_add(*stage));
    let named = stages.iter().zip(&given).fold(0u64, |sum, (stage, given)| sum.saturating_add((given.len() as u64).min(*stage)));
    Some(Tally { needed, given: named.saturating_add(anywhere.len() as u64).min(needed) })
}

fn disclosed<'a>(entry: &'a VerifiedEntry, name: &str) -> Option<&'a Value> {
    entry.disclosures.iter().find(|disclosure| disclosure.name == name).map(|disclosure| &disclosure.value)
}

fn stages(value: &Value) -> Option<Vec<u64>> {
    let Value::Array(stages) = value else { return None };
    stages.iter().map(natural).collect()
}

const fn natural(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(number) if *number >= 0 => Some(number.unsigned_abs()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use narrows_verifier::log::{Disclosure, EntryId, Leaf, Salt, TraceId};

    use super::*;

    fn entry(kind: Kind, number: u8, disclosed: &[(&str, Value)]) -> VerifiedEntry {
        let leaf = Leaf::draft(kind, EntryId::new([number; 16]), TraceId::new([1; 16]));
        let disclosures =
            disclosed.iter().map(|(name, value)| Disclosure { name: (*name).to_owned(), salt: Salt::new([1; 16]), value: value.clone() });
        VerifiedEntry { index: u64::from(number), leaf, disclosures: disclosures.collect() }
    }

    fn grant(number: u8, who: Option<&str>, stage: Option<i64>) -> VerifiedEntry {
        let who = who.map(|who| ("approver", Value::Text(who.to_owned())));
        let stage = stage.map(|stage| ("stage", Value::Integer(stage)));
        entry(Kind::ApprovalGrant, number, &who.into_iter().chain(stage).collect::<Vec<_>>())
    }

    fn counted(stages: &[i64], answers: &[VerifiedEntry]) -> Option<(u64, u64)> {
        let stages = Value::Array(stages.iter().map(|stage| Value::Integer(*stage)).collect());
        let ask = entry(Kind::ApprovalAsk, 1, &[("stages", stages)]);
        tally(&ask, &answers.iter().collect::<Vec<_>>()).map(|tally| (tally.given, tally.needed))
    }

    #[test]
    fn each_stage_takes_its_number_of_persons() {
        let (ann, bea) = (Some("ann"), Some("bea"));
        assert_eq!(counted(&[2], &[grant(2, ann, Some(0)), grant(3, bea, Some(0))]), Some((2, 2)));
        assert_eq!(counted(&[2], &[grant(2, ann, Some(0)), grant(3, ann, Some(0))]), Some((1, 2)), "one person counts once");
        assert_eq!(counted(&[1, 1], &[grant(2, ann, Some(0)), grant(3, bea, Some(0))]), Some((1, 2)), "a full stage fills no other");
        assert_eq!(counted(&[1, 1], &[grant(2, ann, Some(0)), grant(3, bea, None)]), Some((2, 2)), "a withheld stage may be any");
        assert_eq!(counted(&[2], &[grant(2, None, None), grant(3, None, None)]), Some((2, 2)), "withheld names may be two");
        assert_eq!(counted(&[1], &[grant(2, ann, Some(7))]), Some((0, 1)), "there is no such stage");
        assert_eq!(counted(&[2], &[]), Some((0, 2)));
    }

    #[test]
    fn without_stages_or_after_a_no_nothing_is_counted() {
        let refused = entry(Kind::ApprovalRefuse, 3, &[]);
        assert_eq!(counted(&[2], &[grant(2, None, None), refused]), None);
        assert_eq!(counted(&[-1], &[]), None);
        assert_eq!(tally(&entry(Kind::ApprovalAsk, 1, &[]), &[]), None);
        assert_eq!(tally(&entry(Kind::ApprovalAsk, 1, &[("stages", Value::Integer(2))]), &[]), None);
    }
}
