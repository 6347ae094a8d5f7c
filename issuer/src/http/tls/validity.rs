//! From when to when a certificate is valid, read from its DER form (RFC 5280 section 4.1).
//!
//! It is for a certificate of our own, which rustls has parsed already: the rest of it is skipped by its lengths.

use time::{PrimitiveDateTime, macros::format_description};

/// Seconds since the Unix epoch, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: i64,
    pub(super) not_after: i64,
}

impl Validity {
    /// Reads the validity of a certificate; `None` when it is none.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = element(certificate, SEQUENCE)?;
        let (mut rest, _) = element(certificate, SEQUENCE)?;
        if let Some((_, behind)) = element(rest, VERSION) {
            rest = behind;
        }
        // Serial number, algorithm of the signature, issuer.
        for tag in [INTEGER, SEQUENCE, SEQUENCE] {
            (_, rest) = element(rest, tag)?;
        }
        let (validity, _) = element(rest, SEQUENCE)?;
        let (not_before, rest) = moment(validity)?;
        let (not_after, _) = moment(rest)?;
        Some(Self { not_before, not_after })
    }
}

/// RFC 5280 section 4.1.2.5: UTCTime until 2049, GeneralizedTime from then on, both in UTC to the second.
fn moment(input: &[u8]) -> Option<(i64, &[u8])> {
    let (century, (text, rest)) = match element(input, UTC_TIME) {
        Some((text, rest)) => (if text.first()? < &b'5' { "20" } else { "19" }, (text, rest)),
        None => ("", element(input, GENERALIZED_TIME)?),
    };
    let text = format!("{century}{}", core::str::from_utf8(text).ok()?);
    let time = PrimitiveDateTime::parse(&text, format_description!("[year][month][day][hour][minute][second]Z")).ok()?;
    Some((time.assume_utc().unix_timestamp(), rest))
}

/// The content of the element at the beginning, which must have this tag, and what is behind it.
fn element(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, length], rest) = input.split_first_chunk()?;
    if found != tag {
        return None;
    }
    if length < LONG_FORM {
        return rest.split_at_checked(length.into());
    }
    let digits = usize::from(length & !LONG_FORM);
    if !(1..=3).contains(&digits) {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(digits)?;
    rest.split_at_checked(digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)))
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const LONG_FORM: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        match u8::try_from(content.len()) {
            Ok(length) if length < LONG_FORM => bytes.push(length),
            _ => bytes.extend([0x82, (content.len() >> 8) as u8, content.len() as u8]),
        }
        bytes.extend(content);
        bytes
    }

    fn certificate(version: &[u8], begin: (u8, &str), end: (u8, &str)) -> Vec<u8> {
        let parts = [
            version.to_vec(),
            der(INTEGER, &[7]),
            der(SEQUENCE, &[]),
            der(SEQUENCE, &[0; 300]),
            der(SEQUENCE, &[der(begin.0, begin.1.as_bytes()), der(end.0, end.1.as_bytes())].concat()),
            der(SEQUENCE, &[1, 2, 3]),
        ];
        der(SEQUENCE, &der(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let version = der(VERSION, &der(INTEGER, &[2]));
        for version in [&version[..], &[]] {
            let read = Validity::of(&certificate(version, (UTC_TIME, "700101000001Z"), (GENERALIZED_TIME, "20500101000000Z")));
            assert_eq!(read, Some(Validity { not_before: 1, not_after: 2_524_608_000 }));
        }
        let read = Validity::of(&certificate(&version, (UTC_TIME, "491231235959Z"), (UTC_TIME, "500101000000Z")));
        assert_eq!(read, Some(Validity { not_before: 2_524_607_999, not_after: -631_152_000 }));
    }

    #[test]
    fn what_is_no_certificate_has_no_validity() {
        let whole = certificate(&[], (UTC_TIME, "250101000000Z"), (UTC_TIME, "260101000000Z"));
        assert!(Validity::of(&whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(Validity::of(&whole[..end]), None, "{end}");
        }
        for text in ["", "2501010000Z", "250101000000", "250101000000+0100", "251301000000Z"] {
            assert_eq!(Validity::of(&certificate(&[], (UTC_TIME, text), (UTC_TIME, "260101000000Z"))), None, "{text}");
        }
    }
}
