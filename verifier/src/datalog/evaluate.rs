//! The native evaluator, and the cost that is known before it runs.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use super::{Check, Expression, Operator, Predicate, Query, Term, Vocabulary, typing::typecheck_fact};
use crate::Reason;

/// The facts of one decision, typed by a vocabulary.
#[derive(Clone, Debug)]
pub struct Facts {
    vocabulary: Vocabulary,
    by_name: BTreeMap<SmolStr, Vec<Vec<Term>>>,
}

impl Facts {
    /// No facts yet, over this vocabulary.
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, by_name: BTreeMap::new() }
    }

    /// Adds a fact.
    ///
    /// # Errors
    /// `OUTSIDE_PROFILE` or `MIXED_TYPES` when the vocabulary does not have it so.
    pub fn add(&mut self, fact: Predicate) -> Result<(), Reason> {
        typecheck_fact(&fact, self.vocabulary)?;
        self.by_name.entry(fact.name).or_default().push(fact.terms);
        Ok(())
    }

    /// Every fact, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Term])> {
        self.by_name.iter().flat_map(|(name, facts)| facts.iter().map(move |terms| (name.as_str(), terms.as_slice())))
    }

    /// The most bindings that evaluating `check` can look at: the sum over queries of the product of matching facts. A
    /// predicate without facts counts as one, since the facts before it are still walked. An external function reads its
    /// rule and a text each time, so it weighs more.
    pub fn cost(&self, check: &Check) -> u64 {
        check.queries.iter().fold(0, |sum, query| {
            let functions =
                query.expressions.iter().filter(|expression| expression.uses(|operator| matches!(operator, Operator::Extern(_)))).count()
                    as u64;
            let product = query.body.iter().fold(functions.saturating_mul(FUNCTION_COST).saturating_add(1), |product, predicate| {
                product.saturating_mul((self.named(&predicate.name).len() as u64).max(1))
            });
            sum.saturating_add(product)
        })
    }

    /// Whether `check` holds. The caller has typechecked it and bounded its cost.
    pub fn satisfy(&self, check: &Check) -> bool {
        check.queries.iter().any(|query| self.binds(query, &query.body, &mut Vec::new()))
    }

    fn binds<'a>(&'a self, query: &'a Query, rest: &'a [Predicate], bindings: &mut Vec<(&'a str, &'a Term)>) -> bool {
        let Some((predicate, rest)) = rest.split_first() else {
            return query.expressions.iter().all(|expression| truth(expression, bindings));
        };
        self.named(&predicate.name).iter().any(|fact| {
            let before = bindings.len();
            let found = predicate.terms.len() == fact.len()
                && predicate.terms.iter().zip(fact).all(|(term, value)| unify(term, value, bindings))
                && self.binds(query, rest, bindings);
            bindings.truncate(before);
            found
        })
    }

    fn named(&self, name: &str) -> &[Vec<Term>] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }
}

fn unify<'a>(term: &'a Term, value: &'a Term, bindings: &mut Vec<(&'a str, &'a Term)>) -> bool {
    match term {
        Term::Variable(name) => match bindings.iter().find(|(bound, _)| bound == name) {
            Some((_, bound)) => *bound == value,
            None => {
                bindings.push((name, value));
                true
            }
        },
        constant => constant == value,
    }
}

/// Whether an expression is true; a wrong type, which typechecking excludes, is not.
fn truth(expression: &Expression, bindings: &[(&str, &Term)]) -> bool {
    match expression {
        Expression::Term(_) => value(expression, bindings) == Some(&Term::Flag(true)),
        Expression::Not(inner) => match &**inner {
            Expression::Term(_) => value(inner, bindings) == Some(&Term::Flag(false)),
            nested => !truth(nested, bindings),
        },
        Expression::Binary(Operator::And, left, right) => truth(left, bindings) && truth(right, bindings),
        Expression::Binary(Operator::Or, left, right) => truth(left, bindings) || truth(right, bindings),
        Expression::Binary(operator, left, right) => match (value(left, bindings), value(right, bindings)) {
            (Some(left), Some(right)) => compare(*operator, left, right),
            _ => false,
        },
    }
}

fn value<'a>(expression: &'a Expression, bindings: &[(&str, &'a Term)]) -> Option<&'a Term> {
    match expression {
        Expression::Term(Term::Variable(name)) => bindings.iter().find(|(bound, _)| bound == name).map(|(_, value)| *value),
        Expression::Term(value) => Some(value),
        _ => None,
    }
}

fn compare(operator: Operator, left: &Term, right: &Term) -> bool {
    match (operator, left, right) {
        (Operator::Equal, left, right) => left == right,
        (Operator::NotEqual, left, right) => left != right,
        (Operator::Extern(function), left, right) => function.call(left, right),
        (Operator::StartsWith, Term::Text(left), Term::Text(right)) => left.starts_with(right.as_str()),
        (Operator::EndsWith, Term::Text(left), Term::Text(right)) => left.ends_with(right.as_str()),
        (Operator::Contains, Term::Set(left), Term::Set(right)) => left.is_superset(right),
        (Operator::Contains, Term::Set(left), right) => left.contains(right),
        (operator, Term::Integer(left), Term::Integer(right)) => in_order(operator, left, right),
        (operator, Term::Date(left), Term::Date(right)) => in_order(operator, left, right),
        _ => false,
    }
}

fn in_order<T: Ord>(operator: Operator, left: &T, right: &T) -> bool {
    match operator {
        Operator::LessThan => left < right,
        Operator::GreaterThan => left > right,
        Operator::LessOrEqual => left <= right,
        Operator::GreaterOrEqual => left >= right,
        _ => false,
    }
}

/// Reading a rule of at most 1 KiB and a text of at most 4 KiB, in steps.
const FUNCTION_COST: u64 = 2_000;
