//! A block's content, read from its bytes in the one form that an encoder writes.
//!
//! This is the way of every token that is accepted. What it can't read is read again by the library's own messages, slowly,
//! for the reason of the refusal.

use std::collections::BTreeSet;

use biscuit_auth::format::schema::op_binary;

use super::{
    block::{
        Body, Dialect, MAX_CHECKS, MAX_EXPRESSIONS, MAX_FACTS, MAX_OPS, MAX_PREDICATES, MAX_QUERIES, MAX_SET, MAX_SYMBOL, MAX_TERMS,
        Symbols, read_operator,
    },
    wire::{BYTES, Reader, VARINT, field},
};
use crate::datalog::{Check, Expression, Function, Operator, PROFILE_FACTS, Predicate, Query, Term, typecheck_fact};

/// Reads a block; `None` for anything outside the profile or its canonical form. Then `symbols` has changed.
pub(super) fn read_content(bytes: &[u8], signed_hop: bool, symbols: &mut Symbols, dialect: Dialect) -> Option<Body> {
    let mut input = Reader(bytes);
    while input.tag(field(1, BYTES)) {
        symbols.push(core::str::from_utf8(input.bytes()?).ok()?).ok()?;
    }
    let version = u32::try_from(input.number(field(3, VARINT))?).ok()?;
    let mut facts = Vec::new();
    while let Some(mut fact) = input.message(field(4, BYTES)) {
        let predicate = read_predicate(fact.field(field(1, BYTES))?, symbols)?;
        typecheck_fact(&predicate, PROFILE_FACTS).ok()?;
        facts.push(predicate);
        (fact.0.is_empty() && facts.len() <= MAX_FACTS).then_some(())?;
    }
    let mut checks = Vec::new();
    while let Some(check) = input.message(field(6, BYTES)) {
        checks.push(read_check(check, symbols)?);
        (checks.len() <= MAX_CHECKS).then_some(())?;
    }
    input.0.is_empty().then_some(())?;
    Body::of(facts, &checks, Some(version), signed_hop, dialect).ok()
}

fn read_check(mut input: Reader<'_>, symbols: &Symbols) -> Option<Check> {
    let mut queries = Vec::with_capacity(2);
    while let Some(query) = input.message(field(1, BYTES)) {
        queries.push(read_query(query, symbols)?);
        (queries.len() <= MAX_QUERIES).then_some(())?;
    }
    (input.0.is_empty() && !queries.is_empty()).then_some(Check { queries })
}

fn read_query(mut input: Reader<'_>, symbols: &Symbols) -> Option<Query> {
    let head = read_predicate(input.field(field(1, BYTES))?, symbols)?;
    if head.name != "query" || !head.terms.is_empty() {
        return None;
    }
    let mut body = Vec::with_capacity(2);
    while input.tag(field(2, BYTES)) {
        body.push(read_predicate(input.bytes()?, symbols)?);
        (body.len() <= MAX_PREDICATES).then_some(())?;
    }
    let mut expressions = Vec::with_capacity(2);
    while let Some(expression) = input.message(field(3, BYTES)) {
        expressions.push(read_expression(expression, symbols)?);
        (expressions.len() <= MAX_EXPRESSIONS).then_some(())?;
    }
    input.0.is_empty().then_some(Query { body, expressions })
}

fn read_predicate(bytes: &[u8], symbols: &Symbols) -> Option<Predicate> {
    let mut input = Reader(bytes);
    let name = symbols.symbol(input.number(field(1, VARINT))?)?;
    let mut terms = Vec::with_capacity(2);
    while input.tag(field(2, BYTES)) {
        terms.push(read_term(input.bytes()?, symbols, true)?);
        (terms.len() <= MAX_TERMS).then_some(())?;
    }
    input.0.is_empty().then_some(Predicate { name, terms })
}

