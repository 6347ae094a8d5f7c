//! The full check: recompute the whole log from its leaves and name the first thing that differs.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use narrows_verifier::Reason;
use narrows_verifier::log::{
    Checkpoint, Disclosure, EntryId, Frontier, Hash, Kind, Leaf, LogRefusal, LoggedRetention, Node, OutOfRange, Retention, TILE_WIDTH,
    VerifierKey, leaf_hash, verify, verify_checkpoint,
};

use super::pauses::Pauses;
use super::registrations::Registrations;
use super::revocations::Endings;
use super::root_keys::KeyLeaves;
use crate::store::{Head, RetentionRow, Rows, Snapshot, StoreError, Unsealed, is_stored};

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
    /// What the table has as paused, each as its leaf says.
    pub paused: u64,
    /// Registered clients in the table that agree with their leaves.
    pub clients: u64,
    /// Keys that sign tokens, or did, in the table that agree with their leaves.
    pub keys: u64,
    /// Commitments that a disclosure opens.
    pub disclosures: u64,
    /// Commitments whose disclosure was erased: the value is gone, or the key that opened it.
    pub erased: u64,
    /// Commitments whose disclosure was kept for as long as it was to be.
    pub expired: u64,
    /// Commitments without a disclosure here, such as all of them where the subjects' keys are not at hand.
    pub withheld: u64,
    /// Receipts that verify against this very log.
    pub receipts: u64,
    /// Leaves of which only the hash was there. They are part of the signed tree, and what they say can't be read any more.
    pub unread: u64,
    /// What the log says that it keeps, by its newest leaf about that; `None` while it says nothing.
    pub retention: Option<LoggedRetention>,
}

impl Report {
    /// The sentence for a log that no longer hands out all of its leaves.
    pub fn pruned(&self) -> Option<String> {
        self.retention.as_ref().map(|logged| &logged.state).filter(|state| state.minimum > 0).map(pruned_under)
    }
}

/// Says from where on a log is there, and under which policy.
pub fn pruned_under(state: &Retention) -> String {
    format!("leaves below {} are pruned under policy {}", state.minimum, state.policy)
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
    let (mut nodes, mut endings, mut pauses) = (0, Endings::default(), Pauses::default());
    let (mut registrations, mut keys) = (Registrations::default(), KeyLeaves::default());
    // Held against the newest leaf about it below: until then, the row may say what it likes.
    let deleted = rows.retention()?.map_or(0, |row| row.deleted);
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
            if stored.is_deleted() && index > 0 && index < deleted {
                nodes += check_nodes(&rows, &walk.append_hash(stored.hash)?)?;
                checkpoints.at(&rows, &walk.frontier)?;
                pauses.pass(index);
                registrations.pass(index);
                continue;
            }
            if leaf_hash(&stored.bytes) != stored.hash {
                return Err(Finding::new(Reason::LogLeafChanged, Some(index), "a leaf does not hash to its stored hash"));
            }
            let (leaf, completed) = walk.append(&stored.bytes)?;
            nodes += check_nodes(&rows, &completed)?;
            endings.meet(index, &leaf);
            pauses.meet(index, &leaf);
            registrations.meet(index, &leaf);
            keys.meet(index, &leaf);
            if leaf.id != stored.entry {
                return Err(Finding::new(Reason::LogIndexChanged, Some(index), "a leaf is filed under another entry id"));
            }
            checkpoints.at(&rows, &walk.frontier)?;
        }
    }
    check_end(&rows, &head, &walk, &checkpoints, nodes)?;
    check_retention(&rows, walk.retention.as_ref())?;
    let derivations = check_derivations(&rows)?;
    let Opened { disclosures, erased, expired } = check_disclosures(&rows, walk.retention.as_ref())?;
    let revocations = endings.check(&rows, head.last_t_ms / 1000)?;
    let paused = pauses.check(&rows)?;
    let clients = registrations.check(&rows)?;
    let keys = keys.check(&rows)?;
    let withheld = walk.commitments.saturating_sub(disclosures + erased + expired);
    Ok(Report {
        checkpoints: checkpoints.seen,
        derivations,
        revocations,
        paused,
        clients,
        keys,
        disclosures,
        erased,
        expired,
        withheld,
        ..walk.finish()?
    })
}

