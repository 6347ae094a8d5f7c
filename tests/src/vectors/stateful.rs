//! Calls against caveats that need more than the call says: with the state missing, below the limit, at it and above.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CallText, Cases, call};
use crate::tokens::{AUTHORITY_CAVEATS, EXECUTOR, PLANNER, caveats, claims, hop, mint, plain, sample};

/// What the verifier knows beside a call. What is left out it does not know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StateText {
    /// Calls permitted so far, by the names of counters and single uses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub calls: BTreeMap<String, u32>,
    /// What will have been spent when this call is done, by the names of budgets: plain decimals.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub spend: BTreeMap<String, String>,
    /// Every action done in the task so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<BTreeSet<String>>,
    /// Every label that the session has touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeSet<String>>,
    /// How many of the named people have approved this very call, by the names of approvals.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<String, u32>,
    /// The directives that are carried out for this call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enforced: Vec<DirectiveText>,
}

/// A directive that a plane carries out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectiveText {
    /// `network`, `sandbox` or `redact`.
    pub plane: String,
    /// What the caveat lists.
    pub values: BTreeSet<String>,
}

/// A caveat and the states that it is shown.
struct Kind {
    name: &'static str,
    /// Its JSON.
    caveat: &'static str,
    /// Name, what it shows, the state and the reason of the denial; none when the call is permitted.
    rows: &'static [(&'static str, &'static str, &'static str, Option<&'static str>)],
}

pub(super) fn cases(cases: &mut Cases) {
    for Kind { name, caveat, rows } in KINDS {
        let token = plain(&sample(), &format!("[{caveat}]"));
        for (case, about, state, denial) in *rows {
            let (name, call) = (format!("{name}_{case}"), known(state));
            match denial {
                None => cases.permitted(&name, about, &token, &PLANNER, call),
                Some(reason) => cases.denied(&name, about, &token, &PLANNER, call, (reason, Some(1))),
            }
        }
    }
    of_one_tool(cases);
    over_blocks(cases);
    names(cases);
}

