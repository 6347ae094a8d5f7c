//! What a tool that demands receipts accepts, and what it refuses.

use ed25519_dalek::{Signer as _, SigningKey};
use narrows_verifier::{
    BlockId, EntryId, Reason, RootKey, RootState, TaskId, VerifiedToken,
    json::Value,
    log::{
        Checkpoint, Frontier, Kind, Leaf, Node, OutOfRange, PackDigest, Policy, PresentedReceipt, Receipt, ReceiptDemand, ReceiptVerifier,
        Salt, TraceId, Verdict, VerifierKey, WitnessKey, commit, cosign, inclusion_proof, leaf_hash, signature_line, write_receipts,
    },
    public_key,
};
use proptest::{collection::vec, prelude::*};

use super::{Guard, GuardOptions, Manifest, Revocation};
use crate::{
    Held, HolderKey, NarrowRequest, Recorded,
    tests::{AUDIENCE, NOW, arguments, caveats, held, root},
};

const LOG_SEED: u8 = 20;

fn log_key(name: &str, seed: u8) -> VerifierKey {
    VerifierKey::new(name, public_key(&[seed; 32]).as_bytes()).unwrap()
}

/// A guard with a tool for each demand, which trusts one log.
fn guard() -> Guard {
    let tool = |name: &str| format!("[[tool]]\nname = \"crm.{name}\"\nrequires = \"token\"\nreceipts = \"{name}\"\n");
    let tools = ["none", "authority", "every_hop"].map(tool).concat();
    let manifest = Manifest::parse(&format!("audience = \"{AUDIENCE}\"\n{tools}")).unwrap();
    let guard =
        Guard::new(manifest, root().into(), GuardOptions { accept_dev: false, replay_capacity: 64, revocation: Revocation::NotChecked });
    guard.replace_logs(vec![log_key("log", LOG_SEED)]);
    guard
}

/// The planner's token, and the executor's below it.
fn chain() -> [Held; 2] {
    let parent = held("[]");
    let hop = NarrowRequest { holder: HolderKey::of(12).public(), agent: "executor".into(), caveats: caveats("[]") };
    let token = parent.narrow(&hop, NOW).ok().unwrap().token;
    [parent, Held::new(&token, HolderKey::of(12), &root().into()).ok().unwrap()]
}

/// The leaf that records the token's newest block, as the service writes it.
fn leaf(token: &VerifiedToken) -> Leaf {
    let hidden = commit(&Salt::new([1; 16]), "chain/0", &Value::Null);
    let hop = token.blocks.len() > 1;
    let kind = if hop { Kind::Hop } else { Kind::Mint };
    let names = kind.spec().unwrap().required;
    let (_, _, entry) = token.principals().last().unwrap();
    let blocks = token.block_ids();
    Leaf {
        t_ms: NOW * 1000,
        task: Some(token.authority.task),
        pack: (!hop).then_some(PackDigest([1; 32])),
        chain: vec![hidden],
        fields: names.iter().map(|name| ((*name).to_owned(), hidden)).collect(),
        parents: if hop { vec![blocks[0]] } else { Vec::new() },
        blocks,
        ..Leaf::draft(kind, *entry, TraceId::new([0; 16]))
    }
}

#[derive(Debug)]
struct Missing;
impl From<OutOfRange> for Missing {
    fn from(_: OutOfRange) -> Self {
        Self
    }
}

/// Receipts for these leaves in a log of this name and key.
fn recorded(leaves: &[Leaf], name: &str, seed: u8) -> Vec<Recorded> {
    witnessed(leaves, name, seed, &[])
}

/// As [`recorded`], cosigned by these witnesses.
fn witnessed(leaves: &[Leaf], name: &str, seed: u8, witnesses: &[(&str, u8)]) -> Vec<Recorded> {
    let (mut frontier, mut nodes): (_, Vec<Node>) = (Frontier::empty(), Vec::new());
    let bytes: Vec<_> = leaves.iter().map(|leaf| leaf.to_bytes().unwrap()).collect();
    bytes.iter().for_each(|bytes| nodes.extend(frontier.append(leaf_hash(bytes)).unwrap()));
    let size = frontier.size();
    let text = Checkpoint { origin: name.to_owned(), size, root: frontier.root() }.to_string();
    let signature = SigningKey::from_bytes(&[seed; 32]).sign(text.as_bytes()).to_bytes();
    let checkpoint = format!("{text}\n{}", signature_line(&log_key(name, seed), &signature));
    let checkpoint = witnesses.iter().fold(checkpoint, |note, (name, seed)| note + &cosign(name, &[*seed; 32], 1, &text).unwrap());
    let node = |level, index| nodes.iter().find(|node| (node.level, node.index) == (level, index)).map(|node| node.hash).ok_or(Missing);
    let receipt = |index| Receipt { index, proof: inclusion_proof(index, size, node).unwrap(), checkpoint: &checkpoint }.encode();
    let all = leaves.iter().zip(bytes).zip(0..);
    all.map(|((leaf, bytes), index)| Recorded { entry: leaf.id, leaf: bytes, receipt: receipt(index) }).collect()
}

