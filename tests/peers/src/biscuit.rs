//! Biscuit alone: plain blocks of checks, the library's own engine; a bearer token whose hops nobody signs by name.

use std::{
    hint::black_box,
    time::{Duration, SystemTime},
};

use biscuit_auth::{
    Authorizer, AuthorizerLimits, Biscuit, KeyPair, PrivateKey, UnverifiedBiscuit,
    builder::Algorithm,
    macros::{authorizer, biscuit, block},
};

use crate::{
    intent::{LIMIT, READ, REGION, ROOT, WRITE, hop_limit},
    measure::Cell,
};

pub fn mint() -> Cell {
    Cell::timed(|| mint_token().to_vec().unwrap())
}

pub fn hop() -> Cell {
    let parent = chain(1);
    Cell::timed(move || narrow(black_box(&parent), 1))
}

pub fn cold(depth: usize) -> Cell {
    let (token, root) = (chain(depth), root().public());
    Cell::timed(move || decide(&Biscuit::from(black_box(&token), root).unwrap()))
}

pub fn decision() -> Cell {
    let token = Biscuit::from(chain(3), root().public()).unwrap();
    Cell::timed(move || decide(&token))
}

pub fn size(depth: usize) -> Cell {
    Cell::Bytes(chain(depth).len())
}

fn mint_token() -> Biscuit {
    let (read, write) = (READ, WRITE);
    let (limit, region) = (LIMIT, REGION);
    let expires = expires();
    biscuit!(
        r#"
        right({read});
        right({write});
        check if tool($tool), right($tool);
        check if account($account), ["a-17", "a-18"].contains($account);
        check if limit($limit), $limit <= {limit};
        check if region($region), $region.starts_with({region});
        check if time($time), $time < {expires};
        "#
    )
    .build(&root())
    .unwrap()
}

fn narrow(parent: &[u8], index: usize) -> Vec<u8> {
    let limit = hop_limit(index);
    let block = block!("check if limit($limit), $limit <= {limit};");
    UnverifiedBiscuit::from(parent).unwrap().append(block).unwrap().to_vec().unwrap()
}

fn chain(depth: usize) -> Vec<u8> {
    (1..depth).fold(mint_token().to_vec().unwrap(), |token, index| narrow(&token, index))
}

fn decide(token: &Biscuit) -> usize {
    let time = expires() - Duration::from_secs(3600);
    let read = READ;
    let builder = authorizer!(
        r#"
        tool({read});
        account("a-17");
        limit(20);
        region("eu-north");
        time({time});
        allow if true;
        "#
    );
    // the library's own limit is a millisecond of wall clock, which a busy machine exceeds
    let limits = AuthorizerLimits { max_time: Duration::from_secs(5), ..AuthorizerLimits::default() };
    let mut authorizer: Authorizer = builder.set_limits(limits).build(token).unwrap();
    authorizer.authorize().unwrap()
}

fn expires() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_262_400)
}

fn root() -> KeyPair {
    KeyPair::from(&PrivateKey::from_bytes(&ROOT, Algorithm::Ed25519).unwrap())
}
