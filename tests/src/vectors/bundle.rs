//! Bundles of evidence: which hold, and how every change to one is named.

use std::collections::HashMap;

use narrows_verifier::{
    json::{self, Limits, Value},
    log::{
        Bundle, BundleEntry, Checkpoint, Disclosure, Frontier, OutOfRange, Salt, Selection, VerifierKey, commit, inclusion_proof,
        leaf_hash, packs_of, signature_line,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Cases, Vector, Verdict};
use crate::tokens::{self, Seed};

/// A bundle of evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleVector {
    /// What the case shows.
    pub about: String,
    /// The bundle's text.
    pub text: String,
    /// The log keys that the verifier has pinned.
    pub keys: Vec<String>,
    /// The answer.
    pub expect: BundleAnswer,
}

/// What becomes of a bundle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleAnswer {
    /// Yes or no.
    pub verdict: Verdict,
    /// The code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The leaf to blame, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The proven leaves, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indices: Vec<u64>,
    /// Whether a range was found without gaps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gapless: bool,
    /// Whether the selection goes on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_on: bool,
    /// The first leaf that the log keeps, where it says that it does not keep all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub minimum: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

pub(super) fn cases(cases: &mut Cases) {
    accepted(cases);
    changed_leaves(cases);
    changed_claims(cases);
    left_out(cases);
    malformed(cases);
    pruned(cases);
}

fn accepted(cases: &mut Cases) {
    let tree = Tree::sample();
    let mut hold = |name: &str, about: &str, bundle: &Bundle, indices: &[u64]| {
        let gapless = bundle.selection.is_range();
        let expect = BundleAnswer { indices: indices.to_vec(), gapless, goes_on: bundle.next.is_some(), ..answer(Verdict::Allow) };
        cases.add(name, vector(about, bundle.to_text(), expect));
    };
    hold("bundle_task", "all leaves of a task, with the names", &task(&tree), &[1, 2, 4]);
    hold("bundle_withheld", "the same without the names", &withheld(&tree), &[1, 2, 4]);
    hold("bundle_whole_log", "a range of all leaves", &tree.bundle(Selection::default(), &[0, 1, 2, 3, 4, 5]), &[0, 1, 2, 3, 4, 5]);
    hold("bundle_range", "leaves behind 1 and before 4", &range(&tree), &[2, 3]);
    let page = Bundle { next: Some(2), ..tree.bundle(Selection::default(), &[0, 1, 2]) };
    hold("bundle_first_page", "a range that goes on", &page, &[0, 1, 2]);
    let none = Selection { trace: Some(narrows_verifier::TraceId([0xaa; 16])), ..Selection::default() };
    hold("bundle_nothing_found", "a search without a hit", &tree.bundle(none, &[]), &[]);
    hold("bundle_agent", "a search by an agent's name", &agent(&tree, "executor"), &[2]);
    let clear =
        Selection { kind: Some("mint".into()), from_ms: Some(1_763_700_000_000), to_ms: Some(1_763_700_003_000), ..Selection::default() };
    hold("bundle_kind_and_time", "a search by kind and time", &tree.bundle(clear, &[1]), &[1]);
}

