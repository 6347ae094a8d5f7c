//! The rules on one text against second implementations in other languages.
//!
//! Each script in `tests/oracles/` was written from the rule's text in docs/token-format.md and on another library. It reads
//! a case a line and answers a line; the verifier must give the same answer to every case: known bypasses, and texts made
//! from pieces that parsers stumble on. `NARROWS_LAW_SCALE` multiplies the number of made cases.

mod inputs;
mod made;

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
    thread,
};

use narrows_issuer::details::Details;
use narrows_verifier::{
    Call, Reason, State,
    caveat::rule::{Cidr, Decimal, Glob, MAX_TEXT, Shell, Subpath, TimeWindow, Url},
    json::{Limits, Value, parse},
};

use inputs::{Globs, Inputs};

/// A rule as JSON text, and the text that it is asked about.
type Case = (String, String);

/// What the verifier says to a rule and a text.
type Ask = fn(&Value, &str) -> Result<Option<bool>, Reason>;

#[test]
fn addresses_are_read_as_pythons_ipaddress_reads_them() {
    agree("addresses.py", all("addresses", 4000), |rule, text| Ok(Cidr::from_json(rule)?.test(text)), 100);
}

#[test]
fn urls_are_read_as_nodes_url_reads_them() {
    let mut cases = all("urls", 8000);
    // names, and whole texts, of the longest size and one more
    let sizes = [(253, 4096), (254, 4096), (253, 4097)];
    cases.extend(sizes.map(|(name, text)| {
        let start = format!("https://{}/", &"abcdefghi.".repeat(26)[..name]);
        (r#"{"path":"/"}"#.to_owned(), format!("{start}{}", "x".repeat(text - start.len())))
    }));
    agree("urls.mjs", cases, |rule, text| Ok(Url::from_json(rule)?.test(text)), 300);
}

#[test]
fn paths_are_read_as_pythons_posixpath_reads_them() {
    agree("paths.py", all("paths", 4000), |rule, text| Ok(Subpath::from_json(rule)?.test(text)), 200);
}

/// The script asks `sh` too.
#[test]
fn command_lines_are_split_as_pythons_shlex_and_a_shell_split_them() {
    agree("words.py", all("words", 4000), |rule, text| Ok(Shell::from_json(rule)?.test(text)), 200);
}

#[test]
fn decimals_are_compared_as_pythons_decimal_compares_them() {
    let mut cases = all("decimals", 4000);
    cases.extend(made::decimals(4000));
    agree("decimals.py", cases, |rule, text| Ok(Decimal::from_json(rule)?.test(text)), 300);
}

#[test]
fn globs_are_matched_as_a_plain_recursive_matcher_matches_them() {
    let mut cases = made::globs(6000);
    cases.extend(inputs::read::<Globs>("globs").known.iter().map(|(rule, text)| (json_text(rule), text.clone())));
    cases.push((json_text("*a*a*a*a*a*a*a*b"), "a".repeat(200)));
    cases.extend((0..600).map(|more| (json_text("*"), "x".repeat(MAX_TEXT - 299 + more))));
    agree("globs.py", cases, |rule, text| Ok(Glob::from_json(rule)?.test(text)), 300);
}

#[test]
fn time_windows_hold_as_pythons_datetime_lays_them_out() {
    agree("windows.py", made::windows(6000), |rule, text| Ok(TimeWindow::from_json(rule)?.test(text.parse().unwrap())), 100);
}

/// The type `attenuating_agent_token` of `authorization_details`, by what its caveats make of a call. A constraint of more
/// alternatives than a caveat can hold is refused for that alone, of which the draft and so the script know nothing.
#[test]
fn constraints_on_arguments_mean_what_the_draft_of_agent_tokens_says() {
    let made = made::constraints(8000);
    let count = made.len();
    let held: Vec<_> = made.into_iter().filter(|(rule, _)| details(rule).err() != Some(Reason::CaveatTooComplex)).collect();
    assert!(held.len() * 20 > count * 19, "{} of {count} are beyond what a caveat can hold", count - held.len());
    let ask = |rule: &Value, text: &str| {
        let details = details(&rule.canonical())?;
        let arguments = parse(text.as_bytes(), Limits::ARGUMENTS)?;
        let call = Call { tool: "t", arguments: &arguments, audience: "https://a.example", time: 0 };
        Ok(Some(details.caveats.iter().all(|caveat| caveat.permits(&call, 0, &State::default()))))
    };
    agree_on(&["accepts", "rejects", "refused"], "constraints.py", held, ask, 300);
}

fn details(constraints: &str) -> Result<Details, Reason> {
    narrows_issuer::details::parse(&format!(r#"[{{"type":"attenuating_agent_token","tools":{{"t":{constraints}}}}}]"#))
}

/// Every rule with every known text, and so many made texts with a rule each.
fn all(name: &str, made: u32) -> Vec<Case> {
    let inputs: Inputs = inputs::read(name);
    let known = || inputs.known.iter().chain(&inputs.sound).cloned();
    let mut cases: Vec<Case> = inputs.rules.iter().flat_map(|rule| known().map(|text| (rule.to_string(), text))).collect();
    cases.extend(made::texts(inputs, made));
    cases
}

/// Asks both about every case. Each of the three answers of a rule on a text must come up so often at least.
#[track_caller]
fn agree(script: &str, cases: Vec<Case>, ask: Ask, at_least: usize) {
    agree_on(&["accepts", "rejects", "unreadable"], script, cases, ask, at_least);
}

/// The same where these answers must come up, or the inputs prove nothing.
#[track_caller]
fn agree_on(answers: &[&str], script: &str, cases: Vec<Case>, ask: Ask, at_least: usize) {
    let theirs = oracle(script, &cases);
    assert_eq!(theirs.len(), cases.len(), "{script} answered another number of lines");
    let (mut wrong, mut seen) = (Vec::new(), BTreeMap::<&str, usize>::new());
    for ((rule, text), theirs) in cases.iter().zip(&theirs) {
        let ours = match ask(&parse(rule.as_bytes(), Limits::CAVEATS).unwrap(), text) {
            Ok(Some(true)) => "accepts",
            Ok(Some(false)) => "rejects",
            Ok(None) => "unreadable",
            Err(_) => "refused",
        };
        *seen.entry(ours).or_default() += 1;
        if ours != theirs {
            wrong.push(format!("{rule} {text:?}: the verifier {ours}, {script} {theirs}"));
        }
    }
    wrong.truncate(40);
    assert!(wrong.is_empty(), "of {} cases:\n  {}", cases.len(), wrong.join("\n  "));
    for answer in answers {
        let count = seen.get(*answer).copied().unwrap_or_default();
        assert!(count >= at_least, "{answer} came up {count} times: {seen:?}");
    }
}

/// One process for all cases.
fn oracle(script: &str, cases: &[Case]) -> Vec<String> {
    let file = format!("{}/oracles/{script}", env!("CARGO_MANIFEST_DIR"));
    let program = if script.ends_with(".py") { "python3" } else { "node" };
    let mut process = Command::new(program).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    let lines: String = cases.iter().map(|(rule, text)| format!("{{\"rule\":{rule},\"text\":{}}}\n", json_text(text))).collect();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{script} ended with {}", output.status);
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn json_text(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
