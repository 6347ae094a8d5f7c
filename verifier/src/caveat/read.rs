//! Checks read back into caveats.
//!
//! The shape of a check suggests one caveat; it is that caveat only if rendering it gives the same check again. So there
//! is one definition of each form, and a check that merely resembles one is another: a [`Caveat::Datalog`], which
//! verifiers refuse unless they are told otherwise.

use std::collections::BTreeSet;

use super::{
    Actions, Approval, Argument, Budget, Calls, Caveat, ClosedArguments, Cost, DecimalRange, Directive, LabelRule, Labels, Plane,
    SingleUse, TimeWindow, Tools, matcher,
};
use crate::{
    datalog::{CALL_FACTS, Check, Expression, Operator, Predicate, Query, Term, typecheck},
    json::{Limits, Pointer, Value, parse},
};

impl Caveat {
    /// The caveat whose rendering this check is. `None` for a rendering whose values are outside the bounds, and for a check
    /// that is none and asks for more than the facts of a call.
    pub fn read(check: &Check) -> Option<Self> {
        match suggest(check).filter(|caveat| caveat.check() == *check) {
            Some(caveat) => caveat.within_bounds().is_ok().then_some(caveat),
            None => typecheck(check, CALL_FACTS).is_ok().then(|| Caveat::Datalog(check.clone())),
        }
    }
}

fn suggest(check: &Check) -> Option<Caveat> {
    let first = check.queries.first()?;
    let scoped = match (first.body.as_slice(), first.expressions.as_slice()) {
        ([Predicate { name, .. }], [Expression::Binary(Operator::NotEqual, _, tool)]) if name == "tool" => Some(text(tool)?.to_owned()),
        _ => None,
    };
    let queries = if scoped.is_some() { check.queries.get(1..)? } else { &check.queries };
    let query = queries.first()?;
    let subject = query.body.last()?;
    let terms = subject.terms.as_slice();
    Some(match (subject.name.as_str(), scoped) {
        ("tool", None) => suggest_tools(queries)?,
        ("audience", None) => Caveat::Audience(set_of(query.expressions.first()?)?),
        ("time", None) => suggest_time(query.expressions.first()?)?,
        ("depth", None) => match operand(query.expressions.first()?)? {
            Term::Integer(max) => Caveat::Depth(u32::try_from(*max).ok()?),
            _ => return None,
        },
        ("arg_names", Some(tool)) if !query.expressions.is_empty() => {
            Caveat::ClosedArguments(ClosedArguments { tool, at: path(terms)?, names: set_of(query.expressions.first()?)? })
        }
        (name, Some(tool)) if name.starts_with("arg_") => {
            Caveat::Argument(Argument { tool, path: path(terms)?, is: matcher::read_clauses(queries)? })
        }
        (name, tool) => suggest_stateful(name, terms, query, tool)?,
    })
}

fn suggest_tools(queries: &[Query]) -> Option<Caveat> {
    let mut tools = Tools::default();
    let mut denied = false;
    for expression in queries.iter().flat_map(|query| &query.expressions) {
        let alternative = match expression {
            Expression::Not(inner) => {
                denied = true;
                inner
            }
            plain => plain,
        };
        match (alternative, operand(alternative)) {
            (Expression::Binary(Operator::StartsWith, ..), Some(Term::Text(prefix))) => {
                tools.prefixes.insert(prefix.to_string());
            }
            (Expression::Binary(Operator::EndsWith, ..), Some(Term::Text(suffix))) => {
                tools.suffixes.insert(suffix.to_string());
            }
            _ => tools.names.extend(set_of(alternative)?),
        }
    }
    Some(if denied { Caveat::NotTools(tools) } else { Caveat::Tools(tools) })
}

fn suggest_time(expression: &Expression) -> Option<Caveat> {
    match (expression, operand(expression)?) {
        (Expression::Binary(Operator::LessThan, ..), Term::Date(at)) => Some(Caveat::Expires(*at)),
        (Expression::Binary(Operator::GreaterOrEqual, ..), Term::Date(at)) => Some(Caveat::NotBefore(*at)),
        (Expression::Binary(Operator::Extern(_), ..), Term::Text(window)) => {
            Some(Caveat::TimeWindow(TimeWindow::from_json(&json(window)?).ok()?))
        }
        _ => None,
    }
}