/// The answer of the tool for this demand to a call with these receipts.
fn answer(guard: &Guard, demand: &str, holder: Held, receipts: &[&Recorded]) -> Option<Reason> {
    let holder = receipts.iter().fold(holder, |holder, recorded| holder.keeping(recorded));
    let call = holder.prove(&format!("crm.{demand}"), &arguments("{}"), AUDIENCE, NOW);
    guard.check(&call, (&call).into(), &call.tool, b"{}", NOW).err().map(|refused| refused.reason())
}

fn executor() -> Held {
    Held::new(&EXECUTOR.with(|token| token.clone()), HolderKey::of(12), &root().into()).ok().unwrap()
}

thread_local! {
    /// One hop is made per thread, so that its entry id is known to all that a test does.
    static EXECUTOR: String = {
        let hop = NarrowRequest { holder: HolderKey::of(12).public(), agent: "executor".into(), caveats: caveats("[]") };
        held("[]").narrow(&hop, NOW).ok().unwrap().token.to_string()
    };
}

#[test]
fn each_demand_is_met_by_its_receipts_and_by_no_fewer() {
    let guard = guard();
    let logged = recorded(&[leaf(held("[]").inspect()), leaf(executor().inspect())], "log", LOG_SEED);
    let (mint, hop) = (&logged[0], &logged[1]);
    let missing = Some(Reason::ReceiptMissing);
    for (demand, receipts, expected) in [
        ("none", &[][..], None),
        ("authority", &[], missing),
        ("authority", &[hop], missing),
        ("authority", &[mint], None),
        ("authority", &[mint, hop], None),
        ("every_hop", &[], missing),
        ("every_hop", &[mint], missing),
        ("every_hop", &[hop], missing),
        ("every_hop", &[mint, hop], None),
        ("every_hop", &[hop, mint], None),
    ] {
        assert_eq!(answer(&guard, demand, executor(), receipts), expected, "{demand} with {}", receipts.len());
    }
    assert_eq!(answer(&guard, "every_hop", held("[]"), &[mint]), None, "a token without hops needs the mint's alone");
}

#[test]
fn a_receipt_of_another_token_task_or_kind_is_refused() {
    let guard = guard();
    let mint = leaf(held("[]").inspect());
    type Change<'a> = (&'a dyn Fn(&mut Leaf), Reason);
    let changed: [Change<'_>; 7] = [
        (&|leaf| leaf.blocks = vec![BlockId::new([9; 32])], Reason::ReceiptOtherToken),
        (&|leaf| leaf.blocks.push(BlockId::new([9; 32])), Reason::ReceiptOtherToken),
        (&|leaf| leaf.task = Some(TaskId::new([9; 16])), Reason::ReceiptOtherToken),
        (&|leaf| leaf.id = EntryId::new([9; 16]), Reason::ReceiptMissing),
        (&|leaf| leaf.kind = Kind::Other("later".to_owned()), Reason::ReceiptKind),
        (&|leaf| (leaf.kind, leaf.verdict) = (Kind::Other("mint.refused".to_owned()), Verdict::Block), Reason::ReceiptKind),
        (
            &|leaf| {
                leaf.parents = leaf.blocks.clone();
                leaf.pack = None;
                leaf.kind = Kind::Hop;
                leaf.fields = leaf.fields.values().take(1).map(|it| ("caveats".to_owned(), *it)).collect();
            },
            Reason::ReceiptKind,
        ),
    ];
    for (position, (change, reason)) in changed.iter().enumerate() {
        let mut leaf = mint.clone();
        change(&mut leaf);
        let logged = recorded(&[leaf], "log", LOG_SEED);
        assert_eq!(answer(&guard, "authority", held("[]"), &[&logged[0]]), Some(*reason), "change {position}");
    }
    // a hop with the same caveats, to the same holder, is another block under another entry
    let [_, twin] = chain();
    let logged = recorded(&[mint, leaf(twin.inspect())], "log", LOG_SEED);
    assert_eq!(answer(&guard, "every_hop", executor(), &[&logged[0], &logged[1]]), Some(Reason::ReceiptMissing));
}

