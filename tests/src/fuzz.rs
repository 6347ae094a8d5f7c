//! What fuzzing runs, and the replay of its corpus in every test run: any bytes, held against what the parser promises.
//!
//! Where the bytes alone would end at a signature, they are also signed as their holder or issuer would sign them, so that
//! what lies behind the signature is reached.

use std::sync::LazyLock;

use narrows_verifier::{
    BlockId, Call, Caveat, Reason, State, UnverifiedToken, VerifiedToken,
    biscuit::{Dialect, append_hop, append_plain, seal},
    caveat::parse_list,
    json::{Limits, Value, parse},
    log::{
        self, Bundle, Checkpoint, Leaf, Note, Policy, Receipt, VerifierKey, WitnessKey, cosign, read_receipts, signature_line,
        write_receipts,
    },
    proof::{
        HolderClaims, MAX_AGE_SECONDS, NarrowClaims, PossessionClaims, ReportClaims, check_holder, check_narrow, check_possession,
        check_report, sign_possession,
    },
    token_bytes, token_text,
};
use prost::Message;

use crate::{
    engine,
    tokens::{self, AUDIENCE, EXECUTOR, NOW, PLANNER, Seed, THIEF, WORKER},
};

/// A function for any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its folder in the corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("token", token),
    ("caveat", caveat),
    ("possession", possession),
    ("receipt", receipt),
    ("receipts", receipts),
    ("note", note),
    ("trust", trust),
    ("bundle", bundle),
    ("json", json),
];

/// The bytes of a token, as they are and with every signature made again.
pub fn token(data: &[u8]) {
    judge(data);
    let Ok(mut message) = biscuit_auth::format::schema::Biscuit::decode(data) else { return };
    if message.blocks.len() >= 16 || message.authority.external_signature.is_some() {
        return;
    }
    message.root_key_id = Some(tokens::ISSUER_KEY_ID);
    let hops = message.blocks.iter().filter(|block| block.external_signature.is_some()).count();
    let seeds: Vec<Seed> = [PLANNER, EXECUTOR, WORKER].iter().chain([&THIEF; 16]).map(|party| party.seed).take(hops).collect();
    tokens::sign_chain(&mut message, &seeds);
    judge(&message.encode_to_vec());
}

/// A caveat's JSON, or a list of them.
pub fn caveat(data: &[u8]) {
    let Ok(value) = parse(data, Limits::CAVEATS) else { return };
    let listed = parse_list(&value).unwrap_or_default();
    let single = Caveat::from_json(&value).into_iter();
    for caveat in single.chain(listed) {
        assert_eq!(Caveat::from_json(&caveat.to_json()).as_ref(), Ok(&caveat), "what is read can be written");
        assert!(!caveat.sentence().contains('\n'), "a sentence is one line");
        // a block can refuse what a list may hold, by its bounds; what it takes must come back as it was
        static PARENT: LazyLock<Vec<u8>> = LazyLock::new(tokens::sample);
        let Ok(token) = append_plain(&PARENT, std::slice::from_ref(&caveat), &tokens::next_seed(1)) else { continue };
        match verify(&token) {
            Ok(verified) => assert_eq!(*verified.blocks[1].caveats, [caveat], "a caveat comes back from its block"),
            Err(reason) => assert_eq!(reason, Reason::HopOutlivesParent),
        }
    }
}

/// A proof of possession as text, and any payload truly signed as one.
pub fn possession(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    possession_text(&text);
    if let Some((payload, _)) = text.split_once('.')
        && let Ok(payload) = token_bytes(payload)
        && let Ok(payload) = String::from_utf8(payload)
    {
        possession_text(&tokens::statement("narrows/possession/1", &payload, &EXECUTOR.seed));
    }
    possession_text(&tokens::statement("narrows/possession/1", &text, &EXECUTOR.seed));
}

/// A receipt's text, alone and with its checkpoint truly signed.
pub fn receipt(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key = log_key();
    receipt_text(text, &key);
    let Ok(receipt) = Receipt::parse(text) else { return };
    if let Ok(note) = Note::parse(receipt.checkpoint) {
        let signed = signed_note(note.unverified_text(), &key);
        receipt_text(&Receipt { checkpoint: &signed, ..receipt.clone() }.encode(), &key);
    }
}

