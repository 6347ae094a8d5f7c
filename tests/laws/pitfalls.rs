//! One test for each measured way in which a Biscuit can break its verifier, named by the promise that it guards.

use biscuit_auth::{
    BlockBuilder, KeyPair, PrivateKey,
    builder::{Algorithm, BiscuitBuilder},
    format::schema,
};
use narrows_tests::{
    engine,
    tokens::{
        self, AUDIENCE, EXECUTOR, NOW, PLANNER, THIEF, WORKER, authority, block, decode, edit, edit_block, hop, hop_block, hop_fact, mint,
        mint_block, next_seed, plain, plain_block, required_checks, roots, sample, sign_chain,
    },
};
use narrows_verifier::{
    Call, Caveat, Reason, RootKey, UnverifiedToken,
    biscuit::{append_hop, append_plain, parse_check, seal},
    json, proof,
    proof::{Once, ReplayCache},
};
use prost::Message;

/// What the guard says, which looks at no signature: the reason stays the same when every signature is wrong.
fn guard(token: &[u8]) -> Reason {
    let refusal = UnverifiedToken::from_bytes(token).expect_err("the guard refuses it").reason;
    if let Ok(mut message) = schema::Biscuit::decode(token) {
        message.authority.signature.iter_mut().for_each(|byte| *byte ^= 0x55);
        message.blocks.iter_mut().flat_map(|block| &mut block.signature).for_each(|byte| *byte ^= 0x55);
        if refusal != Reason::TokenNotCanonical {
            assert_eq!(UnverifiedToken::from_bytes(&message.encode_to_vec()).err().map(|refusal| refusal.reason), Some(refusal));
        }
    }
    refusal
}

fn verify(token: &[u8]) -> Result<narrows_verifier::VerifiedToken, Reason> {
    UnverifiedToken::from_bytes(token).and_then(|token| token.verify(&roots())).map_err(|refusal| refusal.reason)
}

fn decide(token: &[u8], tool: &str, arguments: &str) -> Result<(), Reason> {
    let arguments = json::parse(arguments.as_bytes(), json::Limits::ARGUMENTS).unwrap();
    verify(token)?.decide(&Call { tool, arguments: &arguments, audience: AUDIENCE, time: NOW }).map_err(|denial| denial.reason)
}

fn with_checks(code: &str) -> Vec<u8> {
    plain_block(&sample(), block(code))
}

#[test]
pub(super) fn refuses_join_bomb_before_evaluation() {
    let bomb =
        "check if arg_int($p, $a), arg_int($q, $b), arg_int($r, $c), arg_int($s, $d), arg_int($t, $e), $a + $b + $c + $d + $e === -1";
    assert_eq!(guard(&with_checks(bomb)), Reason::CostBound);
    let facts: String = (0..40).map(|number| format!("f({number});")).collect();
    let original = mint_block(authority(&(required_checks() + &facts)));
    assert_eq!(guard(&original), Reason::OutsideProfile);
}