#[test]
fn a_receipt_of_another_log_key_or_leaf_is_refused() {
    let mint = leaf(held("[]").inspect());
    let good = recorded(std::slice::from_ref(&mint), "log", LOG_SEED).remove(0);
    let elsewhere = recorded(std::slice::from_ref(&mint), "staging", LOG_SEED).remove(0);
    let staged = recorded(std::slice::from_ref(&mint), "log", LOG_SEED + 1).remove(0);
    let moved = Recorded { leaf: Leaf { t_ms: 1, ..mint }.to_bytes().unwrap(), ..good.clone() };
    let broken = Recorded { leaf: b"{}".to_vec(), ..good.clone() };
    let guard = guard();
    for (recorded, reason) in [
        (&elsewhere, Reason::ReceiptOrigin),
        (&staged, Reason::CheckpointSignature),
        (&moved, Reason::InclusionProof),
        (&broken, Reason::LeafMalformed),
    ] {
        assert_eq!(answer(&guard, "authority", held("[]"), &[recorded]), Some(reason));
    }
    assert_eq!(answer(&guard, "authority", held("[]"), &[&good]), None);
    // with the old key gone, and with no key at all
    guard.replace_logs(vec![log_key("log", LOG_SEED + 1)]);
    assert_eq!(answer(&guard, "authority", held("[]"), &[&good]), Some(Reason::CheckpointSignature));
    guard.replace_logs(Policy::default());
    assert_eq!(answer(&guard, "authority", held("[]"), &[&good]), Some(Reason::ReceiptOrigin));
    assert_eq!(answer(&guard, "none", held("[]"), &[&good]), None);
}

/// While a log's key changes, receipts under the old and the new one are both good.
#[test]
fn receipts_of_a_rotated_log_key_stay_good_while_both_keys_are_trusted() {
    let guard = guard();
    guard.replace_logs(vec![log_key("log", LOG_SEED), log_key("log", LOG_SEED + 1)]);
    let mint = leaf(held("[]").inspect());
    for seed in [LOG_SEED, LOG_SEED + 1] {
        let logged = recorded(std::slice::from_ref(&mint), "log", seed);
        assert_eq!(answer(&guard, "authority", held("[]"), &[&logged[0]]), None);
    }
}

#[test]
fn a_tool_that_demands_witnesses_refuses_receipts_without_their_quorum() {
    let guard = guard();
    let key = |(name, seed): (&str, u8)| WitnessKey::from_seed(name, &[seed; 32]).unwrap();
    let [one, two, three, stranger] = [("one", 41), ("two", 42), ("three", 43), ("stranger", 44)];
    let witnesses = [one, two, three].map(|party| format!("witness {} {}\n", party.0, key(party))).concat();
    let log = log_key("log", LOG_SEED);
    let policy = Policy::parse(format!("log {log}\n{witnesses}group g 2 one two three\nquorum g\n").as_bytes()).unwrap();
    guard.replace_logs(policy);
    let leaves = [leaf(held("[]").inspect()), leaf(executor().inspect())];
    let by = |witnesses: &[(&str, u8)]| witnessed(&leaves, "log", LOG_SEED, witnesses);
    let short = Some(Reason::WitnessQuorum);
    let impostor = ("two", 45);
    for (witnesses, expected) in [
        (&[][..], short),
        (&[one], short),
        (&[one, one], short),
        (&[one, stranger], short),
        (&[one, impostor], short),
        (&[one, two], None),
        (&[stranger, two, three], None),
    ] {
        let logged = by(witnesses);
        assert_eq!(answer(&guard, "authority", held("[]"), &[&logged[0]]), expected, "{witnesses:?}");
        assert_eq!(answer(&guard, "every_hop", executor(), &[&logged[0], &logged[1]]), expected, "{witnesses:?}");
        assert_eq!(answer(&guard, "none", executor(), &[]), None);
    }
    // each receipt by itself, whatever stands beside it
    let (plain, cosigned) = (by(&[]), by(&[one, two]));
    assert_eq!(answer(&guard, "every_hop", executor(), &[&cosigned[0], &plain[1]]), short);
    // witnesses replace no log
    let elsewhere = witnessed(&leaves, "log", LOG_SEED + 1, &[one, two]);
    assert_eq!(answer(&guard, "authority", held("[]"), &[&elsewhere[0]]), Some(Reason::CheckpointSignature));
    // and without them asked for, the plain receipt is as good as ever
    guard.replace_logs(vec![log_key("log", LOG_SEED)]);
    assert_eq!(answer(&guard, "every_hop", executor(), &[&plain[0], &plain[1]]), None);
}

