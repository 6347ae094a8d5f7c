//! The verifier against the vectors, and the vectors against the Biscuit library.

mod answers;
mod document;
mod leaf_schema;
mod leaves;
mod log_oracles;
mod oracles;
mod presenting;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
};

pub(crate) use answers::failed_checks;
use biscuit_auth::builder::Term;
use narrows_tests::{
    engine, tokens,
    vectors::{CaveatAnswer, TokenVector, Vector, Verdict, all, documented, file_text, folder},
};
use narrows_verifier::{Call, Caveat, UnverifiedToken, json};

#[test]
fn committed_vectors_are_what_the_generator_makes() {
    let made: BTreeMap<String, String> = all().iter().map(|(name, vector)| (format!("{name}.json"), file_text(vector))).collect();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".json") {
            found.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&made), "run `cargo run -p narrows-tests --bin vectors`");
    for (name, text) in &made {
        assert!(found[name] == *text, "`{name}` differs; run `cargo run -p narrows-tests --bin vectors`");
    }
    assert!(made.len() >= 1000);
}

#[test]
fn file_names_differ_by_more_than_case() {
    let mut names: Vec<_> = all().into_keys().map(|name| name.to_lowercase()).collect();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_vector_gets_its_answer() {
    let mut wrong = Vec::new();
    for (name, vector) in committed() {
        let (expected, answered) = answers::of(&vector);
        if expected != answered {
            wrong.push(format!("{name}\n    expected {expected}\n    answered {answered}"));
        }
    }
    assert!(wrong.is_empty(), "{} vectors:\n  {}", wrong.len(), wrong.join("\n  "));
}

/// The library must accept whatever the verifier accepts, and its engine must find the same checks failing.
#[test]
fn verified_tokens_mean_the_same_to_the_library() {
    let mut decided = 0;
    for (name, vector) in committed() {
        let Vector::Token(vector) = vector else { continue };
        if vector.expect.block_ids.is_empty() {
            continue;
        }
        let bytes = narrows_verifier::token_bytes(&vector.token).unwrap();
        let verified = UnverifiedToken::from_bytes(&bytes).unwrap().verify(&answers::roots(&vector)).unwrap();
        let library = engine::verify(&bytes, &answers::roots(&vector)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some(call) = &vector.call else { continue };
        let Ok(arguments) = json::parse(call.arguments_text.as_bytes(), json::Limits::ARGUMENTS) else { continue };
        let state = answers::state(call);
        let call = Call { tool: &call.tool, arguments: &arguments, audience: &call.audience, time: call.time };
        let Ok(facts) = verified.facts(&call, &state) else { continue };
        let ours = match verified.decide_with(&call, &state) {
            Err(denial) if denial.failures.is_empty() => continue,
            decision => answers::failed_checks(&verified, &decision),
        };
        assert_eq!(engine::failed_checks(&library, &facts).unwrap(), ours, "{name}");
        decided += 1;
    }
    assert!(decided > 500, "only {decided} calls were decided by both");
}

/// Six calls at least for each: accepted, at an edge, rejected, of another type, missing, in a nested place.
#[test]
fn every_kind_and_rule_is_shown_six_calls() {
    let cases = committed();
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    for vector in cases.values() {
        let Vector::Token(TokenVector { call: Some(_), token, .. }) = vector else { continue };
        let token = UnverifiedToken::from_bytes(&narrows_verifier::token_bytes(token).unwrap()).unwrap();
        let verified = token.verify(&tokens::roots()).unwrap();
        let shown: BTreeSet<String> = verified.blocks.iter().flat_map(|block| block.caveats.iter()).map(kind_and_rule).collect();
        shown.into_iter().for_each(|name| *calls.entry(name).or_default() += 1);
    }
    for name in documented() {
        let Vector::Caveat(vector) = &cases[name] else { panic!("{name} is a caveat") };
        let caveat = Caveat::from_json(&json::parse(vector.json.as_bytes(), json::Limits::CAVEATS).unwrap()).unwrap();
        // no verifier reads an operator's check unless it is told to, so there are no calls to decide
        if !matches!(caveat, Caveat::Datalog(_)) {
            let count = calls.get(&kind_and_rule(&caveat)).copied().unwrap_or(0);
            assert!(count >= 6, "{name} is shown {count} calls");
        }
    }
}

fn kind_and_rule(caveat: &Caveat) -> String {
    let written: serde_json::Value = serde_json::from_str(&caveat.to_json().canonical()).unwrap();
    match caveat {
        Caveat::Argument(_) => format!("arg {}", written["is"].as_object().unwrap().keys().next().unwrap()),
        Caveat::Calls(_) => format!("calls {}", written.get("per_seconds").is_some()),
        Caveat::Labels(_) => format!("labels {}", written.get("within").is_some()),
        _ => caveat.kind().to_owned(),
    }
}

/// The library builds the same block from the documented text as the verifier's builder from the caveat.
#[test]
fn documented_checks_are_what_blocks_carry() {
    for (name, vector) in committed() {
        let Vector::Caveat(vector) = vector else { continue };
        let CaveatAnswer::Read { check, .. } = &vector.expect else { continue };
        let caveat = Caveat::from_json(&json::parse(vector.json.as_bytes(), json::Limits::CAVEATS).unwrap()).unwrap();
        let built = tokens::mint(&tokens::claims(vec![caveat]));
        // the library takes a set of one flag for the name of a parameter
        let flags = [("true", true), ("false", false)].into_iter().filter(|(word, _)| check.contains(&format!("{{{word}}}")));
        let flags = flags.map(|(word, flag)| (word.to_owned(), Term::Set([Term::Bool(flag)].into()))).collect();
        let read = tokens::authority("").code_with_params(format!("{check};"), flags, HashMap::new());
        let read = tokens::mint_block(read.unwrap_or_else(|error| panic!("{name}: {error}")));
        assert_eq!(tokens::decode(&built).authority.block, tokens::decode(&read).authority.block, "{name}");
    }
}

#[test]
fn rewrapping_a_hop_changes_no_block_id() {
    let cases = all();
    let [original, twin] = ["rewrapped_hop_original", "rewrapped_hop_twin"].map(|name| token(&cases[name]));
    assert_ne!(original.token, twin.token);
    assert_eq!(original.expect, twin.expect);
}

/// Each attack that the library lets pass shows why the profile has a rule of its own.
#[test]
fn the_library_alone_accepts_what_the_hop_rule_refuses() {
    for (name, vector) in committed() {
        let Vector::Token(vector) = vector else { continue };
        let by_rule = vector.expect.verdict == Verdict::Deny
            && vector.expect.block_ids.is_empty()
            && vector.expect.reason.as_deref().is_some_and(|reason| reason.starts_with("HOP_") || reason == "FACTS_IN_PLAIN_BLOCK");
        if by_rule {
            let bytes = narrows_verifier::token_bytes(&vector.token).unwrap();
            assert!(engine::verify(&bytes, &answers::roots(&vector)).is_ok(), "{name} is refused for another reason already");
        }
    }
}

fn committed() -> BTreeMap<String, Vector> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    json.map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let vector = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, vector)
    })
    .collect()
}

fn token(vector: &Vector) -> &TokenVector {
    match vector {
        Vector::Token(vector) => vector,
        _ => panic!("not a token"),
    }
}
