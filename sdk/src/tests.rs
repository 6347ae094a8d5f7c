//! Tokens for the tests of this crate.

use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use narrows_verifier::{
    Caveat, EntryId, RootKey, TaskId,
    biscuit::{AuthorityClaims, authority_block, seal},
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
    claims_at(AUDIENCE, more, dev)
}

fn claims_at(audience: &str, more: &str, dev: bool) -> AuthorityClaims {
    let mut all = caveats(&format!(
        r#"[{{"kind":"tools","allow":[{{"prefix":"crm."}},{{"prefix":"payments."}}]}},{{"kind":"audience","one_of":["{audience}"]}},{{"kind":"depth","max":2}}]"#
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

/// As [`held`], for another audience.
pub(crate) fn held_at(audience: &str, more: &str) -> Held {
    let token = token_text(&mint_claims(root().id, 9, &claims_at(audience, more, false)));
    Held::new(&token, HolderKey::of(11), &root().into()).ok().unwrap()
}

/// A token that is bound to no key, as it leaves the issuer.
pub(crate) fn mint_bearer(more: &str) -> String {
    mint_bearer_at(AUDIENCE, more)
}

/// The same for another audience.
pub(crate) fn mint_bearer_at(audience: &str, more: &str) -> String {
    let mut claims = claims_at(audience, more, false);
    claims.holder = narrows_verifier::Holder::Bearer;
    claims.caveats.iter_mut().for_each(|caveat| {
        if let Caveat::Depth(max) = caveat {
            *max = 0;
        }
    });
    token_text(&seal(&mint_claims(root().id, 9, &claims)).unwrap())
}

/// A proof as a client signs it that knows RFC 9449 and nothing of us.
pub(crate) fn plain_dpop(token: &str, url: &str, jti: &str, key: &HolderKey) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use ed25519_dalek::{Signer as _, SigningKey};
    use sha2::{Digest as _, Sha256};
    let x = URL_SAFE_NO_PAD.encode(key.public().as_bytes());
    let header = format!(r#"{{"alg":"Ed25519","typ":"dpop+jwt","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}}}"#);
    let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
    let claims = format!(r#"{{"htu":"{url}","htm":"POST","jti":"{jti}","iat":{NOW},"ath":"{ath}"}}"#);
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = SigningKey::from_bytes(key.seed()).sign(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}
