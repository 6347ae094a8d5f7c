//! Tokens for tests: honest ones through the verifier's builders, forged ones through Biscuit and its protobuf.
//!
//! Signature payloads, block ids and holder statements are written here a second time, straight from
//! `docs/token-format.md`, so that a mistake in the verifier can't hide in what it is tested with.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use biscuit_auth::{
    Biscuit, KeyPair, PrivateKey, UnverifiedBiscuit,
    builder::{Algorithm, BiscuitBuilder, BlockBuilder},
    datalog::SymbolTable,
    format::schema,
};
use ed25519_dalek::{Signer, SigningKey};
use narrows_verifier::{
    Caveat, EntryId, PublicKey, RootKey, Roots, TaskId,
    biscuit::{AuthorityClaims, HopClaims, append_hop, append_plain, authority_block},
    caveat::parse_list,
    json, public_key,
};
use prost::Message;
use sha2::{Digest, Sha256};

/// A secret that fixes an Ed25519 key pair.
pub type Seed = [u8; 32];

/// Someone with a name and a key.
#[derive(Clone, Copy, Debug)]
pub struct Party {
    /// The name that blocks carry.
    pub name: &'static str,
    /// The seed of the key.
    pub seed: Seed,
}

/// The holder that the authority block names.
pub const PLANNER: Party = Party { name: "planner", seed: [11; 32] };
/// The holder that the first hop names.
pub const EXECUTOR: Party = Party { name: "executor", seed: [12; 32] };
/// The holder that the second hop names.
pub const WORKER: Party = Party { name: "worker", seed: [13; 32] };
/// Has the bytes of tokens and no holder's key.
pub const THIEF: Party = Party { name: "thief", seed: [66; 32] };

/// The issuer's signing seed.
pub const ISSUER: Seed = [1; 32];
/// The number of the issuer's key.
pub const ISSUER_KEY_ID: u32 = 7;
/// Another issuer that the verifier trusts.
pub const OTHER_ISSUER: Seed = [2; 32];
/// The number of the other issuer's key.
pub const OTHER_ISSUER_KEY_ID: u32 = 8;

/// The audience of the sample tokens.
pub const AUDIENCE: &str = "https://crm.example";
/// When the sample tokens expire: 2026-11-21T12:00:00Z.
pub const EXPIRES: u64 = 1_795_262_400;
/// When the sample calls take place: an hour before the tokens expire.
pub const NOW: u64 = EXPIRES - 3600;
/// When the sample tokens were issued: an hour before the sample calls.
pub const ISSUED: u64 = NOW - 3600;
/// The caveats of the sample authority block.
pub const AUTHORITY_CAVEATS: &str = r#"[{"kind":"tools","allow":["crm.read","crm.write",{"prefix":"mail."}]},{"kind":"audience","one_of":["https://crm.example"]},{"kind":"expires","at":"2026-11-21T12:00:00Z"},{"kind":"depth","max":8}]"#;

impl Party {
    /// The public key.
    pub fn key(&self) -> PublicKey {
        public_key(&self.seed)
    }

    /// The public key in hex.
    pub fn hex(&self) -> String {
        hex(self.key().as_bytes())
    }

    /// What a hop to this party says.
    pub fn claims(&self, caveats: Vec<Caveat>) -> HopClaims {
        HopClaims { holder: self.key(), agent: self.name.to_owned(), entry: EntryId([self.seed[0]; 16]), caveats }
    }
}

/// The two root keys that sample verifiers trust.
pub fn roots() -> Roots {
    let key = |id, seed| RootKey::active(id, public_key(seed));
    Roots::new(vec![key(ISSUER_KEY_ID, &ISSUER), key(OTHER_ISSUER_KEY_ID, &OTHER_ISSUER)]).unwrap()
}

/// Caveats from their JSON array.
pub fn caveats(text: &str) -> Vec<Caveat> {
    parse_list(&json::parse(text.as_bytes(), json::Limits::CAVEATS).unwrap()).unwrap()
}

/// The sample authority block's claims, with these caveats.
pub fn claims(caveats: Vec<Caveat>) -> AuthorityClaims {
    AuthorityClaims {
        task: TaskId([0x51; 16]),
        entry: EntryId([0x52; 16]),
        issued: ISSUED,
        issuer: "https://issuer.example".to_owned(),
        subject: "p-7f3a".to_owned(),
        agent: PLANNER.name.to_owned(),
        holder: PLANNER.key().into(),
        actors: Vec::new(),
        lineage: Vec::new(),
        dev: false,
        caveats,
    }
}

