use proptest::prelude::*;

use super::{Limits, Value, parse};
use crate::Reason;

fn canonical(text: &str) -> Result<String, Reason> {
    parse(text.as_bytes(), Limits::ARGUMENTS).map(|value| value.canonical())
}

#[test]
fn canonical_form_follows_rfc_8785() {
    let table = [
        (r#"{"b":1,"a":2}"#, r#"{"a":2,"b":1}"#),
        (r#" [ 1 , true , null ] "#, "[1,true,null]"),
        (r#""\u20ac\u000f\n'\"\\\/""#, "\"€\\u000f\\n'\\\"\\\\/\""),
        ("1.0", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1e2", "100"),
        ("4.50", "4.5"),
        ("2e-3", "0.002"),
        ("0.000001", "0.000001"),
        ("1e-7", "1e-7"),
        ("1.25E-9", "1.25e-9"),
        ("-333.333", "-333.333"),
        ("9007199254740991", "9007199254740991"),
        // RFC 8785 §3.2.3: sorted by UTF-16 code units, so the smiley (a surrogate pair) comes before U+FB33
        (
            "{\"\u{20ac}\":1,\"\\r\":2,\"\u{fb33}\":3,\"1\":4,\"\u{1f600}\":5,\"\u{80}\":6,\"\u{f6}\":7}",
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn texts_with_two_readings_are_refused() {
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let many = format!("[{}1]", "1,".repeat(2000));
    let large = format!("\"{}\"", "x".repeat(70_000));
    let table = [
        (r#"{"a":1,"a":2}"#, Reason::JsonDuplicateKey),
        ("{\"a\":1,\"\\u0061\":2}", Reason::JsonDuplicateKey),
        ("9007199254740992", Reason::JsonNumber),
        ("1e300", Reason::JsonNumber),
        ("1e999999999999", Reason::JsonNumber),
        ("0.1234567890123456", Reason::JsonNumber),
        ("1e-400", Reason::JsonNumber),
        (r#""\ud800""#, Reason::JsonString),
        (r#""\udc00""#, Reason::JsonString),
        (r#""\ud800\u0041""#, Reason::JsonString),
        (r#""\x41""#, Reason::JsonString),
        (r#""\u00é0""#, Reason::JsonString),
        ("\"a\nb\"", Reason::JsonString),
        ("", Reason::JsonMalformed),
        ("{", Reason::JsonMalformed),
        ("[1,]", Reason::JsonMalformed),
        ("01", Reason::JsonMalformed),
        ("1.", Reason::JsonMalformed),
        ("+1", Reason::JsonMalformed),
        ("NaN", Reason::JsonMalformed),
        ("1 2", Reason::JsonMalformed),
        ("'a'", Reason::JsonMalformed),
        (deep.as_str(), Reason::JsonTooLarge),
        (many.as_str(), Reason::JsonTooLarge),
        (large.as_str(), Reason::JsonTooLarge),
    ];
    for (text, reason) in table {
        assert_eq!(canonical(text), Err(reason), "{}", text.chars().take(40).collect::<String>());
    }
}

#[test]
fn texts_that_a_careless_form_would_merge_stay_apart() {
    for (left, right) in [
        (r#"{"a":"1"}"#, r#"{"a":1}"#),
        (r#""é""#, "\"e\u{301}\""),
        (r#"{"a":null}"#, "{}"),
        ("0.1", "0.10000000000001"),
        (r#"["a,b"]"#, r#"["a","b"]"#),
    ] {
        assert_ne!(canonical(left).unwrap(), canonical(right).unwrap());
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        (-9_007_199_254_740_991_i64..=9_007_199_254_740_991).prop_map(serde_json::Value::from),
        (-99_999_999_i64..99_999_999, 1_u32..9)
            .prop_map(|(digits, scale)| { serde_json::from_str::<serde_json::Value>(&format!("{digits}e-{scale}")).unwrap() }),
        any::<String>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(serde_json::Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// A second reader must find the same value in the canonical text, and canonicalising again must change nothing.
    #[test]
    fn canonical_text_means_the_same_and_is_a_fixed_point(value in any_value()) {
        let text = value.to_string();
        let ours = parse(text.as_bytes(), Limits::ARGUMENTS).unwrap();
        let canonical = ours.canonical();
        let read_back: serde_json::Value = serde_json::from_str(&canonical).unwrap();
        prop_assert!(same(&value, &read_back), "{text} became {canonical}");
        prop_assert_eq!(parse(canonical.as_bytes(), Limits::ARGUMENTS).unwrap().canonical(), canonical);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, Limits::SIGNED);
    }
}

/// Equality that does not care whether a whole number was written as a float.
fn same(left: &serde_json::Value, right: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (left, right) {
        (Json::Number(left), Json::Number(right)) => left.as_f64() == right.as_f64(),
        (Json::Array(left), Json::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Json::Object(left), Json::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

#[test]
fn digest_is_over_the_canonical_text() {
    let value = parse(br#"{ "b" : 1.0, "a" : "x" }"#, Limits::ARGUMENTS).unwrap();
    assert_eq!(value, Value::object([("a", Value::Text("x".into())), ("b", Value::Integer(1))]));
    let same = parse(br#"{"a":"x","b":1}"#, Limits::ARGUMENTS).unwrap();
    assert_eq!(value.digest(), same.digest());
}
