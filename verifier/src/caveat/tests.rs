use proptest::prelude::*;

use super::*;
use crate::{
    Call, Reason,
    datalog::{CALL_FACTS, typecheck},
    json::{Limits, Value, parse},
};

fn caveat(text: &str) -> Result<Caveat, Reason> {
    Caveat::from_json(&parse(text.as_bytes(), Limits::CAVEATS).unwrap())
}

#[test]
fn every_kind_reads_back_from_json_and_from_its_check() {
    for text in [
        r#"{"allow":["a","b",{"prefix":"crm."}],"kind":"tools"}"#,
        r#"{"allow":[{"prefix":"crm."}],"kind":"tools"}"#,
        r#"{"is":{"exact":"EUR"},"kind":"arg","path":"/currency","tool":"pay"}"#,
        r#"{"is":{"exact":true},"kind":"arg","path":"/dry_run","tool":"pay"}"#,
        r#"{"is":{"one_of":[false,1,2,"x"]},"kind":"arg","path":"/a~1b","tool":"pay"}"#,
        r#"{"is":{"range":{"max":500,"min":0}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"{"is":{"range":{"max":500}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"{"is":{"range":{"min":-5}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"{"is":{"range":{}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"{"is":{"prefix":"/reports/"},"kind":"arg","path":"/path","tool":"read"}"#,
        r#"{"at":"","kind":"closed_args","names":["amount","currency"],"tool":"pay"}"#,
        r#"{"at":"/to","kind":"closed_args","names":[],"tool":"pay"}"#,
        r#"{"kind":"audience","one_of":["https://a.example","https://b.example"]}"#,
        r#"{"at":"2026-11-21T12:00:00Z","kind":"expires"}"#,
        r#"{"kind":"depth","max":3}"#,
    ] {
        let caveat = caveat(text).unwrap_or_else(|reason| panic!("{text}: {reason}"));
        assert_eq!(caveat.to_json().canonical(), text);
        assert_eq!(Caveat::read(&caveat.check()), Some(caveat.clone()), "{text}");
        assert_eq!(typecheck(&caveat.check(), CALL_FACTS), Ok(()), "{text}");
        assert!(!caveat.sentence().is_empty());
    }
}

