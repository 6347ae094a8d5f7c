//! The leaf envelope: the bytes that the log commits to, one canonical text for each content.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::commitment::Commitment;
use super::refusal::LogRefusal;
use crate::Reason;
use crate::id::{BlockId, EntryId, TaskId, TraceId, from_hex, to_hex};

/// One entry of the log, version 1. It names principals and fields by salted commitments only; reason codes, kinds and
/// field names are plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Names this entry; a token that the entry is about carries the same id.
    pub id: EntryId,
    /// What happened.
    pub kind: Kind,
    /// When, in milliseconds since 1970; never smaller than in the leaf before.
    pub t_ms: u64,
    /// The request that led here.
    pub trace: TraceId,
    /// The task, where there is one.
    pub task: Option<TaskId>,
    /// Whether it was allowed.
    pub verdict: Verdict,
    /// Reason codes of the verdict.
    pub reasons: Vec<String>,
    /// Digest of the policy pack that decided; `None` where no pack did.
    pub pack: Option<PackDigest>,
    /// The composite principal, subject first.
    pub chain: Vec<Commitment>,
    /// Commitments of further fields, by name.
    pub fields: BTreeMap<String, Commitment>,
    /// All block ids of the derived token, authority block first.
    pub blocks: Vec<BlockId>,
    /// The blocks that the newest block was derived from.
    pub parents: Vec<BlockId>,
    /// True in development mode, where nothing is to be trusted.
    pub dev: bool,
    /// Name of the log; in its first leaf only.
    pub origin: Option<String>,
}

/// What a leaf records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The log's first leaf.
    LogOpen,
    /// The issuer made a token of a new task.
    Mint,
    /// A holder narrowed a token and reported it.
    Hop,
    /// A kind that this version does not know; kept, never guessed at.
    Other(String),
}

/// Whether the thing recorded was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It took place.
    Allow,
    /// It was refused.
    Block,
}

/// SHA-256 of a policy pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackDigest(pub [u8; 32]);

impl Leaf {
    /// Reads a leaf. The bytes must be the one canonical text of a version 1 envelope.
    ///
    /// # Errors
    /// [`Reason::LeafTooLarge`] or [`Reason::LeafMalformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LogRefusal> {
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(TOO_LARGE);
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| malformed("the leaf is not a version 1 envelope"))?;
        let leaf = Self::from_envelope(envelope)?;
        // Members out of order, twice, spaced or escaped in another way all read the same; only one spelling may pass.
        if leaf.to_bytes()? != bytes {
            return Err(malformed("the leaf is not in canonical form"));
        }
        Ok(leaf)
    }

    /// The canonical bytes (RFC 8785), whose leaf hash goes into the tree.
    ///
    /// # Errors
    /// [`Reason::LeafTooLarge`], or [`Reason::LeafMalformed`] for a kind, field name or reason outside their alphabets,
    /// which are narrow so that nothing personal can be written there, and for an origin anywhere but in `log.open`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LogRefusal> {
        self.check_names()?;
        let bytes = serde_json::to_vec(&self.to_envelope()).map_err(|_| malformed("the leaf can't be written"))?;
        if bytes.len() > MAX_LEAF_BYTES { Err(TOO_LARGE) } else { Ok(bytes) }
    }

    /// The commitment that a disclosure of this name opens: `chain/0`, `chain/1`, … or a field.
    pub fn commitment(&self, name: &str) -> Option<&Commitment> {
        match name.strip_prefix("chain/") {
            Some(position) => self.chain.get(position.parse::<usize>().ok().filter(|it| it.to_string() == position)?),
            None => self.fields.get(name),
        }
    }

    fn check_names(&self) -> Result<(), LogRefusal> {
        if !is_name(self.kind.as_str(), MAX_KIND_BYTES) {
            return Err(malformed("the leaf's kind is not a short lower-case name"));
        }
        if !self.fields.keys().all(|name| is_name(name, MAX_FIELD_NAME_BYTES) && !name.starts_with("chain/")) {
            return Err(malformed("a field name is not a short lower-case name"));
        }
        if !self.reasons.iter().all(|code| is_code(code)) {
            return Err(malformed("a reason is not a code"));
        }
        if self.origin.is_some() != (self.kind == Kind::LogOpen) {
            return Err(malformed("an origin stands in the log's first leaf and nowhere else"));
        }
        Ok(())
    }

    fn to_envelope(&self) -> Envelope {
        Envelope {
            blocks: self.blocks.clone(),
            c: self.fields.clone(),
            chain: self.chain.clone(),
            dev: self.dev,
            id: self.id,
            kind: self.kind.as_str().to_owned(),
            origin: self.origin.clone(),
            pack: self.pack,
            parents: self.parents.clone(),
            reasons: self.reasons.clone(),
            t_ms: self.t_ms.to_string(),
            task: self.task,
            trace: self.trace,
            v: VERSION,
            verdict: self.verdict,
        }
    }

    fn from_envelope(envelope: Envelope) -> Result<Self, LogRefusal> {
        if envelope.v != VERSION {
            return Err(malformed("the leaf's version is not known"));
        }
        Ok(Self {
            id: envelope.id,
            kind: Kind::from_name(envelope.kind),
            t_ms: envelope.t_ms.parse().map_err(|_| malformed("the leaf's time is not a decimal number"))?,
            trace: envelope.trace,
            task: envelope.task,
            verdict: envelope.verdict,
            reasons: envelope.reasons,
            pack: envelope.pack,
            chain: envelope.chain,
            fields: envelope.c,
            blocks: envelope.blocks,
            parents: envelope.parents,
            dev: envelope.dev,
            origin: envelope.origin,
        })
    }
}

