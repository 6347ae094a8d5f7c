//! The JSON form of matchers, brought into normal form as it is read.

use std::collections::BTreeSet;

use super::{Clause, Literal, Matcher, Scalar, Test, ValueKind};
use crate::{
    Reason,
    caveat::{
        MAX_INTEGER, MAX_SET, MAX_TEXT,
        members::{Members, only},
        rich::Rich,
    },
    json::{Key, Value},
};

impl Matcher {
    /// Reads a matcher: an object with the one member that names its rule.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED` for what is unknown, out of bounds or could never hold, `CAVEAT_TOO_COMPLEX` for what has more
    /// alternatives or conditions than a check can carry.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let matcher = Self { any: normal_form(value, false)? };
        matcher.within_bounds()?;
        Ok(matcher)
    }

    /// The normal form as JSON, which [`Matcher::from_json`] reads back to the same.
    pub fn to_json(&self) -> Value {
        one_or("any", self.any.iter().map(Clause::to_json).collect())
    }

    /// Checks sizes, so that what was read from JSON always fits a check, and the reverse.
    pub(in crate::caveat) fn within_bounds(&self) -> Result<(), Reason> {
        if self.any.is_empty() {
            return Err(Reason::CaveatMalformed);
        }
        let most = self.any.iter().map(|clause| clause.all.len()).max().unwrap_or(0);
        if self.any.len() > MAX_CLAUSES || most > MAX_LITERALS {
            return Err(Reason::CaveatTooComplex);
        }
        let sound = self.any.iter().all(|clause| clause.all.iter().all(|literal| literal.within_bounds(clause.of)) && clause.can_hold());
        if sound { Ok(()) } else { Err(Reason::CaveatMalformed) }
    }
}

impl Clause {
    fn to_json(&self) -> Value {
        let mut parts = Vec::new();
        let mut literals = self.all.iter().peekable();
        let ranged = if self.of == ValueKind::Count { "count" } else { "range" };
        while let Some(literal) = literals.next() {
            parts.push(match (&literal.test, literals.peek().map(|next| &next.test)) {
                (Test::AtLeast(min), Some(Test::AtMost(max))) => {
                    literals.next();
                    Value::object([(ranged, bounds(Some(*min), Some(*max)))])
                }
                (Test::AtLeast(min), _) => Value::object([(ranged, bounds(Some(*min), None))]),
                (Test::AtMost(max), _) => Value::object([(ranged, bounds(None, Some(*max)))]),
                _ => literal.to_json(self.of),
            });
        }
        match (parts.is_empty(), self.of.type_name()) {
            (true, Some(name)) => Value::object([("type", Value::Text(name.to_owned()))]),
            (true, None) => Value::object([("count", Value::object([]))]),
            (false, _) => one_or("all", parts),
        }
    }

    /// Bounds that exclude each other make a caveat that nobody meant to write.
    fn can_hold(&self) -> bool {
        let least = self.all.iter().filter_map(|literal| if let Test::AtLeast(min) = literal.test { Some(min) } else { None }).max();
        let most = self.all.iter().filter_map(|literal| if let Test::AtMost(max) = literal.test { Some(max) } else { None }).min();
        !matches!((least, most), (Some(least), Some(most)) if least > most)
    }
}

impl Literal {
    fn to_json(&self, of: ValueKind) -> Value {
        let array = |values: &BTreeSet<Scalar>| Value::Array(values.iter().map(Scalar::to_json).collect());
        let plain = match &self.test {
            Test::OneOf(values) if self.negated => return Value::object([("not_one_of", array(values))]),
            Test::OneOf(values) => match (values.len(), values.first()) {
                (1, Some(only)) => Value::object([("exact", only.to_json())]),
                _ => Value::object([("one_of", array(values))]),
            },
            Test::AtLeast(min) => Value::object([("range", bounds(Some(*min), None))]),
            Test::AtMost(max) => Value::object([("range", bounds(None, Some(*max)))]),
            Test::Prefix(text) => Value::object([("prefix", Value::Text(text.clone()))]),
            Test::Suffix(text) => Value::object([("suffix", Value::Text(text.clone()))]),
            Test::Contains(values) => Value::object([("contains", array(values))]),
            Test::Subset(values) => Value::object([("subset", array(values))]),
            Test::Rich(rich) => Value::object([(rich_name(rich, of), rich.to_json())]),
        };
        if self.negated { Value::object([("not", plain)]) } else { plain }
    }
}

