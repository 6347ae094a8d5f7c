//! The page that states the profile, against the vectors and the reason codes: its examples are real ones.

use std::fs;

use narrows_tests::vectors::{CaveatAnswer, Vector, all};
use narrows_verifier::{
    Reason,
    datalog::{CALL_FACTS, PROFILE_FACTS},
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
fn the_documented_caveats_are_those_of_vectors() {
    let (page, cases) = (page(), all());
    for name in [
        "caveat_tools",
        "caveat_arg_exact_text",
        "caveat_arg_one_of",
        "caveat_arg_range",
        "caveat_arg_prefix",
        "caveat_closed_args",
        "caveat_audience",
        "caveat_expires",
        "caveat_depth",
    ] {
        let Vector::Caveat(vector) = &cases[name] else { panic!("a caveat") };
        let CaveatAnswer::Read { canonical, check, sentence } = &vector.expect else { panic!("it is read") };
        for text in [canonical, check, sentence] {
            assert!(page.contains(text.as_str()), "{name}: {text}");
        }
    }
}

#[test]
fn the_page_names_every_fact_and_no_reason_that_does_not_exist() {
    let page = page();
    for signature in CALL_FACTS.iter().chain(PROFILE_FACTS) {
        assert!(page.contains(&format!("`{}`", signature.name)) || page.contains(&format!("{}(", signature.name)), "{}", signature.name);
    }
    let spans = page.split('`').skip(1).step_by(2);
    let codes: Vec<_> =
        spans.filter(|span| span.contains('_') && span.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')).collect();
    assert!(codes.len() > 40);
    for code in codes {
        assert!(Reason::from_code(code).is_some(), "{code} is no reason code");
    }
}
