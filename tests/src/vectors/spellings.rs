//! Further caveats as JSON: values of other types, the most that a check holds, and texts that are read from another spelling
//! than the one that is written.

use super::{
    Cases,
    caveats::{Row, read},
};

pub(super) fn cases(cases: &mut Cases) {
    for (name, about, canonical, check, sentence) in OTHERS {
        read(cases, name, about, canonical, canonical, check, sentence);
    }
    for (name, about, json, canonical, check, sentence) in NORMALISED {
        read(cases, name, about, json, canonical, check, sentence);
    }
}

const OTHERS: &[Row] = &[
    (
        "caveat_arg_exact_integer",
        "an exact integer, at a place in an array",
        r#"{"is":{"exact":-5},"kind":"arg","path":"/items/0/delta","tool":"adjust"}"#,
        r#"check if tool($t), $t !== "adjust" or arg_int("/items/0/delta", $v), {-5}.contains($v)"#,
        "`/items/0/delta` of `adjust` must be -5",
    ),
    (
        "caveat_arg_exact_decimal",
        "a number with a fraction, which is compared as its canonical text",
        r#"{"is":{"exact":1.5},"kind":"arg","path":"/rate","tool":"convert"}"#,
        r#"check if tool($t), $t !== "convert" or arg_decimal("/rate", $v), {"1.5"}.contains($v)"#,
        "`/rate` of `convert` must be 1.5",
    ),
    (
        "caveat_arg_exact_flag",
        "an exact flag, at a member whose name holds a slash",
        r#"{"is":{"exact":true},"kind":"arg","path":"/dry~1run","tool":"deploy"}"#,
        r#"check if tool($t), $t !== "deploy" or arg_flag("/dry~1run", $v), {true}.contains($v)"#,
        "`/dry~1run` of `deploy` must be true",
    ),
    (
        "caveat_arg_range_open",
        "an integer with an upper bound alone",
        r#"{"is":{"range":{"max":500}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_int("/amount", $v), $v <= 500"#,
        "`/amount` of `pay` must be an integer of at most 500",
    ),
    (
        "caveat_arg_type_null",
        "null",
        r#"{"is":{"type":"null"},"kind":"arg","path":"/until","tool":"book"}"#,
        r#"check if tool($t), $t !== "book" or arg_null("/until")"#,
        "`/until` of `book` must be null",
    ),
    (
        "caveat_arg_type_list",
        "a list of plain values",
        r#"{"is":{"type":"list"},"kind":"arg","path":"/to","tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or arg_items("/to", $v)"#,
        "`/to` of `mail.send` must be a list of plain values",
    ),
    (
        "caveat_arg_count_any",
        "a list or an object",
        r#"{"is":{"count":{}},"kind":"arg","path":"/to","tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or arg_count("/to", $v)"#,
        "`/to` of `mail.send` must be a list or object",
    ),
    (
        "caveat_arg_contains_types",
        "values of all types as their canonical texts",
        r#"{"is":{"contains":[true,2,0.5,"a"]},"kind":"arg","path":"/of","tool":"tag"}"#,
        r#"check if tool($t), $t !== "tag" or arg_items("/of", $v), $v.contains({"true", "2", "0.5", "\"a\""})"#,
        "`/of` of `tag` must be a list that holds true, 2, 0.5, `a`",
    ),
    (
        "caveat_arg_subset_empty",
        "a list that holds nothing",
        r#"{"is":{"subset":[]},"kind":"arg","path":"/cc","tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or arg_items("/cc", $v), {,}.contains($v)"#,
        "`/cc` of `mail.send` must be a list of nothing but nothing",
    ),
    (
        "caveat_arg_not_url",
        "the function of the denial",
        r#"{"is":{"not":{"url":{"public":true,"schemes":["https"]}}},"kind":"arg","path":"/url","tool":"fetch"}"#,
        r#"check if tool($t), $t !== "fetch" or arg_text("/url", $v), $v.extern::not_url("{\"public\":true,\"schemes\":[\"https\"]}")"#,
        "`/url` of `fetch` must be not a URL with scheme `https`, on a public host",
    ),
    (
        "caveat_arg_most_alternatives",
        "seven alternatives are the most",
        r#"{"is":{"any":[{"prefix":"a"},{"prefix":"b"},{"prefix":"c"},{"prefix":"d"},{"prefix":"e"},{"prefix":"f"},{"prefix":"g"}]},"kind":"arg","path":"/to","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/to", $v), $v.starts_with("a") or arg_text("/to", $v), $v.starts_with("b") or arg_text("/to", $v), $v.starts_with("c") or arg_text("/to", $v), $v.starts_with("d") or arg_text("/to", $v), $v.starts_with("e") or arg_text("/to", $v), $v.starts_with("f") or arg_text("/to", $v), $v.starts_with("g")"#,
        "`/to` of `pay` must be a text that begins with `a`, or a text that begins with `b`, or a text that begins with `c`, or a text that begins with `d`, or a text that begins with `e`, or a text that begins with `f`, or a text that begins with `g`",
    ),
    (
        "caveat_arg_most_conditions",
        "eight conditions are the most",
        r#"{"is":{"all":[{"not":{"suffix":"a"}},{"not":{"suffix":"b"}},{"not":{"suffix":"c"}},{"not":{"suffix":"d"}},{"not":{"suffix":"e"}},{"not":{"suffix":"f"}},{"not":{"suffix":"g"}},{"not":{"suffix":"h"}}]},"kind":"arg","path":"/to","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/to", $v), !$v.ends_with("a"), !$v.ends_with("b"), !$v.ends_with("c"), !$v.ends_with("d"), !$v.ends_with("e"), !$v.ends_with("f"), !$v.ends_with("g"), !$v.ends_with("h")"#,
        "`/to` of `pay` must be a text that does not end with `a` and a text that does not end with `b` and a text that does not end with `c` and a text that does not end with `d` and a text that does not end with `e` and a text that does not end with `f` and a text that does not end with `g` and a text that does not end with `h`",
    ),
    (
        "caveat_closed_args_nested",
        "an object among the arguments that must be empty",
        r#"{"at":"/options","kind":"closed_args","names":[],"tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_names("/options", $n), {,}.contains($n)"#,
        "`pay` at `/options` may have no arguments but none",
    ),
    (
        "caveat_labels_within_none",
        "nothing labelled may have been touched",
        r#"{"kind":"labels","within":[]}"#,
        "check if labels($l), {,}.contains($l)",
        "only while the session has touched nothing labelled but none",
    ),
    (
        "caveat_budget_each",
        "a cost that is the same for each call",
        r#"{"cost":{"each":"2.5"},"kind":"budget","max":"10","name":"queries","unit":"query"}"#,
        r#"check if spend("queries", "query", "2.5", $s), $s.extern::decimal("{\"max\":\"10\"}")"#,
        "at most 10 query in all, counting 2.5 a call as `queries`",
    ),
];

