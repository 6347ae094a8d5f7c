//! The typed Datalog profile: what checks and policy conditions are made of, and what they mean.
//!
//! A check holds when one of its queries has a binding of its variables to facts for which every expression is true.
//! There are no rules, no scopes, no negation over facts and no regular expressions; external functions are a closed list; each argument position of a
//! predicate has exactly one type. Inside these bounds the answer does not depend on evaluation order, so this evaluator
//! and Biscuit's engine agree (law L6); outside of them Biscuit's own answer can flip between runs.

mod evaluate;
mod function;
mod print;
mod typing;
mod vocabulary;

use std::collections::BTreeSet;

use smol_str::SmolStr;

pub use evaluate::Facts;
pub use function::Function;
pub(crate) use function::TIME_WINDOW;
pub use typing::typecheck;
pub(crate) use typing::typecheck_fact;
pub use vocabulary::{CALL_FACTS, CHECK_FACTS, PROFILE_FACTS, STATE_FACTS, Signature, Type, Vocabulary};

/// A value or a variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Term {
    /// A name that a query binds.
    Variable(SmolStr),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A string.
    Text(SmolStr),
    /// Seconds since the Unix epoch.
    Date(u64),
    /// Bytes; keys and ids are held so, and need no symbol table to be read.
    Bytes(Vec<u8>),
    /// A boolean.
    Flag(bool),
    /// Nothing; its presence in the profile fact forces Biscuit's signature version 1.
    Null,
    /// A set of values of one type.
    Set(BTreeSet<Term>),
}

/// A named tuple of terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    /// The predicate's name.
    pub name: SmolStr,
    /// Its arguments, in order.
    pub terms: Vec<Term>,
}

/// An operator between two values of fitting types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    LessThan,
    /// `>`
    GreaterThan,
    /// `<=`
    LessOrEqual,
    /// `>=`
    GreaterOrEqual,
    /// `===`
    Equal,
    /// `!==`
    NotEqual,
    /// A set holds an element, or every element of another set.
    Contains,
    /// A text begins with another.
    StartsWith,
    /// A text ends with another.
    EndsWith,
    /// Both are true.
    And,
    /// At least one is true.
    Or,
    /// A normative external function of a value and a constant text.
    Extern(Function),
}

/// A condition over the variables of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    /// A value, or the value of a variable.
    Term(Term),
    /// The contrary of a flag.
    Not(Box<Expression>),
    /// An operator and its two sides.
    Binary(Operator, Box<Expression>, Box<Expression>),
}

/// One way to satisfy a check: facts that must exist together, and what must be true of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Facts to find, sharing variables.
    pub body: Vec<Predicate>,
    /// Conditions on the variables.
    pub expressions: Vec<Expression>,
}

/// `check if`: holds when any of its queries does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The alternatives.
    pub queries: Vec<Query>,
}

impl Term {
    /// A text term.
    pub fn text(text: &str) -> Self {
        Term::Text(text.into())
    }

    /// A variable.
    pub fn variable(name: &str) -> Self {
        Term::Variable(name.into())
    }
}

impl Predicate {
    /// A predicate of this name over these terms.
    pub fn new(name: &str, terms: impl Into<Vec<Term>>) -> Self {
        Self { name: name.into(), terms: terms.into() }
    }
}

impl Expression {
    /// Whether an operator of this sort occurs in it.
    pub(crate) fn uses(&self, wanted: fn(Operator) -> bool) -> bool {
        match self {
            Expression::Term(_) => false,
            Expression::Not(inner) => inner.uses(wanted),
            Expression::Binary(operator, left, right) => wanted(*operator) || left.uses(wanted) || right.uses(wanted),
        }
    }

    /// How many bytes of rules the functions in it have to read.
    pub(crate) fn rule_bytes(&self) -> usize {
        match self {
            Expression::Term(_) => 0,
            Expression::Not(inner) => inner.rule_bytes(),
            Expression::Binary(Operator::Extern(_), _, rule) => match &**rule {
                Expression::Term(Term::Text(rule)) => rule.len(),
                // no rule, which typechecking refuses
                _ => 0,
            },
            Expression::Binary(_, left, right) => left.rule_bytes().saturating_add(right.rule_bytes()),
        }
    }

    /// `left operator right`.
    pub fn binary(operator: Operator, left: Term, right: Term) -> Self {
        Expression::Binary(operator, Box::new(Expression::Term(left)), Box::new(Expression::Term(right)))
    }
}
