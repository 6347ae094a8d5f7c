//! Calls against caveats: each kind met, met at its edge, missed, without its argument and with another type.

use super::{CallText, Cases, call};
use crate::tokens::{AUTHORITY_CAVEATS, EXECUTOR, EXPIRES, PLANNER, caveats, claims, hop, mint, plain, sample};

pub(super) fn cases(cases: &mut Cases) {
    tools_audience_expiry(cases);
    arguments(cases);
    narrowing(cases);
    bounds(cases);
}

fn tools_audience_expiry(cases: &mut Cases) {
    let token = sample();
    let mut permit = |name: &str, about: &str, call| cases.permitted(name, about, &token, &PLANNER, call);
    permit("tool_named", "the tool is named", call("crm.write", "{}"));
    permit("tool_under_prefix", "the tool begins with a prefix", call("mail.send", "{}"));
    permit("tool_equal_to_prefix", "the tool is the prefix itself", call("mail.", "{}"));
    permit("time_last_second", "the second before the token expires", CallText { time: EXPIRES - 1, ..call("crm.read", "{}") });
    let elsewhere = |audience: &str| CallText { audience: audience.to_owned(), ..call("crm.read", "{}") };
    for (name, about, call, reason) in [
        ("tool_not_granted", "the tool is neither named nor under a prefix", call("db.drop", "{}"), "TOOL_NOT_GRANTED"),
        ("tool_shorter_than_prefix", "the tool lacks the prefix's last character", call("mail", "{}"), "TOOL_NOT_GRANTED"),
        ("tool_other_case", "names are compared byte by byte", call("CRM.read", "{}"), "TOOL_NOT_GRANTED"),
        ("tool_longer_than_name", "a name is no prefix", call("crm.read.all", "{}"), "TOOL_NOT_GRANTED"),
        ("audience_other", "another audience decides", elsewhere("https://mail.example"), "WRONG_AUDIENCE"),
        ("audience_slash", "audiences are compared byte by byte", elsewhere("https://crm.example/"), "WRONG_AUDIENCE"),
        ("time_expired", "the second at which the token expires", CallText { time: EXPIRES, ..call("crm.read", "{}") }, "EXPIRED"),
    ] {
        cases.denied(name, about, &token, &PLANNER, call, (reason, Some(0)));
    }
}

