//! A log checked piece by piece, as it comes over HTTP: what is held in memory does not grow with the log.

use narrows_verifier::Reason;
use narrows_verifier::log::{Checkpoint, Hash, Node, TILE_WIDTH, TileKind, TilePath, VerifierKey, decode_tile, verify_checkpoint};

use super::verify::{Evidence, Finding, Report, Walk};

/// A log that is being read leaf after leaf under one signed checkpoint.
pub struct Pieces<'k> {
    walk: Walk<'k>,
    signed: Checkpoint,
    /// The hashes of each level's newest tile, which is not full yet.
    open: Vec<Vec<Hash>>,
}

/// A hash tile as the leaves make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeTile {
    /// Where the log serves it.
    pub path: TilePath,
    hashes: Vec<Hash>,
}

impl<'k> Pieces<'k> {
    /// Begins a check under a signed checkpoint.
    ///
    /// # Errors
    /// The refusal of the checkpoint or of the evidence.
    pub fn new(checkpoint: &str, key: &'k VerifierKey, evidence: Evidence<'_>) -> Result<Self, Finding> {
        let signed = verify_checkpoint(checkpoint, std::slice::from_ref(key))?;
        Ok(Self { walk: Walk::new(key, evidence)?, signed, open: Vec::new() })
    }

    /// The number of leaves that the checkpoint signs.
    pub const fn size(&self) -> u64 {
        self.signed.size
    }

    /// Takes the next leaf and gives the hash tiles that it fills, to be compared with those that the log serves.
    ///
    /// # Errors
    /// The first [`Finding`].
    pub fn append(&mut self, leaf: &[u8]) -> Result<Vec<MadeTile>, Finding> {
        self.check_room()?;
        let (_, completed) = self.walk.append(leaf)?;
        self.fill(&completed)
    }

    /// Takes the hash of a leaf that is pruned. At the end, the log's own leaf must say that it was.
    ///
    /// # Errors
    /// As [`Pieces::append`].
    pub fn append_pruned(&mut self, hash: Hash) -> Result<Vec<MadeTile>, Finding> {
        self.check_room()?;
        let completed = self.walk.append_hash(hash)?;
        self.fill(&completed)
    }

    fn check_room(&self) -> Result<(), Finding> {
        if self.walk.size() < self.signed.size {
            return Ok(());
        }
        Err(Finding::new(Reason::LogRootMismatch, Some(self.signed.size), "leaves lie beyond the signed checkpoint"))
    }

    fn fill(&mut self, completed: &[Node]) -> Result<Vec<MadeTile>, Finding> {
        let mut filled = Vec::new();
        for node in completed.iter().filter(|node| node.level % TILE_LEVELS == 0) {
            filled.extend(self.take(node)?);
        }
        Ok(filled)
    }

    /// Ends the check: what was found, and the tiles at the tree's right edge.
    ///
    /// # Errors
    /// `LOG_TAIL_MISSING`, `LOG_ROOT_MISMATCH`, `LOG_LEAF_MISSING` for a leaf that was left out and is not pruned, or what the
    /// evidence is missing.
    pub fn finish(self) -> Result<(Report, Vec<MadeTile>), Finding> {
        if self.walk.size() < self.signed.size {
            return Err(Finding::new(Reason::LogTailMissing, Some(self.walk.size()), "leaves that the checkpoint covers are missing"));
        }
        if self.walk.root() != self.signed.root {
            return Err(Finding::new(Reason::LogRootMismatch, None, "the leaves do not lead to the signed root"));
        }
        if let Some(index) = self.walk.left_out() {
            return Err(Finding::new(Reason::LogLeafMissing, Some(index), "leaves are left out that the log does not say to be pruned"));
        }
        let mut edge = Vec::new();
        for (level, hashes) in (0u8..).zip(self.open).filter(|(_, hashes)| !hashes.is_empty()) {
            let nodes = self.signed.size >> (level * TILE_LEVELS);
            edge.push(MadeTile::new(level, nodes / u64::from(TILE_WIDTH), hashes)?);
        }
        Ok((Report { checkpoints: 1, ..self.walk.finish()? }, edge))
    }

    fn take(&mut self, node: &Node) -> Result<Option<MadeTile>, Finding> {
        let level = node.level / TILE_LEVELS;
        // Nodes come in order, each level's first after 256 of the one below: the level is there or the next new one.
        if self.open.len() <= usize::from(level) {
            self.open.push(Vec::new());
        }
        let Some(open) = self.open.get_mut(usize::from(level)) else { return Ok(None) };
        open.push(node.hash);
        if open.len() < usize::from(TILE_WIDTH) {
            return Ok(None);
        }
        MadeTile::new(level, node.index / u64::from(TILE_WIDTH), std::mem::take(open)).map(Some)
    }
}

impl MadeTile {
    fn new(level: u8, index: u64, hashes: Vec<Hash>) -> Result<Self, Finding> {
        let width = u16::try_from(hashes.len()).unwrap_or(u16::MAX);
        Ok(Self { path: TilePath::new(TileKind::Hashes(level), index, width)?, hashes })
    }

    /// Compares with the tile that the log serves.
    ///
    /// # Errors
    /// `TILE_MALFORMED`, or `LOG_HASH_CHANGED` with the first leaf below the first hash that differs.
    pub fn compare(&self, served: &[u8]) -> Result<(), Finding> {
        let served = decode_tile(served, self.path.width())?;
        let Some(place) = self.hashes.iter().zip(&served).position(|(made, served)| made != served) else { return Ok(()) };
        let leaf = self.path.first_node().map(|(level, first)| (first + place as u64) << level);
        Err(Finding::new(Reason::LogHashChanged, leaf, format!("`{}` differs from the leaves below it", self.path)))
    }
}

/// Checks a log as fetched over HTTP: all its leaves in order, one signed checkpoint, and the given evidence.
///
/// # Errors
/// The first [`Finding`].
pub fn check_pieces<T: AsRef<[u8]>>(
    leaves: impl IntoIterator<Item = T>,
    checkpoint: &str,
    key: &VerifierKey,
    evidence: Evidence<'_>,
) -> Result<Report, Finding> {
    let mut pieces = Pieces::new(checkpoint, key, evidence)?;
    for leaf in leaves {
        pieces.append(leaf.as_ref())?;
    }
    Ok(pieces.finish()?.0)
}

/// Levels of the tree in one tile: it is 2^8 wide.
const TILE_LEVELS: u8 = 8;