fn read_term(bytes: &[u8], symbols: &Symbols, outermost: bool) -> Option<Term> {
    let mut input = Reader(bytes);
    let (tag, rest) = input.0.split_first()?;
    input.0 = rest;
    let term = match *tag {
        VARIABLE if outermost => Term::Variable(symbols.symbol(u32::try_from(input.varint()?).ok()?.into())?),
        INTEGER => Term::Integer(input.varint()?.cast_signed()),
        STRING => Term::Text(symbols.symbol(input.varint()?)?),
        DATE => Term::Date(input.varint()?),
        RAW => Term::Bytes(Some(input.bytes()?).filter(|bytes| bytes.len() <= MAX_SYMBOL)?.to_vec()),
        FLAG => Term::Flag(Some(input.varint()?).filter(|flag| *flag <= 1)? == 1),
        SET if outermost => {
            let mut set = Reader(input.bytes()?);
            let mut elements = BTreeSet::new();
            while set.tag(field(1, BYTES)) {
                let fresh = elements.insert(read_term(set.bytes()?, symbols, false)?);
                (fresh && elements.len() <= MAX_SET).then_some(())?;
            }
            set.0.is_empty().then_some(Term::Set(elements))?
        }
        NULL => input.bytes()?.is_empty().then_some(Term::Null)?,
        _ => return None,
    };
    input.0.is_empty().then_some(term)
}

/// Postfix, as Biscuit writes expressions.
fn read_expression(mut input: Reader<'_>, symbols: &Symbols) -> Option<Expression> {
    let mut stack: Vec<Expression> = Vec::with_capacity(4);
    let mut count = 0;
    while let Some(mut op) = input.message(field(1, BYTES)) {
        count += 1;
        (count <= MAX_OPS).then_some(())?;
        let (tag, rest) = op.0.split_first()?;
        op.0 = rest;
        let mut inner = Reader(op.bytes()?);
        let next = match *tag {
            VALUE => Expression::Term(read_term(inner.0, symbols, true)?),
            UNARY => {
                (inner.number(field(1, VARINT))? == NEGATE && inner.0.is_empty()).then_some(())?;
                Expression::Not(Box::new(stack.pop()?))
            }
            BINARY => {
                let kind = op_binary::Kind::from_i32(i32::try_from(inner.number(field(1, VARINT))?).ok()?)?;
                let operator = match kind {
                    op_binary::Kind::Ffi => Operator::Extern(Function::named(&symbols.symbol(inner.number(field(2, VARINT))?)?)?),
                    kind => read_operator(kind)?,
                };
                inner.0.is_empty().then_some(())?;
                let (right, left) = (stack.pop()?, stack.pop()?);
                Expression::Binary(operator, Box::new(left), Box::new(right))
            }
            _ => return None,
        };
        (op.0.is_empty()).then_some(())?;
        stack.push(next);
    }
    let expression = stack.pop()?;
    (stack.is_empty() && input.0.is_empty()).then_some(expression)
}

const VARIABLE: u8 = field(1, VARINT);
const INTEGER: u8 = field(2, VARINT);
const STRING: u8 = field(3, VARINT);
const DATE: u8 = field(4, VARINT);
const RAW: u8 = field(5, BYTES);
const FLAG: u8 = field(6, VARINT);
const SET: u8 = field(7, BYTES);
const NULL: u8 = field(8, BYTES);
const VALUE: u8 = field(1, BYTES);
const UNARY: u8 = field(2, BYTES);
const BINARY: u8 = field(3, BYTES);
const NEGATE: u64 = 0;

#[cfg(test)]
pub(super) mod tests {
    use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::{
        EntryId, TaskId,
        biscuit::{AuthorityClaims, HopClaims, append_hop, append_plain, authority_block, wire::read_outer},
        caveat::parse_list,
        json::{Limits, parse},
        public_key,
    };

    pub(in crate::biscuit) const REQUIRED: &str = r#"[{"kind":"tools","allow":["read",{"prefix":"crm."},{"suffix":".x"}]},{"kind":"audience","one_of":["https://crm.example"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":3}]"#;
    pub(in crate::biscuit) const OTHERS: &str = r#"[{"kind":"not_tools","deny":["rm"]},{"kind":"arg","tool":"pay","path":"/a","is":{"any":[{"one_of":[false,1,-2,"x",1.5]},{"all":[{"prefix":"a"},{"not":{"glob":"*b"}}]},{"count":{"max":3}}]}},{"kind":"closed_args","tool":"pay","names":[]},{"kind":"time_window","window":{"days":["mon"],"from":"09:00","to":"17:30","utc_offset":"+02:00"}},{"kind":"calls","name":"n","max":5},{"kind":"forbids_prior","actions":["a","b"]},{"kind":"approval","name":"f","count":1,"of":["k"]},{"kind":"network","hosts":["h"]}]"#;

