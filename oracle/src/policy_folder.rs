//! Reads a policy folder from disk, and verifies the bundle in it: `regions/*`, `purposes/*`, `issuers/*`, `anchors/*`, `access.toml`, `issuers.toml`,
//! `attestation.toml` and `content.toml`, nothing else.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use policies::bundle::{NOTE_BYTES_MAX, NOTE_FILE, Trust};
use policies::{Bundle, BundleError, PolicySet, Signers};

use crate::store::Store;
use crate::store::bundles::KeptBundle;

/// Why a policy folder is not read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The operating system.
    #[error("cannot read {0}")]
    Io(PathBuf, #[source] io::Error),
    /// A file's name.
    #[error("a file name in {0} is not UTF-8")]
    Name(PathBuf),
    /// No folder, or one without policies.
    #[error("{0} is no policy folder: it has neither `regions/*.toml` nor `access.toml`")]
    None(PathBuf),
    /// Nobody signed.
    #[error("{0} has no bundle.note: nobody signed these policies (`siwa policy sign`)")]
    Unsigned(PathBuf),
}

/// The files of a policy folder by their path relative to it, as [`PolicySet::parse`] takes them.
///
/// Names that begin with a dot are left to editors. What else does not belong there is read too, so that it
/// becomes a finding.
///
/// # Errors
/// No such folder, one without policies, or what the operating system reports. Too many or too large files
/// are cut just beyond the limit, where [`PolicySet::parse`] refuses them.
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, FolderError> {
    let mut files = BTreeMap::new();
    for name in ["regions", "purposes", "issuers", "anchors"] {
        part(folder, name, &mut files)?;
    }
    for name in ["access.toml", "issuers.toml", "attestation.toml", "content.toml"] {
        let path = folder.join(name);
        if path.exists() {
            files.insert(name.to_owned(), file(&path)?);
        }
    }
    if files.is_empty() {
        return Err(FolderError::None(folder.to_owned()));
    }
    Ok(files)
}

fn part(folder: &Path, part: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), FolderError> {
    let path = folder.join(part);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FolderError::Io(path, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| FolderError::Io(path.clone(), error))?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| FolderError::Name(path.clone()))?;
        if !name.starts_with('.') && files.len() <= PolicySet::FILES_MAX {
            // A folder holds no policy: its name alone becomes a finding.
            let bytes = if entry.path().is_dir() { Vec::new() } else { file(&entry.path())? };
            files.insert(format!("{part}/{name}"), bytes);
        }
    }
    Ok(())
}

/// The test cases beside the policies, `cases/NAME.toml`, by their path. They are no part of the bundle.
///
/// # Errors
/// As [`read`]; no folder of cases is none.
pub(crate) fn read_cases(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, FolderError> {
    let mut files = BTreeMap::new();
    part(folder, "cases", &mut files)?;
    Ok(files)
}

/// The signed note of the bundle in a folder.
///
/// # Errors
/// None is there, or what the operating system reports.
pub(crate) fn read_note(folder: &Path) -> Result<Vec<u8>, FolderError> {
    let path = folder.join(NOTE_FILE);
    if path.exists() { bounded(&path, NOTE_BYTES_MAX) } else { Err(FolderError::Unsigned(folder.to_owned())) }
}

fn file(path: &Path) -> Result<Vec<u8>, FolderError> {
    bounded(path, PolicySet::FILE_BYTES_MAX)
}

/// A file, cut just beyond its limit.
fn bounded(path: &Path, limit: usize) -> Result<Vec<u8>, FolderError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| FolderError::Io(path.to_owned(), error))?;
    Ok(bytes)
}

/// Writes a bundle as a folder: the files, then the note, so that whoever finds the note finds the files too.
///
/// # Errors
/// What the operating system reports.
pub(crate) fn write(folder: &Path, bundle: &Bundle) -> Result<(), FolderError> {
    if folder.exists() {
        for name in
            read(folder).unwrap_or_default().keys().filter(|name| !bundle.policies().files().contains_key(*name))
        {
            let path = folder.join(name);
            std::fs::remove_file(&path).map_err(|error| FolderError::Io(path, error))?;
        }
    }
    for (name, bytes) in bundle.policies().files() {
        replace(&folder.join(name), bytes)?;
    }
    write_note(folder, bundle.note())
}

/// Puts a signed note in place of the one before, whole or not at all.
///
/// # Errors
/// What the operating system reports.
pub(crate) fn write_note(folder: &Path, note: &str) -> Result<(), FolderError> {
    replace(&folder.join(NOTE_FILE), note.as_bytes())
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let place = path.parent().unwrap_or_else(|| Path::new("."));
    let written = std::fs::create_dir_all(place).and_then(|()| {
        let mut file = tempfile::NamedTempFile::new_in(place)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)
    });
    written.map(|_| ()).map_err(|error| FolderError::Io(path.to_owned(), error))
}

