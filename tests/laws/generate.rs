//! Random caveats, calls and trees of tokens, from small alphabets so that they meet each other.

use std::collections::{BTreeMap, BTreeSet};

use narrows_tests::tokens::{self, Party};
use narrows_verifier::{
    Call, Caveat, Refusal, UnverifiedToken, VerifiedToken,
    biscuit::{append_hop, append_plain},
    caveat::{Argument, ClosedArguments, Matcher, Scalar, Tools},
    json::{Key, Value},
};
use proptest::{collection::vec, prelude::*, sample::Index};

/// A call that owns its parts.
#[derive(Clone, Debug)]
pub(super) struct OwnedCall {
    pub(super) tool: String,
    pub(super) arguments: Value,
    pub(super) audience: String,
    pub(super) time: u64,
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
        4 => caveat_of_call(),
        1 => audience(),
        1 => (85_u64..112).prop_map(Caveat::Expires),
        1 => (0_u32..6).prop_map(Caveat::Depth),
    ]
}

/// A caveat that an authority block may hold any number of times.
fn caveat_of_call() -> impl Strategy<Value = Caveat> {
    let argument = (tool(), path(), matcher()).prop_map(|(tool, path, is)| Caveat::Argument(Argument { tool, path, is }));
    let names = prop::collection::btree_set(prop::sample::select(vec!["x", "y", "o", "l"]).prop_map(str::to_owned), 0..4);
    let closed = (tool(), prop::sample::select(vec!["", "/o"]), names)
        .prop_map(|(tool, at, names)| Caveat::ClosedArguments(ClosedArguments { tool, at: at.to_owned(), names }));
    prop_oneof![2 => tools(), 4 => argument, 2 => closed]
}

fn tools() -> impl Strategy<Value = Caveat> {
    let names = prop::collection::btree_set(tool(), 1..4);
    let prefixes = prop::collection::btree_set(prop::sample::select(vec!["a", "a.", "b"]).prop_map(str::to_owned), 0..3);
    (names, prefixes).prop_map(|(names, prefixes)| Caveat::Tools(Tools { names, prefixes }))
}

fn audience() -> impl Strategy<Value = Caveat> {
    let one = prop::sample::select(vec!["https://a.example", "https://b.example"]).prop_map(str::to_owned);
    prop::collection::btree_set(one, 1..3).prop_map(Caveat::Audience)
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let values = prop::collection::btree_set(scalar(), 1..6);
    prop_oneof![
        scalar().prop_map(Matcher::Exact),
        values.prop_map(|values: BTreeSet<Scalar>| Matcher::OneOf(values)),
        (prop::option::of(-3_i64..1), prop::option::of(0_i64..4)).prop_map(|(min, max)| Matcher::Range { min, max }),
        text().prop_map(Matcher::Prefix),
    ]
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![any::<bool>().prop_map(Scalar::Flag), (-3_i64..4).prop_map(Scalar::Integer), text().prop_map(Scalar::Text)]
}

fn tool() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "a.x", "ab", "read"]).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["/x", "/y", "/o/x", "/l/0"]).prop_map(str::to_owned)
}

/// `read` is among Biscuit's default symbols.
fn text() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "s", "st", "read", "\u{e9}"]).prop_map(str::to_owned)
}

pub(super) fn call() -> impl Strategy<Value = OwnedCall> {
    let audience = prop::sample::select(vec!["https://a.example", "https://b.example"]).prop_map(str::to_owned);
    (tool(), arguments(), audience, 84_u64..112).prop_map(|(tool, arguments, audience, time)| OwnedCall { tool, arguments, audience, time })
}

fn arguments() -> impl Strategy<Value = Value> {
    let leaf = || {
        prop_oneof![
            1 => Just(Value::Null),
            2 => any::<bool>().prop_map(Value::Flag),
            4 => (-4_i64..5).prop_map(Value::Integer),
            4 => text().prop_map(Value::Text),
        ]
    };
    let object = || prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), leaf(), 0..3).prop_map(object_of);
    let value = prop_oneof![4 => leaf(), 1 => object(), 1 => vec(leaf(), 0..3).prop_map(Value::Array)];
    prop::collection::btree_map(prop::sample::select(vec!["x", "y", "o", "l"]), value, 0..4).prop_map(object_of)
}

fn object_of(members: BTreeMap<&'static str, Value>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (Key(name.to_owned()), value)).collect())
}
