//! Each caveat as one Datalog check. Normative: `docs/token-format.md` prints these forms.

use std::collections::BTreeSet;

use super::{Calls, Caveat, ClosedArguments, LabelRule, Labels, SingleUse, Tools};
use crate::datalog::{Check, Expression, Function, Operator, Predicate, Query, TIME_WINDOW, Term};

impl Caveat {
    /// The check that a block carries for this caveat.
    ///
    /// Where it speaks of one tool, its first alternative lets every other pass, so the others need not name the tool again.
    pub fn check(&self) -> Check {
        if let Caveat::Datalog(check) = self {
            return check.clone();
        }
        let others = self.only_for().map(|tool| one("tool", "t", Operator::NotEqual, Term::text(tool)));
        Check { queries: others.into_iter().chain(self.queries()).collect() }
    }

    fn queries(&self) -> Vec<Query> {
        let variable = Term::variable;
        match self {
            Caveat::Tools(tools) => tools.alternatives().map(|expression| over("tool", "t", [expression])).collect(),
            Caveat::NotTools(tools) => {
                vec![over("tool", "t", tools.alternatives().map(|expression| Expression::Not(Box::new(expression))))]
            }
            Caveat::Argument(argument) => argument.is.queries(argument.path.as_str()),
            Caveat::ClosedArguments(closed) => vec![closed.query()],
            Caveat::Audience(audiences) => vec![over("audience", "a", [among(audiences, variable("a"))])],
            Caveat::Expires(at) => vec![one("time", "t", Operator::LessThan, Term::Date(*at))],
            Caveat::NotBefore(at) => vec![one("time", "t", Operator::GreaterOrEqual, Term::Date(*at))],
            Caveat::TimeWindow(window) => {
                let function = Function { rule: TIME_WINDOW, negated: false };
                vec![one("time", "t", Operator::Extern(function), Term::text(&window.to_json().canonical()))]
            }
            Caveat::Depth(max) => vec![one("depth", "d", Operator::LessOrEqual, Term::Integer((*max).into()))],
            Caveat::Calls(Calls { name, max, per_seconds, .. }) => vec![Query {
                body: vec![Predicate::new("calls", [Term::text(name), Term::Integer(per_seconds.unwrap_or(0).into()), variable("n")])],
                expressions: vec![Expression::binary(Operator::LessThan, variable("n"), Term::Integer((*max).into()))],
            }],
            Caveat::SingleUse(SingleUse { name, .. }) => {
                vec![Query { body: vec![Predicate::new("uses", [Term::text(name), Term::Integer(0)])], expressions: Vec::new() }]
            }
            Caveat::Budget(budget) => {
                let fact = [Term::text(&budget.name), Term::text(&budget.unit), Term::text(budget.cost.as_text()), variable("s")];
                let limit = Term::text(&budget.max.to_json().canonical());
                let function = Function { rule: "decimal", negated: false };
                vec![Query {
                    body: vec![Predicate::new("spend", fact)],
                    expressions: vec![Expression::binary(Operator::Extern(function), variable("s"), limit)],
                }]
            }
            Caveat::RequiresPrior(prior) => {
                vec![over("history", "h", [Expression::binary(Operator::Contains, variable("h"), texts(&prior.actions))])]
            }
            Caveat::ForbidsPrior(prior) => vec![over("history", "h", lacking(&prior.actions, "h"))],
            Caveat::Labels(Labels { rule: LabelRule::NoneOf(labels), .. }) => vec![over("labels", "l", lacking(labels, "l"))],
            Caveat::Labels(Labels { rule: LabelRule::Within(labels), .. }) => vec![over("labels", "l", [among(labels, variable("l"))])],
            Caveat::Approval(approval) => vec![Query {
                body: vec![Predicate::new("approvals", [Term::text(&approval.name), texts(&approval.of), variable("n")])],
                expressions: vec![Expression::binary(Operator::GreaterOrEqual, variable("n"), Term::Integer(approval.count.into()))],
            }],
            Caveat::Directive(directive) => vec![Query {
                body: vec![Predicate::new("enforces", [Term::text(directive.plane.kind()), texts(&directive.values)])],
                expressions: Vec::new(),
            }],
            Caveat::Datalog(check) => check.queries.clone(),
        }
    }
}

impl Tools {
    fn alternatives(&self) -> impl Iterator<Item = Expression> {
        let names = (!self.names.is_empty()).then(|| among(&self.names, Term::variable("t")));
        let affix = |operator, text: &String| Expression::binary(operator, Term::variable("t"), Term::text(text));
        let prefixes = self.prefixes.iter().map(move |text| affix(Operator::StartsWith, text));
        names.into_iter().chain(prefixes).chain(self.suffixes.iter().map(move |text| affix(Operator::EndsWith, text)))
    }
}

impl ClosedArguments {
    fn query(&self) -> Query {
        Query {
            body: vec![Predicate::new("arg_names", [Term::text(self.at.as_str()), Term::variable("n")])],
            expressions: vec![among(&self.names, Term::variable("n"))],
        }
    }
}

fn lacking<'a>(values: &'a BTreeSet<String>, variable: &'static str) -> impl Iterator<Item = Expression> + 'a {
    values
        .iter()
        .map(move |value| Expression::Not(Box::new(Expression::binary(Operator::Contains, Term::variable(variable), Term::text(value)))))
}

fn among(values: &BTreeSet<String>, value: Term) -> Expression {
    Expression::binary(Operator::Contains, texts(values), value)
}

fn texts(values: &BTreeSet<String>) -> Term {
    Term::Set(values.iter().map(|value| Term::text(value)).collect())
}

fn one(predicate: &str, variable: &str, operator: Operator, value: Term) -> Query {
    over(predicate, variable, [Expression::binary(operator, Term::variable(variable), value)])
}

fn over(predicate: &str, variable: &str, expressions: impl IntoIterator<Item = Expression>) -> Query {
    Query { body: vec![Predicate::new(predicate, [Term::variable(variable)])], expressions: expressions.into_iter().collect() }
}
