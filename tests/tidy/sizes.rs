//! Files stay readable, and the part that must be trusted stays small.

use super::sources::{assert_none, files, required_text, shipped};

const MOST_LINES_OF_A_FILE: usize = 600;
const MOST_LINES_OF_THE_TRUSTED_PATH: usize = 4_000;
const TRUSTED: [&str; 6] = ["biscuit", "caveat", "datalog", "json", "proof", "token"];

#[test]
fn rust_files_stay_short() {
    let rust = files().into_iter().filter(|file| file.ends_with(".rs"));
    let counted = rust.map(|file| (required_text(&file).lines().count(), file));
    let long: Vec<_> = counted.filter(|(lines, _)| *lines > MOST_LINES_OF_A_FILE).map(|(lines, file)| format!("{file}: {lines}")).collect();
    assert_none(&format!("files over {MOST_LINES_OF_A_FILE} lines"), &long);
}

#[test]
fn the_trusted_path_stays_small() {
    let sources = shipped();
    let trusted = |file: &str| file.strip_prefix("verifier/src/").is_some_and(|rest| TRUSTED.iter().any(|name| rest.starts_with(name)));
    let counted: Vec<_> = sources.iter().filter(|source| trusted(&source.file)).map(|source| source.lines).collect();
    assert!(!counted.is_empty(), "no file of the trusted path was found");
    let lines: usize = counted.iter().sum();
    assert!(lines <= MOST_LINES_OF_THE_TRUSTED_PATH, "the trusted path has {lines} lines");
}
