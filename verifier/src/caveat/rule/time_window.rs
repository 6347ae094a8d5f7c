//! Hours of the week at a fixed offset from UTC.

use crate::{
    Reason,
    caveat::json::{Members, text},
    json::Value,
};

/// Hours of some days of the week: from the first minute on, until the last begins.
///
/// The offset is fixed. A zone's name is resolved where the caveat is made: tables of zones differ between machines and
/// change over time, and the same token at the same second must get the same answer (law L6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// Monday first.
    days: [bool; 7],
    from: u16,
    to: u16,
    offset: i16,
}

impl TimeWindow {
    /// Reads `days`, `from`, `to` and `utc_offset`, each in its one spelling.
    ///
    /// # Errors
    /// `CAVEAT_MALFORMED`: days out of order or named twice, `from` equal to `to`, midnight as the end written `00:00`, an
    /// offset outside -12:00 to +14:00 or written `-00:00`.
    pub fn from_json(value: &Value) -> Result<Self, Reason> {
        let mut members = Members::of(value)?;
        let days = read_days(members.value("days")?);
        let from = read_minutes(&members.text("from")?).filter(|from| *from < DAY);
        let to = read_minutes(&members.text("to")?).filter(|to| *to > 0);
        let offset = read_offset(&members.text("utc_offset")?);
        members.end()?;
        match (days, from, to, offset) {
            (Some(days), Some(from), Some(to), Some(offset)) if from != to => Ok(Self { days, from, to, offset }),
            _ => Err(Reason::CaveatMalformed),
        }
    }

    /// All four members.
    pub fn to_json(&self) -> Value {
        Value::object([
            ("days", Value::Array(self.names().map(text).collect())),
            ("from", text(&write_minutes(self.from))),
            ("to", text(&write_minutes(self.to))),
            ("utc_offset", text(&self.write_offset())),
        ])
    }

    /// Whether the time, in seconds since the Unix epoch, lies in the window; `None` after the year 9999.
    ///
    /// A window with `from` after `to` goes on past midnight and belongs to the day on which it starts.
    pub fn test(&self, seconds: u64) -> Option<bool> {
        let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds <= MAX_TIME)?;
        let minutes = seconds.div_euclid(60) + i64::from(self.offset);
        let minute = minutes.rem_euclid(DAY.into());
        // the epoch was a Thursday
        let day = minutes.div_euclid(DAY.into()) + 3;
        let listed = |day: i64| usize::try_from(day.rem_euclid(7)).ok().and_then(|day| self.days.get(day)).is_some_and(|listed| *listed);
        let (after_start, before_end) = (minute >= self.from.into(), minute < self.to.into());
        Some(if self.from < self.to {
            listed(day) && after_start && before_end
        } else {
            (listed(day) && after_start) || (listed(day - 1) && before_end)
        })
    }

    /// When it must be.
    pub fn sentence(&self) -> String {
        let (from, to, offset) = (write_minutes(self.from), write_minutes(self.to), self.write_offset());
        let next = if self.from < self.to { "" } else { " of the next day" };
        format!("from {from} to {to}{next} at UTC{offset} on {}", self.names().collect::<Vec<_>>().join(", "))
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        DAYS.into_iter().zip(self.days).filter_map(|(name, listed)| listed.then_some(name))
    }

    fn write_offset(&self) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        format!("{sign}{}", write_minutes(self.offset.unsigned_abs()))
    }
}

fn read_days(value: &Value) -> Option<[bool; 7]> {
    let Value::Array(items) = value else { return None };
    let mut items = items.iter().map(Value::as_text).peekable();
    items.peek()?;
    let days = DAYS.map(|name| items.next_if_eq(&Some(name)).is_some());
    // what is left was unknown, named twice or out of order
    items.next().is_none().then_some(days)
}

/// `HH:MM` from `00:00` to `24:00`.
fn read_minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |text: &str| if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None };
    let (hours, minutes): (u16, u16) = (two_digits(hours)?, two_digits(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes).filter(|minutes| *minutes <= DAY)
}

fn read_offset(text: &str) -> Option<i16> {
    let (sign, size) = text.split_at_checked(1)?;
    let size = i16::try_from(read_minutes(size)?).ok()?;
    match sign {
        "+" if size <= 14 * 60 => Some(size),
        // RFC 3339 §4.3: -00:00 says that the offset is unknown
        "-" if (1..=12 * 60).contains(&size) => Some(-size),
        _ => None,
    }
}

