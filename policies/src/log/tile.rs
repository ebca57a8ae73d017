//! Tiles of hashes and their names (C2SP tlog-tiles): a tree as static files.
//!
//! A tile of level L holds up to 256 hashes of complete subtrees of height 8·L. What lies between is computed from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use super::tree::{HashReader, LEAVES_MAX, Subtree, node_hash, subtrees};
use crate::Digest;

/// Hashes, or entries, of a full tile.
pub const TILE_WIDTH: u16 = 256;
/// Bytes of a full tile of hashes.
pub const TILE_BYTES_MAX: usize = TILE_WIDTH as usize * 32;
/// Levels that a tile spans.
const TILE_HEIGHT: u8 = 8;
/// The highest level of tiles that a tree of [`LEAVES_MAX`] leaves has.
pub const TILE_LEVEL_MAX: u8 = 7;

/// Where hashes, or entries, stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// The tile's level; nothing for a bundle of entries.
    pub level: Option<u8>,
    /// Its place among the tiles of its level, from 0.
    pub index: u64,
    /// How many it holds: 1 to 256. Fewer than 256 only at the tree's right edge.
    pub width: u16,
}

impl Tile {
    /// The tile of this level and place in a tree of `size` leaves; nothing where it is not in that tree.
    #[must_use]
    pub fn of(level: Option<u8>, index: u64, size: u64) -> Option<Self> {
        let height = level.unwrap_or(0);
        if height > TILE_LEVEL_MAX || size > LEAVES_MAX {
            return None;
        }
        let held = size >> (height * TILE_HEIGHT);
        let before = index.checked_mul(TILE_WIDTH.into())?;
        let width = u16::try_from(held.checked_sub(before)?.min(TILE_WIDTH.into())).ok()?;
        (width > 0).then_some(Self { level, index, width })
    }

    /// The same tile when it is full, which may have taken a partial one's place.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// Whether it has room for more.
    #[must_use]
    pub const fn is_partial(self) -> bool {
        self.width < TILE_WIDTH
    }

    /// The folder in which a full tile's partial predecessors stand.
    #[must_use]
    pub fn partials(self) -> String {
        format!("{}.p", self.full())
    }

    /// Reads a path as [`fmt::Display`] writes it.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        // The longest has seven groups of digits.
        if path.len() > 64 {
            return None;
        }
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = if level == "entries" { None } else { Some(level.parse::<u8>().ok()?) };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok().filter(|width| *width < TILE_WIDTH)?),
            None => (rest, TILE_WIDTH),
        };
        let mut number = 0_u64;
        for group in index.split('/') {
            let digits: u64 = group.strip_prefix('x').unwrap_or(group).parse().ok()?;
            number = number.checked_mul(1000)?.checked_add(digits)?;
        }
        let tile = Self { level, index: number, width };
        let possible = level.unwrap_or(0) <= TILE_LEVEL_MAX && number <= LEAVES_MAX >> 8 && width > 0;
        (possible && tile.to_string() == path).then_some(tile)
    }
}

impl fmt::Display for Tile {
    /// `tile/<L>/<N>` or `tile/entries/<N>`, N in groups of three digits of which all but the last begin with an x,
    /// and `.p/<W>` for a partial one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}/")?,
            None => f.write_str("tile/entries/")?,
        }
        let groups = self.index.checked_ilog10().unwrap_or(0) / 3;
        for group in (0..=groups).rev() {
            let digits = self.index / 1000_u64.pow(group) % 1000;
            let (mark, slash) = if group > 0 { ("x", "/") } else { ("", "") };
            write!(f, "{mark}{digits:03}{slash}")?;
        }
        if self.is_partial() { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

/// A tile's hashes from its bytes; nothing where they are not as many as it holds.
#[must_use]
pub fn decode(tile: Tile, bytes: &[u8]) -> Option<Vec<Digest>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    let whole = rest.is_empty() && hashes.len() == usize::from(tile.width);
    whole.then(|| hashes.iter().map(|hash| Digest::from_bytes(*hash)).collect())
}

/// A tile's bytes.
#[must_use]
pub fn encode(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The tiles, of a tree of `size` leaves, that hold what ranges of a proof consist of.
#[must_use]
pub fn tiles_of(ranges: &[Range<u64>], size: u64) -> BTreeSet<Tile> {
    let needed = ranges.iter().flat_map(subtrees);
    needed.filter_map(|subtree| Tile::of(Some(subtree.level / TILE_HEIGHT), place(subtree).0, size)).collect()
}

/// In which tile of its level a subtree's hashes stand, and which of them are its.
fn place(subtree: Subtree) -> (u64, Range<usize>) {
    let below = subtree.level % TILE_HEIGHT;
    let tile = subtree.index >> (TILE_HEIGHT - below);
    let within = usize::try_from((subtree.index << below) & u64::from(TILE_WIDTH - 1)).expect("it is below 256");
    (tile, within..within + (1 << below))
}

/// Tiles that were fetched, to be read as hashes of subtrees.
#[derive(Debug, Clone, Default)]
pub struct TileSet(BTreeMap<(u8, u64), Vec<Digest>>);

/// A tile that is needed was not fetched, or holds less than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tile of the log is missing or incomplete")]
pub struct MissingTile;

impl TileSet {
    /// Takes a tile's hashes in. They are believed only once a proof made of them verifies.
    pub fn insert(&mut self, level: u8, index: u64, hashes: Vec<Digest>) {
        self.0.insert((level, index), hashes);
    }
}

impl HashReader for TileSet {
    type Error = MissingTile;

    fn hash(&self, subtree: Subtree) -> Result<Digest, MissingTile> {
        let (index, within) = place(subtree);
        let tile = self.0.get(&(subtree.level / TILE_HEIGHT, index)).ok_or(MissingTile)?;
        let mut hashes = tile.get(within).ok_or(MissingTile)?.to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        hashes.first().copied().ok_or(MissingTile)
    }
}