#[test]
fn malformed_caveats_are_refused_with_a_reason() {
    for (text, reason) in [
        (r#"{"kind":"tools","allow":[]}"#, Reason::CaveatNamesNoTool),
        (r#"{"kind":"arg","path":"/a","is":{"exact":1}}"#, Reason::CaveatNamesNoTool),
        (r#"{"kind":"arg","tool":"","path":"/a","is":{"exact":1}}"#, Reason::CaveatNamesNoTool),
        (r#"{"kind":"closed_args","names":[]}"#, Reason::CaveatNamesNoTool),
        (r#"{"kind":"tools","allow":["a","a"]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"tools","allow":[""]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"tools","allow":["a"],"extra":1}"#, Reason::CaveatMalformed),
        (r#"{"kind":"unheard_of"}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"a","is":{"exact":1}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/~2","is":{"exact":1}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"","is":{"exact":1}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"exact":null}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"exact":1.5}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"one_of":[]}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"range":{"min":2,"max":1}}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"range":{"most":1}}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"exact":1,"prefix":"a"}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"audience","one_of":[]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"expires","at":"2026-11-21T12:00:00.5Z"}"#, Reason::CaveatMalformed),
        (r#"{"kind":"expires","at":"tomorrow"}"#, Reason::CaveatMalformed),
        (r#"{"kind":"depth","max":-1}"#, Reason::CaveatMalformed),
        (r#"{"kind":"depth","max":16}"#, Reason::CaveatMalformed),
        ("[]", Reason::CaveatMalformed),
    ] {
        assert_eq!(caveat(text), Err(reason), "{text}");
    }
}

/// Whether a call passes one caveat, by the evaluator.
fn passes(caveat: &Caveat, tool: &str, arguments: &str) -> bool {
    let arguments = parse(arguments.as_bytes(), Limits::ARGUMENTS).unwrap();
    Call { tool, arguments: &arguments, audience: "https://a.example", time: 100 }.facts(1).unwrap().satisfy(&caveat.check())
}

#[test]
fn argument_caveats_bind_their_tool_and_deny_what_is_missing() {
    let range = caveat(r#"{"kind":"arg","tool":"pay","path":"/amount","is":{"range":{"min":1,"max":500}}}"#).unwrap();
    for (tool, arguments, expected) in [
        ("pay", r#"{"amount":500}"#, true),
        ("pay", r#"{"amount":501}"#, false),
        ("pay", r#"{"amount":0}"#, false),
        ("pay", r#"{"amount":"5"}"#, false),
        ("pay", r#"{"amount":5.5}"#, false),
        ("pay", r#"{"amount":5.0}"#, true),
        ("pay", r#"{"amount":null}"#, false),
        ("pay", r#"{"amount":[5]}"#, false),
        ("pay", "{}", false),
        ("read", "{}", true),
    ] {
        assert_eq!(passes(&range, tool, arguments), expected, "{tool} {arguments}");
    }
}

#[test]
fn closed_arguments_refuse_what_they_do_not_list() {
    let closed = caveat(r#"{"kind":"closed_args","tool":"pay","names":["amount","to"]}"#).unwrap();
    let nested = caveat(r#"{"kind":"closed_args","tool":"pay","at":"/to","names":["iban"]}"#).unwrap();
    let arguments = r#"{"amount":1,"to":{"iban":"x"}}"#;
    assert!(passes(&closed, "pay", arguments) && passes(&nested, "pay", arguments));
    assert!(passes(&closed, "pay", "{}") && !passes(&nested, "pay", "{}"));
    assert!(!passes(&closed, "pay", r#"{"amount":1,"memo":"x"}"#));
    assert!(!passes(&nested, "pay", r#"{"to":{"iban":"x","bic":"y"}}"#));
}

pub(crate) fn any_matcher() -> impl Strategy<Value = Matcher> {
    let scalar =
        || prop_oneof![any::<bool>().prop_map(Scalar::Flag), (-20_i64..20).prop_map(Scalar::Integer), "[a-c]{0,3}".prop_map(Scalar::Text)];
    prop_oneof![
        scalar().prop_map(Matcher::Exact),
        prop::collection::btree_set(scalar(), 1..5).prop_map(Matcher::OneOf),
        (prop::option::of(-20_i64..0), prop::option::of(0_i64..20)).prop_map(|(min, max)| Matcher::Range { min, max }),
        "[a-c]{0,2}".prop_map(Matcher::Prefix),
    ]
}

proptest! {
    /// `within` may say no to a narrowing, never yes to a widening.
    #[test]
    fn a_matcher_within_another_accepts_nothing_more(inner in any_matcher(), outer in any_matcher(), value in prop_oneof!["[a-c]{0,3}".prop_map(Value::Text), (-20_i64..20).prop_map(Value::Integer), any::<bool>().prop_map(Value::Flag)]) {
        let arguments = Value::object([("a", value)]).canonical();
        let of = |is: &Matcher| Caveat::Argument(Argument { tool: "t".into(), path: "/a".into(), is: is.clone() });
        prop_assert!(!inner.within(&outer) || !passes(&of(&inner), "t", &arguments) || passes(&of(&outer), "t", &arguments));
    }

    #[test]
    fn any_argument_caveat_reads_back(is in any_matcher()) {
        let caveat = Caveat::Argument(Argument { tool: "t".into(), path: "/a".into(), is });
        prop_assert_eq!(Caveat::read(&caveat.check()), Some(caveat.clone()));
        prop_assert_eq!(Caveat::from_json(&caveat.to_json()), Ok(caveat));
    }
}
