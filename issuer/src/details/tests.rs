use narrows_verifier::{Call, State};

use super::*;

/// The one constraint on the argument `a` of the tool `t`.
fn constrained(constraint: &str) -> Result<Details, Reason> {
    parse(&format!(r#"[{{"type":"attenuating_agent_token","tools":{{"t":{{"a":{constraint}}}}}}}]"#))
}

fn permits(details: &Details, tool: &str, arguments: &str) -> bool {
    let arguments = json::parse(arguments.as_bytes(), Limits::ARGUMENTS).unwrap();
    let call = Call { tool, arguments: &arguments, audience: "https://a.example", time: 0 };
    details.tools.cover(tool) && details.caveats.iter().all(|caveat| caveat.permits(&call, 0, &State::default()))
}

#[test]
fn details_are_strict() {
    let agent_token = |tools: &str| format!(r#"[{{"type":"attenuating_agent_token","tools":{tools}}}]"#);
    let tools = |count: usize| agent_token(&format!("{{{}}}", (0..count).map(|n| format!(r#""{n}":{{}}"#)).collect::<Vec<_>>().join(",")));
    let arguments = |count: usize| {
        let wildcard = r#"{"constraint_type":"wildcard"}"#;
        agent_token(&format!(r#"{{"t":{{{}}}}}"#, (0..count).map(|n| format!(r#""{n}":{wildcard}"#)).collect::<Vec<_>>().join(",")))
    };
    for (text, reason) in [
        ("{}", Reason::AuthorizationDetails),
        ("[]", Reason::AuthorizationDetails),
        ("[1]", Reason::AuthorizationDetails),
        (r#"[{"tools":["a"]}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":7,"tools":["a"]}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"payment","tools":["a"]}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"narrows","tools":["a"]},{"type":"narrows","tools":["a"]}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"narrows","tools":["a"]},{"type":"attenuating_agent_token","tools":{"a":{}}}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"attenuating_agent_token","tools":{"a":{}}},{"type":"other"}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"narrows","tools":["a"],"more":1}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"narrows","tools":["a"],"agent":""}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"narrows"}]"#, Reason::CaveatNamesNoTool),
        (r#"[{"type":"narrows","tools":[]}]"#, Reason::CaveatNamesNoTool),
        (r#"[{"type":"narrows","tools":["a"],"caveats":[{"kind":"arg","path":"/a","is":{"exact":1}}]}]"#, Reason::CaveatNamesNoTool),
        (r#"[{"type":"narrows","tools":["a"],"caveats":[{"kind":"new"}]}]"#, Reason::CaveatMalformed),
        (r#"[{"type":"narrows","type":"narrows","tools":["a"]}]"#, Reason::JsonDuplicateKey),
        ("[", Reason::JsonMalformed),
        ("", Reason::JsonMalformed),
        ("[{\"type\":\"narrows\",\"tools\":[\"\\ud800\"]}]", Reason::JsonString),
        // the other type
        (r#"[{"type":"attenuating_agent_token"}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"attenuating_agent_token","tools":{"a":{}},"caveats":[]}]"#, Reason::AuthorizationDetails),
        (r#"[{"type":"attenuating_agent_token","tools":{"a":{}},"locations":["https://a.example"]}]"#, Reason::AuthorizationDetails),
        (&agent_token(r#"["a"]"#), Reason::AuthorizationDetails),
        (&agent_token(r#"{"a":[]}"#), Reason::AuthorizationDetails),
        (&agent_token(r#"{"a":true}"#), Reason::AuthorizationDetails),
        (&agent_token("{}"), Reason::CaveatNamesNoTool),
        (&agent_token(r#"{"":{}}"#), Reason::CaveatMalformed),
        (&agent_token(r#"{"a\n":{}}"#), Reason::CaveatMalformed),
        (&agent_token(&format!(r#"{{"{}":{{}}}}"#, "x".repeat(257))), Reason::CaveatMalformed),
        (&agent_token(r#"{"a":{},"a":{}}"#), Reason::JsonDuplicateKey),
        (&agent_token(r#"{"a":{},"\u0061":{}}"#), Reason::JsonDuplicateKey),
        (&tools(257), Reason::DetailsTooLarge),
        (&tools(1_000_000), Reason::JsonTooLarge),
        (&arguments(65), Reason::DetailsTooLarge),
        (&agent_token(&format!(r#"{{"t":{{"{}":{{"constraint_type":"wildcard"}}}}}}"#, "x".repeat(256))), Reason::DetailsTooLarge),
        (&"[".repeat(10_000), Reason::JsonTooLarge),
        (&format!("[{}", r#"{"a":"#.repeat(3_000)), Reason::JsonTooLarge),
    ] {
        assert_eq!(parse(text).err(), Some(reason), "{}", text.get(..200).unwrap_or(text));
    }
    assert!(parse(&tools(256)).is_ok() && parse(&arguments(64)).is_ok());
    let details = parse(r#"[{"type":"narrows","tools":["a",{"prefix":"b."}],"agent":"planner"}]"#).unwrap();
    assert!(details.tools.cover("b.c") && details.caveats.is_empty());
    assert_eq!(details.agent.as_deref(), Some("planner"));
}

#[test]
fn constraints_are_strict() {
    let nested = |depth: usize, of: &str| {
        format!(
            r#"{}{{"constraint_type":"wildcard"}}{}"#,
            format!(r#"{{"constraint_type":"{of}","constraints":["#).repeat(depth),
            "]}".repeat(depth)
        )
    };
    let prefixes = (0..8).map(|n| format!(r#"{{"constraint_type":"contains","required":[{n}]}}"#)).collect::<Vec<_>>().join(",");
    let malformed = Reason::ConstraintMalformed;
    for (constraint, reason) in [
        ("{}", malformed),
        ("true", malformed),
        ("[]", malformed),
        (r#"{"value":1}"#, malformed),
        (r#"{"constraint_type":1,"value":1}"#, malformed),
        (r#"{"constraint_type":"regex","pattern":"a"}"#, malformed),
        (r#"{"constraint_type":"path_containment","root":"/a"}"#, malformed),
        (r#"{"constraint_type":"not","constraint":{"constraint_type":"exact","value":1}}"#, malformed),
        (r#"{"constraint_type":"Exact","value":1}"#, malformed),
        (r#"{"constraint_type":"exact"}"#, malformed),
        (r#"{"constraint_type":"exact","value":null}"#, malformed),
        (r#"{"constraint_type":"exact","value":[1]}"#, malformed),
        (r#"{"constraint_type":"exact","value":{}}"#, malformed),
        (r#"{"constraint_type":"exact","value":1,"note":"x"}"#, malformed),
        (r#"{"constraint_type":"exact","value":1e300}"#, Reason::JsonNumber),
        (r#"{"constraint_type":"exact","value":9007199254740992}"#, Reason::JsonNumber),
        (r#"{"constraint_type":"exact","value":0.1234567890123456}"#, Reason::JsonNumber),
        (r#"{"constraint_type":"exact","value":NaN}"#, Reason::JsonMalformed),
        (r#"{"constraint_type":"exact","value":Infinity}"#, Reason::JsonMalformed),
        (r#"{"constraint_type":"range","min":"1"}"#, malformed),
        (r#"{"constraint_type":"range","min":null}"#, malformed),
        (r#"{"constraint_type":"range","min":2,"max":1}"#, malformed),
        (r#"{"constraint_type":"range","min":0.2,"max":0.1}"#, malformed),
        (r#"{"constraint_type":"range","min":1,"min_inclusive":1}"#, malformed),
        (r#"{"constraint_type":"range","min":1,"exclusive":true}"#, malformed),
        (r#"{"constraint_type":"range","min":1e-30}"#, malformed),
        (r#"{"constraint_type":"one_of","values":"a"}"#, malformed),
        (r#"{"constraint_type":"one_of","values":[null]}"#, malformed),
        (r#"{"constraint_type":"one_of","values":[["a"]]}"#, malformed),
        (r#"{"constraint_type":"one_of","excluded":["a"]}"#, malformed),
        (r#"{"constraint_type":"not_one_of","values":["a"]}"#, malformed),
        (r#"{"constraint_type":"contains","required":{"a":1}}"#, malformed),
        (r#"{"constraint_type":"contains","required":[[1]]}"#, malformed),
        (r#"{"constraint_type":"subset","allowed":[null]}"#, malformed),
        (r#"{"constraint_type":"wildcard","value":1}"#, malformed),
        (r#"{"constraint_type":"all","constraints":{}}"#, malformed),
        (r#"{"constraint_type":"all"}"#, malformed),
        (r#"{"constraint_type":"any","constraints":[]}"#, malformed),
        (r#"{"constraint_type":"any","constraints":[{"constraint_type":"wildcard"},{"constraint_type":"new"}]}"#, malformed),
        (&nested(32, "all"), malformed),
        (&nested(32, "any"), malformed),
        (&format!(r#"{{"constraint_type":"any","constraints":[{prefixes}]}}"#), Reason::CaveatTooComplex),
        (&format!(r#"{{"constraint_type":"exact","value":"{}"}}"#, "x".repeat(1025)), malformed),
        (&format!(r#"{{"constraint_type":"exact","value":"{}"}}"#, "x".repeat(4096)), Reason::DetailsTooLarge),
        (r#"{"constraint_type":"wildcard","constraint_type":"wildcard"}"#, Reason::JsonDuplicateKey),
    ] {
        assert_eq!(constrained(constraint).err(), Some(reason), "{}", constraint.get(..200).unwrap_or(constraint));
    }
    assert!(constrained(&nested(31, "all")).is_ok() && constrained(&nested(31, "any")).is_ok());
    assert!(constrained(&format!(r#"{{"constraint_type":"exact","value":"{}"}}"#, "x".repeat(1024))).is_ok());
    assert!(constrained(r#"{"constraint_type":"range","min":0.0000001}"#).is_ok());
}

#[test]
fn each_constraint_means_what_the_draft_says() {
    for (constraint, passing, failing) in [
        (r#"{"constraint_type":"exact","value":"a"}"#, vec![r#""a""#], vec![r#""A""#, r#"["a"]"#, "null"]),
        (r#"{"constraint_type":"exact","value":1}"#, vec!["1", "1.0", "10e-1"], vec![r#""1""#, "1.5", "true"]),
        (r#"{"constraint_type":"exact","value":1.5}"#, vec!["1.5", "15e-1"], vec!["1", r#""1.5""#]),
        (r#"{"constraint_type":"exact","value":false}"#, vec!["false"], vec!["true", "0", "null", r#""""#]),
        (r#"{"constraint_type":"range","min":1,"max":5}"#, vec!["1", "5", "2.5"], vec!["0.999", "5.001", r#""2""#, "null", "[2]"]),
        (r#"{"constraint_type":"range","min":1,"min_inclusive":false}"#, vec!["1.0000001", "9007199254740991"], vec!["1", "0"]),
        (r#"{"constraint_type":"range","max":0.5,"max_inclusive":false}"#, vec!["0.499999", "-1e-20", "1e-20"], vec!["0.5", "1"]),
        (r#"{"constraint_type":"range","min":0,"max":1}"#, vec!["1e-7", "2.5e-40"], vec!["-1e-7", "-2.5e-40"]),
        (
            r#"{"constraint_type":"range","min":0,"min_inclusive":false,"max":0.0000005}"#,
            vec!["4.99e-7", "1e-100"],
            vec!["0", "5.01e-7", "-1e-100"],
        ),
        (r#"{"constraint_type":"range"}"#, vec!["0", "-1.5", "1e-50"], vec![r#""0""#, "null", "true", "[]", "{}"]),
        (r#"{"constraint_type":"range","min_inclusive":false}"#, vec!["0"], vec!["null"]),
        (r#"{"constraint_type":"range","min":1,"max":1}"#, vec!["1"], vec!["1.0001", "0.9999"]),
        (
            r#"{"constraint_type":"one_of","values":["a",1,true,0.5]}"#,
            vec![r#""a""#, "1", "true", "0.5"],
            vec!["false", r#""1""#, "2", "[1]", "null"],
        ),
        (r#"{"constraint_type":"one_of","values":["a","a"]}"#, vec![r#""a""#], vec![r#""b""#]),
        (
            r#"{"constraint_type":"not_one_of","excluded":["a",1]}"#,
            vec![r#""b""#, r#""1""#, "2", "1.5", "true", "null", r#"["a"]"#, "{}"],
            vec![r#""a""#, "1", "1.0"],
        ),
        (r#"{"constraint_type":"not_one_of","excluded":[]}"#, vec!["null", "1", r#""a""#, "[]"], vec![]),
        (
            r#"{"constraint_type":"contains","required":["a",1]}"#,
            vec![r#"[1,"a"]"#, r#"["a",1,{"x":[]},null,[2]]"#],
            vec![r#"["a"]"#, r#"["a",["1"]]"#, r#""a""#, r#"{"a":1}"#],
        ),
        (r#"{"constraint_type":"contains","required":[]}"#, vec!["[]", "[[1],{}]"], vec!["{}", "null", r#""[""#]),
        (
            r#"{"constraint_type":"subset","allowed":["a",1]}"#,
            vec!["[]", r#"["a","a",1.0]"#],
            vec![r#"["a","b"]"#, "[[1]]", "[null]", "1", "{}"],
        ),
        (r#"{"constraint_type":"subset","allowed":[]}"#, vec!["[]"], vec!["[1]", "[[]]", "{}"]),
        (r#"{"constraint_type":"wildcard"}"#, vec!["null", "0", r#""""#, "[]", "{}", "[[{}]]"], vec![]),
        (r#"{"constraint_type":"all","constraints":[]}"#, vec!["null", "0", "{}"], vec![]),
        (
            r#"{"constraint_type":"all","constraints":[{"constraint_type":"range","min":1,"max":50},{"constraint_type":"not_one_of","excluded":[13]}]}"#,
            vec!["1", "12", "13.5"],
            vec!["13", "0", "51", r#""12""#],
        ),
        (
            r#"{"constraint_type":"all","constraints":[{"constraint_type":"contains","required":["a"]},{"constraint_type":"subset","allowed":["a","b"]}]}"#,
            vec![r#"["a"]"#, r#"["b","a"]"#],
            vec![r#"["b"]"#, r#"["a","c"]"#, r#"["a",[]]"#],
        ),
        (
            r#"{"constraint_type":"any","constraints":[{"constraint_type":"exact","value":"all"},{"constraint_type":"range","min":1,"max":9},{"constraint_type":"one_of","values":[]}]}"#,
            vec![r#""all""#, "1", "8.5"],
            vec![r#""one""#, "0", "null"],
        ),
        (
            r#"{"constraint_type":"any","constraints":[{"constraint_type":"one_of","values":["a"]},{"constraint_type":"exact","value":"b"},{"constraint_type":"exact","value":3},{"constraint_type":"exact","value":2.5}]}"#,
            vec![r#""a""#, r#""b""#, "3", "2.5"],
            vec![r#""c""#, "2"],
        ),
        (
            r#"{"constraint_type":"any","constraints":[{"constraint_type":"exact","value":"a"},{"constraint_type":"wildcard"}]}"#,
            vec![r#""z""#, "null"],
            vec![],
        ),
        (
            r#"{"constraint_type":"any","constraints":[{"constraint_type":"all","constraints":[{"constraint_type":"exact","value":"a"},{"constraint_type":"range"}]},{"constraint_type":"exact","value":1}]}"#,
            vec!["1"],
            vec![r#""a""#, "2"],
        ),
    ] {
        let details = constrained(constraint).unwrap_or_else(|reason| panic!("{constraint}: {reason}"));
        let call = |value: &str| permits(&details, "t", &format!(r#"{{"a":{value}}}"#));
        for value in passing {
            assert!(call(value), "{constraint} {value}");
        }
        for value in failing {
            assert!(!call(value), "{constraint} {value}");
        }
        assert!(!permits(&details, "t", "{}"), "an absent argument passes nothing: {constraint}");
        assert!(!permits(&details, "t", r#"{"b":1}"#), "{constraint}");
        assert!(call("1") == permits(&details, "t", r#"{"a":1}"#) && !permits(&details, "t", r#"{"a":1,"b":1}"#), "{constraint}");
    }
}

#[test]
fn what_no_value_can_pass_makes_its_tool_uncallable() {
    for constraint in [
        r#"{"constraint_type":"one_of","values":[]}"#,
        r#"{"constraint_type":"range","min":1,"max":1,"max_inclusive":false}"#,
        r#"{"constraint_type":"all","constraints":[{"constraint_type":"one_of","values":[]},{"constraint_type":"wildcard"}]}"#,
        r#"{"constraint_type":"all","constraints":[{"constraint_type":"exact","value":"a"},{"constraint_type":"range"}]}"#,
        r#"{"constraint_type":"any","constraints":[{"constraint_type":"one_of","values":[]}]}"#,
    ] {
        let details = parse(&format!(r#"[{{"type":"attenuating_agent_token","tools":{{"t":{{"a":{constraint}}},"u":{{}}}}}}]"#)).unwrap();
        for value in ["1", r#""a""#, "null", "[]"] {
            assert!(!permits(&details, "t", &format!(r#"{{"a":{value}}}"#)), "{constraint} {value}");
        }
        assert!(!permits(&details, "t", "{}") && permits(&details, "u", "{}"), "{constraint}");
    }
}

#[test]
fn a_tool_has_an_open_world_or_a_closed_one() {
    let details = parse(
        r#"[{"type":"attenuating_agent_token","tools":{
            "open":{},
            "https://tools.example/pay":{"amount":{"constraint_type":"range","max":5},"a/b~c":{"constraint_type":"wildcard"},"":{"constraint_type":"wildcard"}}}}]"#,
    )
    .unwrap();
    assert!(permits(&details, "open", r#"{"any":[{}]}"#) && permits(&details, "open", "{}"));
    let pay = |arguments: &str| permits(&details, "https://tools.example/pay", arguments);
    assert!(pay(r#"{"amount":5,"a/b~c":null,"":0}"#));
    assert!(!pay(r#"{"amount":6,"a/b~c":null,"":0}"#) && !pay(r#"{"amount":5,"a/b~c":null}"#));
    assert!(!pay(r#"{"amount":5,"a/b~c":null,"":0,"more":1}"#));
    assert!(!pay(r#"{"amount":5,"a":{"b~c":null},"":0}"#), "a name is no path");
    for other in ["HTTPS://tools.example/pay", "https://tools.example/pay/", "https://tools.example/%70ay", "Open", "open "] {
        assert!(!permits(&details, other, "{}"), "{other}");
    }
}

#[test]
fn the_answer_echoes_the_type_that_was_asked_and_hides_no_ceiling() {
    let asked = r#"[{"tools":{"pay":{"amount":{"constraint_type":"range","max":50,"min":1}}},"type":"attenuating_agent_token"}]"#;
    let details = parse(asked).unwrap();
    let mut caveats = vec![Caveat::Tools(details.tools.clone()), Caveat::Expires(5), Caveat::Depth(1)];
    caveats.extend(details.caveats.iter().cloned());
    assert_eq!(details.granted(&caveats).canonical(), asked, "exactly what was asked for is granted");
    let ceiling =
        Caveat::from_json(&json::parse(br#"{"kind":"closed_args","tool":"pay","names":["amount","to"]}"#, Limits::CAVEATS).unwrap());
    caveats.push(ceiling.unwrap());
    let Value::Array(objects) = details.granted(&caveats) else { panic!("no array") };
    assert_eq!(objects.len(), 2);
    assert_eq!(Value::Array(objects[..1].to_vec()).canonical(), asked);
    let beside = parse(&Value::Array(objects[1..].to_vec()).canonical()).unwrap();
    assert_eq!((beside.caveats, beside.tools), (caveats.clone(), details.tools));
    // and in our own type all of it is there at once
    let own = parse(r#"[{"type":"narrows","tools":["pay"]}]"#).unwrap();
    let back = parse(&own.granted(&caveats).canonical()).unwrap();
    assert_eq!(back.caveats, caveats);
}
