//! Caveats as JSON: each kind and rule with its check and its sentence.

use super::{Cases, CaveatAnswer, CaveatVector, Vector};

pub(super) fn cases(cases: &mut Cases) {
    for (name, about, canonical, check, sentence) in DOCUMENTED {
        read(cases, name, about, canonical, canonical, check, sentence);
    }
}

/// The names of the cases that `docs/token-format.md` shows: one for each kind and rule.
pub fn documented() -> impl Iterator<Item = &'static str> {
    DOCUMENTED.iter().map(|(name, ..)| *name)
}

pub(super) fn read(cases: &mut Cases, name: &str, about: &str, json: &str, canonical: &str, check: &str, sentence: &str) {
    let expect = CaveatAnswer::Read { canonical: canonical.to_owned(), check: check.to_owned(), sentence: sentence.to_owned() };
    cases.add(name, Vector::Caveat(CaveatVector { about: about.to_owned(), json: json.to_owned(), expect }));
}

/// Name, what it shows, the caveat as it is written, its check and its sentence.
pub(super) type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// One for each kind and rule.
const DOCUMENTED: &[Row] = &[
    (
        "caveat_tools",
        "exact names are one query, each prefix and suffix is one more",
        r#"{"allow":["crm.read","crm.write",{"prefix":"mail."},{"suffix":".draft"}],"kind":"tools"}"#,
        r#"check if tool($t), {"crm.read", "crm.write"}.contains($t) or tool($t), $t.starts_with("mail.") or tool($t), $t.ends_with(".draft")"#,
        "only `crm.read` or `crm.write` or tools that begin with `mail.` or tools that end with `.draft`",
    ),
    (
        "caveat_not_tools",
        "names, prefixes and suffixes are denied one by one",
        r#"{"deny":["db.drop",{"prefix":"admin."}],"kind":"not_tools"}"#,
        r#"check if tool($t), !{"db.drop"}.contains($t), !$t.starts_with("admin.")"#,
        "not `db.drop` or tools that begin with `admin.`",
    ),
    (
        "caveat_arg_exact_text",
        "an exact text",
        r#"{"is":{"exact":"EUR"},"kind":"arg","path":"/currency","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/currency", $v), {"EUR"}.contains($v)"#,
        "`/currency` of `pay` must be `EUR`",
    ),
    (
        "caveat_arg_one_of",
        "one of some values of one type",
        r#"{"is":{"one_of":["EUR","USD"]},"kind":"arg","path":"/currency","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/currency", $v), {"EUR", "USD"}.contains($v)"#,
        "`/currency` of `pay` must be one of `EUR`, `USD`",
    ),
    (
        "caveat_arg_not_one_of",
        "none of some values, and of their type",
        r#"{"is":{"not_one_of":["admin","root"]},"kind":"arg","path":"/user","tool":"login"}"#,
        r#"check if tool($t), $t !== "login" or arg_text("/user", $v), !{"admin", "root"}.contains($v)"#,
        "`/user` of `login` must be a text other than `admin`, `root`",
    ),
    (
        "caveat_arg_none_of",
        "any value but some, whatever its type",
        r#"{"is":{"none_of":[13,"admin"]},"kind":"arg","path":"/user","tool":"login"}"#,
        r#"check if tool($t), $t !== "login" or arg_any("/user", $v), !{"13", "\"admin\""}.contains($v)"#,
        "`/user` of `login` must be any value other than 13, `admin`",
    ),
    (
        "caveat_arg_range",
        "an integer within bounds",
        r#"{"is":{"range":{"max":500,"min":1}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_int("/amount", $v), $v >= 1, $v <= 500"#,
        "`/amount` of `pay` must be an integer from 1 to 500",
    ),
    (
        "caveat_arg_decimal",
        "any number within bounds",
        r#"{"is":{"decimal":{"max":"99.99","min":"0.01"}},"kind":"arg","path":"/amount","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_decimal("/amount", $v), $v.extern::number("{\"max\":\"99.99\",\"min\":\"0.01\"}")"#,
        "`/amount` of `pay` must be a decimal from 0.01 to 99.99",
    ),
    (
        "caveat_arg_decimal_between",
        "any number between bounds that are outside",
        r#"{"is":{"decimal":{"above":"0","below":"1"}},"kind":"arg","path":"/share","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_decimal("/share", $v), $v.extern::number("{\"above\":\"0\",\"below\":\"1\"}")"#,
        "`/share` of `pay` must be a decimal above 0 and below 1",
    ),
    (
        "caveat_arg_decimal_text",
        "a decimal in a text within bounds",
        r#"{"is":{"decimal_text":{"max":"99.99","min":"0.01"}},"kind":"arg","path":"/price","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/price", $v), $v.extern::decimal("{\"max\":\"99.99\",\"min\":\"0.01\"}")"#,
        "`/price` of `pay` must be a decimal from 0.01 to 99.99",
    ),
    (
        "caveat_arg_prefix",
        "a text that begins so",
        r#"{"is":{"prefix":"/reports/"},"kind":"arg","path":"/path","tool":"files.read"}"#,
        r#"check if tool($t), $t !== "files.read" or arg_text("/path", $v), $v.starts_with("/reports/")"#,
        "`/path` of `files.read` must be a text that begins with `/reports/`",
    ),
    (
        "caveat_arg_suffix",
        "a text that ends so",
        r#"{"is":{"suffix":".csv"},"kind":"arg","path":"/file","tool":"files.read"}"#,
        r#"check if tool($t), $t !== "files.read" or arg_text("/file", $v), $v.ends_with(".csv")"#,
        "`/file` of `files.read` must be a text that ends with `.csv`",
    ),
    (
        "caveat_arg_contains",
        "a list that holds all of some values",
        r#"{"is":{"contains":["finance","reviewed"]},"kind":"arg","path":"/tags","tool":"docs.send"}"#,
        r#"check if tool($t), $t !== "docs.send" or arg_items("/tags", $v), $v.contains({"\"finance\"", "\"reviewed\""})"#,
        "`/tags` of `docs.send` must be a list that holds `finance`, `reviewed`",
    ),
    (
        "caveat_arg_array_contains",
        "an array that holds all of some values and anything else",
        r#"{"is":{"array_contains":["finance","reviewed"]},"kind":"arg","path":"/tags","tool":"docs.send"}"#,
        r#"check if tool($t), $t !== "docs.send" or arg_array("/tags", $v), $v.contains({"\"finance\"", "\"reviewed\""})"#,
        "`/tags` of `docs.send` must be a list that holds `finance`, `reviewed`",
    ),
    (
        "caveat_arg_subset",
        "a list that holds nothing but some values",
        r#"{"is":{"subset":["ana@a.example","bo@a.example"]},"kind":"arg","path":"/to","tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or arg_items("/to", $v), {"\"ana@a.example\"", "\"bo@a.example\""}.contains($v)"#,
        "`/to` of `mail.send` must be a list of nothing but `ana@a.example`, `bo@a.example`",
    ),
    (
        "caveat_arg_count",
        "a list or object with so many entries",
        r#"{"is":{"count":{"max":5,"min":1}},"kind":"arg","path":"/to","tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or arg_count("/to", $v), $v >= 1, $v <= 5"#,
        "`/to` of `mail.send` must be a list or object with 1 to 5 entries",
    ),
    (
        "caveat_arg_type",
        "any value of a type",
        r#"{"is":{"type":"text"},"kind":"arg","path":"/note","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_text("/note", $v)"#,
        "`/note` of `pay` must be a text",
    ),
    (
        "caveat_arg_type_any",
        "an argument that must be there",
        r#"{"is":{"type":"any"},"kind":"arg","path":"/note","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_any("/note", $v)"#,
        "`/note` of `pay` must be any value",
    ),
    (
        "caveat_arg_all",
        "every rule accepts",
        r#"{"is":{"all":[{"prefix":"inv-"},{"suffix":".pdf"}]},"kind":"arg","path":"/name","tool":"files.send"}"#,
        r#"check if tool($t), $t !== "files.send" or arg_text("/name", $v), $v.starts_with("inv-"), $v.ends_with(".pdf")"#,
        "`/name` of `files.send` must be a text that begins with `inv-` and a text that ends with `.pdf`",
    ),
    (
        "caveat_arg_any",
        "at least one rule accepts",
        r#"{"is":{"any":[{"exact":"all"},{"range":{"max":9,"min":1}}]},"kind":"arg","path":"/page","tool":"list"}"#,
        r#"check if tool($t), $t !== "list" or arg_text("/page", $v), {"all"}.contains($v) or arg_int("/page", $v), $v >= 1, $v <= 9"#,
        "`/page` of `list` must be `all`, or an integer from 1 to 9",
    ),
    (
        "caveat_arg_not",
        "a rule can read the value and rejects it",
        r#"{"is":{"not":{"glob":"*.exe"}},"kind":"arg","path":"/name","tool":"files.send"}"#,
        r#"check if tool($t), $t !== "files.send" or arg_text("/name", $v), $v.extern::not_glob("\"*.exe\"")"#,
        "`/name` of `files.send` must be not a text like `*.exe`",
    ),
    (
        "caveat_arg_glob",
        "a text like a pattern",
        r#"{"is":{"glob":"db-*-prod"},"kind":"arg","path":"/database","tool":"sql.read"}"#,
        r#"check if tool($t), $t !== "sql.read" or arg_text("/database", $v), $v.extern::glob("\"db-*-prod\"")"#,
        "`/database` of `sql.read` must be a text like `db-*-prod`",
    ),
    (
        "caveat_arg_length",
        "a text of such a length",
        r#"{"is":{"length":{"max":140,"min":1}},"kind":"arg","path":"/subject","tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or arg_text("/subject", $v), $v.extern::length("{\"max\":140,\"min\":1}")"#,
        "`/subject` of `mail.send` must be a text of 1 to 140 characters",
    ),
    (
        "caveat_arg_cidr",
        "an IP address in one of some networks",
        r#"{"is":{"cidr":["10.0.0.0/8","2001:db8::/32"]},"kind":"arg","path":"/peer","tool":"net.probe"}"#,
        r#"check if tool($t), $t !== "net.probe" or arg_text("/peer", $v), $v.extern::cidr("[\"10.0.0.0/8\",\"2001:db8::/32\"]")"#,
        "`/peer` of `net.probe` must be an IP address in `10.0.0.0/8` or `2001:db8::/32`",
    ),
    (
        "caveat_arg_url",
        "a URL whose parts are as named",
        r#"{"is":{"url":{"hosts":["*.cdn.example.com","api.example.com"],"path":"/v1/","ports":[443],"public":true,"schemes":["https"]}},"kind":"arg","path":"/url","tool":"fetch"}"#,
        r#"check if tool($t), $t !== "fetch" or arg_text("/url", $v), $v.extern::url("{\"hosts\":[\"*.cdn.example.com\",\"api.example.com\"],\"path\":\"/v1/\",\"ports\":[443],\"public\":true,\"schemes\":[\"https\"]}")"#,
        "`/url` of `fetch` must be a URL with scheme `https`, on a public host, host `*.cdn.example.com` or `api.example.com`, port 443, path below `/v1/`",
    ),
    (
        "caveat_arg_subpath",
        "a path at or below a root",
        r#"{"is":{"subpath":"/srv/data"},"kind":"arg","path":"/file","tool":"files.read"}"#,
        r#"check if tool($t), $t !== "files.read" or arg_text("/file", $v), $v.extern::subpath("\"/srv/data\"")"#,
        "`/file` of `files.read` must be the path `/srv/data` or one below it",
    ),
    (
        "caveat_arg_shell",
        "a command line of listed words",
        r#"{"is":{"shell":{"programs":["git"],"words":["-s","log","status"]}},"kind":"arg","path":"/command","tool":"run"}"#,
        r#"check if tool($t), $t !== "run" or arg_text("/command", $v), $v.extern::shell("{\"programs\":[\"git\"],\"words\":[\"-s\",\"log\",\"status\"]}")"#,
        "`/command` of `run` must be a command line of `git` with no words but `-s`, `log`, `status`",
    ),
    (
        "caveat_closed_args",
        "no arguments but these",
        r#"{"at":"","kind":"closed_args","names":["amount","currency"],"tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or arg_names("", $n), {"amount", "currency"}.contains($n)"#,
        "`pay` may have no arguments but `amount`, `currency`",
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
    (
        "caveat_not_before",
        "accepted from this second on",
        r#"{"at":"2026-11-21T10:00:00Z","kind":"not_before"}"#,
        "check if time($t), $t >= 2026-11-21T10:00:00Z",
        "only from 2026-11-21T10:00:00Z on",
    ),
    (
        "caveat_time_window",
        "accepted in these hours of these days",
        r#"{"kind":"time_window","window":{"days":["mon","tue","wed","thu","fri"],"from":"09:00","to":"17:30","utc_offset":"+02:00"}}"#,
        r#"check if time($t), $t.extern::time_window("{\"days\":[\"mon\",\"tue\",\"wed\",\"thu\",\"fri\"],\"from\":\"09:00\",\"to\":\"17:30\",\"utc_offset\":\"+02:00\"}")"#,
        "only from 09:00 to 17:30 at UTC+02:00 on mon, tue, wed, thu, fri",
    ),
    ("caveat_depth", "at most so many hops in the chain", r#"{"kind":"depth","max":3}"#, "check if depth($d), $d <= 3", "at most 3 hops"),
    (
        "caveat_calls",
        "at most so many calls of a tool",
        r#"{"kind":"calls","max":20,"name":"reads","tool":"crm.read"}"#,
        r#"check if tool($t), $t !== "crm.read" or calls("reads", 0, $n), $n < 20"#,
        "`crm.read`: at most 20 calls, counted as `reads`",
    ),
    (
        "caveat_rate",
        "at most so many calls of all tools in a time",
        r#"{"kind":"calls","max":5,"name":"burst","per_seconds":60}"#,
        r#"check if calls("burst", 60, $n), $n < 5"#,
        "at most 5 calls in 60 seconds, counted as `burst`",
    ),
    (
        "caveat_single_use",
        "one call and no more",
        r#"{"kind":"single_use","name":"once","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or uses("once", 0)"#,
        "`pay`: only once, noted as `once`",
    ),
    (
        "caveat_budget",
        "a sum over all calls",
        r#"{"cost":{"path":"/amount"},"kind":"budget","max":"250.5","name":"trip","tool":"pay","unit":"EUR"}"#,
        r#"check if tool($t), $t !== "pay" or spend("trip", "EUR", "/amount", $s), $s.extern::decimal("{\"max\":\"250.5\"}")"#,
        "`pay`: at most 250.5 EUR in all, counting what is at `/amount` as `trip`",
    ),
    (
        "caveat_requires_prior",
        "only after other actions",
        r#"{"actions":["ask","read"],"kind":"requires_prior","tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or history($h), $h.contains({"ask", "read"})"#,
        "`pay`: only after `ask`, `read` in the same task",
    ),
    (
        "caveat_forbids_prior",
        "not after other actions",
        r#"{"actions":["browse","upload"],"kind":"forbids_prior","tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or history($h), !$h.contains("browse"), !$h.contains("upload")"#,
        "`mail.send`: never after `browse` or `upload` in the same task",
    ),
    (
        "caveat_labels_none_of",
        "not after touching what is labelled so",
        r#"{"kind":"labels","none_of":["personal","secret"],"tool":"mail.send"}"#,
        r#"check if tool($t), $t !== "mail.send" or labels($l), !$l.contains("personal"), !$l.contains("secret")"#,
        "`mail.send`: never when the session has touched `personal` or `secret`",
    ),
    (
        "caveat_labels_within",
        "not after touching what is labelled otherwise",
        r#"{"kind":"labels","within":["public"]}"#,
        r#"check if labels($l), {"public"}.contains($l)"#,
        "only while the session has touched nothing labelled but `public`",
    ),
    (
        "caveat_approval",
        "so many of some people have approved",
        r#"{"count":2,"kind":"approval","name":"go","of":["ana","bo","cy"],"tool":"pay"}"#,
        r#"check if tool($t), $t !== "pay" or approvals("go", {"ana", "bo", "cy"}, $n), $n >= 2"#,
        "`pay`: only when 2 of `ana`, `bo`, `cy` have approved this very call, noted as `go`",
    ),
    (
        "caveat_network",
        "a plane holds the network to these hosts",
        r#"{"hosts":["api.example.com"],"kind":"network","tool":"fetch"}"#,
        r#"check if tool($t), $t !== "fetch" or enforces("network", {"api.example.com"})"#,
        "`fetch`: only with the network held to `api.example.com`",
    ),
    (
        "caveat_sandbox",
        "a plane runs the tool in this sandbox",
        r#"{"kind":"sandbox","level":"strict"}"#,
        r#"check if enforces("sandbox", {"strict"})"#,
        "only in the sandbox `strict`",
    ),
    (
        "caveat_redact",
        "a plane redacts the result",
        r#"{"kind":"redact","paths":["/owner/iban"],"tool":"crm.read"}"#,
        r#"check if tool($t), $t !== "crm.read" or enforces("redact", {"/owner/iban"})"#,
        "`crm.read`: only with `/owner/iban` redacted from the result",
    ),
    (
        "caveat_datalog",
        "an operator's own check",
        r#"{"check":"check if arg_int(\"/from\", $a), arg_int(\"/to\", $b), $a <= $b","kind":"datalog"}"#,
        r#"check if arg_int("/from", $a), arg_int("/to", $b), $a <= $b"#,
        r#"only where this holds: `check if arg_int(\"/from\", $a), arg_int(\"/to\", $b), $a <= $b`"#,
    ),
];
