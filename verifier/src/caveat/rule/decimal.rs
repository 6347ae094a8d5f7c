//! Exact decimals in texts: money is never a float.

mod compare;

use rust_decimal::Decimal as Number;

use crate::{
    Reason,
    caveat::json::Members,
    json::{Key, Value},
};

/// Bounds on a plain decimal that is given as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    lower: Option<Bound>,
    upper: Option<Bound>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bound {
    at: Number,
    /// Whether the bound itself is within.
    included: bool,
}

impl Decimal {
    /// Reads `min` or `above`, and `max` or `below`, at least one of them, as plain decimals in texts. Trailing zeros of a
    /// fraction are dropped.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`, also for bounds that leave nothing between them and for JSON numbers, which another reader may hold
    /// as a float.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        let rule = Self { lower: side(&mut members, "min", "above")?, upper: side(&mut members, "max", "below")? };
        members.end()?;
        match (rule.lower, rule.upper) {
            (None, None) => Err(Reason::CaveatMalformed),
            (Some(lower), Some(upper)) if lower.at > upper.at => Err(Reason::CaveatMalformed),
            (Some(lower), Some(upper)) if lower.at == upper.at && !(lower.included && upper.included) => Err(Reason::CaveatMalformed),
            _ => Ok(rule),
        }
    }

    /// The bounds that there are, without trailing zeros.
    pub fn to_json(&self) -> Value {
        let named =
            |bound: Option<Bound>, included, excluded| bound.map(|bound| (if bound.included { included } else { excluded }, bound.at));
        let bounds = [named(self.lower, "min", "above"), named(self.upper, "max", "below")];
        Value::Object(bounds.into_iter().flatten().map(|(name, at)| (Key(name.to_owned()), Value::Text(at.to_string()))).collect())
    }

    /// Whether the text is a plain decimal within the bounds; `None` when it is none, see [`plain`].
    pub fn test(&self, text: &str) -> Option<bool> {
        plain(text).map(|number| self.holds(number))
    }

    /// Whether the canonical text of a number is within the bounds; `None` when it is none.
    pub fn test_number(&self, text: &str) -> Option<bool> {
        canonical(text).map(|number| self.holds(number))
    }

    /// Whether the number is within the bounds.
    pub(crate) fn holds(&self, number: Number) -> bool {
        let over = |lower: Bound| number > lower.at || lower.included && number == lower.at;
        let under = |upper: Bound| number < upper.at || upper.included && number == upper.at;
        self.lower.is_none_or(over) && self.upper.is_none_or(under)
    }

    /// The upper bound's text when that is all there is, and is itself within.
    pub(crate) fn only_max(&self) -> Option<String> {
        match (self.lower, self.upper) {
            (None, Some(Bound { at, included: true })) => Some(at.to_string()),
            _ => None,
        }
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        let lower = self.lower.map(|bound| (bound.at, if bound.included { "of at least" } else { "above" }));
        let upper = self.upper.map(|bound| (bound.at, if bound.included { "of at most" } else { "below" }));
        match (self.lower, lower, self.upper, upper) {
            (Some(Bound { included: true, .. }), Some((min, _)), Some(Bound { included: true, .. }), Some((max, _))) => {
                format!("a decimal from {min} to {max}")
            }
            (_, Some((min, over)), _, Some((max, under))) => format!("a decimal {over} {min} and {under} {max}"),
            (_, Some((at, side)), ..) | (_, None, _, Some((at, side))) => format!("a decimal {side} {at}"),
            (_, None, _, None) => "a decimal".to_owned(),
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

/// Reads the canonical text of a number (RFC 8785), which has an exponent where its magnitude is below 10^-6.
///
/// What lies beyond the 27th digit of a fraction is written as one digit more: no bound has one there, so every comparison
/// with a bound is exact.
fn canonical(text: &str) -> Option<Number> {
    let Some((mantissa, exponent)) = text.split_once("e-") else { return plain(text) };
    let (sign, magnitude) = mantissa.strip_prefix('-').map_or(("", mantissa), |magnitude| ("-", magnitude));
    let (first, rest) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let digits = format!("{first}{rest}");
    let sound = first.len() == 1
        && first != "0"
        && digits.len() <= MAX_DIGITS
        && digits.bytes().chain(exponent.bytes()).all(|byte| byte.is_ascii_digit());
    let zeros = if sound { exponent.parse::<usize>().ok()?.checked_sub(1)? } else { return None };
    let fraction = format!("{}{digits}", "0".repeat(zeros.min(MAX_FRACTION)));
    let (kept, beyond) = fraction.split_at_checked(MAX_FRACTION).unwrap_or((&fraction, ""));
    let more = if beyond.bytes().any(|digit| digit != b'0') { "5" } else { "" };
    Number::from_str_exact(&format!("{sign}0.{kept}{more}")).ok()
}

/// The bound on one side, which is said by one of two names.
fn side(members: &mut Members<'_>, included: &str, excluded: &str) -> Result<Option<Bound>, Reason> {
    let (name, is_included) = if members.has(included) { (included, true) } else { (excluded, false) };
    if !members.has(name) {
        return Ok(None);
    }
    let at = plain(&members.text(name)?).ok_or(Reason::CaveatMalformed)?;
    Ok(Some(Bound { at: at.normalize(), included: is_included }))
}

const MAX_DIGITS: usize = 28;
/// A bound's first digit stands before the point.
const MAX_FRACTION: usize = MAX_DIGITS - 1;

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
    fn bounds_that_are_not_within_are_told_from_those_that_are() {
        let rule = decimal(r#"{"above":"0","below":"1.5"}"#).unwrap();
        for (text, expected) in [("0", false), ("0.0000000000000000000000001", true), ("1.4999999999", true), ("1.50", false)] {
            assert_eq!(rule.test(text), Some(expected), "{text}");
        }
        assert_eq!(rule.to_json().canonical(), r#"{"above":"0","below":"1.5"}"#);
        let mixed = decimal(r#"{"above":"-1","max":"1"}"#).unwrap();
        assert_eq!((mixed.test("-1"), mixed.test("1")), (Some(false), Some(true)));
    }

    /// Bounds end at the 27th digit of a fraction, numbers at no such place.
    #[test]
    fn numbers_with_an_exponent_are_compared_exactly() {
        for (rule, text, expected) in [
            (r#"{"min":"0.0000001"}"#, "1e-7", Some(true)),
            (r#"{"above":"0.0000001"}"#, "1e-7", Some(false)),
            (r#"{"above":"0.0000001"}"#, "1.00000000000001e-7", Some(true)),
            (r#"{"max":"0.000000000000000000000000001"}"#, "1e-27", Some(true)),
            (r#"{"max":"0.000000000000000000000000001"}"#, "1.00000000000001e-27", Some(false)),
            (r#"{"below":"0.000000000000000000000000001"}"#, "9.99999999999999e-28", Some(true)),
            (r#"{"above":"0"}"#, "1e-100", Some(true)),
            (r#"{"max":"0"}"#, "1e-100", Some(false)),
            (r#"{"max":"0"}"#, "-1e-100", Some(true)),
            (r#"{"min":"0"}"#, "-1e-100", Some(false)),
            (r#"{"min":"0"}"#, "5", Some(true)),
            (r#"{"min":"0"}"#, "1e7", None),
            (r#"{"min":"0"}"#, "01e-7", None),
            (r#"{"min":"0"}"#, "1E-7", None),
            (r#"{"min":"0"}"#, "e-7", None),
            (r#"{"min":"0"}"#, "1e-", None),
            (r#"{"min":"0"}"#, "1e--7", None),
            (r#"{"min":"0"}"#, "0e-7", None),
        ] {
            assert_eq!(decimal(rule).unwrap().test_number(text), expected, "{rule} {text}");
        }
        assert_eq!(decimal(r#"{"min":"0"}"#).unwrap().test("1e-7"), None, "readers of texts differ on exponents");
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
            r#"{"max":"1","below":"1"}"#,
            r#"{"min":"1","above":"0"}"#,
            r#"{"min":"1","below":"1"}"#,
            r#"{"above":"1","below":"1"}"#,
            r#""1""#,
        ] {
            assert_eq!(decimal(text), Err(Reason::CaveatMalformed), "{text}");
        }
    }
}