fn changed_leaves(cases: &mut Cases) {
    let tree = Tree::sample();
    let mut refuse = |name: &str, about: &str, bundle: Bundle, reason: &str, index: u64| {
        cases.add(name, vector(about, bundle.to_text(), refused(reason, Some(index))));
    };
    let with = |change: fn(&mut Bundle)| {
        let mut bundle = task(&tree);
        change(&mut bundle);
        bundle
    };
    let proof = "INCLUSION_PROOF";
    refuse("bundle_leaf_changed", "a verdict was turned", with(|it| turn(&mut it.entries[1].leaf)), proof, 2);
    refuse("bundle_leaf_spaced", "a space that means nothing", with(|it| it.entries[0].leaf.push(' ')), proof, 1);
    refuse("bundle_index_changed", "a leaf at another place", with(|it| it.entries[0].index = 0), proof, 0);
    refuse("bundle_index_beyond", "a leaf beyond the tree", with(|it| it.entries[2].index = 6), proof, 6);
    let swap = with(|it| {
        let leaf = it.entries[0].leaf.clone();
        it.entries[0].leaf = it.entries[1].leaf.clone();
        it.entries[1].leaf = leaf;
    });
    refuse("bundle_leaves_swapped", "two leaves under each other's proofs", swap, proof, 1);
    refuse("bundle_proof_short", "a proof without its last hash", with(|it| it.entries[1].proof.truncate(1)), proof, 2);
    let longer = with(|it| {
        let hash = it.entries[1].proof[0];
        it.entries[1].proof.push(hash);
    });
    refuse("bundle_proof_long", "a proof with a hash too many", longer, proof, 2);
    refuse("bundle_order", "leaves out of order", with(|it| it.entries.swap(0, 1)), "BUNDLE_MALFORMED", 1);
    let twice = with(|it| {
        let entry = it.entries[0].clone();
        it.entries.insert(1, entry);
    });
    refuse("bundle_leaf_twice", "a leaf twice", twice, "BUNDLE_MALFORMED", 1);
    let other = Tree::of(&["{\"v\":1}"; 3]);
    refuse("bundle_not_a_leaf", "in the tree, and no leaf", other.bundle(Selection::default(), &[0, 1, 2]), "LEAF_MALFORMED", 0);
    let (mismatch, value) = ("DISCLOSURE_MISMATCH", || Value::Text("mallory".to_owned()));
    let renamed = Bundle {
        entries: task(&tree)
            .entries
            .into_iter()
            .map(|mut entry| {
                if let Some(disclosure) = entry.disclosures.last_mut().filter(|_| entry.index == 2) {
                    disclosure.value = value();
                }
                entry
            })
            .collect(),
        ..task(&tree)
    };
    refuse("bundle_name_changed", "another agent's name", renamed, mismatch, 2);
    refuse("bundle_salt_changed", "another salt", with(|it| it.entries[0].disclosures[0].salt = Salt::new([9; 16])), mismatch, 1);
    let repeated = with(|it| {
        let name = it.entries[0].disclosures[0].clone();
        it.entries[0].disclosures.push(name);
    });
    refuse("bundle_name_twice", "a disclosure twice", repeated, mismatch, 1);
    let foreign = with(|it| it.entries[0].disclosures[0].name = "chain/7".to_owned());
    refuse("bundle_name_of_nothing", "a disclosure of a field that the leaf does not have", foreign, mismatch, 1);
    let selection = "BUNDLE_SELECTION";
    let asked = |change: fn(&mut Selection)| with_selection(&tree, change);
    refuse("bundle_other_task", "leaves of another task", asked(|it| it.task = Some(narrows_verifier::TaskId([7; 16]))), selection, 1);
    refuse("bundle_other_kind", "a leaf of another kind", asked(|it| it.kind = Some("mint".into())), selection, 2);
    refuse("bundle_too_early", "a leaf from before the time", asked(|it| it.from_ms = Some(1_763_700_002_000)), selection, 1);
    refuse("bundle_too_late", "a leaf at the end of the time", asked(|it| it.to_ms = Some(1_763_700_004_000)), selection, 4);
    refuse("bundle_before_range", "a leaf that is not behind", asked(|it| it.after = Some(1)), selection, 1);
    refuse("bundle_behind_range", "a leaf that is not before", asked(|it| it.before = Some(4)), selection, 4);
    refuse("bundle_other_reason", "a leaf without the reason", asked(|it| it.reason = Some("EXPIRED".into())), selection, 1);
    refuse("bundle_other_agent", "a leaf whose names are others", asked(|it| it.agent = Some("executor".into())), selection, 1);
}

