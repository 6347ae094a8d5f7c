//! Calls against caveats on the tool, the time and the members of arguments, and operators' checks.

use super::{CallText, Cases, call};
use crate::tokens::{
    AUTHORITY_CAVEATS, EXECUTOR, NOW, PLANNER, authority, block, caveats, claims, hop, hop_block, hop_fact, mint, mint_block, plain,
    plain_block, required_checks, sample,
};

pub(super) fn cases(cases: &mut Cases) {
    tools(cases);
    audiences(cases);
    not_before(cases);
    time_windows(cases);
    closed_arguments(cases);
    datalog(cases);
}

fn tools(cases: &mut Cases) {
    for (kind, caveat, rows) in TOOLS {
        let token = plain(&sample(), &format!("[{caveat}]"));
        for (case, about, tool, met) in *rows {
            let name = format!("{kind}_{case}");
            match met {
                true => cases.permitted(&name, about, &token, &PLANNER, call(tool, "{}")),
                false => cases.denied(&name, about, &token, &PLANNER, call(tool, "{}"), ("TOOL_NOT_GRANTED", Some(1))),
            }
        }
    }
}

fn audiences(cases: &mut Cases) {
    let two = AUTHORITY_CAVEATS.replace(r#"["https://crm.example"]"#, r#"["https://crm.example","https://mail.example"]"#);
    let token = mint(&claims(caveats(&two)));
    let at = |audience: &str| CallText { audience: audience.to_owned(), ..call("crm.read", "{}") };
    cases.permitted("audience_first", "one of two audiences", &token, &PLANNER, at("https://crm.example"));
    cases.permitted("audience_second", "the other of two audiences", &token, &PLANNER, at("https://mail.example"));
    for (name, about, audience) in [
        ("audience_third", "neither of two audiences", "https://db.example"),
        ("audience_longer", "an audience that begins so", "https://crm.example.evil.example"),
        ("audience_other_case", "audiences are compared byte by byte", "https://CRM.example"),
        ("audience_empty", "no audience", ""),
    ] {
        cases.denied(name, about, &token, &PLANNER, at(audience), ("WRONG_AUDIENCE", Some(0)));
    }
    let narrowed = plain(&token, r#"[{"kind":"audience","one_of":["https://mail.example"]}]"#);
    cases.permitted("audience_narrowed", "the audience that is left", &narrowed, &PLANNER, at("https://mail.example"));
    let gone = at("https://crm.example");
    cases.denied("audience_narrowed_away", "the audience that a block took away", &narrowed, &PLANNER, gone, ("WRONG_AUDIENCE", Some(1)));
}

fn not_before(cases: &mut Cases) {
    let token = plain(&sample(), r#"[{"kind":"not_before","at":"2026-11-21T11:00:00Z"}]"#);
    let at = |time| CallText { time, ..call("crm.read", "{}") };
    cases.permitted("not_before_at", "the first second", &token, &PLANNER, at(NOW));
    cases.permitted("not_before_after", "the second after it", &token, &PLANNER, at(NOW + 1));
    cases.denied("not_before_early", "the second before it", &token, &PLANNER, at(NOW - 1), ("NOT_YET_VALID", Some(1)));
    cases.denied("not_before_epoch", "the first second of all", &token, &PLANNER, at(0), ("NOT_YET_VALID", Some(1)));
    let later = hop(&token, &PLANNER, &EXECUTOR, r#"[{"kind":"not_before","at":"2026-11-21T11:00:01Z"}]"#);
    cases.denied("not_before_later_hop", "a hop may begin later", &later, &EXECUTOR, at(NOW), ("NOT_YET_VALID", Some(2)));
    let earlier = hop(&token, &PLANNER, &EXECUTOR, r#"[{"kind":"not_before","at":"2026-11-21T10:00:00Z"}]"#);
    let about = "a hop that may begin earlier does not";
    cases.denied("not_before_earlier_hop", about, &earlier, &EXECUTOR, at(NOW - 1), ("NOT_YET_VALID", Some(1)));
    let never = plain(&token, r#"[{"kind":"not_before","at":"2026-11-21T12:00:00Z"}]"#);
    let about = "a token that begins when it ends is never valid";
    cases.denied("not_before_expiry", about, &never, &PLANNER, at(NOW + 3599), ("NOT_YET_VALID", Some(2)));
}

fn time_windows(cases: &mut Cases) {
    let long = mint(&claims(caveats(&AUTHORITY_CAVEATS.replace("2026-11-21T12:00:00Z", "2026-12-31T00:00:00Z"))));
    for (kind, window, rows) in WINDOWS {
        let token = plain(&long, &format!(r#"[{{"kind":"time_window","window":{window}}}]"#));
        for (case, about, (day, time), met) in *rows {
            let (hours, minutes, seconds) = *time;
            let call = CallText { time: MONDAY + day * 86_400 + hours * 3600 + minutes * 60 + seconds, ..call("crm.read", "{}") };
            let name = format!("time_window_{kind}_{case}");
            match met {
                true => cases.permitted(&name, about, &token, &PLANNER, call),
                false => cases.denied(&name, about, &token, &PLANNER, call, ("OUTSIDE_TIME_WINDOW", Some(1))),
            }
        }
    }
}

fn closed_arguments(cases: &mut Cases) {
    for (kind, caveat, rows) in CLOSED {
        let token = plain(&sample(), &format!("[{caveat}]"));
        for (case, about, arguments, met) in *rows {
            let name = format!("{kind}_{case}");
            match met {
                true => cases.permitted(&name, about, &token, &PLANNER, call("crm.read", arguments)),
                false => cases.denied(&name, about, &token, &PLANNER, call("crm.read", arguments), ("ARGUMENT_NOT_LISTED", Some(1))),
            }
        }
    }
    let token = plain(&sample(), r#"[{"kind":"closed_args","tool":"crm.read","names":[]}]"#);
    cases.permitted("closed_args_of_other_tool", "another tool's arguments", &token, &PLANNER, call("crm.write", r#"{"a":1}"#));
}

/// A verifier reads none of these unless an operator has told it to.
fn datalog(cases: &mut Cases) {
    for (name, about, check, reason) in CHECKS {
        cases.refused(&format!("datalog_{name}"), about, &plain_block(&sample(), block(&format!("{check};"))), reason, Some(1));
    }
    let check = r#"check if tool($t), $t === "crm.read";"#;
    let of_issuer = mint_block(authority(&(required_checks() + check)));
    cases.refused("datalog_in_authority", "an operator's check in the issuer's own block", &of_issuer, "UNKNOWN_CAVEAT", Some(0));
    let in_hop = hop_block(&sample(), &PLANNER.seed, block(&(hop_fact(1, &EXECUTOR) + check)));
    cases.refused("datalog_in_hop", "an operator's check in a hop", &in_hop, "UNKNOWN_CAVEAT", Some(1));
}

/// 2026-11-23T00:00:00Z, a Monday.
const MONDAY: u64 = 1_795_392_000;

type ToolRow = (&'static str, &'static str, &'static str, bool);
const TOOLS: &[(&str, &str, &[ToolRow])] = &[
    (
        "tools",
        r#"{"kind":"tools","allow":["crm.read",{"prefix":"mail.s"},{"suffix":".draft"}]}"#,
        &[
            ("named", "a name", "crm.read", true),
            ("prefix", "a name with the prefix", "mail.send", true),
            ("prefix_equal", "the prefix itself", "mail.s", true),
            ("prefix_shorter", "the prefix without its last character", "mail.", false),
            ("prefix_other_case", "names are compared byte by byte", "mail.Send", false),
            ("suffix", "a name with the suffix", "mail.new.draft", true),
            ("suffix_shorter", "the suffix without its first character", "mail.redraft", false),
            ("suffix_longer", "a name that goes on after the suffix", "mail.new.drafts", false),
            ("not_named", "a name with neither, though the authority grants it", "crm.write", false),
        ],
    ),
    (
        "not_tools",
        r#"{"kind":"not_tools","deny":["crm.write",{"prefix":"mail.s"},{"suffix":".purge"}]}"#,
        &[
            ("other", "a name with neither", "crm.read", true),
            ("named", "a name", "crm.write", false),
            ("prefix", "a name with the prefix", "mail.send", false),
            ("prefix_equal", "the prefix itself", "mail.s", false),
            ("prefix_shorter", "the prefix without its last character", "mail.", true),
            ("suffix", "a name with the suffix", "mail.all.purge", false),
            ("suffix_longer", "a name that goes on after the suffix", "mail.all.purged", true),
            ("other_case", "names are compared byte by byte, so a list of what is denied is easily passed by", "mail.Send", true),
        ],
    ),
];

/// Days after Monday, then hours, minutes and seconds, all in UTC.
type Moment = (u64, (u64, u64, u64));
type WindowRow = (&'static str, &'static str, Moment, bool);
const WINDOWS: &[(&str, &str, &[WindowRow])] = &[
    (
        "hours",
        r#"{"days":["mon","tue","wed","thu","fri"],"from":"09:00","to":"17:30","utc_offset":"+00:00"}"#,
        &[
            ("first", "the first second", (0, (9, 0, 0)), true),
            ("last", "the last second", (4, (17, 29, 59)), true),
            ("before", "the second before the first", (0, (8, 59, 59)), false),
            ("after", "the second after the last", (0, (17, 30, 0)), false),
            ("other_day", "the hours of another day", (5, (12, 0, 0)), false),
            ("next_week", "the same hours a week later", (7, (9, 0, 0)), true),
        ],
    ),
    (
        "east",
        r#"{"days":["mon"],"from":"00:30","to":"09:00","utc_offset":"+05:30"}"#,
        &[
            ("first", "the first second, on Sunday in UTC", (6, (19, 0, 0)), true),
            ("before", "the second before it", (6, (18, 59, 59)), false),
            ("last", "the last second", (7, (3, 29, 59)), true),
            ("after", "the second after it", (7, (3, 30, 0)), false),
            ("utc", "the hours as they are in UTC", (0, (8, 0, 0)), false),
        ],
    ),
    (
        "west",
        r#"{"days":["fri"],"from":"20:00","to":"24:00","utc_offset":"-08:00"}"#,
        &[
            ("first", "the first second, on Saturday in UTC", (5, (4, 0, 0)), true),
            ("last", "the last second before midnight", (5, (7, 59, 59)), true),
            ("after", "midnight, which is the end", (5, (8, 0, 0)), false),
            ("utc", "the hours as they are in UTC", (4, (21, 0, 0)), false),
        ],
    ),
    (
        "midnight",
        r#"{"days":["sat"],"from":"22:00","to":"06:00","utc_offset":"+00:00"}"#,
        &[
            ("first", "the first second", (5, (22, 0, 0)), true),
            ("before", "the second before it", (5, (21, 59, 59)), false),
            ("last", "the last second, on Sunday", (6, (5, 59, 59)), true),
            ("after", "the second after it", (6, (6, 0, 0)), false),
            ("morning_of_day", "the morning belongs to the day before, which is not listed", (5, (3, 0, 0)), false),
            ("evening_after", "the evening of the day after, which is not listed", (6, (22, 0, 0)), false),
        ],
    ),
    (
        "midnight_of_week",
        r#"{"days":["sun"],"from":"23:59","to":"00:01","utc_offset":"+00:00"}"#,
        &[
            ("sunday", "the last minute of the week", (6, (23, 59, 0)), true),
            ("monday", "the first minute of the next", (7, (0, 0, 59)), true),
            ("other_monday", "the first minute of a Monday, after a Sunday too", (0, (0, 0, 0)), true),
            ("after", "the second minute", (7, (0, 1, 0)), false),
        ],
    ),
];

type ClosedRow = (&'static str, &'static str, &'static str, bool);
const CLOSED: &[(&str, &str, &[ClosedRow])] = &[
    (
        "closed_args",
        r#"{"kind":"closed_args","tool":"crm.read","names":["a","b"]}"#,
        &[
            ("met", "all members are listed", r#"{"a":1,"b":{"c":2}}"#, true),
            ("fewer", "a listed member may be missing", "{}", true),
            ("extra", "a member that is not listed", r#"{"a":1,"c":2}"#, false),
            ("other_case", "names are compared byte by byte", r#"{"A":1}"#, false),
            ("null", "a member that is null is a member", r#"{"a":1,"c":null}"#, false),
            ("empty_name", "a member without a name", r#"{"":1}"#, false),
        ],
    ),
    (
        "closed_args_at",
        r#"{"kind":"closed_args","tool":"crm.read","at":"/to","names":["iban"]}"#,
        &[
            ("met", "the object at the pointer has listed members alone", r#"{"to":{"iban":"x"},"memo":"y"}"#, true),
            ("empty", "an empty object has no other members", r#"{"to":{}}"#, true),
            ("extra", "a member that is not listed, in the object at the pointer", r#"{"to":{"iban":"x","bic":"y"}}"#, false),
            ("missing", "nothing at the pointer", r#"{"iban":"x"}"#, false),
            ("text", "a text at the pointer", r#"{"to":"x"}"#, false),
            ("array", "an array at the pointer", r#"{"to":[]}"#, false),
            ("null", "null at the pointer", r#"{"to":null}"#, false),
        ],
    ),
    (
        "closed_args_in_array",
        r#"{"kind":"closed_args","tool":"crm.read","at":"/items/1/a~1b","names":["n"]}"#,
        &[
            ("met", "an object in an object in an array", r#"{"items":[{"a/b":{"x":1}},{"a/b":{"n":1}}]}"#, true),
            ("extra", "a member that is not listed", r#"{"items":[{"a/b":{}},{"a/b":{"x":1}}]}"#, false),
            ("short", "the array has no such element", r#"{"items":[{"a/b":{"n":1}}]}"#, false),
        ],
    ),
];

const CHECKS: [(&str, &str, &str, &str); 16] = [
    ("of_tool", "a check that a tools caveat would say otherwise", r#"check if tool($t), $t === "crm.read""#, "UNKNOWN_CAVEAT"),
    ("of_two_arguments", "a comparison of two arguments", r#"check if arg_int("/a", $a), arg_int("/b", $b), $a <= $b"#, "UNKNOWN_CAVEAT"),
    ("without_tool", "an argument of whatever tool", r#"check if arg_text("/a", $v), $v.starts_with("b")"#, "UNKNOWN_CAVEAT"),
    ("of_state", "a fact of the state outside a caveat's form", r#"check if calls("n", 0, $c), $c <= 5"#, "UNKNOWN_CAVEAT"),
    (
        "of_other_fact",
        "a rule on texts, asked of a number",
        r#"check if tool($t), $t !== "pay" or arg_decimal("/a", $v), $v.starts_with("1")"#,
        "UNKNOWN_CAVEAT",
    ),
    (
        "of_other_function",
        "a rule on texts, asked of a number",
        r#"check if tool($t), $t !== "pay" or arg_decimal("/a", $v), $v.extern::not_glob("\"1*\"")"#,
        "UNKNOWN_CAVEAT",
    ),
    (
        "of_number_in_text",
        "a rule on numbers, asked of a text",
        r#"check if tool($t), $t !== "pay" or arg_text("/a", $v), $v.extern::number("{\"max\":\"1\"}")"#,
        "UNKNOWN_CAVEAT",
    ),
    (
        "of_budget_with_two_bounds",
        "a budget with a lower bound too",
        r#"check if spend("b", "EUR", "/a", $s), $s.extern::decimal("{\"max\":\"1\",\"min\":\"0\"}")"#,
        "UNKNOWN_CAVEAT",
    ),
    ("of_function", "a function outside a caveat's form", r#"check if arg_text("/a", $v), $v.extern::glob("\"b*\"")"#, "UNKNOWN_CAVEAT"),
    (
        "of_denied_function",
        "the denial of a function, which would let pass what the function can't read",
        r#"check if tool($t), $t !== "a" or arg_text("/a", $v), !$v.extern::subpath("\"/etc\"")"#,
        "UNKNOWN_CAVEAT",
    ),
    (
        "function_unknown",
        "a function that the profile does not have",
        r#"check if tool($t), $t !== "a" or arg_text("/a", $v), $v.extern::regex("\"b*\"")"#,
        "OUTSIDE_PROFILE",
    ),
    (
        "function_other_spelling",
        "a rule in another spelling than its one",
        r#"check if tool($t), $t !== "a" or arg_text("/a", $v), $v.extern::length("{\"min\": 1}")"#,
        "OUTSIDE_PROFILE",
    ),
    (
        "function_no_rule",
        "a parameter that is no rule",
        r#"check if tool($t), $t !== "a" or arg_text("/a", $v), $v.extern::cidr("[\"10.0.0.1/8\"]")"#,
        "OUTSIDE_PROFILE",
    ),
    (
        "function_of_integer",
        "a function of texts on an integer",
        r#"check if tool($t), $t !== "a" or arg_int("/a", $v), $v.extern::glob("\"b*\"")"#,
        "MIXED_TYPES",
    ),
    (
        "function_of_variable",
        "a rule that the caller would choose",
        r#"check if tool($t), $t !== "a" or arg_text("/a", $v), arg_text("/b", $w), $v.extern::glob($w)"#,
        "MIXED_TYPES",
    ),
    ("function_of_text_on_time", "a function of times on a text", r#"check if tool($t), $t.extern::time_window("{}")"#, "MIXED_TYPES"),
];
