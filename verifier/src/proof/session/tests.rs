use std::{sync::Arc, thread};

use super::{super::*, *};
use crate::{BlockId, key::public_key};

const HOLDER: [u8; 32] = [7; 32];
const TOOL: [u8; 32] = [8; 32];
const NOW: u64 = 1_795_000_000;
const BLOCK: BlockId = BlockId([1; 32]);
const AUDIENCE: &str = "https://crm.example";

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn randomness(byte: u8) -> OpenRandomness {
    OpenRandomness { nonce: [byte; 16], ephemeral: [byte; 32].into() }
}

fn opening_for(tools: &BTreeSet<String>, expires: u64) -> Result<Opening, Reason> {
    sign_session_open(&OpenClaims { block: BLOCK, audience: AUDIENCE, tools, expires }, NOW, &randomness(3), &HOLDER)
}

fn opening() -> Opening {
    opening_for(&names(&["crm.list", "crm.read"]), NOW + 600).ok().unwrap()
}

fn requested(text: &str) -> Result<(SessionRequest, Once), Reason> {
    check_session_open(text, BLOCK, AUDIENCE, &public_key(&HOLDER), NOW)
}

fn grant(tools: &[&str], expires: u64) -> SessionGrant {
    SessionGrant { tools: names(tools), expires, id: [5; 16], ephemeral: [6; 32].into() }
}

/// Both ends of one session for `crm.read` and `crm.list`.
fn session() -> (HolderSession, Session) {
    let opening = opening();
    let (request, _) = requested(opening.text()).ok().unwrap();
    let (accept, session) = request.accept(grant(&["crm.list", "crm.read"], NOW + 600), &TOOL).ok().unwrap();
    (opening.accepted(&accept, &public_key(&TOOL), NOW).ok().unwrap(), session)
}

fn call() -> PossessionClaims<'static> {
    PossessionClaims { block: BLOCK, tool: "crm.read", args_digest: [2; 32], audience: AUDIENCE }
}

/// The members of an opening as they are signed, changed.
fn changed_opening(name: &str, value: Value) -> String {
    let opening = open_within(OPEN, opening().text(), MAX_STATEMENT, LIMITS).ok().unwrap();
    let Value::Object(mut members) = opening.value else { panic!() };
    members.insert(Key(name.to_owned()), value);
    seal(OPEN, &Value::Object(members), &HOLDER)
}

fn changed_accept(name: &str, value: Value, seed: &[u8; 32]) -> String {
    let (request, _) = requested(opening().text()).ok().unwrap();
    let (accept, _) = request.accept(grant(&["crm.read"], NOW + 600), &TOOL).ok().unwrap();
    let Value::Object(mut members) = open_within(ACCEPT, &accept, MAX_STATEMENT, LIMITS).ok().unwrap().value else { panic!() };
    members.insert(Key(name.to_owned()), value);
    seal(ACCEPT, &Value::Object(members), seed)
}

#[test]
fn both_ends_share_a_session_and_its_calls_are_the_tools_word() {
    let (holder, tool) = session();
    assert_eq!((holder.tools(), holder.expires(), holder.block(), holder.audience()), (&tool_names(), NOW + 600, BLOCK, AUDIENCE));
    for _ in 0..3 {
        let proof = holder.prove("crm.read", [2; 32], NOW).ok().unwrap();
        let sent = SessionProof::parse(&proof.to_string()).ok().unwrap();
        assert_eq!(sent.to_string(), proof.to_string());
        assert_eq!(tool.accepts(&sent, &call(), NOW), Ok(Evidence::ToolWord));
    }
}

fn tool_names() -> BTreeSet<String> {
    names(&["crm.list", "crm.read"])
}

