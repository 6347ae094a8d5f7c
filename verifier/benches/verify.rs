//! What a token costs: making an authority block, appending a hop, and verifying from bytes to a decision that a proof of
//! possession backs, at depths 1, 3 and 8, beside the signature checks of the Biscuit library alone on the same bytes.

#![expect(missing_docs, reason = "criterion's macro writes a public function without one")]
#![expect(clippy::unwrap_used, reason = "a benchmark that can't build its tokens has nothing to measure")]

use std::hint::black_box;

use biscuit_auth::{
    Biscuit, KeyPair, PrivateKey,
    builder::{Algorithm, BiscuitBuilder},
    datalog::SymbolTable,
};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use ed25519_dalek::{Signer, SigningKey, Verifier};
use narrows_verifier::{
    Call, Caveat, EntryId, PublicKey, RootKey, Roots, TaskId, UnverifiedToken,
    biscuit::{AuthorityClaims, HopClaims, append_hop, authority_block, seal},
    caveat::parse_list,
    json::{Limits, Value, parse},
    proof::{PossessionClaims, check_possession, sign_possession},
    public_key,
};

/// What the verifier's own signature check saves beside the library's strict one, which it must equal in every answer.
fn key(criterion: &mut Criterion) {
    let (message, seed) = ([7; 400], holder(0));
    let signer = SigningKey::from_bytes(&seed);
    let signature = signer.sign(&message);
    let (key, library, bytes) = (public_key(&seed), signer.verifying_key(), signature.to_bytes());
    let mut group = criterion.benchmark_group("key");
    group.bench_function("verifies", |bencher| bencher.iter(|| key.verifies(black_box(&message), black_box(&bytes))));
    group.bench_function("library_strict", |bencher| bencher.iter(|| library.verify_strict(black_box(&message), &signature).unwrap()));
    group.bench_function("library_loose", |bencher| bencher.iter(|| library.verify(black_box(&message), &signature).unwrap()));
    group.bench_function("from_bytes", |bencher| bencher.iter(|| PublicKey::from_bytes(black_box(key.as_bytes())).unwrap()));
    group.bench_function("public_key", |bencher| bencher.iter(|| public_key(black_box(&seed))));
    group.bench_function("belongs_to", |bencher| bencher.iter(|| key.belongs_to(black_box(&seed))));
    group.finish();
}

fn make(criterion: &mut Criterion) {
    let (root, next) = (key_pair(ROOT), key_pair(NEXT));
    let claims = claims();
    criterion.bench_function("mint", |bencher| {
        bencher.iter(|| mint(authority_block(black_box(&claims)).unwrap(), &root, &next).to_vec().unwrap());
    });
    let parent = chain(0);
    let hop = hop(0);
    criterion.bench_function("hop", |bencher| bencher.iter(|| append_hop(black_box(&parent), &holder(0), &hop, &NEXT).unwrap()));
    criterion.bench_function("seal", |bencher| bencher.iter(|| seal(black_box(&parent)).unwrap()));
}

fn verify(criterion: &mut Criterion) {
    let roots = Roots::from(RootKey::active(1, public_key(&ROOT)));
    let library_root = key_pair(ROOT).public();
    let text = br#"{"account":"a-17","limit":50}"#;
    let mut group = criterion.benchmark_group("verify");
    for depth in [1, 3, 8] {
        let token = chain(depth);
        let newest = UnverifiedToken::from_bytes(&token).unwrap().verify(&roots).unwrap().newest();
        let digest = arguments(text).digest();
        let claims = PossessionClaims { block: newest, tool: TOOL, args_digest: digest, audience: AUDIENCE };
        let proof = sign_possession(&claims, NOW, &[3; 16], &holder(depth));
        group.bench_with_input(BenchmarkId::new("narrows_with_decision_and_proof", depth), &token, |bencher, token| {
            bencher.iter(|| {
                let verified = UnverifiedToken::from_bytes(black_box(token)).unwrap().verify(&roots).unwrap();
                let arguments = arguments(text);
                verified.decide(&Call { tool: TOOL, arguments: &arguments, audience: AUDIENCE, time: NOW }).unwrap();
                let claims = PossessionClaims { block: verified.newest(), tool: TOOL, args_digest: arguments.digest(), audience: AUDIENCE };
                check_possession(&proof, &claims, verified.holder.key().unwrap(), NOW).unwrap()
            });
        });
        group.bench_with_input(BenchmarkId::new("narrows_chain", depth), &token, |bencher, token| {
            bencher.iter(|| UnverifiedToken::from_bytes(black_box(token)).unwrap().verify(&roots).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("narrows_guard", depth), &token, |bencher, token| {
            bencher.iter(|| UnverifiedToken::from_bytes(black_box(token)).unwrap());
        });
        group.bench_with_input(BenchmarkId::new("biscuit_signatures", depth), &token, |bencher, token| {
            bencher.iter(|| Biscuit::from(black_box(token), library_root).unwrap());
        });
    }
    group.finish();
}

fn chain(depth: u8) -> Vec<u8> {
    let token = mint(authority_block(&claims()).unwrap(), &key_pair(ROOT), &key_pair(NEXT)).to_vec().unwrap();
    (0..depth).fold(token, |token, index| append_hop(&token, &holder(index), &hop(index), &NEXT).unwrap())
}

fn claims() -> AuthorityClaims {
    AuthorityClaims {
        task: TaskId([1; 16]),
        entry: EntryId([2; 16]),
        issued: NOW - 60,
        issuer: "https://issuer.example".to_owned(),
        subject: "p-7f3a".to_owned(),
        agent: "planner".to_owned(),
        holder: public_key(&holder(0)).into(),
        actors: Vec::new(),
        lineage: Vec::new(),
        dev: false,
        caveats: caveats(
            br#"[{"kind":"tools","allow":["crm.read","crm.write"]},{"kind":"audience","one_of":["https://crm.example"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":8}]"#,
        ),
    }
}

/// One caveat a hop, on an argument of the call.
fn hop(index: u8) -> HopClaims {
    HopClaims {
        holder: public_key(&holder(index + 1)),
        agent: format!("helper-{index}"),
        entry: EntryId([index; 16]),
        caveats: caveats(br#"[{"kind":"arg","tool":"crm.read","path":"/limit","is":{"range":{"max":50}}}]"#),
    }
}

fn mint(block: BiscuitBuilder, root: &KeyPair, next: &KeyPair) -> Biscuit {
    block.root_key_id(1).build_with_key_pair(root, SymbolTable::new(), next).unwrap()
}

fn caveats(text: &[u8]) -> Vec<Caveat> {
    parse_list(&parse(text, Limits::CAVEATS).unwrap()).unwrap()
}

fn arguments(text: &[u8]) -> Value {
    parse(text, Limits::ARGUMENTS).unwrap()
}

fn key_pair(seed: [u8; 32]) -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&seed, Algorithm::Ed25519).unwrap())
}

fn holder(index: u8) -> [u8; 32] {
    [index + 11; 32]
}

const ROOT: [u8; 32] = [1; 32];
const NEXT: [u8; 32] = [99; 32];
const TOOL: &str = "crm.read";
const AUDIENCE: &str = "https://crm.example";
/// An hour before the tokens expire.
const NOW: u64 = 1_795_258_800;

criterion_group!(benches, key, make, verify);
criterion_main!(benches);
