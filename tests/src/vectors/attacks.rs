//! Attacks on the chain: stolen, moved, cut, grafted and re-signed blocks, and hops that break the hop rule.

use biscuit_auth::format::schema;
use narrows_verifier::biscuit::seal;

use super::{Cases, TokenVector, Vector, Verdict, answer, token_vector};
use crate::tokens::{
    EXECUTOR, ISSUER, ISSUER_KEY_ID, OTHER_ISSUER, PLANNER, Party, THIEF, WORKER, authority, block, block_mut, claims, close, ed25519,
    edit, edit_block, hex, hop, hop_block, hop_fact, mint_block, mint_with, next_key, next_seed, plain, plain_block, required_checks,
    sample, sign, sign_block, sign_chain,
};

pub(super) fn cases(cases: &mut Cases) {
    thieves(cases);
    grafts(cases);
    signatures(cases);
    roots(cases);
    hop_rule(cases);
    authority_facts(cases);
}

/// What the bytes of an open token, stolen, are good for: nothing.
fn thieves(cases: &mut Cases) {
    let open = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let self_signed = hop(&open, &THIEF, &THIEF, "[]");
    cases.refused("thief_signs_own_hop", "the library accepts it; the signer is not the holder", &self_signed, "HOP_SIGNER", Some(2));
    let names_itself = plain_block(&open, block(&format!("holder(hex:{});", THIEF.hex())));
    cases.refused("thief_adds_holder_fact", "a plain block that names a holder", &names_itself, "FACTS_IN_PLAIN_BLOCK", Some(2));
    let hop_in_plain = plain_block(&open, block(&hop_fact(2, &THIEF)));
    cases.refused("thief_adds_hop_fact", "a hop without a signature", &hop_in_plain, "FACTS_IN_PLAIN_BLOCK", Some(2));
    let by_next_key = hop_block(&open, &next_seed(1), block(&hop_fact(2, &THIEF)));
    cases.refused("thief_signs_with_next_key", "the secret for appending is no holder's key", &by_next_key, "HOP_SIGNER", Some(2));
    let former = hop(&open, &PLANNER, &PLANNER, "[]");
    cases.refused("former_holder_signs", "the former holder takes the token back", &former, "HOP_SIGNER", Some(2));
    let other_root = Party { seed: OTHER_ISSUER, ..THIEF };
    let by_other_root = hop(&open, &other_root, &THIEF, "[]");
    cases.refused("other_root_signs_hop", "a trusted issuer, but not the one of block 0", &by_other_root, "HOP_SIGNER", Some(2));
}

