//! The nine constraint types as matchers on an argument.
//!
//! Each means exactly what the draft says of it. What can't be said so is refused: a number that is not held exactly, null,
//! a list or object as a value, an unknown type or member. A constraint that no value can pass is not refused but kept.

use std::collections::BTreeSet;

use narrows_verifier::{
    Reason,
    caveat::{Matcher, Scalar},
    json::{Key, Value},
};

/// What a constraint demands of an argument, which must be there in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// No value passes.
    Never,
    /// What all of these matchers accept passes. There is at least one.
    All(Vec<Matcher>),
}

/// Reads a constraint.
///
/// # Errors
/// `CONSTRAINT_MALFORMED`, or `CAVEAT_TOO_COMPLEX` for more alternatives than a caveat can hold.
pub(super) fn demand(constraint: &Value) -> Result<Demand, Reason> {
    Ok(match read(constraint, MAX_DEPTH)? {
        Meaning::Never => Demand::Never,
        Meaning::Present => Demand::All(vec![matcher(&Value::object([("type", text("any"))]))?]),
        Meaning::All(parts) => match together(&parts) {
            Ok(None) => Demand::Never,
            Ok(Some(matcher)) => Demand::All(vec![matcher]),
            // side by side they may hold all the same
            Err(_) => Demand::All(parts.iter().map(matcher).collect::<Result<_, _>>()?),
        },
    })
}

/// What a constraint means, in the JSON of our matchers.
enum Meaning {
    Never,
    /// Any value.
    Present,
    /// All of these, each of which some value passes. There is at least one.
    All(Vec<Value>),
}

impl Meaning {
    fn one(rule: &str, value: Value) -> Self {
        Self::All(vec![Value::object([(rule, value)])])
    }
}

fn read(constraint: &Value, depth_left: usize) -> Result<Meaning, Reason> {
    let depth_left = depth_left.checked_sub(1).ok_or(Reason::ConstraintMalformed)?;
    let mut members = Members::of(constraint)?;
    let kind = members.take("constraint_type").and_then(Value::as_text).ok_or(Reason::ConstraintMalformed)?;
    let meaning = match kind {
        "exact" => Meaning::one("exact", scalar(members.required("value")?)?.to_json()),
        "one_of" => match scalars(members.required("values")?)? {
            values if values.is_empty() => Meaning::Never,
            values => Meaning::one("one_of", list(&values)),
        },
        "not_one_of" => match scalars(members.required("excluded")?)? {
            values if values.is_empty() => Meaning::Present,
            values => Meaning::one("none_of", list(&values)),
        },
        "range" => read_range(&mut members)?,
        "contains" => match scalars(members.required("required")?)? {
            values if values.is_empty() => Meaning::one("type", text("array")),
            values => Meaning::one("array_contains", list(&values)),
        },
        "subset" => Meaning::one("subset", list(&scalars(members.required("allowed")?)?)),
        "wildcard" => Meaning::Present,
        "all" => every(read_parts(&mut members, depth_left)?),
        "any" => either(read_parts(&mut members, depth_left)?)?,
        _ => return Err(Reason::ConstraintMalformed),
    };
    members.end()?;
    // so that a rule which is out of bounds by itself is not taken for one that excludes another
    if let Meaning::All(parts) = &meaning {
        parts.iter().try_for_each(|part| matcher(part).map(drop))?;
    }
    Ok(meaning)
}

fn read_parts(members: &mut Members<'_>, depth_left: usize) -> Result<Vec<Meaning>, Reason> {
    let Value::Array(parts) = members.required("constraints")? else { return Err(Reason::ConstraintMalformed) };
    parts.iter().map(|part| read(part, depth_left)).collect()
}

/// A range without a bound still demands a number.
fn read_range(members: &mut Members<'_>) -> Result<Meaning, Reason> {
    let min = members.take("min").map(plain_decimal).transpose()?;
    let max = members.take("max").map(plain_decimal).transpose()?;
    let (min_inclusive, max_inclusive) = (members.flag("min_inclusive")?, members.flag("max_inclusive")?);
    if min == max && min.is_some() && !(min_inclusive && max_inclusive) {
        return Ok(Meaning::Never);
    }
    let lower = min.map(|min| (if min_inclusive { "min" } else { "above" }, min));
    let upper = max.map(|max| (if max_inclusive { "max" } else { "below" }, max));
    let bounds: Vec<_> = lower.into_iter().chain(upper).map(|(name, bound)| (Key(name.to_owned()), Value::Text(bound))).collect();
    Ok(if bounds.is_empty() {
        Meaning::one("type", text("number"))
    } else {
        Meaning::one("decimal", Value::Object(bounds.into_iter().collect()))
    })
}

fn every(parts: Vec<Meaning>) -> Meaning {
    let mut all = Vec::new();
    for part in parts {
        match part {
            Meaning::Never => return Meaning::Never,
            Meaning::Present => {}
            Meaning::All(more) => all.extend(more),
        }
    }
    if all.is_empty() { Meaning::Present } else { Meaning::All(all) }
}

