use proptest::prelude::*;

use super::*;
use crate::{
    Call, Reason, State,
    datalog::{CHECK_FACTS, Expression, Function, Operator, Predicate, Query, Term, typecheck},
    json::{Key, Limits, Pointer, Value, parse},
    steps::Steps,
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
        r#"{"is":{"any":[{"exact":false},{"one_of":[1,2]},{"exact":"x"}]},"kind":"arg","path":"/a~1b","tool":"pay"}"#,
        r#"{"is":{"exact":1.5},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"not_one_of":["a","b"]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"suffix":".md"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"not":{"prefix":"/etc/"}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"contains":[1,"a"]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"subset":[true,1,2.5,"a"]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"subset":[]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"count":{"max":3,"min":1}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"count":{}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"type":"text"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"type":"null"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"type":"object"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"decimal":{"max":"99.99","min":"0.01"}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"decimal":{"above":"0","below":"1"}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"decimal":{"above":"-1","max":"1"}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"not":{"decimal":{"below":"1"}}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"type":"any"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"type":"array"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"none_of":[true,1,1.5,"a"]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"all":[{"type":"number"},{"none_of":[1]}]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"all":[{"not_one_of":[1,1.5]},{"none_of":[2]}]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"array_contains":[1,"a"]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"not":{"array_contains":[1]}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"decimal_text":{"max":"99.99"}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"glob":"db-*"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"not":{"glob":"db-*"}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"cidr":["10.0.0.0/8"]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"subpath":"/srv/data"},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"length":{"max":10}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"shell":{"programs":["git","ls"]}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"url":{"hosts":["a.example"],"schemes":["https"]}},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"is":{"any":[{"all":[{"prefix":"a"},{"suffix":"z"},{"not":{"length":{"max":3}}}]},{"range":{"min":5}}]},"kind":"arg","path":"/a","tool":"pay"}"#,
        r#"{"allow":["a",{"prefix":"crm."},{"suffix":".read"}],"kind":"tools"}"#,
        r#"{"deny":["a",{"prefix":"crm."},{"suffix":".read"}],"kind":"not_tools"}"#,
        r#"{"at":"2026-11-21T12:00:00Z","kind":"not_before"}"#,
        r#"{"kind":"time_window","window":{"days":["mon","tue"],"from":"09:00","to":"17:30","utc_offset":"+02:00"}}"#,
        r#"{"kind":"calls","max":5,"name":"mails","tool":"mail.send"}"#,
        r#"{"kind":"calls","max":5,"name":"all","per_seconds":3600}"#,
        r#"{"kind":"single_use","name":"once"}"#,
        r#"{"cost":{"path":"/amount"},"kind":"budget","max":"500","name":"travel","tool":"pay","unit":"EUR"}"#,
        r#"{"cost":{"each":"0.02"},"kind":"budget","max":"10.5","name":"mails","unit":"USD"}"#,
        r#"{"actions":["invoice.approve"],"kind":"requires_prior","tool":"pay"}"#,
        r#"{"actions":["a","b"],"kind":"forbids_prior"}"#,
        r#"{"kind":"labels","none_of":["pii","secret"],"tool":"web.post"}"#,
        r#"{"kind":"labels","within":["public"]}"#,
        r#"{"count":2,"kind":"approval","name":"finance","of":["k1","k2","k3"],"tool":"pay"}"#,
        r#"{"hosts":["api.example"],"kind":"network"}"#,
        r#"{"kind":"sandbox","level":"strict","tool":"shell.run"}"#,
        r#"{"kind":"redact","paths":["/email"]}"#,
        r#"{"check":"check if tool($t), arg_int(\"/a\", $v), $t.starts_with(\"a\"), $v >= 1","kind":"datalog"}"#,
        r#"{"is":{"range":{"max":500,"min":0}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"{"is":{"range":{"max":500}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"{"is":{"range":{"min":-5}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"{"is":{"type":"integer"},"kind":"arg","path":"/amount","tool":"pay"}"#,
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
        assert_eq!(typecheck(&caveat.check(), CHECK_FACTS), Ok(()), "{text}");
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
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"exact":[1]}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"not":{"type":"text"}}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"not":{"exact":null}}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"not":{"range":{}}}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"all":[{"prefix":"a"},{"range":{"min":1}}]}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"all":[{"range":{"min":5}},{"range":{"max":1}}]}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"all":[]}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"arg","tool":"t","path":"/a","is":{"regex":"a"}}"#, Reason::CaveatMalformed),
        (
            r#"{"kind":"arg","tool":"t","path":"/a","is":{"any":[{"prefix":"1"},{"prefix":"2"},{"prefix":"3"},{"prefix":"4"},{"prefix":"5"},{"prefix":"6"},{"prefix":"7"},{"prefix":"8"}]}}"#,
            Reason::CaveatTooComplex,
        ),
        (r#"{"kind":"calls","name":"n","max":0}"#, Reason::CaveatMalformed),
        (r#"{"kind":"calls","name":"","max":1}"#, Reason::CaveatMalformed),
        (r#"{"kind":"calls","max":1}"#, Reason::CaveatMalformed),
        (r#"{"kind":"calls","name":"n","max":1,"per_seconds":0}"#, Reason::CaveatMalformed),
        (r#"{"kind":"budget","name":"n","unit":"EUR","max":500,"cost":{"each":"1"}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"budget","name":"n","unit":"EUR","max":"500","cost":{"each":"-1"}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"budget","name":"n","unit":"EUR","max":"500","cost":{"each":1}}"#, Reason::CaveatMalformed),
        (r#"{"kind":"requires_prior","actions":[]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"labels"}"#, Reason::CaveatMalformed),
        (r#"{"kind":"labels","none_of":["a"],"within":["b"]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"approval","name":"n","count":3,"of":["a","b"]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"approval","name":"n","count":0,"of":["a","b"]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"redact","paths":["email"]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"network","hosts":[]}"#, Reason::CaveatMalformed),
        (r#"{"kind":"datalog","check":"check if time($t), $t < 2026-11-21T12:00:00Z"}"#, Reason::CaveatMalformed),
        (r#"{"kind":"datalog","check":"check if holder($h)"}"#, Reason::CaveatMalformed),
        (r#"{"kind":"datalog","check":"reject if tool($t)"}"#, Reason::CaveatMalformed),
        (r#"{"kind":"datalog","check":"check if history($h)"}"#, Reason::CaveatMalformed),
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

/// Whether a call passes one caveat, by its own evaluation and by the Datalog that defines it.
fn passes(caveat: &Caveat, tool: &str, arguments: &str) -> bool {
    let arguments = parse(arguments.as_bytes(), Limits::ARGUMENTS).unwrap();
    let call = Call { tool, arguments: &arguments, audience: "https://a.example", time: 100 };
    let passes = caveat.permits(&call, 1, &State::default());
    assert_eq!(call.facts(1).unwrap().satisfy(&caveat.check()), passes, "{} {arguments:?}", caveat.check());
    passes
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

/// The JSON of a matcher, of every rule and combination; not all can hold.
fn any_matcher() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::Flag),
        (-4_i64..4).prop_map(Value::Integer),
        "[a-c]{0,3}".prop_map(Value::Text),
        Just(parse(b"1.5", Limits::CAVEATS).unwrap()),
    ];
    let set = prop::collection::vec(scalar.clone(), 1..4);
    let bound = || prop::option::of(-4_i64..4);
    let range = move || {
        (bound(), bound()).prop_map(|(min, max)| {
            let sides = [("min", min), ("max", max)];
            Value::Object(sides.into_iter().filter_map(|(name, side)| Some((Key(name.into()), Value::Integer(side?)))).collect())
        })
    };
    let fixed = prop::sample::select(vec![
        r#"{"glob":"a*"}"#,
        r#"{"length":{"max":2}}"#,
        r#"{"decimal":{"min":"-1.5","max":"2"}}"#,
        r#"{"decimal":{"above":"-0.0000003","below":"1.5"}}"#,
        r#"{"type":"any"}"#,
        r#"{"type":"array"}"#,
        r#"{"decimal_text":{"max":"1"}}"#,
        r#"{"subpath":"/a"}"#,
        r#"{"type":"text"}"#,
        r#"{"type":"number"}"#,
        r#"{"type":"list"}"#,
        r#"{"count":{"min":1}}"#,
    ])
    .prop_map(|text| parse(text.as_bytes(), Limits::CAVEATS).unwrap());
    let leaf = prop_oneof![
        scalar.prop_map(|value| Value::object([("exact", value)])),
        (prop::sample::select(vec!["one_of", "not_one_of", "none_of", "contains", "array_contains", "subset"]), set)
            .prop_map(|(name, values)| Value::object([(name, Value::Array(values))])),
        (prop::sample::select(vec!["range", "count"]), range()).prop_map(|(name, range)| Value::object([(name, range)])),
        (prop::sample::select(vec!["prefix", "suffix"]), "[a-c]{0,2}").prop_map(|(name, text)| Value::object([(name, Value::Text(text))])),
        fixed,
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Value::object([("not", inner)])),
            (prop::sample::select(vec!["all", "any"]), prop::collection::vec(inner, 1..4))
                .prop_map(|(name, parts)| Value::object([(name, Value::Array(parts))])),
        ]
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = || {
        prop_oneof![
            "[a-c]{0,3}".prop_map(Value::Text),
            prop::sample::select(vec!["/a", "/a/b", "1", "0.5", "-2"]).prop_map(|text| Value::Text(text.into())),
            (-4_i64..4).prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Flag),
            Just(Value::Null),
            prop::sample::select(vec!["1.5", "1e-7", "-3e-7", "2e-50"])
                .prop_map(|number| parse(number.as_bytes(), Limits::CAVEATS).unwrap()),
        ]
    };
    let nested = (prop::collection::vec(leaf(), 0..3), any::<bool>()).prop_map(|(mut items, object)| {
        items.push(if object { Value::object([]) } else { Value::Array(Vec::new()) });
        Value::Array(items)
    });
    prop_oneof![1 => nested, 4 => leaf(), 1 => prop::collection::vec(leaf(), 0..4).prop_map(Value::Array), 1 => leaf().prop_map(|value| Value::object([("a", value)]))]
}

/// What a matcher's JSON says of a value, read straight from the definition: accepted, rejected, or not readable.
fn answer(matcher: &Value, value: &Value) -> Option<bool> {
    let (rule, inner) = members::only(matcher).unwrap();
    let parts = || if let Value::Array(parts) = inner { parts.iter().map(|part| answer(part, value)).collect() } else { Vec::new() };
    match rule {
        "not" => answer(inner, value).map(|answer| !answer),
        "all" if parts().contains(&Some(false)) => Some(false),
        "any" if parts().contains(&Some(true)) => Some(true),
        "all" => parts().iter().all(|part| *part == Some(true)).then_some(true),
        "any" => parts().iter().all(|part| *part == Some(false)).then_some(false),
        "not_one_of" => answer(&Value::object([("one_of", inner.clone())]), value).map(|answer| !answer),
        "one_of" => {
            let Value::Array(items) = inner else { return None };
            let same_kind = |item: &Value| match (item, value) {
                (Value::Decimal(_), Value::Integer(_)) => true,
                (item, value) => core::mem::discriminant(item) == core::mem::discriminant(value),
            };
            items.iter().any(same_kind).then(|| items.contains(value))
        }
        "none_of" => Some(!matches!(inner, Value::Array(items) if items.contains(value))),
        "array_contains" => match (inner, value) {
            (Value::Array(wanted), Value::Array(items)) => Some(wanted.iter().all(|wanted| items.contains(wanted))),
            _ => None,
        },
        "exact" => answer(&Value::object([("one_of", Value::Array(vec![inner.clone()]))]), value),
        "type" => Some(Matcher::from_json(matcher).unwrap().accepts(value, &mut Steps::of_one_decision()).unwrap()).filter(|yes| *yes),
        _ => match Matcher::from_json(matcher) {
            // one rule alone: what neither it nor its denial accepts, it can't read
            Ok(plain) => {
                let denied = Matcher::from_json(&Value::object([("not", matcher.clone())]));
                let accepts = |matcher: &Matcher| matcher.accepts(value, &mut Steps::of_one_decision()).unwrap();
                if accepts(&plain) { Some(true) } else { denied.is_ok_and(|denied| accepts(&denied)).then_some(false) }
            }
            Err(_) => None,
        },
    }
}

/// Found by the law below: the integer passed by way of the fractions.
#[test]
fn a_denied_integer_beside_a_denied_fraction_stays_denied() {
    for is in [r#"{"not_one_of":[1.5,-4]}"#, r#"{"not":{"one_of":[1.5,-4]}}"#, r#"{"not":{"any":[{"exact":-4}]}}"#] {
        let caveat = caveat(&format!(r#"{{"kind":"arg","tool":"t","path":"/a","is":{is}}}"#)).unwrap();
        assert!(!passes(&caveat, "t", r#"{"a":-4}"#), "{is}");
        assert!(passes(&caveat, "t", r#"{"a":-3}"#), "{is}");
    }
    let both = caveat(r#"{"kind":"arg","tool":"t","path":"/a","is":{"not_one_of":[1.5,-4]}}"#).unwrap();
    assert!(!passes(&both, "t", r#"{"a":1.5}"#) && passes(&both, "t", r#"{"a":2.5}"#));
}

/// A check that asks a rule of a fact of another kind would be decided otherwise than by the engine, and has no JSON.
#[test]
fn a_check_on_a_fact_of_another_kind_is_no_caveat() {
    let check = |fact: &str, expression: Expression| {
        let query = |body: Predicate, expression: Expression| Query { body: vec![body], expressions: vec![expression] };
        let other = Expression::binary(Operator::NotEqual, Term::variable("t"), Term::text("pay"));
        let queries = vec![
            query(Predicate::new("tool", [Term::variable("t")]), other),
            query(Predicate::new(fact, [Term::text("/a"), Term::variable("v")]), expression),
        ];
        Check { queries }
    };
    let binary = |operator, right: Term| Expression::binary(operator, Term::variable("v"), right);
    let function = |rule, parameter: &str| binary(Operator::Extern(Function { rule, negated: false }), Term::text(parameter));
    let at_least = || binary(Operator::GreaterOrEqual, Term::Integer(1));
    assert!(Caveat::read(&check("arg_int", at_least())).is_some());
    for (fact, expression) in [
        ("arg_int", Expression::Not(Box::new(at_least()))),
        ("arg_decimal", binary(Operator::StartsWith, Term::text("1"))),
        ("arg_any", binary(Operator::EndsWith, Term::text("1"))),
        ("arg_decimal", function("glob", "\"1*\"")),
        ("arg_decimal", function("decimal", "{\"max\":\"1\"}")),
        ("arg_text", function("number", "{\"max\":\"1\"}")),
        ("arg_any", function("number", "{\"max\":\"1\"}")),
    ] {
        let check = check(fact, expression);
        assert_eq!(typecheck(&check, CHECK_FACTS), Ok(()), "{check}");
        assert_eq!(Caveat::read(&check), None, "{check}");
    }
}

#[test]
fn a_value_that_is_held_as_json_is_bounded_as_json() {
    let of = |rule: &str, length: usize| {
        caveat(&format!(r#"{{"kind":"arg","tool":"t","path":"/a","is":{{"{rule}":["{}"]}}}}"#, "x".repeat(length))).map(drop)
    };
    assert_eq!((of("one_of", 1024), of("one_of", 1025)), (Ok(()), Err(Reason::CaveatMalformed)));
    for rule in ["contains", "array_contains", "subset", "none_of"] {
        assert_eq!((of(rule, 1022), of(rule, 1023)), (Ok(()), Err(Reason::CaveatMalformed)), "{rule}");
    }
}

/// A whole number is a number, and a list an array, so neither pair is taken to exclude each other.
#[test]
fn matchers_on_overlapping_kinds_meet_in_what_both_accept() {
    let matcher = |text: &str| Matcher::from_json(&parse(text.as_bytes(), Limits::CAVEATS).unwrap()).unwrap();
    let met = |one: &str, other: &str| match matcher(one).meet(&matcher(other)) {
        Meet::Matcher(met) => met.to_json().canonical(),
        Meet::Nothing => "nothing".to_owned(),
        Meet::Both => "both".to_owned(),
    };
    for (one, other, expected) in [
        (r#"{"range":{"max":5}}"#, r#"{"decimal":{"min":"0.5"}}"#, "both"),
        (r#"{"range":{"max":5}}"#, r#"{"type":"number"}"#, "both"),
        (r#"{"type":"array"}"#, r#"{"count":{"max":5}}"#, "both"),
        (r#"{"type":"text"}"#, r#"{"type":"number"}"#, "nothing"),
        (r#"{"type":"any"}"#, r#"{"prefix":"a"}"#, r#"{"prefix":"a"}"#),
        (r#"{"none_of":["a",1]}"#, r#"{"none_of":["b"]}"#, r#"{"none_of":[1,"a","b"]}"#),
        (r#"{"type":"list"}"#, r#"{"array_contains":[1]}"#, r#"{"contains":[1]}"#),
        (r#"{"decimal":{"min":"1","max":"5"}}"#, r#"{"decimal":{"above":"1","max":"9"}}"#, r#"{"decimal":{"above":"1","max":"5"}}"#),
        (r#"{"decimal":{"max":"1"}}"#, r#"{"decimal":{"min":"2"}}"#, r#"{"all":[{"decimal":{"max":"1"}},{"decimal":{"min":"2"}}]}"#),
    ] {
        assert_eq!(met(one, other), expected, "{one} {other}");
    }
}

#[test]
fn a_tighter_range_is_within_a_wider_one_of_the_same_or_a_wider_kind() {
    let matcher = |text: &str| Matcher::from_json(&parse(text.as_bytes(), Limits::CAVEATS).unwrap()).unwrap();
    for (inner, outer, expected) in [
        (r#"{"decimal":{"min":"1","max":"50"}}"#, r#"{"decimal":{"min":"1","max":"500"}}"#, true),
        (r#"{"decimal":{"above":"1"}}"#, r#"{"decimal":{"min":"1"}}"#, true),
        (r#"{"decimal":{"min":"1"}}"#, r#"{"decimal":{"above":"1"}}"#, false),
        (r#"{"range":{"min":1,"max":50}}"#, r#"{"decimal":{"min":"1","max":"500"}}"#, true),
        (r#"{"range":{"min":1}}"#, r#"{"decimal":{"min":"1","max":"500"}}"#, false),
        (r#"{"range":{"min":1,"max":50}}"#, r#"{"decimal":{"above":"1"}}"#, false),
        (r#"{"decimal":{"min":"1","max":"50"}}"#, r#"{"range":{"min":1,"max":500}}"#, false),
        (r#"{"all":[{"decimal":{"max":"50"}},{"none_of":[13]}]}"#, r#"{"decimal":{"max":"500"}}"#, true),
        (r#"{"decimal":{"max":"12"}}"#, r#"{"none_of":[13,"x"]}"#, true),
        (r#"{"decimal":{"max":"13"}}"#, r#"{"none_of":[13,"x"]}"#, false),
        (r#"{"prefix":"b"}"#, r#"{"not_one_of":["admin"]}"#, true),
        (r#"{"prefix":"a"}"#, r#"{"not_one_of":["admin"]}"#, false),
        (r#"{"prefix":"b"}"#, r#"{"not_one_of":[1]}"#, false),
        (r#"{"contains":[1,2]}"#, r#"{"array_contains":[1]}"#, true),
        (r#"{"array_contains":[1,2]}"#, r#"{"contains":[1]}"#, false),
        (r#"{"type":"object"}"#, r#"{"type":"any"}"#, true),
        (r#"{"type":"any"}"#, r#"{"type":"object"}"#, false),
        (r#"{"type":"array"}"#, r#"{"count":{}}"#, true),
    ] {
        assert_eq!(matcher(inner).within(&matcher(outer)), expected, "{inner} {outer}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(5_000), failure_persistence: None, ..ProptestConfig::default() })]

    /// `within` may say no to a narrowing, never yes to a widening.
    #[test]
    fn a_matcher_within_another_accepts_nothing_more(inner in any_matcher(), outer in any_matcher(), value in any_value()) {
        let (Ok(inner), Ok(outer)) = (Matcher::from_json(&inner), Matcher::from_json(&outer)) else { return Ok(()) };
        let accepts = |matcher: &Matcher| matcher.accepts(&value, &mut Steps::of_one_decision()).unwrap();
        prop_assert!(!inner.within(&outer) || !accepts(&inner) || accepts(&outer));
    }

    /// The normal form, its JSON, its check and the definition by cases all say the same of a value.
    #[test]
    fn a_matcher_means_what_its_json_says(json in any_matcher(), value in any_value()) {
        let Ok(is) = Matcher::from_json(&json) else { return Ok(()) };
        let caveat = Caveat::Argument(Argument { tool: "t".into(), path: Pointer::parse("/a").unwrap(), is });
        prop_assert_eq!(Caveat::from_json(&caveat.to_json()), Ok(caveat.clone()));
        prop_assert_eq!(Caveat::read(&caveat.check()), Some(caveat.clone()));
        let expected = answer(&json, &value) == Some(true);
        prop_assert_eq!(passes(&caveat, "t", &Value::object([("a", value)]).canonical()), expected, "{}", caveat.check());
    }
}