impl Literal {
    fn within_bounds(&self, of: ValueKind) -> bool {
        match &self.test {
            // without a fraction it would be written as a set of integers, which is another caveat
            Test::OneOf(values) if of == ValueKind::Number => {
                self.test.within_bounds() && values.iter().any(|value| matches!(value, Scalar::Decimal(_)))
            }
            test => test.within_bounds(),
        }
    }
}

impl Test {
    fn within_bounds(&self) -> bool {
        let bounded = |scalar: &Scalar| match scalar {
            Scalar::Text(text) => text.len() <= MAX_TEXT,
            Scalar::Integer(number) => number.unsigned_abs() <= MAX_INTEGER,
            Scalar::Flag(_) | Scalar::Decimal(_) => true,
        };
        match self {
            Test::OneOf(values) | Test::Contains(values) => !values.is_empty() && values.len() <= MAX_SET && values.iter().all(bounded),
            Test::Subset(values) => values.len() <= MAX_SET && values.iter().all(bounded),
            Test::AtLeast(side) | Test::AtMost(side) => side.unsigned_abs() <= MAX_INTEGER,
            Test::Prefix(text) | Test::Suffix(text) => text.len() <= MAX_TEXT,
            // its own reader has bounded it
            Test::Rich(_) => true,
        }
    }
}

impl ValueKind {
    fn named(name: &str) -> Option<Self> {
        Self::TYPES.into_iter().find(|kind| kind.type_name() == Some(name))
    }

    /// Whether some value is of both kinds, which are not the same.
    fn overlaps(self, other: Self) -> bool {
        let pair = |one, two| {
            matches!((one, two), (ValueKind::Integer, ValueKind::Number) | (ValueKind::List | ValueKind::Object, ValueKind::Count))
        };
        pair(self, other) || pair(other, self)
    }

    pub(super) fn type_name(self) -> Option<&'static str> {
        match self {
            ValueKind::Text => Some("text"),
            ValueKind::Integer => Some("integer"),
            ValueKind::Number => Some("number"),
            ValueKind::Flag => Some("flag"),
            ValueKind::Null => Some("null"),
            ValueKind::List => Some("list"),
            ValueKind::Object => Some("object"),
            ValueKind::Count => None,
        }
    }

    const TYPES: [ValueKind; 7] =
        [ValueKind::Text, ValueKind::Integer, ValueKind::Number, ValueKind::Flag, ValueKind::Null, ValueKind::List, ValueKind::Object];
}

/// The clauses of a matcher, or of its denial.
fn normal_form(value: &Value, negated: bool) -> Result<Vec<Clause>, Reason> {
    let (rule, inner) = only(value)?;
    let literal = |of, test| Ok(vec![Clause { of, all: vec![Literal { negated, test }] }]);
    match rule {
        "not" => normal_form(inner, !negated),
        "all" | "any" => {
            let Value::Array(parts) = inner else { return Err(Reason::CaveatMalformed) };
            let mut parts = parts.iter().map(|part| normal_form(part, negated));
            let first = parts.next().ok_or(Reason::CaveatMalformed)??;
            // the denial of `all` is any denial, and the reverse
            if (rule == "all") == negated {
                parts.try_fold(first, |so_far, part| either(so_far, part?))
            } else {
                parts.try_fold(first, |so_far, part| both(&so_far, &part?))
            }
        }
        "exact" if *inner == Value::Null && !negated => Ok(vec![Clause { of: ValueKind::Null, all: Vec::new() }]),
        "exact" => one_of(core::slice::from_ref(inner), negated),
        "one_of" | "not_one_of" => {
            let Value::Array(items) = inner else { return Err(Reason::CaveatMalformed) };
            one_of(items, negated != (rule == "not_one_of"))
        }
        "range" => between(ValueKind::Integer, inner, negated),
        "count" => between(ValueKind::Count, inner, negated),
        "prefix" => literal(ValueKind::Text, Test::Prefix(inner.as_text().ok_or(Reason::CaveatMalformed)?.to_owned())),
        "suffix" => literal(ValueKind::Text, Test::Suffix(inner.as_text().ok_or(Reason::CaveatMalformed)?.to_owned())),
        "contains" => literal(ValueKind::List, Test::Contains(scalars(inner)?)),
        "subset" => literal(ValueKind::List, Test::Subset(scalars(inner)?)),
        "type" if !negated => {
            let of = inner.as_text().and_then(ValueKind::named).ok_or(Reason::CaveatMalformed)?;
            Ok(vec![Clause { of, all: Vec::new() }])
        }
        "decimal" => literal(ValueKind::Number, Test::Rich(Rich::from_json("decimal", inner)?)),
        "decimal_text" => literal(ValueKind::Text, Test::Rich(Rich::from_json("decimal", inner)?)),
        name => literal(ValueKind::Text, Test::Rich(Rich::from_json(name, inner)?)),
    }
}

