//! Matchers as plain English.

use std::collections::BTreeSet;

use super::{Clause, Literal, Matcher, Scalar, Test, ValueKind};
use crate::caveat::describe::quote;

impl Matcher {
    pub(in crate::caveat) fn sentence(&self) -> String {
        self.any.iter().map(Clause::sentence).collect::<Vec<_>>().join(", or ")
    }
}

impl Clause {
    fn sentence(&self) -> String {
        let kind = match self.of {
            ValueKind::Integer => "an integer",
            ValueKind::Number => "a number",
            ValueKind::Count => "a list or object",
            ValueKind::Text => "a text",
            ValueKind::Flag => "true or false",
            ValueKind::Null => "null",
            ValueKind::List => "a list of plain values",
            ValueKind::Array => "a list",
            ValueKind::Object => "an object",
            ValueKind::Any => "any value",
        };
        let (least, most) = (self.side(at_least), self.side(at_most));
        let mut parts: Vec<String> = match (self.of, least, most) {
            (ValueKind::Integer, None, None) if self.all.is_empty() => vec![kind.to_owned()],
            (ValueKind::Integer, Some(min), None) => vec![format!("an integer of at least {min}")],
            (ValueKind::Integer, None, Some(max)) => vec![format!("an integer of at most {max}")],
            (ValueKind::Integer, Some(min), Some(max)) => vec![format!("an integer from {min} to {max}")],
            (ValueKind::Count, Some(min), None) => vec![format!("{kind} with at least {min} entries")],
            (ValueKind::Count, None, Some(max)) => vec![format!("{kind} with at most {max} entries")],
            (ValueKind::Count, Some(min), Some(max)) => vec![format!("{kind} with {min} to {max} entries")],
            _ if self.all.is_empty() => vec![kind.to_owned()],
            _ => Vec::new(),
        };
        parts.extend(self.all.iter().filter_map(|literal| literal.sentence(kind)));
        parts.join(" and ")
    }

    fn side(&self, read: impl Fn(&Test) -> Option<i64>) -> Option<i64> {
        self.all.iter().find_map(|literal| read(&literal.test))
    }
}

impl Literal {
    /// What the literal adds to the kind; `None` for bounds, which the clause has named.
    fn sentence(&self, kind: &str) -> Option<String> {
        let not = if self.negated { "not " } else { "" };
        Some(match &self.test {
            Test::AtLeast(_) | Test::AtMost(_) => return None,
            Test::OneOf(values) if self.negated => format!("{kind} other than {}", list(values)),
            Test::OneOf(values) if values.len() == 1 => list(values),
            Test::OneOf(values) => format!("one of {}", list(values)),
            Test::Prefix(text) if self.negated => format!("a text that does not begin with {}", quote(text)),
            Test::Prefix(text) => format!("a text that begins with {}", quote(text)),
            Test::Suffix(text) if self.negated => format!("a text that does not end with {}", quote(text)),
            Test::Suffix(text) => format!("a text that ends with {}", quote(text)),
            Test::Contains(values) if self.negated => format!("a list that lacks one of {}", list(values)),
            Test::Contains(values) => format!("a list that holds {}", list(values)),
            Test::Subset(values) if self.negated => format!("a list that holds something else than {}", list(values)),
            Test::Subset(values) => format!("a list of nothing but {}", list(values)),
            Test::Rich(rich) => format!("{not}{}", rich.sentence()),
        })
    }
}

fn at_least(test: &Test) -> Option<i64> {
    if let Test::AtLeast(min) = test { Some(*min) } else { None }
}

fn at_most(test: &Test) -> Option<i64> {
    if let Test::AtMost(max) = test { Some(*max) } else { None }
}

impl Scalar {
    pub(in crate::caveat) fn sentence(&self) -> String {
        match self {
            Scalar::Flag(flag) => flag.to_string(),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Decimal(number) => number.as_str().to_owned(),
            Scalar::Text(text) => quote(text),
        }
    }
}

fn list(values: &BTreeSet<Scalar>) -> String {
    if values.is_empty() { "nothing".to_owned() } else { values.iter().map(Scalar::sentence).collect::<Vec<_>>().join(", ") }
}
