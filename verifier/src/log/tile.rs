//! C2SP tlog-tiles: the paths under which a tree is served, and the bytes of tiles and entry bundles.

use core::fmt;

use super::checkpoint::parse_decimal;
use super::frontier::MAX_TREE_SIZE;
use super::hash::Hash;
use super::leaf::MAX_LEAF_BYTES;
use super::refusal::LogRefusal;
use crate::Reason;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileKind {
    /// Hashes at this tile level: each covers 256^level leaves.
    Hashes(u8),
    /// The entries themselves.
    Entries,
}

/// The name of one tile: `tile/<level>/<index>[.p/<width>]` or `tile/entries/<index>[.p/<width>]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    kind: TileKind,
    index: u64,
    width: u16,
}

impl TilePath {
    /// The tile of this kind and index with `width` hashes or entries.
    ///
    /// # Errors
    /// [`Reason::TileMalformed`] for a level above 63, a width outside 1..=256 or an index outside every tree.
    pub fn new(kind: TileKind, index: u64, width: u16) -> Result<Self, LogRefusal> {
        if matches!(kind, TileKind::Hashes(level) if level > MAX_LEVEL) {
            return Err(malformed("the tile level is above 63"));
        }
        if width == 0 || width > TILE_WIDTH {
            return Err(malformed("the tile width is not between 1 and 256"));
        }
        if index > MAX_TREE_SIZE / u64::from(TILE_WIDTH) {
            return Err(malformed("the tile index is outside every tree"));
        }
        Ok(Self { kind, index, width })
    }