/// Tokens of a parent, its child and a stranger's task; leaves that are right, of another token or altered; under log keys and
/// under witnesses: a verifier that remembers answers as one that doesn't, in whatever order it is asked.
#[test]
fn a_memory_of_receipts_changes_no_answer() {
    let [_, twin] = chain();
    let tokens = [held("[]"), executor(), twin];
    let leaves: Vec<_> = tokens.iter().map(|held| leaf(held.inspect())).collect();
    let one = ("one", 41);
    let key = WitnessKey::from_seed(one.0, &[one.1; 32]).unwrap();
    let log = log_key("log", LOG_SEED);
    let witnessed_too = Policy::parse(format!("log {log}\nwitness w {key}\nquorum w\n").as_bytes()).unwrap();
    let policies = [Policy::from(vec![log]), witnessed_too, Policy::default()];
    let present = |recorded: &Recorded| PresentedReceipt { leaf: recorded.leaf.clone(), receipt: recorded.receipt.clone() };
    let mut pool: Vec<_> = [&[][..], &[one]].iter().flat_map(|by| witnessed(&leaves, "log", LOG_SEED, by)).map(|it| present(&it)).collect();
    let swapped = PresentedReceipt { leaf: pool[0].leaf.clone(), receipt: pool[1].receipt.clone() };
    pool.push(swapped);
    let remembering = policies.clone().map(|policy| ReceiptVerifier::new(policy, 1 << 12, [3, 5]));
    let forgetting = policies.map(|policy| ReceiptVerifier::new(policy, 0, [3, 5]));
    let asked = (0..3_usize, 0..tokens.len(), 0..3_usize, vec(0..pool.len(), 0..4));
    let satisfied = std::cell::Cell::new(0);
    proptest!(ProptestConfig::with_cases(32), |(questions in vec(asked, 1..40))| {
        for (policy, token, demand, receipts) in questions {
            let text = write_receipts(&receipts.iter().map(|at| pool[*at].clone()).collect::<Vec<_>>());
            let demand = [ReceiptDemand::None, ReceiptDemand::Authority, ReceiptDemand::EveryHop][demand];
            let answer = |verifier: &ReceiptVerifier| verifier.check(tokens[token].inspect(), &text, demand);
            let expected = answer(&forgetting[policy]);
            satisfied.set(satisfied.get() + usize::from(expected.is_ok() && demand != ReceiptDemand::None));
            prop_assert_eq!(answer(&remembering[policy]), expected);
            prop_assert_eq!(answer(&remembering[policy]), expected);
        }
    });
    let held = |verifiers: &[ReceiptVerifier; 3]| verifiers.each_ref().map(ReceiptVerifier::remembered);
    assert_eq!(held(&forgetting), [0, 0, 0]);
    assert!(satisfied.get() > 0 && held(&remembering)[0] > 0 && held(&remembering)[2] == 0, "{:?}", held(&remembering));
}

/// What one token's holder presents does not serve another token, another demand or another policy.
#[test]
fn remembered_receipts_serve_their_token_and_policy_alone() {
    let guard = guard();
    let logged = recorded(&[leaf(held("[]").inspect()), leaf(executor().inspect())], "log", LOG_SEED);
    let (mint, hop) = (&logged[0], &logged[1]);
    for _ in 0..2 {
        assert_eq!(answer(&guard, "authority", held("[]"), &[mint]), None);
        assert_eq!(answer(&guard, "authority", executor(), &[mint]), None);
        assert_eq!(answer(&guard, "every_hop", executor(), &[mint, hop]), None);
        assert_eq!(answer(&guard, "every_hop", executor(), &[mint]), Some(Reason::ReceiptMissing), "as authority it was enough");
        let [_, twin] = chain();
        assert_eq!(answer(&guard, "every_hop", twin, &[mint, hop]), Some(Reason::ReceiptMissing));
    }
    guard.replace_logs(vec![log_key("log", LOG_SEED + 1)]);
    assert_eq!(answer(&guard, "authority", held("[]"), &[mint]), Some(Reason::CheckpointSignature), "a key no longer trusted");
}

