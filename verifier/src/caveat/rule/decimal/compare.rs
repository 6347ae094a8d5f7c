//! Ranges of decimals compared with each other: for policies and for people, never for a decision on a call.

use super::{Bound, Decimal, Number};

impl Decimal {
    /// Whether all whole numbers from `least` to `most` are within the bounds; a side may be open.
    pub(crate) fn holds_between(&self, least: Option<i64>, most: Option<i64>) -> bool {
        let holds = |bound: Option<Bound>, side: Option<i64>| bound.is_none() || side.is_some_and(|side| self.holds(side.into()));
        holds(self.lower, least) && holds(self.upper, most)
    }

    /// Whether all numbers within these bounds are within the other's.
    pub(crate) fn within(&self, other: &Decimal) -> bool {
        let side = |own: Option<Bound>, wider: Option<Bound>, tighter: fn(Number, Number) -> bool| match (own, wider) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(wider)) => tighter(own.at, wider.at) || own.at == wider.at && (wider.included || !own.included),
        };
        side(self.lower, other.lower, |own, wider| own > wider) && side(self.upper, other.upper, |own, wider| own < wider)
    }

    /// What is within both, where that can be said as bounds: not when nothing is.
    pub(crate) fn meet(&self, other: &Decimal) -> Option<Self> {
        let tighter = |one: Option<Bound>, two: Option<Bound>, first: fn(Number, Number) -> bool| match (one, two) {
            (Some(one), Some(two)) if one.at == two.at => Some(Bound { at: one.at, included: one.included && two.included }),
            (Some(one), Some(two)) => Some(if first(one.at, two.at) { one } else { two }),
            (one, two) => one.or(two),
        };
        let met = Self {
            lower: tighter(self.lower, other.lower, |one, two| one > two),
            upper: tighter(self.upper, other.upper, |one, two| one < two),
        };
        Self::from_json(&met.to_json()).ok()
    }
}