impl Kind {
    /// The kind's name in a leaf.
    pub fn as_str(&self) -> &str {
        match self {
            Self::LogOpen => "log.open",
            Self::Mint => "mint",
            Self::Hop => "hop",
            Self::Other(name) => name,
        }
    }

    fn from_name(name: String) -> Self {
        match name.as_str() {
            "log.open" => Self::LogOpen,
            "mint" => Self::Mint,
            "hop" => Self::Hop,
            _ => Self::Other(name),
        }
    }
}

impl PackDigest {
    /// Reads `sha256:` and 64 lower-case hex digits, or `None`.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_prefix("sha256:").and_then(from_hex).map(Self)
    }
}

impl core::fmt::Display for PackDigest {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "sha256:{}", to_hex(&self.0))
    }
}

impl Serialize for PackDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PackDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a pack digest"))
    }
}

/// The envelope as written. Members stand in canonical order: `serde_json` writes them as declared.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    blocks: Vec<BlockId>,
    c: BTreeMap<String, Commitment>,
    chain: Vec<Commitment>,
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    dev: bool,
    id: EntryId,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    pack: Option<PackDigest>,
    parents: Vec<BlockId>,
    reasons: Vec<String>,
    t_ms: String,
    task: Option<TaskId>,
    trace: TraceId,
    v: u8,
    verdict: Verdict,
}

fn is_name(name: &str, longest: usize) -> bool {
    (1..=longest).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._/-".contains(&byte))
}

fn is_code(code: &str) -> bool {
    (1..=MAX_CODE_BYTES).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::LeafMalformed, detail)
}

/// The largest leaf: entry bundles give its length in two bytes.
pub const MAX_LEAF_BYTES: usize = 65_535;

