//! One type per argument position, checked before anything is evaluated.

use super::{Check, Expression, Operator, Predicate, Query, Term, Type, Vocabulary};
use crate::Reason;

/// Checks that every predicate is in the vocabulary and every use of a variable or value has the type of its position.
///
/// # Errors
/// `OUTSIDE_PROFILE` for an unknown predicate or a variable that no fact binds, `MIXED_TYPES` for a wrong type.
pub fn typecheck(check: &Check, vocabulary: Vocabulary) -> Result<(), Reason> {
    check.queries.iter().try_for_each(|query| typecheck_query(query, vocabulary))
}

/// Checks a fact: in the vocabulary, every argument a value of the right type.
pub(crate) fn typecheck_fact(fact: &Predicate, vocabulary: Vocabulary) -> Result<(), Reason> {
    let types = types_of(fact, vocabulary)?;
    for (term, expected) in fact.terms.iter().zip(types) {
        match value_type(term)? {
            Some(Kind::One(found)) if found == *expected => {}
            Some(Kind::EmptySet) if *expected == Type::Texts => {}
            _ => return Err(Reason::MixedTypes),
        }
    }
    Ok(())
}

/// What an expression can be: a value of one type, or a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    One(Type),
    /// A set of values of this type, other than the texts that have a type of their own.
    SetOf(Type),
    /// The empty set, which fits every set type but [`Type::Texts`] positions as well.
    EmptySet,
}

fn typecheck_query(query: &Query, vocabulary: Vocabulary) -> Result<(), Reason> {
    let mut bound: Vec<(&str, Type)> = Vec::new();
    for predicate in &query.body {
        for (term, expected) in predicate.terms.iter().zip(types_of(predicate, vocabulary)?) {
            match term {
                Term::Variable(name) => match bound.iter().find(|(bound, _)| bound == name) {
                    Some((_, found)) if found != expected => return Err(Reason::MixedTypes),
                    Some(_) => {}
                    None => bound.push((name, *expected)),
                },
                value => match value_type(value)? {
                    Some(Kind::One(found)) if found == *expected => {}
                    Some(Kind::EmptySet) if *expected == Type::Texts => {}
                    _ => return Err(Reason::MixedTypes),
                },
            }
        }
    }
    for expression in &query.expressions {
        if type_of(expression, &bound)? != Kind::One(Type::Flag) {
            return Err(Reason::MixedTypes);
        }
    }
    Ok(())
}

fn types_of(predicate: &Predicate, vocabulary: Vocabulary) -> Result<&'static [Type], Reason> {
    let signature = vocabulary.iter().find(|signature| signature.name == predicate.name).ok_or(Reason::OutsideProfile)?;
    if signature.types.len() == predicate.terms.len() { Ok(signature.types) } else { Err(Reason::MixedTypes) }
}

fn type_of(expression: &Expression, bound: &[(&str, Type)]) -> Result<Kind, Reason> {
    match expression {
        Expression::Term(Term::Variable(name)) => {
            bound.iter().find(|(bound, _)| bound == name).map(|(_, found)| Kind::One(*found)).ok_or(Reason::OutsideProfile)
        }
        Expression::Term(value) => value_type(value)?.ok_or(Reason::OutsideProfile),
        Expression::Not(inner) => match type_of(inner, bound)? {
            Kind::One(Type::Flag) => Ok(Kind::One(Type::Flag)),
            _ => Err(Reason::MixedTypes),
        },
        // a comparison of comparisons has no use and would need values for conditions in the evaluator
        Expression::Binary(operator, left, right)
            if !matches!(operator, Operator::And | Operator::Or)
                && !matches!((&**left, &**right), (Expression::Term(_), Expression::Term(_))) =>
        {
            Err(Reason::OutsideProfile)
        }
        Expression::Binary(Operator::Extern(function), value, parameter) => match &**parameter {
            Expression::Term(Term::Text(parameter)) if type_of(value, bound)? == Kind::One(function.left()) => {
                if function.takes(parameter) { Ok(Kind::One(Type::Flag)) } else { Err(Reason::OutsideProfile) }
            }
            _ => Err(Reason::MixedTypes),
        },
        Expression::Binary(operator, left, right) => {
            let (left, right) = (type_of(left, bound)?, type_of(right, bound)?);
            if fits(*operator, left, right) { Ok(Kind::One(Type::Flag)) } else { Err(Reason::MixedTypes) }
        }
    }
}

fn fits(operator: Operator, left: Kind, right: Kind) -> bool {
    match operator {
        Operator::LessThan | Operator::GreaterThan | Operator::LessOrEqual | Operator::GreaterOrEqual => {
            left == right && matches!(left, Kind::One(Type::Integer | Type::Date))
        }
        Operator::Equal | Operator::NotEqual => left == right,
        Operator::StartsWith | Operator::EndsWith => (left, right) == (Kind::One(Type::Text), Kind::One(Type::Text)),
        // a function's parameter has to be looked at, which the caller has done
        Operator::Extern(_) => false,
        Operator::And | Operator::Or => (left, right) == (Kind::One(Type::Flag), Kind::One(Type::Flag)),
        Operator::Contains => match (left, right) {
            (Kind::One(Type::Texts), Kind::One(Type::Text | Type::Texts) | Kind::EmptySet) => true,
            (Kind::SetOf(element), Kind::One(value)) => element == value,
            (Kind::SetOf(element), Kind::SetOf(other)) => element == other,
            (Kind::SetOf(_), Kind::EmptySet) | (Kind::EmptySet, Kind::One(_) | Kind::SetOf(_) | Kind::EmptySet) => true,
            _ => false,
        },
    }
}

/// The kind of a value; `None` for a variable.
fn value_type(term: &Term) -> Result<Option<Kind>, Reason> {
    Ok(Some(Kind::One(match term {
        Term::Variable(_) => return Ok(None),
        Term::Integer(_) => Type::Integer,
        Term::Text(_) => Type::Text,
        Term::Date(_) => Type::Date,
        Term::Bytes(_) => Type::Bytes,
        Term::Flag(_) => Type::Flag,
        Term::Null => Type::Null,
        Term::Set(elements) => return set_type(elements.iter()).map(Some),
    })))
}

fn set_type<'a>(mut elements: impl Iterator<Item = &'a Term>) -> Result<Kind, Reason> {
    let Some(first) = elements.next() else { return Ok(Kind::EmptySet) };
    let Some(Kind::One(element)) = value_type(first)? else { return Err(Reason::MixedTypes) };
    if element == Type::Texts || !elements.all(|other| value_type(other) == Ok(Some(Kind::One(element)))) {
        return Err(Reason::MixedTypes);
    }
    Ok(if element == Type::Text { Kind::One(Type::Texts) } else { Kind::SetOf(element) })
}
