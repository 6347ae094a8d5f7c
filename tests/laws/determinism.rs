//! L6: the same token, call and time give the same answer, however things are ordered and whatever else runs.

use narrows_tests::tokens;
use narrows_verifier::{
    Caveat, VerifiedToken,
    datalog::{CHECK_FACTS, Facts, Predicate, Term},
};
use proptest::{collection::vec, prelude::*};

use super::{
    cases,
    generate::{OwnedCall, Step, Tree, call, tree, verify},
};

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn asking_again_gives_the_same_answer(tree in tree(), calls in vec(call(), 1..6)) {
        for node in tree.nodes() {
            let (first, second) = (verify(&node.bytes), verify(&node.bytes));
            let (Ok(first), Ok(second)) = (&first, &second) else {
                prop_assert_eq!(first.err(), second.err());
                continue;
            };
            for call in &calls {
                prop_assert_eq!(first.decide_with(&call.borrow(), &call.state), second.decide_with(&call.borrow(), &call.state));
            }
        }
    }

    /// The caveats of each block in another order make another token with the same meaning.
    #[test]
    fn the_order_of_caveats_means_nothing(tree in tree(), rotation in 1_usize..5, calls in vec(call(), 1..6)) {
        let turn = |caveats: &[Caveat]| {
            let mut turned = caveats.to_vec();
            turned.rotate_left(rotation % caveats.len().max(1));
            turned
        };
        let steps = tree.steps.iter().map(|(from, step)| {
            let step = match step {
                Step::Hop(caveats) => Step::Hop(turn(caveats)),
                Step::Plain(caveats) => Step::Plain(turn(caveats)),
            };
            (*from, step)
        });
        let turned = Tree { authority: turn(&tree.authority), steps: steps.collect() };
        for (one, other) in tree.nodes().iter().zip(turned.nodes()) {
            let (one, other) = (verify(&one.bytes), verify(&other.bytes));
            prop_assert_eq!(one.as_ref().err(), other.as_ref().err());
            let (Ok(one), Ok(other)) = (one, other) else { continue };
            for call in &calls {
                prop_assert_eq!(failures(&one, call), failures(&other, call));
            }
        }
    }

    #[test]
    fn the_order_of_facts_means_nothing(tree in tree(), call in call(), seed in any::<u64>()) {
        let nodes = tree.nodes();
        let Ok(token) = verify(&nodes[nodes.len() - 1].bytes) else { return Ok(()) };
        let facts = token.facts(&call.borrow(), &call.state).unwrap();
        let mut listed: Vec<(String, Vec<Term>)> = facts.iter().map(|(name, terms)| (name.to_owned(), terms.to_vec())).collect();
        listed.sort_by_key(|fact| format!("{fact:?}").bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
        let mut shuffled = Facts::new(CHECK_FACTS);
        for (name, terms) in listed {
            shuffled.add(Predicate::new(&name, terms)).unwrap();
        }
        for caveat in token.blocks.iter().flat_map(|block| block.caveats.iter()) {
            let check = caveat.check();
            prop_assert_eq!(facts.satisfy(&check), shuffled.satisfy(&check));
            prop_assert_eq!(facts.cost(&check), shuffled.cost(&check));
        }
    }
}

/// The library's 1 ms limit made 138 of 100,000 answers errors under load; no wall clock decides here.
#[test]
pub(super) fn load_changes_no_answer() {
    let token = verify(&tokens::hop(&tokens::sample(), &tokens::PLANNER, &tokens::EXECUTOR, "[]")).unwrap();
    let arguments = narrows_verifier::json::Value::object([]);
    let decide = || {
        let call = |tool| narrows_verifier::Call { tool, arguments: &arguments, audience: tokens::AUDIENCE, time: tokens::NOW };
        (token.decide(&call("crm.read")), token.decide(&call("db.drop")))
    };
    let expected = decide();
    assert!(expected.0.is_ok() && expected.1.is_err());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..2_000).for_each(|_| assert_eq!(decide(), expected)));
        }
    });
}

/// Which caveats fail in which block, whatever their order inside it.
fn failures(token: &VerifiedToken, call: &OwnedCall) -> Vec<String> {
    let failed = token.decide_with(&call.borrow(), &call.state).err().map(|denial| denial.failures).unwrap_or_default();
    let mut named: Vec<_> = failed.iter().map(|failure| format!("{} {:?}", failure.block, failure.caveat)).collect();
    named.sort();
    named
}
