//! What two matchers accept together, as one.

use super::{Clause, Literal, Matcher, Scalar, Test, ValueKind, join::Joined};
use crate::caveat::rich::Rich;

/// What two matchers have in common.
pub(crate) enum Meet {
    /// This.
    Matcher(Matcher),
    /// Nothing, as far as their plain rules show.
    Nothing,
    /// More alternatives than a matcher can hold: they stay two.
    Both,
}

impl Matcher {
    /// A matcher that accepts exactly what both accept.
    pub(crate) fn meet(&self, other: &Matcher) -> Meet {
        let mut any: Vec<Clause> = Vec::new();
        for (one, two) in self.any.iter().flat_map(|one| other.any.iter().map(move |two| (one, two))) {
            match one.join(two) {
                Joined::Clause(joined) => any.extend(joined.merged().filter(|clause| !any.contains(clause))),
                Joined::Nothing => {}
                Joined::TwoKinds => return Meet::Both,
            }
        }
        let met = Matcher { any };
        match (met.any.is_empty(), met.within_bounds().is_ok()) {
            (true, _) => Meet::Nothing,
            (false, true) => Meet::Matcher(met),
            (false, false) => Meet::Both,
        }
    }
}

impl Clause {
    /// The clause with one rule where several say the same; `None` when its plain rules exclude each other.
    fn merged(&self) -> Option<Clause> {
        let mut all: Vec<Literal> = Vec::new();
        for literal in &self.all {
            if all.contains(literal) {
                continue;
            }
            match all.iter_mut().find_map(|known| known.merge(literal).map(|merged| (known, merged))) {
                Some((known, test)) => known.test = test,
                None => all.push(literal.clone()),
            }
        }
        let (least, most) = (bound(&all, true), bound(&all, false));
        let holds = |scalar: &Scalar| match scalar {
            Scalar::Integer(number) => least.is_none_or(|least| *number >= least) && most.is_none_or(|most| *number <= most),
            _ => true,
        };
        let mut listed = false;
        for literal in &mut all {
            if let Literal { negated: false, test: Test::OneOf(values) } = literal {
                values.retain(holds);
                listed = true;
                if values.is_empty() {
                    return None;
                }
            }
        }
        if listed && self.of == ValueKind::Integer {
            // the list says it already
            all.retain(|literal| !matches!(literal.test, Test::AtLeast(_) | Test::AtMost(_)));
        }
        // the order in which bounds are written
        all.sort_by_key(|literal| matches!(literal.test, Test::AtMost(_)) && !literal.negated);
        all.sort_by_key(|literal| !matches!(literal.test, Test::AtLeast(_) | Test::AtMost(_)));
        let excluded = matches!((least, most), (Some(least), Some(most)) if least > most);
        (!excluded).then_some(Clause { of: self.of, all })
    }
}

impl Literal {
    /// One rule that says what both say, where there is one.
    fn merge(&self, other: &Literal) -> Option<Test> {
        match (&self.test, self.negated, &other.test, other.negated) {
            (Test::AtLeast(one), false, Test::AtLeast(two), false) => Some(Test::AtLeast(*one.max(two))),
            (Test::Rich(one), false, Test::Rich(two), false) => one.meet(two).map(Test::Rich),
            (Test::AtMost(one), false, Test::AtMost(two), false) => Some(Test::AtMost(*one.min(two))),
            (Test::OneOf(one), false, Test::OneOf(two), false) => Some(Test::OneOf(one & two)),
            (Test::OneOf(one), true, Test::OneOf(two), true) => Some(Test::OneOf(one | two)),
            (Test::Subset(one), false, Test::Subset(two), false) => Some(Test::Subset(one & two)),
            (Test::Contains(one), false, Test::Contains(two), false) => Some(Test::Contains(one | two)),
            (Test::Prefix(one), false, Test::Prefix(two), false) if one.starts_with(two.as_str()) => Some(Test::Prefix(one.clone())),
            (Test::Prefix(one), false, Test::Prefix(two), false) if two.starts_with(one.as_str()) => Some(Test::Prefix(two.clone())),
            (Test::Suffix(one), false, Test::Suffix(two), false) if one.ends_with(two.as_str()) => Some(Test::Suffix(one.clone())),
            (Test::Suffix(one), false, Test::Suffix(two), false) if two.ends_with(one.as_str()) => Some(Test::Suffix(two.clone())),
            _ => None,
        }
    }
}

impl Rich {
    /// What both accept as one rule, where there is one.
    fn meet(&self, other: &Rich) -> Option<Rich> {
        match (self, other) {
            (Rich::Decimal(one), Rich::Decimal(other)) => one.meet(other).map(Rich::Decimal),
            (Rich::Number(one), Rich::Number(other)) => one.meet(other).map(Rich::Number),
            _ => None,
        }
    }
}

fn bound(all: &[Literal], least: bool) -> Option<i64> {
    all.iter().find_map(|literal| match literal.test {
        Test::AtLeast(min) if least => Some(min),
        Test::AtMost(max) if !least => Some(max),
        _ => None,
    })
}
