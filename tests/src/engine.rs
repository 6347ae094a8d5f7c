//! The Biscuit library as the second opinion: its own verification and its own Datalog engine.

use std::{sync::Arc, time::Duration};

use biscuit_auth::{
    AuthorizerBuilder, AuthorizerLimits, Biscuit, PublicKey,
    builder::{Algorithm, Fact, Term},
    datalog::ExternFunc,
    error,
};
use narrows_verifier::{
    Roots,
    datalog::{self, Facts, Function},
};

/// Verifies a token's signatures the way the library does, choosing the root key by its number.
pub fn verify(token: &[u8], roots: &Roots) -> Result<Biscuit, error::Token> {
    Biscuit::from(token, |id: Option<u32>| {
        let found = roots.keys().iter().find(|root| Some(root.id) == id).ok_or(error::Format::UnknownPublicKey)?;
        PublicKey::from_bytes(found.key.as_bytes(), Algorithm::Ed25519)
    })
}

/// The checks that fail for these facts, each as block and place in the block; empty when all hold.
///
/// # Errors
/// Whatever keeps the engine from an answer: blocks it can't read, a limit, an evaluation error.
pub fn failed_checks(token: &Biscuit, facts: &Facts) -> Result<Vec<(usize, usize)>, error::Token> {
    let limits = AuthorizerLimits { max_time: Duration::from_secs(5), ..AuthorizerLimits::default() };
    let mut builder = AuthorizerBuilder::new().set_limits(limits).policy("allow if true")?;
    for (name, terms) in facts.iter() {
        builder = builder.fact(Fact::new(name.to_owned(), terms.iter().map(term).collect::<Vec<_>>()))?;
    }
    for function in Function::all() {
        builder = builder.register_extern_func(function.name().to_owned(), extern_function(function));
    }
    match builder.build(token)?.authorize() {
        Ok(_) => Ok(Vec::new()),
        Err(error::Token::FailedLogic(error::Logic::Unauthorized { checks, .. })) => Ok(checks.iter().map(place).collect()),
        Err(other) => Err(other),
    }
}

/// The normative functions by the verifier's own code: the engine is here to judge how they are combined, and the oracles
/// of the rules judge what they say.
fn extern_function(function: Function) -> ExternFunc {
    ExternFunc::new(Arc::new(move |value, parameter| {
        let value = match value {
            Term::Str(text) => datalog::Term::text(&text),
            Term::Date(seconds) => datalog::Term::Date(seconds),
            other => return Err(format!("no function takes {other:?}")),
        };
        match parameter {
            Some(Term::Str(parameter)) => Ok(Term::Bool(function.call(&value, &datalog::Term::text(&parameter)))),
            other => Err(format!("no parameter is {other:?}")),
        }
    }))
}

fn place(check: &error::FailedCheck) -> (usize, usize) {
    match check {
        error::FailedCheck::Block(failed) => (failed.block_id as usize, failed.check_id as usize),
        error::FailedCheck::Authorizer(failed) => panic!("the authorizer has no check of its own: {failed:?}"),
    }
}

/// Written apart from the verifier's own conversion, which it is here to test.
fn term(term: &datalog::Term) -> Term {
    match term {
        datalog::Term::Variable(name) => Term::Variable(name.to_string()),
        datalog::Term::Integer(number) => Term::Integer(*number),
        datalog::Term::Text(text) => Term::Str(text.to_string()),
        datalog::Term::Date(seconds) => Term::Date(*seconds),
        datalog::Term::Bytes(bytes) => Term::Bytes(bytes.clone()),
        datalog::Term::Flag(flag) => Term::Bool(*flag),
        datalog::Term::Null => Term::Null,
        datalog::Term::Set(elements) => Term::Set(elements.iter().map(self::term).collect()),
    }
}
