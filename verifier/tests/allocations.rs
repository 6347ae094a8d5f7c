//! The path of a call that is allowed, by a token that was seen before, allocates nothing.

use std::collections::BTreeSet;

use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use narrows_verifier::{
    Call, EntryId, RootKey, Roots, State, TaskId, Verifier,
    biscuit::{AuthorityClaims, HopClaims, append_hop, authority_block},
    caveat::parse_list,
    json::{Limits, parse},
    proof::{
        PossessionClaims,
        session::{OpenClaims, OpenRandomness, SessionGrant, SessionProof, check_session_open, sign_session_open},
    },
    public_key, token_text,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const NOW: u64 = 1_795_258_800;
const AUDIENCE: &str = "https://crm.example";
const CAVEATS: &str = r#"[{"kind":"tools","allow":["crm.read",{"prefix":"mail."}]},{"kind":"audience","one_of":["https://crm.example"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":8}]"#;
const HOP: &str = r#"[{"kind":"not_tools","deny":[{"prefix":"admin."}]},{"kind":"arg","tool":"crm.read","path":"/limit","is":{"range":{"max":50}}},{"kind":"arg","tool":"crm.read","path":"/price","is":{"decimal":{"max":"9.99"}}},{"kind":"arg","tool":"crm.read","path":"/to/0","is":{"any":[{"exact":"x"},{"all":[{"prefix":"a"},{"not":{"glob":"*-secret"}},{"length":{"max":20}}]}]}},{"kind":"arg","tool":"crm.read","path":"/tags","is":{"subset":["a","b",1]}},{"kind":"closed_args","tool":"crm.read","names":["limit","price","to","tags","host"]},{"kind":"arg","tool":"crm.read","path":"/host","is":{"cidr":["10.0.0.0/8"]}},{"kind":"time_window","window":{"days":["sat"],"from":"00:00","to":"24:00","utc_offset":"+00:00"}},{"kind":"calls","name":"n","max":5},{"kind":"budget","name":"b","unit":"EUR","max":"5","cost":{"each":"1"}},{"kind":"requires_prior","actions":["read"]},{"kind":"labels","none_of":["pii"]}]"#;

#[test]
fn an_allowed_call_of_a_known_token_allocates_nothing() {
    let caveats = |text: &str| parse_list(&parse(text.as_bytes(), Limits::CAVEATS).unwrap()).unwrap();
    let keys = |seed: u8| KeyPair::from(&PrivateKey::from_bytes(&[seed; 32], Algorithm::Ed25519).unwrap());
    let claims = AuthorityClaims {
        task: TaskId([1; 16]),
        issued: NOW - 60,
        actors: Vec::new(),
        lineage: Vec::new(),
        entry: EntryId([2; 16]),
        issuer: "https://issuer.example".to_owned(),
        subject: "p-7f3a".to_owned(),
        agent: "planner".to_owned(),
        holder: public_key(&[11; 32]).into(),
        dev: false,
        caveats: caveats(CAVEATS),
    };
    let authority = authority_block(&claims).unwrap().root_key_id(1);
    let token = authority.build_with_key_pair(&keys(1), SymbolTable::new(), &keys(2)).unwrap().to_vec().unwrap();
    let hop = HopClaims { holder: public_key(&[12; 32]), agent: "executor".to_owned(), entry: EntryId([3; 16]), caveats: caveats(HOP) };
    let text = token_text(&append_hop(&token, &[11; 32], &hop, &[4; 32]).unwrap());
    let roots = Roots::from(RootKey::active(1, public_key(&[1; 32])));
    let verifier = Verifier::new(64, [5, 6]);
    let token = verifier.verify(&text, &roots).unwrap();

    let tools = BTreeSet::from(["crm.read".to_owned()]);
    let open = OpenClaims { block: token.newest(), audience: AUDIENCE, tools: &tools, expires: NOW + 600 };
    let random = OpenRandomness { nonce: [7; 16], ephemeral: [8; 32].into() };
    let opening = sign_session_open(&open, NOW, &random, &[12; 32]).unwrap();
    let (request, _) = check_session_open(opening.text(), token.newest(), AUDIENCE, &public_key(&[12; 32]), NOW).unwrap();
    let grant = SessionGrant { tools: tools.clone(), expires: NOW + 600, id: [9; 16], ephemeral: [10; 32].into() };
    let (accept, session) = request.accept(grant, &[13; 32]).unwrap();
    let holder = opening.accepted(&accept, &public_key(&[13; 32]), NOW).unwrap();

    let arguments = parse(br#"{"limit":50,"price":9.5,"to":["abc"],"tags":["a",1],"host":"10.1.2.3"}"#, Limits::ARGUMENTS).unwrap();
    let state = State {
        calls: [("n".to_owned(), 4)].into(),
        spend: [("b".to_owned(), "4.50".to_owned())].into(),
        history: Some(["read".to_owned()].into()),
        labels: Some(BTreeSet::new()),
        ..State::default()
    };
    let proofs: Vec<String> = (0..10).map(|_| holder.prove("crm.read", arguments.digest(), NOW).unwrap().to_string()).collect();

    let profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().total_blocks;
    for proof in &proofs {
        let token = verifier.verify(&text, &roots).unwrap();
        let call = Call { tool: "crm.read", arguments: &arguments, audience: AUDIENCE, time: NOW };
        let claims = PossessionClaims { block: token.newest(), tool: call.tool, args_digest: arguments.digest(), audience: AUDIENCE };
        let proof = SessionProof::parse(proof).unwrap();
        session.accepts(&proof, &claims, NOW).unwrap();
        token.decide_with(&call, &state).unwrap();
    }
    let after = dhat::HeapStats::get().total_blocks;
    drop(profiler);
    assert_eq!(after - before, 0);
}
