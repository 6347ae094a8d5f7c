//! The leaf envelope: the bytes that the log commits to, one canonical text for each content.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::commitment::Commitment;
use super::kind::Kind;
use super::refusal::LogRefusal;
use super::retention::{Retention, RetentionWire};
use crate::Reason;
use crate::id::{BlockId, EntryId, TaskId, TraceId, from_hex, to_hex};

/// An enumeration whose variants have one name each, in leaves and everywhere else.
macro_rules! closed_list {
    ($(#[$meta:meta])* $list:ident { $($(#[$variant_meta:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $list { $($(#[$variant_meta])* #[serde(rename = $name)] $variant,)+ }

        impl $list {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in a leaf.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The one of this name, or `None`.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.as_str() == name)
            }
        }
    };
}

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
    /// What was decided, or what became of it.
    pub verdict: Verdict,
    /// Reason codes of the verdict.
    pub reasons: Vec<String>,
    /// Digest of the policy pack that decided; `None` where no pack did.
    pub pack: Option<PackDigest>,
    /// The composite principal, subject first.
    pub chain: Vec<Commitment>,
    /// Commitments of further fields, by name.
    pub fields: BTreeMap<String, Commitment>,
    /// All block ids of the token that it is about, authority block first.
    pub blocks: Vec<BlockId>,
    /// The blocks that the newest block was derived from.
    pub parents: Vec<BlockId>,
    /// The entry that this one answers: an outcome's decision, a grant's question.
    pub of: Option<EntryId>,
    /// The plane that speaks.
    pub plane: Option<Plane>,
    /// The mediation point.
    pub point: Option<Point>,
    /// True in development mode, where nothing is to be trusted.
    pub dev: bool,
    /// Name of the log; in its first leaf only.
    pub origin: Option<String>,
    /// What the log keeps from here on; in leaves of kind `retention` only.
    pub retention: Option<Retention>,
}

closed_list! {
    /// What was decided, or what became of the thing recorded.
    Verdict {
        /// It took place, or may.
        Allow = "allow",
        /// It did not, or may not.
        Block = "block",
        /// The task holds until it is resumed.
        Pause = "pause",
        /// People are to approve this exact action first.
        Escalate = "escalate",
        /// The task goes on with a smaller token.
        Narrow = "narrow",
        /// The task goes on with changed arguments or a changed result.
        Modify = "modify",
        /// Not now: at a later time or under a condition, and then once.
        Defer = "defer",
        /// What was done is compensated, in reverse order.
        Rollback = "rollback",
    }
}

closed_list! {
    /// The plane that decided or carried a decision out.
    Plane {
        /// The service, which decides once for all planes.
        Reasoning = "reasoning",
        /// Whatever admits callers to a tool.
        Identity = "identity",
        /// The proxy for connections to the outside.
        Network = "network",
        /// Where code runs.
        Endpoint = "endpoint",
        /// Whatever looks at results before a model does.
        Data = "data",
    }
}

closed_list! {
    /// Where on an agent's loop an action was proposed.
    Point {
        /// The agent says what it is about to do.
        Intent = "intent",
        /// It reads context.
        ContextRead = "context_read",
        /// It calls a model.
        ModelCall = "model_call",
        /// It hands work and authority on.
        Delegation = "delegation",
        /// It calls a tool.
        ToolCall = "tool_call",
        /// A tool's result is about to reach it.
        ToolResult = "tool_result",
        /// Its output is about to leave.
        Commit = "commit",
    }
}

/// SHA-256 of a policy: of a pack's canonical form, or of the text that says what a log keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackDigest(pub [u8; 32]);

impl Leaf {
    /// An allowed entry of this kind, of no time yet and with every list empty. The log's writer gives it its time.
    pub const fn draft(kind: Kind, id: EntryId, trace: TraceId) -> Self {
        Self {
            id,
            kind,
            t_ms: 0,
            trace,
            task: None,
            verdict: Verdict::Allow,
            reasons: Vec::new(),
            pack: None,
            chain: Vec::new(),
            fields: BTreeMap::new(),
            blocks: Vec::new(),
            parents: Vec::new(),
            of: None,
            plane: None,
            point: None,
            dev: false,
            origin: None,
            retention: None,
        }
    }