/// A checkpoint or another signed note, a verifier key, and the same text truly signed.
pub fn note(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let key = log_key();
    if let Ok(read) = VerifierKey::parse(text) {
        assert_eq!(read.to_string(), text, "a key has one text");
    }
    note_text(text, &key);
    let unsigned = text.rsplit_once("\n\n").map_or(text, |(before, _)| &text[..before.len() + 1]);
    note_text(&signed_note(unsigned, &key), &key);
}

/// The receipts beside a token, as the header carries them.
pub fn receipts(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(presented) = read_receipts(text) else { return };
    assert!(presented.len() <= 16 && text.len() <= log::MAX_RECEIPTS_BYTES);
    assert_eq!(write_receipts(&presented), text, "receipts have one text");
    let keys = [log_key()];
    for it in presented {
        if let Ok(leaf) = Leaf::parse(&it.leaf) {
            assert_eq!(Leaf::parse(&it.leaf).as_ref(), Ok(&leaf));
        }
        assert_eq!(
            Policy::from(keys.to_vec()).verify_receipt(&it.receipt, &it.leaf),
            log::verify(&it.receipt, &it.leaf, &keys),
            "log keys alone are a policy that asks for nothing more"
        );
    }
}

/// A trust policy, a zero byte, and a note: as they are, and the note truly signed and cosigned.
pub fn trust(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (policy, note) = text.split_once('\0').unwrap_or((text, ""));
    if let Ok(policy) = Policy::parse(policy.as_bytes())
        && let Ok(checkpoint) = policy.verify_checkpoint(note)
    {
        assert_eq!(log::verify_checkpoint(note, policy.logs()), Ok(checkpoint), "a log has signed it");
        assert_eq!(policy.shortfall(note), Ok(None), "the quorum has cosigned it");
        assert!(Policy::default().verify_checkpoint(note).is_err(), "who trusts nobody accepts nothing");
    }
    let unsigned = note.rsplit_once("\n\n").map_or(note, |(before, _)| &note[..before.len() + 1]);
    let key = log_key();
    let signed = signed_note(unsigned, &key);
    let witness = WitnessKey::from_seed(WITNESS_NAME, &WITNESS_SEED).expect("a key");
    let demanding = Policy::parse(format!("log {key}\nwitness w {witness}\nquorum w\n").as_bytes()).expect("a policy");
    let Ok(checkpoint) = log::verify_checkpoint(&signed, std::slice::from_ref(&key)) else {
        assert!(demanding.verify_checkpoint(&signed).is_err());
        return;
    };
    assert_eq!(demanding.verify_checkpoint(&signed).map_err(|refusal| refusal.reason), Err(Reason::WitnessQuorum));
    let cosigned = cosign(WITNESS_NAME, &WITNESS_SEED, 1, unsigned).expect("a checkpoint is cosigned");
    assert_eq!(demanding.verify_checkpoint(&(signed + &cosigned)), Ok(checkpoint));
}

/// An evidence bundle, as it is and under a checkpoint that is truly signed.
pub fn bundle(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Bundle::parse(text) else { return };
    assert_eq!(Bundle::parse(&read.to_text()).as_ref(), Ok(&read), "what is read can be written");
    let verified = read.verify(&read.keys);
    assert!(verified.is_err() || verified.is_ok_and(|verified| verified.entries.len() == read.entries.len()), "a leaf was dropped");
    let key = log_key();
    assert!(read.keys.contains(&key) || read.verify(std::slice::from_ref(&key)).is_err(), "its keys vouch for themselves");
    let Ok(note) = Note::parse(&read.checkpoint) else { return };
    // the proofs lead to the root, whoever signs it; the origin is the log's own
    let Some((_, rest)) = note.unverified_text().split_once('\n') else { return };
    let checkpoint = signed_note(&format!("{LOG_NAME}\n{rest}"), &key);
    let signed = Bundle { checkpoint, keys: vec![key.clone()], ..read };
    let Ok(verified) = signed.verify(std::slice::from_ref(&key)) else { return };
    assert_eq!(verified.entries.len(), signed.entries.len(), "a leaf was dropped");
    let mut changed = signed.clone();
    if let Some(entry) = changed.entries.first_mut() {
        entry.leaf.push(' ');
        assert!(changed.verify(&[key]).is_err(), "a leaf was changed");
    }
}

/// The JSON of a call's arguments.
pub fn json(data: &[u8]) {
    let Ok(value) = parse(data, Limits::ARGUMENTS) else { return };
    let canonical = value.canonical();
    let again = parse(canonical.as_bytes(), Limits { bytes: usize::MAX, ..Limits::ARGUMENTS });
    assert_eq!(again.as_ref(), Ok(&value), "the canonical text means the same");
    let other: serde_json::Value = serde_json::from_slice(data).expect("what is accepted is JSON to another reader");
    assert!(same(&value, &other), "another reader sees {other}, this one {canonical}");
}

