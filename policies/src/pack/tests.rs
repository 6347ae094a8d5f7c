use narrows_verifier::Reason;
use proptest::prelude::*;

use super::*;

const RULE: &str = r#"
pack = "p"
version = 1
limits = { max_life_seconds = 900, max_depth = 4 }
[[rule]]
name = "r"
when = 'client("app")'
audiences = ["https://a.example"]
tools = ["pay", { prefix = "docs." }]
max_life_seconds = 600
max_depth = 2
reveal_subject = true
[[rule.ceiling]]
kind = "arg"
tool = "pay"
path = "/amount"
is = { range = { max = 500 } }
"#;

#[test]
fn a_pack_is_read_with_its_limits_in_each_rule() {
    let pack = Pack::parse(RULE).unwrap();
    let rule = &pack.rules[0];
    assert_eq!((pack.name(), pack.rules().collect::<Vec<_>>()), ("p", vec!["r"]));
    assert_eq!((rule.max_life_seconds, rule.max_depth, rule.reveal_subject, rule.ceilings.len()), (600, 2, true, 1));
    let loose = Pack::parse(&RULE.replace("max_life_seconds = 600\nmax_depth = 2\nreveal_subject = true\n", "")).unwrap();
    let rule = &loose.rules[0];
    assert_eq!((rule.max_life_seconds, rule.max_depth, rule.reveal_subject), (900, 4, false));
    assert!(!rule.bearer && rule.default_tools.is_none() && pack.scopes().next().is_none());
}

#[test]
fn a_pack_names_scopes_and_what_there_is_for_who_asks_for_nothing() {
    let text = RULE.replace("max_depth = 2", "bearer = true\ndefault_tools = [{ prefix = \"docs.eu.\" }]");
    let scopes = "[[scope]]\nname = \"pay:send\"\ntools = [\"pay\"]\n[[scope]]\nname = \"docs\"\ntools = [\"docs.open\", { prefix = \"docs.eu.\" }]\n";
    let pack = Pack::parse(&(text + scopes)).unwrap();
    assert_eq!(pack.scopes().collect::<Vec<_>>(), ["docs", "pay:send"]);
    let rule = &pack.rules[0];
    assert!(rule.bearer && rule.default_tools.as_ref().unwrap().cover("docs.eu.open"));
    let error = Pack::parse(&format!("{RULE}[[scope]]\nname = \"s\"\ntools = [\"pay\", \"refund\", \"x\"]")).unwrap_err();
    assert_eq!(error.to_string(), "PACK_MALFORMED: in `s`: `tools`: not among the tools that a rule grants: `refund` and 1 more");
}

#[test]
fn the_digest_is_of_the_exact_text() {
    let digest = |text: &str| Pack::parse(text).unwrap().digest().to_owned();
    // sha256sum of the same bytes
    let text = "pack = \"p\"\nversion = 1\nlimits = { max_life_seconds = 1, max_depth = 0 }\n";
    assert_eq!(digest(text), "sha256:148b7b9685f9fe194e577aeebb52a96a7044009a62e235ad9f4855d39500f436");
    assert_ne!(digest(text), digest(&format!("{text}\n")));
}

