//! The JSON form of matchers, brought into normal form as it is read.

use std::collections::BTreeSet;

use super::{Clause, Literal, Matcher, Scalar, Test, ValueKind, join::Joined};
use crate::{
    Reason,
    caveat::{
        MAX_INTEGER, MAX_SET, MAX_TEXT,
        members::{Members, only},
        rich::Rich,
    },
    json::Value,
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

    /// Checks sizes, so that what was read from JSON always fits a check, and the reverse.
    pub(in crate::caveat) fn within_bounds(&self) -> Result<(), Reason> {
        if self.any.is_empty() {
            return Err(Reason::CaveatMalformed);
        }
        let most = self.any.iter().map(|clause| clause.all.len()).max().unwrap_or(0);
        if self.any.len() > MAX_CLAUSES || most > MAX_LITERALS {
            return Err(Reason::CaveatTooComplex);
        }
        let sound = self.any.iter().all(|clause| {
            clause.all.iter().all(|literal| literal.fits(clause.of) && literal.test.within_bounds(clause.of)) && clause.can_hold()
        });
        if sound { Ok(()) } else { Err(Reason::CaveatMalformed) }
    }
}

impl Clause {
    /// Bounds that exclude each other make a caveat that nobody meant to write.
    fn can_hold(&self) -> bool {
        let least = self.all.iter().filter_map(|literal| if let Test::AtLeast(min) = literal.test { Some(min) } else { None }).max();
        let most = self.all.iter().filter_map(|literal| if let Test::AtMost(max) = literal.test { Some(max) } else { None }).min();
        !matches!((least, most), (Some(least), Some(most)) if least > most)
    }
}

impl Literal {
    /// Whether this is a rule on values of the kind, as it is written about them: a check can be spelled that asks something
    /// else of a fact, and has no JSON.
    fn fits(&self, of: ValueKind) -> bool {
        match &self.test {
            // without a fraction it would be written as a set of integers, which is another caveat
            Test::OneOf(values) if of == ValueKind::Number && !self.negated => {
                values.iter().any(|value| matches!(value, Scalar::Decimal(_)))
            }
            Test::OneOf(values) => (of != ValueKind::Any || self.negated) && values.iter().all(|value| of.holds(value)),
            Test::AtLeast(_) | Test::AtMost(_) => !self.negated && matches!(of, ValueKind::Integer | ValueKind::Count),
            Test::Prefix(_) | Test::Suffix(_) => of == ValueKind::Text,
            Test::Contains(_) => matches!(of, ValueKind::List | ValueKind::Array),
            Test::Subset(_) => of == ValueKind::List,
            Test::Rich(Rich::Number(_)) => of == ValueKind::Number,
            Test::Rich(_) => of == ValueKind::Text,
        }
    }
}

impl Test {
    fn within_bounds(&self, of: ValueKind) -> bool {
        let bounded = |scalar: &Scalar| match scalar {
            // a text of the token holds the value as JSON then, with its quotes and escapes
            Scalar::Text(_) if of.is_canonical() => scalar.to_json().canonical().len() <= MAX_TEXT,
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

    const TYPES: [ValueKind; 9] = [
        ValueKind::Text,
        ValueKind::Integer,
        ValueKind::Number,
        ValueKind::Flag,
        ValueKind::Null,
        ValueKind::List,
        ValueKind::Array,
        ValueKind::Object,
        ValueKind::Any,
    ];
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
        "none_of" => {
            let values = scalars(inner)?;
            let denial = Literal { negated: true, test: Test::OneOf(values.clone()) };
            match (negated, values.is_empty()) {
                (_, true) => Err(Reason::CaveatMalformed),
                (false, false) => Ok(vec![Clause { of: ValueKind::Any, all: vec![denial] }]),
                (true, false) => Ok(Matcher::one_of(values).any),
            }
        }
        "range" => between(ValueKind::Integer, inner, negated),
        "count" => between(ValueKind::Count, inner, negated),
        "prefix" => literal(ValueKind::Text, Test::Prefix(inner.as_text().ok_or(Reason::CaveatMalformed)?.to_owned())),
        "suffix" => literal(ValueKind::Text, Test::Suffix(inner.as_text().ok_or(Reason::CaveatMalformed)?.to_owned())),
        "contains" => literal(ValueKind::List, Test::Contains(scalars(inner)?)),
        "subset" => literal(ValueKind::List, Test::Subset(scalars(inner)?)),
        "array_contains" => literal(ValueKind::Array, Test::Contains(scalars(inner)?)),
        "type" if !negated => {
            let of = inner.as_text().and_then(ValueKind::named).ok_or(Reason::CaveatMalformed)?;
            Ok(vec![Clause { of, all: Vec::new() }])
        }
        "decimal" => literal(ValueKind::Number, Test::Rich(Rich::from_json("number", inner)?)),
        "decimal_text" => literal(ValueKind::Text, Test::Rich(Rich::from_json("decimal", inner)?)),
        // the name of a function and of no rule
        "number" => Err(Reason::CaveatMalformed),
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

/// Clauses of two kinds have nothing in common, or one of the kinds is the narrower one, or it would take two facts to say
/// both; to drop those would be to mean less than was written.
fn both(one: &[Clause], other: &[Clause]) -> Result<Vec<Clause>, Reason> {
    let mut clauses = Vec::new();
    for (left, right) in one.iter().flat_map(|left| other.iter().map(move |right| (left, right))) {
        match left.join(right) {
            Joined::Clause(clause) => clauses.push(clause),
            Joined::Nothing => {}
            Joined::TwoKinds => return Err(Reason::CaveatTooComplex),
        }
    }
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

/// A check has at most eight queries, one of which lets other tools pass.
const MAX_CLAUSES: usize = 7;
/// A query has at most eight expressions.
const MAX_LITERALS: usize = 8;
