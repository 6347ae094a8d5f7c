//! What is about to happen at a tool, and the facts that it gives rise to.

use std::collections::BTreeSet;

use crate::{
    Reason,
    datalog::{CHECK_FACTS, Facts, Predicate, Term},
    json::Value,
};

/// A call that a tool is asked to make. The tool runs the very `arguments` value that was decided on, never the bytes.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// The tool's exact name.
    pub tool: &'a str,
    /// The arguments: a JSON object.
    pub arguments: &'a Value,
    /// Who decides: the audience that this verifier answers to.
    pub audience: &'a str,
    /// Seconds since the Unix epoch.
    pub time: u64,
}

impl Call<'_> {
    /// The facts of this call for a token of `depth` hops: what its caveats mean in Datalog. Deciding needs none of them.
    ///
    /// # Errors
    /// `JSON_TOO_LARGE` when the arguments have more than 1,024 values, `JSON_MALFORMED` when they are no object.
    pub fn facts(&self, depth: usize) -> Result<Facts, Reason> {
        let mut facts = Facts::new(CHECK_FACTS);
        facts.add(Predicate::new("tool", [Term::text(self.tool)]))?;
        facts.add(Predicate::new("time", [Term::Date(self.time)]))?;
        facts.add(Predicate::new("audience", [Term::text(self.audience)]))?;
        facts.add(Predicate::new("depth", [Term::Integer(i64::try_from(depth).unwrap_or(i64::MAX))]))?;
        if self.arguments.as_object().is_none() {
            return Err(Reason::JsonMalformed);
        }
        let mut budget = MAX_ARGUMENT_FACTS;
        add_arguments(self.arguments, &mut String::new(), &mut facts, &mut budget)?;
        Ok(facts)
    }
}

/// Facts typed by their predicates, each with the JSON pointer of its value first.
fn add_arguments(value: &Value, path: &mut String, facts: &mut Facts, budget: &mut usize) -> Result<(), Reason> {
    *budget = budget.checked_sub(1).ok_or(Reason::JsonTooLarge)?;
    let place = Term::text(path);
    facts.add(Predicate::new("arg_any", [place.clone(), Term::text(&plain_or_mark(value))]))?;
    match value {
        Value::Null => facts.add(Predicate::new("arg_null", [place])),
        Value::Flag(flag) => facts.add(Predicate::new("arg_flag", [place, Term::Flag(*flag)])),
        Value::Integer(number) => {
            facts.add(Predicate::new("arg_decimal", [place.clone(), Term::text(&number.to_string())]))?;
            facts.add(Predicate::new("arg_int", [place, Term::Integer(*number)]))
        }
        Value::Decimal(number) => facts.add(Predicate::new("arg_decimal", [place, Term::text(number.as_str())])),
        Value::Text(text) => facts.add(Predicate::new("arg_text", [place, Term::text(text)])),
        Value::Array(items) => {
            facts.add(Predicate::new("arg_count", [place.clone(), count(items.len())]))?;
            let elements: BTreeSet<_> = items.iter().map(|item| Term::text(&plain_or_mark(item))).collect();
            if !items.iter().any(|item| matches!(item, Value::Array(_) | Value::Object(_))) {
                facts.add(Predicate::new("arg_items", [place.clone(), Term::Set(elements.clone())]))?;
            }
            facts.add(Predicate::new("arg_array", [place, Term::Set(elements)]))?;
            items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| at(path, &index.to_string(), |path| add_arguments(item, path, facts, budget)))
        }
        Value::Object(members) => {
            facts.add(Predicate::new("arg_count", [place.clone(), count(members.len())]))?;
            let names: BTreeSet<Term> = members.keys().map(|key| Term::text(&key.0)).collect();
            facts.add(Predicate::new("arg_names", [place, Term::Set(names)]))?;
            members.iter().try_for_each(|(key, item)| {
                let token = key.0.replace('~', "~0").replace('/', "~1");
                at(path, &token, |path| add_arguments(item, path, facts, budget))
            })
        }
    }
}

/// The canonical text of a plain value. Of an array or object its first character, which is no value's canonical text, so
/// that a fact stays as small as what it speaks of.
fn plain_or_mark(value: &Value) -> String {
    match value {
        Value::Array(_) => "[".to_owned(),
        Value::Object(_) => "{".to_owned(),
        plain => plain.canonical(),
    }
}

fn at<T>(path: &mut String, token: &str, then: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push('/');
    path.push_str(token);
    let result = then(path);
    path.truncate(length);
    result
}

fn count(length: usize) -> Term {
    Term::Integer(i64::try_from(length).unwrap_or(i64::MAX))
}

/// As many values as arguments can have when they are parsed within [`Limits::ARGUMENTS`](crate::json::Limits).
const MAX_ARGUMENT_FACTS: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn arguments_become_typed_facts_by_pointer() {
        let arguments = parse(br#"{"a":1,"b":{"x/y":"t","~":true},"c":[1.5,null],"":{},"d":[[1],{}]}"#, Limits::ARGUMENTS).unwrap();
        let facts = Call { tool: "t", arguments: &arguments, audience: "a", time: 1 }.facts(2).unwrap();
        let has = |name: &str, terms: &[Term]| facts.iter().any(|(found, values)| found == name && values == terms);
        assert!(has("arg_int", &[Term::text("/a"), Term::Integer(1)]));
        assert!(has("arg_text", &[Term::text("/b/x~1y"), Term::text("t")]));
        assert!(has("arg_flag", &[Term::text("/b/~0"), Term::Flag(true)]));
        assert!(has("arg_decimal", &[Term::text("/c/0"), Term::text("1.5")]));
        assert!(has("arg_null", &[Term::text("/c/1")]));
        assert!(has("arg_names", &[Term::text("/"), Term::Set(BTreeSet::new())]));
        assert!(has("arg_items", &[Term::text("/c"), Term::Set([Term::text("1.5"), Term::text("null")].into())]));
        assert!(has("arg_array", &[Term::text("/c"), Term::Set([Term::text("1.5"), Term::text("null")].into())]));
        assert!(has("arg_array", &[Term::text("/d"), Term::Set([Term::text("["), Term::text("{")].into())]));
        assert!(!facts.iter().any(|(found, values)| found == "arg_items" && values[0] == Term::text("/d")));
        for (path, text) in [("", "{"), ("/a", "1"), ("/b/x~1y", "\"t\""), ("/c", "["), ("/c/1", "null"), ("/", "{")] {
            assert!(has("arg_any", &[Term::text(path), Term::text(text)]), "{path}");
        }
        assert!(has("arg_count", &[Term::text("/c"), Term::Integer(2)]));
        assert!(has("arg_decimal", &[Term::text("/a"), Term::text("1")]));
        assert!(has("depth", &[Term::Integer(2)]));
    }

    #[test]
    fn a_flood_of_arguments_is_refused() {
        let flood = Value::object([("a", Value::Array(vec![Value::Null; 1_024]))]);
        let call = Call { tool: "t", arguments: &flood, audience: "a", time: 1 };
        assert_eq!(call.facts(0).err(), Some(Reason::JsonTooLarge));
        assert_eq!(Call { arguments: &Value::Null, ..call }.facts(0).err(), Some(Reason::JsonMalformed));
    }
}