fn one_of(items: &[Value], negated: bool) -> Result<Vec<Clause>, Reason> {
    let values: BTreeSet<Scalar> = items.iter().map(|item| Scalar::of(item).ok_or(Reason::CaveatMalformed)).collect::<Result<_, _>>()?;
    if values.is_empty() || values.len() != items.len() {
        return Err(Reason::CaveatMalformed);
    }
    let clauses = Scalar::by_kind(values);
    Ok(clauses.map(|(of, values)| Clause { of, all: vec![Literal { negated, test: Test::OneOf(values) }] }).collect())
}

fn between(of: ValueKind, value: &Value, negated: bool) -> Result<Vec<Clause>, Reason> {
    let mut members = Members::of(value)?;
    let min = members.optional("min", Members::integer)?;
    let max = members.optional("max", Members::integer)?;
    members.end()?;
    let bounded = |side: &i64| side.unsigned_abs() <= MAX_INTEGER;
    if !min.iter().chain(&max).all(bounded) || matches!((min, max), (Some(min), Some(max)) if min > max) {
        return Err(Reason::CaveatMalformed);
    }
    let clause = |tests: Vec<Test>| Clause { of, all: tests.into_iter().map(Literal::of).collect() };
    if negated {
        let below = min.map(|min| clause(vec![Test::AtMost(min - 1)]));
        let above = max.map(|max| clause(vec![Test::AtLeast(max + 1)]));
        let clauses: Vec<_> = below.into_iter().chain(above).collect();
        if clauses.is_empty() { Err(Reason::CaveatMalformed) } else { Ok(clauses) }
    } else {
        Ok(vec![clause(min.map(Test::AtLeast).into_iter().chain(max.map(Test::AtMost)).collect())])
    }
}

fn either(mut one: Vec<Clause>, other: Vec<Clause>) -> Result<Vec<Clause>, Reason> {
    one.extend(other);
    if one.len() > MAX_CLAUSES { Err(Reason::CaveatTooComplex) } else { Ok(one) }
}

/// Clauses of two kinds have nothing in common, but for an integer, which is a number, and what has a count. Those would take
/// two facts, and to drop them would be to mean less than was written.
fn both(one: &[Clause], other: &[Clause]) -> Result<Vec<Clause>, Reason> {
    if one.iter().any(|left| other.iter().any(|right| left.of.overlaps(right.of))) {
        return Err(Reason::CaveatTooComplex);
    }
    let pairs = one.iter().flat_map(|left| other.iter().filter(|right| right.of == left.of).map(move |right| (left, right)));
    let clauses: Vec<_> = pairs.map(|(left, right)| Clause { of: left.of, all: [left.all.as_slice(), &right.all].concat() }).collect();
    match clauses.len() {
        0 => Err(Reason::CaveatMalformed),
        count if count > MAX_CLAUSES || clauses.iter().any(|clause| clause.all.len() > MAX_LITERALS) => Err(Reason::CaveatTooComplex),
        _ => Ok(clauses),
    }
}

fn scalars(value: &Value) -> Result<BTreeSet<Scalar>, Reason> {
    let Value::Array(items) = value else { return Err(Reason::CaveatMalformed) };
    let set: BTreeSet<Scalar> = items.iter().map(|item| Scalar::of(item).ok_or(Reason::CaveatMalformed)).collect::<Result<_, _>>()?;
    if set.len() == items.len() { Ok(set) } else { Err(Reason::CaveatMalformed) }
}

fn bounds(min: Option<i64>, max: Option<i64>) -> Value {
    let sides = [("min", min), ("max", max)].into_iter().filter_map(|(name, side)| Some((Key(name.to_owned()), Value::Integer(side?))));
    Value::Object(sides.collect())
}

fn one_or(name: &str, mut parts: Vec<Value>) -> Value {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            Value::object([(name, Value::Array(parts))])
        }
    }
}

/// The same rule has two names, by the kind of value that it reads.
pub(super) fn rich_name(rich: &Rich, of: ValueKind) -> &'static str {
    match (rich.name(), of) {
        ("decimal", ValueKind::Text) => "decimal_text",
        (name, _) => name,
    }
}

/// A check has at most eight queries, one of which lets other tools pass.
const MAX_CLAUSES: usize = 7;
/// A query has at most eight expressions.
const MAX_LITERALS: usize = 8;
