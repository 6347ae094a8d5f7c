//! Caveats: each kind with its Datalog and its sentence, and texts that are none.

use super::{Cases, CaveatAnswer, CaveatVector, Vector};

pub(super) fn cases(cases: &mut Cases) {
    for (name, about, json, check, sentence) in READ {
        let expect = CaveatAnswer::Read { canonical: json.to_owned(), check: check.to_owned(), sentence: sentence.to_owned() };
        add(cases, name, about, json, expect);
    }
    for (name, about, json, canonical, check, sentence) in NORMALISED {
        let expect = CaveatAnswer::Read { canonical: canonical.to_owned(), check: check.to_owned(), sentence: sentence.to_owned() };
        add(cases, name, about, json, expect);
    }
    for (name, about, json, reason) in REFUSED {
        add(cases, name, about, json, CaveatAnswer::Refused { reason: reason.to_owned() });
    }
}

fn add(cases: &mut Cases, name: &str, about: &str, json: &str, expect: CaveatAnswer) {
    cases.add(name, Vector::Caveat(CaveatVector { about: about.to_owned(), json: json.to_owned(), expect }));
}

const READ: [(&str, &str, &str, &str, &str); 14] = [
    (
        "caveat_tools",
        "exact names are one query, each prefix is one more",
        r#"{"allow":["crm.read","crm.write",{"prefix":"mail."}],"kind":"tools"}"#,
        r#"check if tool($t), {"crm.read", "crm.write"}.contains($t) or tool($t), $t.starts_with("mail.")"#,
        "only `crm.read` or `crm.write` or tools that begin with `mail.`",
    ),
    (
        "caveat_arg_exact_text",
        "an exact text",
        r#"{"is":{"exact":"EUR"},"kind":"arg","path":"/currency","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or tool("pay"), arg_text("/currency", $v), {"EUR"}.contains($v)"#,
        "`/currency` of `pay` must be `EUR`",
    ),
    (
        "caveat_arg_exact_integer",
        "an exact integer, at a place in an array",
        r#"{"is":{"exact":-5},"kind":"arg","path":"/items/0/delta","tool":"adjust"}"#,
        r#"check if tool($t), $t !== "adjust" or tool("adjust"), arg_int("/items/0/delta", $v), {-5}.contains($v)"#,
        "`/items/0/delta` of `adjust` must be -5",
    ),
    (
        "caveat_arg_exact_flag",
        "an exact flag, at a member whose name holds a slash",
        r#"{"is":{"exact":true},"kind":"arg","path":"/dry~1run","tool":"deploy"}"#,
        r#"check if tool($t), $t !== "deploy" or tool("deploy"), arg_flag("/dry~1run", $v), {true}.contains($v)"#,
        "`/dry~1run` of `deploy` must be true",
    ),
    (
        "caveat_arg_one_of",
        "one of some values of one type",
        r#"{"is":{"one_of":["EUR","USD"]},"kind":"arg","path":"/currency","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or tool("pay"), arg_text("/currency", $v), {"EUR", "USD"}.contains($v)"#,
        "`/currency` of `pay` must be one of `EUR`, `USD`",
    ),
    (
        "caveat_arg_exact_decimal",
        "a number with a fraction, which is compared as its canonical text",
        r#"{"is":{"exact":1.5},"kind":"arg","path":"/rate","tool":"convert"}"#,
        r#"check if tool($t), $t !== "convert" or tool("convert"), arg_decimal("/rate", $v), {"1.5"}.contains($v)"#,
        "`/rate` of `convert` must be 1.5",
    ),
    (
        "caveat_arg_range",
        "an integer within bounds",
        r#"{"is":{"range":{"max":500,"min":1}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or tool("pay"), arg_int("/amount", $v), $v >= 1, $v <= 500"#,
        "`/amount` of `pay` must be an integer from 1 to 500",
    ),
    (
        "caveat_arg_range_open",
        "an integer with an upper bound alone",
        r#"{"is":{"range":{"max":500}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or tool("pay"), arg_int("/amount", $v), $v <= 500"#,
        "`/amount` of `pay` must be an integer of at most 500",
    ),
    (
        "caveat_arg_prefix",
        "a text that begins so",
        r#"{"is":{"prefix":"/reports/"},"kind":"arg","path":"/path","tool":"files.read"}"#,
        r#"check if tool($t), $t !== "files.read" or tool("files.read"), arg_text("/path", $v), $v.starts_with("/reports/")"#,
        "`/path` of `files.read` must be a text that begins with `/reports/`",
    ),
    (
        "caveat_closed_args",
        "no arguments but these",
        r#"{"at":"","kind":"closed_args","names":["amount","currency"],"tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or tool("pay"), arg_names("", $n), {"amount", "currency"}.contains($n)"#,
        "`pay` may have no arguments but `amount`, `currency`",
    ),
    (
        "caveat_closed_args_nested",
        "an object among the arguments that must be empty",
        r#"{"at":"/options","kind":"closed_args","names":[],"tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or tool("pay"), arg_names("/options", $n), {,}.contains($n)"#,
        "`pay` at `/options` may have no arguments but none",
    ),
    (
        "caveat_audience",
        "one of some audiences",
        r#"{"kind":"audience","one_of":["https://crm.example","https://mail.example"]}"#,
        r#"check if audience($a), {"https://crm.example", "https://mail.example"}.contains($a)"#,
        "only at `https://crm.example`, `https://mail.example`",
    ),
    (
        "caveat_expires",
        "accepted before this second",
        r#"{"at":"2026-11-21T12:00:00Z","kind":"expires"}"#,
        "check if time($t), $t < 2026-11-21T12:00:00Z",
        "only before 2026-11-21T12:00:00Z",
    ),
    ("caveat_depth", "at most so many hops in the chain", r#"{"kind":"depth","max":3}"#, "check if depth($d), $d <= 3", "at most 3 hops"),
];

/// Read from another spelling than the one that is written.
const NORMALISED: [(&str, &str, &str, &str, &str, &str); 1] = [(
    "caveat_arg_one_of_types",
    "one of some values: an alternative for each type, flags first, then integers, numbers with a fraction and texts",
    r#"{"kind":"arg","tool":"sync","path":"/mode","is":{"one_of":["all",2,false,1]}}"#,
    r#"{"is":{"any":[{"exact":false},{"one_of":[1,2]},{"exact":"all"}]},"kind":"arg","path":"/mode","tool":"sync"}"#,
    r#"check if tool($t), $t !== "sync" or tool("sync"), arg_flag("/mode", $v), {false}.contains($v) or tool("sync"), arg_int("/mode", $v), {1, 2}.contains($v) or tool("sync"), arg_text("/mode", $v), {"all"}.contains($v)"#,
    "`/mode` of `sync` must be false, or one of 1, 2, or `all`",
)];

const REFUSED: [(&str, &str, &str, &str); 14] = [
    ("caveat_unknown_kind", "a kind that is not understood", r#"{"kind":"moon_phase","is":"full"}"#, "CAVEAT_MALFORMED"),
    ("caveat_further_member", "a member that is not understood", r#"{"kind":"depth","max":1,"unless":"admin"}"#, "CAVEAT_MALFORMED"),
    ("caveat_no_tool", "an argument of no tool", r#"{"kind":"arg","path":"/a","is":{"exact":1}}"#, "CAVEAT_NAMES_NO_TOOL"),
    ("caveat_tools_empty", "a grant of no tool", r#"{"kind":"tools","allow":[]}"#, "CAVEAT_NAMES_NO_TOOL"),
    ("caveat_tools_twice", "a tool named twice", r#"{"kind":"tools","allow":["a","a"]}"#, "CAVEAT_MALFORMED"),
    ("caveat_tools_empty_prefix", "a prefix that covers every tool", r#"{"kind":"tools","allow":[{"prefix":""}]}"#, "CAVEAT_MALFORMED"),
    ("caveat_one_of_twice", "a value given twice", r#"{"kind":"arg","tool":"t","path":"/a","is":{"one_of":[1,1.0]}}"#, "CAVEAT_MALFORMED"),
    (
        "caveat_one_of_null",
        "null is no value to compare with",
        r#"{"kind":"arg","tool":"t","path":"/a","is":{"one_of":[null]}}"#,
        "CAVEAT_MALFORMED",
    ),
    (
        "caveat_range_reversed",
        "bounds that nothing meets",
        r#"{"kind":"arg","tool":"t","path":"/a","is":{"range":{"min":2,"max":1}}}"#,
        "CAVEAT_MALFORMED",
    ),
    (
        "caveat_two_matchers",
        "two demands in one caveat",
        r#"{"kind":"arg","tool":"t","path":"/a","is":{"exact":1,"prefix":"a"}}"#,
        "CAVEAT_MALFORMED",
    ),
    ("caveat_bad_pointer", "no JSON pointer", r#"{"kind":"arg","tool":"t","path":"a/~2","is":{"exact":1}}"#, "CAVEAT_MALFORMED"),
    ("caveat_fractional_expiry", "a fraction of a second", r#"{"kind":"expires","at":"2026-11-21T12:00:00.5Z"}"#, "CAVEAT_MALFORMED"),
    ("caveat_too_deep", "more hops than a token has room for", r#"{"kind":"depth","max":16}"#, "CAVEAT_MALFORMED"),
    ("caveat_control_character", "a line feed in a tool's name", r#"{"kind":"tools","allow":["a\nb"]}"#, "CAVEAT_MALFORMED"),
];