    /// The contents of blocks of every sort, each with whether it is a signed hop and the symbols before it.
    fn contents() -> Vec<(Vec<u8>, bool, Symbols)> {
        let caveats = |text: &str| parse_list(&parse(text.as_bytes(), Limits::CAVEATS).unwrap()).unwrap();
        let key = |seed: u8| KeyPair::from(&PrivateKey::from_bytes(&[seed; 32], Algorithm::Ed25519).unwrap());
        let claims = AuthorityClaims {
            task: TaskId([1; 16]),
            issued: 1,
            lineage: vec![crate::BlockId([7; 32])],
            entry: EntryId([2; 16]),
            issuer: "https://issuer.example".into(),
            subject: "p".into(),
            actors: vec![crate::EarlierActor::attested("desk"), crate::EarlierActor::named("front")],
            agent: "planner".into(),
            holder: public_key(&[11; 32]).into(),
            dev: true,
            caveats: caveats(REQUIRED),
        };
        let block = authority_block(&claims).unwrap().root_key_id(7);
        let token = block.build_with_key_pair(&key(9), SymbolTable::new(), &key(10)).unwrap().to_vec().unwrap();
        let hop = HopClaims { holder: public_key(&[12; 32]), agent: "executor".into(), entry: EntryId([3; 16]), caveats: caveats(OTHERS) };
        let token = append_hop(&token, &[11; 32], &hop, &[13; 32]).unwrap();
        let token = append_plain(&token, &caveats(OTHERS.replace("\"n\"", "\"m\"").replace("\"f\"", "\"g\"").as_str()), &[14; 32]).unwrap();
        let mut symbols = Symbols::default();
        let outer = read_outer(&token, 16).unwrap();
        let contents = outer.blocks.iter().map(|frame| {
            let before = symbols.clone();
            Body::read(frame.block, frame.external.is_some(), &mut symbols, Dialect::Caveats).unwrap();
            (frame.block.to_vec(), frame.external.is_some(), before)
        });
        contents.collect()
    }

    #[test]
    fn what_is_of_the_profile_is_read_without_the_library() {
        for (bytes, signed_hop, symbols) in contents() {
            let mut symbols = if signed_hop { Symbols::default() } else { symbols };
            assert!(read_content(&bytes, signed_hop, &mut symbols, Dialect::Caveats).is_some());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

        /// Both readers accept the same bytes and read the same from them.
        #[test]
        fn both_readers_agree(base in any::<Index>(), changes in prop::collection::vec((any::<Index>(), any::<u8>(), 0_u8..4), 0..3)) {
            let contents = contents();
            let (mut bytes, signed_hop, symbols) = base.get(&contents).clone();
            for (at, byte, how) in changes {
                match how {
                    0 => { let at = at.index(bytes.len()); bytes[at] = byte; }
                    1 => { let at = at.index(bytes.len()); bytes[at] ^= 1 << (byte % 8); }
                    2 => bytes.insert(at.index(bytes.len() + 1), byte),
                    _ => { bytes.remove(at.index(bytes.len())); }
                }
            }
            let (mut one, mut other) = (symbols.clone(), symbols);
            if signed_hop {
                (one, other) = (Symbols::default(), Symbols::default());
            }
            let quick = read_content(&bytes, signed_hop, &mut one, Dialect::OperatorChecks);
            let slow = Body::read_slowly(&bytes, signed_hop, &mut other, Dialect::OperatorChecks).ok();
            prop_assert_eq!(quick.map(|body| (body.facts, body.caveats)), slow.map(|body| (body.facts, body.caveats)));
        }
    }
}
