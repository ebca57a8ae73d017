//! Reads a policy folder from disk: `regions/*`, `purposes/*`, `issuers/*`, `anchors/*`, `access.toml`, `issuers.toml`,
//! `attestation.toml` and `content.toml`, nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use anyhow::Context as _;
use policies::PolicySet;

/// The files of a policy folder by their path relative to it, as [`PolicySet::parse`] takes them.
///
/// Names that begin with a dot are left to editors. What else does not belong there is read too, so that it
/// becomes a finding.
///
/// # Errors
/// No such folder, one without policies, or what the operating system reports. Too many or too large files
/// are cut just beyond the limit, where [`PolicySet::parse`] refuses them.
pub(crate) fn read(folder: &Path) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for part in ["regions", "purposes", "issuers", "anchors"] {
        let path = folder.join(part);
        let entries = match std::fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            let name = entry.file_name();
            let name = name.to_str().with_context(|| format!("a file name in {} is not UTF-8", path.display()))?;
            if !name.starts_with('.') && files.len() <= PolicySet::FILES_MAX {
                // A folder holds no policy: its name alone becomes a finding.
                let bytes = if entry.path().is_dir() { Vec::new() } else { file(&entry.path())? };
                files.insert(format!("{part}/{name}"), bytes);
            }
        }
    }
    for name in ["access.toml", "issuers.toml", "attestation.toml", "content.toml"] {
        let path = folder.join(name);
        if path.exists() {
            files.insert(name.to_owned(), file(&path)?);
        }
    }
    if files.is_empty() {
        anyhow::bail!("{} is no policy folder: it has neither `regions/*.toml` nor `access.toml`", folder.display());
    }
    Ok(files)
}

fn file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(PolicySet::FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_belongs_there_and_what_does_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("regions/nested")).unwrap();
        std::fs::write(folder.path().join("regions/eu.toml"), "a").unwrap();
        std::fs::write(folder.path().join("regions/.eu.toml.swp"), "b").unwrap();
        std::fs::write(folder.path().join("regions/large.toml"), vec![b'\n'; PolicySet::FILE_BYTES_MAX + 9]).unwrap();
        std::fs::write(folder.path().join("README.md"), "c").unwrap();
        std::fs::write(folder.path().join("access.toml"), "d").unwrap();
        std::fs::write(folder.path().join("issuers.toml"), "ef").unwrap();
        std::fs::write(folder.path().join("attestation.toml"), "jklm").unwrap();
        std::fs::write(folder.path().join("content.toml"), "nopqr").unwrap();
        std::fs::create_dir(folder.path().join("anchors")).unwrap();
        std::fs::write(folder.path().join("anchors/root.pem"), "stuvwx").unwrap();
        std::fs::create_dir(folder.path().join("issuers")).unwrap();
        std::fs::write(folder.path().join("issuers/id.jwks.json"), "ghi").unwrap();
        let lengths: Vec<_> =
            read(folder.path()).unwrap().into_iter().map(|(name, bytes)| (name, bytes.len())).collect();
        let expected = [
            ("access.toml", 1),
            ("anchors/root.pem", 6),
            ("attestation.toml", 4),
            ("content.toml", 5),
            ("issuers.toml", 2),
            ("issuers/id.jwks.json", 3),
            ("regions/eu.toml", 1),
            ("regions/large.toml", PolicySet::FILE_BYTES_MAX + 1),
            ("regions/nested", 0),
        ];
        assert_eq!(lengths, expected.map(|(name, length)| (name.to_owned(), length)));
    }

    #[test]
    fn an_empty_folder_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("is no policy folder: it has neither `regions/*.toml` nor `access.toml`"), "{error}");
    }
}
