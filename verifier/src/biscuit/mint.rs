//! A whole token of one block, made and judged in one go.

use zeroize::Zeroizing;

use super::{
    block::{Body, Dialect, Symbols},
    build::{AuthorityClaims, authority_facts},
    chain::{block_payload, seal_payload},
    encode::{Writer, encode},
    guard::{SignedBlock, frame},
};
use crate::{
    BlockId, Holder, PublicKey, Reason, RootKey,
    datalog::Check,
    key::{public_key, sign},
    token::Trail,
};

/// A token that was just signed. No Debug: an open one holds the secret for appending.
pub struct Minted {
    /// The token's bytes.
    pub token: Zeroizing<Vec<u8>>,
    /// The id of its authority block.
    pub block: BlockId,
}

/// Signs one authority block by the root key, of which `sign_by_root` has the secret. A token that is bound to no key comes sealed.
/// `next_seed` is fresh randomness.
///
/// What comes out passes [`crate::UnverifiedToken::verify`] under this root: guard and hop rule read the very bytes here, and the
/// message that is signed is the one that the verifier puts together. The signature itself is not verified once more, which would
/// be a quarter of the whole: if the arithmetic went wrong, the token is one that every verifier refuses.
///
/// # Errors
/// `PROFILE_FACTS` and the like when the claims make no token of the profile; such a token must not leave.
pub fn mint(
    claims: &AuthorityClaims,
    root: &RootKey,
    next_seed: &[u8; 32],
    sign_by_root: impl FnOnce(&[u8]) -> [u8; 64],
) -> Result<Minted, Reason> {
    let checks: Vec<Check> = claims.caveats.iter().map(crate::Caveat::check).collect();
    let bytes = encode(&authority_facts(claims), &checks);
    let mut symbols = Symbols::default();
    let body = Body::read(&bytes, false, &mut symbols, Dialect::default())?;
    let next_key = public_key(next_seed);
    let mut block = SignedBlock { bytes, next_key, signature: [0; 64], external: None, body, symbols: symbols.len() };
    // before anything is signed
    let sealed = claims.holder == Holder::Bearer;
    let verified = Trail::begin(&block, &[], root, &|_| holder_key(claims)).and_then(|trail| Ok(trail.token(sealed)?));
    let verified = verified.map_err(|refusal| refusal.reason)?;
    root.accepts(verified.authority.issued)?;
    let mut payload = Vec::with_capacity(block.bytes.len() + 128);
    block_payload(&mut payload, &block, None);
    block.signature = sign_by_root(&payload);
    let proof = if sealed {
        seal_payload(&mut payload, &block.bytes, &block.link());
        Err(sign(next_seed, &payload))
    } else {
        Ok(next_seed)
    };
    let token = outer(&block, root.id, proof);
    frame(&token).map_err(|refusal| refusal.reason)?;
    Ok(Minted { token, block: verified.newest() })
}

/// The outer message, with the secret of the next key or the signature that seals the token.
fn outer(block: &SignedBlock, root_key_id: u32, proof: Result<&[u8; 32], [u8; 64]>) -> Zeroizing<Vec<u8>> {
    let mut out = Writer::default();
    // room for all of it: what is grown out of would stay in memory, with the secret
    out.bytes.reserve_exact(block.bytes.len() + 512);
    out.number(1, root_key_id.into());
    out.message(2, |out| {
        out.bytes(1, &block.bytes);
        out.message(2, |out| {
            out.number(1, 0);
            out.bytes(2, block.next_key.as_bytes());
        });
        out.bytes(3, &block.signature);
        out.number(5, 1);
    });
    out.message(4, |out| match proof {
        Ok(secret) => out.bytes(1, secret),
        Err(signature) => out.bytes(2, &signature),
    });
    Zeroizing::new(out.bytes)
}

fn holder_key(claims: &AuthorityClaims) -> Option<PublicKey> {
    claims.holder.key().ok().copied()
}