/// Each row changes one thing in a good pack.
#[test]
fn malformed_packs_are_refused_by_rule_and_key() {
    let when = "'client(\"app\")'";
    let (r, malformed, condition, ceiling) = (Some("r"), Reason::PackMalformed, Reason::PackCondition, Reason::PackCeiling);
    let parens = format!("'client($c), {}true{}'", "(".repeat(5000), ")".repeat(5000));
    let long = format!("'client(\"{}\")'", "x".repeat(5000));
    let many = (0..9).map(|_| "client($c)").collect::<Vec<_>>().join(", ");
    let many = format!("'{many}'");
    let prefixes = format!("[{}]", (0..8).map(|n| format!("{{ prefix = \"{n}\" }}")).collect::<Vec<_>>().join(","));
    let ceilings = "[[rule.ceiling]]\nkind = \"closed_args\"\ntool = \"pay\"\nnames = []\n".repeat(12) + "[[rule.ceiling]]\nkind = \"arg\"";
    for (from, to, reason, entry, key) in [
        // the document
        ("pack = \"p\"", "", malformed, None, "pack"),
        ("pack = \"p\"", "pack = \"\"", malformed, None, "pack"),
        ("pack = \"p\"", "pack = 1", malformed, None, "pack"),
        ("pack = \"p\"", "pack = \"p\"\npack = \"q\"", malformed, None, ""),
        ("version = 1", "version = 2", malformed, None, "version"),
        ("version = 1", "", malformed, None, "version"),
        ("version = 1", "version = 1\nmode = \"shadow\"", malformed, None, "mode"),
        ("[[rule]]", "[[rules]]", malformed, None, "rule"),
        ("[[rule]]", "[rule]", malformed, None, "rule"),
        ("limits = {", "limit = {", malformed, None, "limits"),
        ("max_depth = 4", "max_depth = 16", malformed, None, "max_depth"),
        ("max_depth = 4", "max_depth = -1", malformed, None, "max_depth"),
        (", max_depth = 4", "", malformed, None, "max_depth"),
        ("max_depth = 4", "max_depth = 4, max_hops = 1", malformed, None, "max_hops"),
        ("max_life_seconds = 900", "max_life_seconds = 0", malformed, None, "max_life_seconds"),
        ("max_life_seconds = 900", "max_life_seconds = 86401", malformed, None, "max_life_seconds"),
        ("max_life_seconds = 900", "max_life_seconds = \"900\"", malformed, None, "max_life_seconds"),
        // a rule
        ("name = \"r\"", "", malformed, Some("#1"), "name"),
        ("name = \"r\"", "name = \"a\\nb\"", malformed, Some("#1"), "name"),
        (
            "[[rule]]",
            "[[rule]]\nname = \"r\"\nwhen = 'client(\"x\")'\naudiences = [\"a\"]\ntools = [\"t\"]\n[[rule]]",
            malformed,
            r,
            "name",
        ),
        ("reveal_subject = true", "reveal_subject = \"yes\"", malformed, r, "reveal_subject"),
        ("reveal_subject = true", "reveal_subjects = true", malformed, r, "reveal_subjects"),
        ("max_life_seconds = 600", "max_life_seconds = 901", malformed, r, "max_life_seconds"),
        ("max_life_seconds = 600", "max_life_seconds = 1.5", malformed, r, "max_life_seconds"),
        ("max_depth = 2", "max_depth = 5", malformed, r, "max_depth"),
        ("audiences = [\"https://a.example\"]", "", malformed, r, "audiences"),
        ("audiences = [\"https://a.example\"]", "audiences = []", malformed, r, "audiences"),
        ("audiences = [\"https://a.example\"]", "audiences = \"https://a.example\"", malformed, r, "audiences"),
        ("audiences = [\"https://a.example\"]", "audiences = [\"a\", \"a\"]", malformed, r, "audiences"),
        ("audiences = [\"https://a.example\"]", "audiences = [1]", malformed, r, "audiences"),
        ("audiences = [\"https://a.example\"]", "any_audience = false", malformed, r, "audiences"),
        ("audiences = [\"https://a.example\"]", "any_audience = true\naudiences = [\"a\"]", malformed, r, "any_audience"),
        ("tools = [\"pay\", { prefix = \"docs.\" }]", "", malformed, r, "tools"),
        ("max_depth = 2", "default_tools = []", malformed, r, "default_tools"),
        ("max_depth = 2", "default_tools = [\"refund\"]", malformed, r, "default_tools"),
        ("max_depth = 2", "default_tools = [{ prefix = \"doc\" }]", malformed, r, "default_tools"),
        ("max_depth = 2", "bearer = \"yes\"", malformed, r, "bearer"),
        // a scope
        ("[[rule]]", "[[scope]]\n[[rule]]", malformed, Some("#1"), "name"),
        ("[[rule]]", "[[scope]]\nname = \"a b\"\ntools = [\"pay\"]\n[[rule]]", malformed, Some("a b"), "name"),
        ("[[rule]]", "[[scope]]\nname = \"é\"\ntools = [\"pay\"]\n[[rule]]", malformed, Some("é"), "name"),
        ("[[rule]]", "[[scope]]\nname = 'a\\b'\ntools = [\"pay\"]\n[[rule]]", malformed, Some("a\\b"), "name"),
        ("[[rule]]", "[[scope]]\nname = 'a\"b'\ntools = [\"pay\"]\n[[rule]]", malformed, Some("a\"b"), "name"),
        ("[[rule]]", "[[scope]]\nname = \"s\"\n[[rule]]", malformed, Some("s"), "tools"),
        ("[[rule]]", "[[scope]]\nname = \"s\"\ntools = []\n[[rule]]", malformed, Some("s"), "tools"),
        ("[[rule]]", "[[scope]]\nname = \"s\"\ntools = [\"pay\", \"refund\"]\n[[rule]]", malformed, Some("s"), "tools"),
        ("[[rule]]", "[[scope]]\nname = \"s\"\ntools = [{ prefix = \"doc\" }]\n[[rule]]", malformed, Some("s"), "tools"),
        ("[[rule]]", "[[scope]]\nname = \"s\"\ntools = [\"pay\"]\nrule = \"r\"\n[[rule]]", malformed, Some("s"), "rule"),
        (
            "[[rule]]",
            "[[scope]]\nname = \"s\"\ntools = [\"pay\"]\n[[scope]]\nname = \"s\"\ntools = [\"pay\"]\n[[rule]]",
            malformed,
            Some("s"),
            "name",
        ),
        ("tools = [\"pay\", { prefix = \"docs.\" }]", "tools = []", malformed, r, "tools"),
        ("tools = [\"pay\", { prefix = \"docs.\" }]", "tools = [\"pay\", { infix = \"x\" }]", malformed, r, "tools"),
        ("tools = [\"pay\", { prefix = \"docs.\" }]", "tools = [\"pay\", { prefix = \"\" }]", malformed, r, "tools"),
        ("tools = [\"pay\", { prefix = \"docs.\" }]", "tools = [\"pay\", 1.5]", malformed, r, "tools"),
        ("[\"pay\", { prefix = \"docs.\" }]", &prefixes, malformed, r, "tools"),
        // a condition
        ("when = 'client(\"app\")'", "", malformed, r, "when"),
        (when, "1", malformed, r, "when"),
        (when, "''", condition, r, "when"),
        (when, "'true'", condition, r, "when"),
        (when, "'client(\"app\") or true'", condition, r, "when"),
        (when, "'clients(\"app\")'", condition, r, "when"),
        (when, "'tool(\"pay\")'", condition, r, "when"),
        (when, "'client(1)'", condition, r, "when"),
        (when, "'client(\"app\", \"b\")'", condition, r, "when"),
        (when, "'claim_int(\"level\", $l), $l > \"3\"'", condition, r, "when"),
        (when, "'claim(\"level\", $l), $l > 3'", condition, r, "when"),
        (when, "'client($c), $d == \"x\"'", condition, r, "when"),
        (when, "'client($c), $c.matches(\"^a\")'", condition, r, "when"),
        (when, "'client(\"app\") trusting previous'", condition, r, "when"),
        (when, "'client(\"app\"); allow if true'", condition, r, "when"),
        (when, &parens, condition, r, "when"),
        (when, &long, condition, r, "when"),
        (when, &many, condition, r, "when"),
        // a ceiling
        ("kind = \"arg\"", "kind = \"argument\"", ceiling, r, "ceiling"),
        ("kind = \"arg\"", "", ceiling, r, "ceiling"),
        ("kind = \"arg\"", "kind = \"arg\"\nnote = \"x\"", ceiling, r, "ceiling"),
        ("path = \"/amount\"", "path = \"amount\"", ceiling, r, "ceiling"),
        ("tool = \"pay\"", "", ceiling, r, "ceiling"),
        ("tool = \"pay\"", "tool = \"paid\"", ceiling, r, "ceiling"),
        ("max = 500", "max = 500, min = 501", ceiling, r, "ceiling"),
        ("max = 500", "max = 9007199254740993", ceiling, r, "ceiling"),
        ("max = 500", "max = 500.0", malformed, r, "ceiling"),
        ("max = 500", "max = 2026-01-01", malformed, r, "ceiling"),
        (
            "kind = \"arg\"\ntool = \"pay\"\npath = \"/amount\"\nis = { range = { max = 500 } }",
            "kind = \"depth\"\nmax = 1",
            ceiling,
            r,
            "ceiling",
        ),
        ("[[rule.ceiling]]\nkind = \"arg\"", &ceilings, ceiling, r, "ceiling"),
    ] {
        let text = RULE.replacen(from, to, 1);
        assert_ne!(text, RULE, "the row changes nothing: {from}");
        let error = Pack::parse(&text).expect_err(to);
        assert_eq!((error.reason, error.entry.as_deref(), error.key.as_str()), (reason, entry, key), "{to}: {error}");
        assert!(error.detail.len() < 300 && !error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn text_that_is_too_long_or_too_deep_is_refused_before_it_is_read() {
    let padded = |bytes: usize| format!("{RULE}#{}", "x".repeat(bytes - RULE.len() - 1));
    assert!(Pack::parse(&padded(64 * 1024)).is_ok());
    assert_eq!(Pack::parse(&padded(64 * 1024 + 1)).unwrap_err().reason, Reason::PackTooLarge);
    for bomb in [
        format!("pack = {}", "[".repeat(60_000)),
        format!("pack = {}", "{a=".repeat(20_000)),
        format!("[{}a]", "a.".repeat(30_000)),
        format!("{}a = 1", "a.".repeat(30_000)),
    ] {
        assert_eq!(Pack::parse(&bomb).unwrap_err().reason, Reason::PackMalformed);
    }
    let rules = |count: usize| {
        let rule = |n| format!("[[rule]]\nname = \"{n}\"\nwhen = 'client(\"a\")'\naudiences = [\"a\"]\ntools = [\"t\"]\n");
        "pack = \"p\"\nversion = 1\nlimits = { max_life_seconds = 1, max_depth = 0 }\n".to_owned()
            + &(0..count).map(rule).collect::<String>()
    };
    assert_eq!(Pack::parse(&rules(200)).unwrap().rules().count(), 200);
    let error = Pack::parse(&rules(201)).unwrap_err();
    assert_eq!((error.reason, error.key.as_str()), (Reason::PackTooLarge, "rule"));
    let scopes = |count: usize| rules(1) + &(0..count).map(|n| format!("[[scope]]\nname = \"{n}\"\ntools = [\"t\"]\n")).collect::<String>();
    assert_eq!(Pack::parse(&scopes(200)).unwrap().scopes().count(), 200);
    assert_eq!(Pack::parse(&scopes(201)).unwrap_err().key, "scope");
}

/// A parser that backtracks doubles its work with each level, so the bound on nesting must come before that hurts.
#[test]
fn a_condition_nested_to_the_bound_is_answered_at_once() {
    let condition = |open: &str, middle: &str, close: &str| {
        let nested = format!("'client($c), {}{middle}{}'", open.repeat(31), close.repeat(31));
        Pack::parse(&RULE.replacen("'client(\"app\")'", &nested, 1)).map(|pack| pack.rules.len()).map_err(|error| error.reason)
    };
    assert_eq!(condition("(", "$c == \"a\"", ")"), Ok(1));
    for (open, middle, close) in [("!", "$c", ""), ("[", "1", "]"), ("{", "1", "}"), ("$c.starts_with(", "$c", ")")] {
        assert_eq!(condition(open, middle, close), Err(Reason::PackCondition), "{open}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}", at in 0..RULE.len(), cut in 0_usize..40) {
        let _ = Pack::parse(&text);
        let mut mutated: String = RULE.chars().take(at).collect();
        mutated.push_str(&text);
        mutated.extend(RULE.chars().skip(at + cut));
        let _ = Pack::parse(&mutated);
    }
}
