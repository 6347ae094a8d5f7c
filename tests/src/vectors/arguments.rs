//! Arguments: which texts are one value, which are two, and which are none.

use sha2::{Digest, Sha256};

use super::{ArgsAnswer, ArgsVector, Cases, Vector};
use crate::tokens::hex;

pub(super) fn cases(cases: &mut Cases) {
    for (name, about, text, canonical) in READ {
        let digest = hex(&Sha256::digest(canonical));
        add(cases, name, about, text, ArgsAnswer::Read { canonical: canonical.to_owned(), digest });
    }
    for (name, about, text, reason) in REFUSED {
        add(cases, name, about, text, ArgsAnswer::Refused { reason: reason.to_owned() });
    }
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    add(cases, "args_too_deep", "33 arrays in each other", &deep, ArgsAnswer::Refused { reason: "JSON_TOO_LARGE".to_owned() });
}

fn add(cases: &mut Cases, name: &str, about: &str, text: &str, expect: ArgsAnswer) {
    cases.add(name, Vector::Args(ArgsVector { about: about.to_owned(), text: text.to_owned(), expect }));
}

const READ: [(&str, &str, &str, &str); 13] = [
    (
        "args_sorted",
        "members are sorted and space is dropped",
        r#" { "b" : [ 1 , true , null ] , "a" : "x" } "#,
        r#"{"a":"x","b":[1,true,null]}"#,
    ),
    ("args_text_one", "the text \"1\" is not the number 1", r#"{"a":"1"}"#, r#"{"a":"1"}"#),
    ("args_number_one", "the number 1 is not the text \"1\"", r#"{"a":1}"#, r#"{"a":1}"#),
    ("args_one_point_zero", "1.0 is the number 1 and has its digest", r#"{"a":1.0}"#, r#"{"a":1}"#),
    ("args_composed", "é as one character stays so", "{\"a\":\"\u{e9}\"}", "{\"a\":\"\u{e9}\"}"),
    ("args_decomposed", "é as letter and accent stays so: no normalisation", "{\"a\":\"e\u{301}\"}", "{\"a\":\"e\u{301}\"}"),
    ("args_null", "null is a value", r#"{"a":null}"#, r#"{"a":null}"#),
    ("args_absent", "absence is not null", "{}", "{}"),
    ("args_exponent", "a whole number with an exponent", r#"{"a":1.50e3,"b":-0.0}"#, r#"{"a":1500,"b":0}"#),
    ("args_decimals", "decimals as ECMAScript writes them", r#"{"a":4.50,"b":0.000001,"c":1.0e-7}"#, r#"{"a":4.5,"b":0.000001,"c":1e-7}"#),
    ("args_largest", "2^53-1 is the largest integer", r#"{"a":9007199254740991}"#, r#"{"a":9007199254740991}"#),
    ("args_escapes", "escapes are written one way", "{\"a\":\"\\u0041\\/\\u000F\\t\u{7f}\"}", "{\"a\":\"A/\\u000f\\t\u{7f}\"}"),
    (
        "args_utf16_order",
        "keys are sorted by UTF-16 code units: the surrogate pair before U+FB33",
        "{\"\u{fb33}\":1,\"\u{1f600}\":2}",
        "{\"\u{1f600}\":2,\"\u{fb33}\":1}",
    ),
];

const REFUSED: [(&str, &str, &str, &str); 10] = [
    ("args_duplicate_key", "a key given twice", r#"{"a":1,"a":2}"#, "JSON_DUPLICATE_KEY"),
    ("args_duplicate_key_escaped", "a key given twice, once as an escape", r#"{"a":1,"\u0061":2}"#, "JSON_DUPLICATE_KEY"),
    ("args_lone_surrogate", "a high surrogate alone", r#"{"a":"\ud800"}"#, "JSON_STRING"),
    ("args_reversed_surrogates", "a low surrogate before a high one", r#"{"a":"\udc00\ud800"}"#, "JSON_STRING"),
    ("args_two_to_53", "2^53 has a neighbour that reads as the same double", r#"{"a":9007199254740992}"#, "JSON_NUMBER"),
    ("args_sixteen_digits", "more digits than a double keeps", r#"{"a":0.1234567890123456}"#, "JSON_NUMBER"),
    ("args_huge_exponent", "a number that no double holds", r#"{"a":1e400}"#, "JSON_NUMBER"),
    ("args_trailing_comma", "a comma too many", r#"{"a":1,}"#, "JSON_MALFORMED"),
    ("args_two_values", "two values", "{} {}", "JSON_MALFORMED"),
    ("args_raw_control", "a raw line feed in a string", "{\"a\":\"x\ny\"}", "JSON_STRING"),
];
