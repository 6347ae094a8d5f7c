//! Matchers evaluated on a value, without facts and without allocation.

use std::collections::BTreeSet;

use super::{Clause, Literal, Matcher, Scalar, Test, ValueKind};
use crate::{Reason, json::Value, steps::Steps};

impl Matcher {
    /// Whether the value is accepted.
    pub(crate) fn accepts(&self, value: &Value, steps: &mut Steps) -> Result<bool, Reason> {
        for clause in &self.any {
            if clause.accepts(value, steps)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Clause {
    pub(super) fn accepts(&self, value: &Value, steps: &mut Steps) -> Result<bool, Reason> {
        steps.take(1)?;
        if !self.of.is_of(value, steps)? {
            return Ok(false);
        }
        for literal in &self.all {
            if !literal.accepts(value, steps)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl ValueKind {
    fn is_of(self, value: &Value, steps: &mut Steps) -> Result<bool, Reason> {
        Ok(match (self, value) {
            (ValueKind::Text, Value::Text(_))
            | (ValueKind::Integer, Value::Integer(_))
            | (ValueKind::Number, Value::Integer(_) | Value::Decimal(_))
            | (ValueKind::Flag, Value::Flag(_))
            | (ValueKind::Null, Value::Null)
            | (ValueKind::Count, Value::Array(_) | Value::Object(_))
            | (ValueKind::Array, Value::Array(_))
            | (ValueKind::Object, Value::Object(_))
            | (ValueKind::Any, _) => true,
            (ValueKind::List, Value::Array(items)) => {
                steps.take(items.len())?;
                !items.iter().any(|item| matches!(item, Value::Array(_) | Value::Object(_)))
            }
            _ => false,
        })
    }
}

impl Literal {
    fn accepts(&self, value: &Value, steps: &mut Steps) -> Result<bool, Reason> {
        let answer = match (&self.test, value) {
            (Test::OneOf(values), value) => {
                steps.take(values.len())?;
                Some(values.iter().any(|scalar| scalar.is(value)))
            }
            (Test::AtLeast(min), value) => measure(value).map(|number| number >= *min),
            (Test::AtMost(max), value) => measure(value).map(|number| number <= *max),
            (Test::Prefix(prefix), Value::Text(text)) => Some(text.starts_with(prefix.as_str())),
            (Test::Suffix(suffix), Value::Text(text)) => Some(text.ends_with(suffix.as_str())),
            (Test::Contains(wanted), Value::Array(items)) => {
                steps.take(wanted.len().saturating_mul(items.len()))?;
                Some(wanted.iter().all(|scalar| items.iter().any(|item| scalar.is(item))))
            }
            (Test::Subset(allowed), Value::Array(items)) => {
                steps.take(allowed.len().saturating_mul(items.len()))?;
                Some(items.iter().all(|item| holds(allowed, item)))
            }
            (Test::Rich(rich), Value::Text(text)) => {
                steps.take(RICH_STEPS.saturating_add(text.len() / 4))?;
                rich.test(text)
            }
            (Test::Rich(rich), Value::Decimal(number)) => {
                steps.take(RICH_STEPS)?;
                rich.test(number.as_str())
            }
            (Test::Rich(rich), Value::Integer(number)) => {
                steps.take(RICH_STEPS)?;
                rich.test_integer(*number)
            }
            _ => None,
        };
        Ok(answer.is_some_and(|answer| answer != self.negated))
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Scalar::Flag(one), Value::Flag(other)) => one == other,
            (Scalar::Integer(one), Value::Integer(other)) => one == other,
            (Scalar::Decimal(one), Value::Decimal(other)) => one == other,
            (Scalar::Text(one), Value::Text(other)) => one == other,
            _ => false,
        }
    }
}

fn holds(set: &BTreeSet<Scalar>, value: &Value) -> bool {
    set.iter().any(|scalar| scalar.is(value))
}

/// The integer itself, or how many an array or object holds.
fn measure(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        Value::Array(items) => i64::try_from(items.len()).ok(),
        Value::Object(members) => i64::try_from(members.len()).ok(),
        _ => None,
    }
}

/// What reading a text by one of the richer rules costs beside its length.
const RICH_STEPS: usize = 16;
