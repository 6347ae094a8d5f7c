//! Building blocks with the Biscuit library. Keys and randomness are arguments.

use biscuit_auth::{
    KeyPair, PrivateKey, UnverifiedBiscuit,
    builder::{self, Algorithm, BiscuitBuilder, BlockBuilder},
};

use super::{
    block::Dialect,
    guard::{Proof, guard},
};
use crate::{
    BlockId, Caveat, EarlierActor, EntryId, Holder, PublicKey, Reason, TaskId,
    datalog::{Check, Expression, Operator, Predicate, Query, Term},
};

/// What the issuer says in an authority block.
#[derive(Clone, Debug)]
pub struct AuthorityClaims {
    /// The task that the token is for.
    pub task: TaskId,
    /// The log entry that records this mint.
    pub entry: EntryId,
    /// Seconds since the Unix epoch at which it is minted.
    pub issued: u64,
    /// The issuer's identifier (RFC 8414 `issuer`).
    pub issuer: String,
    /// A pairwise pseudonym of the person or workload, or its name where a pack says so.
    pub subject: String,
    /// Those through whom the subject's authority came to the first agent, the latest last: at most 8, for information.
    pub actors: Vec<EarlierActor>,
    /// The first agent's name, by the issuer's word.
    pub agent: String,
    /// The key that the first agent has proved to hold, or the word that it holds none.
    pub holder: Holder,
    /// The blocks that this token is made from, at most 32 and none twice; empty for a token of its own.
    pub lineage: Vec<BlockId>,
    /// Whether a development issuer made it; verifiers refuse such tokens unless told.
    pub dev: bool,
    /// Exactly one each of expires, audience and depth, at least one of tools, and any others.
    pub caveats: Vec<Caveat>,
}

/// What a holder says in a hop.
#[derive(Clone, Debug)]
pub struct HopClaims {
    /// The key of the new holder.
    pub holder: PublicKey,
    /// The new holder's name, by the delegator's word.
    pub agent: String,
    /// The log entry under which this hop is to be reported.
    pub entry: EntryId,
    /// What the new holder may not do any more.
    pub caveats: Vec<Caveat>,
}

/// The authority block, ready to be signed by the issuer's key.
///
/// # Errors
/// `PROFILE_FACTS` or `CAVEAT_MALFORMED` when the claims are not those of a profile token.
pub fn authority_block(claims: &AuthorityClaims) -> Result<BiscuitBuilder, Reason> {
    let mut block = BiscuitBuilder::new();
    for fact in &authority_facts(claims) {
        block = block.fact(to_fact(fact)).map_err(|_| Reason::ProfileFacts)?;
    }
    for caveat in &claims.caveats {
        block = block.check(to_check(&caveat.check())).map_err(|_| Reason::CaveatMalformed)?;
    }
    Ok(block)
}

/// What an authority block says before its checks.
pub(super) fn authority_facts(claims: &AuthorityClaims) -> Vec<Predicate> {
    let mut facts = vec![
        // the null is a construct of Datalog 3.3, which makes Biscuit sign payload version 1 here and in every later block
        Predicate::new("profile", [Term::text(crate::token::PROFILE), Term::Null]),
        Predicate::new("task", [Term::Bytes(claims.task.0.to_vec())]),
        Predicate::new("entry", [Term::Bytes(claims.entry.0.to_vec())]),
        Predicate::new("issuer", [Term::text(&claims.issuer)]),
        Predicate::new("subject", [Term::text(&claims.subject)]),
        Predicate::new("agent", [Term::text(&claims.agent)]),
        match claims.holder {
            Holder::Key(key) => Predicate::new("holder", [Term::Bytes(key.as_bytes().to_vec())]),
            Holder::Thumbprint(thumbprint) => Predicate::new("holder_jkt", [Term::Bytes(thumbprint.to_vec())]),
            Holder::Bearer => Predicate::new("bearer", [Term::Flag(true)]),
        },
        Predicate::new("issued", [Term::Date(claims.issued)]),
    ];
    facts.extend((1..).zip(&claims.actors).map(|(index, actor)| {
        let name = if actor.attested { "actor" } else { "actor_named" };
        Predicate::new(name, [Term::Integer(index), Term::text(&actor.name)])
    }));
    facts.extend(claims.lineage.iter().map(|block| Predicate::new("from", [Term::Bytes(block.0.to_vec())])));
    if claims.dev {
        facts.push(Predicate::new("dev", [Term::Flag(true)]));
    }
    facts
}

