//! Decisions at the most steps that one may take, and one step above, for each piece of work that is counted.

use super::{CallText, Cases, StateText, call};
use crate::tokens::{PLANNER, plain, sample};

pub(super) fn cases(cases: &mut Cases) {
    around_the_bound(cases);
    for (name, about, steps, caveat, value, state) in COUNTED {
        let filler = Filler::of(MAX_STEPS - AUTHORITY_STEPS - steps);
        let at_bound = plain(&sample(), &format!("[{caveat},{}]", filler.caveats()));
        let above = plain(&at_bound, r#"[{"kind":"depth","max":8}]"#);
        let state: StateText = serde_json::from_str(state).expect("a state");
        let state = (state != StateText::default()).then_some(state);
        let asked = CallText { state, ..call("crm.read", &format!(r#"{{"b":{value},"f":[{}]}}"#, numbers(filler.elements))) };
        cases.permitted(&format!("cost_{name}_at_bound"), about, &at_bound, &PLANNER, asked.clone());
        let about = format!("{about}, and one step more");
        cases.denied(&format!("cost_{name}_above_bound"), &about, &above, &PLANNER, asked, ("COST_BOUND", None));
    }
}

/// 100,000 steps and no more: 4 for the authority's caveats, 11 to each argument, 1 for each clause, and in the list of 999
/// elements 999 to see that they are plain and 99 × 999 to find 99 of them.
fn around_the_bound(cases: &mut Cases) {
    let caveat = |path: &str, rule: &str| format!(r#"{{"kind":"arg","tool":"crm.read","path":"{path}","is":{rule}}}"#);
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

/// Caveats that take up so many steps: one that looks for values in a list, and others of one step each.
struct Filler {
    wanted: usize,
    elements: usize,
    single_steps: usize,
}

impl Filler {
    fn of(steps: usize) -> Self {
        let list = steps - CONTAINS_STEPS;
        let fitting = (110..200).find(|each| list % each <= 14).expect("a number of values that nearly fits");
        Self { wanted: fitting - 1, elements: list / fitting, single_steps: list % fitting }
    }

    fn caveats(&self) -> String {
        let contains = format!(r#"{{"kind":"arg","tool":"crm.read","path":"/f","is":{{"contains":[{}]}}}}"#, numbers(self.wanted));
        [contains].into_iter().chain((0..self.single_steps).map(|_| r#"{"kind":"depth","max":8}"#.to_owned())).collect::<Vec<_>>().join(",")
    }
}

fn numbers(count: usize) -> String {
    (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",")
}

const MAX_STEPS: usize = 100_000;
/// One for each of the sample authority's caveats.
const AUTHORITY_STEPS: usize = 4;
/// One for the caveat, ten for the pointer and one for the clause; then come the elements, and values times elements.
const CONTAINS_STEPS: usize = 12;

/// Name, what is counted, the steps, the caveat, the value of the argument `b`, and the state.
type Counted = (&'static str, &'static str, usize, &'static str, &'static str, &'static str);
const COUNTED: &[Counted] = &[
    (
        "pointer",
        "ten steps for each token of a pointer",
        1 + 30 + 1,
        r#"{"kind":"arg","tool":"crm.read","path":"/b/0/c","is":{"type":"integer"}}"#,
        r#"[{"c":1}]"#,
        "{}",
    ),
    (
        "listed_values",
        "a step for each listed value",
        1 + 10 + 1 + 5,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"one_of":["a","b","c","d","e"]}}"#,
        r#""a""#,
        "{}",
    ),
    (
        "clauses",
        "a step for each clause until one accepts, also for one of another kind",
        1 + 10 + 3,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"any":[{"prefix":"x"},{"range":{}},{"suffix":"b"},{"suffix":"c"}]}}"#,
        r#""b""#,
        "{}",
    ),
    (
        "first_clause",
        "no step for what stands after the clause that accepts",
        1 + 10 + 1 + 1,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"any":[{"exact":"b"},{"one_of":["c","d","e"]}]}}"#,
        r#""b""#,
        "{}",
    ),
    (
        "rules",
        "the steps of each rule until one does not hold",
        1 + 10 + (1 + 2) + (1 + 2 + 3),
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"any":[{"all":[{"one_of":["x","y"]},{"not_one_of":["z"]}]},{"all":[{"one_of":["a","b"]},{"not_one_of":["c","d","e"]}]}]}}"#,
        r#""b""#,
        "{}",
    ),
    (
        "list",
        "a step for each element of a list",
        1 + 10 + 1 + 7,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"type":"list"}}"#,
        "[1,2,3,4,5,6,7]",
        "{}",
    ),
    (
        "subset",
        "values times elements",
        1 + 10 + 1 + 7 + 3 * 7,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"subset":[1,2,3]}}"#,
        "[1,2,3,3,2,1,1]",
        "{}",
    ),
    (
        "count",
        "no step for elements that are counted",
        1 + 10 + 1,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"count":{"max":7}}}"#,
        "[1,2,3,4,5,6,7]",
        "{}",
    ),
    (
        "text_rule",
        "16 steps and a quarter of the text's 43 bytes, rounded down",
        1 + 10 + 1 + 16 + 10,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"not":{"glob":"*z*"}}}"#,
        r#""ééééééééééééééééééééabc""#,
        "{}",
    ),
    (
        "number_rule",
        "16 steps for a number, whatever its length",
        1 + 10 + 1 + 16,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"decimal":{"min":"0"}}}"#,
        "123456789.012345",
        "{}",
    ),
    (
        "whole_number_rule",
        "16 steps for a whole number",
        1 + 10 + 1 + 16,
        r#"{"kind":"arg","tool":"crm.read","path":"/b","is":{"decimal":{"min":"0"}}}"#,
        "123456789012345",
        "{}",
    ),
    (
        "closed_args",
        "ten steps for each member of an object",
        1 + 10 + 30,
        r#"{"kind":"closed_args","tool":"crm.read","at":"/b","names":["x","y","z","w"]}"#,
        r#"{"x":1,"y":{"q":2},"z":3}"#,
        "{}",
    ),
    (
        "other_tool",
        "one step for a caveat of another tool",
        1,
        r#"{"kind":"arg","tool":"crm.write","path":"/b/c","is":{"exact":1}}"#,
        "0",
        "{}",
    ),
    (
        "time_window",
        "one step for a time window",
        1,
        r#"{"kind":"time_window","window":{"days":["sat"],"from":"00:00","to":"24:00","utc_offset":"+00:00"}}"#,
        "0",
        "{}",
    ),
    (
        "budget",
        "one step for a budget",
        1,
        r#"{"kind":"budget","name":"n","unit":"EUR","max":"9","cost":{"path":"/b"}}"#,
        "0",
        r#"{"spend":{"n":"0"}}"#,
    ),
    (
        "requires_prior",
        "ten steps for each action that is listed",
        1 + 20,
        r#"{"kind":"requires_prior","actions":["ask","read"]}"#,
        "0",
        r#"{"history":["ask","pay","read"]}"#,
    ),
    (
        "forbids_prior",
        "ten steps for each action that is listed",
        1 + 20,
        r#"{"kind":"forbids_prior","actions":["browse","upload"]}"#,
        "0",
        r#"{"history":["ask","pay","read"]}"#,
    ),
    (
        "labels",
        "ten steps for each label that is listed or was touched",
        1 + 50,
        r#"{"kind":"labels","none_of":["personal","secret"]}"#,
        "0",
        r#"{"labels":["a","b","c"]}"#,
    ),
    (
        "directive",
        "ten steps for each directive that is carried out",
        1 + 20,
        r#"{"kind":"sandbox","level":"strict"}"#,
        "0",
        r#"{"enforced":[{"plane":"network","values":["a"]},{"plane":"sandbox","values":["strict"]}]}"#,
    ),
];
