//! Tokens that are bound to no key, and those through whom a subject's authority came.

use super::{ActorText, CallText, Cases, ProofText, TokenAnswer, TokenVector, Vector, Verdict, answer, call, token_vector};
use crate::tokens::{
    EXECUTOR, ISSUER, NOW, PLANNER, Party, authority, block, block_ids, caveats, claims, hex, hop, hop_block, hop_fact, mint, mint_block,
    plain, plain_block, required_checks, sample, statement,
};
use biscuit_auth::{UnverifiedBiscuit, builder::BiscuitBuilder};
use narrows_verifier::{EarlierActor, Holder};

pub(super) fn cases(cases: &mut Cases) {
    bearer(cases);
    bearer_form(cases);
    bearer_facts(cases);
    actors(cases);
}

/// Caveats of an authority block that allows no hop, or this many.
fn allowing(hops: u8) -> String {
    crate::tokens::AUTHORITY_CAVEATS.replace("\"max\":8", &format!("\"max\":{hops}"))
}

/// An open token that is bound to no key.
fn unbound(hops: u8) -> Vec<u8> {
    let mut claims = claims(caveats(&allowing(hops)));
    claims.holder = Holder::Bearer;
    mint(&claims)
}

/// By the library, since ours seals nothing that it refuses.
fn sealed(token: &[u8]) -> Vec<u8> {
    UnverifiedBiscuit::from(token).unwrap().seal().unwrap().to_vec().unwrap()
}

fn bearer(cases: &mut Cases) {
    let token = sealed(&unbound(0));
    let expect = TokenAnswer { block_ids: block_ids(&token), bearer: true, ..answer(Verdict::Allow) };
    let called = |about: &str, call: CallText, expect: TokenAnswer| {
        Vector::Token(TokenVector { call: Some(call), ..token_vector(about, &token, expect) })
    };
    cases.add("bearer", Vector::Token(token_vector("bound to no key: sealed, no hops, one block", &token, expect.clone())));
    cases.add("bearer_call", called("its caveats decide as any token's", call("crm.read", "{}"), expect.clone()));
    let denied = TokenAnswer { verdict: Verdict::Deny, ..expect };
    let other = TokenAnswer { reason: Some("TOOL_NOT_GRANTED".to_owned()), block: Some(0), ..denied.clone() };
    cases.add("bearer_call_denied", called("a tool that it does not grant", call("db.drop", "{}"), other));
    let proved = TokenAnswer { reason: Some("HOLDER_BEARER".to_owned()), ..denied };
    let text = statement("narrows/possession/1", "{}", &PLANNER.seed);
    let Vector::Token(vector) = called("no proof means anything with it", call("crm.read", "{}"), proved) else { unreachable!() };
    cases.add("bearer_with_proof", Vector::Token(TokenVector { proof: Some(ProofText { text, now: NOW }), ..vector }));
}

fn bearer_form(cases: &mut Cases) {
    let issuer = Party { name: "issuer", seed: ISSUER };
    let mut refuse = |name: &str, about: &str, token: &[u8], block| cases.refused(name, about, token, "BEARER_FORM", block);
    refuse("bearer_open", "whoever has it could hang blocks on it", &unbound(0), None);
    refuse("bearer_depth", "it allows a hop", &sealed(&unbound(1)), Some(0));
    refuse("bearer_plain", "a plain block", &sealed(&plain(&unbound(0), "[]")), Some(1));
    refuse("bearer_hop", "a hop by somebody", &sealed(&hop(&unbound(0), &PLANNER, &EXECUTOR, "[]")), Some(1));
    refuse("bearer_hop_by_issuer", "a hop by the issuer", &sealed(&hop(&unbound(0), &issuer, &EXECUTOR, "[]")), Some(1));
    refuse("bearer_hop_open", "a hop, and open", &hop(&unbound(0), &issuer, &EXECUTOR, "[]"), Some(1));
}

fn bearer_facts(cases: &mut Cases) {
    let checks = required_checks().replace("<= 8", "<= 0");
    let replaced = |to: &str| {
        let code = authority(&checks).dump_code();
        let holder = format!("holder(hex:{});", PLANNER.hex());
        assert!(code.contains(&holder), "{code}");
        sealed(&mint_block(BiscuitBuilder::new().code(code.replace(&holder, to)).unwrap()))
    };
    let (key, thumbprint) = (format!("holder(hex:{});", PLANNER.hex()), format!("holder_jkt(hex:{});", hex(&[7; 32])));
    let mut refuse = |name: &str, about: &str, holder: &str, reason: &str| {
        cases.refused(name, about, &replaced(holder), reason, Some(0));
    };
    refuse("holder_unsaid", "that nobody holds it is to be said", "", "PROFILE_FACTS");
    refuse("bearer_and_holder", "nobody and a key", &format!("bearer(true); {key}"), "PROFILE_FACTS");
    refuse("bearer_and_holder_jkt", "nobody and a thumbprint", &format!("bearer(true); {thumbprint}"), "PROFILE_FACTS");
    refuse("bearer_false", "no holder, and not nobody", "bearer(false);", "PROFILE_FACTS");
    refuse("bearer_false_beside_holder", "not nobody, and a key", &format!("bearer(false); {key}"), "PROFILE_FACTS");
    refuse("bearer_twice", "nobody, and not nobody", "bearer(true); bearer(false);", "PROFILE_FACTS");
    refuse("bearer_number", "another type", "bearer(1);", "MIXED_TYPES");
    let plain = plain_block(&sample(), block("bearer(true);"));
    cases.refused("bearer_in_plain_block", "a thief says that nobody holds it", &plain, "FACTS_IN_PLAIN_BLOCK", Some(1));
    let hop = hop_block(&sample(), &PLANNER.seed, block("bearer(true);"));
    cases.refused("bearer_in_hop", "a holder hands it to everybody", &hop, "PROFILE_FACTS", Some(1));
    let beside = hop_block(&sample(), &PLANNER.seed, block(&format!("{} bearer(true);", hop_fact(1, &EXECUTOR))));
    cases.refused("bearer_beside_hop", "to somebody and to everybody", &beside, "PROFILE_FACTS", Some(1));
    let asking = mint_block(authority(&format!("{checks} check if bearer(true);")));
    cases.refused("bearer_in_check", "no check asks for it", &asking, "OUTSIDE_PROFILE", Some(0));
}

