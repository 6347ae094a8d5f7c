//! Sets of tools, as requests, rules and scopes name them.

use std::collections::BTreeSet;

use narrows_verifier::caveat::Tools;

/// The tools that one or the other covers.
pub(crate) fn union(one: &Tools, other: &Tools) -> Tools {
    Tools { names: &one.names | &other.names, prefixes: &one.prefixes | &other.prefixes, suffixes: &one.suffixes | &other.suffixes }
}

/// Each name, prefix and suffix of `asked` that is not provably within `granted`, in words.
pub(crate) fn missing(asked: &Tools, granted: impl Fn(&Tools) -> bool) -> Vec<String> {
    let alone = |tools: Tools, words: String| (!granted(&tools)).then_some(words);
    let one = |text: &String| BTreeSet::from([text.clone()]);
    let names = asked.names.iter().filter_map(|name| alone(Tools { names: one(name), ..Tools::default() }, quote(name)));
    let prefixes = asked
        .prefixes
        .iter()
        .filter_map(|prefix| alone(Tools { prefixes: one(prefix), ..Tools::default() }, format!("the prefix {}", quote(prefix))));
    let suffixes = asked
        .suffixes
        .iter()
        .filter_map(|suffix| alone(Tools { suffixes: one(suffix), ..Tools::default() }, format!("the suffix {}", quote(suffix))));
    names.chain(prefixes).chain(suffixes).collect()
}

/// Names one and counts the others, so that a request can't size the answer.
pub(crate) fn listed(kind: &str, names: &[String]) -> String {
    match names {
        [] => format!("not among the {kind}"),
        [only] => format!("not among the {kind}: {only}"),
        [first, others @ ..] => format!("not among the {kind}: {first} and {} more", others.len()),
    }
}

pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", text.escape_debug())
}
