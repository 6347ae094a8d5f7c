//! Two clauses that must both hold of one value, as one clause.

use std::collections::BTreeSet;

use super::{Clause, Literal, Scalar, Test, ValueKind};

/// What two clauses have in common.
pub(super) enum Joined {
    /// This.
    Clause(Clause),
    /// No value is of both kinds.
    Nothing,
    /// A value can be of both kinds, and it would take two facts to say so.
    TwoKinds,
}

impl Clause {
    /// Both in one, the conditions of `self` first.
    pub(super) fn join(&self, other: &Clause) -> Joined {
        let Some(of) = self.of.narrower(other.of) else {
            return if self.of.overlaps(other.of) { Joined::TwoKinds } else { Joined::Nothing };
        };
        let all = self.all.iter().chain(&other.all).filter_map(|literal| literal.among(of)).collect();
        Joined::Clause(Clause { of, all })
    }
}

impl ValueKind {
    /// The one of two kinds whose values are all of the other kind too and on which the rules of both can be asked.
    fn narrower(self, other: Self) -> Option<Self> {
        match (self, other) {
            (one, other) if one == other => Some(one),
            (kind, ValueKind::Any) | (ValueKind::Any, kind) => Some(kind),
            (ValueKind::List, ValueKind::Array) | (ValueKind::Array, ValueKind::List) => Some(ValueKind::List),
            _ => None,
        }
    }

    /// Whether some value is of both kinds, which are not the same.
    fn overlaps(self, other: Self) -> bool {
        let pair = |one, two| {
            matches!(
                (one, two),
                (ValueKind::Integer, ValueKind::Number) | (ValueKind::List | ValueKind::Array | ValueKind::Object, ValueKind::Count)
            )
        };
        pair(self, other) || pair(other, self)
    }

    /// Whether a plain value is of this kind.
    pub(super) fn holds(self, scalar: &Scalar) -> bool {
        match scalar {
            Scalar::Flag(_) => matches!(self, ValueKind::Flag | ValueKind::Any),
            Scalar::Integer(_) => matches!(self, ValueKind::Integer | ValueKind::Number | ValueKind::Any),
            Scalar::Decimal(_) => matches!(self, ValueKind::Number | ValueKind::Any),
            Scalar::Text(_) => matches!(self, ValueKind::Text | ValueKind::Any),
        }
    }
}

impl Literal {
    /// The same on values of this kind alone; `None` when it holds for all of them.
    fn among(&self, of: ValueKind) -> Option<Literal> {
        match &self.test {
            Test::OneOf(values) if self.negated => {
                let values: BTreeSet<_> = values.iter().filter(|value| of.holds(value)).cloned().collect();
                (!values.is_empty()).then_some(Literal { negated: true, test: Test::OneOf(values) })
            }
            _ => Some(self.clone()),
        }
    }
}