/// Appends a hop, signed by the present holder, to an open token. Needs no service and no root key.
///
/// `next_seed` is fresh randomness for the chain's next key; it must not be any holder's seed. The parent is guarded but
/// its signatures are not checked: a holder that verified it when it was handed over need not pay twice.
///
/// # Errors
/// `TOKEN_SEALED`, or what the guard says of the parent or of the result.
pub fn append_hop(parent: &[u8], holder_seed: &[u8; 32], hop: &HopClaims, next_seed: &[u8; 32]) -> Result<Vec<u8>, Reason> {
    let index = open_hops(parent)? + 1;
    let fact = Predicate::new(
        "hop",
        [Term::Integer(index), Term::Bytes(hop.holder.as_bytes().to_vec()), Term::text(&hop.agent), Term::Bytes(hop.entry.0.to_vec())],
    );
    let block = add_checks(BlockBuilder::new().fact(to_fact(&fact)).map_err(|_| Reason::ProfileFacts)?, &hop.caveats)?;
    let token = UnverifiedBiscuit::from(parent).map_err(|_| Reason::TokenMalformed)?;
    let signed = token
        .third_party_request()
        .and_then(|request| request.create_block(&private_key(holder_seed)?, block))
        .and_then(|block| block.serialize())
        .map_err(|_| Reason::TokenMalformed)?;
    finish(token.append_third_party_with_keypair(&signed, KeyPair::from(&private_key(next_seed).map_err(|_| Reason::TokenMalformed)?)))
}

/// Appends a plain block: same holder, more caveats.
///
/// # Errors
/// As [`append_hop`].
pub fn append_plain(parent: &[u8], caveats: &[Caveat], next_seed: &[u8; 32]) -> Result<Vec<u8>, Reason> {
    open_hops(parent)?;
    let block = add_checks(BlockBuilder::new(), caveats)?;
    let token = UnverifiedBiscuit::from(parent).map_err(|_| Reason::TokenMalformed)?;
    let next = KeyPair::from(&private_key(next_seed).map_err(|_| Reason::TokenMalformed)?);
    finish(token.append_with_keypair(&next, block))
}

/// A copy to which nothing can be appended: what a tool or the log is handed. A sealed token is returned as it is.
///
/// # Errors
/// What the guard says of the token.
pub fn seal(token: &[u8]) -> Result<Vec<u8>, Reason> {
    let envelope = guard(token, Dialect::OperatorChecks).map_err(|refusal| refusal.reason)?;
    match envelope.proof {
        Proof::Sealed(_) => Ok(token.to_vec()),
        Proof::Open(_) => finish(UnverifiedBiscuit::from(token).and_then(|token| token.seal())),
    }
}

/// How many hops an open token has.
fn open_hops(token: &[u8]) -> Result<i64, Reason> {
    let envelope = guard(token, Dialect::OperatorChecks).map_err(|refusal| refusal.reason)?;
    match envelope.proof {
        Proof::Sealed(_) => Err(Reason::TokenSealed),
        Proof::Open(_) => {
            i64::try_from(envelope.blocks.iter().filter(|block| block.external.is_some()).count()).map_err(|_| Reason::TooManyBlocks)
        }
    }
}

