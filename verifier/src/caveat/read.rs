//! Checks read back into caveats.
//!
//! The shape of a check suggests one caveat; it is that caveat only if rendering it gives the same check again. So there
//! is one definition of each form, and a check that merely resembles one is refused.

use std::collections::BTreeSet;

use super::{Argument, Caveat, ClosedArguments, Matcher, Scalar, Tools};
use crate::datalog::{Check, Expression, Operator, Query, Term};

impl Caveat {
    /// The caveat whose rendering this check is, or `None`.
    pub fn read(check: &Check) -> Option<Self> {
        let caveat = suggest(check)?;
        (caveat.within_bounds().is_ok() && caveat.check() == *check).then_some(caveat)
    }
}

fn suggest(check: &Check) -> Option<Caveat> {
    let first = check.queries.first()?;
    match (first.body.first()?.name.as_str(), first.expressions.as_slice()) {
        ("audience", [Expression::Binary(_, set, _)]) => Some(Caveat::Audience(texts(set)?)),
        ("time", [Expression::Binary(_, _, at)]) => match &**at {
            Expression::Term(Term::Date(at)) => Some(Caveat::Expires(*at)),
            _ => None,
        },
        ("depth", [Expression::Binary(_, _, max)]) => match &**max {
            Expression::Term(Term::Integer(max)) => Some(Caveat::Depth(u32::try_from(*max).ok()?)),
            _ => None,
        },
        ("tool", [Expression::Binary(Operator::NotEqual, _, tool)]) => suggest_scoped(text(tool)?, check.queries.get(1..)?),
        ("tool", _) => suggest_tools(&check.queries).map(Caveat::Tools),
        _ => None,
    }
}

fn suggest_tools(queries: &[Query]) -> Option<Tools> {
    let mut tools = Tools::default();
    for query in queries {
        match query.expressions.as_slice() {
            [Expression::Binary(Operator::Contains, set, _)] => tools.names.extend(texts(set)?),
            [Expression::Binary(Operator::StartsWith, _, prefix)] => {
                tools.prefixes.insert(text(prefix)?.to_owned());
            }
            _ => return None,
        }
    }
    Some(tools)
}

fn suggest_scoped(tool: &str, queries: &[Query]) -> Option<Caveat> {
    let subject = queries.first()?.body.get(1)?;
    let Term::Text(path) = subject.terms.first()? else { return None };
    let (tool, path) = (tool.to_owned(), path.clone());
    if subject.name == "arg_names" {
        let [Expression::Binary(_, set, _)] = queries.first()?.expressions.as_slice() else { return None };
        return Some(Caveat::ClosedArguments(ClosedArguments { tool, at: path, names: texts(set)? }));
    }
    Some(Caveat::Argument(Argument { tool, path, is: suggest_matcher(queries)? }))
}

fn suggest_matcher(queries: &[Query]) -> Option<Matcher> {
    let first = queries.first()?;
    let value = first.body.get(1)?.terms.get(1)?;
    if let Some(scalar) = scalar(value) {
        return Some(Matcher::Exact(scalar));
    }
    match first.expressions.as_slice() {
        [Expression::Binary(Operator::Contains, ..)] => {
            let mut values = BTreeSet::new();
            for query in queries {
                let [Expression::Binary(_, set, _)] = query.expressions.as_slice() else { return None };
                let Expression::Term(Term::Set(set)) = &**set else { return None };
                for element in set {
                    values.insert(scalar(element)?);
                }
            }
            Some(Matcher::OneOf(values))
        }
        [Expression::Binary(Operator::StartsWith, _, prefix)] => Some(Matcher::Prefix(text(prefix)?.to_owned())),
        bounds => {
            let find = |wanted| {
                bounds.iter().find_map(|bound| match bound {
                    Expression::Binary(operator, _, value) if *operator == wanted => match &**value {
                        Expression::Term(Term::Integer(value)) => Some(*value),
                        _ => None,
                    },
                    _ => None,
                })
            };
            Some(Matcher::Range { min: find(Operator::GreaterOrEqual), max: find(Operator::LessOrEqual) })
        }
    }
}

fn scalar(term: &Term) -> Option<Scalar> {
    match term {
        Term::Flag(flag) => Some(Scalar::Flag(*flag)),
        Term::Integer(number) => Some(Scalar::Integer(*number)),
        Term::Text(text) => Some(Scalar::Text(text.clone())),
        _ => None,
    }
}

fn text(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Term(Term::Text(text)) => Some(text),
        _ => None,
    }
}

fn texts(expression: &Expression) -> Option<BTreeSet<String>> {
    let Expression::Term(Term::Set(set)) = expression else { return None };
    set.iter()
        .map(|element| match element {
            Term::Text(text) => Some(text.clone()),
            _ => None,
        })
        .collect()
}