/// One plain block with every kind of argument caveat, each on a tool of its own so that one call tests one caveat.
fn arguments(cases: &mut Cases) {
    let token = mint(&claims(caveats(&AUTHORITY_CAVEATS.replace(r#""crm.write""#, r#""crm.write",{"prefix":"t."}"#))));
    let token = plain(&token, ARGUMENT_CAVEATS);
    for (name, about, tool, arguments) in MET {
        cases.permitted(name, about, &token, &PLANNER, call(tool, arguments));
    }
    for (name, about, tool, arguments) in MISSED {
        let reason = if tool.starts_with("t.closed") { "ARGUMENT_NOT_LISTED" } else { "ARGUMENT_REFUSED" };
        cases.denied(name, about, &token, &PLANNER, call(tool, arguments), (reason, Some(1)));
    }
}

fn narrowing(cases: &mut Cases) {
    let narrowed =
        hop(&sample(), &PLANNER, &EXECUTOR, r#"[{"kind":"tools","allow":["crm.read"]},{"kind":"expires","at":"2026-11-21T11:30:00Z"}]"#);
    let wide = call("crm.write", "{}");
    cases.denied(
        "hop_narrows_tools",
        "the authority grants the tool, the hop does not",
        &narrowed,
        &EXECUTOR,
        wide,
        ("TOOL_NOT_GRANTED", Some(1)),
    );
    let late = CallText { time: EXPIRES - 1800, ..call("crm.read", "{}") };
    cases.denied("hop_narrows_expiry", "the hop expires before the authority", &narrowed, &EXECUTOR, late, ("EXPIRED", Some(1)));
    let widened = hop(
        &sample(),
        &PLANNER,
        &EXECUTOR,
        r#"[{"kind":"tools","allow":["db.drop"]},{"kind":"audience","one_of":["https://db.example"]}]"#,
    );
    let elsewhere = CallText { audience: "https://db.example".to_owned(), ..call("db.drop", "{}") };
    let about = "a hop that grants what its parent does not have grants nothing; the first failure is the authority's";
    cases.denied("hop_can_not_widen", about, &widened, &EXECUTOR, elsewhere, ("TOOL_NOT_GRANTED", Some(0)));
    let prolonged = plain(&sample(), r#"[{"kind":"expires","at":"2027-11-21T12:00:00Z"}]"#);
    let late = CallText { time: EXPIRES, ..call("crm.read", "{}") };
    let about = "a plain block with a later expiry prolongs nothing";
    cases.denied("plain_block_can_not_prolong", about, &prolonged, &PLANNER, late, ("EXPIRED", Some(0)));
    let shallow = plain(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), r#"[{"kind":"depth","max":0}]"#);
    let about = "a plain block that allows fewer hops than there are ends the token";
    cases.denied("depth_below_present", about, &shallow, &EXECUTOR, call("crm.read", "{}"), ("HOP_DEPTH", Some(1 + 1)));
    let exact = plain(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), r#"[{"kind":"depth","max":1}]"#);
    cases.permitted("depth_at_present", "exactly as many hops as there are", &exact, &EXECUTOR, call("crm.read", "{}"));
}

fn bounds(cases: &mut Cases) {
    let token = sample();
    let read = |arguments: &str| call("crm.read", arguments);
    let mut deny = |name: &str, about: &str, call, reason| cases.denied(name, about, &token, &PLANNER, call, (reason, None));
    deny("call_arguments_array", "arguments are an object", read("[1]"), "JSON_MALFORMED");
    deny("call_arguments_duplicate_key", "the arguments' text has two readings", read(r#"{"a":1,"a":2}"#), "JSON_DUPLICATE_KEY");
    let flood = |leaves: usize| format!(r#"{{"a":[{}]}}"#, vec!["1"; leaves].join(","));
    deny("call_arguments_flood", "1,025 values, containers included", read(&flood(1023)), "JSON_TOO_LARGE");
    cases.permitted("call_arguments_most", "1,024 values, containers included", &token, &PLANNER, read(&flood(1022)));
    costs(cases);
}

/// 100,000 steps and no more: 4 for the authority's caveats, 11 to each argument, 1 for each clause, and in the list of 999
/// elements 999 to see that they are plain and 99 × 999 to find 99 of them.
fn costs(cases: &mut Cases) {
    let caveat = |path: &str, rule: &str| format!(r#"{{"kind":"arg","tool":"crm.read","path":"{path}","is":{rule}}}"#);
    let numbers = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let long = caveat("/a", &format!(r#"{{"contains":[{}]}}"#, numbers(99)));
    let short = vec![caveat("/b", r#"{"range":{"max":5}}"#); 7].join(",");
    let at_bound = plain(&sample(), &format!("[{long},{short}]"));
    let above = plain(&at_bound, r#"[{"kind":"depth","max":8}]"#);
    let read = |b: u8, elements: usize| call("crm.read", &format!(r#"{{"a":[{}],"b":{b}}}"#, numbers(elements)));
    let outright = ("COST_BOUND", None);
    cases.permitted("call_at_cost_bound", "exactly as many steps as a decision may take", &at_bound, &PLANNER, read(5, 999));
    cases.denied("call_above_cost_bound", "one caveat more is one step more", &above, &PLANNER, read(5, 999), outright);
    let about = "one element more is a hundred steps more";
    cases.denied("call_above_cost_bound_by_element", about, &at_bound, &PLANNER, read(5, 1000), outright);
    cases.permitted("call_below_cost_bound", "the same caveats over few elements", &above, &PLANNER, read(5, 200));
    let about = "steps are not taken for another tool's caveats";
    cases.permitted("call_of_other_tool_costs_little", about, &above, &PLANNER, CallText { tool: "crm.write".to_owned(), ..read(5, 1000) });
    let failing = plain(&plain(&sample(), r#"[{"kind":"tools","allow":["crm.write"]}]"#), &format!("[{long}]"));
    let about = "a caveat that failed before is not told, since the decision is not finished";
    cases.denied("call_above_cost_bound_after_failure", about, &failing, &PLANNER, read(5, 1000), outright);
}

const ARGUMENT_CAVEATS: &str = r#"[
{"kind":"arg","tool":"t.text","path":"/a","is":{"exact":"EUR"}},
{"kind":"arg","tool":"t.integer","path":"/to~1from/0/~0","is":{"exact":5}},
{"kind":"arg","tool":"t.flag","path":"/a","is":{"exact":false}},
{"kind":"arg","tool":"t.one_of","path":"/a","is":{"one_of":[true,7,"x"]}},
{"kind":"arg","tool":"t.range","path":"/a","is":{"range":{"min":-5,"max":500}}},
{"kind":"arg","tool":"t.any_integer","path":"/a","is":{"range":{}}},
{"kind":"arg","tool":"t.prefix","path":"/a","is":{"prefix":"/reports/"}},
{"kind":"closed_args","tool":"t.closed","names":["a","b"]},
{"kind":"closed_args","tool":"t.closed_at","at":"/to","names":["iban"]}
]"#;

const MET: [(&str, &str, &str, &str); 17] = [
    ("arg_text_met", "the exact text", "t.text", r#"{"a":"EUR","b":1}"#),
    ("arg_integer_met", "an integer under members with `/` and `~` in their names", "t.integer", r#"{"to/from":[{"~":5}]}"#),
    ("arg_integer_one_point_zero", "5.0 is the integer 5", "t.integer", r#"{"to/from":[{"~":5.0}]}"#),
    ("arg_flag_met", "the exact flag", "t.flag", r#"{"a":false}"#),
    ("arg_one_of_flag", "one of the values, a flag", "t.one_of", r#"{"a":true}"#),
    ("arg_one_of_integer", "one of the values, an integer", "t.one_of", r#"{"a":7}"#),
    ("arg_one_of_text", "one of the values, a text", "t.one_of", r#"{"a":"x"}"#),
    ("arg_range_least", "the least integer of the range", "t.range", r#"{"a":-5}"#),
    ("arg_range_most", "the largest integer of the range", "t.range", r#"{"a":500}"#),
    ("arg_any_integer_met", "an open range takes any integer", "t.any_integer", r#"{"a":-9007199254740991}"#),
    ("arg_prefix_met", "a text that begins so", "t.prefix", r#"{"a":"/reports/2026.csv"}"#),
    ("arg_prefix_equal", "the prefix itself", "t.prefix", r#"{"a":"/reports/"}"#),
    ("arg_of_other_tool", "a caveat on another tool's argument says nothing", "t.other", r#"{"a":"anything"}"#),
    ("closed_args_met", "all members are listed", "t.closed", r#"{"a":1,"b":{"c":2}}"#),
    ("closed_args_fewer", "a listed member may be missing", "t.closed", "{}"),
    ("closed_args_at_met", "the object at the pointer has listed members alone", "t.closed_at", r#"{"to":{"iban":"x"},"memo":"y"}"#),
    ("closed_args_at_empty", "an empty object has no other members", "t.closed_at", r#"{"to":{}}"#),
];

const MISSED: [(&str, &str, &str, &str); 26] = [
    ("arg_text_missed", "another text", "t.text", r#"{"a":"USD"}"#),
    ("arg_text_other_case", "texts are compared byte by byte", "t.text", r#"{"a":"eur"}"#),
    ("arg_text_missing", "the argument is missing", "t.text", r#"{"b":"EUR"}"#),
    ("arg_text_in_array", "the text stands in an array", "t.text", r#"{"a":["EUR"]}"#),
    ("arg_integer_missed", "another integer", "t.integer", r#"{"to/from":[{"~":6}]}"#),
    ("arg_integer_as_text", "the text of the integer", "t.integer", r#"{"to/from":[{"~":"5"}]}"#),
    ("arg_integer_deeper", "the same member names in another place", "t.integer", r#"{"to":{"from":[{"~":5}]}}"#),
    ("arg_flag_missed", "the other flag", "t.flag", r#"{"a":true}"#),
    ("arg_flag_as_integer", "zero is not false", "t.flag", r#"{"a":0}"#),
    ("arg_flag_null", "null is not false", "t.flag", r#"{"a":null}"#),
    ("arg_flag_missing", "absence is not false", "t.flag", "{}"),
    ("arg_one_of_missed", "none of the values", "t.one_of", r#"{"a":"y"}"#),
    ("arg_one_of_other_type", "one of the values in another type", "t.one_of", r#"{"a":"7"}"#),
    ("arg_one_of_missing", "the argument is missing", "t.one_of", "{}"),
    ("arg_range_below", "below the range", "t.range", r#"{"a":-6}"#),
    ("arg_range_above", "above the range", "t.range", r#"{"a":501}"#),
    ("arg_range_decimal", "a decimal is no integer", "t.range", r#"{"a":4.5}"#),
    ("arg_range_text", "a text is no integer", "t.range", r#"{"a":"5"}"#),
    ("arg_range_missing", "the argument is missing", "t.range", "{}"),
    ("arg_any_integer_missed", "an open range takes no decimal", "t.any_integer", r#"{"a":0.5}"#),
    ("arg_prefix_missed", "a text that begins otherwise", "t.prefix", r#"{"a":"/etc/passwd"}"#),
    ("arg_prefix_integer", "an integer is no text", "t.prefix", r#"{"a":5}"#),
    ("arg_prefix_missing", "the argument is missing", "t.prefix", "{}"),
    ("closed_args_extra", "a member that is not listed", "t.closed", r#"{"a":1,"c":2}"#),
    (
        "closed_args_at_extra",
        "a member that is not listed, in the object at the pointer",
        "t.closed_at",
        r#"{"to":{"iban":"x","bic":"y"}}"#,
    ),
    ("closed_args_at_missing", "no object at the pointer", "t.closed_at", r#"{"to":"x"}"#),
];
