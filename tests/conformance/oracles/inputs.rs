//! What the cases of a rule are made from: the files in `tests/oracles/inputs/`.

use std::fs;

use serde::{Deserialize, de::DeserializeOwned};

/// The inputs of one rule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    /// Rules, some of them malformed.
    pub rules: Vec<serde_json::Value>,
    /// Texts that have fooled a parser somewhere, and their harmless neighbours.
    pub known: Vec<String>,
    /// Texts that are read, to be edited.
    pub sound: Vec<String>,
    /// What is joined, and pasted into sound texts.
    pub pieces: Vec<String>,
}

/// Patterns, each with a text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Globs {
    pub known: Vec<(String, String)>,
}

/// Reads the inputs of this name.
pub(super) fn read<T: DeserializeOwned>(name: &str) -> T {
    let file = format!("{}/oracles/inputs/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap_or_else(|error| panic!("`{file}`: {error}"))
}
