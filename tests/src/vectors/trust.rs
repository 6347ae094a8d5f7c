//! What the authority block says about its origin and its holder, and which issuer keys may have signed it when.

use sha2::{Digest, Sha256};

use super::{Cases, Root, TokenAnswer, TokenVector, Vector, Verdict, answer, call, token_vector};
use crate::tokens::{
    AUTHORITY_CAVEATS, EXECUTOR, ISSUED, ISSUER, ISSUER_KEY_ID, NOW, PLANNER, Party, THIEF, authority, block_ids, caveats, claims, hex,
    hop, mint, mint_block, plain, required_checks, sample, statement,
};
use narrows_verifier::{BlockId, Holder, public_key};

pub(super) fn cases(cases: &mut Cases) {
    issued_and_lineage(cases);
    thumbprints(cases);
    root_states(cases);
}

fn issued_and_lineage(cases: &mut Cases) {
    let made_from = |count: u8| {
        let mut claims = claims(caveats(AUTHORITY_CAVEATS));
        claims.lineage = (0..count).map(|byte| BlockId([byte; 32])).collect();
        mint(&claims)
    };
    for (name, about, count) in
        [("lineage_of_two", "made from a token of two blocks", 2), ("lineage_at_bound", "as many ids as there may be", 32)]
    {
        let token = made_from(count);
        let lineage = (0..count).map(|byte| hex(&[byte; 32])).collect();
        let expect = TokenAnswer { lineage, ..answer(Verdict::Allow).of(&token, &PLANNER) };
        cases.add(name, Vector::Token(token_vector(about, &token, expect)));
    }
    let checks = required_checks();
    let id = hex(&[7; 32]);
    let issued = authority(&checks).dump_code().lines().find(|line| line.starts_with("issued(")).expect("the fact").to_owned();
    let changed = |from: &str, to: &str| {
        let code = authority(&checks).dump_code();
        assert!(code.contains(from), "no `{from}` in {code}");
        mint_block(biscuit_auth::builder::BiscuitBuilder::new().code(code.replace(from, to)).unwrap())
    };
    let mut refuse = |name: &str, about: &str, token: Vec<u8>, reason: &str| cases.refused(name, about, &token, reason, Some(0));
    refuse("lineage_past_bound", "one id more than there may be", made_from(33), "PROFILE_FACTS");
    refuse("lineage_short_id", "an id of 31 bytes", mint_block(authority(&format!("{checks}from(hex:{});", &id[2..]))), "PROFILE_FACTS");
    refuse("lineage_of_text", "an id as text", mint_block(authority(&format!("{checks}from(\"{id}\");"))), "MIXED_TYPES");
    refuse("authority_without_issued", "no time of issue", changed(&issued, ""), "PROFILE_FACTS");
    let second = format!("{issued} issued(2026-11-21T09:00:00Z);");
    refuse("authority_two_issued", "two times of issue", changed(&issued, &second), "PROFILE_FACTS");
    let number = format!("issued({ISSUED});");
    refuse("authority_issued_number", "a time of issue that is a plain number", changed(&issued, &number), "MIXED_TYPES");
    let forged = crate::tokens::plain_block(&sample(), crate::tokens::block(&format!("from(hex:{id});")));
    cases.refused("lineage_in_plain_block", "the lineage is the issuer's word alone", &forged, "FACTS_IN_PLAIN_BLOCK", Some(1));
}

