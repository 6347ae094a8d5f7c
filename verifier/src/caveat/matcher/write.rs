//! The JSON form of matchers, written.

use std::collections::BTreeSet;

use super::{Clause, Literal, Matcher, Scalar, Test, ValueKind};
use crate::{
    caveat::rich::Rich,
    json::{Key, Value},
};

impl Matcher {
    /// The normal form as JSON, which [`Matcher::from_json`] reads back to the same.
    pub fn to_json(&self) -> Value {
        one_or("any", self.any.iter().map(Clause::to_json).collect())
    }
}

impl Clause {
    fn to_json(&self) -> Value {
        let mut parts = Vec::new();
        if self.of == ValueKind::Number && !self.all.is_empty() && self.all.iter().all(Literal::is_of_any_kind) {
            // what these deny are whole numbers, so nothing in them says that other numbers are meant too
            parts.push(Value::object([("type", Value::Text("number".to_owned()))]));
        }
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
}

impl Literal {
    fn to_json(&self, of: ValueKind) -> Value {
        let array = |values: &BTreeSet<Scalar>| Value::Array(values.iter().map(Scalar::to_json).collect());
        let plain = match &self.test {
            Test::OneOf(values) if self.negated => {
                let by_type = of != ValueKind::Any && !(of == ValueKind::Number && self.is_of_any_kind());
                return Value::object([(if by_type { "not_one_of" } else { "none_of" }, array(values))]);
            }
            Test::OneOf(values) => match (values.len(), values.first()) {
                (1, Some(only)) => Value::object([("exact", only.to_json())]),
                _ => Value::object([("one_of", array(values))]),
            },
            Test::AtLeast(min) => Value::object([("range", bounds(Some(*min), None))]),
            Test::AtMost(max) => Value::object([("range", bounds(None, Some(*max)))]),
            Test::Prefix(text) => Value::object([("prefix", Value::Text(text.clone()))]),
            Test::Suffix(text) => Value::object([("suffix", Value::Text(text.clone()))]),
            Test::Contains(values) if of == ValueKind::Array => Value::object([("array_contains", array(values))]),
            Test::Contains(values) => Value::object([("contains", array(values))]),
            Test::Subset(values) => Value::object([("subset", array(values))]),
            Test::Rich(rich) => Value::object([(rich_name(rich), rich.to_json())]),
        };
        if self.negated { Value::object([("not", plain)]) } else { plain }
    }

    /// Whether this denies whole numbers alone, as a denial on values of any type would say it of numbers.
    fn is_of_any_kind(&self) -> bool {
        match &self.test {
            Test::OneOf(values) => self.negated && !values.iter().any(|value| matches!(value, Scalar::Decimal(_))),
            _ => false,
        }
    }
}

impl ValueKind {
    pub(super) fn type_name(self) -> Option<&'static str> {
        match self {
            ValueKind::Text => Some("text"),
            ValueKind::Integer => Some("integer"),
            ValueKind::Number => Some("number"),
            ValueKind::Flag => Some("flag"),
            ValueKind::Null => Some("null"),
            ValueKind::List => Some("list"),
            ValueKind::Array => Some("array"),
            ValueKind::Object => Some("object"),
            ValueKind::Any => Some("any"),
            ValueKind::Count => None,
        }
    }
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

/// The JSON name of a rule, which is that of its function where it is not about decimals.
fn rich_name(rich: &Rich) -> &'static str {
    match rich.name() {
        "number" => "decimal",
        "decimal" => "decimal_text",
        name => name,
    }
}
