//! Random caveats, calls and trees of tokens, from small alphabets so that they meet each other.

use std::collections::{BTreeMap, BTreeSet};

use narrows_tests::tokens::{self, Party};
use narrows_verifier::{
    Call, Caveat, Refusal, State, UnverifiedToken, VerifiedToken,
    biscuit::{append_hop, append_plain},
    caveat::{Plane, Tools},
    json::{Key, Limits, Value, parse},
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::json;

/// A call that owns its parts.
#[derive(Clone, Debug)]
pub(super) struct OwnedCall {
    pub(super) tool: String,
    pub(super) arguments: Value,
    pub(super) audience: String,
    pub(super) time: u64,
    /// What the verifier knows beside the call.
    pub(super) state: State,
}

impl OwnedCall {
    pub(super) fn borrow(&self) -> Call<'_> {
        Call { tool: &self.tool, arguments: &self.arguments, audience: &self.audience, time: self.time }
    }
}

/// A block to append.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Hop(Vec<Caveat>),
    Plain(Vec<Caveat>),
}

/// A token and those made from it: each step says from which earlier token it goes on.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    pub(super) authority: Vec<Caveat>,
    pub(super) steps: Vec<(Index, Step)>,
}

/// A token of a tree.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) parent: Option<usize>,
    pub(super) bytes: Vec<u8>,
    /// The newest holder, for whom the next hop is signed.
    pub(super) holder: Party,
}

impl Tree {
    /// Every token of the tree that can be built, the root first. Not all of them verify.
    pub(super) fn nodes(&self) -> Vec<Node> {
        let bytes = tokens::mint(&tokens::claims(self.authority.clone()));
        let mut nodes = vec![Node { parent: None, bytes, holder: tokens::PLANNER }];
        for (number, (from, step)) in (20_u8..).zip(&self.steps) {
            let parent = from.index(nodes.len());
            let Node { bytes, holder, .. } = &nodes[parent];
            let next = tokens::next_seed(tokens::decode(bytes).blocks.len() + 1);
            let (made, holder) = match step {
                Step::Hop(caveats) => {
                    let to = Party { name: "helper", seed: [number; 32] };
                    (append_hop(bytes, &holder.seed, &to.claims(caveats.clone()), &next), to)
                }
                Step::Plain(caveats) => (append_plain(bytes, caveats, &next), *holder),
            };
            if let Ok(bytes) = made {
                nodes.push(Node { parent: Some(parent), bytes, holder });
            }
        }
        nodes
    }
}

/// Verifies under the sample roots.
pub(super) fn verify(bytes: &[u8]) -> Result<VerifiedToken, Refusal> {
    UnverifiedToken::from_bytes(bytes)?.verify(&tokens::roots())
}

pub(super) fn tree() -> impl Strategy<Value = Tree> {
    let step = prop_oneof![vec(caveat(), 0..3).prop_map(Step::Hop), vec(caveat(), 0..3).prop_map(Step::Plain)];
    (authority(), vec((any::<Index>(), step), 1..6)).prop_map(|(authority, steps)| Tree { authority, steps })
}

/// The four caveats that an authority block must hold, and others, in any order.
fn authority() -> impl Strategy<Value = Vec<Caveat>> {
    (tools(), audience(), 95_u64..112, 1_u32..6, vec(caveat_of_call(), 0..3))
        .prop_map(|(tools, audience, expires, depth, others)| {
            [vec![tools, audience, Caveat::Expires(expires), Caveat::Depth(depth)], others].concat()
        })
        .prop_shuffle()
}

pub(super) fn caveat() -> impl Strategy<Value = Caveat> {
    prop_oneof![
        8 => caveat_of_call(),
        4 => stateful(),
        1 => audience(),
        1 => (85_u64..112).prop_map(Caveat::Expires),
        1 => (85_u64..112).prop_map(Caveat::NotBefore),
        1 => (0_u32..6).prop_map(Caveat::Depth),
    ]
}

/// A caveat that an authority block may hold any number of times.
fn caveat_of_call() -> impl Strategy<Value = Caveat> {
    let argument = (tool(), path(), matcher()).prop_filter_map("matchers that can't hold are refused", |(tool, path, is)| {
        read(json!({"kind": "arg", "tool": tool, "path": path, "is": is}))
    });
    let names = subset(&["x", "y", "o", "l"], 0..4);
    let closed = (tool(), prop::sample::select(vec!["", "/o"]), names)
        .prop_map(|(tool, at, names)| read(json!({"kind": "closed_args", "tool": tool, "at": at, "names": names})).unwrap());
    let window = (
        subset(&["thu", "fri"], 1..3),
        prop::sample::select(vec!["00:00", "00:01", "23:59"]),
        prop::sample::select(vec!["00:02", "24:00", "12:00"]),
    )
        .prop_filter_map("days stand in the order of the week", |(days, from, to)| {
            let days: Vec<_> = ["thu", "fri"].into_iter().filter(|day| days.iter().any(|other| other == day)).collect();
            read(json!({"kind": "time_window", "window": {"days": days, "from": from, "to": to, "utc_offset": "+00:00"}}))
        });
    prop_oneof![2 => tools(), 1 => not_tools(), 8 => argument, 2 => closed, 1 => window]
}

