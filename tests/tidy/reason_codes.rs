//! `docs/reason-codes.md` and the registry in the code say the same.
//!
//! `UPDATE_DOCS=1 cargo nextest run -p narrows-tests reason_codes` writes the table anew.

use std::collections::BTreeSet;

use narrows_verifier::Reason;

use super::sources::{assert_none, required_text, rewrite};

const FILE: &str = "docs/reason-codes.md";
const HEAD: &str = "| code | meaning |\n|---|---|\n";

#[test]
fn reason_codes_are_documented_both_ways() {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        update();
    }
    let text = required_text(FILE);
    let written: BTreeSet<_> = text.lines().filter_map(row).filter(|(_, meaning)| !is_retired(meaning)).collect();
    let rendered: Vec<_> = Reason::ALL.iter().map(|reason| render(*reason)).collect();
    let registered: BTreeSet<_> = rendered.iter().filter_map(|line| row(line)).collect();
    assert_eq!(registered.len(), Reason::ALL.len(), "a code does not render as a row");

    let absent = registered.difference(&written).map(|(code, meaning)| format!("{FILE} lacks: {code}: {meaning}"));
    let surplus = written.difference(&registered).map(|(code, meaning)| format!("{FILE} alone says: {code}: {meaning}"));
    assert_none("reason codes (UPDATE_DOCS=1 rewrites the table)", &absent.chain(surplus).collect::<Vec<_>>());
}

#[test]
fn a_retired_reason_code_is_not_used_again() {
    let text = required_text(FILE);
    let rows: Vec<_> = text.lines().filter_map(row).collect();
    let codes: BTreeSet<_> = rows.iter().map(|(code, _)| code).collect();
    assert_eq!(codes.len(), rows.len(), "a code stands twice in {FILE}");
    let retired = rows.iter().filter(|(_, meaning)| is_retired(meaning));
    let reused: Vec<_> = retired.filter(|(code, _)| Reason::from_code(code).is_some()).map(|(code, _)| (*code).to_owned()).collect();
    assert_none("retired codes in use", &reused);
}

/// Keeps the words above the table and the retired rows; everything else comes from the registry.
fn update() {
    let text = required_text(FILE);
    let (words, table) = text.split_once(HEAD).expect("the table's head");
    let retired = table.lines().filter(|line| row(line).is_some_and(|(_, meaning)| is_retired(meaning))).map(str::to_owned);
    let rows: Vec<_> = Reason::ALL.iter().map(|reason| render(*reason)).chain(retired).collect();
    rewrite(FILE, &format!("{words}{HEAD}{}\n", rows.join("\n")));
}

fn render(reason: Reason) -> String {
    format!("| `{}` | {} |", reason.code(), reason.meaning().replace('|', "\\|"))
}

fn row(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")
}

fn is_retired(meaning: &str) -> bool {
    meaning.starts_with("retired")
}
