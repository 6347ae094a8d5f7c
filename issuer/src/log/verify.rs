//! The full check: recompute the whole log from its leaves and name the first thing that differs.

use std::collections::BTreeMap;
use std::path::Path;

use narrows_verifier::Reason;
use narrows_verifier::log::{
    Checkpoint, EntryId, Frontier, Hash, Kind, Leaf, LogRefusal, Node, OutOfRange, TILE_WIDTH, VerifierKey, leaf_hash, verify,
    verify_checkpoint,
};

use super::revocations::Endings;
use crate::store::{Head, Rows, Snapshot, StoreError, Unsealed, is_stored};

/// What the auditor brings: things that the log gave out earlier and must still stand by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'a> {
    /// Receipts with the exact bytes of their leaves.
    pub receipts: &'a [(String, Vec<u8>)],
    /// Signed checkpoints kept from earlier; they reveal a log that was cut or rewritten with its own key.
    pub checkpoints: &'a [String],
}

/// What a full check found in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Name of the log.
    pub origin: String,
    /// Number of leaves, each hashed anew.
    pub size: u64,
    /// The root computed from them.
    pub root: Hash,
    /// Checkpoints whose signature and root were checked.
    pub checkpoints: u64,
    /// Derivation rows that agree with their leaf.
    pub derivations: u64,
    /// Revocations in the table that agree with their leaves.
    pub revocations: u64,
    /// Commitments that a disclosure opens.
    pub disclosures: u64,
    /// Commitments whose disclosure was erased: the value is gone, or the key that opened it.
    pub erased: u64,
    /// Commitments without a disclosure here, such as all of them where the subjects' keys are not at hand.
    pub withheld: u64,
    /// Receipts that verify against this very log.
    pub receipts: u64,
}

/// The first thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}{} ({reason})", index.map(|index| format!(", at leaf {index}")).unwrap_or_default())]
pub struct Finding {
    /// The stable code.
    pub reason: Reason,
    /// The leaf concerned, or the first of those that a changed hash covers.
    pub index: Option<u64>,
    /// What was found.
    pub detail: String,
}

/// Checks a log's database file: leaves, hashes, head, every checkpoint, derivations, disclosures and the given evidence.
/// The file is opened for reading only, and may be in use.
///
/// # Errors
/// The first [`Finding`].
pub fn check_database(path: &Path, key: &VerifierKey, evidence: Evidence<'_>) -> Result<Report, Finding> {
    let snapshot = Snapshot::open(path)?;
    let rows = snapshot.rows();
    let head = rows.head()?.ok_or_else(|| Finding::new(Reason::LogTailMissing, None, "the log's head is missing"))?;
    let mut walk = Walk::new(key, evidence)?;
    let mut checkpoints = Checkpoints { key, next: rows.next_checkpoint(0)?, seen: 0 };
    let (mut nodes, mut endings) = (0, Endings::default());
    loop {
        let page = rows.leaves(walk.size(), TILE_WIDTH)?;
        if page.is_empty() {
            break;
        }
        for stored in page {
            let index = walk.size();
            if stored.index != index {
                return Err(Finding::new(Reason::LogLeafMissing, Some(index), "a leaf is missing"));
            }
            if leaf_hash(&stored.bytes) != stored.hash {
                return Err(Finding::new(Reason::LogLeafChanged, Some(index), "a leaf does not hash to its stored hash"));
            }
            let (leaf, completed) = walk.append(&stored.bytes)?;
            for node in completed.iter().filter(|node| is_stored(node.level)) {
                check_node(&rows, node)?;
                nodes += 1;
            }
            endings.meet(index, &leaf);
            if leaf.id != stored.entry {
                return Err(Finding::new(Reason::LogIndexChanged, Some(index), "a leaf is filed under another entry id"));
            }
            checkpoints.at(&rows, &walk.frontier)?;
        }
    }
    check_end(&rows, &head, &walk, &checkpoints, nodes)?;
    let derivations = check_derivations(&rows)?;
    let (disclosures, erased) = check_disclosures(&rows)?;
    let revocations = endings.check(&rows, head.last_t_ms / 1000)?;
    let withheld = walk.commitments.saturating_sub(disclosures + erased);
    Ok(Report { checkpoints: checkpoints.seen, derivations, revocations, disclosures, erased, withheld, ..walk.finish()? })
}