#[test]
fn receipts_travel_from_holder_to_holder_and_in_mcp_calls() {
    let guard = guard();
    let logged = recorded(&[leaf(held("[]").inspect()), leaf(executor().inspect())], "log", LOG_SEED);
    let handed = held("[]").keeping(&logged[0]).receipts_with(&logged[1]);
    let holder = executor().with_receipts(&handed).ok().unwrap();
    assert_eq!(executor().with_receipts("a").err(), Some(Reason::ReceiptsMalformed));
    let call = holder.prove("crm.every_hop", &arguments("{}"), AUDIENCE, NOW);
    let params = call.mcp_params().ok().unwrap().canonical();
    assert!(guard.check_mcp(params.as_bytes(), NOW).is_ok());
    let call = executor().prove("crm.every_hop", &arguments("{}"), AUDIENCE, NOW);
    let params = call.mcp_params().ok().unwrap().canonical();
    assert_eq!(guard.check_mcp(params.as_bytes(), NOW).err().map(|refused| refused.reason()), Some(Reason::ReceiptMissing));
}

/// A guard whose root key is tainted, and spares what lies below this index of a log that one witness watches.
fn sparing(below: Option<u64>) -> Guard {
    let guard = guard();
    guard.replace_roots(RootKey { state: RootState::Tainted, spared_below: below, ..root() }.into());
    let witness = WitnessKey::new("w", public_key(&[30; 32]).as_bytes()).unwrap();
    let text = format!("log {}\nwitness w {witness}\nquorum w\n", log_key("log", LOG_SEED));
    guard.replace_logs(Policy::parse(text.as_bytes()).unwrap());
    guard
}

#[test]
fn a_tainted_key_spares_what_a_witnessed_receipt_shows_to_be_older_and_nothing_else() {
    let (mint, hop) = (leaf(held("[]").inspect()), leaf(executor().inspect()));
    let other = Leaf { id: EntryId::new([9; 16]), ..mint.clone() };
    let leaves = [other, mint, hop];
    let logged = witnessed(&leaves, "log", LOG_SEED, &[("w", 30)]);
    let tainted = Some(Reason::RootTainted);
    let guard = sparing(Some(2));
    assert_eq!(answer(&guard, "none", held("[]"), &[&logged[1]]), None);
    assert_eq!(answer(&guard, "none", executor(), &[&logged[1]]), None, "a holder's hop may be later");
    assert_eq!(answer(&guard, "every_hop", executor(), &[&logged[1], &logged[2]]), None);
    assert_eq!(answer(&guard, "none", held("[]"), &[]), tainted, "without a receipt");
    assert_eq!(answer(&guard, "none", executor(), &[&logged[2]]), Some(Reason::ReceiptMissing), "of the hop alone");
    assert_eq!(answer(&sparing(Some(1)), "none", held("[]"), &[&logged[1]]), tainted, "the leaf is at the index");
    assert_eq!(answer(&sparing(None), "none", held("[]"), &[&logged[1]]), tainted, "the key spares nothing");
    let unwitnessed = recorded(&leaves, "log", LOG_SEED);
    assert_eq!(answer(&guard, "none", held("[]"), &[&unwitnessed[1]]), Some(Reason::WitnessQuorum));
    guard.replace_logs(vec![log_key("log", LOG_SEED)]);
    assert_eq!(answer(&guard, "none", held("[]"), &[&logged[1]]), tainted, "a policy without witnesses can't tell");
}

#[test]
fn a_key_that_is_given_up_for_good_ends_what_was_spared() {
    let logged = witnessed(&[leaf(held("[]").inspect())], "log", LOG_SEED, &[("w", 30)]);
    let guard = sparing(Some(1));
    assert_eq!(answer(&guard, "none", held("[]"), &[&logged[0]]), None);
    guard.replace_roots(RootKey { state: RootState::Tainted, ..root() }.into());
    assert_eq!(answer(&guard, "none", held("[]"), &[&logged[0]]), Some(Reason::RootTainted));
}
