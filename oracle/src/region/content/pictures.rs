//! Clear lists of pictures, by their PDQ hashes: a text file a list, read at start and searched in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attest::pdq::{ENTRIES_MAX, PdqHash, PdqIndex};
use policies::TenantId;
use policies::rules::{ListMeaning, PictureListRule};

/// Bytes of a line: 64 digits and its end, `\r\n` at most.
const LINE_BYTES_MAX: usize = 66;

/// One list.
pub(crate) struct PictureList {
    pub(crate) meaning: ListMeaning,
    pub(crate) distance_max: u16,
    pub(crate) index: PdqIndex,
}

/// The lists of this node's tenants.
#[derive(Default)]
pub(crate) struct Pictures(BTreeMap<TenantId, BTreeMap<String, Arc<PictureList>>>);

/// Why the lists can't be read. A node that lacks one does not start: what is not found in a list that is not there would
/// pass for clean.
#[derive(Debug, thiserror::Error)]
pub enum PicturesError {
    /// The file.
    #[error("cannot read the list of pictures {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is not a hash.
    #[error("{}:{line}: a line is the 64 hexadecimal digits of a PDQ hash, and nothing else", path.display())]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// Too many.
    #[error("{}: a list of pictures has {ENTRIES_MAX} lines at most", path.display())]
    TooMany {
        /// Which file.
        path: PathBuf,
    },
}

impl Pictures {
    /// Reads `folder/TENANT/LIST.pdq` for each rule.
    ///
    /// # Errors
    /// The first file that is missing or has a line that is no hash.
    pub(crate) fn read<'a>(
        folder: &Path,
        rules: impl Iterator<Item = &'a PictureListRule>,
    ) -> Result<Self, PicturesError> {
        let mut lists = Self::default();
        for rule in rules {
            let path = folder.join(rule.tenant.as_str()).join(format!("{}.pdq", rule.list));
            let index = PdqIndex::new(hashes(&path)?).map_err(|_| PicturesError::TooMany { path })?;
            tracing::info!(list = rule.list, tenant = %rule.tenant, pictures = index.len(), "a list of pictures is read");
            let list = PictureList { meaning: rule.meaning, distance_max: rule.distance_max, index };
            lists.0.entry(rule.tenant.clone()).or_default().insert(rule.list.clone(), Arc::new(list));
        }
        Ok(lists)
    }

    /// A tenant's list.
    pub(crate) fn find(&self, tenant: &TenantId, list: &str) -> Option<Arc<PictureList>> {
        self.0.get(tenant)?.get(list).cloned()
    }
}

fn hashes(path: &Path) -> Result<Vec<PdqHash>, PicturesError> {
    let failed = |source| PicturesError::File { path: path.to_owned(), source };
    let mut reader = BufReader::new(File::open(path).map_err(failed)?);
    let (mut hashes, mut text) = (Vec::new(), Vec::with_capacity(LINE_BYTES_MAX));
    loop {
        text.clear();
        // A file without ends of lines must not be read into memory whole.
        let mut bounded = io::Read::take(&mut reader, LINE_BYTES_MAX as u64);
        if bounded.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            return Ok(hashes);
        }
        let hash = std::str::from_utf8(&text).ok().and_then(|line| line.trim_end().parse().ok());
        hashes.push(hash.ok_or_else(|| PicturesError::Line { path: path.to_owned(), line: hashes.len() + 1 })?);
        if hashes.len() > ENTRIES_MAX {
            return Err(PicturesError::TooMany { path: path.to_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";

    fn read(text: &str) -> Result<Pictures, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("demo")).unwrap();
        std::fs::write(folder.path().join("demo/taken.pdq"), text).unwrap();
        let rule = |list: &str| PictureListRule {
            list: list.to_owned(),
            tenant: "demo".parse().unwrap(),
            meaning: ListMeaning::Takedown,
            distance_max: 31,
        };
        let rules = [rule(if text == "missing" { "other" } else { "taken" })];
        let place = |error: PicturesError| error.to_string().replace(folder.path().to_str().unwrap(), "");
        Pictures::read(folder.path(), rules.iter()).map_err(place)
    }

    #[test]
    fn a_list_is_found_by_its_tenant_and_name() {
        let lists = read(&format!("{ONE}\r\n{}\n", ONE.to_uppercase())).unwrap();
        let list = lists.find(&"demo".parse().unwrap(), "taken").unwrap();
        assert_eq!((list.index.len(), list.meaning, list.distance_max), (2, ListMeaning::Takedown, 31));
        assert!(lists.find(&"demo".parse().unwrap(), "other").is_none());
        assert!(lists.find(&"else".parse().unwrap(), "taken").is_none());
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_place() {
        let refused = |text: &str| read(text).err().unwrap();
        let line = "a line is the 64 hexadecimal digits of a PDQ hash, and nothing else";
        assert_eq!(refused(&format!("{ONE}\n\n{ONE}")), format!("/demo/taken.pdq:2: {line}"));
        assert_eq!(refused(&format!("{ONE}\n{ONE}0\n")), format!("/demo/taken.pdq:2: {line}"));
        assert_eq!(refused(&"0".repeat(1 << 20)), format!("/demo/taken.pdq:1: {line}"));
        assert_eq!(refused("missing"), "cannot read the list of pictures /demo/other.pdq");
    }
}
