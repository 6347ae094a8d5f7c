//! Cases made by a generator that always starts from the same seed.

use proptest::{
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree,
    test_runner::TestRunner,
};

use super::{Case, inputs::Inputs, json_text};
use crate::laws;

/// Made texts, each with one of the rules.
pub(super) fn texts(inputs: Inputs, count: u32) -> Vec<Case> {
    let text = prop_oneof![
        4 => joined(inputs.pieces.clone(), 10),
        5 => edited(inputs.sound, inputs.pieces),
        1 => any::<String>(),
    ];
    let rules: Vec<_> = inputs.rules.iter().map(ToString::to_string).collect();
    make(count, (select(rules), text))
}

/// Random bounds, and decimals that often differ from one in the last digit alone.
pub(super) fn decimals(count: u32) -> Vec<Case> {
    let number = || "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,10})?";
    let near = (number(), "0{0,4}[0-9]?").prop_map(|(text, tail)| {
        let other = if text.contains('.') { format!("{text}{tail}") } else { text.clone() };
        (text, other)
    });
    let bounds = (near, number(), 0..3).prop_map(|((near, text), other, sides)| {
        let rule = match sides {
            0 => format!(r#"{{"min":"{near}"}}"#),
            1 => format!(r#"{{"max":"{near}"}}"#),
            _ => format!(r#"{{"max":"{other}","min":"{near}"}}"#),
        };
        (rule, text)
    });
    make(count, bounds)
}

/// Patterns and texts of a small alphabet, so that many match.
pub(super) fn globs(count: u32) -> Vec<Case> {
    let pieces = ["*", "?", "a", "b", "ab", "/", "é", "\\*", "\\?", "\\\\", "\\"].map(str::to_owned);
    let letters = ["a", "b", "ab", "/", "é", "*", "?", "\\", "\u{1f600}", "\n"].map(str::to_owned);
    let pair = (joined(pieces.to_vec(), 9), joined(letters.to_vec(), 12));
    // a text made from its pattern matches more often than two made apart
    let kin = (joined(pieces[..7].to_vec(), 9), joined(letters.to_vec(), 2), any::<Index>()).prop_map(like);
    let sections = prop::collection::vec(joined(pieces[1..7].to_vec(), 40), 1..=4).prop_map(|sections| sections.join("*"));
    let long = (sections, joined(letters.to_vec(), 20), any::<Index>()).prop_map(like);
    make(count, prop_oneof![5 => pair, 5 => kin, 1 => long].prop_map(|(pattern, text)| (json_text(&pattern), text)))
}

/// A pattern, and a text with `run` for its stars; of every fourth the last character is missing.
fn like((pattern, run, cut): (String, String, Index)) -> Case {
    let mut text = pattern.replace('*', &run).replace('?', "é");
    if cut.index(4) == 0 {
        text.pop();
    }
    (pattern, text)
}

/// Windows, and times of which most lie within two seconds of where one opens or closes.
pub(super) fn windows(count: u32) -> Vec<Case> {
    let days = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let minute = || prop_oneof![3 => 0_i64..=1440, 1 => select(&[0_i64, 1, 1439, 1440])];
    let offset = prop_oneof![3 => -725_i64..=845, 1 => select(&[-720_i64, -1, 0, 840])];
    let last = 253_402_300_799_i64;
    let week = prop_oneof![6 => 0_i64..last / 604_800, 1 => Just(0), 1 => Just(last / 604_800)];
    let parts = (1_u8..128, minute(), minute(), offset, week, (0_i64..7, any::<bool>(), -2_i64..=2, 0_u8..20));
    make(
        count,
        parts.prop_map(move |(mask, from, to, offset, week, (day, at_start, shift, odd))| {
            let listed: Vec<_> =
                days.iter().enumerate().filter(|(day, _)| mask & (1 << day) != 0).map(|(_, name)| json_text(name)).collect();
            let clock = |minutes: i64| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            let sign = if offset < 0 { '-' } else { '+' };
            let rule = format!(
                r#"{{"days":[{}],"from":"{}","to":"{}","utc_offset":"{sign}{}"}}"#,
                listed.join(","),
                clock(from),
                clock(to),
                clock(offset.abs()),
            );
            let edge = week * 604_800 + day * 86_400 + (if at_start { from } else { to } - offset) * 60 + shift;
            let seconds = match odd {
                0 => last + shift,
                1 => i64::MAX - shift.abs(),
                2 => shift.abs(),
                _ => edge.max(0),
            };
            (rule, seconds.to_string())
        }),
    )
}

/// Constraints on up to two arguments, of all nine types and some malformed, and arguments from the same small alphabet.
pub(super) fn constraints(count: u32) -> Vec<Case> {
    let scalars =
        [r#""a""#, r#""b""#, r#""ab""#, r#""""#, r#""1""#, "0", "1", "1.0", "2", "-3", "0.5", "1.5", "1e-7", "-2.5e-30", "true", "false"];
    let scalar = || select(scalars.to_vec()).prop_map(str::to_owned);
    let listed = |most: usize| prop::collection::vec(scalar(), 0..most).prop_map(|items| format!("[{}]", items.join(",")));
    let odd = select(vec!["null", "[1]", "{}", "[null]"]).prop_map(str::to_owned);
    let bound = || prop_oneof![4 => select(vec!["0", "1", "2", "-3", "0.5", "1.5", "1e-7", "-0.25"]), 1 => Just("")];
    let flag = || select(vec!["", "true", "false"]);
    let range = (bound(), bound(), flag(), flag()).prop_map(|(min, max, min_inclusive, max_inclusive)| {
        let members = [("min", min), ("max", max), ("min_inclusive", min_inclusive), ("max_inclusive", max_inclusive)];
        let members = members.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!(r#","{name}":{value}"#));
        format!(r#"{{"constraint_type":"range"{}}}"#, members.collect::<String>())
    });
    let lists = select(vec![("one_of", "values"), ("not_one_of", "excluded"), ("contains", "required"), ("subset", "allowed")]);
    let leaf = prop_oneof![
        4 => scalar().prop_map(|value| format!(r#"{{"constraint_type":"exact","value":{value}}}"#)),
        6 => range,
        8 => (lists, listed(4)).prop_map(|((kind, member), values)| format!(r#"{{"constraint_type":"{kind}","{member}":{values}}}"#)),
        1 => Just(r#"{"constraint_type":"wildcard"}"#.to_owned()),
        1 => odd.prop_map(|value| format!(r#"{{"constraint_type":"exact","value":{value}}}"#)),
    ];
    let constraint = leaf.prop_recursive(3, 8, 3, |inner| {
        (select(vec!["all", "any"]), prop::collection::vec(inner, 0..4))
            .prop_map(|(kind, parts)| format!(r#"{{"constraint_type":"{kind}","constraints":[{}]}}"#, parts.join(",")))
    });
    let value = prop_oneof![
        6 => scalar(),
        3 => listed(4),
        1 => Just("null".to_owned()),
        1 => select(vec!["{}", r#"{"a":1}"#, "[[1]]", r#"["a",{}]"#, r#"[1,null,"b"]"#]).prop_map(str::to_owned),
    ];
    let object = |members: Vec<(&str, String)>| {
        let members: Vec<_> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
        format!("{{{}}}", members.join(","))
    };
    // mostly the very names that are constrained
    let names = prop_oneof![12 => Just(vec!["x"]), 3 => Just(vec!["x", "y"]), 1 => Just(vec![]), 1 => Just(vec!["y"])];
    let case =
        (names.clone(), prop_oneof![6 => Just(None), 1 => names.prop_map(Some)], [constraint.clone(), constraint], [value.clone(), value]);
    make(
        count,
        case.prop_map(move |(constrained, given, constraints, values)| {
            let given = given.unwrap_or_else(|| constrained.clone());
            (object(constrained.into_iter().zip(constraints).collect()), object(given.into_iter().zip(values).collect()))
        }),
    )
}

fn joined(pieces: Vec<String>, most: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(select(pieces), 0..=most).prop_map(|pieces| pieces.concat())
}

/// A sound text in which up to three places were cut, overwritten or pasted into.
fn edited(sound: Vec<String>, pieces: Vec<String>) -> impl Strategy<Value = String> {
    let edit = (any::<Index>(), 0_usize..3, prop::option::weighted(0.8, select(pieces)));
    (select(sound), prop::collection::vec(edit, 0..=3)).prop_map(|(text, edits)| {
        let mut characters: Vec<char> = text.chars().collect();
        for (at, cut, paste) in edits {
            let start = at.index(characters.len() + 1);
            let end = (start + cut).min(characters.len());
            characters.splice(start..end, paste.unwrap_or_default().chars());
        }
        characters.into_iter().collect()
    })
}

fn make(count: u32, strategy: impl Strategy<Value = Case>) -> Vec<Case> {
    let mut runner = TestRunner::deterministic();
    (0..laws::cases(count).cases).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}