/// Read from another spelling than the one that is written: name, what it shows, the text, and then as above.
const NORMALISED: &[(&str, &str, &str, &str, &str, &str)] = &[
    (
        "caveat_arg_one_of_types",
        "one of some values: an alternative for each type, flags first, then numbers and texts; beside a fraction an integer is among the numbers",
        r#"{"kind":"arg","tool":"sync","path":"/mode","is":{"one_of":["all",2,false,0.5,1]}}"#,
        r#"{"is":{"any":[{"exact":false},{"one_of":[1,2,0.5]},{"exact":"all"}]},"kind":"arg","path":"/mode","tool":"sync"}"#,
        r#"check if tool($t), $t !== "sync" or arg_flag("/mode", $v), {false}.contains($v) or arg_decimal("/mode", $v), {"0.5", "1", "2"}.contains($v) or arg_text("/mode", $v), {"all"}.contains($v)"#,
        "`/mode` of `sync` must be false, or one of 1, 2, 0.5, or `all`",
    ),
    (
        "caveat_arg_exact_null",
        "null is a type with one value",
        r#"{"kind":"arg","tool":"book","path":"/until","is":{"exact":null}}"#,
        r#"{"is":{"type":"null"},"kind":"arg","path":"/until","tool":"book"}"#,
        r#"check if tool($t), $t !== "book" or arg_null("/until")"#,
        "`/until` of `book` must be null",
    ),
    (
        "caveat_arg_range_of_all",
        "a range without bounds is a type",
        r#"{"kind":"arg","tool":"pay","path":"/amount","is":{"range":{}}}"#,
        r#"{"is":{"type":"integer"},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_int("/amount", $v)"#,
        "`/amount` of `pay` must be an integer",
    ),
    (
        "caveat_arg_not_exact",
        "not one value is one of a list that is denied",
        r#"{"kind":"arg","tool":"login","path":"/user","is":{"not":{"exact":"root"}}}"#,
        r#"{"is":{"not_one_of":["root"]},"kind":"arg","path":"/user","tool":"login"}"#,
        r#"check if tool($t), $t !== "login" or arg_text("/user", $v), !{"root"}.contains($v)"#,
        "`/user` of `login` must be a text other than `root`",
    ),
    (
        "caveat_arg_not_not",
        "two denials cancel each other",
        r#"{"kind":"arg","tool":"pay","path":"/to","is":{"not":{"not":{"prefix":"a"}}}}"#,
        r#"{"is":{"prefix":"a"},"kind":"arg","path":"/to","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/to", $v), $v.starts_with("a")"#,
        "`/to` of `pay` must be a text that begins with `a`",
    ),
    (
        "caveat_arg_not_range",
        "what is outside a range lies on one of its sides",
        r#"{"kind":"arg","tool":"pay","path":"/amount","is":{"not":{"range":{"min":1,"max":500}}}}"#,
        r#"{"is":{"any":[{"range":{"max":0}},{"range":{"min":501}}]},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_int("/amount", $v), $v <= 0 or arg_int("/amount", $v), $v >= 501"#,
        "`/amount` of `pay` must be an integer of at most 0, or an integer of at least 501",
    ),
    (
        "caveat_arg_not_all",
        "the denial of all is any denial",
        r#"{"kind":"arg","tool":"pay","path":"/to","is":{"not":{"all":[{"prefix":"a"},{"suffix":"z"}]}}}"#,
        r#"{"is":{"any":[{"not":{"prefix":"a"}},{"not":{"suffix":"z"}}]},"kind":"arg","path":"/to","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/to", $v), !$v.starts_with("a") or arg_text("/to", $v), !$v.ends_with("z")"#,
        "`/to` of `pay` must be a text that does not begin with `a`, or a text that does not end with `z`",
    ),
    (
        "caveat_arg_not_any",
        "the denial of any is all denials",
        r#"{"kind":"arg","tool":"pay","path":"/to","is":{"not":{"any":[{"prefix":"a"},{"glob":"*z"}]}}}"#,
        r#"{"is":{"all":[{"not":{"prefix":"a"}},{"not":{"glob":"*z"}}]},"kind":"arg","path":"/to","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/to", $v), !$v.starts_with("a"), $v.extern::not_glob("\"*z\"")"#,
        "`/to` of `pay` must be a text that does not begin with `a` and not a text like `*z`",
    ),
    (
        "caveat_arg_all_of_any",
        "each alternative takes every condition",
        r#"{"kind":"arg","tool":"pay","path":"/to","is":{"all":[{"any":[{"prefix":"a"},{"prefix":"b"}]},{"suffix":"z"}]}}"#,
        r#"{"is":{"any":[{"all":[{"prefix":"a"},{"suffix":"z"}]},{"all":[{"prefix":"b"},{"suffix":"z"}]}]},"kind":"arg","path":"/to","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/to", $v), $v.starts_with("a"), $v.ends_with("z") or arg_text("/to", $v), $v.starts_with("b"), $v.ends_with("z")"#,
        "`/to` of `pay` must be a text that begins with `a` and a text that ends with `z`, or a text that begins with `b` and a text that ends with `z`",
    ),
    (
        "caveat_arg_all_of_types",
        "alternatives of two types have nothing in common",
        r#"{"kind":"arg","tool":"pay","path":"/to","is":{"all":[{"one_of":[1,2,"x"]},{"range":{"min":2}}]}}"#,
        r#"{"is":{"all":[{"one_of":[1,2]},{"range":{"min":2}}]},"kind":"arg","path":"/to","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_int("/to", $v), {1, 2}.contains($v), $v >= 2"#,
        "`/to` of `pay` must be an integer of at least 2 and one of 1, 2",
    ),
    (
        "caveat_arg_decimal_zeros",
        "bounds lose the zeros at their end",
        r#"{"kind":"arg","tool":"pay","path":"/amount","is":{"decimal":{"max":"99.90"}}}"#,
        r#"{"is":{"decimal":{"max":"99.9"}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_decimal("/amount", $v), $v.extern::decimal("{\"max\":\"99.9\"}")"#,
        "`/amount` of `pay` must be a decimal of at most 99.9",
    ),
    (
        "caveat_arg_url_schemes",
        "the scheme is written where none is given",
        r#"{"kind":"arg","tool":"fetch","path":"/url","is":{"url":{"hosts":["b.example.com","a.example.com"]}}}"#,
        r#"{"is":{"url":{"hosts":["a.example.com","b.example.com"],"schemes":["https"]}},"kind":"arg","path":"/url","tool":"fetch"}"#,
        r#"check if tool($t), $t !== "fetch" or arg_text("/url", $v), $v.extern::url("{\"hosts\":[\"a.example.com\",\"b.example.com\"],\"schemes\":[\"https\"]}")"#,
        "`/url` of `fetch` must be a URL with scheme `https`, host `a.example.com` or `b.example.com`",
    ),
    (
        "caveat_closed_args_at_top",
        "the arguments themselves need not be pointed at",
        r#"{"kind":"closed_args","tool":"pay","names":["b","a"]}"#,
        r#"{"at":"","kind":"closed_args","names":["a","b"],"tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_names("", $n), {"a", "b"}.contains($n)"#,
        "`pay` may have no arguments but `a`, `b`",
    ),
    (
        "caveat_expires_offset",
        "times are written in UTC",
        r#"{"kind":"expires","at":"2026-11-21T13:00:00+01:00"}"#,
        r#"{"at":"2026-11-21T12:00:00Z","kind":"expires"}"#,
        "check if time($t), $t < 2026-11-21T12:00:00Z",
        "only before 2026-11-21T12:00:00Z",
    ),
    (
        "caveat_budget_zeros",
        "a limit loses the zeros at its end",
        r#"{"kind":"budget","name":"trip","unit":"EUR","max":"100.00","cost":{"path":"/amount"}}"#,
        r#"{"cost":{"path":"/amount"},"kind":"budget","max":"100","name":"trip","unit":"EUR"}"#,
        r#"check if spend("trip", "EUR", "/amount", $s), $s.extern::decimal("{\"max\":\"100\"}")"#,
        "at most 100 EUR in all, counting what is at `/amount` as `trip`",
    ),
    (
        "caveat_tools_order",
        "names stand before prefixes, prefixes before suffixes",
        r#"{"kind":"tools","allow":[{"suffix":"z"},"b",{"prefix":"a"},"a"]}"#,
        r#"{"allow":["a","b",{"prefix":"a"},{"suffix":"z"}],"kind":"tools"}"#,
        r#"check if tool($t), {"a", "b"}.contains($t) or tool($t), $t.starts_with("a") or tool($t), $t.ends_with("z")"#,
        "only `a` or `b` or tools that begin with `a` or tools that end with `z`",
    ),
];
