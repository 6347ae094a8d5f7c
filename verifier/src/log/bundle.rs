//! Evidence in one text: leaves with proofs under one checkpoint, to be checked by whoever has never seen the log.
//!
//! The format is `narrows-audit/1`, written down in `docs/audit-log.md`. Nothing in a bundle vouches for itself: the
//! verifier brings the log's key.

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::checkpoint::{Checkpoint, verify_checkpoint};
use super::commitment::{Disclosure, Salt};
use super::hash::{Hash, leaf_hash};
use super::kind::Kind;
use super::leaf::{Leaf, PackDigest};
use super::note::{Note, VerifierKey};
use super::refusal::LogRefusal;
use super::retention::Retention;
use super::selection::Selection;
use super::tree::verify_inclusion;
use crate::Reason;
use crate::json::{self, Limits};

/// Evidence as handed out: the answer of every reading endpoint, and an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// What was asked for.
    pub selection: Selection,
    /// The signed checkpoint, word for word, that all proofs lead to.
    pub checkpoint: String,
    /// The keys that signed it, as the log says; the verifier pins its own.
    pub keys: Vec<VerifierKey>,
    /// The policy packs that the leaves name, ascending; see [`packs_of`].
    pub packs: Vec<PackDigest>,
    /// The leaves, in the order of the log.
    pub entries: Vec<BundleEntry>,
    /// The last index looked at, where the selection goes on; `None` when it is exhausted.
    pub next: Option<u64>,
    /// The leaf that says what the log no longer keeps, without disclosures; `None` where all of it is kept.
    pub retention: Option<BundleEntry>,
}

/// One leaf with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleEntry {
    /// Position in the log.
    pub index: u64,
    /// The leaf's exact text.
    pub leaf: String,
    /// The inclusion proof under the bundle's checkpoint.
    pub proof: Vec<Hash>,
    /// What opens commitments of the leaf, as far as it is handed out.
    pub disclosures: Vec<Disclosure>,
}

/// A bundle in which everything holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBundle {
    /// The signed size and root.
    pub checkpoint: Checkpoint,
    /// The leaves, each proven to be in the log.
    pub entries: Vec<VerifiedEntry>,
    /// The policy packs that the leaves name, without repetition.
    pub packs: Vec<PackDigest>,
    /// True when the selection is a plain range and no leaf of it is left out that the log still keeps.
    pub gapless: bool,
    /// True when leaves may follow that belong to the selection.
    pub goes_on: bool,
    /// What the log keeps, by its own leaf, which is proven as the others are; `None` where it says nothing.
    pub retention: Option<LoggedRetention>,
}

/// What a log keeps, as a leaf of it says. Whether it is the newest such leaf, a bundle does not show: an older one promises more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRetention {
    /// Position of the leaf.
    pub index: u64,
    /// What it says.
    pub state: Retention,
}

/// A leaf that is in the log, with the disclosures that open its commitments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedEntry {
    /// Position in the log.
    pub index: u64,
    /// The leaf.
    pub leaf: Leaf,
    /// What opens its commitments, as far as it was handed out.
    pub disclosures: Vec<Disclosure>,
}

/// What is wrong with a bundle, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{} ({})", .refusal.detail, .index.map(|index| format!(", at leaf {index}")).unwrap_or_default(), .refusal.reason)]
pub struct BundleRefusal {
    /// The reason and a phrase.
    pub refusal: LogRefusal,
    /// The leaf concerned, where it is one.
    pub index: Option<u64>,
}

impl Bundle {
    /// Reads a bundle; checks its form only.
    ///
    /// # Errors
    /// [`Reason::BundleMalformed`].
    pub fn parse(text: &str) -> Result<Self, LogRefusal> {
        if text.len() > MAX_BUNDLE_BYTES {
            return Err(malformed("the bundle is larger than 64 MiB"));
        }
        let wire: Wire = serde_json::from_str(text).map_err(|_| malformed("the text is not a bundle of format `narrows-audit/1`"))?;
        if wire.format != FORMAT {
            return Err(malformed("the format is not `narrows-audit/1`"));
        }
        if wire.entries.len() > MAX_BUNDLE_ENTRIES || wire.keys.len() > MAX_KEYS {
            return Err(malformed("the bundle has more entries or keys than may be"));
        }
        let keys = wire.keys.iter().map(|key| VerifierKey::parse(key)).collect::<Result<_, _>>()?;
        Ok(Self {
            selection: wire.selection,
            checkpoint: wire.checkpoint,
            keys,
            packs: wire.packs,
            entries: wire.entries.into_iter().map(BundleEntry::from_wire).collect::<Result<_, _>>()?,
            next: wire.next,
            retention: wire.retention.map(BundleEntry::from_wire).transpose()?,
        })
    }

