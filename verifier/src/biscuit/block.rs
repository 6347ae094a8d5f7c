//! One block's facts and checks, read from its protobuf into the typed profile.

use std::{collections::BTreeSet, sync::Arc};

use biscuit_auth::format::schema::{self, op, op_binary, op_unary, term};
use prost::Message;
use smol_str::SmolStr;

use super::content::read_content;
use crate::{
    Caveat, Reason,
    datalog::{CHECK_FACTS, Check, Expression, Function, Operator, PROFILE_FACTS, Predicate, Query, Term, typecheck},
};

/// What a block says, in the vocabulary of the profile.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) facts: Vec<Predicate>,
    pub(crate) caveats: Arc<[Caveat]>,
}

/// Which checks a verifier reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Renderings of typed caveats and nothing else.
    #[default]
    Caveats,
    /// In blocks that the issuer signed, other checks over the facts of a call as well. They stay inside the typed profile
    /// and its cost bound, but nobody has given them a meaning beyond their text.
    OperatorChecks,
}

/// Strings that a block refers to by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Symbols {
    table: Vec<SmolStr>,
    /// The same, once there are so many that walking them for each new one would cost more than signatures do.
    index: BTreeSet<SmolStr>,
}

impl Body {
    /// Reads a block's bytes. A signed hop has a symbol table of its own; the authority and plain blocks share `running`.
    pub(super) fn read(bytes: &[u8], signed_hop: bool, running: &mut Symbols, dialect: Dialect) -> Result<Self, Reason> {
        let before = running.len();
        let read = match signed_hop {
            true => read_content(bytes, signed_hop, &mut Symbols::default(), dialect),
            false => read_content(bytes, signed_hop, running, dialect),
        };
        read.map_or_else(
            || {
                running.truncate(before);
                Self::read_slowly(bytes, signed_hop, running, dialect)
            },
            Ok,
        )
    }

    /// The same by the library's messages, with the reason of a refusal.
    pub(super) fn read_slowly(bytes: &[u8], signed_hop: bool, running: &mut Symbols, dialect: Dialect) -> Result<Self, Reason> {
        let block = schema::Block::decode(bytes).map_err(|_| Reason::TokenMalformed)?;
        if block.encode_to_vec() != bytes {
            return Err(Reason::TokenNotCanonical);
        }
        let outside = block.context.is_some() || !block.rules.is_empty() || !block.scope.is_empty() || !block.public_keys.is_empty();
        if outside {
            return Err(Reason::OutsideProfile);
        }
        if block.facts.len() > MAX_FACTS {
            return Err(Reason::TooManyFacts);
        }
        if block.checks.len() > MAX_CHECKS {
            return Err(Reason::TooManyChecks);
        }
        let mut own = Symbols::default();
        let symbols = if signed_hop { &mut own } else { running };
        block.symbols.iter().try_for_each(|symbol| symbols.push(symbol))?;
        let facts = block.facts.iter().map(|fact| read_fact(&fact.predicate, symbols)).collect::<Result<_, _>>()?;
        let checks = block.checks.iter().map(|check| read_check(check, symbols)).collect::<Result<Vec<_>, _>>()?;
        Self::of(facts, &checks, block.version, signed_hop, dialect)
    }

    /// The body of these facts and checks, if the version that the block declares is one that its content may have.
    pub(super) fn of(
        facts: Vec<Predicate>,
        checks: &[Check],
        version: Option<u32>,
        signed_hop: bool,
        dialect: Dialect,
    ) -> Result<Self, Reason> {
        // a rule stands once among the symbols and can be referred to by six hundred expressions, each of which reads it
        let rules = checks.iter().flat_map(|check| &check.queries).flat_map(|query| &query.expressions).map(Expression::rule_bytes);
        if rules.sum::<usize>() > MAX_RULE_BYTES {
            return Err(Reason::CostBound);
        }
        let caveats = checks.iter().map(|check| read_caveat(check, dialect)).collect::<Result<_, _>>()?;
        let body = Self { facts, caveats };
        let least = body.least_schema_version(signed_hop, checks);
        if version.is_some_and(|version| (least..=LATEST_SCHEMA).contains(&version)) { Ok(body) } else { Err(Reason::OutsideProfile) }
    }

    /// Biscuit refuses a block that declares a lower Datalog version than its content needs, so it is refused here too.
    fn least_schema_version(&self, signed_hop: bool, checks: &[Check]) -> u32 {
        let uses = |wanted: fn(Operator) -> bool| {
            let expressions = checks.iter().flat_map(|check| &check.queries).flat_map(|query| &query.expressions);
            expressions.into_iter().any(|expression| expression.uses(wanted))
        };
        let null = self.facts.iter().any(|fact| fact.terms.contains(&Term::Null));
        let latest = null || uses(|operator| matches!(operator, Operator::Extern(_)));
        match (latest, signed_hop, uses(|operator| operator == Operator::NotEqual)) {
            (true, _, _) => LATEST_SCHEMA,
            (false, true, _) => 5,
            (false, false, true) => 4,
            (false, false, false) => 3,
        }
    }
}

