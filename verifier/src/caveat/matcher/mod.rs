//! What an argument must be: rules on one value, combined by all, any and not.
//!
//! A matcher is kept in one normal form: any of its clauses, each of which is about one kind of value and holds when all
//! of its literals do. So there is one rendering as Datalog, one query a clause, and it can be read back.
//!
//! A rule accepts a value, rejects it, or can't read it. `not` turns the first two around and leaves the third: what a
//! rule can't read is never let through by denying the rule.

mod accept;
mod join;
mod json;
mod meet;
mod render;
mod sentence;
mod within;
mod write;

use std::collections::BTreeSet;

use super::rich::Rich;
use crate::json::{Decimal, Value};

pub(crate) use meet::Meet;
pub(super) use render::read_clauses;

/// Any of these clauses, of which there is at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub(super) any: Vec<Clause>,
}

/// A value of this kind for which all literals hold; without literals, any value of the kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) of: ValueKind,
    pub(super) all: Vec<Literal>,
}

/// One rule or its denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) negated: bool,
    pub(super) test: Test,
}

/// What a clause is about. Each kind is one call fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    Text,
    /// A whole number.
    Integer,
    /// Any number, as its canonical text.
    Number,
    Flag,
    Null,
    /// An array without arrays and objects in it, as the set of its elements' canonical texts.
    List,
    /// Any array, as the set of its plain elements' canonical texts and of a mark for each kind of nested ones.
    Array,
    /// How many elements or members an array or object has.
    Count,
    /// An object, by its member names.
    Object,
    /// Any value, as the canonical text of what is plain and a mark for what is not.
    Any,
}

/// A rule on a value of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    OneOf(BTreeSet<Scalar>),
    AtLeast(i64),
    AtMost(i64),
    Prefix(String),
    Suffix(String),
    /// The list holds all of these.
    Contains(BTreeSet<Scalar>),
    /// The list holds nothing but these.
    Subset(BTreeSet<Scalar>),
    Rich(Rich),
}

/// A value that an argument is compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// A boolean.
    Flag(bool),
    /// An integer within ±(2^53-1).
    Integer(i64),
    /// A number with a fraction.
    Decimal(Decimal),
    /// A text.
    Text(String),
}

impl Matcher {
    /// This very value.
    pub fn exact(value: Scalar) -> Self {
        Self { any: vec![Clause { of: value.kind(), all: vec![Literal::of(Test::OneOf(BTreeSet::from([value])))] }] }
    }

    /// One of these values. Without values it accepts nothing and is no caveat.
    pub fn one_of(values: impl IntoIterator<Item = Scalar>) -> Self {
        Self { any: Scalar::by_kind(values).map(|(of, values)| Clause { of, all: vec![Literal::of(Test::OneOf(values))] }).collect() }
    }

    /// An integer within these inclusive bounds; a side may be open.
    pub fn range(min: Option<i64>, max: Option<i64>) -> Self {
        let sides = min.map(Test::AtLeast).into_iter().chain(max.map(Test::AtMost));
        Self { any: vec![Clause { of: ValueKind::Integer, all: sides.map(Literal::of).collect() }] }
    }

    /// A text that begins so.
    pub fn prefix(text: &str) -> Self {
        Self { any: vec![Clause { of: ValueKind::Text, all: vec![Literal::of(Test::Prefix(text.to_owned()))] }] }
    }
}

impl Literal {
    fn of(test: Test) -> Self {
        Self { negated: false, test }
    }
}

impl Scalar {
    /// The scalar that a JSON value is, if it is one; null is a kind of its own.
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Flag(flag) => Some(Scalar::Flag(*flag)),
            Value::Integer(number) => Some(Scalar::Integer(*number)),
            Value::Decimal(number) => Some(Scalar::Decimal(number.clone())),
            Value::Text(text) => Some(Scalar::Text(text.clone())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// As a JSON value.
    pub fn to_json(&self) -> Value {
        match self {
            Scalar::Flag(flag) => Value::Flag(*flag),
            Scalar::Integer(number) => Value::Integer(*number),
            Scalar::Decimal(number) => Value::Decimal(number.clone()),
            Scalar::Text(text) => Value::Text(text.clone()),
        }
    }

    fn kind(&self) -> ValueKind {
        match self {
            Scalar::Flag(_) => ValueKind::Flag,
            Scalar::Integer(_) => ValueKind::Integer,
            Scalar::Decimal(_) => ValueKind::Number,
            Scalar::Text(_) => ValueKind::Text,
        }
    }

    /// One set for each kind. An integer is a number too, so beside a fraction it goes into the set of numbers: in two sets,
    /// each of which is denied on its own, the denial of the fractions would let the integer through.
    fn by_kind(values: impl IntoIterator<Item = Scalar>) -> impl Iterator<Item = (ValueKind, BTreeSet<Scalar>)> {
        let mut kinds = [ValueKind::Flag, ValueKind::Integer, ValueKind::Number, ValueKind::Text].map(|kind| (kind, BTreeSet::new()));
        for value in values {
            if let Some((_, values)) = kinds.iter_mut().find(|(kind, _)| *kind == value.kind()) {
                values.insert(value);
            }
        }
        let [_, (_, integers), (_, numbers), _] = &mut kinds;
        if !numbers.is_empty() {
            numbers.append(integers);
        }
        kinds.into_iter().filter(|(_, values)| !values.is_empty())
    }
}
