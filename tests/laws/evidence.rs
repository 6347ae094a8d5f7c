//! L4: from leaves alone a task is rebuilt as it happened, and a leaf that is taken away is missed.

use std::{collections::BTreeMap, sync::Arc};

use narrows_issuer::{
    audit::{Archive, Hole, Missing, Query, TaskRecord},
    log::{Log, LogSigner, Opening, Outcome, Settings, TaskNode},
};
use narrows_tests::{
    scratch::Scratch,
    vectors::{Vector, all},
};
use narrows_verifier::{
    BlockId, EntryId, Reason, TaskId, TraceId,
    json::Value,
    log::{
        Bundle, Commitment, Kind, Leaf, PackDigest, Plane, Point, Retention, Salt, Selection, Verdict, VerifiedEntry, VerifierKey, commit,
        packs_of,
    },
};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::cases;

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn a_task_is_rebuilt_as_it_happened_and_a_leaf_taken_away_is_missed(steps in prop::collection::vec((0u8..8, any::<u8>()), 1..14)) {
        let history = History::of(&steps);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let scratch = Scratch::new();
        let path = scratch.join("log.db");
        let signer = || LogSigner::new("log.example/laws", &Zeroizing::new([5; 32])).unwrap();
        let opening = Opening { id: EntryId([0xee; 16]), trace: TRACE, t_ms: 1, dev: false };
        Log::init(&path, &signer(), opening).unwrap();
        let log = Log::open(&path, signer(), Arc::new(|| 1_763_700_000_000), Settings::default()).unwrap();
        for leaf in &history.leaves {
            let appended = runtime.block_on(log.append(leaf.clone(), Vec::new())).unwrap();
            prop_assert!(matches!(appended, Outcome::Appended { .. }), "{:?}: {appended:?}", leaf.kind);
        }
        let key = signer().verifier_key().clone();
        let archive = Archive::new(&path, None, key.clone());
        let asked = |selection| archive.search(&Query { selection, limit: 256, ..Query::default() }).unwrap();
        let keys = [key];

        let of_task = asked(Selection { task: Some(TASK), ..Selection::default() });
        let entries = of_task.verify(&keys).unwrap().entries;
        let record = TaskRecord::rebuild(TASK, &entries, None).unwrap();
        prop_assert_eq!(&record.missing, &[]);
        prop_assert_eq!(&record.held, &history.held());
        let mut rebuilt = BTreeMap::new();
        record.tree.roots.iter().for_each(|root| flatten(root, None, &mut rebuilt));
        prop_assert_eq!(rebuilt, history.parents());
        let acts: Vec<_> = record.acts.iter().map(|act| (act.leaf.index, act.leaf.kind.clone(), act.leaf.verdict, act.of, act.leaf.block)).collect();
        prop_assert_eq!(acts, history.acts());

        let whole = asked(Selection::default());
        prop_assert!(whole.verify(&keys).unwrap().gapless);
        for taken in 1..=history.leaves.len() as u64 {
            let mut shorter = whole.clone();
            shorter.entries.retain(|entry| entry.index != taken);
            shorter.packs = packs_of(&shorter.entries);
            let error = shorter.verify(&keys).unwrap_err();
            prop_assert_eq!((error.refusal.reason, error.index), (Reason::BundleGap, Some(taken)));
            let left: Vec<VerifiedEntry> = entries.iter().filter(|entry| entry.index != taken).cloned().collect();
            let record = TaskRecord::rebuild(TASK, &left, None).unwrap();
            prop_assert_eq!(record.is_complete(), !history.is_spoken_of(taken), "leaf {} of {:?}: {}", taken, history.kinds(), record);
        }
    }
}

