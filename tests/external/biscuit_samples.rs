//! Biscuit's own conformance samples: the pinned crate still means what the format says.

use std::fs;
use std::time::Duration;

use biscuit_auth::builder::Term;
use biscuit_auth::datalog::ExternFunc;
use biscuit_auth::error::Token;
use biscuit_auth::{AuthorizerBuilder, AuthorizerLimits, Biscuit, PublicKey};
use serde_json::Value;

const VALIDATIONS: usize = 50;

#[test]
#[ignore = "reads the data of other projects: tests/run --external DIR"]
fn the_pinned_biscuit_crate_agrees_with_every_sample() {
    let folder = super::folder().join("biscuit");
    let samples: Value = serde_json::from_slice(&fs::read(folder.join("samples.json")).unwrap()).unwrap();
    let root = samples["root_public_key"].as_str().unwrap();
    let root = format!("ed25519/{root}").parse().unwrap();

    let (mut seen, mut differing) = (0, Vec::new());
    for case in samples["testcases"].as_array().unwrap() {
        let file = case["filename"].as_str().unwrap();
        let bytes = fs::read(folder.join(file)).unwrap();
        for (name, validation) in case["validations"].as_object().unwrap() {
            seen += 1;
            let (expected, found) = (expected(validation), found(&bytes, root, validation));
            if expected != found {
                differing.push(format!("{file} `{name}`: expected {expected:?}, found {found:?}"));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert_eq!(seen, VALIDATIONS, "the samples are not those that were read when this test was written");
}

/// The policy that matched and the revocation ids, or the kind of error.
type Outcome = Result<(u64, Vec<String>), &'static str>;

fn expected(validation: &Value) -> Outcome {
    let result = &validation["result"];
    if let Some(policy) = result["Ok"].as_u64() {
        let ids = validation["revocation_ids"].as_array().unwrap();
        return Ok((policy, ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()));
    }
    let kind = result["Err"].as_object().unwrap().keys().next().unwrap();
    Err(["Format", "FailedLogic", "Execution"].into_iter().find(|known| kind == known).expect("a known kind of error"))
}

fn found(bytes: &[u8], root: PublicKey, validation: &Value) -> Outcome {
    let outcome = || {
        let token = Biscuit::from(bytes, root)?;
        let code = validation["authorizer_code"].as_str().unwrap();
        let builder = AuthorizerBuilder::new().code(code)?.register_extern_func("test".to_owned(), ExternFunc::new(comparison()));
        // The crate's own limit is a millisecond of wall clock, which a busy machine exceeds.
        let limits = AuthorizerLimits { max_time: Duration::from_secs(60), ..AuthorizerLimits::default() };
        let policy = builder.set_limits(limits).build(&token)?.authorize()?;
        Ok((policy as u64, token.revocation_identifiers().iter().map(|id| hexadecimal(id)).collect()))
    };
    outcome().map_err(|error: Token| match error {
        Token::Format(_) => "Format",
        Token::FailedLogic(_) => "FailedLogic",
        Token::Execution(_) => "Execution",
        _ => "another",
    })
}

/// The function that the samples' foreign-function case is written for.
fn comparison() -> std::sync::Arc<dyn Fn(Term, Option<Term>) -> Result<Term, String> + Send + Sync> {
    std::sync::Arc::new(|left, right| match (left, right) {
        (left, None) => Ok(left),
        (Term::Str(left), Some(Term::Str(right))) if left == right => Ok(Term::Str("equal strings".to_owned())),
        (Term::Str(_), Some(Term::Str(_))) => Ok(Term::Str("different strings".to_owned())),
        _ => Err("unsupported operands".to_owned()),
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
