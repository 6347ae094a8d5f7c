//! Exact decimals in texts: money is never a float.

use rust_decimal::Decimal as Number;

use crate::{
    Reason,
    caveat::json::Members,
    json::{Key, Value},
};

/// Inclusive bounds on a plain decimal that is given as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    min: Option<Number>,
    max: Option<Number>,
}

impl Decimal {
    /// Reads `min` and `max`, at least one of them, as plain decimals in texts. Trailing zeros of a fraction are dropped.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, also for JSON numbers, which another reader may hold as a float.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        let (min, max) = (bound(&mut members, "min")?, bound(&mut members, "max")?);
        members.end()?;
        match (min, max) {
            (None, None) => Err(Reason::CaveatMalformed),
            (Some(min), Some(max)) if min > max => Err(Reason::CaveatMalformed),
            _ => Ok(Self { min, max }),
        }
    }

    /// The bounds that there are, without trailing zeros.
    pub fn to_json(&self) -> Value {
        let bounds = [("max", self.max), ("min", self.min)];
        let written = bounds.into_iter().filter_map(|(name, bound)| Some((Key(name.to_owned()), Value::Text(bound?.to_string()))));
        Value::Object(written.collect())
    }

    /// Whether the text is a plain decimal within the bounds; `None` when it is none, see [`plain`].
    pub fn test(&self, text: &str) -> Option<bool> {
        plain(text).map(|number| self.holds(number))
    }

    /// Whether the number is within the bounds.
    pub(crate) fn holds(&self, number: Number) -> bool {
        self.min.is_none_or(|min| number >= min) && self.max.is_none_or(|max| number <= max)
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("a decimal from {min} to {max}"),
            (Some(min), None) => format!("a decimal of at least {min}"),
            (None, Some(max)) => format!("a decimal of at most {max}"),
            (None, None) => "a decimal".to_owned(),
        }
    }
}

/// Reads `-?(0|[1-9][0-9]*)(\.[0-9]+)?` of at most 28 digits, all counted, exactly.
///
/// No exponent, sign `+`, space, separator or leading zero, since parsers differ on those, and no zero with a minus, since
/// a float keeps that sign and an integer does not. Trailing zeros of a fraction mean the same everywhere.
pub fn plain(text: &str) -> Option<Number> {
    let magnitude = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = magnitude.split_once('.').map_or((magnitude, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // 28 digits always fit the 96 bits of the number, so nothing is ever rounded
    let sound = whole.len() + fraction.map_or(0, str::len) <= MAX_DIGITS
        && digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits);
    let number = if sound { Number::from_str_exact(text).ok()? } else { return None };
    if number.is_zero() && text.starts_with('-') { None } else { Some(number) }
}

fn bound(members: &mut Members<'_>, name: &str) -> Result<Option<Number>, Reason> {
    if !members.has(name) {
        return Ok(None);
    }
    plain(&members.text(name)?).map(|number| Some(number.normalize())).ok_or(Reason::CaveatMalformed)
}

const MAX_DIGITS: usize = 28;

#[cfg(test)]
mod tests {
    use super::{super::tests::json, *};

    fn decimal(text: &str) -> Result<Decimal, Reason> {
        Decimal::from_json(&json(text))
    }

    #[test]
    fn bounds_are_inclusive_and_exact() {
        let rule = decimal(r#"{"min":"0.01","max":"99.99"}"#).unwrap();
        for (text, expected) in [
            ("0.01", true),
            ("0.010", true),
            ("99.99", true),
            ("99.990000000000000000000000", true),
            ("99.99000000000000000000000001", false),
            ("0.009999999999999999999999999", false),
            ("0", false),
            ("0.00", false),
            ("-1", false),
            ("100", false),
            ("9999999999999999999999999999", false),
        ] {
            assert_eq!(rule.test(text), Some(expected), "{text}");
        }
        assert_eq!(decimal(r#"{"max":"0.3"}"#).unwrap().test("0.30000000000000004"), Some(false));
        assert_eq!(decimal(r#"{"min":"-0.5"}"#).unwrap().test("-0.5000"), Some(true));
    }

    #[test]
    fn texts_that_parsers_differ_on_are_not_read() {
        let rule = decimal(r#"{"min":"-1000000"}"#).unwrap();
        for text in [
            "",
            "-",
            "+1",
            "01",
            "-01",
            "00",
            "1.",
            ".5",
            "1e3",
            "1E3",
            "1_000",
            "1,5",
            "1,000",
            " 1",
            "1 ",
            "1\n",
            "-0",
            "-0.00",
            "0x10",
            "NaN",
            "Infinity",
            "--1",
            "-+1",
            "1.2.3",
            "1.-2",
            "١",
            "１",
            "1\0",
            "10000000000000000000000000000",
            "0.0000000000000000000000000000",
        ] {
            assert_eq!(rule.test(text), None, "{text}");
        }
        assert_eq!(plain("1.0").map(|number| number.to_string()).as_deref(), Some("1.0"));
    }

    #[test]
    fn bounds_have_one_spelling() {
        let rule = decimal(r#"{"max":"99.90","min":"-10.00"}"#).unwrap();
        assert_eq!(rule, decimal(r#"{"max":"99.9","min":"-10"}"#).unwrap());
        assert_eq!(rule.to_json().canonical(), r#"{"max":"99.9","min":"-10"}"#);
        assert_eq!(decimal(r#"{"max":"100"}"#).unwrap().to_json().canonical(), r#"{"max":"100"}"#);
        assert_eq!(decimal(r#"{"max":"0.00"}"#).unwrap().to_json().canonical(), r#"{"max":"0"}"#);
    }

    #[test]
    fn malformed_bounds_are_refused() {
        for text in [
            "{}",
            r#"{"max":1}"#,
            r#"{"max":1.5}"#,
            r#"{"max":"1e3"}"#,
            r#"{"max":"-0"}"#,
            r#"{"max":"1","min":"2"}"#,
            r#"{"max":"1","unit":"EUR"}"#,
            r#""1""#,
        ] {
            assert_eq!(decimal(text), Err(Reason::CaveatMalformed), "{text}");
        }
    }
}