/// The guard and the chain, against the library and against each other. Checks that no caveat renders are let pass, as
/// building does and as an operator can ask for: more of the token is read so.
fn judge(bytes: &[u8]) {
    let strict = UnverifiedToken::from_bytes(bytes);
    let Ok(unverified) = UnverifiedToken::from_bytes_in(bytes, Dialect::OperatorChecks) else {
        assert!(strict.is_err() && append_plain(bytes, &[], &tokens::next_seed(90)).is_err() && seal(bytes).is_err());
        return;
    };
    assert!(bytes.len() <= 16 * 1024, "the guard lets a large token pass");
    let message = tokens::decode(bytes);
    assert_eq!(message.encode_to_vec(), bytes, "a token has one byte form");
    assert_eq!(token_bytes(&token_text(bytes)).as_deref(), Ok(bytes));
    for made in [append_plain(bytes, &[], &tokens::next_seed(90)), append_hop(bytes, &PLANNER.seed, &WORKER.claims(Vec::new()), &[91; 32])]
    {
        let Ok(made) = made else { continue };
        assert_eq!(tokens::decode(&made).blocks.len(), message.blocks.len() + 1);
        assert!(UnverifiedToken::from_bytes_in(&made, Dialect::OperatorChecks).is_ok(), "the guard refuses what was built");
    }
    let verified = unverified.verify(&tokens::roots());
    if let Ok(strict) = strict {
        let ids = |token: &VerifiedToken| token.block_ids();
        assert_eq!(strict.verify(&tokens::roots()).as_ref().map(ids), verified.as_ref().map(ids));
    }
    let Ok(verified) = verified else { return };
    let library = engine::verify(bytes, &tokens::roots()).expect("the library accepts what is accepted here");
    let ids: Vec<_> = verified.block_ids().iter().map(BlockId::to_string).collect();
    assert_eq!(ids, tokens::block_ids(bytes));
    let arguments = parse(br#"{"limit":20,"account":"a","nested":{"list":[1,true,"x"]}}"#, Limits::ARGUMENTS).expect("arguments");
    for tool in ["crm.read", "db.drop"] {
        let call = Call { tool, arguments: &arguments, audience: AUDIENCE, time: NOW };
        let decision = verified.decide(&call);
        // a refusal without a failed caveat is one for its cost, which the library does not bound
        if decision.as_ref().is_err_and(|denial| denial.failures.is_empty()) {
            continue;
        }
        let facts = verified.facts(&call, &State::default()).expect("facts of a call that was decided");
        let failed = engine::failed_checks(&library, &facts).expect("the engine answers");
        assert_eq!(failed.is_empty(), decision.is_ok(), "the engine sees {failed:?} failing");
    }
}

fn verify(bytes: &[u8]) -> Result<VerifiedToken, Reason> {
    UnverifiedToken::from_bytes(bytes).and_then(|token| token.verify(&tokens::roots())).map_err(|refusal| refusal.reason)
}

fn possession_text(text: &str) {
    let holder = EXECUTOR.key();
    let claims =
        PossessionClaims { block: BlockId([1; 32]), tool: "crm.read", args_digest: Value::object([]).digest(), audience: AUDIENCE };
    let Ok(once) = check_possession(text, &claims, &holder, NOW) else { return };
    assert!(text.len() <= 8 * 1024);
    let payload = text.split_once('.').and_then(|(payload, _)| token_bytes(payload).ok()).expect("a payload");
    let members: serde_json::Value = serde_json::from_slice(&payload).expect("a payload in JSON");
    let nonce = token_bytes(members["nonce"].as_str().expect("a nonce")).expect("a nonce").try_into().expect("a nonce of 16 bytes");
    let signed = members["iat"].as_u64().expect("a time");
    // Ed25519 is deterministic, so a proof has one text; the fuzzer knows no other signature of the holder
    assert_eq!(sign_possession(&claims, signed, &nonce, &EXECUTOR.seed), text);
    assert_eq!(once.forget_after, signed + MAX_AGE_SECONDS);
    assert!(check_possession(text, &claims, &holder, once.forget_after + 1).is_err(), "it outlives its window");
    assert!(check_possession(text, &PossessionClaims { tool: "crm.write", ..claims }, &holder, NOW).is_err(), "it fits another tool");
    assert!(check_possession(text, &claims, &THIEF.key(), NOW).is_err(), "it fits another holder");
    let as_holder = HolderClaims { issuer: "i", client: "c", subject_digest: [0; 32] };
    assert!(check_holder(text, &as_holder, &holder, NOW).is_err(), "it passes for another kind");
    let as_report = ReportClaims { issuer: "i", block: BlockId([1; 32]) };
    assert!(check_report(text, &as_report, [&holder, &holder], NOW).is_err(), "it passes for another kind");
    let as_narrow = NarrowClaims { issuer: "i", client: "c", block: BlockId([1; 32]), new_holder: [0; 32], request_digest: [0; 32] };
    assert!(check_narrow(text, &as_narrow, &holder, NOW).is_err(), "it passes for another kind");
}

fn receipt_text(text: &str, key: &VerifierKey) {
    let keys = std::slice::from_ref(key);
    let verified = log::verify(text, b"leaf", keys);
    let Ok(receipt) = Receipt::parse(text) else {
        assert!(verified.is_err());
        return;
    };
    assert_eq!(receipt.encode(), text, "a receipt has one text");
    let Ok(verified) = verified else { return };
    assert_eq!((verified.index, verified.origin.as_str()), (receipt.index, key.name()));
    assert!(verified.index < verified.size);
    assert!(log::verify(text, b"another leaf", keys).is_err(), "it fits another leaf");
    let other = VerifierKey::new(key.name(), THIEF.key().as_bytes()).expect("a key");
    assert!(log::verify(text, b"leaf", &[other]).is_err(), "it fits another log's key");
}

fn note_text(text: &str, key: &VerifierKey) {
    let keys = std::slice::from_ref(key);
    let verified = log::verify_checkpoint(text, keys);
    let Ok(note) = Note::parse(text) else {
        assert!(verified.is_err());
        return;
    };
    assert!(text.starts_with(note.unverified_text()) && note.unverified_text().ends_with('\n'));
    let checkpoint = Checkpoint::parse(note.unverified_text());
    if let Ok(checkpoint) = &checkpoint {
        assert!(note.unverified_text().starts_with(&checkpoint.to_string()), "a checkpoint has one text");
    }
    let signed = note.verify(keys).is_ok();
    let vouched = checkpoint.ok().filter(|checkpoint| signed && checkpoint.origin == key.name());
    assert_eq!(verified.ok(), vouched, "a checkpoint counts when the log of its name signed it");
}

/// A text with a signature of the log's key beneath.
fn signed_note(text: &str, key: &VerifierKey) -> String {
    let signature = tokens::sign(&LOG_SEED, text.as_bytes()).try_into().expect("64 bytes");
    format!("{text}\n{}", signature_line(key, &signature))
}

fn log_key() -> VerifierKey {
    VerifierKey::new(LOG_NAME, narrows_verifier::public_key(&LOG_SEED).as_bytes()).expect("a key")
}

/// Whether two readers saw the same. The other one rounds decimals to within a unit in the last place.
fn same(ours: &Value, other: &serde_json::Value) -> bool {
    use serde_json::Value as Other;
    match (ours, other) {
        (Value::Null, Other::Null) => true,
        (Value::Flag(one), Other::Bool(two)) => one == two,
        (Value::Integer(one), Other::Number(two)) => near(*one as f64, two),
        (Value::Decimal(one), Other::Number(two)) => one.as_str().parse().is_ok_and(|one| near(one, two)),
        (Value::Text(one), Other::String(two)) => one == two,
        (Value::Array(one), Other::Array(two)) => one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two)),
        (Value::Object(one), Other::Object(two)) => {
            one.len() == two.len() && one.iter().all(|(key, value)| two.get(&key.0).is_some_and(|other| same(value, other)))
        }
        _ => false,
    }
}

fn near(one: f64, two: &serde_json::Number) -> bool {
    two.as_f64().is_some_and(|two| (one - two).abs() <= one.abs() * 4.0 * f64::EPSILON)
}

/// The log of the corpus: its name and its key.
pub const LOG_NAME: &str = "log.example/fuzz";
/// See [`LOG_NAME`].
pub const LOG_SEED: Seed = [33; 32];
/// Its witness.
pub const WITNESS_NAME: &str = "witness.example/fuzz";
/// See [`WITNESS_NAME`].
pub const WITNESS_SEED: Seed = [34; 32];
