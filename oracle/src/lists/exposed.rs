//! Whether a signing key lies where nodes read.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::ListFolderError;

/// Where lists of an earlier form had their signing key.
const SEALED: &str = "list.sealed";
/// Files that are looked at: far above those of a build under way.
const FILES_MAX: usize = 1 << 20;
/// How deep a list's files lie: TENANT/LIST/epochs/N/FILE.
pub(crate) const DEPTH_MAX: usize = 4;
/// Bytes of a file's beginning that are looked at: the line with which PEM begins (RFC 7468 §3).
const BEGIN_BYTES: u64 = 64;

/// Looks for signing keys in a folder, `depth` folders down: whoever serves a list must not be able to sign one.
///
/// # Errors
/// [`ListFolderError::Exposed`] names the first; or what can't be read, or more files than belong there.
pub(crate) fn check_unexposed(folder: &Path, depth: usize) -> Result<(), ListFolderError> {
    let (mut folders, mut files) = (vec![(folder.to_owned(), depth)], 0);
    while let Some((folder, depth)) = folders.pop() {
        // What a build removes while this looks, it removes.
        let Some(entries) = found(&folder, fs::read_dir(&folder))? else { continue };
        for entry in entries {
            let path = entry.map_err(ListFolderError::io(&folder))?.path();
            files += 1;
            if files > FILES_MAX {
                return Err(ListFolderError::Content(folder));
            }
            match found(&path, fs::metadata(&path))? {
                Some(metadata) if metadata.is_dir() && depth > 0 => folders.push((path, depth - 1)),
                Some(metadata) if metadata.is_file() && is_key(&path)? => return Err(ListFolderError::Exposed(path)),
                _ => {}
            }
        }
    }
    Ok(())
}

fn is_key(path: &Path) -> Result<bool, ListFolderError> {
    if path.file_name().is_some_and(|name| name == SEALED) {
        return Ok(true);
    }
    let Some(file) = found(path, File::open(path))? else { return Ok(false) };
    let mut begin = Vec::new();
    file.take(BEGIN_BYTES).read_to_end(&mut begin).map_err(ListFolderError::io(path))?;
    let text = String::from_utf8_lossy(&begin);
    let line = text.trim_start().lines().next().unwrap_or_default().trim_end();
    Ok(line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----"))
}

/// Whether a key's file is to lie elsewhere than in the folder that nodes read. The file's own folder is there.
pub(super) fn check_outside(file: &Path, root: &Path) -> Result<(), ListFolderError> {
    let whole = |path: &Path| fs::canonicalize(path).map_err(ListFolderError::io(path));
    let (parent, root): (PathBuf, PathBuf) = (whole(super::files::parent(file))?, whole(root)?);
    if parent.starts_with(&root) { Err(ListFolderError::Exposed(file.to_owned())) } else { Ok(()) }
}

fn found<T>(path: &Path, result: io::Result<T>) -> Result<Option<T>, ListFolderError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some).map_err(ListFolderError::io(path)),
    }
}
