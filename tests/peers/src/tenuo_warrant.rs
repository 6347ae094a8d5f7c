//! Tenuo: a stack of warrants, each signed by its parent's holder, a proof of possession with every call.

use std::{collections::HashMap, hint::black_box, time::Duration};

use tenuo::{
    constraints::{Constraint, ConstraintSet, ConstraintValue, OneOf, Pattern, Range},
    crypto::{Signature, SigningKey},
    planes::Authorizer,
    warrant::Warrant,
    wire::{WarrantStack, decode_stack, encode_stack},
};

use crate::{
    intent::{ACCOUNTS, LIMIT, READ, REGION, ROOT, WRITE, holder, hop_limit},
    measure::Cell,
};

const LIFE: Duration = Duration::from_secs(86_400);

pub fn mint() -> Cell {
    Cell::timed(|| encode_stack(&WarrantStack(vec![root(ConstraintSet::new())])).unwrap())
}

/// From the parent's bytes to the child's: a receiver has bytes, and a child is sent with all its ancestors.
pub fn hop() -> Cell {
    let parent = encode_stack(&WarrantStack(chain(1))).unwrap();
    Cell::timed(move || {
        let mut stack = decode_stack(black_box(&parent)).unwrap();
        let child = child(stack.leaf().unwrap(), 1);
        stack.0.push(child);
        encode_stack(&stack).unwrap()
    })
}

pub fn cold(depth: usize) -> Cell {
    cold_for(chain(depth))
}

/// The same with the constraints on both tools, each of which every child restates.
pub fn cold_wide(depth: usize) -> Cell {
    cold_for(chain_of(depth, constraints(LIMIT)))
}

fn cold_for(chain: Vec<Warrant>) -> Cell {
    let depth = chain.len();
    let bytes = encode_stack(&WarrantStack(chain.clone())).unwrap();
    let (authorizer, now, proof) = (authorizer(), now(&chain), proof(&chain, depth));
    Cell::timed(move || {
        let stack = decode_stack(black_box(&bytes)).unwrap();
        let arguments = arguments();
        authorizer.check_chain_with_pop_args_as_of(&stack.0, READ, &arguments, &arguments, Some(&proof), &[], now).unwrap()
    })
}

/// The constraints of the leaf alone; safety rests on the check of the chain before.
pub fn decision() -> Cell {
    let leaf = chain(3).pop().unwrap();
    Cell::timed(move || leaf.check_constraints(READ, &arguments()).unwrap())
}

pub fn size(depth: usize) -> Cell {
    Cell::Bytes(encode_stack(&WarrantStack(chain(depth))).unwrap().len())
}

/// Whether a child may put `child` in place of the parent's constraint, by the check that every hop goes through.
pub fn narrowing_accepted(parent: &Constraint, child: &Constraint) -> bool {
    let set = |constraint: &Constraint| ConstraintSet::from_iter([("x".to_owned(), constraint.clone())]);
    let parent = warrant().capability(READ, set(parent)).build(&SigningKey::from_bytes(&ROOT)).unwrap();
    let child = parent.attenuate().capability(READ, set(child)).holder(SigningKey::from_bytes(&holder(1)).public_key());
    let Ok(child) = child.build(&SigningKey::from_bytes(&holder(0))) else { return false };
    authorizer().verify_chain(&[parent, child]).is_ok()
}

fn root(write: ConstraintSet) -> Warrant {
    let builder = warrant().capability(READ, constraints(LIMIT)).capability(WRITE, write);
    builder.build(&SigningKey::from_bytes(&ROOT)).unwrap()
}

fn warrant() -> tenuo::warrant::WarrantBuilder {
    Warrant::builder().ttl(LIFE).holder(SigningKey::from_bytes(&holder(0)).public_key())
}

fn child(parent: &Warrant, index: usize) -> Warrant {
    let builder = parent.attenuate().inherit_all().capability(READ, constraints(hop_limit(index)));
    let builder = builder.holder(SigningKey::from_bytes(&holder(index)).public_key());
    builder.build(&SigningKey::from_bytes(&holder(index - 1))).unwrap()
}

fn chain(depth: usize) -> Vec<Warrant> {
    chain_of(depth, ConstraintSet::new())
}

/// With these constraints on the writing tool.
fn chain_of(depth: usize, write: ConstraintSet) -> Vec<Warrant> {
    let mut chain = vec![root(write)];
    for index in 1..depth {
        let next = child(&chain[index - 1], index);
        chain.push(next);
    }
    chain
}

/// A child restates every constraint of its parent.
fn constraints(limit: i64) -> ConstraintSet {
    ConstraintSet::from_iter([
        ("account".to_owned(), Constraint::from(OneOf::new(ACCOUNTS))),
        ("limit".to_owned(), Range::max(limit as f64).unwrap().into()),
        ("region".to_owned(), Pattern::new(&format!("{REGION}*")).unwrap().into()),
    ])
}

fn arguments() -> HashMap<String, ConstraintValue> {
    HashMap::from([
        ("account".to_owned(), ConstraintValue::String("a-17".to_owned())),
        ("limit".to_owned(), ConstraintValue::Integer(20)),
        ("region".to_owned(), ConstraintValue::String("eu-north".to_owned())),
    ])
}

fn proof(chain: &[Warrant], depth: usize) -> Signature {
    let leaf = chain.last().unwrap();
    leaf.sign_with_timestamp(&SigningKey::from_bytes(&holder(depth - 1)), READ, &arguments(), Some(now(chain))).unwrap()
}

/// One instant for all runs, or the proof's window of two minutes would close during a long measurement.
fn now(chain: &[Warrant]) -> i64 {
    chain.last().unwrap().issued_at().timestamp()
}

fn authorizer() -> Authorizer {
    Authorizer::new().with_trusted_root(SigningKey::from_bytes(&ROOT).public_key())
}