/// A token of one block, signed by the issuer.
pub fn mint(claims: &AuthorityClaims) -> Vec<u8> {
    mint_block(authority_block(claims).unwrap())
}

/// The sample token of one block.
pub fn sample() -> Vec<u8> {
    mint(&claims(caveats(AUTHORITY_CAVEATS)))
}

/// A token of one block with any content, signed by the issuer.
pub fn mint_block(block: BiscuitBuilder) -> Vec<u8> {
    mint_with(block.root_key_id(ISSUER_KEY_ID), &next_key(0))
}

/// A token of one block with any content and next key, signed by the issuer.
pub fn mint_with(block: BiscuitBuilder, next: &KeyPair) -> Vec<u8> {
    let token: Biscuit = block.build_with_key_pair(&key_pair(&ISSUER), SymbolTable::new(), next).unwrap();
    token.to_vec().unwrap()
}

/// The sample authority facts with these instead of the caveats, as Datalog text.
pub fn authority(code: &str) -> BiscuitBuilder {
    let facts = authority_block(&claims(Vec::new())).unwrap();
    facts.code(code).unwrap()
}

/// The Datalog of the four caveats that an authority block must hold.
pub fn required_checks() -> String {
    format!(
        "check if tool($t), {{\"crm.read\"}}.contains($t); check if audience($a), {{\"{AUDIENCE}\"}}.contains($a); \
         check if time($t), $t < 2026-11-21T12:00:00Z; check if depth($d), $d <= 8;"
    )
}

/// Appends a hop, signed by `from`, that names `to` as the new holder.
pub fn hop(parent: &[u8], from: &Party, to: &Party, caveat_list: &str) -> Vec<u8> {
    append_hop(parent, &from.seed, &to.claims(caveats(caveat_list)), &next_seed(decode(parent).blocks.len() + 1)).unwrap()
}

/// Appends a plain block.
pub fn plain(parent: &[u8], caveat_list: &str) -> Vec<u8> {
    append_plain(parent, &caveats(caveat_list), &next_seed(decode(parent).blocks.len() + 1)).unwrap()
}

/// Appends a signed hop with any content, through the library.
pub fn hop_block(parent: &[u8], seed: &Seed, block: BlockBuilder) -> Vec<u8> {
    let token = UnverifiedBiscuit::from(parent).unwrap();
    let request = token.third_party_request().unwrap();
    let signed = request.create_block(&private_key(seed), block).unwrap().serialize().unwrap();
    let next = next_key(decode(parent).blocks.len() + 1);
    token.append_third_party_with_keypair(&signed, next).unwrap().to_vec().unwrap()
}

/// Appends a plain block with any content, through the library.
pub fn plain_block(parent: &[u8], block: BlockBuilder) -> Vec<u8> {
    let next = next_key(decode(parent).blocks.len() + 1);
    UnverifiedBiscuit::from(parent).unwrap().append_with_keypair(&next, block).unwrap().to_vec().unwrap()
}

/// A block from Datalog text.
pub fn block(code: &str) -> BlockBuilder {
    BlockBuilder::new().code(code).unwrap()
}

/// The hop fact as Datalog text.
pub fn hop_fact(index: i64, to: &Party) -> String {
    format!("hop({index}, hex:{}, \"{}\", hex:{});", to.hex(), to.name, hex(&[to.seed[0]; 16]))
}

/// The token's outer message.
pub fn decode(token: &[u8]) -> schema::Biscuit {
    schema::Biscuit::decode(token).unwrap()
}

/// Changes a token's outer message and leaves the signatures as they were.
pub fn edit(token: &[u8], change: impl FnOnce(&mut schema::Biscuit)) -> Vec<u8> {
    let mut message = decode(token);
    change(&mut message);
    message.encode_to_vec()
}

/// Changes the content of one block and leaves the signatures as they were.
pub fn edit_block(block: &mut schema::SignedBlock, change: impl FnOnce(&mut schema::Block)) {
    let mut content = schema::Block::decode(block.block.as_slice()).unwrap();
    change(&mut content);
    block.block = content.encode_to_vec();
}

/// Block 0 is the authority block.
pub fn block_mut(token: &mut schema::Biscuit, index: usize) -> &mut schema::SignedBlock {
    match index.checked_sub(1) {
        None => &mut token.authority,
        Some(later) => &mut token.blocks[later],
    }
}

/// Signs a whole chain again after its content was changed: with the issuer's key, the next keys of this module and, for
/// each hop in order, the given seed.
pub fn sign_chain(token: &mut schema::Biscuit, hops: &[Seed]) {
    let mut hops = hops.iter();
    for index in 0..=token.blocks.len() {
        let signer = index.checked_sub(1).map_or(ISSUER, next_seed);
        let external = block_mut(token, index).external_signature.is_some().then(|| *hops.next().expect("a seed for each hop"));
        sign_block(token, index, &signer, external.as_ref(), &next_seed(index));
    }
    close(token, &next_seed(token.blocks.len()));
}