fn either(parts: Vec<Meaning>) -> Result<Meaning, Reason> {
    if parts.is_empty() {
        return Err(Reason::ConstraintMalformed);
    }
    let mut listed = BTreeSet::new();
    let mut alternatives = Vec::new();
    for part in parts {
        match part {
            Meaning::Never => {}
            Meaning::Present => return Ok(Meaning::Present),
            Meaning::All(all) => match (all.as_slice(), all.first().and_then(values)) {
                // lists of values side by side are one list, of which a caveat can hold more than of alternatives
                ([_], Some(values)) => listed.extend(values),
                ([only], None) => alternatives.push(only.clone()),
                _ if together(&all)?.is_some() => alternatives.push(Value::object([("all", Value::Array(all))])),
                _ => {}
            },
        }
    }
    if !listed.is_empty() {
        alternatives.push(Value::object([("one_of", list(&listed))]));
    }
    Ok(if alternatives.is_empty() { Meaning::Never } else { Meaning::one("any", Value::Array(alternatives)) })
}

/// One matcher for all of these parts, each of which can hold; `None` when they exclude each other.
fn together(parts: &[Value]) -> Result<Option<Matcher>, Reason> {
    match Matcher::from_json(&Value::object([("all", Value::Array(parts.to_vec()))])) {
        Ok(matcher) => Ok(Some(matcher)),
        Err(Reason::CaveatMalformed) => Ok(None),
        Err(reason) => Err(reason),
    }
}

fn matcher(value: &Value) -> Result<Matcher, Reason> {
    Matcher::from_json(value).map_err(|reason| if reason == Reason::CaveatMalformed { Reason::ConstraintMalformed } else { reason })
}

/// The values of a rule that lists them.
fn values(rule: &Value) -> Option<BTreeSet<Scalar>> {
    let member = |name: &str| rule.as_object()?.get(&Key(name.to_owned()));
    match (member("exact"), member("one_of")) {
        (Some(only), _) => Some(BTreeSet::from([Scalar::of(only)?])),
        (None, Some(Value::Array(items))) => items.iter().map(Scalar::of).collect(),
        _ => None,
    }
}

fn scalar(value: &Value) -> Result<Scalar, Reason> {
    Scalar::of(value).ok_or(Reason::ConstraintMalformed)
}

/// A value that is listed twice is the same list.
fn scalars(value: &Value) -> Result<BTreeSet<Scalar>, Reason> {
    let Value::Array(items) = value else { return Err(Reason::ConstraintMalformed) };
    items.iter().map(scalar).collect()
}

fn list(values: &BTreeSet<Scalar>) -> Value {
    Value::Array(values.iter().map(Scalar::to_json).collect())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// A number as the plain decimal that a bound is written as, where a small one has an exponent in canonical JSON. Too many
/// digits are refused where the bound is read.
fn plain_decimal(value: &Value) -> Result<String, Reason> {
    if !matches!(value, Value::Integer(_) | Value::Decimal(_)) {
        return Err(Reason::ConstraintMalformed);
    }
    let text = value.canonical();
    let Some((mantissa, exponent)) = text.split_once("e-") else { return Ok(text) };
    let (sign, digits) = mantissa.strip_prefix('-').map_or(("", mantissa), |digits| ("-", digits));
    let zeros = exponent.parse::<usize>().ok().and_then(|exponent| exponent.checked_sub(1)).ok_or(Reason::ConstraintMalformed)?;
    Ok(format!("{sign}0.{}{}", "0".repeat(zeros), digits.replace('.', "")))
}

/// The members of a constraint, each of which is taken once; what is left over may have been meant to restrict.
struct Members<'a> {
    left: Vec<(&'a str, &'a Value)>,
}

impl<'a> Members<'a> {
    fn of(value: &'a Value) -> Result<Self, Reason> {
        let members = value.as_object().ok_or(Reason::ConstraintMalformed)?;
        Ok(Self { left: members.iter().map(|(key, value)| (key.0.as_str(), value)).collect() })
    }

    fn take(&mut self, name: &str) -> Option<&'a Value> {
        let at = self.left.iter().position(|(key, _)| *key == name)?;
        Some(self.left.swap_remove(at).1)
    }

    fn required(&mut self, name: &str) -> Result<&'a Value, Reason> {
        self.take(name).ok_or(Reason::ConstraintMalformed)
    }

    /// A flag that is true unless it is said to be false.
    fn flag(&mut self, name: &str) -> Result<bool, Reason> {
        match self.take(name) {
            None => Ok(true),
            Some(Value::Flag(flag)) => Ok(*flag),
            Some(_) => Err(Reason::ConstraintMalformed),
        }
    }

    fn end(self) -> Result<(), Reason> {
        if self.left.is_empty() { Ok(()) } else { Err(Reason::ConstraintMalformed) }
    }
}

const MAX_DEPTH: usize = 32;
