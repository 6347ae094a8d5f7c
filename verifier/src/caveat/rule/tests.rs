//! What holds for every rule.

use super::*;
use crate::{
    Reason,
    json::{Limits, Value, parse},
};

/// The value that a JSON text means.
pub(super) fn json(text: &str) -> Value {
    parse(text.as_bytes(), Limits::CAVEATS).unwrap()
}

/// Reads a rule and writes it, reads that again, and says its sentence.
macro_rules! read_write_say {
    ($kind:ty, $text:expr) => {{
        let rule = <$kind>::from_json(&json($text)).unwrap();
        assert_eq!(<$kind>::from_json(&rule.to_json()), Ok(rule.clone()), "{}", $text);
        (rule.to_json().canonical(), rule.sentence())
    }};
}

#[test]
fn a_rule_in_normal_form_reads_back_and_has_a_sentence() {
    let (glob, cidr) = (r#""db-*-\\\\?""#, r#"["10.0.0.0/8","2001:db8::/32"]"#);
    let url = concat!(
        r#"{"hosts":["*.b.example","a.example"],"not_hosts":["x.b.example"],"path":"/v1/","#,
        r#""ports":[443,8443],"public":true,"schemes":["https","wss"]}"#
    );
    let (subpath, shell) = (r#""/srv/data""#, r#"{"programs":["git","ls"],"words":["-l","status"]}"#);
    let (decimal, length) = (r#"{"max":"99.99","min":"0.01"}"#, r#"{"max":10,"min":1}"#);
    let window = r#"{"days":["mon","fri"],"from":"22:00","to":"06:30","utc_offset":"-03:30"}"#;
    for (text, (written, said), sentence) in [
        (glob, read_write_say!(Glob, glob), r"a text like `db-*-\\\\?`"),
        (cidr, read_write_say!(Cidr, cidr), "an IP address in `10.0.0.0/8` or `2001:db8::/32`"),
        (
            url,
            read_write_say!(Url, url),
            "a URL with scheme `https` or `wss`, on a public host, host `*.b.example` or `a.example`, host not `x.b.example`, \
             port 443 or 8443, path below `/v1/`",
        ),
        (subpath, read_write_say!(Subpath, subpath), "the path `/srv/data` or one below it"),
        (shell, read_write_say!(Shell, shell), "a command line of `git` or `ls` with no words but `-l`, `status`"),
        (decimal, read_write_say!(Decimal, decimal), "a decimal from 0.01 to 99.99"),
        (length, read_write_say!(Length, length), "a text of 1 to 10 characters"),
        (window, read_write_say!(TimeWindow, window), "from 22:00 to 06:30 of the next day at UTC-03:30 on mon, fri"),
    ] {
        assert_eq!(written, text);
        assert_eq!(said, sentence);
    }
}

#[test]
fn a_sentence_shows_no_control_characters_of_others() {
    let glob = Glob::from_json(&Value::Text("a\u{1b}[2J`*".to_owned())).unwrap();
    assert!(!glob.sentence().contains('\u{1b}'), "{}", glob.sentence());
}

#[test]
fn a_text_above_the_bound_is_read_by_no_rule() {
    let (fits, too_long) = ("1".repeat(MAX_TEXT), "1".repeat(MAX_TEXT + 1));
    let (glob, length) = (Glob::from_json(&json(r#""*""#)).unwrap(), Length::from_json(&json(r#"{"min":0}"#)).unwrap());
    assert_eq!((glob.test(&fits), glob.test(&too_long)), (Some(true), None));
    assert_eq!((length.test(&fits), length.test(&too_long)), (Some(true), None));
    let shell = Shell::from_json(&json(r#"{"programs":["a"]}"#)).unwrap();
    assert_eq!((shell.test(&fits), shell.test(&too_long)), (Some(false), None));
    let subpath = Subpath::from_json(&json(r#""/""#)).unwrap();
    let path = |length: usize| format!("/{}", "1".repeat(length - 1));
    assert_eq!((subpath.test(&path(MAX_TEXT)), subpath.test(&path(MAX_TEXT + 1))), (Some(true), None));
    let url = Url::from_json(&json(r#"{"schemes":["https"]}"#)).unwrap();
    let address = |length: usize| format!("https://a.example/{}", "1".repeat(length - 18));
    assert_eq!((url.test(&address(MAX_TEXT)), url.test(&address(MAX_TEXT + 1))), (Some(true), None));
    let cidr = Cidr::from_json(&json(r#"["::/0"]"#)).unwrap();
    assert_eq!((cidr.test(&too_long), Decimal::from_json(&json(r#"{"min":"0"}"#)).unwrap().test(&too_long)), (None, None));
}

#[test]
fn a_value_of_another_type_is_no_rule() {
    for value in [Value::Null, Value::Flag(true), Value::Integer(1), json("0.5"), json("[1]"), json(r#"{"x":1}"#)] {
        assert_eq!(Glob::from_json(&value), Err(Reason::CaveatMalformed));
        assert_eq!(Cidr::from_json(&value), Err(Reason::CaveatMalformed));
        assert_eq!(Url::from_json(&value), Err(Reason::CaveatMalformed));
        assert_eq!(Subpath::from_json(&value), Err(Reason::CaveatMalformed));
        assert_eq!(Shell::from_json(&value), Err(Reason::CaveatMalformed));
        assert_eq!(Decimal::from_json(&value), Err(Reason::CaveatMalformed));
        assert_eq!(Length::from_json(&value), Err(Reason::CaveatMalformed));
        assert_eq!(TimeWindow::from_json(&value), Err(Reason::CaveatMalformed));
    }
}