fn changed_claims(cases: &mut Cases) {
    let tree = Tree::sample();
    let mut refuse = |name: &str, about: &str, text: String, reason: &str| {
        cases.add(name, vector(about, text, refused(reason, None)));
    };
    let signature = "CHECKPOINT_SIGNATURE";
    let with = |change: fn(&mut Bundle)| {
        let mut bundle = task(&tree);
        change(&mut bundle);
        bundle.to_text()
    };
    let note = |from: &str, to: &str| {
        let bundle = task(&tree);
        assert!(bundle.checkpoint.contains(from));
        Bundle { checkpoint: bundle.checkpoint.replacen(from, to, 1), ..bundle }.to_text()
    };
    refuse("bundle_size_changed", "a checkpoint of another size", note("\n6\n", "\n7\n"), signature);
    refuse("bundle_origin_changed", "a checkpoint of another log", note("log.example", "log.other"), signature);
    let stolen = Tree { note: signed(&tree.checkpoint(), &[8; 32]), ..Tree::sample() };
    refuse("bundle_signed_by_another", "a whole bundle of another key", task(&stolen).to_text(), signature);
    refuse("bundle_key_made_up", "a key that did not sign", with(|it| it.keys.push(key(&[8; 32]))), signature);
    refuse("bundle_key_left_out", "no key", with(|it| it.keys.clear()), "BUNDLE_MALFORMED");
    let claim = |from: &str, to: &str| edited(&task(&tree), from, to);
    let pack = format!("sha256:{}", "44".repeat(32));
    let other = format!("sha256:{}", "45".repeat(32));
    refuse(
        "bundle_pack_left_out",
        "a pack that decided is not named",
        claim(&format!("\"packs\":[\"{pack}\"]"), "\"packs\":[]"),
        "BUNDLE_MALFORMED",
    );
    let both = format!("\"packs\":[\"{pack}\",\"{other}\"]");
    refuse("bundle_pack_made_up", "a pack that no leaf names", claim(&format!("\"packs\":[\"{pack}\"]"), &both), "BUNDLE_MALFORMED");
}

fn left_out(cases: &mut Cases) {
    let tree = Tree::sample();
    let mut refuse = |name: &str, about: &str, bundle: Bundle, index| {
        cases.add(name, vector(about, bundle.to_text(), refused("BUNDLE_GAP", Some(index))));
    };
    let whole = |indices: &[u64]| tree.bundle(Selection::default(), indices);
    refuse("bundle_gap", "a leaf in the middle is missing", whole(&[0, 1, 3, 4, 5]), 2);
    refuse("bundle_gap_at_start", "the first leaf is missing", whole(&[1, 2, 3, 4, 5]), 0);
    refuse("bundle_gap_at_end", "the last leaf is missing", whole(&[0, 1, 2, 3, 4]), 5);
    refuse("bundle_gap_everywhere", "all leaves are missing", whole(&[]), 0);
    refuse("bundle_gap_on_a_page", "a page says that it looked further than it shows", Bundle { next: Some(3), ..whole(&[0, 1, 2]) }, 3);
}

fn malformed(cases: &mut Cases) {
    let tree = Tree::sample();
    let mut refuse = |name: &str, about: &str, text: String| {
        cases.add(name, vector(about, text, refused("BUNDLE_MALFORMED", None)));
    };
    let text = task(&tree).to_text();
    let claim = |from: &str, to: &str| edited(&task(&tree), from, to);
    refuse("bundle_empty_text", "no text", String::new());
    refuse("bundle_cut", "the text ends early", text[..text.len() / 2].to_owned());
    refuse("bundle_followed", "something follows", format!("{text}{{}}"));
    refuse("bundle_other_format", "a later format", claim("narrows-audit/1", "narrows-audit/2"));
    refuse("bundle_unknown_member", "a member that may have meant something", claim("\"next\":", "\"more\":true,\"next\":"));
    refuse("bundle_repeated_member", "a member twice", claim("\"next\":null", "\"next\":null,\"next\":3"));
    refuse("bundle_unknown_question", "a question that is not understood", claim("\"selection\":{", "\"selection\":{\"mood\":\"good\","));
    refuse("bundle_negative_index", "an index below zero", claim("\"index\":1,", "\"index\":-1,"));
    refuse("bundle_fraction", "an index between two", claim("\"index\":1,", "\"index\":1.5,"));
    refuse("bundle_long_proof", "a proof longer than any tree is high", {
        let mut bundle = task(&tree);
        bundle.entries[0].proof = vec![leaf_hash(b""); 65];
        bundle.to_text()
    });
    let salt = Salt::new([1; 16]).to_string();
    refuse("bundle_short_salt", "a salt of 15 bytes", claim(&salt, &salt[..20]));
    refuse("bundle_spaced_value", "a name in another spelling", claim("\"value\":\"\\\"planner\\\"\"", "\"value\":\" \\\"planner\\\"\""));
    refuse("bundle_goes_back", "it goes on before its last leaf", Bundle { next: Some(1), ..task(&tree) }.to_text());
}

