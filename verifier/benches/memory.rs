//! What a verifier's memory buys: a child of a known parent, and a decision on a token that was seen before, on one thread and
//! on two. Depth counts blocks, the authority block included.

#![expect(clippy::disallowed_methods, reason = "a benchmark of threads has to read the clock itself")]
#![expect(missing_docs, reason = "criterion's macro writes a public function without one")]
#![expect(clippy::unwrap_used, reason = "a benchmark that can't build its tokens has nothing to measure")]

use std::{collections::BTreeSet, hint::black_box, time::Instant};

use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use narrows_verifier::{
    Call, Caveat, EntryId, RootKey, Roots, TaskId, Verifier,
    biscuit::{AuthorityClaims, HopClaims, append_hop, authority_block},
    caveat::parse_list,
    json::{Limits, Value, parse},
    proof::{
        PossessionClaims, check_possession,
        session::{HolderSession, OpenClaims, OpenRandomness, Session, SessionGrant, SessionProof, check_session_open, sign_session_open},
        sign_possession,
    },
    public_key, token_text,
};

fn known_parent(criterion: &mut Criterion) {
    let roots = roots();
    let mut group = criterion.benchmark_group("child_of_known_parent");
    for blocks in [3_u8, 8, 16] {
        let parent = chain(blocks - 1);
        let child = append_hop(&parent, &holder(blocks - 2), &hop(blocks - 2), &NEXT).unwrap();
        let verified = Verifier::new(64, SEED).verify_bytes(&child, &roots).unwrap();
        let arguments = arguments();
        let claims = PossessionClaims { block: verified.newest(), tool: TOOL, args_digest: arguments.digest(), audience: AUDIENCE };
        let proof = sign_possession(&claims, NOW, &[3; 16], &holder(blocks - 1));
        let knowing = || {
            let verifier = Verifier::new(64, SEED);
            verifier.verify_bytes(&parent, &roots).unwrap();
            verifier
        };
        group.bench_with_input(BenchmarkId::new("with_decision_and_proof", blocks), &child, |bencher, child| {
            bencher.iter_batched_ref(
                knowing,
                |verifier| {
                    let token = verifier.verify_bytes(black_box(child), &roots).unwrap();
                    let claims =
                        PossessionClaims { block: token.newest(), tool: TOOL, args_digest: arguments.digest(), audience: AUDIENCE };
                    check_possession(&proof, &claims, token.holder.key().unwrap(), NOW).unwrap();
                    token.decide(&call(&arguments)).unwrap();
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn warm(criterion: &mut Criterion) {
    let roots = roots();
    let mut group = criterion.benchmark_group("warm");
    for blocks in [1_u8, 3, 8] {
        let text = token_text(&chain(blocks));
        let verifier = Verifier::new(1024, SEED);
        let token = verifier.verify(&text, &roots).unwrap();
        let (session, holder) = session(token.newest(), blocks - 1);
        let arguments = arguments();
        group.bench_function(BenchmarkId::new("with_session_proof", blocks), |bencher| {
            bencher.iter_batched(
                || prove(&holder, &arguments),
                |proof| decide(&verifier, &text, &roots, &session, &arguments, &proof),
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new("without_proof", blocks), |bencher| {
            bencher.iter(|| verifier.verify(black_box(&text), &roots).unwrap().decide(&call(&arguments)).unwrap());
        });
    }
    group.finish();
}

/// So many calls in all, shared by the threads: the time falls as they are more, where the machine has the cores. Each thread
/// has a token of its own, as the callers of a tool do; `one_token` is the worst case, in which all use one.
fn threads(criterion: &mut Criterion) {
    let roots = roots();
    let verifier = Verifier::new(1024, SEED);
    let texts: Vec<String> = (0..4_u8)
        .map(|number| {
            let mut claims = claims();
            claims.task = TaskId([number; 16]);
            token_text(&mint(&claims))
        })
        .collect();
    texts.iter().for_each(|text| drop(verifier.verify(text, &roots).unwrap()));
    let arguments = arguments();
    let mut group = criterion.benchmark_group("threads");
    for (name, distinct) in [("own_tokens", true), ("one_token", false)] {
        for threads in [1_usize, 2] {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|iterations| {
                    let share = iterations.div_ceil(threads as u64);
                    let start = Instant::now();
                    std::thread::scope(|scope| {
                        for (index, text) in texts.iter().enumerate().take(threads) {
                            let text = if distinct { text } else { texts.first().unwrap_or(text) };
                            let (verifier, roots, arguments, _) = (&verifier, &roots, &arguments, index);
                            scope.spawn(move || {
                                (0..share).for_each(|_| verifier.verify(black_box(text), roots).unwrap().decide(&call(arguments)).unwrap());
                            });
                        }
                    });
                    start.elapsed()
                });
            });
        }
    }
    group.finish();
}

fn decide(verifier: &Verifier, text: &str, roots: &Roots, session: &Session, arguments: &Value, proof: &str) {
    let token = verifier.verify(black_box(text), roots).unwrap();
    let call = call(arguments);
    let claims = PossessionClaims { block: token.newest(), tool: call.tool, args_digest: arguments.digest(), audience: AUDIENCE };
    session.accepts(&SessionProof::parse(proof).unwrap(), &claims, NOW).unwrap();
    token.decide(&call).unwrap();
}

fn session(block: narrows_verifier::BlockId, index: u8) -> (Session, HolderSession) {
    let tools = BTreeSet::from([TOOL.to_owned()]);
    let open = OpenClaims { block, audience: AUDIENCE, tools: &tools, expires: NOW + 600 };
    let random = OpenRandomness { nonce: [7; 16], ephemeral: [8; 32].into() };
    let opening = sign_session_open(&open, NOW, &random, &holder(index)).unwrap();
    let (request, _) = check_session_open(opening.text(), block, AUDIENCE, &public_key(&holder(index)), NOW).unwrap();
    let grant = SessionGrant { tools, expires: NOW + 600, id: [9; 16], ephemeral: [10; 32].into() };
    let (accept, session) = request.accept(grant, &[13; 32]).unwrap();
    (session, opening.accepted(&accept, &public_key(&[13; 32]), NOW).unwrap())
}

fn prove(holder: &HolderSession, arguments: &Value) -> String {
    holder.prove(TOOL, arguments.digest(), NOW).unwrap().to_string()
}

/// A token of so many blocks, one caveat a hop.
fn chain(blocks: u8) -> Vec<u8> {
    (0..blocks - 1).fold(mint(&claims()), |token, index| append_hop(&token, &holder(index), &hop(index), &NEXT).unwrap())
}

fn mint(claims: &AuthorityClaims) -> Vec<u8> {
    let key = |seed: [u8; 32]| KeyPair::from(&PrivateKey::from_bytes(&seed, Algorithm::Ed25519).unwrap());
    let block = authority_block(claims).unwrap().root_key_id(1);
    block.build_with_key_pair(&key(ROOT), SymbolTable::new(), &key(NEXT)).unwrap().to_vec().unwrap()
}

fn claims() -> AuthorityClaims {
    AuthorityClaims {
        task: TaskId([1; 16]),
        issued: NOW - 60,
        actors: Vec::new(),
        lineage: Vec::new(),
        entry: EntryId([2; 16]),
        issuer: "https://issuer.example".to_owned(),
        subject: "p-7f3a".to_owned(),
        agent: "planner".to_owned(),
        holder: public_key(&holder(0)).into(),
        dev: false,
        caveats: caveats(
            br#"[{"kind":"tools","allow":["crm.read","crm.write"]},{"kind":"audience","one_of":["https://crm.example"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":15}]"#,
        ),
    }
}

fn hop(index: u8) -> HopClaims {
    HopClaims {
        holder: public_key(&holder(index + 1)),
        agent: format!("helper-{index}"),
        entry: EntryId([index; 16]),
        caveats: caveats(br#"[{"kind":"arg","tool":"crm.read","path":"/limit","is":{"range":{"max":50}}}]"#),
    }
}

fn caveats(text: &[u8]) -> Vec<Caveat> {
    parse_list(&parse(text, Limits::CAVEATS).unwrap()).unwrap()
}

fn arguments() -> Value {
    parse(br#"{"account":"a-17","limit":50}"#, Limits::ARGUMENTS).unwrap()
}

fn call(arguments: &Value) -> Call<'_> {
    Call { tool: TOOL, arguments, audience: AUDIENCE, time: NOW }
}

fn roots() -> Roots {
    Roots::from(RootKey::active(1, public_key(&ROOT)))
}

fn holder(index: u8) -> [u8; 32] {
    [index + 11; 32]
}

const ROOT: [u8; 32] = [1; 32];
const NEXT: [u8; 32] = [99; 32];
const SEED: [u64; 2] = [5, 6];
const TOOL: &str = "crm.read";
const AUDIENCE: &str = "https://crm.example";
/// An hour before the tokens expire.
const NOW: u64 = 1_795_258_800;

criterion_group!(benches, known_parent, warm, threads);
criterion_main!(benches);
