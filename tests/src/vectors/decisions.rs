//! Calls against the caveats of several blocks, and the bounds of arguments.

use super::{CallText, Cases, call};
use crate::tokens::{EXECUTOR, EXPIRES, PLANNER, hop, plain, sample};

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

/// A caveat on another tool's argument says nothing.
fn arguments(cases: &mut Cases) {
    let token = plain(&sample(), r#"[{"kind":"arg","tool":"crm.read","path":"/a","is":{"exact":"EUR"}}]"#);
    let about = "a caveat on another tool's argument says nothing";
    cases.permitted("arg_of_other_tool", about, &token, &PLANNER, call("crm.write", r#"{"a":"anything"}"#));
    let token = plain(&sample(), r#"[{"kind":"arg","tool":"crm.read","path":"/to/from/0","is":{"exact":5}}]"#);
    let about = "the same member names in another place";
    let deeper = call("crm.read", r#"{"to/from":[5],"to":{"from":5}}"#);
    cases.denied("arg_at_other_place", about, &token, &PLANNER, deeper, ("ARGUMENT_REFUSED", Some(1)));
    for (name, about, arguments) in [
        ("arg_index_leading_zero", "an index with a leading zero points at nothing", r#"{"a":[4,5]}"#),
        ("arg_index_as_name", "an index is a name in an object, as it stands", r#"{"a":{"1":5}}"#),
    ] {
        let token = plain(&sample(), r#"[{"kind":"arg","tool":"crm.read","path":"/a/01","is":{"exact":5}}]"#);
        cases.denied(name, about, &token, &PLANNER, call("crm.read", arguments), ("ARGUMENT_REFUSED", Some(1)));
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
}
