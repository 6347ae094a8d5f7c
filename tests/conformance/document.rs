//! The page that states the profile, against the vectors and the reason codes: its examples are real ones.

use std::fs;

use narrows_tests::vectors::{CaveatAnswer, Vector, all, documented};
use narrows_verifier::{
    Reason,
    datalog::{CHECK_FACTS, Function, PROFILE_FACTS},
};

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/token-format.md")).unwrap()
}

#[test]
fn the_documented_token_and_proof_are_those_of_a_vector() {
    // long texts are broken into lines on the page
    let (page, unbroken) = (page(), page().replace('\n', ""));
    let cases = all();
    let Vector::Token(vector) = &cases["depth_2"] else { panic!("a token") };
    assert!(unbroken.contains(&vector.token), "the token's text");
    assert!(unbroken.contains(&vector.proof.as_ref().unwrap().text), "the proof's text");
    for id in &vector.expect.block_ids {
        assert!(page.contains(id.as_str()), "block id {id}");
    }
    let token = biscuit_auth::UnverifiedBiscuit::from(narrows_verifier::token_bytes(&vector.token).unwrap()).unwrap();
    for block in 0..3 {
        assert!(page.contains(&token.print_block_source(block).unwrap()), "block {block}");
    }
}

#[test]
fn the_documented_session_proof_is_that_of_a_vector() {
    let Vector::Session(vector) = &all()["session_call"] else { panic!("a session") };
    assert!(page().contains(&vector.call.as_ref().unwrap().proofs[0]));
}

#[test]
fn every_kind_and_rule_is_documented_as_the_vectors_have_it() {
    let (page, cases) = (page(), all());
    for name in documented() {
        let Vector::Caveat(vector) = &cases[name] else { panic!("a caveat") };
        let CaveatAnswer::Read { canonical, check, sentence } = &vector.expect else { panic!("it is read") };
        let shown = format!("```json\n{canonical}\n```\n```\n{check}\n```\n> {sentence}\n");
        assert!(page.contains(&shown), "{name}: {shown}");
    }
    let section = page.split("\n## ").find(|section| section.starts_with("7. Caveats")).unwrap();
    assert_eq!(section.matches("```json\n").count(), documented().count(), "a caveat of the page is none of the vectors");
}

#[test]
fn the_page_names_every_fact_and_no_reason_that_does_not_exist() {
    let page = page();
    for signature in CHECK_FACTS.iter().chain(PROFILE_FACTS) {
        assert!(page.contains(&format!("`{}`", signature.name)) || page.contains(&format!("{}(", signature.name)), "{}", signature.name);
    }
    for function in Function::all() {
        assert!(page.contains(&format!("`{}`", function.name())), "{}", function.name());
    }
    let spans = page.split('`').skip(1).step_by(2);
    let codes: Vec<_> =
        spans.filter(|span| span.contains('_') && span.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')).collect();
    assert!(codes.len() > 40);
    for code in codes {
        assert!(Reason::from_code(code).is_some(), "{code} is no reason code");
    }
}
