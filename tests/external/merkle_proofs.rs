//! The Merkle proof cases of transparency-dev: RFC 6962 proofs, good and bad.

use std::fs;
use std::path::{Path, PathBuf};

use narrows_verifier::log::{Hash, verify_consistency, verify_inclusion};
use serde_json::Value;

/// Its roots are no hashes at all, yet it expects no error: sizes are equal and the proof is empty. Hashes are typed here,
/// so the case can't be spelt.
const NOT_SPELLABLE: &str = "sizes-are-equal-one-and-proof-is-empty.json";

#[test]
#[ignore = "reads the data of other projects: tests/run --external DIR"]
fn every_inclusion_case_is_judged_as_expected() {
    let (seen, differing) = judge("inclusion", |case| {
        let (leaf, root) = (hash(&case["leafHash"])?, hash(&case["root"])?);
        verify_inclusion(&leaf, case["leafIdx"].as_u64()?, case["treeSize"].as_u64()?, &proof(case)?, &root).ok()
    });
    assert!(differing.is_empty(), "{differing:?}");
    assert_eq!(seen, 98, "the cases are not those that were read when this test was written");
}

#[test]
#[ignore = "reads the data of other projects: tests/run --external DIR"]
fn every_consistency_case_is_judged_as_expected() {
    let (seen, differing) = judge("consistency", |case| {
        let (old, new) = (hash(&case["root1"])?, hash(&case["root2"])?);
        verify_consistency(case["size1"].as_u64()?, case["size2"].as_u64()?, &old, &new, &proof(case)?).ok()
    });
    assert_eq!(differing.len(), 1, "{differing:?}");
    assert!(differing.iter().all(|path| path.ends_with(NOT_SPELLABLE)), "{differing:?}");
    assert_eq!(seen, 98, "the cases are not those that were read when this test was written");
}

/// How many cases there are, and the files whose expectation is not met. What can't be parsed counts as refused.
fn judge(kind: &str, accept: impl Fn(&Value) -> Option<()>) -> (usize, Vec<PathBuf>) {
    let mut files = Vec::new();
    collect(&super::folder().join("merkle/testdata").join(kind), &mut files);
    let differing = files
        .iter()
        .filter(|path| {
            let case: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            accept(&case).is_some() == case["wantErr"].as_bool().unwrap()
        })
        .cloned()
        .collect();
    (files.len(), differing)
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            into.push(path);
        }
    }
}

fn hash(text: &Value) -> Option<Hash> {
    Hash::from_base64(text.as_str()?)
}

fn proof(case: &Value) -> Option<Vec<Hash>> {
    match &case["proof"] {
        Value::Null => Some(Vec::new()),
        proof => proof.as_array()?.iter().map(hash).collect(),
    }
}