    /// The bundle's text.
    pub fn to_text(&self) -> String {
        let wire = Wire {
            format: FORMAT.to_owned(),
            selection: self.selection.clone(),
            checkpoint: self.checkpoint.clone(),
            keys: self.keys.iter().map(ToString::to_string).collect(),
            packs: self.packs.clone(),
            entries: self.entries.iter().map(BundleEntry::to_wire).collect(),
            next: self.next,
            retention: self.retention.as_ref().map(BundleEntry::to_wire),
        };
        // Plain strings and numbers always serialise; an empty text would be refused by every reader.
        serde_json::to_string(&wire).unwrap_or_default()
    }

    /// Checks everything under the log keys that the verifier has pinned: the checkpoint's signature, each leaf's place in the
    /// tree, that each belongs to the selection, each disclosure, and the claims about keys and packs.
    ///
    /// What it can't show is that a search left nothing out: for that, take a plain range, which is checked for gaps.
    ///
    /// # Errors
    /// The first refusal, with the leaf it is at.
    pub fn verify(&self, pinned: &[VerifierKey]) -> Result<VerifiedBundle, BundleRefusal> {
        let checkpoint = verify_checkpoint(&self.checkpoint, pinned)?;
        self.verify_keys(pinned)?;
        let retention = self.retention.as_ref().map(|entry| verify_retention(entry, &checkpoint)).transpose()?;
        let mut entries: Vec<VerifiedEntry> = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let at = |refusal| BundleRefusal { refusal, index: Some(entry.index) };
            if entries.last().is_some_and(|last| last.index >= entry.index) {
                return Err(at(malformed("entries are not in the order of the log, or one is there twice")));
            }
            entries.push(self.verify_entry(entry, &checkpoint).map_err(at)?);
        }
        if let (Some(next), Some(last)) = (self.next, entries.last())
            && next < last.index
        {
            return Err(malformed("the bundle goes on before its last leaf").into());
        }
        let gapless = self.selection.is_range();
        if gapless {
            self.verify_range(&checkpoint, retention.as_ref().map_or(0, |retention| retention.state.minimum))?;
        }
        // A claim that the leaves decide must not say anything else.
        if self.packs != packs_of(&self.entries) {
            return Err(malformed("the list of packs is not that of the leaves").into());
        }
        Ok(VerifiedBundle { checkpoint, entries, packs: self.packs.clone(), gapless, goes_on: self.next.is_some(), retention })
    }

    fn verify_entry(&self, entry: &BundleEntry, checkpoint: &Checkpoint) -> Result<VerifiedEntry, LogRefusal> {
        let bytes = entry.leaf.as_bytes();
        verify_inclusion(&leaf_hash(bytes), entry.index, checkpoint.size, &entry.proof, &checkpoint.root)?;
        let leaf = Leaf::parse(bytes)?;
        let mut names = BTreeSet::new();
        for disclosure in &entry.disclosures {
            let opens = leaf.commitment(&disclosure.name).is_some_and(|commitment| disclosure.opens(commitment));
            if !opens || !names.insert(disclosure.name.as_str()) {
                return Err(LogRefusal::new(Reason::DisclosureMismatch, "a disclosure does not open its leaf's commitment"));
            }
        }
        // Where names are asked for and withheld from this reader, whether they match can't be seen.
        let names_hold = entry.disclosures.is_empty() || self.selection.names_match(&entry.disclosures);
        if !self.selection.clear_matches(entry.index, &leaf) || !names_hold {
            return Err(LogRefusal::new(Reason::BundleSelection, "a leaf does not belong to what was asked for"));
        }
        Ok(VerifiedEntry { index: entry.index, leaf, disclosures: entry.disclosures.clone() })
    }

    /// The keys are claims, but none may be made up: each must have signed, and the pinned one that did must be named.
    fn verify_keys(&self, pinned: &[VerifierKey]) -> Result<(), LogRefusal> {
        let note = Note::parse(&self.checkpoint)?;
        for key in &self.keys {
            note.verify(std::slice::from_ref(key))?;
        }
        if note.verify(pinned)?.iter().any(|key| !self.keys.contains(key)) {
            return Err(malformed("the list of keys lacks one that signed"));
        }
        Ok(())
    }

    /// What is pruned may be missing; from the minimum index on, nothing may.
    fn verify_range(&self, checkpoint: &Checkpoint, minimum: u64) -> Result<(), BundleRefusal> {
        let first = self.selection.after.map_or(0, |after| after.saturating_add(1)).max(minimum);
        let end = self.next.map_or(u64::MAX, |next| next.saturating_add(1));
        let end = end.min(self.selection.before.unwrap_or(u64::MAX)).min(checkpoint.size);
        let mut expected = first;
        for entry in self.entries.iter().filter(|entry| entry.index >= minimum) {
            if entry.index != expected {
                return Err(missing(expected));
            }
            expected += 1;
        }
        if expected < end { Err(missing(expected)) } else { Ok(()) }
    }
}

