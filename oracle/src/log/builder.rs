//! From entries to tiles, in memory: the right edge of the tree and of the entries.

use policies::Digest;
use policies::log::tile::{self, TILE_WIDTH};
use policies::log::tree::leaf_hash;
use policies::log::{Frontier, Tile, bundle};

/// One file of the log.
pub(super) type TileBytes = (Tile, Vec<u8>);

/// What must be kept to append: of each level the last tile, as far as it is filled, and the last entries.
#[derive(Clone, Default)]
pub(super) struct Builder {
    frontier: Frontier,
    levels: Vec<Vec<Digest>>,
    bundle: Vec<u8>,
}

impl Builder {
    /// Entries.
    pub(super) const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree of all entries.
    pub(super) fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Appends an entry. The tiles that it fills are put into `full`.
    ///
    /// # Errors
    /// It is too long for a bundle.
    pub(super) fn append(&mut self, entry: &[u8], full: &mut Vec<TileBytes>) -> Result<(), bundle::MalformedBundle> {
        bundle::append(&mut self.bundle, entry)?;
        let levels = &mut self.levels;
        self.frontier.append(leaf_hash(entry), |subtree, hash| {
            if subtree.level.is_multiple_of(8) {
                let level = usize::from(subtree.level / 8);
                levels.resize_with(levels.len().max(level + 1), Vec::new);
                levels[level].push(hash);
            }
        });
        let size = self.size();
        if size.is_multiple_of(u64::from(TILE_WIDTH)) {
            let place = Tile { level: None, index: size / u64::from(TILE_WIDTH) - 1, width: TILE_WIDTH };
            full.push((place, std::mem::take(&mut self.bundle)));
        }
        for (level, hashes) in (0_u8..).zip(&mut self.levels) {
            if hashes.len() == usize::from(TILE_WIDTH) {
                let index = (size >> (8 * (level + 1))) - 1;
                full.push((Tile { level: Some(level), index, width: TILE_WIDTH }, tile::encode(hashes)));
                hashes.clear();
            }
        }
        Ok(())
    }

    /// The tiles at the right edge that are not full.
    pub(super) fn edge(&self) -> Vec<TileBytes> {
        let partial = |level: Option<u8>| {
            let height = level.unwrap_or(0);
            let index = self.size() >> (8 * height) >> 8;
            Tile::of(level, index, self.size()).filter(|tile| tile.is_partial())
        };
        let entries = partial(None).map(|tile| (tile, self.bundle.clone()));
        let hashes = (0_u8..).zip(&self.levels);
        let hashes = hashes.filter_map(|(level, hashes)| Some((partial(Some(level))?, tile::encode(hashes))));
        hashes.chain(entries).collect()
    }
}
