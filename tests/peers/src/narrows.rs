//! Narrows: every hop signed by its holder, a proof of possession with every call.

use std::{collections::BTreeSet, hint::black_box};

use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use narrows_verifier::{
    BlockId, Call, Caveat, EntryId, RootKey, Roots, TaskId, UnverifiedToken, Verifier,
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

use crate::{
    intent::{ACCOUNTS, ARGUMENTS, AUDIENCE, LIMIT, READ, REGION, ROOT, WRITE, holder, hop_limit},
    measure::Cell,
};

/// An hour before the tokens expire.
const NOW: u64 = 1_795_258_800;
/// Never a holder's seed.
const NEXT: [u8; 32] = [99; 32];
const TOOL_KEY: [u8; 32] = [13; 32];
const HASH_SEED: [u64; 2] = [5, 6];

pub fn mint() -> Cell {
    let (claims, root, next) = (claims(), key_pair(&ROOT), key_pair(&NEXT));
    Cell::timed(move || mint_with(&claims, &root, &next))
}

pub fn hop() -> Cell {
    let (parent, claims) = (chain(1), hop_claims(1));
    Cell::timed(move || append_hop(black_box(&parent), &holder(0), &claims, &NEXT).unwrap())
}

pub fn cold(depth: usize) -> Cell {
    cold_for(chain(depth), depth)
}

/// The same with the constraints on both tools.
pub fn cold_wide(depth: usize) -> Cell {
    let claims = AuthorityClaims { caveats: [required(), constraints(READ), constraints(WRITE)].concat(), ..claims() };
    cold_for(chain_of(depth, &claims), depth)
}

fn cold_for(token: Vec<u8>, depth: usize) -> Cell {
    let roots = roots();
    let proof = proof(&token, depth);
    Cell::timed(move || {
        let verified = UnverifiedToken::from_bytes(black_box(&token)).unwrap().verify(&roots).unwrap();
        let arguments = arguments();
        verified.decide(&call(&arguments)).unwrap();
        let claims = PossessionClaims { block: verified.newest(), tool: READ, args_digest: arguments.digest(), audience: AUDIENCE };
        check_possession(&proof, &claims, verified.holder.key().unwrap(), NOW).unwrap()
    })
}

/// The same at a verifier that has met these agents with another token, and so knows their keys as points.
pub fn cold_of_known_agents(depth: usize) -> Cell {
    cold_after(chain_of(depth, &AuthorityClaims { task: TaskId([2; 16]), ..claims() }), depth)
}

/// From the bytes of a token whose parent, one block shorter, has been verified before, to a decision with proof.
pub fn child_of_known(depth: usize) -> Cell {
    cold_after(chain(depth - 1), depth)
}

/// A token's bytes to a decision with proof, at a verifier that has verified `before` and nothing else.
fn cold_after(before: Vec<u8>, depth: usize) -> Cell {
    let (token, roots) = (chain(depth), roots());
    let proof = proof(&token, depth);
    let knowing = {
        let roots = self::roots();
        move || {
            let verifier = Verifier::new(64, HASH_SEED);
            verifier.verify_bytes(&before, &roots).unwrap();
            verifier
        }
    };
    Cell::timed_on(knowing, move |verifier| {
        let verified = verifier.verify_bytes(black_box(&token), &roots).unwrap();
        let arguments = arguments();
        verified.decide(&call(&arguments)).unwrap();
        let claims = PossessionClaims { block: verified.newest(), tool: READ, args_digest: arguments.digest(), audience: AUDIENCE };
        check_possession(&proof, &claims, verified.holder.key().unwrap(), NOW).unwrap()
    })
}

/// From a token's text that was seen before, with arguments that the tool has parsed and a session proof, to a decision.
pub fn warm() -> Cell {
    let (text, roots, verifier) = (token_text(&chain(3)), roots(), Verifier::new(1024, HASH_SEED));
    let (session, holder) = session(verifier.verify(&text, &roots).unwrap().newest(), 2);
    let arguments = arguments();
    let prove = {
        let digest = arguments.digest();
        move || holder.prove(READ, digest, NOW).unwrap().to_string()
    };
    Cell::timed_on(prove, move |proof| {
        let verified = verifier.verify(black_box(&text), &roots).unwrap();
        let claims = PossessionClaims { block: verified.newest(), tool: READ, args_digest: arguments.digest(), audience: AUDIENCE };
        session.accepts(&SessionProof::parse(proof).unwrap(), &claims, NOW).unwrap();
        verified.decide(&call(&arguments)).unwrap();
    })
}

pub fn decision() -> Cell {
    let verified = UnverifiedToken::from_bytes(&chain(3)).unwrap().verify(&roots()).unwrap();
    Cell::timed(move || verified.decide(&call(&arguments())).unwrap())
}

pub fn size(depth: usize) -> Cell {
    Cell::Bytes(chain(depth).len())
}

/// Whether a hop that puts `child` beside the mint's `parent`, both matchers of one argument, is accepted, and permits exactly
/// those values that both take.
pub fn narrowing_holds(parent: &str, child: &str, values: &[&str]) -> bool {
    let matcher = |text: &str| caveats(&format!(r#"[{{"kind":"arg","tool":"{READ}","path":"/x","is":{text}}}]"#));
    let with = |caveats: Vec<Caveat>| {
        let claims = AuthorityClaims { caveats: [required(), caveats].concat(), ..claims() };
        mint_with(&claims, &key_pair(&ROOT), &key_pair(&NEXT))
    };
    let permits = |token: &[u8], value: &str| {
        let arguments = parse(format!(r#"{{"x":{value}}}"#).as_bytes(), Limits::ARGUMENTS).unwrap();
        UnverifiedToken::from_bytes(token).unwrap().verify(&roots()).unwrap().decide(&call(&arguments)).is_ok()
    };
    let (wide, alone) = (with(matcher(parent)), with(matcher(child)));
    let hop = HopClaims { caveats: matcher(child), ..hop_claims(1) };
    let Ok(narrow) = append_hop(&wide, &holder(0), &hop, &NEXT) else { return false };
    let expected = |value: &&&str| permits(&narrow, value) == (permits(&wide, value) && permits(&alone, value));
    values.iter().filter(expected).count() == values.len()
}

/// A token of `depth` blocks, the authority block counted.
fn chain(depth: usize) -> Vec<u8> {
    chain_of(depth, &claims())
}

fn chain_of(depth: usize, claims: &AuthorityClaims) -> Vec<u8> {
    let token = mint_with(claims, &key_pair(&ROOT), &key_pair(&NEXT));
    (1..depth).fold(token, |token, index| append_hop(&token, &holder(index - 1), &hop_claims(index), &NEXT).unwrap())
}

/// The newest holder's proof for the call.
fn proof(token: &[u8], depth: usize) -> String {
    let block = UnverifiedToken::from_bytes(token).unwrap().verify(&roots()).unwrap().newest();
    let claims = PossessionClaims { block, tool: READ, args_digest: arguments().digest(), audience: AUDIENCE };
    sign_possession(&claims, NOW, &[3; 16], &holder(depth - 1))
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
        caveats: [required(), constraints(READ)].concat(),
    }
}

/// The three constraints, on one tool.
fn constraints(tool: &str) -> Vec<Caveat> {
    let account = format!(r#"{{"kind":"arg","tool":"{tool}","path":"/account","is":{{"one_of":["{}","{}"]}}}}"#, ACCOUNTS[0], ACCOUNTS[1]);
    let region = format!(r#"{{"kind":"arg","tool":"{tool}","path":"/region","is":{{"prefix":"{REGION}"}}}}"#);
    caveats(&format!("[{account},{},{region}]", limit(tool, LIMIT)))
}

/// What every authority block of the profile must hold.
fn required() -> Vec<Caveat> {
    caveats(&format!(
        r#"[{{"kind":"tools","allow":["{READ}","{WRITE}"]}},{{"kind":"audience","one_of":["{AUDIENCE}"]}},{{"kind":"expires","at":"2026-11-21T12:00:00Z"}},{{"kind":"depth","max":15}}]"#
    ))
}

fn hop_claims(index: usize) -> HopClaims {
    HopClaims {
        holder: public_key(&holder(index)),
        agent: format!("helper-{index}"),
        entry: EntryId([index as u8; 16]),
        caveats: caveats(&format!("[{}]", limit(READ, hop_limit(index)))),
    }
}

fn limit(tool: &str, max: i64) -> String {
    format!(r#"{{"kind":"arg","tool":"{tool}","path":"/limit","is":{{"range":{{"max":{max}}}}}}}"#)
}

fn mint_with(claims: &AuthorityClaims, root: &KeyPair, next: &KeyPair) -> Vec<u8> {
    let block = authority_block(black_box(claims)).unwrap().root_key_id(1);
    block.build_with_key_pair(root, SymbolTable::new(), next).unwrap().to_vec().unwrap()
}

fn call(arguments: &Value) -> Call<'_> {
    Call { tool: READ, arguments, audience: AUDIENCE, time: NOW }
}

fn arguments() -> Value {
    parse(black_box(ARGUMENTS).as_bytes(), Limits::ARGUMENTS).unwrap()
}

fn roots() -> Roots {
    Roots::from(RootKey::active(1, public_key(&ROOT)))
}

/// A session for the reading tool: the tool's half and the holder's.
fn session(block: BlockId, index: usize) -> (Session, HolderSession) {
    let tools = BTreeSet::from([READ.to_owned()]);
    let open = OpenClaims { block, audience: AUDIENCE, tools: &tools, expires: NOW + 600 };
    let random = OpenRandomness { nonce: [7; 16], ephemeral: [8; 32].into() };
    let opening = sign_session_open(&open, NOW, &random, &holder(index)).unwrap();
    let (request, _) = check_session_open(opening.text(), block, AUDIENCE, &public_key(&holder(index)), NOW).unwrap();
    let grant = SessionGrant { tools, expires: NOW + 600, id: [9; 16], ephemeral: [10; 32].into() };
    let (accept, session) = request.accept(grant, &TOOL_KEY).unwrap();
    (session, opening.accepted(&accept, &public_key(&TOOL_KEY), NOW).unwrap())
}

fn caveats(text: &str) -> Vec<Caveat> {
    parse_list(&parse(text.as_bytes(), Limits::CAVEATS).unwrap()).unwrap()
}

fn key_pair(seed: &[u8; 32]) -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(seed, Algorithm::Ed25519).unwrap())
}
