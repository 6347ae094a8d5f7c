//! Clauses as the queries of a check, and read back.

use std::collections::BTreeSet;

use super::{Clause, Literal, Matcher, Scalar, Test, ValueKind};
use crate::{
    caveat::rich::Rich,
    datalog::{Expression, Function, Operator, Predicate, Query, Term},
    json::{Limits, Value, parse},
};

impl Matcher {
    /// One query a clause, over the fact of the value at `path`.
    pub(in crate::caveat) fn queries(&self, path: &str) -> Vec<Query> {
        let query = |clause: &Clause| {
            let mut terms = vec![Term::text(path)];
            if clause.of != ValueKind::Null {
                terms.push(variable());
            }
            let body = vec![Predicate::new(clause.of.predicate(), terms)];
            Query { body, expressions: clause.all.iter().map(|literal| literal.expression(clause.of)).collect() }
        };
        self.any.iter().map(query).collect()
    }
}

/// The matcher whose clauses these queries may be: the caller renders it again and compares.
pub(in crate::caveat) fn read_clauses(queries: &[Query]) -> Option<Matcher> {
    let clause = |query: &Query| {
        let of = ValueKind::of_predicate(&query.body.last()?.name)?;
        let all = query.expressions.iter().map(|expression| Literal::read(expression, of)).collect::<Option<_>>()?;
        Some(Clause { of, all })
    };
    Some(Matcher { any: queries.iter().map(clause).collect::<Option<_>>()? })
}

impl ValueKind {
    fn predicate(self) -> &'static str {
        match self {
            ValueKind::Text => "arg_text",
            ValueKind::Integer => "arg_int",
            ValueKind::Number => "arg_decimal",
            ValueKind::Flag => "arg_flag",
            ValueKind::Null => "arg_null",
            ValueKind::List => "arg_items",
            ValueKind::Array => "arg_array",
            ValueKind::Count => "arg_count",
            ValueKind::Object => "arg_names",
            ValueKind::Any => "arg_any",
        }
    }

    fn of_predicate(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.predicate() == name)
    }

    const ALL: [ValueKind; 10] = [
        ValueKind::Text,
        ValueKind::Integer,
        ValueKind::Number,
        ValueKind::Flag,
        ValueKind::Null,
        ValueKind::List,
        ValueKind::Array,
        ValueKind::Count,
        ValueKind::Object,
        ValueKind::Any,
    ];

    /// Whether values of this kind are told apart by their canonical JSON, so that a set of one type can hold them all.
    pub(super) fn is_canonical(self) -> bool {
        matches!(self, ValueKind::List | ValueKind::Array | ValueKind::Any)
    }
}

impl Literal {
    fn expression(&self, of: ValueKind) -> Expression {
        let plain = match &self.test {
            Test::OneOf(values) => Expression::binary(Operator::Contains, set(values, of), variable()),
            Test::AtLeast(min) => Expression::binary(Operator::GreaterOrEqual, variable(), Term::Integer(*min)),
            Test::AtMost(max) => Expression::binary(Operator::LessOrEqual, variable(), Term::Integer(*max)),
            Test::Prefix(text) => Expression::binary(Operator::StartsWith, variable(), Term::text(text)),
            Test::Suffix(text) => Expression::binary(Operator::EndsWith, variable(), Term::text(text)),
            Test::Contains(values) => Expression::binary(Operator::Contains, variable(), set(values, of)),
            Test::Subset(values) => Expression::binary(Operator::Contains, set(values, of), variable()),
            Test::Rich(rich) => {
                // the function itself denies, so that what it can't read is denied either way
                let function = Function { rule: rich.name(), negated: self.negated };
                return Expression::binary(Operator::Extern(function), variable(), Term::text(&rich.to_json().canonical()));
            }
        };
        if self.negated { Expression::Not(Box::new(plain)) } else { plain }
    }

    fn read(expression: &Expression, of: ValueKind) -> Option<Self> {
        let (negated, plain) = match expression {
            Expression::Not(inner) => (true, &**inner),
            plain => (false, plain),
        };
        let Expression::Binary(operator, left, right) = plain else { return None };
        let (Expression::Term(left), Expression::Term(right)) = (&**left, &**right) else { return None };
        let test = match (operator, left, right) {
            (Operator::Contains, Term::Set(values), _) if matches!(of, ValueKind::List | ValueKind::Array) => {
                Test::Subset(scalars(values, of)?)
            }
            (Operator::Contains, Term::Set(values), _) => Test::OneOf(scalars(values, of)?),
            (Operator::Contains, _, Term::Set(values)) => Test::Contains(scalars(values, of)?),
            (Operator::GreaterOrEqual, _, Term::Integer(min)) => Test::AtLeast(*min),
            (Operator::LessOrEqual, _, Term::Integer(max)) => Test::AtMost(*max),
            (Operator::StartsWith, _, Term::Text(text)) => Test::Prefix(text.to_string()),
            (Operator::EndsWith, _, Term::Text(text)) => Test::Suffix(text.to_string()),
            (Operator::Extern(function), _, Term::Text(parameter)) => {
                let rich = Rich::parse(function.rule, parameter)?;
                return Some(Self { negated: function.negated, test: Test::Rich(rich) });
            }
            _ => return None,
        };
        Some(Self { negated, test })
    }
}

/// Elements of a list and numbers with a fraction are held as their canonical texts, since a set has one type.
fn set(values: &BTreeSet<Scalar>, of: ValueKind) -> Term {
    let term = |scalar: &Scalar| match (scalar, of) {
        (scalar, of) if of.is_canonical() => Term::text(&scalar.to_json().canonical()),
        (Scalar::Flag(flag), _) => Term::Flag(*flag),
        (Scalar::Integer(number), ValueKind::Number) => Term::text(&number.to_string()),
        (Scalar::Integer(number), _) => Term::Integer(*number),
        (Scalar::Decimal(number), _) => Term::text(number.as_str()),
        (Scalar::Text(text), _) => Term::text(text),
    };
    Term::Set(values.iter().map(term).collect())
}

fn scalars(terms: &BTreeSet<Term>, of: ValueKind) -> Option<BTreeSet<Scalar>> {
    let scalar = |term: &Term| match (term, of) {
        (Term::Text(text), of) if of.is_canonical() || of == ValueKind::Number => Scalar::of(&canonical(text)?),
        (Term::Flag(flag), _) => Some(Scalar::Flag(*flag)),
        (Term::Integer(number), _) => Some(Scalar::Integer(*number)),
        (Term::Text(text), _) => Some(Scalar::Text(text.to_string())),
        _ => None,
    };
    terms.iter().map(scalar).collect()
}

fn canonical(text: &str) -> Option<Value> {
    parse(text.as_bytes(), Limits::CAVEATS).ok()
}

fn variable() -> Term {
    Term::variable("v")
}