/// Caveats that ask for more than the call says.
fn stateful() -> impl Strategy<Value = Caveat> {
    let name = || prop::sample::select(vec!["n1", "n2", "n3", "n4", "n5"]);
    let actions = || subset(&["read", "ask", "pay"], 1..3);
    let value = prop_oneof![
        (name(), 1..4).prop_map(|(name, max)| json!({"kind": "calls", "name": name, "max": max})),
        (name(), 1..4).prop_map(|(name, max)| json!({"kind": "calls", "name": name, "max": max, "per_seconds": 60})),
        name().prop_map(|name| json!({"kind": "single_use", "name": name})),
        (name(), decimal())
            .prop_map(|(name, max)| json!({"kind": "budget", "name": name, "unit": "EUR", "max": max, "cost": {"path": "/x"}})),
        (prop::sample::select(vec!["requires_prior", "forbids_prior"]), actions())
            .prop_map(|(kind, actions)| json!({"kind": kind, "actions": actions})),
        actions().prop_map(|labels| json!({"kind": "labels", "none_of": labels})),
        subset(&["read", "ask", "pay"], 0..3).prop_map(|labels| json!({"kind": "labels", "within": labels})),
        (name(), 1..3).prop_map(|(name, count)| json!({"kind": "approval", "name": name, "count": count, "of": ["k1", "k2"]})),
        subset(&["h1", "h2"], 1..3).prop_map(|hosts| json!({"kind": "network", "hosts": hosts})),
        Just(json!({"kind": "sandbox", "level": "strict"})),
    ];
    (value, prop::option::of(tool())).prop_map(|(mut value, tool)| {
        value.as_object_mut().unwrap().extend(tool.map(|tool| ("tool".to_owned(), tool.into())));
        read(value).unwrap()
    })
}

/// What the verifier may know beside the call; each part may be missing.
pub(super) fn state() -> impl Strategy<Value = State> {
    let names = || prop::sample::select(vec!["n1", "n2", "n3", "n4", "n5"]).prop_map(str::to_owned);
    let texts =
        || prop::option::of(prop::collection::btree_set(prop::sample::select(vec!["read", "ask", "pay"]).prop_map(str::to_owned), 0..3));
    let hosts = prop::collection::btree_set(prop::sample::select(vec!["h1", "h2"]).prop_map(str::to_owned), 1..3)
        .prop_map(|hosts| (Plane::Network, hosts));
    let strict = Just((Plane::Sandbox, BTreeSet::from(["strict".to_owned()])));
    (
        prop::collection::btree_map(names(), 0_u32..4, 0..5),
        prop::collection::btree_map(names(), decimal(), 0..5),
        texts(),
        texts(),
        prop::collection::btree_map(names(), 0_u32..3, 0..5),
        prop::collection::btree_set(prop_oneof![hosts, strict], 0..3),
    )
        .prop_map(|(calls, spend, history, labels, approvals, enforced)| State { calls, spend, history, labels, approvals, enforced })
}

fn tools() -> impl Strategy<Value = Caveat> {
    tool_set().prop_map(Caveat::Tools)
}

fn not_tools() -> impl Strategy<Value = Caveat> {
    tool_set().prop_map(Caveat::NotTools)
}

fn tool_set() -> impl Strategy<Value = Tools> {
    let names = prop::collection::btree_set(tool(), 1..4);
    let affixes = || prop::collection::btree_set(prop::sample::select(vec!["a", "a.", "b", "x"]).prop_map(str::to_owned), 0..3);
    (names, affixes(), affixes()).prop_map(|(names, prefixes, suffixes)| Tools { names, prefixes, suffixes })
}

fn audience() -> impl Strategy<Value = Caveat> {
    let one = prop::sample::select(vec!["https://a.example", "https://b.example"]).prop_map(str::to_owned);
    prop::collection::btree_set(one, 1..3).prop_map(Caveat::Audience)
}