/// The bundle that a process starts with: the folder's, verified by the keys of the config, or by whom the newest bundle
/// names that was ever taken here. A folder that is older than that is refused, and what was taken stays in force.
///
/// # Errors
/// No bundle, or one that is refused.
pub(crate) async fn at_start(folder: &Path, keys: &Signers, store: Option<&Store>) -> anyhow::Result<Bundle> {
    let files = read(folder)?;
    let note = read_note(folder)?;
    let kept = match store {
        Some(store) => store.bundles().await.context("cannot read which policies were taken")?.pop(),
        None => None,
    };
    let held = kept.as_ref().map(KeptBundle::statement).transpose().context("cannot read which policies were taken")?;
    let trust = held.as_ref().map_or(Trust::First(keys), Trust::After);
    match (Bundle::open(&note, &files, trust), kept) {
        (Err(error @ BundleError::Older { .. }), Some(kept)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the policy folder is older than what is in force"
            );
            Ok(kept.bundle().context("cannot read the policies that were taken")?)
        }
        (Err(error), _) => Err(error).with_context(|| format!("the policy bundle in {} is refused", folder.display())),
        (Ok(bundle), _) => Ok(bundle),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy_signing::self_signed;
    use crate::store::KeepError;
    use aggregator::log::{LogEntry, PolicyLogged};
    use attest::SigningKey;
    use rand_core::{OsRng, TryRngCore as _};

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

    fn bundle(version: u64, comment: &str, key: &SigningKey) -> Bundle {
        let mut files = policies::sample::files();
        files.entry("access.toml".to_owned()).or_default().extend_from_slice(comment.as_bytes());
        let key = SigningKey::from_pem(&key.to_pem()).unwrap();
        self_signed(&PolicySet::parse(&files).unwrap(), version, key).unwrap()
    }

    #[tokio::test]
    async fn an_older_folder_is_refused_and_what_was_taken_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("policies");
        let mut rng = OsRng.unwrap_err();
        let (key, stranger) = (SigningKey::generate(&mut rng), SigningKey::generate(&mut rng));
        let [two, three] = [(2, "# two\n"), (3, "# three\n")].map(|(version, comment)| bundle(version, comment, &key));
        let signers = two.statement().next.clone();
        let store = Store::create_sqlite(&place.path().join("store.sqlite")).unwrap();
        let start = async |store: Option<&Store>| {
            at_start(&folder, &signers, store).await.map(|bundle| (bundle.version(), bundle.policies().digest()))
        };
        let told = |outcome: anyhow::Result<(u64, policies::Digest)>| format!("{:#}", outcome.unwrap_err());

        write(&folder, &two).unwrap();
        assert_eq!(start(Some(&store)).await.unwrap(), (2, two.policies().digest()));
        store.keep_bundle(&three, 1).await.unwrap();
        // The folder says two: three stays, from the store.
        assert_eq!(start(Some(&store)).await.unwrap(), (3, three.policies().digest()));
        assert_eq!(store.keep_bundle(&two, 2).await, Err(KeepError::Older));
        // Nothing is known without a store but the keys of the config.
        assert_eq!(start(None).await.unwrap().0, 2);

        write(&folder, &bundle(3, "# otherwise\n", &key)).unwrap();
        assert!(
            told(start(Some(&store)).await)
                .ends_with("version 3 is known, and says otherwise: its signers contradict themselves")
        );
        write(&folder, &bundle(4, "# four\n", &stranger)).unwrap();
        assert!(told(start(Some(&store)).await).ends_with("nobody signed who may sign this version"));
        write(&folder, &three).unwrap();
        std::fs::write(folder.join("purposes/more.toml"), "").unwrap();
        let other = told(start(Some(&store)).await);
        assert!(
            other.ends_with("the files are not those that were signed: one was changed, added or taken away"),
            "{other}"
        );
        std::fs::remove_file(folder.join("bundle.note")).unwrap();
        assert!(told(start(Some(&store)).await).contains("has no bundle.note"));
    }

    #[tokio::test]
    async fn bundles_are_kept_over_restarts_and_logged_once() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("centre.sqlite");
        let key = SigningKey::generate(&mut OsRng.unwrap_err());
        let made: Vec<Bundle> = (1..=20).map(|version| bundle(version, &format!("# {version}\n"), &key)).collect();
        {
            let store = Store::create_sqlite(&file).unwrap();
            for bundle in &made {
                store.log_bundle(bundle, 7).await.unwrap();
                store.log_bundle(bundle, 8).await.unwrap();
            }
        }
        let store = Store::open_sqlite(&file).unwrap();
        let kept = store.bundles().await.unwrap();
        assert_eq!(
            kept.iter().map(|kept| (kept.version, kept.logged)).collect::<Vec<_>>(),
            (5..=20).map(|v| (v, Some(v - 1))).collect::<Vec<_>>()
        );
        assert_eq!(store.log_size().await.unwrap(), 20, "each once");
        let newest = kept.last().unwrap().bundle().unwrap();
        assert_eq!((newest.note(), newest.policies().files()), (made[19].note(), made[19].policies().files()));
        assert_eq!(store.log_bundle(&made[3], 9).await, Err(KeepError::Older));
        let entry = LogEntry::decode(&store.log_entries(19, 1).await.unwrap()[0]).unwrap();
        let logged =
            PolicyLogged { version: 20, digest: newest.policies().digest(), bundle: newest.digest(), logged_ms: 7 };
        assert_eq!(entry, LogEntry::Policy(logged));
    }
}