#[test]
fn a_session_proof_is_good_for_its_call_alone() {
    let (holder, tool) = session();
    let proof = holder.prove("crm.read", [2; 32], NOW).ok().unwrap();
    let table = [
        (PossessionClaims { block: BlockId([9; 32]), ..call() }, Reason::ProofMismatch),
        (PossessionClaims { audience: "https://other.example", ..call() }, Reason::ProofMismatch),
        (PossessionClaims { tool: "crm.drop", ..call() }, Reason::SessionTool),
        (PossessionClaims { tool: "crm.list", ..call() }, Reason::SessionMac),
        (PossessionClaims { args_digest: [9; 32], ..call() }, Reason::SessionMac),
    ];
    for (other, reason) in table {
        assert_eq!(tool.accepts(&proof, &other, NOW), Err(reason), "{other:?}");
    }
    assert_eq!(tool.accepts(&SessionProof { session: [0; 16], ..proof }, &call(), NOW), Err(Reason::SessionUnknown));
    assert_eq!(tool.accepts(&SessionProof { counter: 2, ..proof }, &call(), NOW), Err(Reason::SessionMac));
    assert_eq!(tool.accepts(&SessionProof { mac: [0; 32], ..proof }, &call(), NOW), Err(Reason::SessionMac));
    // nothing of the above has used the counter up
    assert_eq!(tool.accepts(&proof, &call(), NOW), Ok(Evidence::ToolWord));
    assert_eq!(tool.accepts(&proof, &call(), NOW), Err(Reason::SessionCounter));
}

#[test]
fn counters_only_rise() {
    let (holder, tool) = session();
    let proofs: Vec<_> = (0..3).map(|_| holder.prove("crm.read", [2; 32], NOW).ok().unwrap()).collect();
    assert_eq!(tool.accepts(&proofs[1], &call(), NOW), Ok(Evidence::ToolWord));
    assert_eq!(tool.accepts(&proofs[0], &call(), NOW), Err(Reason::SessionCounter));
    assert_eq!(tool.accepts(&proofs[2], &call(), NOW), Ok(Evidence::ToolWord));
    // a counter of zero is below all
    let (_, tool) = session();
    let zero = SessionProof::sign(&holder.key, holder.id, 0, &call());
    assert_eq!(tool.accepts(&zero, &call(), NOW), Err(Reason::SessionCounter));
    // and after the last there is no more
    holder.last.store(u64::MAX, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(holder.prove("crm.read", [2; 32], NOW).err(), Some(Reason::SessionCounter));
}

#[test]
fn threads_never_accept_one_counter_twice() {
    let sessions: Vec<_> = (0..2).map(|_| session()).collect();
    for (holder, tool) in &sessions {
        let proofs: Vec<_> = (0..200).map(|_| holder.prove("crm.read", [2; 32], NOW).ok().unwrap()).collect();
        let accepted = |proofs: &[SessionProof]| proofs.iter().filter(|proof| tool.accepts(proof, &call(), NOW).is_ok()).count();
        // two threads send the same proofs, a third thread sends them as well
        let total: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| accepted(&proofs))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert!((1..=proofs.len()).contains(&total), "{total} of {} proofs were accepted", proofs.len());
        assert_eq!(accepted(&proofs), 0);
    }
}

