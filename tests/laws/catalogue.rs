//! Every measured way to break a verifier of Biscuits, with the answer that it gets here and where that is shown.
//!
//! A row that loses its test or vector, or whose test no longer speaks of the reason, fails.

use narrows_tests::vectors::{Vector, Verdict, all};
use narrows_verifier::Reason;

use super::{attacks, determinism, pitfalls};

/// A pitfall or an attack.
struct Row {
    name: &'static str,
    /// The refusal; none for what is accepted because it does no harm.
    reason: Option<Reason>,
    tests: &'static [(&'static str, fn())],
    vectors: &'static [&'static str],
}

/// `a::b` as its last name and the function itself.
macro_rules! tests {
    ($($module:ident :: $name:ident),*) => { &[$((stringify!($name), $module::$name as fn())),*] };
}

const fn row(name: &'static str, reason: Reason, tests: &'static [(&'static str, fn())], vectors: &'static [&'static str]) -> Row {
    Row { name, reason: Some(reason), tests, vectors }
}

const fn harmless(name: &'static str, tests: &'static [(&'static str, fn())], vectors: &'static [&'static str]) -> Row {
    Row { name, reason: None, tests, vectors }
}

const PITFALLS: &[Row] = &[
    row("1 join bomb", Reason::CostBound, tests![pitfalls::refuses_join_bomb_before_evaluation], &["join_bomb"]),
    row("2 fact bomb", Reason::TooManyFacts, tests![pitfalls::refuses_fact_bomb_by_counting_bytes_not_rounds], &["fact_flood"]),
    row(
        "3 a coin that decides",
        Reason::MixedTypes,
        tests![pitfalls::mixed_types_are_refused_and_never_decide_by_chance],
        &["mixed_types"],
    ),
    row("4 a clock that decides", Reason::CostBound, tests![pitfalls::the_cost_of_a_decision_is_bounded_before_it_starts], &[]),
    harmless("4 a clock that decides, under load", tests![determinism::load_changes_no_answer], &[]),
    row(
        "5 P-256 malleability",
        Reason::KeyAlgorithm,
        tests![pitfalls::only_ed25519_signs_so_no_signature_can_be_varied],
        &["p256_next_key"],
    ),
    row("5 Ed25519 malleability", Reason::BadSignature, tests![attacks::a_signature_has_one_form], &[]),
    row("6 bytes in two forms", Reason::TokenNotCanonical, tests![pitfalls::a_token_has_one_byte_form], &["bytes_unknown_field"]),
    row("7 regex", Reason::OutsideProfile, tests![pitfalls::regular_expressions_are_refused_in_tokens_and_conditions], &["regex"]),
    row("8 a missing fact opens", Reason::OutsideProfile, tests![pitfalls::a_missing_fact_denies], &["reject_if", "check_all"]),
    row(
        "9 a block meets its own check",
        Reason::OutsideProfile,
        tests![pitfalls::no_block_meets_its_own_check],
        &["ambient_fact_in_authority", "check_over_profile_fact"],
    ),
    row("10 scopes", Reason::OutsideProfile, tests![pitfalls::scopes_are_refused], &["scope_of_block", "scope_of_query"]),
    row("11 foreign bytes panic", Reason::OutsideProfile, tests![pitfalls::foreign_hop_bytes_never_panic], &["schema_7"]),
    row("11 a hop over an old block", Reason::SignatureVersion, tests![pitfalls::every_block_is_signed_in_the_new_form], &[]),
    row(
        "12 payloads without a tag",
        Reason::SignatureVersion,
        tests![pitfalls::null_forces_signature_v1],
        &["signature_v0", "signature_v0_later", "signature_v2"],
    ),
    row("13 the parser's stack", Reason::TokenMalformed, tests![pitfalls::deep_nesting_ends_before_the_stack_does], &[]),
    row(
        "14 blocks without end",
        Reason::TooManyBlocks,
        tests![pitfalls::blocks_are_counted_before_signatures_are_checked],
        &["block_flood"],
    ),
    row("15 overflow", Reason::OutsideProfile, tests![pitfalls::numbers_that_could_overflow_are_refused], &["arithmetic"]),
    harmless("16 secrets in Debug", tests![pitfalls::own_types_never_print_secrets], &[]),
    row("17 symbols", Reason::OutsideProfile, &[], &["symbol_missing", "symbol_of_default_table", "symbol_repeated"]),
    harmless("17 symbols, read with the right table", tests![pitfalls::each_block_is_read_with_its_own_strings], &[]),
    row(
        "18 an open token is a right to append",
        Reason::TokenSealed,
        tests![pitfalls::a_block_can_not_be_cut_off_and_a_sealed_token_grows_no_more],
        &[],
    ),
];

const HOP_ATTACKS: &[Row] = &[
    row("move a hop to another token", Reason::BadSignature, &[], &["hop_moved"]),
    row("move a hop to a token of the same words", Reason::BadSignature, tests![attacks::a_hop_moves_to_no_twin_of_its_parent], &[]),
    row("slip a plain block in between", Reason::BadSignature, &[], &["plain_block_grafted", "plain_block_grafted_rewrapped"]),
    row("remove the external signature", Reason::MixedTypes, &[], &["external_signature_removed"]),
    row("say a hop's words without a signature", Reason::FactsInPlainBlock, &[], &["hop_remade_as_plain_block", "thief_adds_hop_fact"]),
    row("exchange the external key", Reason::BadSignature, &[], &["external_key_exchanged", "external_signature_exchanged"]),
    row(
        "sign by a key of small order",
        Reason::WeakKey,
        tests![attacks::no_hop_is_signed_in_the_name_of_a_key_of_small_order],
        &["hop_to_weak_key", "authority_weak_holder"],
    ),
    row(
        "cut off the last hop",
        Reason::BadProof,
        tests![pitfalls::a_block_can_not_be_cut_off_and_a_sealed_token_grows_no_more],
        &["cut_open", "cut_sealed", "cut_and_closed_by_thief", "sealed_by_thief"],
    ),
    harmless("re-wrap a hop", tests![attacks::an_id_hangs_on_no_signature_and_no_next_key], &["rewrapped_hop_twin"]),
    row("name oneself holder in a plain block", Reason::FactsInPlainBlock, &[], &["thief_adds_holder_fact"]),
    row(
        "sign a hop with one's own key",
        Reason::HopSigner,
        &[],
        &["thief_signs_own_hop", "thief_signs_with_next_key", "former_holder_signs"],
    ),
    row("sign a hop as another issuer", Reason::HopSigner, &[], &["other_root_signs_hop"]),
    row("claim the holder's key", Reason::BadSignature, tests![attacks::no_hop_is_signed_in_the_name_of_its_holder_by_another], &[]),
    row("add plain checks to stolen bytes", Reason::HopSigner, tests![attacks::a_plain_block_of_a_thief_takes_away_and_names_nobody], &[]),
    row("present stolen bytes", Reason::ProofSignature, &[], &["presented_by_thief", "presented_by_former_holder"]),
    row("read a statement as a hop", Reason::ProofSignature, tests![pitfalls::a_statement_is_never_a_hop_signature], &[]),
    row("name no holder, or two", Reason::ProfileFacts, &[], &["authority_without_holder", "authority_two_holders"]),
    row("skip or repeat an index", Reason::HopIndex, &[], &["hop_index_skipped", "hop_index_repeated", "hop_index_zero"]),
    row("go deeper than allowed", Reason::HopDepth, &[], &["hop_too_deep", "hop_past_authority_depth"]),
    row("outlive the parent", Reason::HopOutlivesParent, &[], &["hop_outlives_parent", "hop_outlives_hop"]),
    row("sign a hop with P-256", Reason::KeyAlgorithm, &[], &["p256_external_key"]),
];

const ID_ATTACKS: &[Row] = &[
    harmless(
        "escape an id by other signatures or keys",
        tests![attacks::an_id_hangs_on_no_signature_and_no_next_key],
        &["rewrapped_hop_twin"],
    ),
    harmless("share an id with equal words", tests![attacks::equal_words_under_two_entries_are_two_blocks], &[]),
    harmless("keep an id under another parent", tests![attacks::an_id_covers_every_block_before], &[]),
];

#[test]
fn every_pitfall_and_attack_is_shown_with_its_reason() {
    let vectors = all();
    let mut wrong = Vec::new();
    for row in PITFALLS.iter().chain(HOP_ATTACKS).chain(ID_ATTACKS) {
        if row.tests.is_empty() && row.vectors.is_empty() {
            wrong.push(format!("{}: nothing shows it", row.name));
        }
        for (test, _) in row.tests {
            match (body(test), row.reason) {
                (None, _) => wrong.push(format!("{}: `{test}` is not a test", row.name)),
                (Some(body), Some(reason)) if !body.contains(&format!("Reason::{reason:?}")) => {
                    wrong.push(format!("{}: `{test}` does not speak of {reason}", row.name));
                }
                _ => {}
            }
        }
        for name in row.vectors {
            let answer = match vectors.get(*name) {
                Some(Vector::Token(vector)) => Some((vector.expect.verdict, vector.expect.reason.as_deref())),
                _ => None,
            };
            let expected = row.reason.map_or((Verdict::Allow, None), |reason| (Verdict::Deny, Some(reason.code())));
            if answer != Some(expected) {
                wrong.push(format!("{}: vector `{name}` says {answer:?}", row.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for number in 1..=18 {
        assert!(PITFALLS.iter().any(|row| row.name.starts_with(&format!("{number} "))), "pitfall {number} is left out");
    }
    assert_eq!((HOP_ATTACKS.len(), ID_ATTACKS.len()), (21, 3), "a row was added or lost: say so here as well");
}

/// The body of a function that is marked as a test and is not left out.
fn body(name: &str) -> Option<&'static str> {
    const SOURCES: [&str; 3] = [include_str!("attacks.rs"), include_str!("determinism.rs"), include_str!("pitfalls.rs")];
    let start = format!("#[test]\npub(super) fn {name}() {{\n");
    let found = SOURCES.iter().find_map(|source| source.split_once(&start));
    found.and_then(|(_, rest)| rest.split_once("\n}\n")).map(|(body, _)| body)
}