#[test]
fn a_hop_is_missed_under_an_amount_when_another_leaf_shows_it() {
    let mut history = History { leaves: Vec::new(), tokens: Vec::new() };
    let mint = history.draft(Kind::Mint, &["audience", "client", "tools"]);
    let (first, unseen, third) = (BlockId([1; 32]), BlockId([2; 32]), BlockId([3; 32]));
    history.derive(Leaf { chain: chain(2), blocks: vec![first], pack: Some(PACK), ..mint });
    let amount = history.draft(Kind::BudgetAuthorize, &["amount", "budget"]);
    let amount = because(Leaf { blocks: vec![first, unseen], ..amount }, Verdict::Block);
    let missing = |more: Option<Leaf>| {
        let leaves = [history.leaves[0].clone(), amount.clone()].into_iter().chain(more);
        let entries: Vec<_> = leaves.zip(1..).map(|(leaf, index)| entry(index, leaf)).collect();
        TaskRecord::rebuild(TASK, &entries, None).unwrap().missing.into_iter().map(|it| (it.index, it.what)).collect::<Vec<_>>()
    };
    assert_eq!(missing(None), [], "a plain block looks the same");
    let decision = because(history.draft(Kind::Decision, &[]), Verdict::Block);
    let decision = Leaf { blocks: vec![first, unseen], plane: Some(Plane::Reasoning), point: Some(Point::ToolCall), ..decision };
    assert_eq!(missing(Some(Leaf { chain: chain(2), ..decision.clone() })), [], "the same holder: a plain block");
    let shown = [(Some(2), Hole::Token(unseen)), (Some(3), Hole::Token(unseen))];
    assert_eq!(missing(Some(Leaf { chain: chain(3), ..decision })), shown, "another holder");
    let hop = history.draft(Kind::Hop, &["caveats"]);
    let hop = Leaf { chain: chain(4), blocks: vec![first, unseen, third], parents: vec![unseen], ..hop };
    assert_eq!(missing(Some(hop)), [(Some(2), Hole::Token(unseen)), (Some(3), Hole::Parent(unseen))], "handed on");
}

#[test]
fn a_task_that_may_have_begun_below_the_minimum_index_is_never_complete() {
    let history = History::of(&[(0, 0), (3, 1), (5, 0)]);
    let policy = PackDigest([6; 32]);
    let pruned = Retention { minimum: 256, ..Retention::none(policy) };
    let entries: Vec<_> = history.leaves.iter().zip(300..).map(|(leaf, index)| entry(index, leaf.clone())).collect();
    let rebuilt = |entries: &[VerifiedEntry], retention: Option<&Retention>| TaskRecord::rebuild(TASK, entries, retention).unwrap();
    assert!(rebuilt(&entries, Some(&pruned)).is_complete(), "its mint is there, and nothing of a task comes before that");
    let record = rebuilt(&entries[1..], Some(&pruned));
    assert_eq!(record.missing[0], Missing { index: Some(301), what: Hole::Pruned { minimum: 256, policy } });
    let told = record.to_string();
    assert!(!record.is_complete() && told.contains(&format!("leaves below 256 are, under policy {policy}")), "{told}");
    let unpruned = Retention { minimum: 0, ..pruned.clone() };
    assert_eq!(rebuilt(&entries[1..], Some(&unpruned)).missing[0].what, Hole::Beginning);
}

#[test]
fn every_changed_or_missing_byte_of_a_bundle_is_noticed() {
    let Vector::Bundle(vector) = &all()["bundle_task"] else { panic!("a bundle") };
    let keys: Vec<VerifierKey> = vector.keys.iter().map(|key| VerifierKey::parse(key).unwrap()).collect();
    let holds = |text: &str| Bundle::parse(text).is_ok_and(|bundle| bundle.verify(&keys).is_ok());
    assert!(holds(&vector.text));
    for position in 0..vector.text.len() {
        let mut bytes = vector.text.clone().into_bytes();
        bytes[position] ^= 0x01;
        assert!(!String::from_utf8(bytes).is_ok_and(|text| holds(&text)), "byte {position}");
        assert!(!vector.text.get(..position).is_some_and(holds), "cut at {position}");
    }
}

/// Leaves of one task as an issuer would write them; leaf `n` of the log is at `n - 1`.
struct History {
    leaves: Vec<Leaf>,
    /// Places of the leaves that made a token.
    tokens: Vec<usize>,
}

/// Place, kind, verdict, what it answers and the newest block.
type Act = (u64, Kind, Verdict, Option<EntryId>, Option<BlockId>);