/// One count must not answer for two caveats, so no name stands twice.
fn names(cases: &mut Cases) {
    let (calls, uses) = (r#"{"kind":"calls","name":"n","max":1}"#, r#"{"kind":"single_use","tool":"crm.read","name":"n"}"#);
    let first = plain(&sample(), &format!("[{calls}]"));
    let mut refuse = |name: &str, about: &str, token: Vec<u8>, block| {
        cases.refused(&format!("state_name_{name}"), about, &token, "STATE_NAME_REPEATED", Some(block));
    };
    refuse("twice_in_block", "two counters of one name in a block", plain(&sample(), &format!("[{calls},{uses}]")), 1);
    refuse("twice_in_token", "a counter of a name that the block before has", plain(&first, &format!("[{calls}]")), 2);
    refuse("of_two_kinds", "a counter and a use of one name", plain(&first, &format!("[{uses}]")), 2);
    refuse("twice_in_hop", "a hop with a name that the block before has", hop(&first, &PLANNER, &EXECUTOR, &format!("[{uses}]")), 2);
    let authority = format!("{},{calls},{uses}]", AUTHORITY_CAVEATS.trim_end_matches(']'));
    refuse("twice_in_authority", "two counters of one name in block 0", mint(&claims(caveats(&authority))), 0);
    let other = plain(&first, r#"[{"kind":"calls","name":"N","max":1}]"#);
    cases.verified("state_name_other_case", "names are compared byte by byte", &other, &PLANNER);
}

/// A caveat of one tool asks nothing of another tool's calls.
fn of_one_tool(cases: &mut Cases) {
    for (name, caveat, denial) in OF_ONE_TOOL {
        let token = plain(&sample(), &format!("[{caveat}]"));
        let other = CallText { tool: "crm.write".to_owned(), ..known("{}") };
        let about = "a call of another tool than the caveat's needs no state";
        cases.permitted(&format!("{name}_of_other_tool"), about, &token, &PLANNER, other);
        let about = "a call of the caveat's tool does";
        cases.denied(&format!("{name}_of_this_tool"), about, &token, &PLANNER, known("{}"), (denial, Some(1)));
    }
}

fn over_blocks(cases: &mut Cases) {
    let wide = hop(&sample(), &PLANNER, &EXECUTOR, r#"[{"kind":"calls","name":"planner","max":9}]"#);
    let token = plain(&wide, r#"[{"kind":"calls","name":"executor","max":2},{"kind":"labels","none_of":["secret"]}]"#);
    for (case, about, state, denial) in OVER_BLOCKS {
        let name = format!("state_over_blocks_{case}");
        match denial {
            None => cases.permitted(&name, about, &token, &EXECUTOR, known(state)),
            Some((reason, block)) => cases.denied(&name, about, &token, &EXECUTOR, known(state), (reason, Some(block))),
        }
    }
}

fn known(state: &str) -> CallText {
    let state: StateText = serde_json::from_str(state).expect("a state");
    CallText { state: (state != StateText::default()).then_some(state), ..call("crm.read", r#"{"amount":12.5}"#) }
}

/// Name, what it shows, the state, and the reason and block of the denial.
type OverBlocks = (&'static str, &'static str, &'static str, Option<(&'static str, usize)>);
const OVER_BLOCKS: [OverBlocks; 5] = [
    ("both", "each block's counter is looked at", r#"{"calls":{"planner":8,"executor":1},"labels":[]}"#, None),
    (
        "first",
        "the counter of the block before is used up",
        r#"{"calls":{"planner":9,"executor":0},"labels":[]}"#,
        Some(("CALLS_EXCEEDED", 1)),
    ),
    ("second", "the own counter is used up", r#"{"calls":{"planner":2,"executor":2},"labels":[]}"#, Some(("CALLS_EXCEEDED", 2))),
    ("half_known", "one of the counters is not known", r#"{"calls":{"executor":0},"labels":[]}"#, Some(("NEEDS_COUNTER", 1))),
    (
        "other_unknown",
        "the counters are known and the labels are not",
        r#"{"calls":{"planner":0,"executor":0}}"#,
        Some(("NEEDS_LABELS", 2)),
    ),
];

const OF_ONE_TOOL: [(&str, &str, &str); 11] = [
    ("calls", r#"{"kind":"calls","tool":"crm.read","name":"n","max":1}"#, "NEEDS_COUNTER"),
    ("rate", r#"{"kind":"calls","tool":"crm.read","name":"n","max":1,"per_seconds":60}"#, "NEEDS_COUNTER"),
    ("single_use", r#"{"kind":"single_use","tool":"crm.read","name":"n"}"#, "NEEDS_COUNTER"),
    ("budget", r#"{"kind":"budget","tool":"crm.read","name":"n","unit":"EUR","max":"9","cost":{"path":"/amount"}}"#, "NEEDS_SPEND"),
    ("requires_prior", r#"{"kind":"requires_prior","tool":"crm.read","actions":["ask"]}"#, "NEEDS_HISTORY"),
    ("forbids_prior", r#"{"kind":"forbids_prior","tool":"crm.read","actions":["ask"]}"#, "NEEDS_HISTORY"),
    ("labels", r#"{"kind":"labels","tool":"crm.read","none_of":["secret"]}"#, "NEEDS_LABELS"),
    ("approval", r#"{"kind":"approval","tool":"crm.read","name":"n","count":1,"of":["ana"]}"#, "NEEDS_APPROVALS"),
    ("network", r#"{"kind":"network","tool":"crm.read","hosts":["api.example.com"]}"#, "NEEDS_PLANE"),
    ("sandbox", r#"{"kind":"sandbox","tool":"crm.read","level":"strict"}"#, "NEEDS_PLANE"),
    ("redact", r#"{"kind":"redact","tool":"crm.read","paths":["/iban"]}"#, "NEEDS_PLANE"),
];

const KINDS: &[Kind] = &[
    Kind {
        name: "calls",
        caveat: r#"{"kind":"calls","name":"reads","max":3}"#,
        rows: &[
            ("unknown", "nobody has counted", "{}", Some("NEEDS_COUNTER")),
            ("other_counter", "another counter was counted", r#"{"calls":{"writes":0}}"#, Some("NEEDS_COUNTER")),
            ("none", "no call yet", r#"{"calls":{"reads":0}}"#, None),
            ("below", "one call is left", r#"{"calls":{"reads":2}}"#, None),
            ("at", "no call is left", r#"{"calls":{"reads":3}}"#, Some("CALLS_EXCEEDED")),
            ("above", "more calls than there should be", r#"{"calls":{"reads":4294967295}}"#, Some("CALLS_EXCEEDED")),
        ],
    },
    Kind {
        name: "rate",
        caveat: r#"{"kind":"calls","name":"reads","max":3,"per_seconds":60}"#,
        rows: &[
            ("unknown", "nobody has counted", "{}", Some("NEEDS_COUNTER")),
            ("other_counter", "another counter was counted", r#"{"calls":{"writes":0}}"#, Some("NEEDS_COUNTER")),
            ("none", "no call in the time", r#"{"calls":{"reads":0}}"#, None),
            ("below", "one call is left", r#"{"calls":{"reads":2}}"#, None),
            ("at", "no call is left", r#"{"calls":{"reads":3}}"#, Some("RATE_EXCEEDED")),
            ("above", "more calls than there should be", r#"{"calls":{"reads":7}}"#, Some("RATE_EXCEEDED")),
        ],
    },
    Kind {
        name: "single_use",
        caveat: r#"{"kind":"single_use","name":"once"}"#,
        rows: &[
            ("unknown", "nobody knows of uses", "{}", Some("NEEDS_COUNTER")),
            ("other_name", "another use is known", r#"{"calls":{"twice":0}}"#, Some("NEEDS_COUNTER")),
            ("unused", "not used yet", r#"{"calls":{"once":0}}"#, None),
            ("beside_others", "not used yet, while others were", r#"{"calls":{"once":0,"twice":1}}"#, None),
            ("used", "used", r#"{"calls":{"once":1}}"#, Some("ALREADY_USED")),
            ("used_again", "used more than once", r#"{"calls":{"once":2}}"#, Some("ALREADY_USED")),
        ],
    },
    Kind {
        name: "budget",
        caveat: r#"{"kind":"budget","name":"trip","unit":"EUR","max":"100.00","cost":{"path":"/amount"}}"#,
        rows: &[
            ("unknown", "nobody keeps accounts", "{}", Some("NEEDS_SPEND")),
            ("other_budget", "another budget's account is known", r#"{"spend":{"food":"12.5"}}"#, Some("NEEDS_SPEND")),
            ("below", "a cent is left", r#"{"spend":{"trip":"99.99"}}"#, None),
            ("at", "nothing is left", r#"{"spend":{"trip":"100"}}"#, None),
            ("at_with_zeros", "the same sum with zeros", r#"{"spend":{"trip":"100.000"}}"#, None),
            ("above", "a cent too much", r#"{"spend":{"trip":"100.01"}}"#, Some("BUDGET_EXCEEDED")),
            (
                "just_above",
                "too little too much for a float",
                r#"{"spend":{"trip":"100.0000000000000000000001"}}"#,
                Some("BUDGET_EXCEEDED"),
            ),
            ("unreadable", "a sum that is no plain decimal", r#"{"spend":{"trip":"1e1"}}"#, Some("BUDGET_EXCEEDED")),
            ("empty", "a sum that is no decimal at all", r#"{"spend":{"trip":""}}"#, Some("BUDGET_EXCEEDED")),
        ],
    },
    Kind {
        name: "budget_each",
        caveat: r#"{"kind":"budget","name":"queries","unit":"query","max":"10","cost":{"each":"2.5"}}"#,
        rows: &[
            ("unknown", "nobody keeps accounts", "{}", Some("NEEDS_SPEND")),
            ("at", "the last call that fits", r#"{"spend":{"queries":"10.0"}}"#, None),
            ("above", "one call more", r#"{"spend":{"queries":"12.5"}}"#, Some("BUDGET_EXCEEDED")),
        ],
    },
    Kind {
        name: "requires_prior",
        caveat: r#"{"kind":"requires_prior","actions":["ask","read"]}"#,
        rows: &[
            ("unknown", "nobody knows the history", "{}", Some("NEEDS_HISTORY")),
            ("met", "both were done", r#"{"history":["ask","read"]}"#, None),
            ("more", "both and others were done", r#"{"history":["ask","pay","read"]}"#, None),
            ("one", "one of them was done", r#"{"history":["read"]}"#, Some("PRIOR_ACTION_MISSING")),
            ("none", "nothing was done", r#"{"history":[]}"#, Some("PRIOR_ACTION_MISSING")),
            ("other_case", "names are compared byte by byte", r#"{"history":["Ask","read"]}"#, Some("PRIOR_ACTION_MISSING")),
        ],
    },
    Kind {
        name: "forbids_prior",
        caveat: r#"{"kind":"forbids_prior","actions":["browse","upload"]}"#,
        rows: &[
            ("unknown", "nobody knows the history, and what is not known is not absent", "{}", Some("NEEDS_HISTORY")),
            ("met", "nothing was done", r#"{"history":[]}"#, None),
            ("others", "other things were done", r#"{"history":["read","write"]}"#, None),
            ("one", "one of them was done", r#"{"history":["read","upload"]}"#, Some("PRIOR_ACTION_FORBIDS")),
            ("both", "both were done", r#"{"history":["browse","upload"]}"#, Some("PRIOR_ACTION_FORBIDS")),
            ("longer", "an action whose name begins so", r#"{"history":["browser"]}"#, None),
        ],
    },
    Kind {
        name: "labels_none_of",
        caveat: r#"{"kind":"labels","none_of":["secret","personal"]}"#,
        rows: &[
            ("unknown", "nobody knows the labels", "{}", Some("NEEDS_LABELS")),
            ("history_alone", "the history is known and the labels are not", r#"{"history":[]}"#, Some("NEEDS_LABELS")),
            ("none", "nothing labelled was touched", r#"{"labels":[]}"#, None),
            ("others", "other labels were touched", r#"{"labels":["public","team"]}"#, None),
            ("one", "one of them was touched", r#"{"labels":["personal","public"]}"#, Some("LABEL_REFUSED")),
            ("both", "both were touched", r#"{"labels":["personal","secret"]}"#, Some("LABEL_REFUSED")),
        ],
    },
    Kind {
        name: "labels_within",
        caveat: r#"{"kind":"labels","within":["public","team"]}"#,
        rows: &[
            ("unknown", "nobody knows the labels", "{}", Some("NEEDS_LABELS")),
            ("none", "nothing labelled was touched", r#"{"labels":[]}"#, None),
            ("one", "one of them was touched", r#"{"labels":["team"]}"#, None),
            ("all", "all of them were touched", r#"{"labels":["public","team"]}"#, None),
            ("other", "another was touched", r#"{"labels":["secret"]}"#, Some("LABEL_REFUSED")),
            ("one_and_other", "one of them and another", r#"{"labels":["public","secret"]}"#, Some("LABEL_REFUSED")),
        ],
    },
    Kind {
        name: "labels_within_none",
        caveat: r#"{"kind":"labels","within":[]}"#,
        rows: &[
            ("none", "nothing labelled was touched", r#"{"labels":[]}"#, None),
            ("any", "any label is one too many", r#"{"labels":["public"]}"#, Some("LABEL_REFUSED")),
        ],
    },
    Kind {
        name: "approval",
        caveat: r#"{"kind":"approval","name":"go","count":2,"of":["ana","bo","cy"]}"#,
        rows: &[
            ("unknown", "nobody collects approvals", "{}", Some("NEEDS_APPROVALS")),
            ("other_name", "another approval is known", r#"{"approvals":{"stop":3}}"#, Some("NEEDS_APPROVALS")),
            ("none", "nobody has approved", r#"{"approvals":{"go":0}}"#, Some("APPROVAL_MISSING")),
            ("below", "one person is lacking", r#"{"approvals":{"go":1}}"#, Some("APPROVAL_MISSING")),
            ("at", "as many as are needed", r#"{"approvals":{"go":2}}"#, None),
            ("above", "all have approved", r#"{"approvals":{"go":3}}"#, None),
        ],
    },
    Kind {
        name: "network",
        caveat: r#"{"kind":"network","hosts":["a.example.com","b.example.com"]}"#,
        rows: &[
            ("unknown", "no plane carries it out", "{}", Some("NEEDS_PLANE")),
            (
                "met",
                "the plane holds the network to these hosts",
                r#"{"enforced":[{"plane":"network","values":["a.example.com","b.example.com"]}]}"#,
                None,
            ),
            (
                "beside_others",
                "and to others for another caveat",
                r#"{"enforced":[{"plane":"network","values":["c.example.com"]},{"plane":"network","values":["b.example.com","a.example.com"]}]}"#,
                None,
            ),
            (
                "fewer",
                "a directive is carried out as it stands: fewer hosts are another one",
                r#"{"enforced":[{"plane":"network","values":["a.example.com"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
            (
                "more",
                "more hosts",
                r#"{"enforced":[{"plane":"network","values":["a.example.com","b.example.com","c.example.com"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
            (
                "other_plane",
                "another plane with the same words",
                r#"{"enforced":[{"plane":"redact","values":["a.example.com","b.example.com"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
        ],
    },
    Kind {
        name: "sandbox",
        caveat: r#"{"kind":"sandbox","level":"strict"}"#,
        rows: &[
            ("unknown", "no plane carries it out", "{}", Some("NEEDS_PLANE")),
            ("met", "the tool runs at this level", r#"{"enforced":[{"plane":"sandbox","values":["strict"]}]}"#, None),
            (
                "other_level",
                "the tool runs at another level",
                r#"{"enforced":[{"plane":"sandbox","values":["loose"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
            (
                "two_levels",
                "a directive of two levels is none",
                r#"{"enforced":[{"plane":"sandbox","values":["loose","strict"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
            ("no_level", "a directive of no level is none", r#"{"enforced":[{"plane":"sandbox","values":[]}]}"#, Some("NEEDS_PLANE")),
            (
                "other_plane",
                "another plane with the same word",
                r#"{"enforced":[{"plane":"network","values":["strict"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
        ],
    },
    Kind {
        name: "redact",
        caveat: r#"{"kind":"redact","paths":["/iban","/owner/name"]}"#,
        rows: &[
            ("unknown", "no plane carries it out", "{}", Some("NEEDS_PLANE")),
            ("met", "both are redacted", r#"{"enforced":[{"plane":"redact","values":["/iban","/owner/name"]}]}"#, None),
            ("one", "one of them is redacted", r#"{"enforced":[{"plane":"redact","values":["/iban"]}]}"#, Some("NEEDS_PLANE")),
            (
                "above",
                "the whole owner is redacted, which is another directive",
                r#"{"enforced":[{"plane":"redact","values":["/iban","/owner"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
            (
                "two_halves",
                "two directives that together do the same",
                r#"{"enforced":[{"plane":"redact","values":["/iban"]},{"plane":"redact","values":["/owner/name"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
            (
                "other_plane",
                "another plane with the same words",
                r#"{"enforced":[{"plane":"network","values":["/iban","/owner/name"]}]}"#,
                Some("NEEDS_PLANE"),
            ),
        ],
    },
];