/// The statement of what is kept is proven as every leaf is.
fn verify_retention(entry: &BundleEntry, checkpoint: &Checkpoint) -> Result<LoggedRetention, BundleRefusal> {
    let at = |refusal| BundleRefusal { refusal, index: Some(entry.index) };
    let bytes = entry.leaf.as_bytes();
    verify_inclusion(&leaf_hash(bytes), entry.index, checkpoint.size, &entry.proof, &checkpoint.root).map_err(at)?;
    let leaf = Leaf::parse(bytes).map_err(at)?;
    let state = leaf.retention.filter(|state| leaf.kind == Kind::Retention && state.follows(None, entry.index));
    match state.filter(|_| entry.disclosures.is_empty()) {
        Some(state) => Ok(LoggedRetention { index: entry.index, state }),
        None => Err(at(malformed("the leaf under `retention` does not say what the log keeps"))),
    }
}

/// The policy packs that leaves name, ascending and without repetition. A leaf that can't be read names none, and is refused
/// when it is verified.
pub fn packs_of(entries: &[BundleEntry]) -> Vec<PackDigest> {
    let leaves = entries.iter().filter_map(|entry| Leaf::parse(entry.leaf.as_bytes()).ok());
    let packs: BTreeSet<[u8; 32]> = leaves.filter_map(|leaf| leaf.pack.map(|pack| pack.0)).collect();
    packs.into_iter().map(PackDigest).collect()
}

impl From<LogRefusal> for BundleRefusal {
    fn from(refusal: LogRefusal) -> Self {
        Self { refusal, index: None }
    }
}

impl BundleEntry {
    fn to_wire(&self) -> WireEntry {
        let disclosure = |disclosure: &Disclosure| WireDisclosure {
            name: disclosure.name.clone(),
            salt: disclosure.salt.to_string(),
            value: disclosure.value.canonical(),
        };
        WireEntry {
            index: self.index,
            leaf: self.leaf.clone(),
            proof: self.proof.iter().map(Hash::to_base64).collect(),
            disclosures: self.disclosures.iter().map(disclosure).collect(),
        }
    }

    fn from_wire(wire: WireEntry) -> Result<Self, LogRefusal> {
        let disclosure = |wire: WireDisclosure| {
            let salt = URL_SAFE_NO_PAD.decode(&wire.salt).ok().and_then(|bytes| Salt::from_slice(&bytes));
            let value = json::parse(wire.value.as_bytes(), DISCLOSURE_LIMITS).ok().filter(|value| value.canonical() == wire.value);
            match (salt, value) {
                (Some(salt), Some(value)) => Ok(Disclosure { name: wire.name, salt, value }),
                _ => Err(malformed("a disclosure is not a salt of 16 bytes and a canonical JSON value")),
            }
        };
        if wire.proof.len() > MAX_PROOF_HASHES || wire.disclosures.len() > MAX_DISCLOSURES {
            return Err(malformed("an entry's proof is too long, or it has too many disclosures"));
        }
        let hash = |text: &String| Hash::from_base64(text).ok_or_else(|| malformed("a hash of a proof is not base64 of 32 bytes"));
        Ok(Self {
            index: wire.index,
            proof: wire.proof.iter().map(hash).collect::<Result<_, _>>()?,
            disclosures: wire.disclosures.into_iter().map(disclosure).collect::<Result<_, _>>()?,
            leaf: wire.leaf,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    format: String,
    selection: Selection,
    checkpoint: String,
    keys: Vec<String>,
    packs: Vec<PackDigest>,
    entries: Vec<WireEntry>,
    next: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention: Option<WireEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    index: u64,
    leaf: String,
    proof: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    disclosures: Vec<WireDisclosure>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDisclosure {
    name: String,
    salt: String,
    value: String,
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::BundleMalformed, detail)
}

const fn missing(index: u64) -> BundleRefusal {
    let refusal = LogRefusal::new(Reason::BundleGap, "a leaf of the range is missing, or lies outside of it");
    BundleRefusal { refusal, index: Some(index) }
}

/// The largest bundle that is read.
pub const MAX_BUNDLE_BYTES: usize = 64 << 20;

/// The most leaves in one bundle.
pub const MAX_BUNDLE_ENTRIES: usize = 65_536;

const FORMAT: &str = "narrows-audit/1";
const MAX_KEYS: usize = 16;
const MAX_PROOF_HASHES: usize = 64;
const MAX_DISCLOSURES: usize = 256;
/// As much as one request could bring in.
const DISCLOSURE_LIMITS: Limits = Limits { bytes: 64 * 1024, depth: 32, values: 8192 };