impl History {
    fn of(steps: &[(u8, u8)]) -> Self {
        let mut history = Self { leaves: Vec::new(), tokens: Vec::new() };
        let mint = history.draft(Kind::Mint, &["audience", "client", "tools"]);
        let block = history.block();
        history.derive(Leaf { chain: chain(2), blocks: vec![block], pack: Some(PACK), ..mint });
        for (step, choice) in steps {
            let under = history.leaves[history.tokens[usize::from(*choice) % history.tokens.len()]].clone();
            history.step(*step, *choice, &under);
        }
        history
    }

    fn step(&mut self, step: u8, choice: u8, under: &Leaf) {
        let newest = *under.blocks.last().unwrap();
        let used = |leaf: Leaf| Leaf { chain: under.chain.clone(), blocks: under.blocks.clone(), ..leaf };
        let next = self.block();
        match step {
            0 | 1 => {
                let hop = self.draft(Kind::Hop, &["caveats"]);
                let blocks = under.blocks.iter().copied().chain([next]).collect();
                self.derive(Leaf { chain: chain(under.chain.len() + 1), blocks, parents: vec![newest], ..hop });
            }
            2 => {
                let (kind, fields, pack): (_, &[&str], _) = match choice % 3 {
                    0 => (Kind::Exchange, &["audience", "client", "tools"], Some(PACK)),
                    1 => (Kind::Narrow, &["caveats"], None),
                    _ => (Kind::Permit, &["args", "audience", "tool"], Some(PACK)),
                };
                let made = self.draft(kind, fields);
                self.derive(Leaf { chain: under.chain.clone(), blocks: vec![next], parents: vec![newest], pack, ..made });
            }
            3 => {
                let decision = self.decide(used, Verdict::Allow);
                for plane in [Plane::Identity, Plane::Network].iter().take(1 + usize::from(choice % 2)) {
                    let outcome = self.draft(Kind::Outcome, &[]);
                    self.leaves.push(used(Leaf { of: Some(decision), plane: Some(*plane), ..outcome }));
                }
            }
            4 => {
                self.decide(used, Verdict::Block);
            }
            5 => {
                let decision = self.decide(used, Verdict::Escalate);
                let ask = self.draft(Kind::ApprovalAsk, &["args", "tool"]);
                let asked = ask.id;
                self.leaves.push(used(Leaf { of: Some(decision), ..because(ask, Verdict::Escalate) }));
                let answer = match choice % 3 {
                    0 => self.draft(Kind::ApprovalGrant, &["approver"]),
                    1 => because(self.draft(Kind::ApprovalRefuse, &["approver"]), Verdict::Block),
                    _ => because(self.draft(Kind::ApprovalExpire, &[]), Verdict::Block),
                };
                self.leaves.push(Leaf { of: Some(asked), ..answer });
            }
            6 => {
                let authorize = self.draft(Kind::BudgetAuthorize, &["amount", "budget"]);
                let authorized = authorize.id;
                self.leaves.push(Leaf { blocks: under.blocks.clone(), ..authorize });
                let kind = if choice.is_multiple_of(2) { Kind::BudgetCommit } else { Kind::BudgetRefund };
                let settled = self.draft(kind, &["amount"]);
                self.leaves.push(Leaf { of: Some(authorized), ..settled });
            }
            _ => {
                let pause = because(self.draft(Kind::Pause, &["by"]), Verdict::Pause);
                let paused = pause.id;
                self.leaves.push(pause);
                // one that was refused, one that goes on, one that was never asked to
                let resume = self.draft(Kind::Resume, &["by"]);
                match choice % 3 {
                    0 => self.leaves.push(Leaf { of: Some(paused), ..resume }),
                    1 => self.leaves.push(Leaf { of: Some(paused), ..because(resume, Verdict::Block) }),
                    _ => {}
                }
            }
        }
    }

    fn decide(&mut self, used: impl Fn(Leaf) -> Leaf, verdict: Verdict) -> EntryId {
        let decision = self.draft(Kind::Decision, &[]);
        let id = decision.id;
        let decision = if verdict == Verdict::Allow { decision } else { because(decision, verdict) };
        self.leaves.push(used(Leaf { plane: Some(Plane::Reasoning), point: Some(Point::ToolCall), pack: Some(PACK), ..decision }));
        id
    }

    fn derive(&mut self, leaf: Leaf) {
        self.tokens.push(self.leaves.len());
        self.leaves.push(leaf);
    }