/// Appends leaf after leaf and compares roots with those that the evidence claims on the way.
pub(super) struct Walk<'k> {
    key: &'k VerifierKey,
    frontier: Frontier,
    /// Sizes and roots that the log has signed for, with the code to report when they don't hold.
    claims: BTreeMap<u64, Vec<Claim>>,
    receipts: u64,
    /// Commitments in all leaves so far that could be read.
    commitments: u64,
    /// Leaves that were no more than a hash, and the index behind the last of them.
    unread: u64,
    unread_to: u64,
    /// The newest leaf about what the log keeps.
    retention: Option<LoggedRetention>,
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
        let receipts = evidence.receipts.len() as u64;
        Ok(Self { key, frontier: Frontier::empty(), claims, receipts, commitments: 0, unread: 0, unread_to: 0, retention: None })
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
        if let Some(state) = &leaf.retention {
            if !state.follows(self.retention.as_ref().map(|logged| &logged.state), index) {
                let detail = "a leaf says that something came back which had gone, or speaks of leaves to come";
                return Err(Finding::new(Reason::LogRetentionChanged, Some(index), detail));
            }
            self.retention = Some(LoggedRetention { index, state: state.clone() });
        }
        let completed = self.grow(leaf_hash(bytes))?;
        Ok((leaf, completed))
    }

    /// Appends a leaf of which only the hash is there.
    pub(super) fn append_hash(&mut self, hash: Hash) -> Result<Vec<Node>, Finding> {
        self.unread += 1;
        self.unread_to = self.size() + 1;
        self.grow(hash)
    }

    /// The first leaf that was no more than a hash although the log says to hand it out; `None` where there is none.
    pub(super) fn left_out(&self) -> Option<u64> {
        let minimum = self.retention.as_ref().map_or(0, |logged| logged.state.minimum);
        (self.unread_to > minimum).then_some(minimum)
    }

    fn grow(&mut self, hash: Hash) -> Result<Vec<Node>, Finding> {
        let completed = self.frontier.append(hash)?;
        for claim in self.claims.remove(&self.size()).unwrap_or_default() {
            if claim.root != self.frontier.root() {
                return Err(Finding::new(claim.reason, claim.index, "the log is not the one that was signed for earlier"));
            }
        }
        Ok(completed)
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
            paused: 0,
            clients: 0,
            keys: 0,
            disclosures: 0,
            erased: 0,
            expired: 0,
            withheld: self.commitments,
            receipts: self.receipts,
            unread: self.unread,
            retention: self.retention,
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

/// Compares the nodes that have rows of their own, and counts them.
fn check_nodes(rows: &Rows<'_>, completed: &[Node]) -> Result<u64, Finding> {
    let stored = || completed.iter().filter(|node| is_stored(node.level));
    stored().try_for_each(|node| check_node(rows, node))?;
    Ok(stored().count() as u64)
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
        // A row that leads to a deleted leaf leads to nothing that could name the block: it was to go with the bytes.
        let leaf = rows.leaf(index)?.and_then(|stored| Leaf::parse(&stored.bytes).ok());
        if !leaf.is_some_and(|leaf| leaf.blocks.contains(&block)) {
            return Err(Finding::new(Reason::LogIndexChanged, Some(index), "a derivation is filed under a leaf that does not name it"));
        }
        count += 1;
        Ok(())
    })?;
    Ok(count)
}

/// The row that look-ups and triggers go by must say what the newest leaf does.
fn check_retention(rows: &Rows<'_>, logged: Option<&LoggedRetention>) -> Result<(), Finding> {
    let row = logged.map(|it| RetentionRow { leaf: it.index, minimum: it.state.minimum, deleted: it.state.deleted });
    if rows.retention()? == row {
        return Ok(());
    }
    let detail = "the minimum index is not the one of the newest leaf about it";
    Err(Finding::new(Reason::LogRetentionChanged, logged.map(|it| it.index), detail))
}

/// Numbers of commitments by what became of their disclosure.
#[derive(Default)]
struct Opened {
    disclosures: u64,
    erased: u64,
    expired: u64,
}

fn check_disclosures(rows: &Rows<'_>, logged: Option<&LoggedRetention>) -> Result<Opened, Finding> {
    let mut found = Opened::default();
    let mut met: (Option<EntryId>, HashSet<String>) = Default::default();
    rows.for_each_disclosure(|entry: EntryId, names, disclosed| {
        let stored = rows.leaf_by_entry(&entry)?;
        let index = stored.as_ref().map(|stored| stored.index);
        let leaf = stored.and_then(|stored| Leaf::parse(&stored.bytes).ok());
        if met.0 != Some(entry) {
            met = (Some(entry), HashSet::new());
        }
        // Also a row without values must belong to commitments, and none twice, or it would count for such as were erased.
        let known =
            names.iter().all(|name| leaf.as_ref().is_some_and(|leaf| leaf.commitment(name).is_some()) && met.1.insert((*name).to_owned()));
        let opens = |disclosure: &Disclosure| {
            leaf.as_ref().and_then(|leaf| leaf.commitment(&disclosure.name)).is_some_and(|commitment| disclosure.opens(commitment))
        };
        let sound = match &disclosed {
            Unsealed::Disclosed(disclosures) => known && disclosures.iter().all(opens),
            Unsealed::Erased | Unsealed::Expired | Unsealed::Withheld => known,
            Unsealed::Broken => false,
        };
        if !sound {
            return Err(Finding::new(Reason::DisclosureMismatch, index, "a disclosure does not open its leaf's commitment"));
        }
        let gone = index.zip(leaf).is_some_and(|(index, leaf)| has_expired(logged, index, &leaf));
        let as_stated = match disclosed {
            // The values are there, whether or not they can be opened here.
            Unsealed::Disclosed(_) | Unsealed::Withheld => !gone,
            Unsealed::Expired => gone,
            Unsealed::Erased | Unsealed::Broken => true,
        };
        if !as_stated {
            let detail = "a disclosure is there that the log says to have expired, or has expired without its word";
            return Err(Finding::new(Reason::LogRetentionChanged, index, detail));
        }
        let count = names.len() as u64;
        match disclosed {
            Unsealed::Disclosed(_) => found.disclosures += count,
            Unsealed::Erased => found.erased += count,
            Unsealed::Expired => found.expired += count,
            Unsealed::Withheld | Unsealed::Broken => {}
        }
        Ok(())
    })?;
    Ok(found)
}

/// Whether the log says that a leaf's disclosures have gone. What the first leaf says of the log before it is never pruned.
fn has_expired(logged: Option<&LoggedRetention>, index: u64, leaf: &Leaf) -> bool {
    let kind = leaf.kind.as_str();
    logged.is_some_and(|logged| {
        let below = if index == 0 { logged.state.bound(kind) } else { logged.state.expired_below(kind) };
        index < below
    })
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