/// A log that has pruned its first 256 leaves, of which the last but one says so.
fn pruned(cases: &mut Cases) {
    let tree = Tree::pruned(256);
    let all: Vec<u64> = (256..260).collect();
    let says = |bundle: Bundle| Bundle { retention: Some(tree.entry(258)), ..bundle };
    let mut hold = |name: &str, about: &str, bundle: &Bundle, indices: &[u64]| {
        let (gapless, minimum) = (bundle.selection.is_range(), if bundle.retention.is_some() { 256 } else { 0 });
        let expect = BundleAnswer { indices: indices.to_vec(), gapless, minimum, ..answer(Verdict::Allow) };
        cases.add(name, vector(about, bundle.to_text(), expect));
    };
    let whole = || says(tree.bundle(Selection::default(), &all));
    hold("bundle_pruned", "a range that begins at the minimum index, which a leaf of the log proves", &whole(), &all);
    let before = || Selection { before: Some(200), ..Selection::default() };
    hold("bundle_pruned_range", "a range of pruned leaves alone", &says(tree.bundle(before(), &[])), &[]);
    let kept = [&[7], all.as_slice()].concat();
    hold("bundle_pruned_and_kept", "a pruned leaf that somebody kept", &says(tree.bundle(Selection::default(), &kept)), &kept);
    let later = Selection { after: Some(257), ..Selection::default() };
    hold("bundle_pruned_unsaid", "a range above the minimum index needs no word about it", &tree.bundle(later, &[258, 259]), &[258, 259]);

    let mut refuse = |name: &str, about: &str, bundle: &Bundle, reason: &str, index: u64| {
        cases.add(name, vector(about, bundle.to_text(), refused(reason, Some(index))));
    };
    let unsaid = tree.bundle(Selection::default(), &all);
    refuse("bundle_pruned_no_word", "a range without its beginning, and without the leaf that says why", &unsaid, "BUNDLE_GAP", 0);
    let gap = says(tree.bundle(Selection::default(), &[256, 258, 259]));
    refuse("bundle_pruned_gap", "a leaf above the minimum index is missing", &gap, "BUNDLE_GAP", 257);
    let missing_first = says(tree.bundle(Selection::default(), &all[1..]));
    refuse("bundle_pruned_gap_at_start", "the leaf at the minimum index is missing", &missing_first, "BUNDLE_GAP", 256);
    let edited = |change: &dyn Fn(&mut BundleEntry)| {
        let mut bundle = whole();
        bundle.retention.iter_mut().for_each(change);
        bundle
    };
    let lower = edited(&|it| it.leaf = it.leaf.replacen("\"minimum\":\"256\"", "\"minimum\":\"0\"", 1));
    refuse("bundle_pruned_leaf_changed", "the leaf about it was changed", &lower, "INCLUSION_PROOF", 258);
    refuse("bundle_pruned_index_changed", "the leaf about it at another place", &edited(&|it| it.index = 257), "INCLUSION_PROOF", 257);
    let other = Bundle { retention: Some(tree.entry(259)), ..whole() };
    refuse("bundle_pruned_other_leaf", "a leaf that says nothing about it", &other, "BUNDLE_MALFORMED", 259);
    let named = edited(&|it| it.disclosures = disclosures(1));
    refuse("bundle_pruned_names", "a leaf about it with disclosures", &named, "BUNDLE_MALFORMED", 258);
    let ahead = Tree::pruned(512);
    let early = Bundle { retention: Some(ahead.entry(258)), ..ahead.bundle(Selection::default(), &all) };
    refuse("bundle_pruned_ahead", "a leaf that lets leaves go which are not there yet", &early, "BUNDLE_MALFORMED", 258);
}