/// Signs one block: its outer signature by `signer`, its external one by `external`, if it has one.
pub fn sign_block(token: &mut schema::Biscuit, index: usize, signer: &Seed, external: Option<&Seed>, next: &Seed) {
    let previous = index.checked_sub(1).map(|before| block_mut(token, before).signature.clone());
    let block = block_mut(token, index);
    block.next_key = ed25519(next);
    let start = |tag: &[u8], block: &schema::SignedBlock| {
        let version = block.version.unwrap_or(0).to_le_bytes();
        [tag, b"\0VERSION\0", &version, b"\0PAYLOAD\0", &block.block].concat()
    };
    if let (Some(seed), Some(previous)) = (external, &previous) {
        let payload = [start(b"\0EXTERNAL\0", block).as_slice(), b"\0PREVSIG\0", previous].concat();
        block.external_signature = Some(schema::ExternalSignature { signature: sign(seed, &payload), public_key: ed25519(seed) });
    }
    let mut payload = start(b"\0BLOCK\0", block);
    payload.extend(b"\0ALGORITHM\0\0\0\0\0\0NEXTKEY\0");
    payload.extend(&block.next_key.key);
    if let Some(previous) = previous {
        payload.extend(b"\0PREVSIG\0");
        payload.extend(previous);
    }
    if let Some(external) = &block.external_signature {
        payload.extend(b"\0EXTERNALSIG\0");
        payload.extend(&external.signature);
    }
    block.signature = sign(signer, &payload);
}

/// Replaces the closing proof by one that the last next key's seed makes: of the same kind, open or sealed.
pub fn close(token: &mut schema::Biscuit, last: &Seed) {
    let block = token.blocks.last().unwrap_or(&token.authority);
    let seal = [block.block.as_slice(), &[0; 4], &block.next_key.key, &block.signature].concat();
    token.proof.content = Some(match &token.proof.content {
        Some(schema::proof::Content::FinalSignature(_)) => schema::proof::Content::FinalSignature(sign(last, &seal)),
        _ => schema::proof::Content::NextSecret(last.to_vec()),
    });
}

/// The ids of a token's blocks in hex, from the formula in `docs/token-format.md`.
pub fn block_ids(token: &[u8]) -> Vec<String> {
    let token = decode(token);
    let mut parent = vec![0; 32];
    let mut ids = Vec::new();
    for block in std::iter::once(&token.authority).chain(&token.blocks) {
        let mut hash = Sha256::new();
        hash.update("narrows/block/1");
        hash.update(&parent);
        hash.update((block.block.len() as u64).to_be_bytes());
        hash.update(&block.block);
        match &block.external_signature {
            Some(external) => hash.update([&[1], external.public_key.key.as_slice()].concat()),
            None => hash.update([0]),
        }
        parent = hash.finalize().to_vec();
        ids.push(hex(&parent));
    }
    ids
}

/// A holder's statement over any payload text, canonical or not.
pub fn statement(tag: &str, payload: &str, seed: &Seed) -> String {
    let message = [tag.as_bytes(), &[0], &(payload.len() as u64).to_be_bytes(), payload.as_bytes()].concat();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(payload), URL_SAFE_NO_PAD.encode(sign(seed, &message)))
}

/// The seed of the next key in the block of this index; never a holder's seed.
pub fn next_seed(index: usize) -> Seed {
    [100 + u8::try_from(index).unwrap(); 32]
}

/// The next key pair in the block of this index.
pub fn next_key(index: usize) -> KeyPair {
    key_pair(&next_seed(index))
}

/// A key pair as the library has it.
pub fn key_pair(seed: &Seed) -> KeyPair {
    KeyPair::from(&private_key(seed))
}

/// The protobuf form of a seed's public key.
pub fn ed25519(seed: &Seed) -> schema::PublicKey {
    schema::PublicKey { algorithm: schema::public_key::Algorithm::Ed25519 as i32, key: public_key(seed).as_bytes().to_vec() }
}

/// Signs raw bytes.
pub fn sign(seed: &Seed, message: &[u8]) -> Vec<u8> {
    SigningKey::from_bytes(seed).sign(message).to_bytes().to_vec()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn private_key(seed: &Seed) -> PrivateKey {
    PrivateKey::from_bytes(seed, Algorithm::Ed25519).unwrap()
}
