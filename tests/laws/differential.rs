//! The verifier against the Biscuit library: the same checks fail, and nothing is accepted that the library refuses.

use std::cell::Cell;

use biscuit_auth::format::schema;
use narrows_tests::{engine, tokens};
use narrows_verifier::{Reason, biscuit::seal};
use proptest::{collection::vec, prelude::*, sample::Index, test_runner::TestRunner};

use super::{
    cases,
    generate::{OwnedCall, Tree, call, tree, verify},
};

/// At least so many calls are put to both in an ordinary run of so many cases; `NARROWS_LAW_SCALE` scales both.
const CALLS_COMPARED: u64 = 20_000;
const CASES: u32 = 300;

#[test]
fn the_engine_finds_the_same_checks_failing() {
    let (compared, permitted) = (Cell::new(0_u64), Cell::new(0_u64));
    let config = cases(CASES);
    let least = CALLS_COMPARED * u64::from(config.cases / CASES);
    let law = |(tree, calls): (Tree, Vec<OwnedCall>)| {
        for node in tree.nodes() {
            let library = engine::verify(&node.bytes, &tokens::roots()).expect("the library reads what it built");
            let Ok(token) = verify(&node.bytes) else { continue };
            for call in &calls {
                let facts = token.facts(&call.borrow(), &call.state).unwrap();
                let ours = crate::conformance::failed_checks(&token, &token.decide_with(&call.borrow(), &call.state));
                compared.set(compared.get() + 1);
                permitted.set(permitted.get() + u64::from(ours.is_empty()));
                prop_assert_eq!(engine::failed_checks(&library, &facts).unwrap(), ours, "{:?}", call);
            }
        }
        Ok(())
    };
    let result = TestRunner::new(config).run(&(tree(), vec(call(), 16..28)), law);
    result.unwrap_or_else(|error| panic!("{error}"));
    println!("{} calls were decided by the verifier and by the engine, {} of them permitted", compared.get(), permitted.get());
    assert!(compared.get() >= least, "only {} calls were compared", compared.get());
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn changed_bytes_are_refused_wherever_the_library_refuses(base in any::<Index>(), changes in vec(change(), 1..4)) {
        let base = &bases()[base.index(bases().len())];
        let changed = changes.iter().fold(base.clone(), |token, change| change.make(&token));
        compare(&changed, &[Reason::TokenNotCanonical])?;
    }

    /// Content changed under good signatures, as a holder or a careless issuer could make it.
    #[test]
    fn changed_content_is_refused_wherever_the_library_refuses(base in any::<Index>(), changes in vec(content_change(), 1..4)) {
        let base = &bases()[base.index(bases().len())];
        let changed = tokens::edit(base, |token| {
            for change in &changes {
                change.make(token);
            }
            let hops = token.blocks.iter().filter(|block| block.external_signature.is_some()).count();
            let seeds = [tokens::PLANNER.seed, tokens::EXECUTOR.seed];
            tokens::sign_chain(token, &seeds[..hops]);
        });
        compare(&changed, &OUTSIDE_PROFILE)?;
    }
}

/// Why the verifier may refuse a well-signed token that the library accepts: its content is not of the profile.
const OUTSIDE_PROFILE: [Reason; 16] = [
    Reason::TokenMalformed,
    Reason::TokenNotCanonical,
    Reason::OutsideProfile,
    Reason::TooManyFacts,
    Reason::TooManyChecks,
    Reason::CostBound,
    Reason::MixedTypes,
    Reason::UnknownCaveat,
    Reason::FactsInPlainBlock,
    Reason::ProfileFacts,
    Reason::KeyAlgorithm,
    Reason::WeakKey,
    Reason::HopSigner,
    Reason::HopIndex,
    Reason::HopDepth,
    Reason::HopOutlivesParent,
];

fn compare(token: &[u8], reasons: &[Reason]) -> Result<(), TestCaseError> {
    let ours = verify(token);
    let theirs = engine::verify(token, &tokens::roots());
    match (ours, theirs) {
        (Ok(verified), Ok(library)) => {
            // the library reads blocks in full only when it decides
            let arguments = narrows_verifier::json::Value::object([]);
            let call = narrows_verifier::Call { tool: "crm.read", arguments: &arguments, audience: tokens::AUDIENCE, time: tokens::NOW };
            let facts = call.facts(verified.depth()).unwrap();
            let failed = engine::failed_checks(&library, &facts);
            prop_assert!(failed.is_ok(), "the engine gives no answer: {:?}", failed.err());
            prop_assert_eq!(failed.unwrap(), crate::conformance::failed_checks(&verified, &verified.decide(&call)));
        }
        (Ok(_), Err(error)) => prop_assert!(false, "the library alone refuses: {error}"),
        (Err(refusal), Ok(_)) => prop_assert!(reasons.contains(&refusal.reason), "the library alone accepts: {refusal}"),
        (Err(_), Err(_)) => {}
    }
    Ok(())
}