#[cfg(test)]
mod tests {
    use biscuit_auth::{Biscuit, KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
    use proptest::prelude::*;

    use super::{
        super::{
            authority_block,
            content::tests::{OTHERS, REQUIRED},
            seal,
        },
        *,
    };
    use crate::{Caveat, EarlierActor, EntryId, TaskId, UnverifiedToken, caveat::parse_list, json};

    const ROOT: [u8; 32] = [9; 32];
    const NEXT: [u8; 32] = [10; 32];
    const BEARER: &str = r#"[{"kind":"tools","allow":["read"]},{"kind":"audience","one_of":["b","a"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":0}]"#;

    fn caveats(text: &str) -> Vec<Caveat> {
        parse_list(&json::parse(text.as_bytes(), json::Limits::CAVEATS).unwrap()).unwrap()
    }

    fn claims(holder: Holder, caveats: Vec<Caveat>) -> AuthorityClaims {
        AuthorityClaims {
            task: TaskId([1; 16]),
            entry: EntryId([2; 16]),
            issued: 1,
            issuer: "https://issuer.example".into(),
            subject: "p-1".into(),
            actors: vec![EarlierActor::attested("desk"), EarlierActor::named("read")],
            agent: "planner".into(),
            holder,
            lineage: vec![BlockId([3; 32]), BlockId([4; 32])],
            dev: true,
            caveats,
        }
    }

    fn root() -> RootKey {
        RootKey::active(70_000, public_key(&ROOT))
    }

    fn minted(claims: &AuthorityClaims) -> Result<Minted, Reason> {
        mint(claims, &root(), &NEXT, |message| sign(&ROOT, message))
    }

    fn by_the_library(claims: &AuthorityClaims) -> Vec<u8> {
        let pair = |seed: &[u8; 32]| KeyPair::from(&PrivateKey::from_bytes(seed, Algorithm::Ed25519).unwrap());
        let token = authority_block(claims).unwrap().root_key_id(root().id);
        let token = token.build_with_key_pair(&pair(&ROOT), SymbolTable::new(), &pair(&NEXT)).unwrap().to_vec().unwrap();
        if claims.holder == Holder::Bearer { seal(&token).unwrap() } else { token }
    }

    #[test]
    fn what_is_minted_is_what_the_library_makes_and_passes_the_verifier() {
        let all = format!("{},{}", REQUIRED.trim_end_matches(']'), OTHERS.trim_start_matches('['));
        let key = Holder::Key(public_key(&[11; 32]));
        for claims in [
            claims(key, caveats(REQUIRED)),
            claims(key, caveats(&all)),
            claims(Holder::Thumbprint([5; 32]), caveats(REQUIRED)),
            claims(Holder::Bearer, caveats(BEARER)),
            AuthorityClaims { actors: Vec::new(), lineage: Vec::new(), dev: false, ..claims(key, caveats(BEARER)) },
        ] {
            let minted = minted(&claims).unwrap();
            assert_eq!(*minted.token, by_the_library(&claims));
            let verified = UnverifiedToken::from_bytes(&minted.token).unwrap().verify(&root().into()).unwrap();
            assert_eq!((verified.newest(), verified.holder), (minted.block, claims.holder));
            let public = biscuit_auth::PublicKey::from_bytes(root().key.as_bytes(), Algorithm::Ed25519).unwrap();
            Biscuit::from(&minted.token, public).unwrap();
        }
    }

    #[test]
    fn what_no_verifier_would_take_is_not_signed() {
        let key = Holder::Key(public_key(&[11; 32]));
        let unsigned = |claims: &AuthorityClaims, root: &RootKey| {
            mint(claims, root, &NEXT, |_| panic!("signed")).map(|minted| minted.block).unwrap_err()
        };
        let of = |change: fn(&mut AuthorityClaims)| {
            let mut claims = claims(key, caveats(REQUIRED));
            change(&mut claims);
            unsigned(&claims, &root())
        };
        assert_eq!(of(|claims| claims.caveats.truncate(1)), Reason::ProfileFacts);
        assert_eq!(of(|claims| claims.agent = String::new()), Reason::ProfileFacts);
        assert_eq!(of(|claims| claims.holder = Holder::Bearer), Reason::BearerForm);
        assert_eq!(of(|claims| claims.subject = "s".repeat(2000)), Reason::OutsideProfile);
        let late = RootKey { not_before: 2, ..root() };
        assert_eq!(unsigned(&claims(key, caveats(REQUIRED)), &late), Reason::RootNotValid);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

        /// Whatever the names: the default symbols among them, the same ones in several places, and sets in any order.
        #[test]
        fn any_claims_are_written_as_the_library_writes_them(
            issued in any::<u64>(),
            names in prop::collection::vec(prop_oneof![Just("read".to_owned()), Just("query".to_owned()), "[a-z.é]{1,200}"], 4),
            tools in prop::collection::btree_set("[a-z]{1,4}(\\.[a-z]{1,4})?", 1..6),
            numbers in prop::collection::vec(-9_007_199_254_740_991_i64..9_007_199_254_740_991, 1..4),
        ) {
            let text = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
            let tools = text(&mut tools.iter().map(|tool| format!("\"{tool}\"")));
            let numbers = text(&mut numbers.iter().map(ToString::to_string));
            let list = format!(
                r#"[{{"kind":"tools","allow":[{tools}]}},{{"kind":"audience","one_of":["{}","{}2"]}},{{"kind":"expires","at":"2026-11-21T12:00:00Z"}},{{"kind":"depth","max":3}},{{"kind":"arg","tool":"pay","path":"/a","is":{{"one_of":[{numbers},"{}",true]}}}}]"#,
                names[0], names[0], names[1],
            );
            let Ok(caveats) = parse_list(&json::parse(list.as_bytes(), json::Limits::CAVEATS).unwrap()) else { return Ok(()) };
            let [subject, agent, actor, issuer] = <[String; 4]>::try_from(names).unwrap();
            let claims = AuthorityClaims { issued, subject, agent, issuer, actors: vec![EarlierActor::named(actor)], ..claims(Holder::Key(public_key(&[11; 32])), caveats) };
            match minted(&claims) {
                Ok(minted) => prop_assert_eq!(&*minted.token, &by_the_library(&claims)),
                Err(reason) => {
                    let verified = UnverifiedToken::from_bytes(&by_the_library(&claims)).and_then(|token| token.verify(&root().into()));
                    prop_assert_eq!(verified.map(drop).map_err(|refusal| refusal.reason), Err(reason));
                }
            }
        }
    }
}
