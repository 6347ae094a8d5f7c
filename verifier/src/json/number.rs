//! Numbers that survive the trip through a double and back.

use super::Value;
use crate::Reason;

/// A number with a fraction, kept as its canonical RFC 8785 text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(String);

impl Decimal {
    /// The canonical text, as ECMAScript's `Number::toString` writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads a number whose text has already been matched against the JSON grammar.
///
/// A double holds every decimal of up to 15 significant digits so that printing gives the same decimal back; beyond
/// that two texts would merge into one value, so they are refused. A whole number beyond 2^53-1 is refused for the same
/// reason.
pub(super) fn read(text: &str) -> Result<Value, Reason> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| Reason::JsonNumber)?),
        None => (text, 0),
    };
    let negative = mantissa.starts_with('-');
    let (whole, fraction) = mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa.trim_start_matches('-'), ""));
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Ok(Value::Integer(0));
    }
    let dropped_zeros = i32::try_from(digits.len() - digits.trim_end_matches('0').len()).map_err(|_| Reason::JsonNumber)?;
    let fraction_digits = i32::try_from(fraction.len()).map_err(|_| Reason::JsonNumber)?;
    // value = significant × 10^scale
    let scale = exponent.checked_sub(fraction_digits).and_then(|scale| scale.checked_add(dropped_zeros)).ok_or(Reason::JsonNumber)?;
    if scale >= 0 { integer(significant, scale, negative) } else { decimal(text, significant, scale) }
}

fn integer(significant: &str, scale: i32, negative: bool) -> Result<Value, Reason> {
    let magnitude = u32::try_from(scale)
        .ok()
        .and_then(|scale| 10_i64.checked_pow(scale))
        .and_then(|power| significant.parse::<i64>().ok()?.checked_mul(power))
        .filter(|magnitude| *magnitude <= LARGEST_INTEGER)
        .ok_or(Reason::JsonNumber)?;
    Ok(Value::Integer(if negative { -magnitude } else { magnitude }))
}

fn decimal(text: &str, significant: &str, scale: i32) -> Result<Value, Reason> {
    if significant.len() > SIGNIFICANT_DIGITS || scale < SMALLEST_SCALE {
        return Err(Reason::JsonNumber);
    }
    let double: f64 = text.parse().map_err(|_| Reason::JsonNumber)?;
    Ok(Value::Decimal(Decimal(ecmascript(double))))
}

/// ECMA-262 `Number::toString` for finite numbers with a fraction: plain from 1e-6 up, else with an exponent.
fn ecmascript(double: f64) -> String {
    if double.abs() >= 1e-6 {
        return format!("{double}");
    }
    let text = format!("{double:e}");
    text
}

/// 2^53-1: the largest integer up to which every integer is one double (RFC 8785, appendix D).
const LARGEST_INTEGER: i64 = (1 << 53) - 1;

/// Decimals of this many digits survive decimal → double → decimal (IEEE 754 binary64).
const SIGNIFICANT_DIGITS: usize = 15;

/// Keeps decimals far away from subnormal doubles, where the 15 digits no longer survive.
const SMALLEST_SCALE: i32 = -100;