#[test]
fn parallel_holders_get_counters_of_their_own() {
    let (holder, _) = session();
    let mut counters: Vec<_> = thread::scope(|scope| {
        let prove = || (0..100).map(|_| holder.prove("crm.read", [2; 32], NOW).ok().unwrap().counter).collect::<Vec<_>>();
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(prove)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    counters.sort_unstable();
    assert!(counters.into_iter().eq(1..=200));
}

#[test]
fn a_session_ends_on_time_on_both_sides() {
    let (holder, tool) = session();
    let proof = holder.prove("crm.read", [2; 32], NOW + 599).ok().unwrap();
    assert_eq!(holder.prove("crm.read", [2; 32], NOW + 600).err(), Some(Reason::SessionExpired));
    assert_eq!(tool.accepts(&proof, &call(), NOW + 600), Err(Reason::SessionExpired));
    assert_eq!(tool.accepts(&proof, &call(), NOW + 599), Ok(Evidence::ToolWord));
}

#[test]
fn a_holder_proves_no_tool_that_was_not_granted() {
    let opening = opening();
    let (request, _) = requested(opening.text()).ok().unwrap();
    let (accept, tool) = request.accept(grant(&["crm.read"], NOW + 600), &TOOL).ok().unwrap();
    let holder = opening.accepted(&accept, &public_key(&TOOL), NOW).ok().unwrap();
    assert_eq!(holder.prove("crm.list", [2; 32], NOW).err(), Some(Reason::SessionTool));
    let forced = SessionProof::sign(&holder.key, holder.id, 1, &PossessionClaims { tool: "crm.list", ..call() });
    assert_eq!(tool.accepts(&forced, &PossessionClaims { tool: "crm.list", ..call() }, NOW), Err(Reason::SessionTool));
}

#[test]
fn an_opening_is_bound_to_holder_block_audience_and_time() {
    let text = opening().text().to_owned();
    let holder = public_key(&HOLDER);
    let stranger = public_key(&TOOL);
    let check = |block, audience, holder, now| check_session_open(&text, block, audience, holder, now).err();
    assert_eq!(check(BLOCK, AUDIENCE, &holder, NOW), None);
    assert_eq!(check(BlockId([9; 32]), AUDIENCE, &holder, NOW), Some(Reason::ProofMismatch));
    assert_eq!(check(BLOCK, "https://other.example", &holder, NOW), Some(Reason::ProofMismatch));
    assert_eq!(check(BLOCK, AUDIENCE, &stranger, NOW), Some(Reason::ProofSignature));
    assert_eq!(check(BLOCK, AUDIENCE, &holder, NOW + 60), None);
    assert_eq!(check(BLOCK, AUDIENCE, &holder, NOW + 61), Some(Reason::ProofTime));
    assert_eq!(check(BLOCK, AUDIENCE, &holder, NOW - 11), Some(Reason::ProofTime));
    let short = opening_for(&names(&["x"]), NOW + 5).ok().unwrap();
    let late = check_session_open(short.text(), BLOCK, AUDIENCE, &holder, NOW + 5).err();
    assert_eq!(late, Some(Reason::SessionExpired));
}

#[test]
fn an_opening_makes_one_session() {
    let text = opening().text().to_owned();
    let mut cache = ReplayCache::new(4);
    let (_, once) = requested(&text).ok().unwrap();
    assert_eq!(cache.accept(once, NOW), Ok(()));
    assert_eq!(cache.accept(requested(&text).ok().unwrap().1, NOW), Err(Reason::ProofReplayed));
}

#[test]
fn openings_outside_their_bounds_are_neither_signed_nor_accepted() {
    let many: BTreeSet<_> = (0..65).map(|number| format!("tool {number}")).collect();
    let long = names(&[&"x".repeat(129)]);
    for tools in [&names(&[]), &names(&[""]), &many, &long] {
        assert_eq!(opening_for(tools, NOW + 600).err(), Some(Reason::SessionMalformed));
        assert_eq!(requested(&changed_opening("tools", write_tools(tools))).err(), Some(Reason::SessionMalformed));
    }
    let one = names(&["x"]);
    for (expires, reason) in [(NOW + 3601, Reason::SessionLifetime), (NOW, Reason::SessionExpired), (NOW - 1, Reason::SessionExpired)] {
        assert_eq!(opening_for(&one, expires).err(), Some(reason));
        assert_eq!(requested(&changed_opening("exp", seconds(expires))).err(), Some(reason));
    }
    assert!(requested(opening_for(&one, NOW + 3600).ok().unwrap().text()).is_ok());
    let widest: BTreeSet<_> = (0..64).map(|number| format!("{number:0>128}")).collect();
    assert!(requested(opening_for(&widest, NOW + 1).ok().unwrap().text()).is_ok());
}

#[test]
fn openings_in_another_form_are_refused() {
    let list = |items: &[&str]| Value::Array(items.iter().map(|item| Value::Text((*item).to_owned())).collect());
    let table = [
        ("tools", list(&["b", "a"]), Reason::SessionMalformed),
        ("tools", list(&["a", "a"]), Reason::SessionMalformed),
        ("tools", Value::Text("a".into()), Reason::SessionMalformed),
        ("tools", Value::Array(vec![Value::Integer(1)]), Reason::SessionMalformed),
        ("key", encode(&[1; 31]), Reason::ProofMalformed),
        ("nonce", encode(&[1; 15]), Reason::ProofMalformed),
        ("exp", Value::Text("soon".into()), Reason::ProofMalformed),
        ("exp", Value::Integer(-1), Reason::ProofTime),
        ("more", Value::Null, Reason::ProofMalformed),
    ];
    for (name, value, reason) in table {
        let text = changed_opening(name, value);
        assert_eq!(requested(&text).err(), Some(reason), "{name}");
    }
    assert_eq!(requested(&"a".repeat(MAX_STATEMENT + 1)).err(), Some(Reason::ProofMalformed));
    // a statement of another kind with the same members
    let value = open_within(OPEN, opening().text(), MAX_STATEMENT, LIMITS).ok().unwrap().value;
    assert_eq!(requested(&seal(ACCEPT, &value, &HOLDER)).err(), Some(Reason::ProofSignature));
}

#[test]
fn a_tool_grants_no_more_than_was_asked() {
    let (request, _) = requested(opening().text()).ok().unwrap();
    assert_eq!((request.tools(), request.expires()), (&tool_names(), NOW + 600));
    let refused = |grant| request.accept(grant, &TOOL).err();
    assert_eq!(refused(grant(&["crm.drop"], NOW + 600)), Some(Reason::SessionTool));
    assert_eq!(refused(grant(&["crm.read"], NOW + 601)), Some(Reason::SessionLifetime));
    assert_eq!(refused(grant(&[], NOW + 600)), Some(Reason::SessionMalformed));
    assert_eq!(refused(grant(&["crm.read"], NOW + 60)), None);
}

#[test]
fn a_holder_accepts_only_its_tools_answer_to_its_own_opening() {
    let pinned = public_key(&TOOL);
    let answered = |accept: &str| opening().accepted(accept, &pinned, NOW).err();
    let text = |text: &str| Value::Text(text.to_owned());
    assert_eq!(answered(&changed_accept("exp", seconds(NOW + 600), &TOOL)), None);
    let stranger = changed_accept("exp", seconds(NOW + 600), &[9; 32]);
    let table = [
        (stranger, Reason::SessionAcceptSignature),
        (changed_accept("open", encode(&[0; 32]), &TOOL), Reason::ProofMismatch),
        (changed_accept("tools", Value::Array(vec![text("crm.drop")]), &TOOL), Reason::SessionTool),
        (changed_accept("tools", Value::Array(Vec::new()), &TOOL), Reason::SessionMalformed),
        (changed_accept("exp", seconds(NOW + 601), &TOOL), Reason::SessionLifetime),
        (changed_accept("exp", seconds(NOW), &TOOL), Reason::SessionExpired),
        (changed_accept("key", encode(&[0; 32]), &TOOL), Reason::SessionKey),
        (changed_accept("key", encode(&[1; 33]), &TOOL), Reason::ProofMalformed),
        (changed_accept("session", encode(&[1; 15]), &TOOL), Reason::ProofMalformed),
        (changed_accept("more", Value::Null, &TOOL), Reason::ProofMalformed),
        ("a.b".to_owned(), Reason::ProofMalformed),
    ];
    for (accept, reason) in table {
        assert_eq!(answered(&accept), Some(reason));
    }
    // an opening of the same holder with other randomness has another digest
    let other = sign_session_open(
        &OpenClaims { block: BLOCK, audience: AUDIENCE, tools: &tool_names(), expires: NOW + 600 },
        NOW,
        &randomness(4),
        &HOLDER,
    );
    let accept = changed_accept("exp", seconds(NOW + 600), &TOOL);
    assert_eq!(other.ok().unwrap().accepted(&accept, &pinned, NOW).err(), Some(Reason::ProofMismatch));
}

#[test]
fn ephemerals_of_small_order_make_no_session() {
    // the points of order 1, 2, 4 and 8 on the curve and its twist, and their spellings above the field prime (RFC 7748 §6.1)
    let small = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    for point in small {
        let point: [u8; 32] = crate::id::from_hex(point).unwrap();
        let (request, _) = requested(&changed_opening("key", encode(&point))).ok().unwrap();
        assert_eq!(request.accept(grant(&["crm.read"], NOW + 600), &TOOL).err(), Some(Reason::SessionKey));
        assert_eq!(
            opening().accepted(&changed_accept("key", encode(&point), &TOOL), &public_key(&TOOL), NOW).err(),
            Some(Reason::SessionKey)
        );
    }
}

#[test]
fn a_changed_half_gives_another_key() {
    let opening = opening();
    let (request, _) = requested(opening.text()).ok().unwrap();
    let (_, tool) = request.accept(grant(&["crm.list", "crm.read"], NOW + 600), &TOOL).ok().unwrap();
    // the same ephemerals and id, another end
    let (accept, _) = request.accept(grant(&["crm.list", "crm.read"], NOW + 599), &TOOL).ok().unwrap();
    let holder = opening.accepted(&accept, &public_key(&TOOL), NOW).ok().unwrap();
    let proof = holder.prove("crm.read", [2; 32], NOW).ok().unwrap();
    assert_eq!(tool.accepts(&proof, &call(), NOW), Err(Reason::SessionMac));
}

#[test]
fn a_session_proof_has_one_spelling() {
    let (holder, _) = session();
    let good = holder.prove("crm.read", [2; 32], NOW).ok().unwrap().to_string();
    assert_eq!(good.len(), 76);
    let bytes = URL_SAFE_NO_PAD.decode(&good).unwrap();
    let version = URL_SAFE_NO_PAD.encode([&[2], &bytes[1..]].concat());
    let standard = good.replace('-', "+").replace('_', "/");
    let padded = format!("{}==", good.split_at(74).0);
    let table =
        ["", "a", good.split_at(1).1, &format!("{good}A"), &format!("{good}="), &padded, &version, &"é".repeat(38), &" ".repeat(76)];
    for text in table {
        assert_eq!(SessionProof::parse(text).err(), Some(Reason::SessionMalformed), "{text}");
    }
    assert!(standard == good || SessionProof::parse(&standard).is_err());
    assert_eq!(SessionProof::parse(&good).ok().unwrap().unverified_session(), &[5; 16]);
}

#[test]
fn the_table_of_sessions_is_bounded_and_drops_only_what_ended() {
    let (request, _) = requested(opening().text()).ok().unwrap();
    let session = |id: u8, expires| {
        let grant = SessionGrant { id: [id; 16], ..grant(&["crm.read"], expires) };
        request.accept(grant, &TOOL).ok().unwrap().1
    };
    let mut table = Sessions::new(2);
    assert!(table.is_empty());
    assert_eq!(table.insert(session(1, NOW + 10), NOW), Ok(()));
    assert_eq!(table.insert(session(1, NOW + 20), NOW), Err(Reason::Internal));
    assert_eq!(table.insert(session(2, NOW + 20), NOW), Ok(()));
    assert_eq!(table.insert(session(3, NOW + 20), NOW + 9), Err(Reason::SessionsFull));
    assert!(table.find(&[1; 16]).is_some() && table.find(&[3; 16]).is_none());
    assert_eq!(table.insert(session(3, NOW + 20), NOW + 10), Ok(()));
    assert!(table.find(&[1; 16]).is_none() && table.find(&[2; 16]).is_some());
    assert_eq!(table.len(), 2);
    // a clock that steps back does not bring in what has ended
    assert_eq!(table.insert(session(4, NOW + 5), NOW), Err(Reason::SessionExpired));
    let shared: Arc<Session> = table.find(&[3; 16]).unwrap();
    assert_eq!(shared.expires, NOW + 20);
}
