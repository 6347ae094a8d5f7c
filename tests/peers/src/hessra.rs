//! Hessra: a Biscuit that names one target and operation, narrowed by designations; a bearer token.

use std::hint::black_box;

use hessra_cap::{CListPolicy, CapabilityEngine, Designation, ObjectId, Operation};

use crate::{intent::READ, measure::Cell};

const POLICY: &str = r#"
[[objects]]
id = "agent:planner"
capabilities = [
    { target = "crm.read", operations = ["invoke"] },
    { target = "crm.write", operations = ["invoke"] },
]
"#;

pub fn mint() -> Cell {
    let engine = engine();
    Cell::timed(move || mint_with(&engine))
}

pub fn hop() -> Cell {
    let engine = engine();
    let parent = chain(&engine, 1);
    Cell::timed(move || engine.attenuate_with_designations(black_box(&parent), &[designation("step-1", "1")]).unwrap())
}

/// One tool a token; every designation must be given again by the verifier, word for word. No proof of possession.
pub fn cold(depth: usize) -> Cell {
    let engine = engine();
    let token = chain(&engine, depth);
    let (target, operation) = (ObjectId::new(READ), Operation::new("invoke"));
    let expected: Vec<_> = constraints().into_iter().chain((1..depth).map(step)).collect();
    Cell::timed(move || engine.verify_designated_capability(black_box(&token), &target, &operation, &expected).unwrap())
}

pub fn decision() -> Cell {
    Cell::Absent("always from the token's text")
}

/// The token is text; its bytes are what the text decodes to.
pub fn size(depth: usize) -> Cell {
    Cell::Bytes(chain(&engine(), depth).trim_end_matches('=').len() * 3 / 4)
}

fn engine() -> CapabilityEngine<CListPolicy> {
    CapabilityEngine::with_generated_keys(CListPolicy::from_toml(POLICY).unwrap())
}

fn mint_with(engine: &CapabilityEngine<CListPolicy>) -> String {
    let (subject, target, operation) = (ObjectId::new("agent:planner"), ObjectId::new(READ), Operation::new("invoke"));
    engine.mint_designated_capability(&subject, &target, &operation, &constraints(), None).unwrap().token
}

fn chain(engine: &CapabilityEngine<CListPolicy>, depth: usize) -> String {
    (1..depth).fold(mint_with(engine), |token, index| engine.attenuate_with_designations(&token, &[step(index)]).unwrap())
}

fn constraints() -> Vec<Designation> {
    vec![designation("account", "a-17"), designation("limit", "20"), designation("region", "eu-north")]
}

fn step(index: usize) -> Designation {
    designation(&format!("step-{index}"), &index.to_string())
}

fn designation(label: &str, value: &str) -> Designation {
    Designation { label: label.to_owned(), value: value.to_owned() }
}
