//! What a verifier remembers changes no answer: with and without memory, in any order, over twins, changed bytes and
//! rotated keys.

use narrows_tests::tokens;
use narrows_verifier::{
    Refusal, RootKey, RootState, Roots, UnverifiedToken, VerifiedToken, Verifier,
    biscuit::{append_hop, seal},
    public_key, token_text,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use super::{
    cases,
    differential::{bases, change},
    generate::tree,
};

/// Everything that can be seen of a verified token.
fn seen(answer: Result<VerifiedToken, Refusal>) -> Result<String, Refusal> {
    answer.map(|token| format!("{token:?}"))
}

fn plain(bytes: &[u8], roots: &Roots) -> Result<String, Refusal> {
    seen(UnverifiedToken::from_bytes(bytes).and_then(|token| token.verify(roots)))
}

proptest! {
    #![proptest_config(cases(300))]

    /// A small memory, so that parents come and go.
    #[test]
    fn a_memory_changes_no_answer_over_trees(trees in vec(tree(), 1..4), order in vec(any::<Index>(), 1..40), tokens_kept in prop_oneof![Just(0_usize), Just(64), Just(1024)]) {
        let verifier = Verifier::new(tokens_kept, [1, 2]);
        let roots = tokens::roots();
        let made: Vec<Vec<u8>> = trees.iter().flat_map(|tree| tree.nodes()).flat_map(|node| [seal(&node.bytes).unwrap(), node.bytes]).collect();
        for pick in order {
            let bytes = pick.get(&made);
            prop_assert_eq!(seen(verifier.verify_bytes(bytes, &roots)), plain(bytes, &roots));
            let by_text = verifier.verify(&token_text(bytes), &roots).map(|token| (*token).clone());
            prop_assert_eq!(seen(by_text), plain(bytes, &roots));
        }
    }
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn a_memory_changes_no_answer_over_changed_bytes(base in any::<Index>(), changes in vec(change(), 1..4)) {
        let verifier = Verifier::new(1024, [1, 2]);
        let roots = tokens::roots();
        for token in bases() {
            verifier.verify_bytes(token, &roots).unwrap();
        }
        let changed = changes.iter().fold(base.get(bases()).clone(), |token, change| change.make(&token));
        prop_assert_eq!(seen(verifier.verify_bytes(&changed, &roots)), plain(&changed, &roots));
    }
}

/// Two hops that differ in nothing but the next key that their wrapper chose: each goes on under its own key alone.
#[test]
fn a_twin_lends_its_next_key_to_nobody() {
    let parent = tokens::sample();
    let hop = tokens::EXECUTOR.claims(Vec::new());
    let twins = [70_u8, 71].map(|seed| append_hop(&parent, &tokens::PLANNER.seed, &hop, &[seed; 32]).unwrap());
    let children =
        twins.clone().map(|twin| append_hop(&twin, &tokens::EXECUTOR.seed, &tokens::WORKER.claims(Vec::new()), &[72; 32]).unwrap());
    let verifier = Verifier::new(1024, [1, 2]);
    let roots = tokens::roots();
    for bytes in twins.iter().chain(&children) {
        assert_eq!(seen(verifier.verify_bytes(bytes, &roots)), plain(bytes, &roots));
    }
    // a child's own block under the other twin's parent
    let mixed = tokens::edit(&children[0], |token| token.blocks[0] = tokens::decode(&children[1]).blocks[0].clone());
    assert!(plain(&mixed, &roots).is_err());
    assert_eq!(seen(verifier.verify_bytes(&mixed, &roots)), plain(&mixed, &roots));
}

#[test]
fn what_was_verified_under_other_keys_is_not_remembered() {
    let token = tokens::sample();
    let text = token_text(&token);
    let verifier = Verifier::new(1024, [1, 2]);
    let roots = tokens::roots();
    assert!(verifier.verify(&text, &roots).is_ok());
    let root = roots.keys()[0];
    let tainted = Roots::new(vec![RootKey { state: RootState::Tainted, ..root }]).unwrap();
    let other = Roots::new(vec![RootKey { key: public_key(&[77; 32]), ..root }]).unwrap();
    for changed in [tainted, other, Roots::default()] {
        let expected = plain(&token, &changed).unwrap_err();
        assert_eq!(verifier.verify(&text, &changed).err(), Some(expected));
        assert_eq!(verifier.verify_bytes(&token, &changed).err(), Some(expected));
    }
    assert!(verifier.verify(&text, &roots).is_ok());
}

#[test]
fn memory_is_bounded() {
    let verifier = Verifier::new(128, [1, 2]);
    let roots = tokens::roots();
    for number in 0..300_u16 {
        let [high, low] = number.to_be_bytes();
        let mut claims = tokens::claims(tokens::caveats(tokens::AUTHORITY_CAVEATS));
        claims.task.0[..2].copy_from_slice(&[high, low]);
        verifier.verify(&token_text(&tokens::mint(&claims)), &roots).unwrap();
        assert!(verifier.remembered() <= 128);
    }
}