impl Symbols {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// The table as it was when it had so many.
    pub(crate) fn first(&self, count: usize) -> Self {
        let mut first = self.clone();
        first.truncate(count);
        first
    }

    fn truncate(&mut self, count: usize) {
        for symbol in self.table.drain(count.min(self.table.len())..) {
            self.index.remove(&symbol);
        }
    }

    /// Biscuit refuses a table that repeats a default symbol; any repetition is refused here.
    pub(super) fn push(&mut self, symbol: &str) -> Result<(), Reason> {
        let known = if self.index.is_empty() { self.table.iter().any(|known| known == symbol) } else { self.index.contains(symbol) };
        if known || DEFAULT_SYMBOLS.contains(&symbol) || symbol.len() > MAX_SYMBOL || self.table.len() >= MAX_SYMBOLS {
            return Err(Reason::OutsideProfile);
        }
        let symbol = SmolStr::from(symbol);
        if !self.index.is_empty() {
            self.index.insert(symbol.clone());
        } else if self.table.len() >= WALKED_SYMBOLS {
            self.index = self.table.iter().chain([&symbol]).cloned().collect();
        }
        self.table.push(symbol);
        Ok(())
    }

    /// The symbol of this number.
    pub(super) fn symbol(&self, id: u64) -> Option<SmolStr> {
        let index = usize::try_from(id).ok()?;
        match index.checked_sub(FIRST_OWN_SYMBOL) {
            Some(own) => self.table.get(own).cloned(),
            None => DEFAULT_SYMBOLS.get(index).map(|symbol| SmolStr::new_static(symbol)),
        }
    }

    fn text(&self, id: u64) -> Result<SmolStr, Reason> {
        self.symbol(id).ok_or(Reason::OutsideProfile)
    }
}

fn read_fact(predicate: &schema::Predicate, symbols: &Symbols) -> Result<Predicate, Reason> {
    let fact = read_predicate(predicate, symbols)?;
    crate::datalog::typecheck_fact(&fact, PROFILE_FACTS)?;
    Ok(fact)
}

fn read_caveat(check: &Check, dialect: Dialect) -> Result<Caveat, Reason> {
    typecheck(check, CHECK_FACTS)?;
    match Caveat::read(check) {
        None => Err(Reason::UnknownCaveat),
        Some(Caveat::Datalog(_)) if dialect == Dialect::Caveats => Err(Reason::UnknownCaveat),
        Some(caveat) => Ok(caveat),
    }
}

fn read_check(check: &schema::Check, symbols: &Symbols) -> Result<Check, Reason> {
    // `check if` is the kind that goes without saying; written out, Biscuit refuses it in blocks of the first version
    if check.kind.is_some() || check.queries.is_empty() || check.queries.len() > MAX_QUERIES {
        return Err(Reason::OutsideProfile);
    }
    Ok(Check { queries: check.queries.iter().map(|query| read_query(query, symbols)).collect::<Result<_, _>>()? })
}

fn read_query(query: &schema::Rule, symbols: &Symbols) -> Result<Query, Reason> {
    let head_is_query = symbols.text(query.head.name)? == "query" && query.head.terms.is_empty();
    if !head_is_query || !query.scope.is_empty() || query.expressions.len() > MAX_EXPRESSIONS {
        return Err(Reason::OutsideProfile);
    }
    if query.body.len() > MAX_PREDICATES {
        return Err(Reason::CostBound);
    }
    Ok(Query {
        body: query.body.iter().map(|predicate| read_predicate(predicate, symbols)).collect::<Result<_, _>>()?,
        expressions: query.expressions.iter().map(|expression| read_expression(expression, symbols)).collect::<Result<_, _>>()?,
    })
}

fn read_predicate(predicate: &schema::Predicate, symbols: &Symbols) -> Result<Predicate, Reason> {
    if predicate.terms.len() > MAX_TERMS {
        return Err(Reason::OutsideProfile);
    }
    let terms = predicate.terms.iter().map(|term| read_term(term, symbols)).collect::<Result<Vec<_>, _>>()?;
    Ok(Predicate { name: symbols.text(predicate.name)?, terms })
}

fn read_term(term: &schema::Term, symbols: &Symbols) -> Result<Term, Reason> {
    Ok(match term.content.as_ref().ok_or(Reason::TokenMalformed)? {
        term::Content::Variable(id) => Term::Variable(symbols.text((*id).into())?),
        term::Content::Integer(number) => Term::Integer(*number),
        term::Content::String(id) => Term::Text(symbols.text(*id)?),
        term::Content::Date(seconds) => Term::Date(*seconds),
        term::Content::Bytes(bytes) if bytes.len() <= MAX_SYMBOL => Term::Bytes(bytes.clone()),
        term::Content::Bool(flag) => Term::Flag(*flag),
        term::Content::Null(_) => Term::Null,
        term::Content::Set(set) => read_set(set, symbols)?,
        term::Content::Bytes(_) | term::Content::Array(_) | term::Content::Map(_) => return Err(Reason::OutsideProfile),
    })
}

