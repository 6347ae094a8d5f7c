//! Pages that say which test shows something name tests that exist.

use std::collections::BTreeSet;

use super::sources::{assert_none, files, required_text};

const PAGES: [&str; 2] = ["docs/threat-model.md", "docs/audit-log.md"];
/// The head of the column with the tests.
const COLUMN: &str = "| shown by |";

#[test]
fn a_test_that_a_page_names_exists() {
    let sources = files().into_iter().filter(|file| file.ends_with(".rs"));
    let tests: BTreeSet<String> = sources.flat_map(|file| functions(&required_text(&file))).collect();
    let mut named = 0;
    let mut missing = Vec::new();
    for page in PAGES {
        for name in names(&required_text(page)) {
            named += 1;
            if !tests.contains(&name) {
                missing.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(named > 50, "the pages name {named} tests");
    assert_none("tests that are named and do not exist", &missing);
}

fn functions(text: &str) -> Vec<String> {
    let name =
        |part: &str| part.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap_or_default().to_owned();
    text.split("fn ").skip(1).map(name).collect()
}

/// Names of tests in the last column of tables that have one; reason codes and others stand there too.
fn names(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        inside = line.starts_with('|') && (inside || line.ends_with(COLUMN));
        let cell = line.trim_end_matches('|').rsplit('|').next().filter(|_| inside).unwrap_or_default();
        let quoted = cell.split('`').skip(1).step_by(2);
        found.extend(
            quoted
                .filter(|name| {
                    name.matches('_').count() > 1
                        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
                })
                .map(str::to_owned),
        );
    }
    found
}
