//! Files that are whole or not there, and a lock between processes.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::FolderError;

/// Bytes of a file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
const LOCK: &str = "lock";

/// Held while the folder is changed; the system gives it back when the process ends.
pub(super) struct Lock(#[expect(dead_code, reason = "open is held")] File);

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self, FolderError> {
        let path = folder.join(LOCK);
        let lock = options().create(true).truncate(false).open(&path).and_then(|file| file.lock().map(|()| file));
        lock.map(Self).map_err(|source| FolderError::Io { path, source })
    }
}

/// A folder that only this user may look into.
pub(super) fn create_folder(path: &Path) -> Result<(), FolderError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(io_error(path))
}

/// A file's bytes; nothing where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, FolderError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FolderError::Io { path: path.to_owned(), source }),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io_error(path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(FolderError::Content(path.to_owned()));
    }
    Ok(Some(bytes))
}

/// Makes a file that must not be there yet, durable before this returns.
pub(super) fn create_new(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let write = || {
        let mut file = options().create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        sync_folder(path)
    };
    write().map_err(io_error(path))
}

/// Puts a file in place of what was there: readers see the old one or the new one, whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let write = || {
        let fresh = path.with_extension("fresh");
        let mut file = options().create(true).truncate(true).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_folder(path)
    };
    write().map_err(io_error(path))
}

/// Removes a file. Says whether it was there.
pub(super) fn remove(path: &Path) -> Result<bool, FolderError> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path).map(|()| true).map_err(io_error(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(FolderError::Io { path: path.to_owned(), source }),
    }
}

/// For writing, readable by this user alone.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or_else(|| Path::new("."))).and_then(|folder| folder.sync_all())
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { path: path.clone(), source }
}
