//! What people are shown is what is decided: the meet of all caveats, and the explanation of a refusal.

use narrows_tests::tokens;
use narrows_verifier::{
    Call, Effective, Reason, State, Withheld,
    json::{Limits, Pointer, parse},
};
use proptest::{collection::vec, prelude::*};

use super::{
    cases,
    generate::{call, tree, verify},
};

proptest! {
    #![proptest_config(cases(300))]

    /// The meet permits exactly what the token permits, and says nothing twice.
    #[test]
    fn the_effective_authority_is_that_of_all_blocks(tree in tree(), calls in vec(call(), 1..8)) {
        for node in tree.nodes() {
            let Ok(token) = verify(&node.bytes) else { continue };
            let effective = token.effective();
            for call in &calls {
                let decided = token.decide_with(&call.borrow(), &call.state).is_ok();
                let shown = effective.caveats.iter().all(|caveat| caveat.permits(&call.borrow(), token.depth(), &call.state));
                prop_assert_eq!(shown, decided, "{:?} {:?}", effective, call);
                prop_assert!(!(decided && effective.permits_nothing));
            }
            prop_assert!(effective.caveats.len() <= token.blocks.iter().map(|block| block.caveats.len()).sum::<usize>() + 1);
            prop_assert_eq!(Effective::of(effective.caveats.iter()).caveats.len(), effective.caveats.len());
        }
    }

    /// An explanation names what the decision names, block for block.
    #[test]
    fn every_failure_is_explained(tree in tree(), call in call()) {
        for node in tree.nodes() {
            let Ok(token) = verify(&node.bytes) else { continue };
            let failures = token.decide_with(&call.borrow(), &call.state).err().map(|denial| denial.failures).unwrap_or_default();
            let told = token.explain(&call.borrow(), &call.state, &Withheld::none());
            let named = |block: usize, reason: Reason| (block, reason);
            prop_assert_eq!(
                failures.iter().map(|failure| named(failure.block, failure.reason)).collect::<Vec<_>>(),
                told.iter().map(|told| named(told.block, told.reason)).collect::<Vec<_>>()
            );
            for told in told {
                prop_assert!(!told.expected.is_empty() && !told.actual.is_empty() && !told.accepted.is_empty());
            }
        }
    }
}

const CAVEATS: &str = r#"[{"kind":"arg","tool":"crm.read","path":"/limit","is":{"range":{"max":50}}},{"kind":"arg","tool":"crm.read","path":"/key","is":{"one_of":["alpha-secret","beta-secret"]}},{"kind":"calls","name":"reads","max":3}]"#;

#[test]
fn an_explanation_says_where_what_and_what_would_do() {
    let first = tokens::hop(&tokens::sample(), &tokens::PLANNER, &tokens::EXECUTOR, CAVEATS);
    let token = tokens::hop(
        &first,
        &tokens::EXECUTOR,
        &tokens::WORKER,
        r#"[{"kind":"arg","tool":"crm.read","path":"/limit","is":{"range":{"min":10}}}]"#,
    );
    let token = verify(&token).unwrap();
    let arguments = parse(br#"{"limit":51,"key":"gamma-secret"}"#, Limits::ARGUMENTS).unwrap();
    let call = Call { tool: "crm.read", arguments: &arguments, audience: tokens::AUDIENCE, time: tokens::NOW };
    let told = token.explain(&call, &State::default(), &Withheld::none());
    let limit = &told[0];
    assert_eq!((limit.reason, limit.block, limit.hop, limit.added_by.as_str()), (Reason::ArgumentRefused, 1, 1, "planner"));
    assert_eq!(limit.expected, "`/limit` of `crm.read` must be an integer of at most 50");
    assert_eq!(limit.actual, "`51`");
    assert_eq!(limit.accepted, "`/limit` of `crm.read` must be an integer from 10 to 50");
    assert!(told[1].actual.contains("gamma-secret") && told[1].expected.contains("alpha-secret"));
    assert_eq!(told[2].reason, Reason::NeedsCounter);
    assert!(told[2].needs.is_some_and(|needs| needs.supplied_by().contains("reasoning plane")));
}

/// Names below a secret place belong to it, and a sum tells what was added.
#[test]
fn an_explanation_keeps_names_and_sums_of_secret_places() {
    let caveats = r#"[{"kind":"closed_args","tool":"crm.read","at":"/to","names":["iban"]},{"kind":"budget","name":"b","tool":"crm.read","unit":"EUR","max":"5","cost":{"path":"/to/sum"}}]"#;
    let token = verify(&tokens::hop(&tokens::sample(), &tokens::PLANNER, &tokens::EXECUTOR, caveats)).unwrap();
    let arguments = parse(br#"{"to":{"hidden-name":1,"sum":"777.77"}}"#, Limits::ARGUMENTS).unwrap();
    let call = Call { tool: "crm.read", arguments: &arguments, audience: tokens::AUDIENCE, time: tokens::NOW };
    let state = State { spend: [("b".to_owned(), "777.77".to_owned())].into(), ..State::default() };
    let told = |withheld: Withheld| format!("{:?}", token.explain(&call, &state, &withheld));
    assert!(told(Withheld::none()).contains("hidden-name") && told(Withheld::none()).contains("777.77"));
    let kept = told(Withheld::none().with("crm.read", Pointer::parse("/to").unwrap()));
    assert!(kept.contains("withheld") && !kept.contains("hidden-name") && !kept.contains("777.77"), "{kept}");
}

#[test]
fn an_explanation_keeps_what_the_policy_marks_secret() {
    let token = verify(&tokens::hop(&tokens::sample(), &tokens::PLANNER, &tokens::EXECUTOR, CAVEATS)).unwrap();
    let arguments = parse(br#"{"limit":51,"key":"gamma-secret"}"#, Limits::ARGUMENTS).unwrap();
    let call = Call { tool: "crm.read", arguments: &arguments, audience: tokens::AUDIENCE, time: tokens::NOW };
    for place in ["/key", "/key/deeper", ""] {
        let secrets = Withheld::none().with("crm.read", Pointer::parse(place).unwrap());
        let told = token.explain(&call, &State::default(), &secrets);
        assert_eq!(told.len(), 3);
        assert!(!format!("{told:?}").contains("-secret"), "{place}: {told:?}");
    }
}