const TOO_LARGE: LogRefusal = LogRefusal::new(Reason::LeafTooLarge, "the leaf is larger than 65,535 bytes");
const VERSION: u8 = 1;
const MAX_KIND_BYTES: usize = 32;
const MAX_FIELD_NAME_BYTES: usize = 64;
const MAX_CODE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::{Limits, Value};
    use crate::log::{Salt, commit};

    fn hop() -> Leaf {
        let field = |name: &str| commit(&Salt::new([3; 16]), name, &Value::Text("x".to_owned()));
        Leaf {
            id: EntryId::new([1; 16]),
            kind: Kind::Hop,
            t_ms: 1_763_700_000_123,
            trace: TraceId::new([2; 16]),
            task: Some(TaskId::new([3; 16])),
            verdict: Verdict::Allow,
            reasons: vec!["EXPIRED".to_owned()],
            pack: Some(PackDigest([4; 32])),
            chain: vec![field("chain/0"), field("chain/1")],
            fields: ["agent", "audience"].map(|name| (name.to_owned(), field(name))).into(),
            blocks: vec![BlockId::new([5; 32]), BlockId::new([6; 32])],
            parents: vec![BlockId::new([5; 32])],
            dev: true,
            origin: None,
        }
    }

    fn text(leaf: &Leaf) -> String {
        String::from_utf8(leaf.to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn leaves_read_back_and_are_canonical_json() {
        let open =
            Leaf {
                kind: Kind::LogOpen, origin: Some("log.example/narrows \"ü\n".to_owned()), task: None, pack: None, dev: false, ..hop()
            };
        let other = Leaf { kind: Kind::Other("policy.load".to_owned()), ..hop() };
        for leaf in [hop(), open, other] {
            let bytes = leaf.to_bytes().unwrap();
            assert_eq!(Leaf::parse(&bytes).unwrap(), leaf);
            let reread = crate::json::parse(&bytes, Limits::ARGUMENTS).unwrap();
            assert_eq!(reread.canonical().as_bytes(), bytes, "a second writer gives the same bytes");
        }
    }

    /// The examples of `docs/audit-log.md`, joined to the single line that they are.
    #[test]
    fn every_documented_example_is_a_leaf() {
        let document = include_str!("../../../docs/audit-log.md");
        let examples = document.split("```leaf\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
        let kinds: Vec<String> = examples
            .map(|example| {
                let line: String = example.lines().map(str::trim_start).collect();
                Leaf::parse(line.as_bytes()).unwrap().kind.as_str().to_owned()
            })
            .collect();
        assert_eq!(kinds, ["log.open", "mint", "hop"]);
    }

    #[test]
    fn any_other_spelling_of_a_leaf_is_refused() {
        let good = text(&hop());
        for changed in [
            String::new(),
            "{}".to_owned(),
            "[".repeat(60_000),
            format!("{good} "),
            format!(" {good}"),
            format!("\u{feff}{good}"),
            good.replacen("\"v\":1", "\"v\":2", 1),
            good.replacen("\"v\":1", "\"v\":1.0", 1),
            good.replacen("\"v\":1", "\"v\":1,\"v\":1", 1),
            good.replacen("\"v\":1", "\"v\":\"1\"", 1),
            good.replacen("\"dev\":true", "\"dev\":false", 1),
            good.replacen("\"dev\":true,", "\"dev\":true,\"extra\":1,", 1),
            good.replacen("\"c\":{", "\"c\":{\"agent\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",", 1),
            good.replacen("\"kind\":\"hop\"", "\"kind\":\"h\\u006fp\"", 1),
            good.replacen("\"kind\":\"hop\"", "\"kind\":\"Hop\"", 1),
            good.replacen("\"kind\":\"hop\"", "\"kind\":\"\"", 1),
            good.replacen("\"kind\":\"hop\"", "\"kind\":\"log.open\"", 1),
            good.replacen("\"kind\":\"hop\"", "\"kind\":\"hop\",\"origin\":\"log\"", 1),
            good.replacen("EXPIRED", "alice has expired", 1),
            good.replacen("\"audience\"", "\"audience of alice\"", 1),
            good.replacen("\"audience\"", "\"chain/0\"", 1),
            good.replacen("\"t_ms\":\"1", "\"t_ms\":\"01", 1),
            good.replacen("\"t_ms\":\"1", "\"t_ms\":\"+1", 1),
            good.replacen("\"t_ms\":\"1763700000123\"", "\"t_ms\":1763700000123", 1),
            good.replacen("sha256:", "sha512:", 1),
            good.replacen("\"task\":\"03030303030303030303030303030303\",", "", 1),
            good.replacen("allow", "maybe", 1),
            good.replacen("0101", "0A0a", 1),
            good.replacen("\"reasons\":[\"EXPIRED\"]", &format!("\"reasons\":[\"{}\"]", "X".repeat(MAX_LEAF_BYTES)), 1),
        ] {
            assert_ne!(changed, good);
            let refusal = Leaf::parse(changed.as_bytes()).unwrap_err();
            assert!(matches!(refusal.reason, Reason::LeafMalformed | Reason::LeafTooLarge), "{changed}");
        }
        assert!(Leaf::parse(b"\xff").is_err());
    }

    #[test]
    fn a_leaf_beyond_the_bundle_limit_can_not_be_written() {
        let flood = Leaf { blocks: vec![BlockId::new([0; 32]); 1000], ..hop() };
        assert_eq!(flood.to_bytes().unwrap_err().reason, Reason::LeafTooLarge);
    }

    #[test]
    fn names_find_their_commitment() {
        let leaf = hop();
        assert_eq!(leaf.commitment("chain/1"), leaf.chain.get(1));
        assert_eq!(leaf.commitment("agent"), leaf.fields.get("agent"));
        for name in ["chain/2", "chain/01", "chain/+1", "chain/", "chain", "nothing"] {
            assert_eq!(leaf.commitment(name), None, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_leaf_with_any_changed_byte_is_another_leaf_or_none(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let leaf = hop();
            let mut bytes = leaf.to_bytes().unwrap();
            let position = at.index(bytes.len());
            bytes[position] ^= 1 << bit;
            if let Ok(read) = Leaf::parse(&bytes) {
                prop_assert_ne!(&read, &leaf);
                prop_assert_eq!(read.to_bytes().unwrap(), bytes);
            }
        }
    }
}