    /// Reads a path, without a slash before `tile`.
    ///
    /// # Errors
    /// [`Reason::TileMalformed`] for every other spelling, so that one tile has one name.
    pub fn parse(path: &str) -> Result<Self, LogRefusal> {
        if path.len() > MAX_PATH_BYTES {
            return Err(malformed("the tile path is too long"));
        }
        let rest = path.strip_prefix("tile/").ok_or_else(|| malformed("the path does not begin with `tile/`"))?;
        let (kind, rest) = rest.split_once('/').ok_or_else(|| malformed("the path has no tile index"))?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => parse_decimal(level)
                .and_then(|level| u8::try_from(level).ok())
                .map(TileKind::Hashes)
                .ok_or_else(|| malformed("the tile level is not a plain decimal number"))?,
        };
        let (index, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((index, width)) => match parse_decimal(width).and_then(|width| u16::try_from(width).ok()) {
                Some(width) if width < TILE_WIDTH => (index, width),
                _ => return Err(malformed("the partial width is not between 1 and 255")),
            },
        };
        let index = parse_index(index).ok_or_else(|| malformed("the tile index is not in groups of three digits"))?;
        Self::new(kind, index, width)
    }

    /// What the tile holds.
    pub const fn kind(&self) -> TileKind {
        self.kind
    }

    /// Position within the level.
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Number of hashes or entries; 256 in a full tile.
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// True for a tile with less than 256 hashes or entries.
    pub const fn is_partial(&self) -> bool {
        self.width < TILE_WIDTH
    }

    /// Tree level and index of the tile's first node; `None` for a level that no tree reaches.
    pub fn first_node(&self) -> Option<(u8, u64)> {
        let level = match self.kind {
            TileKind::Entries => 0,
            TileKind::Hashes(level) => level.checked_mul(8).filter(|level| *level < 62)?,
        };
        Some((level, self.index * u64::from(TILE_WIDTH)))
    }

    /// The sizes of trees in which this tile has exactly this width (for a full tile: at least), first and last;
    /// `None` when no tree is that large.
    pub fn tree_sizes(&self) -> Option<(u64, u64)> {
        let (level, first) = self.first_node()?;
        let nodes = first.checked_add(u64::from(self.width))?;
        let smallest = nodes.checked_mul(1 << level).filter(|size| *size <= MAX_TREE_SIZE)?;
        let largest = if self.is_partial() { smallest.saturating_add((1 << level) - 1) } else { MAX_TREE_SIZE };
        Some((smallest, largest.min(MAX_TREE_SIZE)))
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(formatter, "tile/{level}/")?,
            TileKind::Entries => formatter.write_str("tile/entries/")?,
        }
        let digits = self.index.to_string();
        let padded = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for (position, digit) in padded.chars().enumerate() {
            if position % 3 == 0 {
                let last = position + 3 == padded.len();
                formatter.write_str(if position == 0 { "" } else { "/" })?;
                formatter.write_str(if last { "" } else { "x" })?;
            }
            write!(formatter, "{digit}")?;
        }
        if self.is_partial() { write!(formatter, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// The bytes of a tile: its hashes one after the other.
pub fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Reads a tile of exactly `width` hashes.
///
/// # Errors
/// [`Reason::TileMalformed`].
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<Hash>, LogRefusal> {
    if bytes.len() != usize::from(width) * 32 {
        return Err(malformed("the tile does not have the width that was asked for"));
    }
    Ok(bytes.chunks_exact(32).filter_map(Hash::from_slice).collect())
}

/// The bytes of an entry bundle: each entry after its length in two big-endian bytes.
///
/// # Errors
/// [`Reason::LeafTooLarge`] for an entry whose length does not fit, [`Reason::TileMalformed`] for more than 256 entries.
pub fn encode_entries<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, LogRefusal> {
    if entries.len() > usize::from(TILE_WIDTH) {
        return Err(malformed("a bundle has at most 256 entries"));
    }
    let mut bytes = Vec::new();
    for entry in entries {
        let entry = entry.as_ref();
        let length =
            u16::try_from(entry.len()).map_err(|_| LogRefusal::new(Reason::LeafTooLarge, "an entry is larger than 65,535 bytes"))?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// Reads an entry bundle of exactly `width` entries.
///
/// # Errors
/// [`Reason::TileMalformed`].
pub fn decode_entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, LogRefusal> {
    if width > TILE_WIDTH || bytes.len() > usize::from(TILE_WIDTH) * (MAX_LEAF_BYTES + 2) {
        return Err(malformed("the bundle is larger than 256 entries can be"));
    }
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    for _ in 0..width {
        let (length, after) = rest.split_first_chunk::<2>().ok_or_else(|| malformed("the bundle ends early"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or_else(|| malformed("the bundle ends early"))?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(malformed("bytes follow the bundle's last entry")) }
}

fn parse_index(text: &str) -> Option<u64> {
    let mut index = 0u64;
    let mut groups = text.split('/').peekable();
    let mut first = true;
    while let Some(group) = groups.next() {
        let last = groups.peek().is_none();
        let digits = if last { group } else { group.strip_prefix('x')? };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // A leading group of zeroes would give one tile two names.
        if first && !last && digits == "000" {
            return None;
        }
        first = false;
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}

const fn malformed(detail: &'static str) -> LogRefusal {
    LogRefusal::new(Reason::TileMalformed, detail)
}

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u16 = 256;

const MAX_LEVEL: u8 = 63;
const MAX_PATH_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An entry's length says where it ends, whatever its bytes look like.
    #[test]
    fn entries_that_look_like_framing_stay_whole() {
        let framed = encode_entries(&[b"a".as_slice(), b"bc"]).unwrap();
        let entries = [framed.as_slice(), &[0, 1], &[0xff, 0xff], &[]];
        let bundle = encode_entries(&entries).unwrap();
        assert_eq!(decode_entries(&bundle, 4).unwrap(), entries);
    }
    use crate::log::leaf_hash;

    #[test]
    fn paths_read_and_write_back() {
        for (text, kind, index, width) in [
            ("tile/0/000", TileKind::Hashes(0), 0, 256),
            ("tile/0/x001/x234/067", TileKind::Hashes(0), 1_234_067, 256),
            ("tile/0/x001/x234/067.p/8", TileKind::Hashes(0), 1_234_067, 8),
            ("tile/63/999.p/255", TileKind::Hashes(63), 999, 255),
            ("tile/entries/x001/000", TileKind::Entries, 1000, 256),
            ("tile/entries/067.p/1", TileKind::Entries, 67, 1),
        ] {
            let path = TilePath::parse(text).unwrap();
            assert_eq!(path, TilePath::new(kind, index, width).unwrap());
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/0/",
            "/tile/0/000",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/x000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001/2",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p",
            "tile/0/000.p/1/2",
            "tile/0/000/",
            "tile/data/000",
            "tile/0/a00",
            "tile/0/+00",
            "tile/0/٠٠٠",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/0/x001/x999/x999/x999/x999/x999/x999/x999/x999/999",
        ] {
            assert_eq!(TilePath::parse(text).unwrap_err().reason, Reason::TileMalformed, "{text}");
        }
    }

    #[test]
    fn a_tile_knows_the_trees_that_have_it() {
        let sizes = |text: &str| TilePath::parse(text).unwrap().tree_sizes();
        assert_eq!(sizes("tile/0/273.p/112"), Some((70_000, 70_000)));
        assert_eq!(sizes("tile/1/001.p/17"), Some((69_888, 70_143)));
        assert_eq!(sizes("tile/2/000.p/1"), Some((65_536, 131_071)));
        assert_eq!(sizes("tile/0/000"), Some((256, MAX_TREE_SIZE)));
        assert_eq!(sizes("tile/entries/001.p/3"), Some((259, 259)));
        assert_eq!(sizes("tile/8/000.p/1"), None);
        assert_eq!(sizes("tile/63/000.p/1"), None);
        assert_eq!(sizes("tile/7/x999/999"), None);
    }

    #[test]
    fn bundles_read_and_write_back_and_refuse_damage() {
        let entries: [&[u8]; 3] = [b"", b"one", &[7; MAX_LEAF_BYTES]];
        let bytes = encode_entries(&entries).unwrap();
        assert_eq!(decode_entries(&bytes, 3).unwrap(), entries);
        assert!(decode_entries(&bytes, 2).is_err());
        assert!(decode_entries(&bytes, 4).is_err());
        assert!(decode_entries(&bytes[..bytes.len() - 1], 3).is_err());
        assert!(decode_entries(&bytes, 257).is_err());
        assert_eq!(encode_entries(&[vec![0; MAX_LEAF_BYTES + 1]]).unwrap_err().reason, Reason::LeafTooLarge);
        assert!(encode_entries(&[[]; 257]).is_err());
        let hashes = [leaf_hash(b"a"), leaf_hash(b"b")];
        assert_eq!(decode_tile(&encode_tile(&hashes), 2).unwrap(), hashes);
        assert!(decode_tile(&encode_tile(&hashes), 1).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_tile_has_one_name(level in 0u8..=63, index in 0..=MAX_TREE_SIZE / 256, width in 1u16..=256) {
            let path = TilePath::new(TileKind::Hashes(level), index, width).unwrap();
            prop_assert_eq!(TilePath::parse(&path.to_string()).unwrap(), path);
        }

        #[test]
        fn reading_any_path_or_bundle_never_panics(text in "(tile/)?[0-9a-z/.]{0,40}", bytes in any::<Vec<u8>>(), width in any::<u16>()) {
            if let Ok(path) = TilePath::parse(&text) {
                prop_assert_eq!(path.to_string(), text);
            }
            let _ = decode_entries(&bytes, width);
            let _ = decode_tile(&bytes, width);
        }
    }
}
