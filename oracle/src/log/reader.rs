//! Reading a whole log again: every entry, against the checkpoint that says how many there are and what they hash to.

use policies::log::tile::TILE_WIDTH;
use policies::log::tree::leaf_hash;
use policies::log::{
    Checkpoint, CheckpointError, Frontier, LogKeys, LogProof, LogProofError, ProofError, Tile, VerifiedCheckpoint,
};
use tokio::runtime::Runtime;

use super::builder::Builder;
use super::source::{self, Location, SourceError};

/// Why a log cannot be read, or is not what its checkpoint says.
#[derive(Debug, thiserror::Error)]
pub enum LogReadError {
    /// A file.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The checkpoint is not believed.
    #[error("the log's checkpoint is refused")]
    Checkpoint(#[from] CheckpointError),
    /// The entries hash to another root than the checkpoint's.
    #[error("the entries are not those of the checkpoint")]
    Root,
    /// A tile's hashes are not those of the entries.
    #[error("{0} does not hold the hashes of the entries")]
    Tile(Tile),
    /// A proof made of the tiles does not verify.
    #[error("the log's tiles do not prove it")]
    Proof(#[from] ProofError),
    /// A proof with its checkpoint does not verify.
    #[error("the log's proof does not verify")]
    LogProof(#[from] LogProofError),
    /// No runtime to wait with.
    #[error("no runtime")]
    Runtime(#[from] std::io::Error),
}

/// A log, by the newest checkpoint that it had when it was opened. For synchronous programs: it waits by itself, and is
/// not to be used on a thread of another runtime.
pub struct LogReader {
    location: Location,
    keys: LogKeys,
    checkpoint: VerifiedCheckpoint,
    runtime: Runtime,
}

impl LogReader {
    /// Opens a log and verifies its checkpoint.
    ///
    /// # Errors
    /// It cannot be read, or is not signed as it must be.
    pub fn open(location: Location, keys: &LogKeys) -> Result<Self, LogReadError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let note = runtime.block_on(location.checkpoint())?;
        let checkpoint = keys.verify(&note)?;
        Ok(Self { location, keys: keys.clone(), checkpoint, runtime })
    }

    /// Entries.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// The checkpoint that all is read by.
    #[must_use]
    pub const fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }

    /// Every entry with its place, from the first, a bundle of at most 256 in memory at a time.
    ///
    /// Entries are believed once the last one came without an error: their root is compared then, and where it is
    /// another the last item is [`LogReadError::Root`].
    pub fn entries(&self) -> impl Iterator<Item = Result<(u64, Vec<u8>), LogReadError>> + '_ {
        Entries { reader: self, frontier: Frontier::default(), bundle: Vec::new().into_iter(), ended: false }
    }

    /// Reads every entry, compares every tile of hashes with them, and the root with the checkpoint's. `entry` is told
    /// of each entry.
    ///
    /// # Errors
    /// The first that is not as it should be, or what `entry` says.
    pub fn verify<E: From<LogReadError>>(&self, mut entry: impl FnMut(u64, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut builder = Builder::default();
        for read in self.entries() {
            let (index, bytes) = read?;
            entry(index, &bytes)?;
            let mut full = Vec::new();
            builder.append(&bytes, &mut full).map_err(|_| LogReadError::Source(SourceError::Form))?;
            full.into_iter().try_for_each(|tile| self.compare(tile))?;
        }
        builder.edge().into_iter().try_for_each(|tile| self.compare(tile))?;
        Ok(())
    }

    fn compare(&self, (tile, expected): (Tile, Vec<u8>)) -> Result<(), LogReadError> {
        if tile.level.is_none() {
            return Ok(());
        }
        let hashes = self.runtime.block_on(source::hashes(&self.location, tile))?;
        if policies::log::tile::encode(&hashes) == expected { Ok(()) } else { Err(LogReadError::Tile(tile)) }
    }

    /// One entry.
    ///
    /// # Errors
    /// It cannot be read. What it says is shown by [`LogReader::proof`] alone.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, LogReadError> {
        let width = u64::from(TILE_WIDTH);
        let tile = Tile::of(None, index / width, self.size()).ok_or(ProofError::Range)?;
        let entries = self.runtime.block_on(source::entries(&self.location, tile))?;
        let within = usize::try_from(index % width).unwrap_or(usize::MAX);
        Ok(entries.into_iter().nth(within).ok_or(ProofError::Range)?)
    }

    /// The verified proof that the entry at `index` is in the log; the entry itself stands in it.
    ///
    /// # Errors
    /// It cannot be made, or the tiles do not show it.
    pub fn proof(&self, index: u64) -> Result<LogProof, LogReadError> {
        let leaf = self.entry(index)?;
        let hashes = self.runtime.block_on(source::inclusion(&self.location, index, self.size()))?;
        let checkpoint = self.checkpoint.note().to_vec();
        let proof = LogProof { index, hashes, extra: Some(leaf), checkpoint };
        proof.verified_leaf(&self.keys)?;
        Ok(proof)
    }

    /// Checks that the log has what an earlier checkpoint had, and says the proof's length.
    ///
    /// # Errors
    /// It has not: the log was forked or rolled back.
    pub fn check_extends(&self, earlier: &Checkpoint) -> Result<usize, LogReadError> {
        let proof = self.runtime.block_on(source::consistency(&self.location, earlier.size, self.size()))?;
        earlier.is_extended_by(self.checkpoint.checkpoint(), &proof)?;
        Ok(proof.len())
    }
}

struct Entries<'a> {
    reader: &'a LogReader,
    frontier: Frontier,
    bundle: std::vec::IntoIter<Vec<u8>>,
    ended: bool,
}

impl Iterator for Entries<'_> {
    type Item = Result<(u64, Vec<u8>), LogReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let (index, size) = (self.frontier.size(), self.reader.size());
        if index == size {
            self.ended = true;
            return (self.frontier.root() != self.reader.checkpoint.root()).then_some(Err(LogReadError::Root));
        }
        if self.bundle.len() == 0 {
            let tile = Tile::of(None, index / u64::from(TILE_WIDTH), size)?;
            match self.reader.runtime.block_on(source::entries(&self.reader.location, tile)) {
                Ok(entries) => self.bundle = entries.into_iter(),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error.into()));
                }
            }
        }
        let entry = self.bundle.next()?;
        self.frontier.append(leaf_hash(&entry), |_, _| {});
        Some(Ok((index, entry)))
    }
}