fn told(actors: &[EarlierActor]) -> Vec<ActorText> {
    actors.iter().map(ActorText::from).collect()
}

fn actors(cases: &mut Cases) {
    let through = |count: usize| {
        let mut claims = claims(caveats(crate::tokens::AUTHORITY_CAVEATS));
        let names = ["desk", "front", "desk", "a", "b", "c", "d", "e", "f"];
        claims.actors = names.into_iter().take(count).map(EarlierActor::attested).collect();
        (mint(&claims), told(&claims.actors))
    };
    for (name, about, count) in [("actors_of_three", "one of them twice", 3), ("actors_at_bound", "as many as there may be", 8)] {
        let (token, actors) = through(count);
        let expect = TokenAnswer { actors, ..answer(Verdict::Allow).of(&token, &PLANNER) };
        cases.add(name, Vector::Token(token_vector(about, &token, expect)));
    }
    let checks = required_checks();
    let with = |facts: &str| mint_block(authority(&format!("{checks}{facts}")));
    let shuffled = with("actor(2, \"front\"); actor(1, \"desk\");");
    let expect = TokenAnswer {
        actors: told(&[EarlierActor::attested("desk"), EarlierActor::attested("front")]),
        ..answer(Verdict::Allow).of(&shuffled, &PLANNER)
    };
    let both = with("actor(1, \"desk\"); actor_named(2, \"helper\"); actor(3, \"front\");");
    let actors = told(&[EarlierActor::attested("desk"), EarlierActor::named("helper"), EarlierActor::attested("front")]);
    let named = TokenAnswer { actors, ..answer(Verdict::Allow).of(&both, &PLANNER) };
    cases.add("actors_of_both_words", Vector::Token(token_vector("the second by the first's word", &both, named)));
    cases.add("actors_in_any_order", Vector::Token(token_vector("their numbers say which is the latest", &shuffled, expect)));
    let mut refuse = |name: &str, about: &str, token: &[u8], reason: &str| cases.refused(name, about, token, reason, Some(0));
    refuse("actors_past_bound", "one more than there may be", &through(9).0, "PROFILE_FACTS");
    refuse("actors_with_gap", "the second is missing", &with("actor(1, \"desk\"); actor(3, \"front\");"), "PROFILE_FACTS");
    refuse("actors_from_zero", "they count from 1", &with("actor(0, \"desk\");"), "PROFILE_FACTS");
    refuse("actors_from_two", "they count from 1", &with("actor(2, \"desk\");"), "PROFILE_FACTS");
    refuse("actors_of_one_number", "two latest", &with("actor(1, \"desk\"); actor(1, \"front\");"), "PROFILE_FACTS");
    refuse("actors_of_one_number_and_two_words", "two latest", &with("actor(1, \"desk\"); actor_named(1, \"desk\");"), "PROFILE_FACTS");
    refuse(
        "actors_named_from_one_of_their_own",
        "both sorts are numbered together",
        &with("actor(1, \"desk\"); actor_named(1, \"front\");"),
        "PROFILE_FACTS",
    );
    refuse("actor_named_without_name", "an empty name", &with("actor_named(1, \"\");"), "PROFILE_FACTS");
    refuse("actor_without_name", "an empty name", &with("actor(1, \"\");"), "PROFILE_FACTS");
    refuse("actor_number_as_text", "another type", &with("actor(\"1\", \"desk\");"), "MIXED_TYPES");
    refuse("actor_without_number", "another number of arguments", &with("actor(\"desk\");"), "MIXED_TYPES");
    refuse("actor_in_check", "no check asks for them", &with("check if actor(1, \"desk\");"), "OUTSIDE_PROFILE");
    refuse("actor_named_in_check", "no check asks for them", &with("check if actor_named(1, \"desk\");"), "OUTSIDE_PROFILE");
    let plain = plain_block(&sample(), block("actor(1, \"desk\");"));
    cases.refused("actor_in_plain_block", "they are the issuer's word alone", &plain, "FACTS_IN_PLAIN_BLOCK", Some(1));
    for fact in ["actor", "actor_named"] {
        let hop = hop_block(&sample(), &PLANNER.seed, block(&format!("{} {fact}(1, \"desk\");", hop_fact(1, &EXECUTOR))));
        cases.refused(&format!("{fact}_in_hop"), "they are the issuer's word alone", &hop, "PROFILE_FACTS", Some(1));
    }
}