/// Tokens with every kind of block and caveat, open and sealed.
pub(super) fn bases() -> &'static [Vec<u8>] {
    static BASES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    BASES.get_or_init(|| {
        let caveats = r#"[{"kind":"arg","tool":"crm.read","path":"/limit","is":{"one_of":[1,"a",true]}},{"kind":"arg","tool":"a","path":"/b","is":{"range":{"min":1,"max":5}}},{"kind":"closed_args","tool":"crm.read","names":["limit","b"]},{"kind":"tools","allow":["crm.read",{"prefix":"mail."}]}]"#;
        let one = tokens::hop(&tokens::sample(), &tokens::PLANNER, &tokens::EXECUTOR, caveats);
        let two = tokens::hop(&tokens::plain(&one, caveats), &tokens::EXECUTOR, &tokens::WORKER, "[]");
        let open = [tokens::sample(), one, two];
        let sealed = open.iter().map(|token| seal(token).unwrap());
        open.iter().cloned().chain(sealed).collect()
    })
}

/// A change to the bytes or the outer message, which breaks signatures.
#[derive(Clone, Debug)]
pub(super) enum Change {
    FlipBit(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Swap(Index, Index),
    Drop(Index),
    Double(Index),
    FromOther(Index, Index),
    ProofOfOther(Index),
    NextKey(Index, u8),
    DropExternal(Index),
    Version(Index, Option<u32>),
    RootKeyId(Option<u32>),
}

impl Change {
    pub(super) fn make(&self, token: &[u8]) -> Vec<u8> {
        use prost::Message;
        let mut bytes = token.to_vec();
        match self {
            Change::FlipBit(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                return bytes;
            }
            Change::Insert(at, byte) => {
                bytes.insert(at.index(bytes.len() + 1), *byte);
                return bytes;
            }
            Change::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
                return bytes;
            }
            _ => {}
        }
        let Ok(mut message) = schema::Biscuit::decode(token) else { return bytes };
        let other = |index: &Index| tokens::decode(&bases()[index.index(bases().len())]);
        let count = message.blocks.len() + 1;
        let block = |token: &mut schema::Biscuit, index: &Index| tokens::block_mut(token, index.index(count)).clone();
        match self {
            Change::Swap(one, two) => {
                let (first, second) = (block(&mut message, one), block(&mut message, two));
                *tokens::block_mut(&mut message, one.index(count)) = second;
                *tokens::block_mut(&mut message, two.index(count)) = first;
            }
            Change::Drop(at) if count > 1 => drop(message.blocks.remove(at.index(count - 1))),
            Change::Double(at) => {
                let copy = block(&mut message, at);
                message.blocks.push(copy);
            }
            Change::FromOther(base, at) => {
                let mut other = other(base);
                let others = other.blocks.len() + 1;
                *tokens::block_mut(&mut message, at.index(count)) = tokens::block_mut(&mut other, at.index(others)).clone();
            }
            Change::ProofOfOther(base) => message.proof = other(base).proof,
            Change::NextKey(at, seed) => tokens::block_mut(&mut message, at.index(count)).next_key = tokens::ed25519(&[*seed; 32]),
            Change::DropExternal(at) => tokens::block_mut(&mut message, at.index(count)).external_signature = None,
            Change::Version(at, version) => tokens::block_mut(&mut message, at.index(count)).version = *version,
            Change::RootKeyId(id) => message.root_key_id = *id,
            _ => {}
        }
        message.encode_to_vec()
    }
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0_u8..8).prop_map(|(at, bit)| Change::FlipBit(at, bit)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => at().prop_map(Change::Remove),
        1 => (at(), at()).prop_map(|(one, two)| Change::Swap(one, two)),
        1 => at().prop_map(Change::Drop),
        1 => at().prop_map(Change::Double),
        1 => (at(), at()).prop_map(|(base, at)| Change::FromOther(base, at)),
        1 => at().prop_map(Change::ProofOfOther),
        1 => (at(), 100_u8..105).prop_map(|(at, seed)| Change::NextKey(at, seed)),
        1 => at().prop_map(Change::DropExternal),
        1 => (at(), prop::option::of(0_u32..4)).prop_map(|(at, version)| Change::Version(at, version)),
        1 => prop::option::of(6_u32..10).prop_map(Change::RootKeyId),
    ]
}

/// A change to the content of a block, which is signed again afterwards.
#[derive(Clone, Debug)]
enum ContentChange {
    FlipBit(Index, Index, u8),
    Schema(Index, u32),
    CheckKind(Index, Index, i32),
    Operator(Index, Index, i32),
    Symbol(Index, Index, String),
    DropSymbol(Index, Index),
    FactTwice(Index, Index),
    CheckTwice(Index, Index),
    DropCheck(Index, Index),
    CheckOfOther(Index, Index, Index),
    Constant(Index, Index, i64),
}