/// The JSON of a matcher: every rule and every combination.
fn matcher() -> impl Strategy<Value = serde_json::Value> {
    let bound = || prop::option::of(-3_i64..4);
    let set = || prop::collection::vec(scalar(), 1..5);
    let rich = prop::sample::select(vec![
        json!({"glob": "s*"}),
        json!({"glob": "*a?"}),
        json!({"cidr": ["10.0.0.0/8", "2001:db8::/32"]}),
        json!({"url": {"hosts": ["a.example", "*.b.example"]}}),
        json!({"url": {"public": true, "schemes": ["http", "https"]}}),
        json!({"subpath": "/srv"}),
        json!({"shell": {"programs": ["ls", "git"]}}),
        json!({"length": {"min": 1, "max": 4}}),
        json!({"decimal": {"min": "-1.5", "max": "2"}}),
        json!({"decimal": {"above": "-1", "below": "1.5"}}),
        json!({"type": "any"}),
        json!({"type": "array"}),
        json!({"decimal_text": {"min": "-1.5", "max": "2"}}),
        json!({"type": "text"}),
        json!({"type": "number"}),
        json!({"type": "list"}),
        json!({"type": "null"}),
        json!({"count": {"max": 1}}),
    ]);
    let leaf = prop_oneof![
        scalar().prop_map(|value| json!({"exact": value})),
        (prop::sample::select(vec!["one_of", "not_one_of", "none_of", "contains", "array_contains", "subset"]), set())
            .prop_map(|(rule, values)| json!({rule: values})),
        (prop::sample::select(vec!["range", "count"]), bound(), bound()).prop_map(|(rule, min, max)| {
            let sides = [("min", min), ("max", max)].into_iter().filter_map(|(name, side)| Some((name.to_owned(), side?.into())));
            json!({rule: serde_json::Value::Object(sides.collect())})
        }),
        (prop::sample::select(vec!["prefix", "suffix"]), text()).prop_map(|(rule, text)| json!({rule: text})),
        rich,
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| json!({"not": inner})),
            (prop::sample::select(vec!["all", "any"]), vec(inner, 1..4)).prop_map(|(rule, parts)| json!({rule: parts})),
        ]
    })
}

fn scalar() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<bool>().prop_map(serde_json::Value::from),
        (-3_i64..4).prop_map(serde_json::Value::from),
        text().prop_map(serde_json::Value::from),
        Just(json!(1.5)),
    ]
}

fn decimal() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["0", "0.5", "1", "1.5", "2"]).prop_map(str::to_owned)
}

fn subset(of: &[&'static str], count: core::ops::Range<usize>) -> impl Strategy<Value = BTreeSet<&'static str>> {
    prop::collection::btree_set(prop::sample::select(of.to_vec()), count)
}

fn read(value: serde_json::Value) -> Option<Caveat> {
    let value = parse(value.to_string().as_bytes(), Limits::CAVEATS).unwrap();
    Caveat::from_json(&value).ok()
}

fn tool() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a.x", "ab", "read"]).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/x", "/y", "/o/x", "/l/0"]).prop_map(str::to_owned)
}

/// `read` is among Biscuit's default symbols.
fn text() -> impl Strategy<Value = String> {
    let texts = [
        "",
        "s",
        "st",
        "read",
        "\u{e9}",
        "1",
        "1.5",
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "2001:db8::1",
        "https://a.example/x",
        "https://u@a.example/",
        "http://127.0.0.1/",
        "https://c.b.example/",
        "/srv",
        "/srv/../etc",
        "/srv/a",
        "ls -l",
        "ls; rm",
    ];
    prop::sample::select(texts.to_vec()).prop_map(str::to_owned)
}

pub(super) fn call() -> impl Strategy<Value = OwnedCall> {
    let audience = prop::sample::select(vec!["https://a.example", "https://b.example"]).prop_map(str::to_owned);
    (tool(), arguments(), audience, 84_u64..112, state()).prop_map(|(tool, arguments, audience, time, state)| OwnedCall {
        tool,
        arguments,
        audience,
        time,
        state,
    })
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = || {
        prop_oneof![
            1 => Just(Value::Null),
            2 => any::<bool>().prop_map(Value::Flag),
            4 => (-4_i64..5).prop_map(Value::Integer),
            8 => text().prop_map(Value::Text),
            1 => prop::sample::select(vec!["1.5", "1e-7", "-2.5e-40"]).prop_map(|number| parse(number.as_bytes(), Limits::ARGUMENTS).unwrap()),
        ]
    };
    let object = || prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), leaf(), 0..3).prop_map(object_of);
    let value = prop_oneof![4 => leaf(), 1 => object(), 1 => vec(leaf(), 0..3).prop_map(Value::Array)];
    prop::collection::btree_map(prop::sample::select(vec!["x", "y", "o", "l"]), value, 0..4).prop_map(object_of)
}

fn object_of(members: BTreeMap<&'static str, Value>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (Key(name.to_owned()), value)).collect())
}
