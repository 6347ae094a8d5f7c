//! Holder keys whose seed a test knows, and tokens made by hand.

use biscuit_auth::{KeyPair, PrivateKey, builder::Algorithm, datalog::SymbolTable};
use narrows::{Caveat, EntryId, HolderKey, RootKey, TaskId, caveats};
use narrows_verifier::biscuit::{AuthorityClaims, HopClaims, append_hop, authority_block};
use rand_core::{CryptoRng, Error, OsRng, RngCore};

/// The SDK's key of this seed.
pub fn holder(seed: &[u8; 32]) -> HolderKey {
    HolderKey::generate_with(&mut Fixed(seed))
}

/// Fresh random bytes.
pub fn fresh<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    OsRng.fill_bytes(&mut bytes);
    bytes
}

/// Appends a hop to the bytes of an open token, past every check that the SDK makes beforehand.
pub fn hop(parent: &[u8], seed: &[u8; 32], claims: &HopClaims) -> Vec<u8> {
    append_hop(parent, seed, claims, &fresh()).expect("a hop of the profile's form")
}

/// The authority block of a token that no issuer would make without being asked: for `holder`, with these caveats and the
/// tool `crm.read` at `audience`.
pub fn authority(issuer: &str, audience: &str, holder: &HolderKey, expires: u64) -> AuthorityClaims {
    let mut all = caveats(&format!(
        r#"[{{"kind":"tools","allow":["crm.read"]}},{{"kind":"audience","one_of":["{audience}"]}},{{"kind":"depth","max":3}}]"#
    ))
    .expect("caveats");
    all.push(Caveat::Expires(expires));
    AuthorityClaims {
        task: TaskId(fresh()),
        entry: EntryId(fresh()),
        issued: crate::issuer::now(),
        issuer: issuer.to_owned(),
        subject: "somebody".into(),
        agent: "planner".into(),
        holder: holder.public().into(),
        actors: Vec::new(),
        lineage: Vec::new(),
        dev: false,
        caveats: all,
    }
}

/// A token signed with any root key: the issuer's own, as whoever stole it could, or another's.
pub fn mint(claims: &AuthorityClaims, root: RootKey, root_seed: &[u8; 32]) -> Vec<u8> {
    let pair = |seed: &[u8; 32]| KeyPair::from(&PrivateKey::from_bytes(seed, Algorithm::Ed25519).expect("a seed"));
    let block = authority_block(claims).expect("claims of the profile").root_key_id(root.id);
    let token = block.build_with_key_pair(&pair(root_seed), SymbolTable::new(), &pair(&fresh())).expect("a token");
    token.to_vec().expect("bytes")
}

/// "Entropy" that is one given seed.
struct Fixed<'a>(&'a [u8; 32]);

impl RngCore for Fixed<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes([self.0[0], self.0[1], self.0[2], self.0[3]])
    }

    fn next_u64(&mut self) -> u64 {
        self.next_u32().into()
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        into.copy_from_slice(self.0);
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(into);
        Ok(())
    }
}

impl CryptoRng for Fixed<'_> {}