impl ContentChange {
    fn make(&self, token: &mut schema::Biscuit) {
        use prost::Message;
        let count = token.blocks.len() + 1;
        let other = match self {
            ContentChange::CheckOfOther(_, from, _) => {
                schema::Block::decode(tokens::block_mut(token, from.index(count)).block.as_slice()).ok()
            }
            _ => None,
        };
        let block = tokens::block_mut(token, self.block().index(count));
        if let ContentChange::FlipBit(_, at, bit) = self {
            let at = at.index(block.block.len());
            block.block[at] ^= 1 << bit;
            return;
        }
        let Ok(mut content) = schema::Block::decode(block.block.as_slice()) else { return };
        let pick = |index: &Index, length: usize| (length > 0).then(|| index.index(length));
        let checks = content.checks.len();
        match self {
            ContentChange::Schema(_, version) => content.version = Some(*version),
            ContentChange::CheckKind(_, at, kind) => {
                if let Some(at) = pick(at, checks) {
                    content.checks[at].kind = Some(*kind);
                }
            }
            ContentChange::Operator(_, at, kind) => {
                let mut operators: Vec<_> = ops(&mut content)
                    .filter_map(|op| match &mut op.content {
                        Some(schema::op::Content::Binary(binary)) => Some(binary),
                        _ => None,
                    })
                    .collect();
                if let Some(at) = pick(at, operators.len()) {
                    operators[at].kind = *kind;
                }
            }
            ContentChange::Symbol(_, at, text) => {
                let at = at.index(content.symbols.len() + 1);
                content.symbols.insert(at, text.clone());
            }
            ContentChange::DropSymbol(_, at) => {
                if let Some(at) = pick(at, content.symbols.len()) {
                    content.symbols.remove(at);
                }
            }
            ContentChange::FactTwice(_, at) => {
                if let Some(at) = pick(at, content.facts.len()) {
                    content.facts.push(content.facts[at].clone());
                }
            }
            ContentChange::CheckTwice(_, at) => {
                if let Some(at) = pick(at, checks) {
                    content.checks.push(content.checks[at].clone());
                }
            }
            ContentChange::DropCheck(_, at) => {
                if let Some(at) = pick(at, checks) {
                    content.checks.remove(at);
                }
            }
            ContentChange::CheckOfOther(_, _, at) => {
                if let Some(check) = other.and_then(|other| pick(at, other.checks.len()).map(|at| other.checks[at].clone())) {
                    content.checks.push(check);
                }
            }
            ContentChange::Constant(_, at, number) => {
                let mut values: Vec<_> = ops(&mut content)
                    .filter_map(|op| match &mut op.content {
                        Some(schema::op::Content::Value(value)) => Some(value),
                        _ => None,
                    })
                    .collect();
                if let Some(at) = pick(at, values.len()) {
                    values[at].content = Some(schema::term::Content::Integer(*number));
                }
            }
            ContentChange::FlipBit(..) => {}
        }
        block.block = content.encode_to_vec();
    }

    fn block(&self) -> &Index {
        match self {
            ContentChange::FlipBit(block, ..)
            | ContentChange::Schema(block, ..)
            | ContentChange::CheckKind(block, ..)
            | ContentChange::Operator(block, ..)
            | ContentChange::Symbol(block, ..)
            | ContentChange::DropSymbol(block, ..)
            | ContentChange::FactTwice(block, ..)
            | ContentChange::CheckTwice(block, ..)
            | ContentChange::DropCheck(block, ..)
            | ContentChange::CheckOfOther(block, ..)
            | ContentChange::Constant(block, ..) => block,
        }
    }
}

fn ops(content: &mut schema::Block) -> impl Iterator<Item = &mut schema::Op> {
    let queries = content.checks.iter_mut().flat_map(|check| &mut check.queries);
    queries.flat_map(|query| &mut query.expressions).flat_map(|expression| &mut expression.ops)
}

fn content_change() -> impl Strategy<Value = ContentChange> {
    let at = any::<Index>;
    let text = prop::sample::select(vec!["read", "crm.read", "x", "tool"]).prop_map(str::to_owned);
    prop_oneof![
        6 => (at(), at(), 0_u8..8).prop_map(|(block, at, bit)| ContentChange::FlipBit(block, at, bit)),
        2 => (at(), 2_u32..8).prop_map(|(block, version)| ContentChange::Schema(block, version)),
        1 => (at(), at(), 0_i32..4).prop_map(|(block, at, kind)| ContentChange::CheckKind(block, at, kind)),
        2 => (at(), at(), 0_i32..31).prop_map(|(block, at, kind)| ContentChange::Operator(block, at, kind)),
        1 => (at(), at(), text).prop_map(|(block, at, text)| ContentChange::Symbol(block, at, text)),
        1 => (at(), at()).prop_map(|(block, at)| ContentChange::DropSymbol(block, at)),
        1 => (at(), at()).prop_map(|(block, at)| ContentChange::FactTwice(block, at)),
        1 => (at(), at()).prop_map(|(block, at)| ContentChange::CheckTwice(block, at)),
        1 => (at(), at()).prop_map(|(block, at)| ContentChange::DropCheck(block, at)),
        2 => (at(), at(), at()).prop_map(|(block, from, at)| ContentChange::CheckOfOther(block, from, at)),
        1 => (at(), at(), any::<i64>()).prop_map(|(block, at, number)| ContentChange::Constant(block, at, number)),
    ]
}