#[test]
pub(super) fn the_cost_of_a_decision_is_bounded_before_it_starts() {
    let numbers = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let caveat = format!(r#"[{{"kind":"arg","tool":"crm.read","path":"/a","is":{{"contains":[{}]}}}}]"#, numbers(99));
    let token = plain(&plain(&sample(), &caveat), &caveat);
    let list = |count: usize| format!(r#"{{"a":[{}]}}"#, numbers(count));
    assert_eq!(decide(&token, "crm.read", &list(499)), Ok(()));
    assert_eq!(decide(&token, "crm.read", &list(500)), Err(Reason::CostBound));
    assert_eq!(decide(&token, "crm.read", &list(1_000)), Err(Reason::CostBound));
}

#[test]
pub(super) fn refuses_fact_bomb_by_counting_bytes_not_rounds() {
    assert_eq!(guard(&with_checks("agent($a) <- arg_text($p, $a), arg_text($q, $b), arg_text($r, $c)")), Reason::OutsideProfile);
    let facts: String = (0..60).map(|number| format!("agent(\"a{number}\");")).collect();
    assert_eq!(guard(&mint_block(authority(&(required_checks() + &facts)))), Reason::TooManyFacts);
}

#[test]
pub(super) fn mixed_types_are_refused_and_never_decide_by_chance() {
    assert_eq!(guard(&with_checks("check if arg_int(\"/a\", $v), $v.starts_with(\"5\")")), Reason::MixedTypes);
    // the token that flips in the library: amounts and currencies in one position
    let token = plain(&sample(), r#"[{"kind":"arg","tool":"crm.read","path":"/amount","is":{"range":{"max":500}}}]"#);
    for _ in 0..200 {
        assert_eq!(decide(&token, "crm.read", r#"{"amount":120,"currency":"EUR"}"#), Ok(()));
        assert_eq!(decide(&token, "crm.read", r#"{"amount":"120","currency":"EUR"}"#), Err(Reason::ArgumentRefused));
    }
}

#[test]
pub(super) fn only_ed25519_signs_so_no_signature_can_be_varied() {
    let p256 = KeyPair::from(&PrivateKey::from_bytes(&[3; 32], Algorithm::Secp256r1).unwrap());
    let next = tokens::mint_with(authority(&required_checks()).root_key_id(tokens::ISSUER_KEY_ID), &p256);
    assert_eq!(guard(&next), Reason::KeyAlgorithm);
    let root = authority(&required_checks()).root_key_id(tokens::ISSUER_KEY_ID);
    let root = root.build_with_key_pair(&p256, biscuit_auth::datalog::SymbolTable::new(), &tokens::next_key(0)).unwrap();
    assert_eq!(guard(&root.to_vec().unwrap()), Reason::KeyAlgorithm);
}

#[test]
pub(super) fn a_token_has_one_byte_form() {
    let token = sample();
    for appended in [[0xfa, 0x01, 0x01, 0x00].as_slice(), &[0x80, 0x01, 0x00]] {
        let longer = [token.as_slice(), appended].concat();
        assert!(engine::verify(&longer, &roots()).is_ok(), "the library accepts it");
        assert_eq!(UnverifiedToken::from_bytes(&longer).err().map(|refusal| refusal.reason), Some(Reason::TokenNotCanonical));
    }
    let reordered = [&token[2..], &token[..2]].concat();
    assert!(engine::verify(&reordered, &roots()).is_ok(), "the library accepts it");
    assert_eq!(UnverifiedToken::from_bytes(&reordered).err().map(|refusal| refusal.reason), Some(Reason::TokenNotCanonical));
}

#[test]
pub(super) fn regular_expressions_are_refused_in_tokens_and_conditions() {
    assert_eq!(guard(&with_checks("reject if tool($t), $t.matches(\"(unclosed\")")), Reason::OutsideProfile);
    assert_eq!(guard(&with_checks("check if tool($t), $t.matches(\"\\\\w{1000}\")")), Reason::OutsideProfile);
    assert_eq!(parse_check("tool($t), $t.matches(\"a\")"), Err(Reason::OutsideProfile));
}

#[test]
pub(super) fn a_missing_fact_denies() {
    assert_eq!(guard(&with_checks("reject if session_label(\"untrusted\")")), Reason::OutsideProfile);
    assert_eq!(guard(&with_checks("check all arg_int(\"/a\", $v), $v < 5")), Reason::OutsideProfile);
    let token = plain(&sample(), r#"[{"kind":"arg","tool":"crm.read","path":"/a","is":{"range":{}}}]"#);
    assert_eq!(decide(&token, "crm.read", "{}"), Err(Reason::ArgumentRefused));
}

#[test]
pub(super) fn no_block_meets_its_own_check() {
    let own = "tool(\"db.drop\"); check if tool(\"db.drop\")";
    assert_eq!(guard(&with_checks(own)), Reason::OutsideProfile);
    assert_eq!(guard(&mint_block(authority(&(required_checks() + own)))), Reason::OutsideProfile);
    assert_eq!(guard(&hop_block(&sample(), &PLANNER.seed, block(&(hop_fact(1, &EXECUTOR) + own)))), Reason::OutsideProfile);
    assert_eq!(guard(&with_checks("check if agent(\"planner\")")), Reason::OutsideProfile);
}

#[test]
pub(super) fn scopes_are_refused() {
    assert_eq!(guard(&with_checks("check if tool(\"crm.read\") trusting previous")), Reason::OutsideProfile);
    let key = format!("check if tool(\"crm.read\") trusting ed25519/{}", THIEF.hex());
    assert_eq!(guard(&with_checks(&key)), Reason::OutsideProfile);
    let scoped = BlockBuilder::new().scope(biscuit_auth::builder::Scope::Authority);
    assert_eq!(guard(&plain_block(&sample(), scoped)), Reason::OutsideProfile);
}

/// The library's own appending panics on these.
#[test]
pub(super) fn foreign_hop_bytes_never_panic() {
    for version in [None, Some(0), Some(3), Some(99)] {
        let foreign = edit(&hop(&sample(), &PLANNER, &EXECUTOR, "[]"), |token| {
            edit_block(&mut token.blocks[0], |content| content.version = version);
            sign_chain(token, &[PLANNER.seed]);
        });
        assert_eq!(guard(&foreign), Reason::OutsideProfile);
        assert_eq!(append_plain(&foreign, &[], &[9; 32]), Err(Reason::OutsideProfile));
        assert_eq!(append_hop(&foreign, &EXECUTOR.seed, &WORKER.claims(Vec::new()), &[9; 32]), Err(Reason::OutsideProfile));
        assert_eq!(seal(&foreign), Err(Reason::OutsideProfile));
    }
}

#[test]
pub(super) fn null_forces_signature_v1() {
    let versions = |token: &[u8]| -> Vec<Option<u32>> {
        let token = decode(token);
        std::iter::once(&token.authority).chain(&token.blocks).map(|block| block.version).collect()
    };
    // nothing but the null in the profile fact asks for the newer form
    let token = mint(&tokens::claims(tokens::caveats(tokens::AUTHORITY_CAVEATS)));
    assert_eq!(versions(&plain(&hop(&token, &PLANNER, &EXECUTOR, "[]"), "[]")), [Some(1); 3]);
    let without = authority(&required_checks()).dump_code().replace(", null)", ", 1)");
    let without = mint_block(BiscuitBuilder::new().code(without).unwrap());
    assert_eq!(versions(&without), [None], "the library signs the old form");
    assert_eq!(guard(&without), Reason::SignatureVersion);
}

/// A hop over an old authority block, which the library accepts.
#[test]
pub(super) fn every_block_is_signed_in_the_new_form() {
    let without = authority(&required_checks()).dump_code().replace(", null)", ", 1)");
    let old = mint_block(BiscuitBuilder::new().code(without).unwrap());
    let mixed = hop_block(&old, &PLANNER.seed, block(&hop_fact(1, &EXECUTOR)));
    assert!(engine::verify(&mixed, &roots()).is_ok());
    assert_eq!(guard(&mixed), Reason::SignatureVersion);
}

#[test]
pub(super) fn deep_nesting_ends_before_the_stack_does() {
    let text = |open: &str, close: &str| format!("tool($t), {}true{}", open.repeat(2_000), close.repeat(2_000));
    assert_eq!(parse_check(&text("(", ")")), Err(Reason::OutsideProfile));
    assert_eq!(parse_check(&format!("tool($t), {}true", "!".repeat(3_000))), Err(Reason::OutsideProfile));
    let arrays = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(json::parse(arrays.as_bytes(), json::Limits::ARGUMENTS), Err(Reason::JsonTooLarge));
    let nested = edit(&plain(&sample(), r#"[{"kind":"depth","max":1}]"#), |token| {
        edit_block(&mut token.blocks[0], |content| {
            let ops = &mut content.checks[0].queries[0].expressions[0].ops;
            *ops = (0..1_000).fold(std::mem::take(ops), |ops, _| {
                vec![schema::Op { content: Some(schema::op::Content::Closure(schema::OpClosure { params: Vec::new(), ops })) }]
            });
        });
        sign_chain(token, &[]);
    });
    assert_eq!(guard(&nested), Reason::TokenMalformed);
}

#[test]
pub(super) fn blocks_are_counted_before_signatures_are_checked() {
    let flood = (0..60).fold(sample(), |token, _| plain_block(&token, BlockBuilder::new()));
    assert!(flood.len() < 16 * 1024);
    assert_eq!(guard(&flood), Reason::TooManyBlocks);
}

#[test]
pub(super) fn numbers_that_could_overflow_are_refused() {
    assert_eq!(guard(&with_checks("check if arg_int(\"/a\", $a), $a + 1 > 0")), Reason::OutsideProfile);
    let caveat = |number: &str| {
        let text = format!(r#"{{"kind":"arg","tool":"t","path":"/a","is":{{"range":{{"max":{number}}}}}}}"#);
        json::parse(text.as_bytes(), json::Limits::CAVEATS).and_then(|value| Caveat::from_json(&value)).map(drop)
    };
    assert_eq!(caveat("9007199254740991"), Ok(()));
    assert_eq!(caveat("9007199254740992"), Err(Reason::JsonNumber));
    let beyond = "check if tool($t), $t !== \"t\" or arg_int(\"/a\", $v), $v <= 9223372036854775807";
    assert_eq!(guard(&with_checks(beyond)), Reason::UnknownCaveat);
}

#[test]
pub(super) fn own_types_never_print_secrets() {
    let token = hop(&sample(), &PLANNER, &EXECUTOR, r#"[{"kind":"tools","allow":["crm.read"]}]"#);
    let unverified = UnverifiedToken::from_bytes(&token).unwrap();
    let verified = unverified.verify(&roots()).unwrap();
    let refusal = verify(&tokens::hop(&token, &THIEF, &THIEF, "[]")).unwrap_err();
    let arguments = json::parse(br#"{"password":"hunter2"}"#, json::Limits::ARGUMENTS).unwrap();
    let call = Call { tool: "db.drop", arguments: &arguments, audience: AUDIENCE, time: NOW };
    let denial = verified.decide(&call).unwrap_err();
    let printed = [
        format!("{unverified:?}"),
        format!("{verified:?}"),
        format!("{refusal:?} {refusal}"),
        format!("{denial:?} {denial}"),
        format!("{:?}", EXECUTOR.claims(Vec::new())),
        format!("{:?}", tokens::claims(Vec::new())),
        format!("{:?}", RootKey::active(1, PLANNER.key())),
        format!("{:?}", Once { key: [0x77; 32], forget_after: 1 }),
        format!("{:?}", ReplayCache::new(1)),
    ];
    let library = format!("{:?}", biscuit_auth::UnverifiedBiscuit::from(&token).unwrap());
    for seed in [next_seed(0), next_seed(1), PLANNER.seed, EXECUTOR.seed, tokens::ISSUER] {
        for form in forms(&seed) {
            assert!(!printed.iter().any(|text| text.contains(&form)), "a secret is printed as {form}");
        }
    }
    assert!(forms(&next_seed(1)).iter().any(|form| library.contains(form)), "the library prints it, so the search would find it");
    assert!(!denial.to_string().contains("hunter2"));
}

/// The ways in which 32 bytes are commonly printed.
fn forms(seed: &tokens::Seed) -> [String; 4] {
    use base64::Engine;
    let listed = format!("{seed:?}");
    let inner = listed.trim_start_matches('[').trim_end_matches(']').to_owned();
    [inner, tokens::hex(seed), tokens::hex(seed).to_uppercase(), base64::engine::general_purpose::STANDARD_NO_PAD.encode(seed)]
}

/// A hop's strings are numbered from its own table, which starts again; a plain block goes on with the authority's.
#[test]
pub(super) fn each_block_is_read_with_its_own_strings() {
    let caveat = |tool: &str| format!(r#"[{{"kind":"tools","allow":["{tool}"]}}]"#);
    let token = hop(&plain(&sample(), &caveat("crm.read")), &PLANNER, &EXECUTOR, &caveat("crm.write"));
    let token = plain(&token, &caveat("mail.send"));
    let tools: Vec<_> = verify(&token).unwrap().blocks[1..].iter().map(|block| block.caveats[0].sentence()).collect();
    assert_eq!(tools, ["only `crm.read`", "only `crm.write`", "only `mail.send`"]);
}

#[test]
pub(super) fn a_block_can_not_be_cut_off_and_a_sealed_token_grows_no_more() {
    let token = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let sealed = seal(&token).unwrap();
    for cut in [&token, &sealed].map(|token| edit(token, |token| drop(token.blocks.pop()))) {
        assert_eq!(verify(&cut).err(), Some(Reason::BadProof));
    }
    assert!(verify(&sealed).unwrap().sealed);
    assert_eq!(append_plain(&sealed, &[], &[9; 32]), Err(Reason::TokenSealed));
    assert_eq!(append_hop(&sealed, &EXECUTOR.seed, &WORKER.claims(Vec::new()), &[9; 32]), Err(Reason::TokenSealed));
    let reopened = edit(&sealed, |token| token.proof.content = Some(schema::proof::Content::NextSecret(next_seed(0).to_vec())));
    assert_eq!(verify(&reopened).err(), Some(Reason::BadProof));
}

/// A holder's key signs hops and statements; a hop's payload starts with a zero byte, a statement's with its tag.
#[test]
pub(super) fn a_statement_is_never_a_hop_signature() {
    let token = sample();
    let previous = decode(&token).authority.signature;
    let content = decode(&hop(&token, &PLANNER, &EXECUTOR, "[]")).blocks[0].block.clone();
    let hop_payload = [b"\0EXTERNAL\0\0VERSION\0\x01\0\0\0\0PAYLOAD\0".as_slice(), &content, b"\0PREVSIG\0", &previous].concat();
    let claims = proof::PossessionClaims { block: verify(&token).unwrap().newest(), tool: "t", args_digest: [0; 32], audience: "a" };
    let statement = proof::sign_possession(&claims, NOW, &[3; 16], &PLANNER.seed);
    let (_, signature) = statement.split_once('.').unwrap();
    use base64::Engine;
    let signature: [u8; 64] = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap().try_into().unwrap();
    assert!(!PLANNER.key().verifies(&hop_payload, &signature));
    let hop_signature: [u8; 64] = tokens::sign(&PLANNER.seed, &hop_payload).try_into().unwrap();
    assert!(PLANNER.key().verifies(&hop_payload, &hop_signature), "the payload is the one that hops are signed over");
    let (payload, _) = statement.split_once('.').unwrap();
    let forged = format!("{payload}.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hop_signature));
    assert_eq!(proof::check_possession(&forged, &claims, &PLANNER.key(), NOW), Err(Reason::ProofSignature));
}
