//! Datalog text for policy conditions. Caveats never go through text.

use biscuit_parser::{builder as parsed, parser};

use crate::{
    Reason,
    datalog::{Check, Expression, Operator, Predicate, Query, Term},
};

/// Parses the body of a check, such as `client("planner"), claim("groups", $g), $g == "finance"`; alternatives are
/// joined by `or`.
///
/// # Errors
/// `OUTSIDE_PROFILE` when the text is too long or too deep, does not parse, or uses what the typed profile does not have.
pub fn parse_check(body: &str) -> Result<Check, Reason> {
    // the parser recurses on nesting and would take the process down with it, so text is bounded before it is parsed
    if body.len() > MAX_TEXT || nesting(body) > MAX_NESTING {
        return Err(Reason::OutsideProfile);
    }
    let text = format!("check if {body}");
    let (rest, check) = parser::check(&text).map_err(|_| Reason::OutsideProfile)?;
    if !rest.trim().is_empty() || check.kind != parsed::CheckKind::One {
        return Err(Reason::OutsideProfile);
    }
    Ok(Check { queries: check.queries.iter().map(read_query).collect::<Result<_, _>>()? })
}

fn nesting(text: &str) -> usize {
    text.chars().filter(|character| matches!(character, '(' | '[' | '{' | '!')).count()
}

fn read_query(query: &parsed::Rule) -> Result<Query, Reason> {
    if !query.scopes.is_empty() {
        return Err(Reason::OutsideProfile);
    }
    Ok(Query {
        body: query
            .body
            .iter()
            .map(|predicate| Ok(Predicate::new(&predicate.name, read_terms(&predicate.terms)?)))
            .collect::<Result<_, _>>()?,
        expressions: query.expressions.iter().map(|expression| read_ops(&expression.ops)).collect::<Result<_, _>>()?,
    })
}

fn read_terms(terms: &[parsed::Term]) -> Result<Vec<Term>, Reason> {
    terms.iter().map(read_term).collect()
}

fn read_term(term: &parsed::Term) -> Result<Term, Reason> {
    Ok(match term {
        parsed::Term::Variable(name) => Term::variable(name),
        parsed::Term::Integer(number) => Term::Integer(*number),
        parsed::Term::Str(text) => Term::text(text),
        parsed::Term::Date(seconds) => Term::Date(*seconds),
        parsed::Term::Bytes(bytes) => Term::Bytes(bytes.clone()),
        parsed::Term::Bool(flag) => Term::Flag(*flag),
        parsed::Term::Null => Term::Null,
        parsed::Term::Set(elements) => Term::Set(elements.iter().map(read_term).collect::<Result<_, _>>()?),
        parsed::Term::Parameter(_) | parsed::Term::Array(_) | parsed::Term::Map(_) => return Err(Reason::OutsideProfile),
    })
}

fn read_ops(ops: &[parsed::Op]) -> Result<Expression, Reason> {
    /// `&&` and `||` are lazy in Biscuit: their right side comes as a closure without parameters.
    enum Item {
        Ready(Expression),
        Lazy(Expression),
    }
    let mut stack: Vec<Item> = Vec::new();
    for op in ops {
        let item = match op {
            parsed::Op::Value(term) => Item::Ready(Expression::Term(read_term(term)?)),
            parsed::Op::Closure(parameters, body) if parameters.is_empty() => Item::Lazy(read_ops(body)?),
            parsed::Op::Unary(parsed::Unary::Parens) => stack.pop().ok_or(Reason::OutsideProfile)?,
            parsed::Op::Unary(parsed::Unary::Negate) => match stack.pop() {
                Some(Item::Ready(inner)) => Item::Ready(Expression::Not(Box::new(inner))),
                _ => return Err(Reason::OutsideProfile),
            },
            parsed::Op::Binary(binary) => {
                let (Some(right), Some(Item::Ready(left))) = (stack.pop(), stack.pop()) else { return Err(Reason::OutsideProfile) };
                let (operator, right) = match (binary, right) {
                    (parsed::Binary::LazyAnd, Item::Lazy(right)) => (Operator::And, right),
                    (parsed::Binary::LazyOr, Item::Lazy(right)) => (Operator::Or, right),
                    (binary, Item::Ready(right)) => (read_operator(binary).ok_or(Reason::OutsideProfile)?, right),
                    (_, Item::Lazy(_)) => return Err(Reason::OutsideProfile),
                };
                Item::Ready(Expression::Binary(operator, Box::new(left), Box::new(right)))
            }
            parsed::Op::Unary(_) | parsed::Op::Closure(..) => return Err(Reason::OutsideProfile),
        };
        stack.push(item);
    }
    match (stack.pop(), stack.is_empty()) {
        (Some(Item::Ready(expression)), true) => Ok(expression),
        _ => Err(Reason::OutsideProfile),
    }
}

/// Strict and lenient equality mean the same here, since both sides have one type.
fn read_operator(binary: &parsed::Binary) -> Option<Operator> {
    Some(match binary {
        parsed::Binary::LessThan => Operator::LessThan,
        parsed::Binary::GreaterThan => Operator::GreaterThan,
        parsed::Binary::LessOrEqual => Operator::LessOrEqual,
        parsed::Binary::GreaterOrEqual => Operator::GreaterOrEqual,
        parsed::Binary::Equal | parsed::Binary::HeterogeneousEqual => Operator::Equal,
        parsed::Binary::NotEqual | parsed::Binary::HeterogeneousNotEqual => Operator::NotEqual,
        parsed::Binary::Contains => Operator::Contains,
        parsed::Binary::Prefix => Operator::StartsWith,
        parsed::Binary::Suffix => Operator::EndsWith,
        _ => return None,
    })
}

const MAX_TEXT: usize = 4096;
/// Opening brackets and negations in the whole text; the true depth is at most this.
const MAX_NESTING: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_parse_into_the_typed_profile() {
        let check = parse_check(r#"claim("groups", $g), {"finance","audit"}.contains($g) && !($g == "audit") or client("ops")"#).unwrap();
        assert_eq!(check.queries.len(), 2);
        assert!(matches!(check.queries[0].expressions[0], Expression::Binary(Operator::And, ..)));
    }

    #[test]
    fn text_outside_the_profile_or_its_bounds_is_refused() {
        let deep = format!("tool($t), {}true{}", "(".repeat(5000), ")".repeat(5000));
        let long = format!("tool(\"{}\")", "x".repeat(5000));
        for text in [
            r#"tool($t), $t.matches("a")"#,
            "tool($t) trusting previous",
            "tool($t), [1].any($x -> true)",
            "",
            "tool($t); tool($t)",
            &deep,
            &long,
            "tool({p})",
            "num($a), $a + 1 > 0",
        ] {
            assert_eq!(parse_check(text).err(), Some(Reason::OutsideProfile), "{}", text.chars().take(60).collect::<String>());
        }
    }
}
