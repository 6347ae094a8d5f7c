//! Whether one matcher is provably no wider than another. Tokens never need this, since all their caveats hold together;
//! a policy's ceiling does, to tell a request that asks for more than it may.

use super::{Clause, Literal, Matcher, Test, ValueKind};
use crate::{caveat::rich::Rich, steps::Steps};

impl Matcher {
    /// Whether every value that `self` accepts is provably accepted by `other` too. `false` says that no proof was found.
    pub fn within(&self, other: &Matcher) -> bool {
        self.any.iter().all(|clause| other.any.iter().any(|wider| clause.within(wider)) || clause.all_accepted_by(other))
    }

    /// Whether every value is accepted, so that no more is demanded than that there is one.
    pub fn accepts_any_value(&self) -> bool {
        self.any.iter().any(|clause| clause.of == ValueKind::Any && clause.all.is_empty())
    }
}

impl Clause {
    fn within(&self, wider: &Clause) -> bool {
        self.of.is_among(wider.of) && wider.all.iter().all(|bound| self.implies(bound))
    }

    /// Whether every value of the clause meets the literal of a clause about the same or a wider kind.
    fn implies(&self, bound: &Literal) -> bool {
        let mut steps = Steps::of_one_decision();
        match (&bound.test, bound.negated) {
            // a denial of values binds nobody whose values are others
            (Test::OneOf(denied), true) => denied.iter().all(|value| self.accepts(&value.to_json(), &mut steps) == Ok(false)),
            (Test::Rich(Rich::Number(range)), false) if self.of == ValueKind::Integer => {
                let side = |read: fn(&Test) -> Option<i64>| self.all.iter().find_map(|literal| read(&literal.test));
                let (least, most) = (
                    side(|test| if let Test::AtLeast(min) = test { Some(*min) } else { None }),
                    side(|test| if let Test::AtMost(max) = test { Some(*max) } else { None }),
                );
                range.holds_between(least, most)
            }
            _ => self.all.iter().any(|literal| literal.within(bound)),
        }
    }

    /// A clause that lists its values is within whatever accepts each of them.
    fn all_accepted_by(&self, other: &Matcher) -> bool {
        let mut steps = Steps::of_one_decision();
        self.all.iter().any(|literal| match (&literal.test, literal.negated) {
            (Test::OneOf(values), false) => values.iter().all(|value| other.accepts(&value.to_json(), &mut steps) == Ok(true)),
            _ => false,
        })
    }
}

impl Rich {
    /// Whether all that this accepts is accepted by the other too, as far as bounds show.
    fn within(&self, other: &Rich) -> bool {
        match (self, other) {
            (Rich::Decimal(one), Rich::Decimal(other)) | (Rich::Number(one), Rich::Number(other)) => one.within(other),
            _ => false,
        }
    }
}

impl ValueKind {
    /// Whether every value of this kind is of the other too.
    fn is_among(self, wider: ValueKind) -> bool {
        self == wider
            || matches!(
                (self, wider),
                (_, ValueKind::Any)
                    | (ValueKind::Integer, ValueKind::Number)
                    | (ValueKind::List, ValueKind::Array)
                    | (ValueKind::List | ValueKind::Array | ValueKind::Object, ValueKind::Count)
            )
    }
}

impl Literal {
    fn within(&self, wider: &Literal) -> bool {
        if self == wider {
            return true;
        }
        match (&self.test, self.negated, &wider.test, wider.negated) {
            (Test::OneOf(few), false, Test::OneOf(many), false)
            | (Test::OneOf(many), true, Test::OneOf(few), true)
            | (Test::Contains(many), false, Test::Contains(few), false)
            | (Test::Contains(few), true, Test::Contains(many), true)
            | (Test::Subset(few), false, Test::Subset(many), false)
            | (Test::Subset(many), true, Test::Subset(few), true) => few.is_subset(many),
            (Test::Rich(one), false, Test::Rich(wider), false) | (Test::Rich(wider), true, Test::Rich(one), true) => one.within(wider),
            (Test::AtLeast(min), false, Test::AtLeast(wider), false) => min >= wider,
            (Test::AtMost(max), false, Test::AtMost(wider), false) => max <= wider,
            (Test::Prefix(long), false, Test::Prefix(short), false) | (Test::Prefix(short), true, Test::Prefix(long), true) => {
                long.starts_with(short.as_str())
            }
            (Test::Suffix(long), false, Test::Suffix(short), false) | (Test::Suffix(short), true, Test::Suffix(long), true) => {
                long.ends_with(short.as_str())
            }
            _ => false,
        }
    }
}
