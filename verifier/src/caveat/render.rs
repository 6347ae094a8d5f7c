//! Each caveat as one Datalog check. Normative: `docs/token-format.md` prints these forms.

use std::collections::BTreeSet;

use super::{Argument, Caveat, ClosedArguments, Matcher, Scalar, Tools};
use crate::datalog::{Check, Expression, Operator, Predicate, Query, Term};

impl Caveat {
    /// The check that a block carries for this caveat.
    pub fn check(&self) -> Check {
        let queries = match self {
            Caveat::Tools(tools) => tool_queries(tools),
            Caveat::Argument(argument) => argument_queries(argument),
            Caveat::ClosedArguments(closed) => closed_queries(closed),
            Caveat::Audience(audiences) => vec![member_of("audience", "a", audiences)],
            Caveat::Expires(at) => vec![one("time", "t", Operator::LessThan, Term::Date(*at))],
            Caveat::Depth(max) => vec![one("depth", "d", Operator::LessOrEqual, Term::Integer((*max).into()))],
        };
        Check { queries }
    }
}

impl Scalar {
    /// The value as a Datalog term.
    pub(super) fn term(&self) -> Term {
        match self {
            Scalar::Flag(flag) => Term::Flag(*flag),
            Scalar::Integer(number) => Term::Integer(*number),
            Scalar::Text(text) => Term::text(text),
        }
    }

    fn predicate(&self) -> &'static str {
        match self {
            Scalar::Flag(_) => "arg_flag",
            Scalar::Integer(_) => "arg_int",
            Scalar::Text(_) => "arg_text",
        }
    }
}

fn tool_queries(tools: &Tools) -> Vec<Query> {
    let names = (!tools.names.is_empty()).then(|| member_of("tool", "t", &tools.names));
    let prefixes = tools.prefixes.iter().map(|prefix| one("tool", "t", Operator::StartsWith, Term::text(prefix)));
    names.into_iter().chain(prefixes).collect()
}

fn argument_queries(argument: &Argument) -> Vec<Query> {
    let mut queries = vec![other_tool(&argument.tool)];
    let query = |predicate: &str, value: Term, expressions: Vec<Expression>| Query {
        body: vec![Predicate::new("tool", [Term::text(&argument.tool)]), Predicate::new(predicate, [Term::text(&argument.path), value])],
        expressions,
    };
    let variable = || Term::variable("v");
    match &argument.is {
        Matcher::Exact(value) => queries.push(query(value.predicate(), value.term(), Vec::new())),
        Matcher::OneOf(values) => {
            for predicate in ["arg_flag", "arg_int", "arg_text"] {
                let set: BTreeSet<Term> = values.iter().filter(|value| value.predicate() == predicate).map(Scalar::term).collect();
                if !set.is_empty() {
                    queries.push(query(predicate, variable(), vec![Expression::binary(Operator::Contains, Term::Set(set), variable())]));
                }
            }
        }
        Matcher::Range { min, max } => {
            let bound = |operator, value: &i64| Expression::binary(operator, variable(), Term::Integer(*value));
            let lower = min.as_ref().map(|min| bound(Operator::GreaterOrEqual, min));
            let upper = max.as_ref().map(|max| bound(Operator::LessOrEqual, max));
            queries.push(query("arg_int", variable(), lower.into_iter().chain(upper).collect()));
        }
        Matcher::Prefix(prefix) => {
            queries.push(query("arg_text", variable(), vec![Expression::binary(Operator::StartsWith, variable(), Term::text(prefix))]));
        }
    }
    queries
}

fn closed_queries(closed: &ClosedArguments) -> Vec<Query> {
    let names = closed.names.iter().map(|name| Term::text(name)).collect();
    vec![
        other_tool(&closed.tool),
        Query {
            body: vec![
                Predicate::new("tool", [Term::text(&closed.tool)]),
                Predicate::new("arg_names", [Term::text(&closed.at), Term::variable("n")]),
            ],
            expressions: vec![Expression::binary(Operator::Contains, Term::Set(names), Term::variable("n"))],
        },
    ]
}

/// A caveat on the arguments of one tool says nothing about calls of another.
fn other_tool(tool: &str) -> Query {
    one("tool", "t", Operator::NotEqual, Term::text(tool))
}

fn member_of(predicate: &str, variable: &str, values: &BTreeSet<String>) -> Query {
    let set = Term::Set(values.iter().map(|value| Term::text(value)).collect());
    Query {
        body: vec![Predicate::new(predicate, [Term::variable(variable)])],
        expressions: vec![Expression::binary(Operator::Contains, set, Term::variable(variable))],
    }
}

fn one(predicate: &str, variable: &str, operator: Operator, value: Term) -> Query {
    Query {
        body: vec![Predicate::new(predicate, [Term::variable(variable)])],
        expressions: vec![Expression::binary(operator, Term::variable(variable), value)],
    }
}