fn suggest_stateful(predicate: &str, terms: &[Term], query: &Query, tool: Option<String>) -> Option<Caveat> {
    let first = query.expressions.first();
    Some(match (predicate, terms) {
        ("calls", [Term::Text(name), Term::Integer(seconds), _]) => {
            let Term::Integer(max) = operand(first?)? else { return None };
            let per_seconds = if *seconds == 0 { None } else { Some(u32::try_from(*seconds).ok()?) };
            Caveat::Calls(Calls { name: name.to_string(), tool, max: u32::try_from(*max).ok()?, per_seconds })
        }
        ("uses", [Term::Text(name), _]) => Caveat::SingleUse(SingleUse { name: name.to_string(), tool }),
        ("spend", [Term::Text(name), Term::Text(unit), Term::Text(cost), _]) => {
            let Term::Text(max) = operand(first?)? else { return None };
            let max = DecimalRange::from_json(&json(max)?).ok()?;
            Caveat::Budget(Budget { name: name.to_string(), tool, unit: unit.to_string(), max, cost: Cost::from_text(cost)? })
        }
        ("history", _) => match first? {
            Expression::Not(_) => Caveat::ForbidsPrior(Actions { tool, actions: denied(query)? }),
            required => Caveat::RequiresPrior(Actions { tool, actions: texts(operand(required)?)? }),
        },
        ("labels", _) => match first? {
            Expression::Not(_) => Caveat::Labels(Labels { tool, rule: LabelRule::NoneOf(denied(query)?) }),
            allowed => Caveat::Labels(Labels { tool, rule: LabelRule::Within(set_of(allowed)?) }),
        },
        ("approvals", [Term::Text(name), of, _]) => {
            let Term::Integer(count) = operand(first?)? else { return None };
            Caveat::Approval(Approval { name: name.to_string(), tool, count: u32::try_from(*count).ok()?, of: texts(of)? })
        }
        ("enforces", [Term::Text(plane), values]) => {
            let plane = [Plane::Network, Plane::Sandbox, Plane::Redact].into_iter().find(|known| known.kind() == plane)?;
            Caveat::Directive(Directive { tool, plane, values: texts(values)? })
        }
        _ => return None,
    })
}

fn path(terms: &[Term]) -> Option<Pointer> {
    match terms.first()? {
        Term::Text(path) => Pointer::parse(path),
        _ => None,
    }
}

/// The texts that a query denies one by one.
fn denied(query: &Query) -> Option<BTreeSet<String>> {
    let denial = |expression: &Expression| match expression {
        Expression::Not(inner) => match operand(inner)? {
            Term::Text(text) => Some(text.to_string()),
            _ => None,
        },
        _ => None,
    };
    query.expressions.iter().map(denial).collect()
}

/// The right side of an operator.
fn operand(expression: &Expression) -> Option<&Term> {
    match expression {
        Expression::Binary(_, _, right) => match &**right {
            Expression::Term(term) => Some(term),
            _ => None,
        },
        _ => None,
    }
}

/// The texts on the left of an operator.
fn set_of(expression: &Expression) -> Option<BTreeSet<String>> {
    match expression {
        Expression::Binary(_, left, _) => match &**left {
            Expression::Term(set) => texts(set),
            _ => None,
        },
        _ => None,
    }
}

fn text(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Term(Term::Text(text)) => Some(text),
        _ => None,
    }
}

fn texts(term: &Term) -> Option<BTreeSet<String>> {
    let Term::Set(set) = term else { return None };
    let element = |element: &Term| match element {
        Term::Text(text) => Some(text.to_string()),
        _ => None,
    };
    set.iter().map(element).collect()
}

fn json(text: &str) -> Option<Value> {
    parse(text.as_bytes(), Limits::CAVEATS).ok()
}
