//! Macaroons: an HMAC chain, whose verifier holds the minting key and could mint itself; a bearer token.

use std::hint::black_box;

use macaroon::{ByteString, Format, Macaroon, MacaroonKey, Verifier};

use crate::{
    intent::{LIMIT, hop_limit},
    measure::Cell,
};

pub fn mint() -> Cell {
    macaroon::initialize().unwrap();
    Cell::timed(|| text(&create()))
}

pub fn hop() -> Cell {
    let parent = chain(1);
    Cell::timed(move || narrow(black_box(&parent), 1))
}

pub fn cold(depth: usize) -> Cell {
    let token = chain(depth);
    Cell::timed(move || decide(&Macaroon::deserialize(black_box(&token)).unwrap()))
}

/// Nothing is verified before: the chain of HMACs is the decision's only ground.
pub fn decision() -> Cell {
    let token = Macaroon::deserialize(chain(3)).unwrap();
    Cell::timed(move || decide(&token))
}

/// The token is text; its bytes are what the text decodes to.
pub fn size(depth: usize) -> Cell {
    Cell::Bytes(chain(depth).trim_end_matches('=').len() * 3 / 4)
}

fn create() -> Macaroon {
    let mut token = Macaroon::create(None, &key(), "p-7f3a".into()).unwrap();
    for caveat in ["tool in crm.read,crm.write", "account in a-17,a-18", &limit(LIMIT), "region starts eu-", "time < 1795262400"] {
        token.add_first_party_caveat(caveat.into());
    }
    token
}

fn narrow(parent: &str, index: usize) -> String {
    let mut token = Macaroon::deserialize(parent).unwrap();
    token.add_first_party_caveat(limit(hop_limit(index)).as_str().into());
    text(&token)
}

fn chain(depth: usize) -> String {
    (1..depth).fold(text(&create()), |token, index| narrow(&token, index))
}

fn decide(token: &Macaroon) {
    let mut verifier = Verifier::default();
    verifier.satisfy_general(holds);
    verifier.verify(token, &key(), Vec::new()).unwrap();
}

/// The call is written into this function, as the library takes plain functions only.
fn holds(caveat: &ByteString) -> bool {
    let Ok(text) = std::str::from_utf8(&caveat.0) else { return false };
    let mut words = text.splitn(3, ' ');
    match (words.next(), words.next(), words.next()) {
        (Some("tool"), Some("in"), Some(tools)) => tools.split(',').any(|tool| tool == "crm.read"),
        (Some("account"), Some("in"), Some(accounts)) => accounts.split(',').any(|account| account == "a-17"),
        (Some("limit"), Some("<="), Some(max)) => max.parse().is_ok_and(|max: i64| 20 <= max),
        (Some("region"), Some("starts"), Some(prefix)) => "eu-north".starts_with(prefix),
        (Some("time"), Some("<"), Some(end)) => end.parse().is_ok_and(|end: u64| 1_795_258_800 < end),
        _ => false,
    }
}

fn limit(max: i64) -> String {
    format!("limit <= {max}")
}

fn text(token: &Macaroon) -> String {
    token.serialize(Format::V2).unwrap()
}

fn key() -> MacaroonKey {
    MacaroonKey::generate(b"minting key")
}