/// Appends leaf after leaf and compares roots with those that the evidence claims on the way.
pub(super) struct Walk<'k> {
    key: &'k VerifierKey,
    frontier: Frontier,
    /// Sizes and roots that the log has signed for, with the code to report when they don't hold.
    claims: BTreeMap<u64, Vec<Claim>>,
    receipts: u64,
    /// Commitments in all leaves so far.
    commitments: u64,
}

struct Claim {
    root: Hash,
    reason: Reason,
    index: Option<u64>,
}

impl<'k> Walk<'k> {
    pub(super) fn new(key: &'k VerifierKey, evidence: Evidence<'_>) -> Result<Self, Finding> {
        let keys = std::slice::from_ref(key);
        let mut claims: BTreeMap<u64, Vec<Claim>> = BTreeMap::new();
        for (receipt, leaf) in evidence.receipts {
            let proved = verify(receipt, leaf, keys)
                .map_err(|refusal| Finding::new(Reason::LogReceiptInvalid, None, format!("a receipt does not verify: {refusal}")))?;
            let claim = Claim { root: proved.root, reason: Reason::LogReceiptInvalid, index: Some(proved.index) };
            claims.entry(proved.size).or_default().push(claim);
        }
        for note in evidence.checkpoints {
            let Checkpoint { size, root, .. } = verify_checkpoint(note, keys)?;
            claims.entry(size).or_default().push(Claim { root, reason: Reason::LogRootMismatch, index: None });
        }
        Ok(Self { key, frontier: Frontier::empty(), claims, receipts: evidence.receipts.len() as u64, commitments: 0 })
    }

    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(Leaf, Vec<Node>), Finding> {
        let index = self.size();
        let leaf = Leaf::parse(bytes).map_err(|refusal| Finding::new(refusal.reason, Some(index), refusal.detail))?;
        // The first leaf ties the tree to its name, and a second beginning would be another log grafted on.
        let opens = leaf.kind == Kind::LogOpen;
        if opens != (index == 0) {
            return Err(Finding::new(Reason::LeafMalformed, Some(index), "the first leaf, and no other, opens the log"));
        }
        if opens && leaf.origin.as_deref() != Some(self.key.name()) {
            return Err(Finding::new(Reason::CheckpointSignature, Some(index), "the log opened under another name than that of the key"));
        }
        self.commitments += (leaf.chain.len() + leaf.fields.len()) as u64;
        let completed = self.frontier.append(leaf_hash(bytes))?;
        for claim in self.claims.remove(&self.size()).unwrap_or_default() {
            if claim.root != self.frontier.root() {
                return Err(Finding::new(claim.reason, claim.index, "the log is not the one that was signed for earlier"));
            }
        }
        Ok((leaf, completed))
    }

    pub(super) fn finish(self) -> Result<Report, Finding> {
        if let Some(claim) = self.claims.values().flatten().next() {
            let detail = "the log is shorter than one that was signed for earlier";
            return Err(Finding::new(Reason::LogTailMissing, claim.index.or(Some(self.size())), detail));
        }
        Ok(Report {
            origin: self.key.name().to_owned(),
            size: self.size(),
            root: self.frontier.root(),
            checkpoints: 0,
            derivations: 0,
            revocations: 0,
            disclosures: 0,
            erased: 0,
            withheld: self.commitments,
            receipts: self.receipts,
        })
    }
}

/// The stored checkpoints, met one after the other as the tree grows.
struct Checkpoints<'k> {
    key: &'k VerifierKey,
    next: Option<crate::store::StoredCheckpoint>,
    seen: u64,
}

impl Checkpoints<'_> {
    fn at(&mut self, rows: &Rows<'_>, frontier: &Frontier) -> Result<(), Finding> {
        let Some(stored) = self.next.take_if(|stored| stored.size == frontier.size()) else { return Ok(()) };
        let last = stored.size.checked_sub(1);
        let signed = verify_checkpoint(&stored.note, std::slice::from_ref(self.key))
            .map_err(|refusal| Finding::new(refusal.reason, last, refusal.detail))?;
        if signed.size != stored.size || signed.root != stored.root || signed.root != frontier.root() {
            return Err(Finding::new(Reason::LogRootMismatch, last, "the leaves do not lead to the root of a checkpoint"));
        }
        self.next = rows.next_checkpoint(stored.size)?;
        self.seen += 1;
        Ok(())
    }
}

