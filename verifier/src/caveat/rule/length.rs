//! Bounds on the length of a text.

use super::MAX_TEXT;
use crate::{
    Reason,
    caveat::json::Members,
    json::{Key, Value},
};

/// Inclusive bounds on the number of Unicode scalar values, which is neither bytes nor what a reader sees as characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    min: Option<u16>,
    max: Option<u16>,
}

impl Length {
    /// Reads `min` and `max`, at least one of them, both within 0 to 4,096.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`. A bound above 4,096 is refused since no text that long is read: it would promise too much.
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

    /// The bounds that there are.
    pub fn to_json(&self) -> Value {
        let bounds = [("max", self.max), ("min", self.min)];
        let written = bounds.into_iter().filter_map(|(name, bound)| Some((Key(name.to_owned()), Value::Integer(bound?.into()))));
        Value::Object(written.collect())
    }

    /// Whether the text is of such a length; `None` only for one of more than 4,096 bytes.
    pub fn test(&self, text: &str) -> Option<bool> {
        (text.len() <= MAX_TEXT).then(|| {
            let length = text.chars().count();
            self.min.is_none_or(|min| length >= min.into()) && self.max.is_none_or(|max| length <= max.into())
        })
    }

    /// What the text must be.
    pub fn sentence(&self) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) => format!("a text of {min} to {max} characters"),
            (Some(min), None) => format!("a text of at least {min} characters"),
            (None, Some(max)) => format!("a text of at most {max} characters"),
            (None, None) => "a text".to_owned(),
        }
    }
}

fn bound(members: &mut Members<'_>, name: &str) -> Result<Option<u16>, Reason> {
    if !members.has(name) {
        return Ok(None);
    }
    let bound = usize::try_from(members.integer(name)?).ok().filter(|bound| *bound <= MAX_TEXT);
    bound.and_then(|bound| u16::try_from(bound).ok()).map(Some).ok_or(Reason::CaveatMalformed)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::json, *};

    fn length(text: &str) -> Result<Length, Reason> {
        Length::from_json(&json(text))
    }

    #[test]
    fn scalar_values_are_counted_and_not_bytes() {
        let rule = length(r#"{"min":1,"max":3}"#).unwrap();
        for (text, expected) in [
            ("", false),
            ("a", true),
            ("abc", true),
            ("abcd", false),
            ("ééé", true),
            ("\u{1f600}\u{1f600}", true),
            ("e\u{301}e\u{301}", false),
        ] {
            assert_eq!(rule.test(text), Some(expected), "{text}");
        }
        assert_eq!(length(r#"{"min":2}"#).unwrap().test("a"), Some(false));
        assert_eq!(length(r#"{"max":0}"#).unwrap().test(""), Some(true));
        assert_eq!(length(r#"{"max":4096}"#).unwrap().test(&"a".repeat(4096)), Some(true));
    }

    #[test]
    fn bounds_that_make_no_sense_are_refused() {
        for text in [
            "{}",
            r#"{"min":-1}"#,
            r#"{"min":2,"max":1}"#,
            r#"{"max":4097}"#,
            r#"{"max":70000}"#,
            r#"{"max":"1"}"#,
            r#"{"max":1.5}"#,
            r#"{"max":1,"most":1}"#,
            "3",
        ] {
            assert_eq!(length(text), Err(Reason::CaveatMalformed), "{text}");
        }
    }
}