/// Blocks put where their maker did not put them.
fn grafts(cases: &mut Cases) {
    let one = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let two = hop(&one, &EXECUTOR, &WORKER, "[]");
    let graft = plain(&one, "[]");
    let graft = crate::tokens::decode(&graft).blocks.pop().unwrap();
    let naive = edit(&two, |token| token.blocks.insert(1, graft.clone()));
    cases.refused("plain_block_grafted", "a plain block slipped in between two hops", &naive, "BAD_SIGNATURE", Some(3));
    let rewrapped = edit(&two, |token| {
        token.blocks.insert(1, graft);
        sign_block(token, 3, &next_seed(2), None, &next_seed(3));
        close(token, &next_seed(3));
    });
    let about = "the same, with the outer signatures made again by whoever holds the open parent";
    cases.refused("plain_block_grafted_rewrapped", about, &rewrapped, "BAD_SIGNATURE", Some(3));
    let stranger = {
        let mut claims = claims(crate::tokens::caveats(crate::tokens::AUTHORITY_CAVEATS));
        claims.task = narrows_verifier::TaskId([0x61; 16]);
        crate::tokens::mint(&claims)
    };
    let moved = edit(&stranger, |token| {
        token.blocks = crate::tokens::decode(&one).blocks;
        sign_block(token, 1, &next_seed(0), None, &next_seed(1));
        close(token, &next_seed(1));
    });
    cases.refused(
        "hop_moved",
        "a hop moved to another token of the same holder, outer signature made again",
        &moved,
        "BAD_SIGNATURE",
        Some(1),
    );
    let swapped =
        edit(&plain(&plain(&sample(), r#"[{"kind":"depth","max":1}]"#), r#"[{"kind":"depth","max":2}]"#), |token| token.blocks.swap(0, 1));
    cases.refused("blocks_swapped", "two plain blocks in another order", &swapped, "BAD_SIGNATURE", Some(1));
    let doubled = edit(&two, |token| token.blocks.push(token.blocks[1].clone()));
    cases.refused("hop_doubled", "the last hop twice", &doubled, "BAD_SIGNATURE", Some(3));
    let other_authority = edit(&one, |token| token.authority = crate::tokens::decode(&stranger).authority);
    cases.refused("authority_exchanged", "another token's authority block", &other_authority, "BAD_SIGNATURE", Some(1));
}

/// Signatures, keys and proofs that were taken away or exchanged.
fn signatures(cases: &mut Cases) {
    let one = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let two = hop(&one, &EXECUTOR, &WORKER, "[]");
    let sealed = seal(&two).unwrap();
    let mut refuse = |name: &str, about: &str, token: Vec<u8>, reason: &str, block| cases.refused(name, about, &token, reason, block);
    let stripped = edit(&one, |token| token.blocks[0].external_signature = None);
    refuse(
        "external_signature_removed",
        "its words are then read with the chain's symbols and mean something else",
        stripped,
        "MIXED_TYPES",
        Some(1),
    );
    let remade = plain_block(&sample(), block(&hop_fact(1, &EXECUTOR)));
    refuse("hop_remade_as_plain_block", "the hop's words in a block without external signature", remade, "FACTS_IN_PLAIN_BLOCK", Some(1));
    let exchanged = edit(&one, |token| external(token, 0).public_key = ed25519(&THIEF.seed));
    refuse("external_key_exchanged", "another key for the same external signature", exchanged, "BAD_SIGNATURE", Some(1));
    let resigned = edit(&one, |token| {
        let outer = token.blocks[0].signature.clone();
        sign_block(token, 1, &next_seed(0), Some(&THIEF.seed), &next_seed(1));
        token.blocks[0].signature = outer;
    });
    refuse("external_signature_exchanged", "another signer under the old outer signature", resigned, "BAD_SIGNATURE", Some(1));
    refuse("cut_open", "the last hop of an open token is taken away", edit(&two, |token| drop(token.blocks.pop())), "BAD_PROOF", None);
    refuse(
        "cut_sealed",
        "the last hop of a sealed token is taken away",
        edit(&sealed, |token| drop(token.blocks.pop())),
        "BAD_PROOF",
        None,
    );
    let closed_by_thief = edit(&two, |token| {
        token.blocks.pop();
        close(token, &THIEF.seed);
    });
    refuse(
        "cut_and_closed_by_thief",
        "the last hop is taken away and the chain closed with another secret",
        closed_by_thief,
        "BAD_PROOF",
        None,
    );
    let sealed_by_thief = edit(&sealed, |token| close(token, &THIEF.seed));
    refuse("sealed_by_thief", "a seal by another key", sealed_by_thief, "BAD_PROOF", None);
    refuse(
        "authority_signature_flipped",
        "one bit of the authority's signature",
        edit(&two, |token| token.authority.signature[5] ^= 1),
        "BAD_SIGNATURE",
        Some(0),
    );
    refuse(
        "hop_signature_flipped",
        "one bit of a hop's outer signature",
        edit(&two, |token| token.blocks[1].signature[63] ^= 1),
        "BAD_SIGNATURE",
        Some(2),
    );
    refuse(
        "external_signature_flipped",
        "one bit of a hop's external signature",
        edit(&two, |token| external(token, 0).signature[0] ^= 1),
        "BAD_SIGNATURE",
        Some(1),
    );
    let seal_flipped = edit(&sealed, |token| match &mut token.proof.content {
        Some(schema::proof::Content::FinalSignature(signature)) => signature[9] ^= 1,
        _ => unreachable!("the token is sealed"),
    });
    refuse("seal_flipped", "one bit of the seal", seal_flipped, "BAD_PROOF", None);
    let prolonged = edit(&sample(), |token| edit_block(&mut token.authority, later));
    refuse("content_changed", "the expiry is moved and the signature kept", prolonged, "BAD_SIGNATURE", Some(0));
}

/// Which issuer key a token claims, and which it was signed with.
fn roots(cases: &mut Cases) {
    cases.refused(
        "root_unknown",
        "no trusted key has this number",
        &edit(&sample(), |token| token.root_key_id = Some(9)),
        "UNKNOWN_ROOT",
        None,
    );
    cases.refused(
        "root_not_named",
        "the token names no issuer key",
        &edit(&sample(), |token| token.root_key_id = None),
        "UNKNOWN_ROOT",
        None,
    );
    let other = edit(&sample(), |token| token.root_key_id = Some(8));
    cases.refused("root_of_other_number", "the number of another trusted key", &other, "BAD_SIGNATURE", Some(0));
    let vector = token_vector(
        "the verifier's key of that number is another one",
        &sample(),
        answer(Verdict::Deny).because("BAD_SIGNATURE", Some(0)),
    );
    let roots = vec![super::Root::active(ISSUER_KEY_ID, THIEF.hex())];
    cases.add("root_key_wrong", Vector::Token(TokenVector { roots, ..vector }));
    let forged = edit(&sample(), |token| {
        sign_block(token, 0, &THIEF.seed, None, &next_seed(0));
        assert_eq!(token.root_key_id, Some(ISSUER_KEY_ID));
    });
    cases.refused("root_forged", "a thief signs an authority block", &forged, "BAD_SIGNATURE", Some(0));
}

fn hop_rule(cases: &mut Cases) {
    let one = hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    let second = |code: String| hop_block(&one, &EXECUTOR.seed, block(&code));
    let mut refuse = |name: &str, about: &str, token: Vec<u8>, reason: &str, at| cases.refused(name, about, &token, reason, Some(at));
    refuse("hop_index_skipped", "the second hop says 3", second(hop_fact(3, &WORKER)), "HOP_INDEX", 2);
    refuse("hop_index_repeated", "the second hop says 1", second(hop_fact(1, &WORKER)), "HOP_INDEX", 2);
    refuse("hop_index_zero", "the first hop says 0", hop_block(&sample(), &PLANNER.seed, block(&hop_fact(0, &EXECUTOR))), "HOP_INDEX", 1);
    refuse("hop_index_negative", "the second hop says -1", second(hop_fact(-1, &WORKER)), "HOP_INDEX", 2);
    refuse("hop_without_fact", "a signed block that names no holder", second(String::new()), "PROFILE_FACTS", 2);
    refuse("hop_with_two_facts", "a hop with a second hop fact", second(hop_fact(2, &WORKER) + &hop_fact(3, &THIEF)), "PROFILE_FACTS", 2);
    refuse(
        "hop_with_authority_fact",
        "a hop with another profile fact",
        second(hop_fact(2, &WORKER) + "subject(\"someone\");"),
        "PROFILE_FACTS",
        2,
    );
    refuse("hop_without_name", "an empty agent name", second(hop_fact(2, &Party { name: "", ..WORKER })), "PROFILE_FACTS", 2);
    let short_entry = hop_fact(2, &WORKER).replace(&hex(&[13; 16]), "0d0d");
    refuse("hop_with_short_entry", "an entry id of two bytes", second(short_entry), "PROFILE_FACTS", 2);
    let weak = hop_fact(2, &WORKER).replace(&WORKER.hex(), &hex(&small_order()));
    refuse("hop_to_weak_key", "a holder key of small order, with which anyone could sign", second(weak), "WEAK_KEY", 2);
    let longer = r#"[{"kind":"expires","at":"2026-11-21T12:00:01Z"}]"#;
    refuse("hop_outlives_parent", "the hop expires a second later", hop(&one, &EXECUTOR, &WORKER, longer), "HOP_OUTLIVES_PARENT", 2);
    let shorter = hop(&sample(), &PLANNER, &EXECUTOR, r#"[{"kind":"expires","at":"2026-11-21T11:00:00Z"}]"#);
    let between = hop(&shorter, &EXECUTOR, &WORKER, r#"[{"kind":"expires","at":"2026-11-21T11:30:00Z"}]"#);
    refuse("hop_outlives_hop", "later than the hop before, earlier than the authority", between, "HOP_OUTLIVES_PARENT", 2);
    let bounded = plain(&one, r#"[{"kind":"depth","max":1}]"#);
    refuse("hop_too_deep", "a plain block allowed one hop", hop(&bounded, &EXECUTOR, &WORKER, "[]"), "HOP_DEPTH", 3);
    let own_bound = hop(&one, &EXECUTOR, &WORKER, r#"[{"kind":"depth","max":1}]"#);
    refuse("hop_below_own_depth", "a hop that allows fewer hops than it makes", own_bound, "HOP_DEPTH", 2);
    let nine = (0..9).fold(sample(), |token, _| hop(&token, &PLANNER, &PLANNER, "[]"));
    refuse("hop_past_authority_depth", "the authority allowed eight hops", nine, "HOP_DEPTH", 9);
}

fn authority_facts(cases: &mut Cases) {
    let checks = required_checks();
    let resigned = |from: &str, to: &str| {
        let code = authority(&checks).dump_code();
        assert!(code.contains(from), "no `{from}` in {code}");
        mint_block(biscuit_auth::builder::BiscuitBuilder::new().code(code.replace(from, to)).unwrap())
    };
    let mut refuse = |name: &str, about: &str, token: Vec<u8>, reason: &str| cases.refused(name, about, &token, reason, Some(0));
    let holder = format!("holder(hex:{});", PLANNER.hex());
    refuse("authority_other_profile", "another profile's name", resigned("narrows/1", "narrows/2"), "PROFILE_FACTS");
    refuse("authority_without_holder", "no holder: a bearer token", resigned(&holder, ""), "PROFILE_FACTS");
    refuse(
        "authority_two_holders",
        "two holders",
        mint_block(authority(&format!("{checks}holder(hex:{});", THIEF.hex()))),
        "PROFILE_FACTS",
    );
    let weak = format!("holder(hex:{});", hex(&small_order()));
    refuse("authority_weak_holder", "a holder key of small order", resigned(&holder, &weak), "WEAK_KEY");
    refuse("authority_short_holder", "a holder key of two bytes", resigned(&holder, "holder(hex:0b0b);"), "KEY_ALGORITHM");
    refuse(
        "authority_with_hop_fact",
        "a hop fact in block 0",
        mint_block(authority(&(checks.clone() + &hop_fact(1, &THIEF)))),
        "PROFILE_FACTS",
    );
    refuse(
        "authority_dev_false",
        "the dev fact says true or is absent",
        mint_block(authority(&format!("{checks}dev(false);"))),
        "PROFILE_FACTS",
    );
    for (name, about, from, to) in [
        ("authority_without_tools", "no tools caveat", "check if tool($t), {\"crm.read\"}.contains($t);", ""),
        ("authority_without_audience", "no audience caveat", "check if audience($a), {\"https://crm.example\"}.contains($a);", ""),
        ("authority_without_expiry", "no expiry", "check if time($t), $t < 2026-11-21T12:00:00Z;", ""),
        ("authority_without_depth", "no depth", "check if depth($d), $d <= 8;", ""),
        (
            "authority_two_expiries",
            "expiry twice",
            "check if depth($d), $d <= 8;",
            "check if depth($d), $d <= 8; check if time($t), $t < 2026-11-21T13:00:00Z;",
        ),
    ] {
        assert!(checks.contains(from));
        refuse(name, about, mint_block(authority(&checks.replace(from, to))), "PROFILE_FACTS");
    }
    let external = edit(&sample(), |token| {
        let signature = sign(&ISSUER, b"anything");
        block_mut(token, 0).external_signature = Some(schema::ExternalSignature { signature, public_key: ed25519(&ISSUER) });
    });
    refuse("authority_with_external_signature", "the library refuses it too", external, "OUTSIDE_PROFILE");
    let no_number = mint_with(authority(&checks), &next_key(0));
    cases.refused("authority_without_root_number", "minted without a root key number", &no_number, "UNKNOWN_ROOT", None);
    let kept = edit(&sample(), |token| sign_chain(token, &[]));
    assert_eq!(kept, sample(), "signing again with the same keys gives the same bytes");
}

fn external(token: &mut schema::Biscuit, block: usize) -> &mut schema::ExternalSignature {
    token.blocks[block].external_signature.as_mut().expect("a signed hop")
}

/// Moves every date of the block's checks an hour ahead.
fn later(content: &mut schema::Block) {
    for op in content
        .checks
        .iter_mut()
        .flat_map(|check| &mut check.queries)
        .flat_map(|query| &mut query.expressions)
        .flat_map(|expression| &mut expression.ops)
    {
        if let Some(schema::op::Content::Value(schema::Term { content: Some(schema::term::Content::Date(seconds)) })) = &mut op.content {
            *seconds += 3600;
        }
    }
}

/// The identity point: it verifies any message under a signature that anyone can write down.
fn small_order() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
}