fn check_node(rows: &Rows<'_>, node: &Node) -> Result<(), Finding> {
    if rows.node(node.level, node.index)? == Some(node.hash) {
        return Ok(());
    }
    let detail = format!("the stored hash over {} leaves differs from theirs", 1u64 << node.level);
    Err(Finding::new(Reason::LogHashChanged, Some(node.index << node.level), detail))
}

fn check_end(rows: &Rows<'_>, head: &Head, walk: &Walk<'_>, checkpoints: &Checkpoints<'_>, nodes: u64) -> Result<(), Finding> {
    let size = walk.size();
    if size < head.size || checkpoints.next.is_some() {
        return Err(Finding::new(Reason::LogTailMissing, Some(size), "leaves that the log has signed for are missing"));
    }
    if size > head.size {
        return Err(Finding::new(Reason::LogRootMismatch, Some(head.size), "leaves lie beyond the log's head"));
    }
    if walk.frontier.root() != head.root {
        return Err(Finding::new(Reason::LogRootMismatch, None, "the leaves do not lead to the head's root"));
    }
    if rows.newest_checkpoint()?.is_none_or(|newest| newest.size != size) {
        return Err(Finding::new(Reason::LogRootMismatch, None, "no checkpoint signs the head"));
    }
    if rows.checkpoint_count()? != checkpoints.seen || rows.node_count()? != nodes {
        return Err(Finding::new(Reason::LogHashChanged, None, "the log holds hashes or checkpoints that belong to no leaf"));
    }
    Ok(())
}

fn check_derivations(rows: &Rows<'_>) -> Result<u64, Finding> {
    let mut count = 0;
    rows.for_each_derivation(|block, index| {
        let leaf = rows.leaf(index)?.and_then(|stored| Leaf::parse(&stored.bytes).ok());
        if !leaf.is_some_and(|leaf| leaf.blocks.contains(&block)) {
            return Err(Finding::new(Reason::LogIndexChanged, Some(index), "a derivation is filed under a leaf that does not name it"));
        }
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// The numbers of disclosures that open their commitment, and of erased ones.
fn check_disclosures(rows: &Rows<'_>) -> Result<(u64, u64), Finding> {
    let (mut opened, mut erased) = (0, 0);
    rows.for_each_disclosure(|entry: EntryId, name, disclosure| {
        let stored = rows.leaf_by_entry(&entry)?;
        let index = stored.as_ref().map(|stored| stored.index);
        let leaf = stored.and_then(|stored| Leaf::parse(&stored.bytes).ok());
        // Also a row without a value must belong to a commitment, or it would count as one that was erased.
        let commitment = leaf.as_ref().and_then(|leaf| leaf.commitment(name));
        let sound = match (commitment, disclosure) {
            (Some(commitment), Unsealed::Disclosed(disclosure)) if disclosure.opens(commitment) => {
                opened += 1;
                true
            }
            (Some(_), Unsealed::Erased) => {
                erased += 1;
                true
            }
            (Some(_), Unsealed::Withheld) => true,
            _ => false,
        };
        if sound {
            return Ok(());
        }
        Err(Finding::new(Reason::DisclosureMismatch, index, "a disclosure does not open its leaf's commitment"))
    })?;
    Ok((opened, erased))
}

impl Finding {
    pub(super) fn new(reason: Reason, index: Option<u64>, detail: impl Into<String>) -> Self {
        Self { reason, index, detail: detail.into() }
    }
}

impl From<StoreError> for Finding {
    fn from(error: StoreError) -> Self {
        Self::new(error.reason(), None, error.to_string())
    }
}

impl From<LogRefusal> for Finding {
    fn from(refusal: LogRefusal) -> Self {
        Self::new(refusal.reason, None, refusal.detail)
    }
}

impl From<OutOfRange> for Finding {
    fn from(error: OutOfRange) -> Self {
        StoreError::from(error).into()
    }
}
