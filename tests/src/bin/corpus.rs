//! Writes what fuzzing starts from, taken from the test vectors: `cargo run -p narrows-tests --bin corpus FOLDER`.

use std::{collections::BTreeMap, fs, path::Path};

use narrows_tests::{
    fuzz::{LOG_NAME, LOG_SEED, TARGETS, WITNESS_NAME, WITNESS_SEED},
    tokens,
    vectors::{Vector, all},
};
use narrows_verifier::{
    log::{
        Checkpoint, Hash, PresentedReceipt, Receipt, VerifierKey, WitnessKey, cosign, leaf_hash, node_hash, signature_line, write_receipts,
    },
    token_bytes,
};

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("usage: corpus FOLDER");
        std::process::exit(2);
    };
    let seeds = seeds();
    for (target, _) in TARGETS {
        let into = Path::new(&folder).join(target);
        fs::create_dir_all(&into)?;
        for (name, bytes) in &seeds[target] {
            fs::write(into.join(name), bytes)?;
        }
        println!("{target}: {} seeds", seeds[target].len());
    }
    Ok(())
}

/// For each target, inputs by name.
fn seeds() -> BTreeMap<&'static str, BTreeMap<String, Vec<u8>>> {
    let mut seeds: BTreeMap<&str, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    let mut add = |target, name: &str, bytes: Vec<u8>| drop(seeds.entry(target).or_default().insert(name.to_owned(), bytes));
    for (name, vector) in all() {
        match vector {
            Vector::Token(vector) => {
                if let Ok(bytes) = token_bytes(&vector.token) {
                    add("token", &name, bytes);
                }
                if let Some(call) = vector.call {
                    add("json", &name, call.arguments_text.into_bytes());
                }
                if let Some(proof) = vector.proof {
                    add("possession", &name, proof.text.into_bytes());
                }
            }
            Vector::Args(vector) => add("json", &name, vector.text.into_bytes()),
            Vector::Caveat(vector) => add("caveat", &name, vector.json.into_bytes()),
            Vector::Proof(vector) => {
                let payload = vector.text.split_once('.').and_then(|(payload, _)| token_bytes(payload).ok());
                add("possession", &name, payload.unwrap_or_default());
                add("possession", &format!("{name}.text"), vector.text.into_bytes());
            }
            Vector::Bundle(vector) => add("bundle", &name, vector.text.into_bytes()),
            // no target reads these
            _ => {}
        }
    }
    let witness = WitnessKey::from_seed(WITNESS_NAME, &WITNESS_SEED).unwrap();
    for size in 1..8 {
        let (checkpoint, proof) = tree(size);
        let receipt = Receipt { index: 0, proof, checkpoint: &checkpoint };
        add("receipt", &format!("size_{size}"), receipt.encode().into_bytes());
        let presented = PresentedReceipt { leaf: b"leaf".to_vec(), receipt: receipt.encode() };
        add("receipts", &format!("size_{size}"), write_receipts(&vec![presented; size]).into_bytes());
        let text = &checkpoint[..checkpoint.find("\n\n").unwrap() + 1];
        let cosigned = cosign(WITNESS_NAME, &WITNESS_SEED, 1, text).unwrap();
        for (rule, lines) in [("quorum none", ""), ("quorum w", ""), ("quorum w", &*cosigned), ("group g any w\nquorum g", &*cosigned)] {
            let policy = format!("log {}\nwitness w {witness}\n{rule}\n", key());
            add("trust", &format!("size_{size}_{}_{}", rule.len(), lines.len()), format!("{policy}\0{checkpoint}{lines}").into_bytes());
        }
        add("note", &format!("size_{size}"), checkpoint.into_bytes());
    }
    add("note", "extension", format!("{LOG_NAME}\n0\n{}\nextension\n", leaf_hash(b"").to_base64()).into_bytes());
    add("note", "key", key().to_string().into_bytes());
    seeds
}

/// The signed checkpoint of a log of so many leaves, and the proof that `leaf` is its first.
fn tree(size: usize) -> (String, Vec<Hash>) {
    let mut level: Vec<_> = (0..size).map(|index| leaf_hash(if index == 0 { b"leaf".as_slice() } else { b"other" })).collect();
    let mut proof = Vec::new();
    while level.len() > 1 {
        proof.push(level[1]);
        level = level.chunks(2).map(|pair| pair.get(1).map_or(pair[0], |right| node_hash(&pair[0], right))).collect();
    }
    let text = Checkpoint { origin: LOG_NAME.to_owned(), size: size as u64, root: level[0] }.to_string();
    let signature = tokens::sign(&LOG_SEED, text.as_bytes()).try_into().unwrap();
    (format!("{text}\n{}", signature_line(&key(), &signature)), proof)
}

fn key() -> VerifierKey {
    VerifierKey::new(LOG_NAME, narrows_verifier::public_key(&LOG_SEED).as_bytes()).unwrap()
}
