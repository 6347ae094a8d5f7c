//! Tokens of a tainted key: which are spared, by receipts that witnesses have seen, and which fall with it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use narrows_verifier::{
    BlockId, EntryId,
    json::Value,
    log::{
        Checkpoint, Frontier, Kind, Leaf, Node, OutOfRange, PackDigest, PresentedReceipt, Receipt, Salt, TraceId, VerifierKey, WitnessKey,
        commit, cosign, inclusion_proof, leaf_hash, signature_line, write_receipts,
    },
    public_key,
};
use serde::{Deserialize, Serialize};

use super::{Cases, Root, Vector, Verdict};
use crate::tokens::{self, EXECUTOR, ISSUED, ISSUER, ISSUER_KEY_ID, PLANNER, Party, Seed, WORKER, block_ids, hex, hop, sample};

/// A token of a tainted key with the receipts that come beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparedVector {
    /// What the case shows.
    pub about: String,
    /// The token's text.
    pub token: String,
    /// The issuer keys that the verifier trusts.
    pub roots: Vec<Root>,
    /// The trust policy (C2SP tlog-policy).
    pub policy: String,
    /// The receipts with their leaves, as they travel beside the token.
    pub receipts: String,
    /// The answer.
    pub expect: SparedAnswer,
}

/// What becomes of the token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SparedAnswer {
    /// Yes or no.
    pub verdict: Verdict,
    /// The code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

pub(super) fn cases(cases: &mut Cases) {
    let log = Log::sample();
    let case = |about: &str| Case {
        about: about.to_owned(),
        token: sample(),
        below: Some(2),
        policy: log.policy("w"),
        receipts: log.receipts(&[MINT], &["w"]),
        refused: None,
    };
    let mut add = |name: &str, case: Case| cases.add(name, case.vector());
    add("spared_below", case("a witnessed receipt of a leaf below the index"));
    let at =
        |below| Case { below: Some(below), refused: Some("ROOT_TAINTED"), ..case("a witnessed receipt of a leaf at the index, or above") };
    add("spared_at", at(1));
    add("spared_above", at(0));
    let none = || log.receipts(&[], &[]);
    add("spared_without_receipt", Case { receipts: none(), refused: Some("RECEIPT_MISSING"), ..case("no receipt") });
    let alone = log.receipts(&[MINT], &[]);
    add("spared_unwitnessed", Case { receipts: alone, refused: Some("WITNESS_QUORUM"), ..case("a receipt that no witness has seen") });
    let other = log.receipts(&[MINT], &["x"]);
    add(
        "spared_other_witness",
        Case { receipts: other, refused: Some("WITNESS_QUORUM"), ..case("a witness that the policy does not name") },
    );
    add("spared_nothing", Case { below: None, refused: Some("ROOT_TAINTED"), ..case("the key spares nothing") });
    let unwatched = format!("log {}\nquorum none\n", log.key());
    add(
        "spared_no_witness_demanded",
        Case { policy: unwatched, refused: Some("ROOT_TAINTED"), ..case("a policy without witnesses can't tell") },
    );
    let two = format!("log {}\n{}", Log::key_of("other.example/log", 21), log.policy("w"));
    add("spared_two_logs", Case { policy: two, refused: Some("ROOT_TAINTED"), ..case("an index says nothing without its one log") });
    let foreign = log.receipts(&[OTHER], &["w"]);
    add("spared_receipt_of_another", Case { receipts: foreign, refused: Some("RECEIPT_MISSING"), ..case("the receipt of another token") });

    let handed = || hop(&sample(), &PLANNER, &EXECUTOR, "[]");
    add("spared_hop_of_holder", Case { token: handed(), ..case("a hop that the holder signed may be later") });
    let issuer = Party { name: "issuer", seed: ISSUER };
    let narrowed = || hop(&sample(), &issuer, &WORKER, "[]");
    let refused = Case { token: narrowed(), refused: Some("RECEIPT_MISSING"), ..case("a hop that the issuer signed needs a receipt too") };
    add("spared_hop_of_issuer_without_receipt", refused);
    let with_hop = Log::of(&[leaf(0, &[], false), leaf(1, &block_ids(&sample()), true), narrow(&narrowed())]);
    let both = with_hop.receipts(&[MINT, 2], &["w"]);
    let spared =
        Case { token: narrowed(), below: Some(3), receipts: both.clone(), ..case("both blocks of the issuer lie below the index") };
    add("spared_hop_of_issuer", spared);
    let late = Case {
        token: narrowed(),
        receipts: both,
        refused: Some("ROOT_TAINTED"),
        ..case("a hop of the issuer's at the index: a thief adds one to a good token")
    };
    add("spared_hop_of_issuer_at", late);
}

/// Where the sample token's leaf is.
const MINT: u64 = 1;
/// Where the leaf of another token is.
const OTHER: u64 = 0;

