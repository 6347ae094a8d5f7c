//! Files stay readable, and the part that must be trusted stays small.

use super::sources::{assert_none, files, required_text, shipped};

const MOST_LINES_OF_A_FILE: usize = 600;
/// Lines of code, without comments, blank lines and tests. The vocabulary alone has thirty kinds and rules.
const MOST_LINES_OF_THE_TRUSTED_PATH: usize = 6_050;
const TRUSTED: [&str; 10] = ["biscuit", "caveat", "datalog", "json", "key", "proof", "token", "cache", "verifier", "roots"];
/// What makes, compares or describes caveats and tokens, and whose mistakes let nothing through.
const NOT_ON_THE_PATH: [&str; 13] = [
    "biscuit/build.rs",
    "biscuit/encode.rs",
    "biscuit/mint.rs",
    "biscuit/text.rs",
    "caveat/describe.rs",
    "caveat/matcher/meet.rs",
    "caveat/matcher/sentence.rs",
    "caveat/matcher/within.rs",
    "caveat/matcher/write.rs",
    "caveat/rule/decimal/compare.rs",
    "datalog/print.rs",
    "proof/dpop/sign.rs",
    "token/principal.rs",
];

#[test]
fn rust_files_stay_short() {
    let rust = files().into_iter().filter(|file| file.ends_with(".rs"));
    let counted = rust.map(|file| (required_text(&file).lines().count(), file));
    let long: Vec<_> = counted.filter(|(lines, _)| *lines > MOST_LINES_OF_A_FILE).map(|(lines, file)| format!("{file}: {lines}")).collect();
    assert_none(&format!("files over {MOST_LINES_OF_A_FILE} lines"), &long);
}

#[test]
fn the_trusted_path_stays_small() {
    let trusted = |file: &str| {
        let inside = file.strip_prefix("verifier/src/").filter(|rest| !rest.ends_with("tests.rs") && !NOT_ON_THE_PATH.contains(rest));
        inside.is_some_and(|rest| TRUSTED.iter().any(|name| rest.starts_with(name)))
    };
    let code = |file: &str| {
        let text = required_text(file);
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").map(str::trim);
        lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
    };
    let sources = shipped();
    let counted: Vec<_> = sources.iter().filter(|source| trusted(&source.file)).map(|source| code(&source.file)).collect();
    assert!(!counted.is_empty(), "no file of the trusted path was found");
    let lines: usize = counted.iter().sum();
    assert!(lines <= MOST_LINES_OF_THE_TRUSTED_PATH, "the trusted path has {lines} lines");
}