/// What we build, our own guard must accept, or it must not leave.
fn finish(token: Result<UnverifiedBiscuit, biscuit_auth::error::Token>) -> Result<Vec<u8>, Reason> {
    let bytes = token.and_then(|token| token.to_vec()).map_err(|_| Reason::TokenMalformed)?;
    guard(&bytes, Dialect::OperatorChecks).map_err(|refusal| refusal.reason)?;
    Ok(bytes)
}

fn private_key(seed: &[u8; 32]) -> Result<PrivateKey, biscuit_auth::error::Token> {
    Ok(PrivateKey::from_bytes(seed, Algorithm::Ed25519)?)
}

fn add_checks(mut block: BlockBuilder, caveats: &[Caveat]) -> Result<BlockBuilder, Reason> {
    for caveat in caveats {
        if matches!(caveat, Caveat::Datalog(_)) {
            return Err(Reason::UnknownCaveat);
        }
        block = block.check(to_check(&caveat.check())).map_err(|_| Reason::CaveatMalformed)?;
    }
    Ok(block)
}

fn to_check(check: &Check) -> builder::Check {
    builder::Check { queries: check.queries.iter().map(to_query).collect(), kind: builder::CheckKind::One }
}

fn to_query(query: &Query) -> builder::Rule {
    let expressions = query.expressions.iter().map(|expression| {
        let mut ops = Vec::new();
        to_ops(expression, &mut ops);
        builder::Expression { ops }
    });
    builder::Rule::new(
        builder::Predicate::new("query".to_owned(), Vec::new()),
        query.body.iter().map(to_predicate).collect(),
        expressions.collect(),
        Vec::new(),
    )
}

fn to_ops(expression: &Expression, ops: &mut Vec<builder::Op>) {
    match expression {
        Expression::Term(term) => ops.push(builder::Op::Value(to_term(term))),
        Expression::Not(inner) => {
            to_ops(inner, ops);
            ops.push(builder::Op::Unary(builder::Unary::Negate));
        }
        Expression::Binary(operator, left, right) => {
            to_ops(left, ops);
            to_ops(right, ops);
            ops.push(builder::Op::Binary(to_operator(*operator)));
        }
    }
}

fn to_operator(operator: Operator) -> builder::Binary {
    match operator {
        Operator::LessThan => builder::Binary::LessThan,
        Operator::GreaterThan => builder::Binary::GreaterThan,
        Operator::LessOrEqual => builder::Binary::LessOrEqual,
        Operator::GreaterOrEqual => builder::Binary::GreaterOrEqual,
        Operator::Equal => builder::Binary::Equal,
        Operator::NotEqual => builder::Binary::NotEqual,
        Operator::Contains => builder::Binary::Contains,
        Operator::StartsWith => builder::Binary::Prefix,
        Operator::EndsWith => builder::Binary::Suffix,
        Operator::And => builder::Binary::And,
        Operator::Or => builder::Binary::Or,
        Operator::Extern(function) => builder::Binary::Ffi(function.name().to_owned()),
    }
}

fn to_fact(predicate: &Predicate) -> builder::Fact {
    builder::Fact::new(predicate.name.to_string(), predicate.terms.iter().map(to_term).collect::<Vec<_>>())
}

fn to_predicate(predicate: &Predicate) -> builder::Predicate {
    builder::Predicate::new(predicate.name.to_string(), predicate.terms.iter().map(to_term).collect::<Vec<_>>())
}

fn to_term(term: &Term) -> builder::Term {
    match term {
        Term::Variable(name) => builder::Term::Variable(name.to_string()),
        Term::Integer(number) => builder::Term::Integer(*number),
        Term::Text(text) => builder::Term::Str(text.to_string()),
        Term::Date(seconds) => builder::Term::Date(*seconds),
        Term::Bytes(bytes) => builder::Term::Bytes(bytes.clone()),
        Term::Flag(flag) => builder::Term::Bool(*flag),
        Term::Null => builder::Term::Null,
        Term::Set(elements) => builder::Term::Set(elements.iter().map(to_term).collect()),
    }
}