struct Case {
    about: String,
    token: Vec<u8>,
    below: Option<u64>,
    policy: String,
    receipts: String,
    refused: Option<&'static str>,
}

impl Case {
    fn vector(self) -> Vector {
        let root = Root {
            state: Some("tainted".to_owned()),
            spared_below: self.below,
            ..Root::active(ISSUER_KEY_ID, hex(public_key(&ISSUER).as_bytes()))
        };
        let verdict = if self.refused.is_some() { Verdict::Deny } else { Verdict::Allow };
        Vector::Spared(SparedVector {
            about: self.about,
            token: URL_SAFE_NO_PAD.encode(self.token),
            roots: vec![root],
            policy: self.policy,
            receipts: self.receipts,
            expect: SparedAnswer { verdict, reason: self.refused.map(str::to_owned) },
        })
    }
}

/// A log of a few leaves under one checkpoint.
struct Log {
    leaves: Vec<Vec<u8>>,
    nodes: Vec<Node>,
    text: String,
}

impl Log {
    fn sample() -> Self {
        Self::of(&[leaf(0, &[], false), leaf(1, &block_ids(&sample()), true)])
    }

    fn of(leaves: &[Leaf]) -> Self {
        let leaves: Vec<_> = leaves.iter().map(|leaf| leaf.to_bytes().unwrap()).collect();
        let (mut frontier, mut nodes) = (Frontier::empty(), Vec::new());
        leaves.iter().for_each(|bytes| nodes.extend(frontier.append(leaf_hash(bytes)).unwrap()));
        let text = Checkpoint { origin: LOG.to_owned(), size: frontier.size(), root: frontier.root() }.to_string();
        Self { leaves, nodes, text }
    }

    fn key_of(name: &str, seed: u8) -> VerifierKey {
        VerifierKey::new(name, public_key(&[seed; 32]).as_bytes()).unwrap()
    }

    fn key(&self) -> VerifierKey {
        Self::key_of(LOG, LOG_SEED)
    }

    /// A policy that trusts this log under this witness.
    fn policy(&self, witness: &str) -> String {
        let key = WitnessKey::new(witness, public_key(&witness_seed(witness)).as_bytes()).unwrap();
        format!("log {}\nwitness {witness} {key}\nquorum {witness}\n", self.key())
    }

    /// The receipts of these leaves, under the checkpoint that these witnesses have cosigned.
    fn receipts(&self, indices: &[u64], witnesses: &[&str]) -> String {
        let signature = SigningKey::from_bytes(&[LOG_SEED; 32]).sign(self.text.as_bytes()).to_bytes();
        let mut checkpoint = format!("{}\n{}", self.text, signature_line(&self.key(), &signature));
        for witness in witnesses {
            checkpoint += &cosign(witness, &witness_seed(witness), ISSUED, &self.text).unwrap();
        }
        let node = |level, index| {
            let found = self.nodes.iter().find(|node| (node.level, node.index) == (level, index));
            found.map(|node| node.hash).ok_or(OutOfRange)
        };
        let presented = |index: &u64| {
            let proof = inclusion_proof(*index, self.leaves.len() as u64, node).unwrap();
            let receipt = Receipt { index: *index, proof, checkpoint: &checkpoint }.encode();
            PresentedReceipt { leaf: self.leaves[*index as usize].clone(), receipt }
        };
        write_receipts(&indices.iter().map(presented).collect::<Vec<_>>())
    }
}

fn witness_seed(name: &str) -> Seed {
    [name.as_bytes()[0]; 32]
}

/// The leaf of the sample token, or of one with other ids.
fn leaf(number: u8, blocks: &[String], own: bool) -> Leaf {
    let id = if own { tokens::claims(Vec::new()).entry } else { EntryId([number; 16]) };
    let blocks = if own { blocks.iter().map(|id| BlockId::from_hex(id).unwrap()).collect() } else { vec![BlockId([number; 32])] };
    Leaf { pack: Some(PackDigest([1; 32])), blocks, ..made(Kind::Mint, id) }
}

/// The leaf of a hop that the issuer made for the worker.
fn narrow(token: &[u8]) -> Leaf {
    let blocks: Vec<_> = block_ids(token).iter().map(|id| BlockId::from_hex(id).unwrap()).collect();
    Leaf { parents: vec![blocks[0]], blocks, ..made(Kind::Hop, WORKER.claims(Vec::new()).entry) }
}

fn made(kind: Kind, id: EntryId) -> Leaf {
    let hidden = commit(&Salt::new([1; 16]), "chain/0", &Value::Null);
    let fields = kind.spec().unwrap().required.iter().map(|name| ((*name).to_owned(), hidden)).collect();
    Leaf {
        t_ms: ISSUED * 1000,
        task: Some(tokens::claims(Vec::new()).task),
        chain: vec![hidden],
        fields,
        ..Leaf::draft(kind, id, TraceId([0; 16]))
    }
}

const LOG: &str = "issuer.example/log";
const LOG_SEED: u8 = 20;