fn write_minutes(minutes: u16) -> String {
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY: u16 = 24 * 60;
/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const MAX_TIME: i64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::{super::tests::json, *};

    fn window(days: &str, from: &str, to: &str, offset: &str) -> Result<TimeWindow, Reason> {
        TimeWindow::from_json(&json(&format!(r#"{{"days":{days},"from":"{from}","to":"{to}","utc_offset":"{offset}"}}"#)))
    }

    const ALL: &str = r#"["mon","tue","wed","thu","fri","sat","sun"]"#;
    /// 2026-11-23T00:00:00Z, a Monday.
    const MONDAY: u64 = 1_795_392_000;
    const HOUR: u64 = 3600;

    #[test]
    fn the_window_is_open_from_its_first_second_until_its_last() {
        let rule = window(r#"["mon"]"#, "09:00", "17:30", "+02:00").unwrap();
        let (start, end) = (MONDAY + 7 * HOUR, MONDAY + 15 * HOUR + 1800);
        for (time, expected) in [
            (start - 1, false),
            (start, true),
            (end - 1, true),
            (end, false),
            (start + 24 * HOUR, false),
            (start - 24 * HOUR, false),
            (start + 7 * 24 * HOUR, true),
        ] {
            assert_eq!(rule.test(time), Some(expected), "{time}");
        }
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_it_starts_on() {
        let rule = window(r#"["mon","sun"]"#, "22:00", "06:00", "-05:00").unwrap();
        let local = |hours: u64| MONDAY + (hours + 5) * HOUR;
        for (time, expected) in [
            (local(5), true),
            (local(6), false),
            (local(21), false),
            (local(22), true),
            (local(24 + 5), true),
            (local(24 + 22), false),
            (local(6 * 24 + 5), false),
            (local(6 * 24 + 22), true),
        ] {
            assert_eq!(rule.test(time), Some(expected), "{time}");
        }
    }

    #[test]
    fn the_ends_of_time_and_of_the_offsets_are_answered() {
        assert_eq!(window(r#"["wed"]"#, "12:00", "12:01", "-12:00").unwrap().test(0), Some(true));
        assert_eq!(window(r#"["thu"]"#, "14:00", "14:01", "+14:00").unwrap().test(59), Some(true));
        assert_eq!(window(r#"["fri"]"#, "00:00", "24:00", "+00:00").unwrap().test(253_402_300_799), Some(true));
        assert_eq!(window(r#"["sat"]"#, "00:00", "24:00", "+00:01").unwrap().test(253_402_300_799), Some(true));
        for time in [253_402_300_800, u64::MAX, i64::MAX.unsigned_abs()] {
            assert_eq!(window(ALL, "00:00", "24:00", "+00:00").unwrap().test(time), None);
        }
    }

    #[test]
    fn windows_have_one_spelling() {
        for (days, from, to, offset) in [
            ("[]", "09:00", "17:00", "+00:00"),
            (r#""mon""#, "09:00", "17:00", "+00:00"),
            (r#"["Mon"]"#, "09:00", "17:00", "+00:00"),
            (r#"["mon","mon"]"#, "09:00", "17:00", "+00:00"),
            (r#"["tue","mon"]"#, "09:00", "17:00", "+00:00"),
            (r#"["mon",2]"#, "09:00", "17:00", "+00:00"),
            (ALL, "9:00", "17:00", "+00:00"),
            (ALL, "09:0", "17:00", "+00:00"),
            (ALL, "09:00:00", "17:00", "+00:00"),
            (ALL, "0900", "17:00", "+00:00"),
            (ALL, "+9:00", "17:00", "+00:00"),
            (ALL, "24:00", "17:00", "+00:00"),
            (ALL, "09:60", "17:00", "+00:00"),
            (ALL, "09:00", "24:01", "+00:00"),
            (ALL, "09:00", "99:00", "+00:00"),
            (ALL, "09:00", "09:00", "+00:00"),
            (ALL, "22:00", "00:00", "+00:00"),
            (ALL, "09:00", "17:00", "Z"),
            (ALL, "09:00", "17:00", ""),
            (ALL, "09:00", "17:00", "-00:00"),
            (ALL, "09:00", "17:00", "-12:01"),
            (ALL, "09:00", "17:00", "+14:01"),
            (ALL, "09:00", "17:00", "+0200"),
            (ALL, "09:00", "17:00", "02:00"),
            (ALL, "09:00", "17:00", "−02:00"),
            (ALL, "09:00", "17:00", "Europe/Berlin"),
        ] {
            assert_eq!(window(days, from, to, offset), Err(Reason::CaveatMalformed), "{days} {from} {to} {offset}");
        }
        for text in [
            r#"{"days":["mon"],"from":"09:00","to":"10:00"}"#,
            r#"{"days":["mon"],"from":"09:00","to":"10:00","utc_offset":"+00:00","x":1}"#,
        ] {
            assert_eq!(TimeWindow::from_json(&json(text)), Err(Reason::CaveatMalformed), "{text}");
        }
    }
}
