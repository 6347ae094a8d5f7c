//! Calls against argument caveats: a table a rule, a row a case.
//!
//! Each rule is shown the value of each row, and beside that a value of another type, a call without the argument, and a
//! value that it accepts at a place deep inside the arguments.

use super::{Cases, call};
use crate::tokens::{PLANNER, plain, sample};

/// A rule and what it is shown.
pub(super) struct Rule {
    /// As the names of its cases have it.
    pub(super) name: &'static str,
    /// Its JSON.
    pub(super) is: &'static str,
    /// Whether each case is told of the rule's denial too.
    pub(super) denial: bool,
    /// A value that it accepts.
    pub(super) accepted: &'static str,
    /// A value of a type that it does not read, or `<none>`.
    pub(super) other_type: &'static str,
    /// Name, what it shows, the value and the answer.
    pub(super) rows: &'static [(&'static str, &'static str, &'static str, Answer)],
}

/// What a rule makes of a value.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Answer {
    /// The call is permitted; under `not` it is denied.
    Accepts,
    /// The call is denied; under `not` it is permitted.
    Rejects,
    /// The rule can't read it: the call is denied, under `not` as well.
    Unread,
}

pub(super) fn cases(cases: &mut Cases) {
    for rule in PLAIN {
        rule.cases(cases);
    }
}