    /// A leaf of the task with these fields, under the next id.
    fn draft(&self, kind: Kind, fields: &[&str]) -> Leaf {
        let fields = fields.iter().map(|name| ((*name).to_owned(), field(name))).collect();
        // two drafts of one step are told apart by their kinds
        let id = [vec![1, self.leaves.len() as u8], kind.as_str().bytes().chain([0; 14]).take(14).collect()].concat();
        Leaf { task: Some(TASK), fields, ..Leaf::draft(kind, EntryId::from_slice(&id).unwrap(), TRACE) }
    }

    fn block(&self) -> BlockId {
        BlockId([1 + self.leaves.len() as u8; 32])
    }

    /// The leaf that each derivation hangs below.
    fn parents(&self) -> BTreeMap<u64, Option<u64>> {
        let made = |block: &BlockId| self.tokens.iter().find(|place| self.leaves[**place].blocks.last() == Some(block));
        self.tokens
            .iter()
            .map(|place| (*place as u64 + 1, self.leaves[*place].parents.first().and_then(made).map(|parent| *parent as u64 + 1)))
            .collect()
    }

    fn acts(&self) -> Vec<Act> {
        let others = self.leaves.iter().enumerate().filter(|(place, _)| !self.tokens.contains(place));
        others.map(|(place, leaf)| (place as u64 + 1, leaf.kind.clone(), leaf.verdict, leaf.of, leaf.blocks.last().copied())).collect()
    }

    /// Whether another leaf would be left hanging without this one.
    fn is_spoken_of(&self, index: u64) -> bool {
        let place = index as usize - 1;
        let leaf = &self.leaves[place];
        let later = || self.leaves.iter().skip(place + 1);
        let made = leaf.blocks.last().filter(|_| self.tokens.contains(&place));
        // without a chain, a token with a plain block more looks the same as one with a hop more
        let uses = |it: &Leaf, block| it.blocks.last() == Some(block) && (!it.chain.is_empty() || it.blocks.len() == 1);
        let derived_or_used = made.is_some_and(|block| later().any(|it| it.parents.contains(block) || uses(it, block)));
        let answered = later().any(|it| it.of == Some(leaf.id));
        // a pause may stay open, and one of two outcomes is enough
        let only_answer =
            leaf.of.is_some_and(|of| leaf.kind != Kind::Resume && self.leaves.iter().filter(|it| it.of == Some(of)).count() == 1);
        place == 0 || derived_or_used || answered || only_answer
    }

    /// Pauses that no resumption which was let through answers.
    fn held(&self) -> Vec<(u64, EntryId)> {
        let goes_on = |id| self.leaves.iter().any(|it| it.kind == Kind::Resume && it.of == Some(id) && it.verdict == Verdict::Allow);
        let pauses = self.leaves.iter().enumerate().filter(|(_, leaf)| leaf.kind == Kind::Pause && !goes_on(leaf.id));
        pauses.map(|(place, leaf)| (place as u64 + 1, leaf.id)).collect()
    }

    fn kinds(&self) -> Vec<&str> {
        self.leaves.iter().map(|leaf| leaf.kind.as_str()).collect()
    }
}

fn entry(index: u64, leaf: Leaf) -> VerifiedEntry {
    VerifiedEntry { index, leaf, disclosures: Vec::new() }
}

fn flatten(node: &TaskNode, parent: Option<u64>, into: &mut BTreeMap<u64, Option<u64>>) {
    into.insert(node.leaf.index, parent);
    node.children.iter().for_each(|child| flatten(child, Some(node.leaf.index), into));
}

fn because(leaf: Leaf, verdict: Verdict) -> Leaf {
    Leaf { verdict, reasons: vec!["POLICY_DENIED".to_owned()], ..leaf }
}

fn chain(length: usize) -> Vec<Commitment> {
    (0..length).map(|place| field(&format!("chain/{place}"))).collect()
}

fn field(name: &str) -> Commitment {
    commit(&Salt::new([7; 16]), name, &Value::Text("x".to_owned()))
}

const TASK: TaskId = TaskId([3; 16]);
const TRACE: TraceId = TraceId([4; 16]);
const PACK: PackDigest = PackDigest([5; 32]);
