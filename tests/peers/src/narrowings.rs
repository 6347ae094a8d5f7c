//! Fourteen hops that each take away authority and add none, and who accepts them.

use tenuo::constraints::{All, Any, Cidr, Constraint, Exact, NotOneOf, OneOf, Pattern, Range, RegexConstraint};

use crate::{narrows, tenuo_warrant};

/// One narrowing: what the parent demands of an argument, and what its child demands.
struct Narrowing {
    name: &'static str,
    parent: Constraint,
    child: Constraint,
    /// The same two as matchers of Narrows.
    ours: (&'static str, &'static str),
    /// JSON values on which the child is compared with parent and child together.
    values: &'static [&'static str],
}

/// Who accepts which narrowing, in Markdown.
pub fn table() -> String {
    let mut text = "| narrowing | tenuo 0.3.5 | Narrows |\n|---|---|---|\n".to_owned();
    let (mut theirs, mut ours) = (0, 0);
    let narrowings = all();
    for narrowing in &narrowings {
        let accepted = tenuo_warrant::narrowing_accepted(&narrowing.parent, &narrowing.child);
        let held = narrows::narrowing_holds(narrowing.ours.0, narrowing.ours.1, narrowing.values);
        theirs += usize::from(accepted);
        ours += usize::from(held);
        let said = |yes: bool| if yes { "accepted" } else { "refused" };
        text += &format!("| {} | {} | {} |\n", narrowing.name, said(accepted), said(held));
    }
    text + &format!("| accepted of {} | {theirs} | {ours} |\n", narrowings.len())
}

fn all() -> Vec<Narrowing> {
    let glob = |text| Constraint::from(Pattern::new(text).unwrap());
    let regex = |text| Constraint::from(RegexConstraint::new(text).unwrap());
    let range = |min, max| Constraint::from(Range::between(min, max).unwrap());
    let cidr = |text| Constraint::from(Cidr::new(text).unwrap());
    let exact = |text: &str| Constraint::from(Exact::new(text));
    let one_of = |texts: &[&'static str]| Constraint::from(OneOf::new(texts.iter().copied()));
    let numbers = |numbers: &[i64]| Constraint::from(OneOf::from_values(numbers.iter().copied()));
    let any = |texts: &[&str]| Constraint::from(Any::new(texts.iter().map(|text| exact(text))));
    let regions: &[&str] = &[r#""eu-north""#, r#""eu-south""#, r#""us-east""#, r#""eu-""#, "7"];
    let addresses: &[&str] = &[r#""10.0.0.1""#, r#""10.1.2.3""#, r#""10.0.0.2""#, r#""11.0.0.1""#];
    let letters: &[&str] = &[r#""a""#, r#""b""#, r#""c""#, r#""d""#];
    let limits: &[&str] = &["0", "1", "2", "5", "7", "10", "11", "-1", r#""5""#];
    let case = |name, (parent, child), ours, values| Narrowing { name, parent, child, ours, values };
    let both = one_of(&["eu-north", "eu-south"]);
    vec![
        case("`eu-*` → exact", (glob("eu-*"), exact("eu-north")), (r#"{"glob":"eu-*"}"#, r#"{"exact":"eu-north"}"#), regions),
        case("range → range", (range(0.0, 10.0), range(1.0, 5.0)), (RANGE, r#"{"range":{"min":1,"max":5}}"#), limits),
        case("one of → one of", (both.clone(), one_of(&["eu-north"])), (REGIONS, r#"{"one_of":["eu-north"]}"#), regions),
        case("CIDR → CIDR", (cidr("10.0.0.0/8"), cidr("10.1.0.0/16")), (CIDR, r#"{"cidr":["10.1.0.0/16"]}"#), addresses),
        case(
            "any of three → any of two",
            (any(&["a", "b", "c"]), any(&["a", "b"])),
            (r#"{"any":[{"exact":"a"},{"exact":"b"},{"exact":"c"}]}"#, r#"{"any":[{"exact":"a"},{"exact":"b"}]}"#),
            letters,
        ),
        case(
            "`*-prod-*` → `db-prod-*`",
            (glob("*-prod-*"), glob("db-prod-*")),
            (r#"{"glob":"*-prod-*"}"#, r#"{"glob":"db-prod-*"}"#),
            &[r#""db-prod-1""#, r#""web-prod-1""#, r#""db-test-1""#],
        ),
        case("`*` → `*-safe`", (glob("*"), glob("*-safe")), (r#"{"glob":"*"}"#, r#"{"glob":"*-safe"}"#), &[r#""a-safe""#, r#""a""#]),
        case(
            "regex → narrower regex (Narrows: the same as globs)",
            (regex("^eu-.*$"), regex("^eu-n.*$")),
            (r#"{"glob":"eu-*"}"#, r#"{"glob":"eu-n*"}"#),
            regions,
        ),
        case(
            "regex → one of (Narrows: the regex as a glob)",
            (regex("^eu-.*$"), one_of(&["eu-north"])),
            (r#"{"glob":"eu-*"}"#, r#"{"one_of":["eu-north"]}"#),
            regions,
        ),
        case("range → one of", (range(0.0, 10.0), numbers(&[1, 2, 5])), (RANGE, r#"{"one_of":[1,2,5]}"#), limits),
        case(
            "any of two → exact",
            (any(&["a", "b"]), exact("a")),
            (r#"{"any":[{"exact":"a"},{"exact":"b"}]}"#, r#"{"exact":"a"}"#),
            letters,
        ),
        case(
            "one of → all of that and not one",
            (both.clone(), Constraint::from(All::new([both, NotOneOf::new(["eu-south"]).into()]))),
            (REGIONS, r#"{"all":[{"one_of":["eu-north","eu-south"]},{"not_one_of":["eu-south"]}]}"#),
            regions,
        ),
        case(
            "range → all of that and not one",
            (range(0.0, 10.0), Constraint::from(All::new([range(0.0, 10.0), NotOneOf::from_values([7_i64]).into()]))),
            (RANGE, r#"{"all":[{"range":{"min":0,"max":10}},{"not_one_of":[7]}]}"#),
            limits,
        ),
        case("CIDR → one of", (cidr("10.0.0.0/8"), one_of(&["10.0.0.1"])), (CIDR, r#"{"one_of":["10.0.0.1"]}"#), addresses),
    ]
}

const CIDR: &str = r#"{"cidr":["10.0.0.0/8"]}"#;
const RANGE: &str = r#"{"range":{"min":0,"max":10}}"#;
const REGIONS: &str = r#"{"one_of":["eu-north","eu-south"]}"#;