fn read_set(set: &schema::TermSet, symbols: &Symbols) -> Result<Term, Reason> {
    if set.set.len() > MAX_SET {
        return Err(Reason::OutsideProfile);
    }
    let mut elements = BTreeSet::new();
    for element in &set.set {
        let element = match read_term(element, symbols)? {
            Term::Set(_) | Term::Variable(_) => return Err(Reason::OutsideProfile),
            element => element,
        };
        if !elements.insert(element) {
            return Err(Reason::OutsideProfile);
        }
    }
    Ok(Term::Set(elements))
}

/// Biscuit writes expressions in postfix; only plain values and the operators of the profile are taken.
fn read_expression(expression: &schema::Expression, symbols: &Symbols) -> Result<Expression, Reason> {
    if expression.ops.len() > MAX_OPS {
        return Err(Reason::OutsideProfile);
    }
    let mut stack = Vec::new();
    for op in &expression.ops {
        let next = match op.content.as_ref().ok_or(Reason::TokenMalformed)? {
            op::Content::Value(value) => Expression::Term(read_term(value, symbols)?),
            op::Content::Binary(binary) if binary.ffi_name.is_none() => {
                let operator = op_binary::Kind::from_i32(binary.kind).and_then(read_operator).ok_or(Reason::OutsideProfile)?;
                let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else { return Err(Reason::TokenMalformed) };
                Expression::Binary(operator, Box::new(left), Box::new(right))
            }
            op::Content::Binary(binary) if op_binary::Kind::from_i32(binary.kind) == Some(op_binary::Kind::Ffi) => {
                let name = symbols.text(binary.ffi_name.ok_or(Reason::OutsideProfile)?)?;
                let function = Function::named(&name).ok_or(Reason::OutsideProfile)?;
                let (Some(right), Some(left)) = (stack.pop(), stack.pop()) else { return Err(Reason::TokenMalformed) };
                Expression::Binary(Operator::Extern(function), Box::new(left), Box::new(right))
            }
            op::Content::Unary(unary)
                if op_unary::Kind::from_i32(unary.kind) == Some(op_unary::Kind::Negate) && unary.ffi_name.is_none() =>
            {
                let inner = stack.pop().ok_or(Reason::TokenMalformed)?;
                Expression::Not(Box::new(inner))
            }
            op::Content::Binary(_) | op::Content::Unary(_) | op::Content::Closure(_) => return Err(Reason::OutsideProfile),
        };
        stack.push(next);
    }
    match (stack.pop(), stack.is_empty()) {
        (Some(expression), true) => Ok(expression),
        _ => Err(Reason::TokenMalformed),
    }
}

/// Regular expressions are missing on purpose: the engine compiles them at each evaluation and reads a bad one as false.
pub(super) fn read_operator(kind: op_binary::Kind) -> Option<Operator> {
    Some(match kind {
        op_binary::Kind::LessThan => Operator::LessThan,
        op_binary::Kind::GreaterThan => Operator::GreaterThan,
        op_binary::Kind::LessOrEqual => Operator::LessOrEqual,
        op_binary::Kind::GreaterOrEqual => Operator::GreaterOrEqual,
        op_binary::Kind::Equal => Operator::Equal,
        op_binary::Kind::NotEqual => Operator::NotEqual,
        op_binary::Kind::Contains => Operator::Contains,
        op_binary::Kind::Prefix => Operator::StartsWith,
        op_binary::Kind::Suffix => Operator::EndsWith,
        _ => return None,
    })
}

/// Datalog 3.3 as Biscuit numbers it.
pub(super) const LATEST_SCHEMA: u32 = 6;
pub(super) const MAX_FACTS: usize = 64;
pub(super) const MAX_CHECKS: usize = 128;
pub(super) const MAX_QUERIES: usize = 8;
pub(super) const MAX_PREDICATES: usize = 4;
pub(super) const MAX_EXPRESSIONS: usize = 8;
pub(super) const MAX_OPS: usize = 64;
pub(super) const MAX_TERMS: usize = 8;
pub(super) const MAX_SET: usize = 256;
pub(super) const MAX_SYMBOL: usize = 1024;
const MAX_SYMBOLS: usize = 1024;
const WALKED_SYMBOLS: usize = 32;
const MAX_RULE_BYTES: usize = 2048;

/// Ids below this name the default symbols of the Biscuit specification.
pub(super) const FIRST_OWN_SYMBOL: usize = 1024;

/// The default symbol table, in the order that the Biscuit specification fixes.
pub(super) const DEFAULT_SYMBOLS: [&str; 28] = [
    "read",
    "write",
    "resource",
    "operation",
    "right",
    "time",
    "role",
    "owner",
    "tenant",
    "namespace",
    "user",
    "team",
    "service",
    "admin",
    "email",
    "group",
    "member",
    "ip_address",
    "client",
    "client_ip",
    "domain",
    "path",
    "version",
    "cluster",
    "node",
    "hostname",
    "nonce",
    "query",
];