/// A log of six leaves: its beginning, a task of three, and between and after them leaves of another task.
struct Tree {
    leaves: Vec<String>,
    nodes: HashMap<(u8, u64), narrows_verifier::log::Hash>,
    frontier: Frontier,
    note: String,
}

impl Tree {
    fn sample() -> Self {
        let texts: Vec<String> = (0..6).map(leaf).collect();
        Self::of(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// 260 leaves, of which the last but one says that those below `minimum` are pruned.
    fn pruned(minimum: u64) -> Self {
        let texts: Vec<String> = (0..260).map(|index| numbered(index, (index == 258).then_some(minimum))).collect();
        Self::of(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn of(leaves: &[&str]) -> Self {
        let (mut frontier, mut nodes) = (Frontier::empty(), HashMap::new());
        for leaf in leaves {
            let completed = frontier.append(leaf_hash(leaf.as_bytes())).expect("a small tree");
            nodes.extend(completed.into_iter().map(|node| ((node.level, node.index), node.hash)));
        }
        let mut tree = Self { leaves: leaves.iter().map(|leaf| (*leaf).to_owned()).collect(), nodes, frontier, note: String::new() };
        tree.note = signed(&tree.checkpoint(), &LOG);
        tree
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: self.frontier.size(), root: self.frontier.root() }
    }

    fn entry(&self, index: u64) -> BundleEntry {
        let read = |level, index| Ok::<_, OutOfRange>(self.nodes[&(level, index)]);
        let proof = inclusion_proof(index, self.frontier.size(), read).expect("a leaf of the tree");
        BundleEntry { index, leaf: self.leaves[index as usize].clone(), proof, disclosures: Vec::new() }
    }

    fn bundle(&self, selection: Selection, indices: &[u64]) -> Bundle {
        let entries: Vec<_> = indices.iter().map(|index| self.entry(*index)).collect();
        Bundle {
            packs: packs_of(&entries),
            selection,
            checkpoint: self.note.clone(),
            keys: vec![key(&LOG)],
            entries,
            next: None,
            retention: None,
        }
    }
}

fn task(tree: &Tree) -> Bundle {
    let mut bundle = withheld(tree);
    for entry in &mut bundle.entries {
        entry.disclosures = disclosures(entry.index);
    }
    bundle
}

fn withheld(tree: &Tree) -> Bundle {
    let selection = Selection { task: Some(narrows_verifier::TaskId([3; 16])), ..Selection::default() };
    tree.bundle(selection, &[1, 2, 4])
}

fn with_selection(tree: &Tree, change: fn(&mut Selection)) -> Bundle {
    let mut bundle = task(tree);
    change(&mut bundle.selection);
    bundle
}

fn range(tree: &Tree) -> Bundle {
    tree.bundle(Selection { after: Some(1), before: Some(4), ..Selection::default() }, &[2, 3])
}

fn agent(tree: &Tree, name: &str) -> Bundle {
    let mut bundle = tree.bundle(Selection { agent: Some(name.to_owned()), ..Selection::default() }, &[2]);
    bundle.entries[0].disclosures = disclosures(2);
    bundle
}

/// The text of a leaf, in canonical form.
fn leaf(index: u64) -> String {
    let hex = |byte: u8, length| tokens::hex(&vec![byte; length]);
    let of_task = [1, 2, 4].contains(&index);
    let chain: Vec<String> = disclosures(index).iter().map(|it| commit(&it.salt, &it.name, &it.value).to_string()).collect();
    let hop = index == 2;
    let blocks = match (of_task, hop) {
        (false, _) => json!([]),
        (true, true) => json!([hex(5, 32), hex(6, 32)]),
        (true, false) => json!([hex(5, 32)]),
    };
    let mut leaf = json!({
        "blocks": blocks, "c": {}, "chain": chain, "id": hex(0x10 + index as u8, 16),
        "kind": match index { 0 => "log.open", 1 => "mint", 2 => "hop", _ => "weather" },
        "pack": if index == 1 { json!(format!("sha256:{}", hex(0x44, 32))) } else { json!(null) },
        "parents": if hop { json!([hex(5, 32)]) } else { json!([]) },
        "reasons": [], "t_ms": (1_763_700_000_000 + index * 1000).to_string(),
        "task": match index { 0 => json!(null), _ => json!(hex(if of_task { 3 } else { 4 }, 16)) },
        "trace": hex(0x20 + index as u8, 16), "v": 1, "verdict": "allow",
    });
    if index == 0 {
        leaf["origin"] = json!(ORIGIN);
    }
    json::parse(leaf.to_string().as_bytes(), Limits::ARGUMENTS).expect("a leaf").canonical()
}

/// A leaf of a kind that nobody knows, of no task; or, with a minimum index, the leaf that says so.
fn numbered(index: u64, minimum: Option<u64>) -> String {
    let mut leaf = json!({
        "blocks": [], "c": {}, "chain": [], "id": format!("{index:032x}"), "kind": "weather", "pack": null, "parents": [],
        "reasons": [], "t_ms": (1_763_700_000_000 + index * 1000).to_string(), "task": null, "trace": format!("{index:032x}"), "v": 1,
        "verdict": "allow",
    });
    if let Some(minimum) = minimum {
        leaf["kind"] = json!("retention");
        leaf["retention"] = json!({
            "announced_ms": "1763600000000", "deleted": minimum.to_string(), "expired": { "*": "250", "erasure": "0" },
            "minimum": minimum.to_string(), "policy": format!("sha256:{}", tokens::hex(&[0x55; 32])),
        });
    }
    json::parse(leaf.to_string().as_bytes(), Limits::ARGUMENTS).expect("a leaf").canonical()
}

fn disclosures(index: u64) -> Vec<Disclosure> {
    let chain: &[&str] = match index {
        1 | 4 => &["alice", "planner"],
        2 => &["alice", "planner", "executor"],
        _ => &[],
    };
    let disclosure = |(place, name): (usize, &&str)| {
        let salt = Salt::new([u8::try_from(index).expect("a small index"); 16]);
        Disclosure { name: format!("chain/{place}"), salt, value: Value::Text((*name).to_owned()) }
    };
    chain.iter().enumerate().map(disclosure).collect()
}

fn turn(leaf: &mut String) {
    *leaf = leaf.replacen("\"allow\"", "\"block\"", 1);
}

fn edited(bundle: &Bundle, from: &str, to: &str) -> String {
    let text = bundle.to_text();
    assert!(text.contains(from), "no `{from}` in {text}");
    text.replacen(from, to, 1)
}

fn signed(checkpoint: &Checkpoint, seed: &Seed) -> String {
    let text = checkpoint.to_string();
    let signature = tokens::sign(seed, text.as_bytes()).try_into().expect("64 bytes");
    format!("{text}\n{}", signature_line(&key(seed), &signature))
}

fn key(seed: &Seed) -> VerifierKey {
    VerifierKey::new(ORIGIN, narrows_verifier::public_key(seed).as_bytes()).expect("a key")
}

fn vector(about: &str, text: String, expect: BundleAnswer) -> Vector {
    Vector::Bundle(BundleVector { about: about.to_owned(), text, keys: vec![key(&LOG).to_string()], expect })
}

fn refused(reason: &str, index: Option<u64>) -> BundleAnswer {
    BundleAnswer { reason: Some(reason.to_owned()), index, ..answer(Verdict::Deny) }
}

fn answer(verdict: Verdict) -> BundleAnswer {
    BundleAnswer { verdict, reason: None, index: None, indices: Vec::new(), gapless: false, goes_on: false, minimum: 0 }
}

const LOG: Seed = [0x6c; 32];
const ORIGIN: &str = "log.example/narrows";