impl Rule {
    pub(super) fn cases(&self, cases: &mut Cases) {
        let Self { name, is, .. } = self;
        let other = (self.other_type != "<none>")
            .then(|| ("other_type", "a value of another type", format!(r#"{{"a":{}}}"#, self.other_type), Unread));
        let standard = [("missing", "no value at the pointer", format!(r#"{{"b":{},"c":{{"a":1}}}}"#, self.accepted), Unread)];
        let shown = |value: &str| format!(r#"{{"a":{}}}"#, value.replace("<4097>", &"a".repeat(4097)).replace("<4000>", &"a".repeat(4000)));
        let rows = self.rows.iter().map(|(case, about, value, answer)| (*case, *about, shown(value), *answer));
        let rows: Vec<_> = rows.chain(other).chain(standard).collect();
        let token = |path: &str, is: &str| plain(&sample(), &format!(r#"[{{"kind":"arg","tool":"crm.read","path":"{path}","is":{is}}}]"#));
        let mut add = |name: String, about: &str, token: &[u8], arguments: &str, met: bool| {
            let call = call("crm.read", arguments);
            match met {
                true => cases.permitted(&name, about, token, &PLANNER, call),
                false => cases.denied(&name, about, token, &PLANNER, call, ("ARGUMENT_REFUSED", Some(1))),
            }
        };
        let asserted = token("/a", is);
        for (case, about, arguments, answer) in &rows {
            add(format!("arg_{name}_{case}"), about, &asserted, arguments, *answer == Accepts);
        }
        let nested = format!(r#"{{"in":[{{"x/y":null}},{{"x/y":{}}}]}}"#, self.accepted);
        let about = "a value that is accepted, in an object in an array";
        add(format!("arg_{name}_nested"), about, &token("/in/1/x~1y", is), &nested, true);
        if self.denial {
            let denied = token("/a", &format!(r#"{{"not":{is}}}"#));
            for (case, about, arguments, answer) in &rows {
                add(format!("arg_not_{name}_{case}"), &format!("under `not`: {about}"), &denied, arguments, *answer == Rejects);
            }
        }
    }
}

pub(super) use Answer::{Accepts, Rejects, Unread};

const PLAIN: &[Rule] = &[
    Rule {
        name: "text",
        is: r#"{"exact":"EUR"}"#,
        denial: false,
        accepted: r#""EUR""#,
        other_type: "5",
        rows: &[
            ("met", "the exact text", r#""EUR""#, Accepts),
            ("missed", "another text", r#""USD""#, Rejects),
            ("other_case", "texts are compared byte by byte", r#""eur""#, Rejects),
            ("longer", "a space more", r#""EUR ""#, Rejects),
            ("escaped", "the same text in another spelling of JSON", r#""\u0045UR""#, Accepts),
            ("in_array", "the text stands in an array", r#"["EUR"]"#, Unread),
        ],
    },
    Rule {
        name: "text_composed",
        is: r#"{"exact":"caf\u00e9"}"#,
        denial: false,
        accepted: r#""café""#,
        other_type: "null",
        rows: &[("decomposed", "no Unicode normalisation takes place", r#""cafe\u0301""#, Rejects)],
    },
    Rule {
        name: "integer",
        is: r#"{"exact":5}"#,
        denial: false,
        accepted: "5",
        other_type: "true",
        rows: &[
            ("met", "the exact integer", "5", Accepts),
            ("one_point_zero", "5.0 is the integer 5", "5.0", Accepts),
            ("exponent", "50e-1 is the integer 5", "50e-1", Accepts),
            ("missed", "another integer", "6", Rejects),
            ("negative", "the integer with a sign", "-5", Rejects),
            ("as_text", "the text of the integer", r#""5""#, Unread),
        ],
    },
    Rule {
        name: "flag",
        is: r#"{"exact":false}"#,
        denial: false,
        accepted: "false",
        other_type: r#""false""#,
        rows: &[
            ("met", "the exact flag", "false", Accepts),
            ("missed", "the other flag", "true", Rejects),
            ("as_integer", "zero is not false", "0", Unread),
            ("null", "null is not false", "null", Unread),
            ("empty", "an empty text is not false", r#""""#, Unread),
        ],
    },
    Rule {
        name: "exact_decimal",
        is: r#"{"exact":1.5}"#,
        denial: true,
        accepted: "1.5",
        other_type: r#""1.5""#,
        rows: &[
            ("met", "the exact number", "1.5", Accepts),
            ("trailing_zero", "1.50 is the number 1.5", "1.50", Accepts),
            ("exponent", "15e-1 is the number 1.5", "15e-1", Accepts),
            ("close", "a number close by", "1.50000000000001", Rejects),
            ("whole", "a whole number is a number and another one", "1", Rejects),
        ],
    },
    Rule {
        name: "null",
        is: r#"{"exact":null}"#,
        denial: false,
        accepted: "null",
        other_type: "{}",
        rows: &[
            ("met", "null itself", "null", Accepts),
            ("zero", "zero is not null", "0", Unread),
            ("false", "false is not null", "false", Unread),
            ("empty", "an empty text is not null", r#""""#, Unread),
            ("in_array", "null stands in an array", "[null]", Unread),
        ],
    },
    Rule {
        name: "one_of",
        is: r#"{"one_of":["EUR","USD"]}"#,
        denial: false,
        accepted: r#""USD""#,
        other_type: "978",
        rows: &[
            ("first", "one of the values", r#""EUR""#, Accepts),
            ("second", "another of the values", r#""USD""#, Accepts),
            ("missed", "none of the values", r#""GBP""#, Rejects),
            ("empty", "the empty text", r#""""#, Rejects),
            ("joined", "both values in one text", r#""EURUSD""#, Rejects),
            ("in_array", "one of the values in an array", r#"["EUR"]"#, Unread),
        ],
    },
    Rule {
        name: "one_of_types",
        is: r#"{"one_of":[true,7,0.5,"x"]}"#,
        denial: false,
        accepted: r#""x""#,
        other_type: "null",
        rows: &[
            ("flag", "one of the values, a flag", "true", Accepts),
            ("integer", "one of the values, an integer", "7", Accepts),
            ("decimal", "one of the values, a number with a fraction", "0.5", Accepts),
            ("text", "one of the values, a text", r#""x""#, Accepts),
            ("missed", "none of the values", r#""y""#, Rejects),
            ("other_flag", "the other flag", "false", Rejects),
            ("as_text", "one of the values in another type", r#""7""#, Rejects),
            ("all_in_array", "all values in an array", r#"[true,7,0.5,"x"]"#, Unread),
        ],
    },
    Rule {
        name: "not_one_of",
        is: r#"{"not_one_of":["root","admin"]}"#,
        denial: true,
        accepted: r#""guest""#,
        other_type: "0",
        rows: &[
            ("met", "none of the values", r#""guest""#, Accepts),
            ("empty", "the empty text is none of them", r#""""#, Accepts),
            ("other_case", "texts are compared byte by byte, so a list of what is denied is easily passed by", r#""Root""#, Accepts),
            ("missed", "one of the values", r#""root""#, Rejects),
            ("in_array", "a text that is none of them, in an array", r#"["guest"]"#, Unread),
            ("null", "null is none of them, and no text", "null", Unread),
        ],
    },
    Rule {
        name: "not_one_of_types",
        is: r#"{"not_one_of":[0,"none"]}"#,
        denial: false,
        accepted: "1",
        other_type: "true",
        rows: &[
            ("integer", "another integer", "1", Accepts),
            ("text", "another text", r#""some""#, Accepts),
            ("zero", "the integer", "0", Rejects),
            ("none", "the text", r#""none""#, Rejects),
            ("decimal", "a number with a fraction is of neither type", "0.5", Unread),
        ],
    },
    Rule {
        name: "not_one_of_numbers",
        is: r#"{"not_one_of":[1.5,-4]}"#,
        denial: false,
        accepted: "2.5",
        other_type: r#""1.5""#,
        rows: &[
            ("fraction", "another number with a fraction", "2.5", Accepts),
            ("integer", "another integer", "-3", Accepts),
            ("denied_fraction", "the number with a fraction", "1.5", Rejects),
            ("denied_integer", "the integer, which the denial of the fraction must not let through", "-4", Rejects),
            ("denied_integer_point_zero", "the integer in another spelling", "-4.0", Rejects),
            ("as_text", "the integer as a text", r#""-4""#, Unread),
        ],
    },
    Rule {
        name: "range",
        is: r#"{"range":{"min":-5,"max":500}}"#,
        denial: true,
        accepted: "0",
        other_type: r#""5""#,
        rows: &[
            ("least", "the least integer of the range", "-5", Accepts),
            ("most", "the largest integer of the range", "500", Accepts),
            ("one_point_zero", "5.0 is an integer", "5.0", Accepts),
            ("below", "below the range", "-6", Rejects),
            ("above", "above the range", "501", Rejects),
            ("largest", "the largest integer that is read at all", "9007199254740991", Rejects),
            ("decimal", "a number with a fraction is no integer", "4.5", Unread),
        ],
    },
    Rule {
        name: "any_integer",
        is: r#"{"range":{}}"#,
        denial: false,
        accepted: "0",
        other_type: r#""0""#,
        rows: &[
            ("met", "an open range takes any integer", "-9007199254740991", Accepts),
            ("missed", "an open range takes no number with a fraction", "0.5", Unread),
        ],
    },
    Rule {
        name: "decimal",
        is: r#"{"decimal":{"min":"0.01","max":"99.99"}}"#,
        denial: true,
        accepted: "12.5",
        other_type: r#""12.5""#,
        rows: &[
            ("least", "the least number of the range", "0.01", Accepts),
            ("most", "the largest number of the range", "99.99", Accepts),
            ("whole", "a whole number is a number", "99", Accepts),
            ("below", "just below the range", "0.00999999999999999", Rejects),
            ("above", "just above the range", "99.9900000000001", Rejects),
            ("zero", "zero, also written with a minus", "-0.0", Rejects),
            ("negative", "a negative number", "-1", Rejects),
            ("tiny", "a number whose canonical text has an exponent is read", "1e-7", Rejects),
            ("null", "null is no number", "null", Unread),
        ],
    },
    Rule {
        name: "decimal_between",
        is: r#"{"decimal":{"above":"0","below":"0.0000005"}}"#,
        denial: true,
        accepted: "1e-7",
        other_type: r#""1e-7""#,
        rows: &[
            ("lower_end", "the bound itself is outside", "0", Rejects),
            ("upper_end", "the other bound itself is outside", "5e-7", Rejects),
            ("above_lower", "the smallest number that is read", "1e-100", Accepts),
            ("below_lower", "just below it", "-1e-100", Rejects),
            ("below_upper", "just below the upper bound, in its 15th digit", "4.99999999999999e-7", Accepts),
            ("above_upper", "just above it, in its 15th digit", "5.00000000000001e-7", Rejects),
            ("whole", "a whole number", "1", Rejects),
        ],
    },
    Rule {
        name: "none_of",
        is: r#"{"none_of":["root",0]}"#,
        denial: true,
        accepted: r#"["root"]"#,
        other_type: "<none>",
        rows: &[
            ("text", "another text", r#""guest""#, Accepts),
            ("as_text", "the text of the number", r#""0""#, Accepts),
            ("flag", "a value of a type that is not listed", "false", Accepts),
            ("decimal", "a number with a fraction", "0.5", Accepts),
            ("object", "an object", "{}", Accepts),
            ("listed_text", "the text", r#""root""#, Rejects),
            ("listed_number", "the number in another spelling", "0.0", Rejects),
        ],
    },
    Rule {
        name: "none_of_in_all",
        is: r#"{"all":[{"decimal":{"min":"1","max":"50"}},{"none_of":[13,"x"]}]}"#,
        denial: true,
        accepted: "12.5",
        other_type: "<none>",
        rows: &[
            ("met", "a number within that is not denied", "50", Accepts),
            ("denied", "the number that is denied", "13", Rejects),
            ("close", "a number close by", "13.0000000000001", Accepts),
            ("outside", "a number outside of the range", "51", Rejects),
        ],
    },
    Rule {
        name: "none_of_numbers",
        is: r#"{"all":[{"type":"number"},{"none_of":[1]}]}"#,
        denial: false,
        accepted: "1.5",
        other_type: r#""2""#,
        rows: &[("whole", "another whole number", "2", Accepts), ("denied", "the number that is denied", "1.0", Rejects)],
    },
    Rule {
        name: "array_contains",
        is: r#"{"array_contains":["a",1]}"#,
        denial: true,
        accepted: r#"[1,"a"]"#,
        other_type: r#"{"a":1}"#,
        rows: &[
            ("with_nested", "all values beside arrays and objects", r#"[[],"a",{"x":1},null,1]"#, Accepts),
            ("missed", "one of the values is lacking", r#"["a",2]"#, Rejects),
            ("in_nested", "one of the values stands in an array in the array", r#"["a",[1]]"#, Rejects),
            ("mark", "the text that stands for an array among the facts", r#"["[","a"]"#, Rejects),
            ("empty", "no values", "[]", Rejects),
            ("text", "a text is no array", r#""a1""#, Unread),
        ],
    },
    Rule {
        name: "prefix",
        is: r#"{"prefix":"/reports/"}"#,
        denial: true,
        accepted: r#""/reports/a""#,
        other_type: "5",
        rows: &[
            ("met", "a text that begins so", r#""/reports/2026.csv""#, Accepts),
            ("equal", "the prefix itself", r#""/reports/""#, Accepts),
            ("dots", "a prefix says nothing about dot segments after it: see `subpath`", r#""/reports/../etc/passwd""#, Accepts),
            ("missed", "a text that begins otherwise", r#""/etc/passwd""#, Rejects),
            ("shorter", "the prefix without its last character", r#""/reports""#, Rejects),
            ("inside", "the prefix stands further inside", r#""x/reports/""#, Rejects),
        ],
    },
    Rule {
        name: "suffix",
        is: r#"{"suffix":".csv"}"#,
        denial: true,
        accepted: r#""a.csv""#,
        other_type: "5",
        rows: &[
            ("met", "a text that ends so", r#""2026.csv""#, Accepts),
            ("equal", "the suffix itself", r#"".csv""#, Accepts),
            ("nul", "a suffix says nothing about a NUL before it", r#""a.exe\u0000.csv""#, Accepts),
            ("missed", "a text that ends otherwise", r#""2026.csv.exe""#, Rejects),
            ("other_case", "texts are compared byte by byte", r#""2026.CSV""#, Rejects),
            ("space", "a space after it", r#""2026.csv ""#, Rejects),
        ],
    },
    Rule {
        name: "contains",
        is: r#"{"contains":["a",1]}"#,
        denial: true,
        accepted: r#"[1,"a"]"#,
        other_type: r#""a1""#,
        rows: &[
            ("met", "all values and others", r#"["b",1,null,"a",0.5]"#, Accepts),
            ("repeated", "a value that occurs twice", r#"["a","a",1]"#, Accepts),
            ("missed", "one of the values is lacking", r#"["a",2]"#, Rejects),
            ("empty", "no values", "[]", Rejects),
            ("as_text", "a value in another type", r#"["a","1"]"#, Rejects),
            ("with_array", "a list with an array in it is not read", r#"["a",1,[2]]"#, Unread),
            ("with_object", "a list with an object in it is not read", r#"["a",1,{}]"#, Unread),
            ("object", "an object is no list", r#"{"a":1}"#, Unread),
        ],
    },
    Rule {
        name: "subset",
        is: r#"{"subset":["a","b",1]}"#,
        denial: true,
        accepted: r#"["b"]"#,
        other_type: r#""a""#,
        rows: &[
            ("met", "nothing but values of the list", r#"["b",1]"#, Accepts),
            ("all", "all of them, one twice", r#"[1.0,"a","b","a"]"#, Accepts),
            ("empty", "nothing at all", "[]", Accepts),
            ("missed", "a value that is not listed", r#"["a","c"]"#, Rejects),
            ("as_text", "a value in another type", r#"["1"]"#, Rejects),
            ("null", "null is not listed", "[null]", Rejects),
            ("with_array", "a list with an array in it is not read", r#"[["a"]]"#, Unread),
            ("null_itself", "null is no list", "null", Unread),
        ],
    },
    Rule {
        name: "subset_of_nothing",
        is: r#"{"subset":[]}"#,
        denial: false,
        accepted: "[]",
        other_type: r#""""#,
        rows: &[("missed", "any value is one too many", "[0]", Rejects)],
    },
    Rule {
        name: "count",
        is: r#"{"count":{"min":1,"max":3}}"#,
        denial: true,
        accepted: "[[],[]]",
        other_type: "2",
        rows: &[
            ("least", "the least count", "[null]", Accepts),
            ("most", "the largest count, of any elements", r#"[1,"a",{"b":1}]"#, Accepts),
            ("object", "the members of an object are counted", r#"{"x":1,"y":2}"#, Accepts),
            ("below", "no elements", "[]", Rejects),
            ("above", "one element too many, though it repeats another", "[1,1,1,1]", Rejects),
            ("object_below", "no members", "{}", Rejects),
            ("text", "a text has a length and no count", r#""ab""#, Unread),
        ],
    },
    Rule {
        name: "all",
        is: r#"{"all":[{"prefix":"a"},{"suffix":"z"},{"not":{"exact":"abcz"}}]}"#,
        denial: true,
        accepted: r#""abz""#,
        other_type: "5",
        rows: &[
            ("met", "every rule accepts", r#""az""#, Accepts),
            ("first_missed", "the first rule rejects", r#""bz""#, Rejects),
            ("second_missed", "the second rule rejects", r#""ab""#, Rejects),
            ("third_missed", "the third rule rejects", r#""abcz""#, Rejects),
            ("all_missed", "no rule but the last accepts", r#""""#, Rejects),
            ("in_array", "a text in an array", r#"["az"]"#, Unread),
        ],
    },
    Rule {
        name: "any",
        is: r#"{"any":[{"prefix":"a"},{"suffix":"z"},{"exact":"none"}]}"#,
        denial: true,
        accepted: r#""none""#,
        other_type: "5",
        rows: &[
            ("first", "the first rule accepts", r#""ab""#, Accepts),
            ("second", "the second rule accepts", r#""bz""#, Accepts),
            ("third", "the third rule accepts", r#""none""#, Accepts),
            ("missed", "no rule accepts", r#""bb""#, Rejects),
            ("empty", "no rule accepts the empty text", r#""""#, Rejects),
            ("null", "null is no text", "null", Unread),
        ],
    },
    Rule {
        name: "any_types",
        is: r#"{"any":[{"exact":"auto"},{"range":{"min":1,"max":9}},{"exact":null}]}"#,
        denial: false,
        accepted: "9",
        other_type: "true",
        rows: &[
            ("text", "the rule for texts accepts", r#""auto""#, Accepts),
            ("integer", "the rule for integers accepts", "1", Accepts),
            ("null", "the rule for null accepts", "null", Accepts),
            ("text_missed", "the rule for texts rejects", r#""5""#, Rejects),
            ("integer_missed", "the rule for integers rejects", "10", Rejects),
        ],
    },
    Rule {
        name: "mixed",
        is: r#"{"all":[{"any":[{"prefix":"a"},{"prefix":"b"}]},{"not":{"any":[{"suffix":"y"},{"glob":"*q*"}]}}]}"#,
        denial: true,
        accepted: r#""bx""#,
        other_type: "5",
        rows: &[
            ("met", "one of the first and none of the second", r#""a""#, Accepts),
            ("first_missed", "none of the first", r#""c""#, Rejects),
            ("second_missed", "one of the second", r#""ay""#, Rejects),
            ("third_missed", "the other of the second", r#""aqa""#, Rejects),
            ("double_not", "neither of the first, both of the second", r#""qy""#, Rejects),
        ],
    },
    Rule {
        name: "all_with_unread",
        is: r#"{"all":[{"prefix":"/"},{"not":{"subpath":"/etc"}}]}"#,
        denial: false,
        accepted: r#""/srv""#,
        other_type: "5",
        rows: &[
            ("met", "both rules can read it and hold", r#""/srv/a""#, Accepts),
            ("missed", "the denied rule accepts", r#""/etc/passwd""#, Rejects),
            ("unread", "the denied rule can't read it", r#""/srv/../etc/passwd""#, Unread),
        ],
    },
    Rule {
        name: "type_text",
        is: r#"{"type":"text"}"#,
        denial: false,
        accepted: r#""""#,
        other_type: "5",
        rows: &[("flag", "a flag is no text", "true", Unread), ("list", "a list of texts is no text", r#"["a"]"#, Unread)],
    },
    Rule {
        name: "type_integer",
        is: r#"{"type":"integer"}"#,
        denial: false,
        accepted: "2.0",
        other_type: r#""2""#,
        rows: &[("decimal", "a number with a fraction is no integer", "2.5", Unread), ("null", "null is no integer", "null", Unread)],
    },
    Rule {
        name: "type_number",
        is: r#"{"type":"number"}"#,
        denial: false,
        accepted: "2.5",
        other_type: r#""2.5""#,
        rows: &[("whole", "a whole number is a number", "2", Accepts), ("flag", "a flag is no number", "false", Unread)],
    },
    Rule {
        name: "type_flag",
        is: r#"{"type":"flag"}"#,
        denial: false,
        accepted: "false",
        other_type: "0",
        rows: &[("true", "the other flag", "true", Accepts), ("text", "a text is no flag", r#""true""#, Unread)],
    },
    Rule {
        name: "type_null",
        is: r#"{"type":"null"}"#,
        denial: false,
        accepted: "null",
        other_type: "false",
        rows: &[("empty", "an empty list is not null", "[]", Unread), ("zero", "zero is not null", "0", Unread)],
    },
    Rule {
        name: "type_list",
        is: r#"{"type":"list"}"#,
        denial: false,
        accepted: "[]",
        other_type: "{}",
        rows: &[
            ("mixed", "plain values of all types", r#"[null,1,2.5,"a",true]"#, Accepts),
            ("with_array", "a list with an array in it is no list of plain values", "[[]]", Unread),
        ],
    },
    Rule {
        name: "type_array",
        is: r#"{"type":"array"}"#,
        denial: false,
        accepted: "[[],{}]",
        other_type: "{}",
        rows: &[("plain", "an array of plain values", "[1]", Accepts), ("text", "the text of an array", r#""[]""#, Unread)],
    },
    Rule {
        name: "type_any",
        is: r#"{"type":"any"}"#,
        denial: false,
        accepted: "null",
        other_type: "<none>",
        rows: &[
            ("flag", "false is a value", "false", Accepts),
            ("empty", "the empty text is a value", r#""""#, Accepts),
            ("object", "an object is a value", "{}", Accepts),
        ],
    },
    Rule {
        name: "type_object",
        is: r#"{"type":"object"}"#,
        denial: false,
        accepted: r#"{"x":{"y":[]}}"#,
        other_type: "[]",
        rows: &[("empty", "an object without members", "{}", Accepts), ("null", "null is no object", "null", Unread)],
    },
];
