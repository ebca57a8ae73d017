//! The log's folder: static files (C2SP tlog-tiles), written so that a crash between any two steps leaves either the old
//! file or the new one.
//!
//! ```text
//! checkpoint                 the newest signed checkpoint
//! tile/<L>/<N>[.p/<W>]       hashes
//! tile/entries/<N>[.p/<W>]   entries
//! ```
//!
//! A file other than `checkpoint` never changes once it is written: what stands there and is other than what should is
//! another log's, and is refused. All writes go through [`Folder::write`]: another place for static files, such as an
//! object store, would take its place.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use policies::log::Tile;
use policies::log::note::NOTE_BYTES_MAX;

/// The name of the newest checkpoint.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Other bytes stand where these belong.
    #[error("another log's tiles stand in the folder")]
    Other,
    /// The folder cannot be read or written.
    #[error("the log's folder cannot be read or written")]
    Io(#[from] io::Error),
}

/// The folder.
#[derive(Clone)]
pub(crate) struct Folder {
    root: PathBuf,
    /// Steps until the process is thought to be killed.
    #[cfg(test)]
    pub(super) steps: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Folder {
    /// A folder, made where there is none.
    pub(super) fn open(root: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&root)?;
        Ok(Self {
            root,
            #[cfg(test)]
            steps: std::sync::Arc::new(u64::MAX.into()),
        })
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The newest checkpoint; nothing before the first.
    pub(super) fn checkpoint(&self) -> io::Result<Option<Vec<u8>>> {
        bounded(&self.root.join(CHECKPOINT), NOTE_BYTES_MAX)
    }

    /// Writes a tile, unless it stands there.
    pub(super) fn write_tile(&self, tile: Tile, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.root.join(tile.to_string());
        match fs::read(&path) {
            Ok(kept) if kept == bytes => Ok(()),
            Ok(_) => Err(FolderError::Other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.write(&path, bytes)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the checkpoint in the old one's place.
    pub(super) fn write_checkpoint(&self, note: &[u8]) -> Result<(), FolderError> {
        Ok(self.write(&self.root.join(CHECKPOINT), note)?)
    }

    /// Removes a full tile's partial predecessors, which nobody needs any more.
    pub(super) fn remove_partials(&self, tile: Tile) -> Result<(), FolderError> {
        self.step()?;
        match fs::remove_dir_all(self.root.join(tile.partials())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// All of the file or nothing of it, durable when this returns.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.step()?;
        self.make_folder(folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.new"));
        self.step()?;
        let mut file = File::create(&temporary)?;
        let (begin, end) = bytes.split_at(bytes.len() / 2);
        file.write_all(begin)?;
        self.step()?;
        file.write_all(end)?;
        self.step()?;
        file.sync_all()?;
        self.step()?;
        fs::rename(&temporary, path)?;
        self.step()?;
        sync(folder)
    }

    /// Makes folders as durable as what will stand in them.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(&self.root);
        self.make_folder(parent)?;
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        sync(parent)
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        let left = self.steps.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| io::ErrorKind::Interrupted.into())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "a test ends the process's work at a step")]
    const fn step(&self) -> io::Result<()> {
        Ok(())
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A file's bytes within a limit; nothing where there is no file.
pub(super) fn bounded(path: &Path, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    use std::io::Read as _;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(Some(bytes)) }
}