fn thumbprints(cases: &mut Cases) {
    let thumbprint: [u8; 32] = Sha256::digest("a key of any kind").into();
    let mut claims = claims(caveats(AUTHORITY_CAVEATS));
    claims.holder = Holder::Thumbprint(thumbprint);
    let token = mint(&claims);
    let bound = TokenAnswer { holder: None, holder_jkt: Some(hex(&thumbprint)), ..answer(Verdict::Allow).of(&token, &PLANNER) };
    cases.add("holder_jkt", Vector::Token(token_vector("a holder known by the thumbprint of its DPoP key", &token, bound.clone())));
    let plain = plain(&token, "[]");
    let narrowed = TokenAnswer { block_ids: block_ids(&plain), ..bound.clone() };
    cases.add("holder_jkt_plain", Vector::Token(token_vector("such a holder adds a plain block", &plain, narrowed)));
    let proof = super::ProofText { text: statement("narrows/possession/1", "{}", &PLANNER.seed), now: NOW };
    let vector = token_vector(
        "a thumbprint verifies no Ed25519 proof",
        &token,
        TokenAnswer { verdict: Verdict::Deny, reason: Some("HOLDER_THUMBPRINT".to_owned()), ..bound },
    );
    let vector = TokenVector { call: Some(call("crm.read", "{}")), proof: Some(proof), ..vector };
    cases.add("holder_jkt_possession", Vector::Token(vector));
    let issuer = Party { name: "issuer", seed: ISSUER };
    cases.verified("holder_jkt_hop_by_issuer", "the issuer hands it on to a key", &hop(&token, &issuer, &EXECUTOR, "[]"), &EXECUTOR);
    let own = hop(&token, &PLANNER, &EXECUTOR, "[]");
    cases.refused("holder_jkt_hop", "who is known by a thumbprint makes no hop", &own, "HOP_SIGNER", Some(1));
    let checks = required_checks();
    let both = mint_block(authority(&format!("{checks}holder_jkt(hex:{});", hex(&thumbprint))));
    cases.refused("holder_and_holder_jkt", "a key and a thumbprint", &both, "PROFILE_FACTS", Some(0));
    let replaced = |to: &str| {
        let holder = format!("holder(hex:{});", PLANNER.hex());
        mint_block(biscuit_auth::builder::BiscuitBuilder::new().code(authority(&checks).dump_code().replace(&holder, to)).unwrap())
    };
    let short = replaced("holder_jkt(hex:0b0b);");
    cases.refused("holder_jkt_short", "a thumbprint of two bytes", &short, "PROFILE_FACTS", Some(0));
    let two = replaced(&format!("holder_jkt(hex:{}); holder_jkt(hex:{});", hex(&[1; 32]), hex(&[2; 32])));
    cases.refused("holder_jkt_twice", "two thumbprints", &two, "PROFILE_FACTS", Some(0));
}

fn root_states(cases: &mut Cases) {
    let root = |state: &str, not_before: u64, not_after: Option<u64>| Root {
        state: Some(state.to_owned()),
        not_before: Some(not_before),
        not_after,
        ..Root::active(ISSUER_KEY_ID, hex(public_key(&ISSUER).as_bytes()))
    };
    let mut add = |name: &str, about: &str, roots: Vec<Root>, refusal: Option<&str>| {
        let expect = match refusal {
            None => answer(Verdict::Allow).of(&sample(), &PLANNER),
            Some(reason) => answer(Verdict::Deny).because(reason, None),
        };
        cases.add(name, Vector::Token(TokenVector { roots, ..token_vector(about, &sample(), expect) }));
    };
    let (issued, within) = (ISSUED, Some(ISSUED));
    add("root_active_bounds", "issued in the one second of an active key", vec![root("active", issued, within)], None);
    add("root_prepared", "the issuer began to use a key that the verifier knows as prepared", vec![root("prepared", issued, None)], None);
    add("root_retired", "issued in the last second before its key retired", vec![root("retired", 0, within)], None);
    let early = "issued a second before the key's beginning";
    add("root_before_beginning", early, vec![root("active", issued + 1, None)], Some("ROOT_NOT_VALID"));
    add("root_prepared_before_beginning", early, vec![root("prepared", issued + 1, None)], Some("ROOT_NOT_VALID"));
    let late = "issued a second after the key's end";
    add("root_after_end", late, vec![root("active", 0, Some(issued - 1))], Some("ROOT_NOT_VALID"));
    add("root_retired_after_end", late, vec![root("retired", 0, Some(issued - 1))], Some("ROOT_NOT_VALID"));
    add("root_tainted", "the key may be in other hands", vec![root("tainted", 0, within)], Some("ROOT_TAINTED"));
    let beside = Root { id: 8, ..Root::active(8, THIEF.hex()) };
    add("root_tainted_beside", "another key is active", vec![root("tainted", 0, None), beside], Some("ROOT_TAINTED"));
}
