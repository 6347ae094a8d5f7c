//! Tokens for the tests of this crate.

use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use narrows_verifier::{
    Caveat, EntryId, RootKey, TaskId,
    biscuit::{AuthorityClaims, authority_block},
    caveat::parse_list,
    json::{Limits, Value, parse},
    public_key, token_text,
};

use crate::{Held, HolderKey};

pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "https://crm.example";
pub(crate) const NOW: u64 = 1_795_000_000;
pub(crate) const EXPIRES: u64 = NOW + 600;
pub(crate) const TASK: TaskId = TaskId([1; 16]);
pub(crate) const ENTRY: EntryId = EntryId([2; 16]);

pub(crate) fn root() -> RootKey {
    RootKey::active(7, public_key(&[9; 32]))
}

/// As [`mint`], signed by the root key of this number and seed.
pub(crate) fn mint_under(id: u32, seed: u8, more: &str, dev: bool) -> Vec<u8> {
    mint_claims(id, seed, &claims(more, dev))
}

/// A token of these claims, signed by the root key of this number and seed.
pub(crate) fn mint_claims(id: u32, seed: u8, claims: &AuthorityClaims) -> Vec<u8> {
    let pair = |byte: u8| KeyPair::from(&PrivateKey::from_bytes(&[byte; 32], Algorithm::Ed25519).unwrap());
    let block = authority_block(claims).unwrap().root_key_id(id);
    block.build_with_key_pair(&pair(seed), SymbolTable::new(), &pair(10)).unwrap().to_vec().unwrap()
}

/// A token of the holder `HolderKey::of(11)` for `crm.*` and `payments.*`, two hops deep at most, with further caveats.
pub(crate) fn mint(more: &str, dev: bool) -> Vec<u8> {
    mint_under(root().id, 9, more, dev)
}

/// What [`mint`] signs.
pub(crate) fn claims(more: &str, dev: bool) -> AuthorityClaims {
    let mut all = caveats(&format!(
        r#"[{{"kind":"tools","allow":[{{"prefix":"crm."}},{{"prefix":"payments."}}]}},{{"kind":"audience","one_of":["{AUDIENCE}"]}},{{"kind":"depth","max":2}}]"#
    ));
    all.push(Caveat::Expires(EXPIRES));
    all.extend(caveats(more));
    AuthorityClaims {
        task: TASK,
        entry: ENTRY,
        issued: NOW - 5,
        issuer: ISSUER.into(),
        subject: "p-1".into(),
        agent: "planner".into(),
        holder: HolderKey::of(11).public().into(),
        actors: Vec::new(),
        lineage: Vec::new(),
        dev,
        caveats: all,
    }
}

pub(crate) fn held(more: &str) -> Held {
    Held::new(&token_text(&mint(more, false)), HolderKey::of(11), &root().into()).ok().unwrap()
}

pub(crate) fn caveats(text: &str) -> Vec<Caveat> {
    parse_list(&parse(text.as_bytes(), Limits::CAVEATS).unwrap()).unwrap()
}

pub(crate) fn arguments(text: &str) -> Value {
    parse(text.as_bytes(), Limits::ARGUMENTS).unwrap()
}
