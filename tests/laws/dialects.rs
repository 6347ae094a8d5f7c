//! Operators' own checks: taken by verifiers that are told to, from the issuer alone, and then as the engine takes them.

use narrows_tests::{engine, tokens};
use narrows_verifier::{
    Call, Caveat, Reason, Refusal, State, UnverifiedToken, VerifiedToken, Verifier,
    biscuit::{Dialect, append_hop, append_plain},
    json::{Limits, parse},
    token_text,
};

const CHECK: &str =
    r#"[{"kind":"datalog","check":"check if tool($t), arg_int(\"/a\", $v), arg_int(\"/b\", $w), $v < $w, !$t.ends_with(\".write\")"}]"#;

fn verify(token: &[u8], dialect: Dialect) -> Result<VerifiedToken, Refusal> {
    UnverifiedToken::from_bytes_in(token, dialect)?.verify(&tokens::roots())
}

fn minted() -> Vec<u8> {
    let caveats = [tokens::caveats(tokens::AUTHORITY_CAVEATS), tokens::caveats(CHECK)].concat();
    tokens::mint(&tokens::claims(caveats))
}

#[test]
fn an_operators_check_is_refused_unless_the_verifier_is_told() {
    let refusal = verify(&minted(), Dialect::Caveats).err().map(|refusal| (refusal.reason, refusal.block));
    assert_eq!(refusal, Some((Reason::UnknownCaveat, Some(0))));
    let text = token_text(&minted());
    assert!(Verifier::new(8, [1, 2]).verify(&text, &tokens::roots()).is_err());
    assert!(Verifier::new(8, [1, 2]).with_dialect(Dialect::OperatorChecks).verify(&text, &tokens::roots()).is_ok());
}

#[test]
fn an_operators_check_decides_as_the_engine_does() {
    let token = verify(&minted(), Dialect::OperatorChecks).unwrap();
    let library = engine::verify(&minted(), &tokens::roots()).unwrap();
    for (tool, arguments, permitted) in [
        ("crm.read", r#"{"a":1,"b":2}"#, true),
        ("crm.read", r#"{"a":2,"b":2}"#, false),
        ("crm.read", r#"{"a":1,"b":"2"}"#, false),
        ("crm.read", r#"{"a":1}"#, false),
        ("crm.write", r#"{"a":1,"b":2}"#, false),
    ] {
        let arguments = parse(arguments.as_bytes(), Limits::ARGUMENTS).unwrap();
        let call = Call { tool, arguments: &arguments, audience: tokens::AUDIENCE, time: tokens::NOW };
        let decided = token.decide(&call);
        assert_eq!(decided.is_ok(), permitted, "{tool} {arguments:?}");
        assert!(decided.err().is_none_or(|denial| denial.reason == Reason::DatalogRefused));
        let facts = token.facts(&call, &State::default()).unwrap();
        assert_eq!(engine::failed_checks(&library, &facts).unwrap().is_empty(), permitted);
    }
}

/// A holder could write what nobody has given a sentence for, or what costs more than it looks.
#[test]
fn only_the_issuer_writes_checks_of_its_own() {
    let caveats = tokens::caveats(CHECK);
    assert!(matches!(caveats.as_slice(), [Caveat::Datalog(_)]));
    let hop = tokens::EXECUTOR.claims(caveats.clone());
    assert_eq!(append_hop(&tokens::sample(), &tokens::PLANNER.seed, &hop, &[9; 32]).err(), Some(Reason::UnknownCaveat));
    assert_eq!(append_plain(&tokens::sample(), &caveats, &[9; 32]).err(), Some(Reason::UnknownCaveat));
    // made with the library instead, under good signatures
    let code = r#"check if tool($t), arg_int("/a", $v), $v < 3"#;
    let plain = tokens::plain_block(&tokens::sample(), tokens::block(code));
    let fact = tokens::hop_fact(1, &tokens::EXECUTOR);
    let hop = |seed| tokens::hop_block(&tokens::sample(), seed, tokens::block(&format!("{fact} {code}")));
    for token in [plain, hop(&tokens::PLANNER.seed)] {
        let refusal = verify(&token, Dialect::OperatorChecks).err().map(|refusal| (refusal.reason, refusal.block));
        assert_eq!(refusal, Some((Reason::UnknownCaveat, Some(1))));
    }
    assert!(verify(&hop(&tokens::ISSUER), Dialect::OperatorChecks).is_ok());
}

#[test]
fn the_work_of_an_operators_check_is_bounded_before_it_is_done() {
    let check =
        r#"[{"kind":"datalog","check":"check if arg_int($a, $v), arg_int($b, $v), arg_int($c, $v), $a !== $b, $b !== $c, $a !== $c"}]"#;
    let caveats = [tokens::caveats(tokens::AUTHORITY_CAVEATS), tokens::caveats(check)].concat();
    let token = verify(&tokens::mint(&tokens::claims(caveats)), Dialect::OperatorChecks).unwrap();
    let decide = |count: usize| {
        let items = (0..count).map(|number| format!(r#""k{number}":{number}"#)).collect::<Vec<_>>().join(",");
        let arguments = parse(format!("{{{items}}}").as_bytes(), Limits::ARGUMENTS).unwrap();
        let call = Call { tool: "crm.read", arguments: &arguments, audience: tokens::AUDIENCE, time: tokens::NOW };
        token.decide(&call).err().map(|denial| denial.reason)
    };
    assert_eq!(decide(46), Some(Reason::DatalogRefused));
    assert_eq!(decide(47), Some(Reason::CostBound));
}
