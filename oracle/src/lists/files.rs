//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::ListFolderError;

/// Bytes of a small file that is read: a description, a manifest, a key.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// A small file's bytes; nothing where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, ListFolderError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ListFolderError::io(path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ListFolderError::io(path))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(ListFolderError::Content(path.to_owned()));
    }
    Ok(Some(bytes))
}

/// Writes a file of mode 0600 in place of what is there: all of it, durable before this returns, or nothing.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), ListFolderError> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let write = || {
        let mut whole = tempfile::NamedTempFile::new_in(folder)?;
        whole.write_all(bytes)?;
        whole.as_file().sync_all()?;
        whole.persist(path).map_err(|error| error.error)?;
        sync(folder)
    };
    write().map_err(ListFolderError::io(path))
}

/// Writes a new file of mode 0600, durable before this returns; never over one that is there.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<(), ListFolderError> {
    let folder = parent(path);
    let write = || {
        let mut whole = tempfile::NamedTempFile::new_in(folder)?;
        whole.write_all(bytes)?;
        whole.as_file().sync_all()?;
        whole.persist_noclobber(path).map_err(|error| error.error)?;
        sync(folder)
    };
    write().map_err(ListFolderError::io(path))
}

/// The folder that a file is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes what was renamed or created in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a folder and what is in it, if it is there.
pub(super) fn remove_folder(path: &Path) -> Result<(), ListFolderError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ListFolderError::io(path)(error)),
        _ => Ok(()),
    }
}

/// A folder that only this user may look into.
pub(super) fn create_folder(path: &Path) -> Result<(), ListFolderError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(ListFolderError::io(path))
}