    /// The same entry with this verdict, for this reason.
    #[must_use]
    pub fn because(self, verdict: Verdict, reason: Reason) -> Self {
        Self { verdict, reasons: vec![reason.code().to_owned()], ..self }
    }

    /// Reads a leaf. The bytes must be the one canonical text of a version 1 envelope; which members go with which kind is not
    /// looked at, so that what later versions add to a kind can be read.
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
        if leaf.encode()? != bytes {
            return Err(malformed("the leaf is not in canonical form"));
        }
        Ok(leaf)
    }

    /// The canonical bytes (RFC 8785), whose leaf hash goes into the tree.
    ///
    /// # Errors
    /// [`Reason::LeafKind`] when its kind demands a member that it lacks or has no member that it has. [`Reason::LeafTooLarge`],
    /// or [`Reason::LeafMalformed`] for a kind, field name or reason outside their alphabets, which are narrow so that nothing
    /// personal can be written there, and for an origin anywhere but in `log.open`.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LogRefusal> {
        self.kind.spec().map_or(Ok(()), |spec| spec.check(self))?;
        self.encode()
    }

    fn encode(&self) -> Result<Vec<u8>, LogRefusal> {
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
        if self.retention.is_some() != (self.kind == Kind::Retention) {
            return Err(malformed("what the log keeps stands in leaves of kind `retention` and nowhere else"));
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
            of: self.of,
            origin: self.origin.clone(),
            pack: self.pack,
            parents: self.parents.clone(),
            plane: self.plane,
            point: self.point,
            reasons: self.reasons.clone(),
            retention: self.retention.as_ref().map(Retention::to_wire),
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
            of: envelope.of,
            plane: envelope.plane,
            point: envelope.point,
            dev: envelope.dev,
            origin: envelope.origin,
            retention: envelope.retention.map(|wire| Retention::from_wire(wire, |kind| is_name(kind, MAX_KIND_BYTES))).transpose()?,
        })
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
    of: Option<EntryId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    pack: Option<PackDigest>,
    parents: Vec<BlockId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plane: Option<Plane>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    point: Option<Point>,
    reasons: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention: Option<RetentionWire>,
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

    fn sample() -> Leaf {
        let field = |name: &str| commit(&Salt::new([3; 16]), name, &Value::Text("x".to_owned()));
        Leaf {
            id: EntryId::new([1; 16]),
            kind: Kind::Decision,
            t_ms: 1_763_700_000_123,
            trace: TraceId::new([2; 16]),
            task: Some(TaskId::new([3; 16])),
            verdict: Verdict::Escalate,
            reasons: vec!["EXPIRED".to_owned()],
            pack: Some(PackDigest([4; 32])),
            chain: vec![field("chain/0"), field("chain/1")],
            fields: ["args", "tool"].map(|name| (name.to_owned(), field(name))).into(),
            blocks: vec![BlockId::new([5; 32]), BlockId::new([6; 32])],
            parents: Vec::new(),
            of: Some(EntryId::new([7; 16])),
            plane: Some(Plane::Reasoning),
            point: Some(Point::ToolCall),
            dev: true,
            origin: None,
            retention: None,
        }
    }

    fn kept() -> Leaf {
        let retention = Retention {
            announced_ms: 1_763_700_000_000,
            deleted: 256,
            expired: [("*".to_owned(), 700), ("approval.ask".to_owned(), 0)].into(),
            minimum: 512,
            policy: PackDigest([8; 32]),
        };
        Leaf { retention: Some(retention), ..Leaf::draft(Kind::Retention, EntryId::new([1; 16]), TraceId::new([2; 16])) }
    }

    fn text(leaf: &Leaf) -> String {
        String::from_utf8(leaf.to_bytes().unwrap()).unwrap()
    }

    #[test]
    fn leaves_read_back_and_are_canonical_json() {
        let origin = Some("log.example/narrows \"ü\n".to_owned());
        let open = Leaf { t_ms: 1, origin, ..Leaf::draft(Kind::LogOpen, EntryId::new([1; 16]), TraceId::new([2; 16])) };
        let other = Leaf { kind: Kind::Other("later.kind".to_owned()), ..sample() };
        for leaf in [sample(), open, other, kept()] {
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
        let good = text(&sample());
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
            good.replacen("\"c\":{", "\"c\":{\"args\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",", 1),
            good.replacen("\"kind\":\"decision\"", "\"kind\":\"decisi\\u006fn\"", 1),
            good.replacen("\"kind\":\"decision\"", "\"kind\":\"Decision\"", 1),
            good.replacen("\"kind\":\"decision\"", "\"kind\":\"\"", 1),
            good.replacen("\"kind\":\"decision\"", "\"kind\":\"log.open\"", 1),
            good.replacen("\"kind\":\"decision\"", "\"kind\":\"decision\",\"origin\":\"log\"", 1),
            good.replacen("EXPIRED", "alice has expired", 1),
            good.replacen("\"tool\"", "\"tool of alice\"", 1),
            good.replacen("\"tool\"", "\"chain/0\"", 1),
            good.replacen("\"t_ms\":\"1", "\"t_ms\":\"01", 1),
            good.replacen("\"t_ms\":\"1", "\"t_ms\":\"+1", 1),
            good.replacen("\"t_ms\":\"1763700000123\"", "\"t_ms\":1763700000123", 1),
            good.replacen("sha256:", "sha512:", 1),
            good.replacen("\"task\":\"03030303030303030303030303030303\",", "", 1),
            good.replacen("escalate", "maybe", 1),
            good.replacen("reasoning", "cosmic", 1),
            good.replacen("tool_call", "tool.call", 1),
            good.replacen("\"plane\":\"reasoning\"", "\"plane\":null", 1),
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
    fn what_a_log_keeps_is_read_strictly() {
        let good = text(&kept());
        for (from, to) in [
            ("\"kind\":\"retention\"", "\"kind\":\"decision\""),
            ("\"retention\":{", "\"retention\":{\"also\":1,"),
            ("\"minimum\":\"512\"", "\"minimum\":\"513\""),
            ("\"minimum\":\"512\"", "\"minimum\":\"0\""),
            ("\"minimum\":\"512\"", "\"minimum\":\"0512\""),
            ("\"minimum\":\"512\"", "\"minimum\":512"),
            ("\"minimum\":\"512\"", "\"minimum\":\"4611686018427388160\""),
            ("\"deleted\":\"256\"", "\"deleted\":\"255\""),
            ("\"*\":\"700\"", "\"*\":\"-1\""),
            ("\"*\":\"700\"", "\"**\":\"700\""),
            ("\"*\":\"700\"", "\"*\":\"700\",\"*\":\"701\""),
            ("\"approval.ask\"", "\"Approval\""),
            ("\"policy\":\"sha256:", "\"policy\":\"sha512:"),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good);
            assert_eq!(Leaf::parse(changed.as_bytes()).unwrap_err().reason, Reason::LeafMalformed, "{to}");
        }
        let without = Leaf { retention: None, ..kept() };
        assert_eq!(without.to_bytes().unwrap_err().reason, Reason::LeafMalformed);
        let elsewhere = Leaf { retention: kept().retention, ..sample() };
        assert_eq!(elsewhere.to_bytes().unwrap_err().reason, Reason::LeafMalformed);
    }

    #[test]
    fn a_leaf_beyond_the_bundle_limit_can_not_be_written() {
        let flood = Leaf { blocks: vec![BlockId::new([0; 32]); 1000], ..sample() };
        assert_eq!(flood.to_bytes().unwrap_err().reason, Reason::LeafTooLarge);
    }

    #[test]
    fn names_find_their_commitment() {
        let leaf = sample();
        assert_eq!(leaf.commitment("chain/1"), leaf.chain.get(1));
        assert_eq!(leaf.commitment("tool"), leaf.fields.get("tool"));
        for name in ["chain/2", "chain/01", "chain/+1", "chain/", "chain", "nothing"] {
            assert_eq!(leaf.commitment(name), None, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_leaf_with_any_changed_byte_is_another_leaf_or_none(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let leaf = sample();
            let mut bytes = leaf.to_bytes().unwrap();
            let position = at.index(bytes.len());
            bytes[position] ^= 1 << bit;
            if let Ok(read) = Leaf::parse(&bytes) {
                prop_assert_ne!(&read, &leaf);
                prop_assert_eq!(read.encode().unwrap(), bytes);
            }
        }
    }
}
