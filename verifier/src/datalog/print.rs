//! Checks as Datalog text, as Biscuit's own tools read it.

use core::fmt::{self, Display, Formatter, Write as _};

use super::{Check, Expression, Operator, Predicate, Query, Term};
use crate::caveat::write_time;

impl Display for Check {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("check if ")?;
        join(formatter, &self.queries, " or ")
    }
}

impl Display for Query {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        join(formatter, &self.body, ", ")?;
        if !self.body.is_empty() && !self.expressions.is_empty() {
            formatter.write_str(", ")?;
        }
        join(formatter, &self.expressions, ", ")
    }
}

impl Display for Predicate {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}(", self.name)?;
        join(formatter, &self.terms, ", ")?;
        formatter.write_char(')')
    }
}

impl Display for Expression {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Term(term) => term.fmt(formatter),
            Expression::Not(inner) => match &**inner {
                Expression::Binary(operator, ..) if operator.is_infix() => write!(formatter, "!({inner})"),
                _ => write!(formatter, "!{inner}"),
            },
            Expression::Binary(operator, left, right) => {
                let side = |formatter: &mut Formatter<'_>, side: &Expression| match side {
                    Expression::Binary(inner, ..) if inner.is_infix() => write!(formatter, "({side})"),
                    _ => write!(formatter, "{side}"),
                };
                side(formatter, left)?;
                match operator {
                    Operator::Contains => write!(formatter, ".contains({right})"),
                    Operator::StartsWith => write!(formatter, ".starts_with({right})"),
                    Operator::EndsWith => write!(formatter, ".ends_with({right})"),
                    Operator::Extern(function) => write!(formatter, ".extern::{}({right})", function.name()),
                    infix => {
                        write!(formatter, " {} ", infix.sign())?;
                        side(formatter, right)
                    }
                }
            }
        }
    }
}

impl Operator {
    fn is_infix(self) -> bool {
        !self.sign().is_empty()
    }

    fn sign(self) -> &'static str {
        match self {
            Operator::LessThan => "<",
            Operator::GreaterThan => ">",
            Operator::LessOrEqual => "<=",
            Operator::GreaterOrEqual => ">=",
            Operator::Equal => "===",
            Operator::NotEqual => "!==",
            Operator::And => "&&",
            Operator::Or => "||",
            Operator::Contains | Operator::StartsWith | Operator::EndsWith | Operator::Extern(_) => "",
        }
    }
}

impl Display for Term {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Term::Variable(name) => write!(formatter, "${name}"),
            Term::Integer(number) => write!(formatter, "{number}"),
            Term::Text(text) => write_text(formatter, text),
            Term::Date(seconds) => formatter.write_str(&write_time(*seconds)),
            Term::Bytes(bytes) => write!(formatter, "hex:{}", crate::id::to_hex(bytes)),
            Term::Flag(flag) => write!(formatter, "{flag}"),
            Term::Null => formatter.write_str("null"),
            Term::Set(elements) if elements.is_empty() => formatter.write_str("{,}"),
            Term::Set(elements) => {
                formatter.write_char('{')?;
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        formatter.write_str(", ")?;
                    }
                    element.fmt(formatter)?;
                }
                formatter.write_char('}')
            }
        }
    }
}

/// Biscuit's strings escape the quote, the backslash and the line feed, and nothing else.
fn write_text(formatter: &mut Formatter<'_>, text: &str) -> fmt::Result {
    formatter.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => formatter.write_str("\\\"")?,
            '\\' => formatter.write_str("\\\\")?,
            '\n' => formatter.write_str("\\n")?,
            other => formatter.write_char(other)?,
        }
    }
    formatter.write_char('"')
}

fn join<T: Display>(formatter: &mut Formatter<'_>, parts: &[T], between: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            formatter.write_str(between)?;
        }
        part.fmt(formatter)?;
    }
    Ok(())
}