#[cfg(test)]
mod tests {
    use biscuit_auth::builder::Algorithm;

    use super::*;
    use crate::{Call, Maker, RootKey, UnverifiedToken, caveat::parse_list, json, public_key};

    fn caveats(text: &str) -> Vec<Caveat> {
        parse_list(&json::parse(text.as_bytes(), json::Limits::CAVEATS).unwrap()).unwrap()
    }

    #[test]
    fn a_token_narrows_through_two_hops_and_decides() {
        let claims = AuthorityClaims {
            task: TaskId([1; 16]),
            entry: EntryId([2; 16]),
            issued: 1_699_999_990,
            issuer: "https://issuer.example".into(),
            subject: "p-1".into(),
            actors: vec![EarlierActor::attested("desk"), EarlierActor::named("front")],
            agent: "planner".into(),
            holder: public_key(&[11; 32]).into(),
            lineage: vec![BlockId([3; 32]), BlockId([4; 32])],
            dev: false,
            caveats: caveats(
                r#"[{"kind":"tools","allow":["crm.read",{"prefix":"mail."}]},{"kind":"audience","one_of":["https://crm.example"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":3}]"#,
            ),
        };
        let root = KeyPair::from(&PrivateKey::from_bytes(&[9; 32], Algorithm::Ed25519).unwrap());
        let next = KeyPair::from(&PrivateKey::from_bytes(&[10; 32], Algorithm::Ed25519).unwrap());
        let token = authority_block(&claims)
            .unwrap()
            .root_key_id(7)
            .build_with_key_pair(&root, biscuit_auth::datalog::SymbolTable::new(), &next)
            .unwrap();
        let bytes = token.to_vec().unwrap();
        let hop = |seed: u8, agent: &str, text: &str| HopClaims {
            holder: public_key(&[seed; 32]),
            agent: agent.into(),
            entry: EntryId([seed; 16]),
            caveats: caveats(text),
        };
        let bytes = append_hop(&bytes, &[11; 32], &hop(12, "executor", r#"[{"kind":"tools","allow":["crm.read"]}]"#), &[13; 32]).unwrap();
        let bytes =
            append_plain(&bytes, &caveats(r#"[{"kind":"arg","tool":"crm.read","path":"/id","is":{"range":{"max":10}}}]"#), &[14; 32])
                .unwrap();
        let bytes = append_hop(&bytes, &[12; 32], &hop(15, "worker", "[]"), &[16; 32]).unwrap();
        for bytes in [bytes.clone(), seal(&bytes).unwrap()] {
            let roots = RootKey::active(7, public_key(&[9; 32])).into();
            let verified = UnverifiedToken::from_bytes(&bytes).unwrap().verify(&roots).unwrap();
            assert_eq!(verified.depth(), 2);
            assert_eq!(verified.holder, public_key(&[15; 32]).into());
            assert_eq!((verified.authority.issued, &verified.authority.lineage), (claims.issued, &claims.lineage));
            assert_eq!(verified.principals().map(|(agent, ..)| agent).collect::<Vec<_>>(), ["planner", "executor", "worker"]);
            assert_eq!(verified.blocks[2].maker, Maker::Anyone);
            let decide = |tool, arguments: &str| {
                let arguments = json::parse(arguments.as_bytes(), json::Limits::ARGUMENTS).unwrap();
                verified.decide(&Call { tool, arguments: &arguments, audience: "https://crm.example", time: 1_700_000_000 })
            };
            assert_eq!(decide("crm.read", r#"{"id":10}"#), Ok(()));
            let denial = decide("mail.send", "{}").unwrap_err();
            assert_eq!(
                (denial.reason, denial.failures[0].block, denial.failures[0].added_by.as_str()),
                (Reason::ToolNotGranted, 1, "planner")
            );
            assert_eq!(decide("crm.read", r#"{"id":11}"#).unwrap_err().failures[0].added_by, "holder");
        }
    }
}
