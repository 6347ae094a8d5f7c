//! Leaves of every kind: the table, the documents and the JSON Schema say the same.
//!
//! `UPDATE_DOCS=1 cargo nextest run --workspace -E 'test(leaves)'` prints table, examples and schema into `docs/audit-log.md` anew.

use std::fs;

use jsonschema::Validator;
use narrows_tests::leaves::{example, kinds_and_verdicts};
use narrows_verifier::{
    EntryId, Reason, TaskId,
    json::Value,
    log::{Kind, Leaf, PackDigest, Plane, Point, Salt, Verdict, commit},
};

use super::leaf_schema::{schema, schema_text, table};

#[test]
fn the_documented_kinds_and_schema_are_those_of_the_table() {
    let path = format!("{}/../docs/audit-log.md", env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(&path).unwrap();
    let printed = between(&document, "kinds", &table());
    let printed = between(&printed, "examples", &format!("```json\n{}\n```", examples()));
    let printed = between(&printed, "schema", &format!("```json\n{}\n```", schema_text()));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &printed).unwrap();
    } else {
        assert!(printed == document, "docs/audit-log.md is not what the table of kinds says; UPDATE_DOCS=1 prints it anew");
    }
    assert_eq!(serde_json::from_str::<serde_json::Value>(&schema_text()).unwrap(), schema());
}

/// The exact bytes of one leaf of every kind, with all that its kind demands and nothing else.
fn examples() -> String {
    let leaves = Kind::ALL.iter().map(|kind| {
        let leaf = example(kind, kind.spec().unwrap().verdicts[0], false);
        String::from_utf8(leaf.to_bytes().unwrap()).unwrap()
    });
    leaves.collect::<Vec<_>>().join("\n")
}

/// The document with what stands between the two marks replaced.
fn between(document: &str, mark: &str, text: &str) -> String {
    let (begin, end) = (format!("<!-- {mark}: printed from the code -->\n"), format!("\n<!-- end of {mark} -->"));
    let (before, rest) = document.split_once(&begin).expect("the beginning's mark");
    let (_, after) = rest.split_once(&end).expect("the end's mark");
    format!("{before}{begin}{text}{end}{after}")
}

#[test]
fn a_leaf_of_every_kind_and_verdict_is_written_read_and_valid() {
    let validator = validator();
    for (kind, _, verdict) in kinds_and_verdicts() {
        for full in [false, true] {
            let leaf = example(kind, verdict, full);
            let bytes = leaf.to_bytes().unwrap();
            assert_eq!(Leaf::parse(&bytes).unwrap(), leaf);
            assert!(is_valid(&validator, &bytes), "{leaf:?}");
        }
    }
}

/// Table and schema judge alike, and a reader takes whatever stays within the envelope.
#[test]
fn a_leaf_that_breaks_its_kind_is_not_written_yet_can_be_read() {
    let validator = validator();
    let mut refused = 0;
    for (kind, _, verdict) in kinds_and_verdicts() {
        for full in [false, true] {
            for changed in changes(&example(kind, verdict, full)) {
                let written = changed.to_bytes();
                // The same content under a kind that nobody knows goes by the envelope alone.
                let bytes =
                    Leaf { kind: Kind::Other("later".to_owned()), origin: None, retention: None, ..changed.clone() }.to_bytes().unwrap();
                let named = String::from_utf8(bytes).unwrap().replacen("\"kind\":\"later\"", &format!("\"kind\":\"{}\"", kind.as_str()), 1);
                // What stands in leaves of these kinds alone is part of the envelope.
                if matches!(kind, Kind::LogOpen | Kind::Retention) {
                    continue;
                }
                assert_eq!(Leaf::parse(named.as_bytes()).unwrap(), changed);
                assert_eq!(is_valid(&validator, named.as_bytes()), written.is_ok(), "{named}");
                if let Err(refusal) = written {
                    assert_eq!(refusal.reason, Reason::LeafKind);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_kind_that_nobody_knows_goes_by_the_envelope_alone() {
    let validator = validator();
    let later = Leaf { kind: Kind::Other("later.kind".to_owned()), ..example(&Kind::Decision, Verdict::Escalate, true) };
    let bytes = later.to_bytes().unwrap();
    assert!(is_valid(&validator, &bytes));
    assert_eq!(Leaf::parse(&bytes).unwrap(), later);
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in
        [("\"v\":1", "\"v\":2"), ("escalate", "maybe"), ("identity", "cosmic"), ("\"t_ms\":\"1", "\"t_ms\":\"01"), ("sha256", "sha512")]
    {
        let changed = text.replacen(from, to, 1);
        assert!(changed != text && !is_valid(&validator, changed.as_bytes()) && Leaf::parse(changed.as_bytes()).is_err(), "{to}");
    }
}

/// The leaf with each member taken away or added, with each verdict, and with commitments too few and too many.
fn changes(leaf: &Leaf) -> Vec<Leaf> {
    let hidden = commit(&Salt::new([9; 16]), "x", &Value::Null);
    let mut changes: Vec<Leaf> = Verdict::ALL.iter().map(|verdict| Leaf { verdict: *verdict, ..leaf.clone() }).collect();
    let mut change = |with: &dyn Fn(&mut Leaf)| {
        let mut changed = leaf.clone();
        with(&mut changed);
        changes.push(changed);
    };
    change(&|leaf| leaf.reasons = Vec::new());
    change(&|leaf| leaf.task = leaf.task.xor(Some(TaskId::new([1; 16]))));
    change(&|leaf| leaf.of = leaf.of.xor(Some(EntryId::new([1; 16]))));
    change(&|leaf| leaf.plane = leaf.plane.xor(Some(Plane::Data)));
    change(&|leaf| leaf.point = leaf.point.xor(Some(Point::Intent)));
    change(&|leaf| leaf.pack = leaf.pack.xor(Some(PackDigest([1; 32]))));
    change(&|leaf| leaf.chain = if leaf.chain.is_empty() { vec![hidden] } else { Vec::new() });
    change(&|leaf| leaf.blocks = if leaf.blocks.is_empty() { vec![narrows_verifier::BlockId::new([1; 32])] } else { Vec::new() });
    change(&|leaf| leaf.parents = if leaf.parents.is_empty() { vec![narrows_verifier::BlockId::new([1; 32])] } else { Vec::new() });
    change(&|leaf| {
        let _ = leaf.fields.insert("unheard.of".to_owned(), hidden);
    });
    for name in leaf.fields.keys() {
        change(&|leaf| {
            let _ = leaf.fields.remove(name);
        });
    }
    changes
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn is_valid(validator: &Validator, bytes: &[u8]) -> bool {
    validator.is_valid(&serde_json::from_slice(bytes).unwrap())
}
