//! The folder of one list: what it is, who signs for it, and which epoch is in force.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use attest::content::list::{ListName, ManifestError};
use attest::seal::{OperatorKey, SealError};
use attest::{SigningKey, VerifyingKey};
use policies::{ListMeaning, TenantId};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::exposed::check_outside;
use super::files::{self, create_folder, replace};

const DESCRIPTION: &str = "list.json";
const CURRENT: &str = "current";
const EPOCHS: &str = "epochs";
const BUILD: &str = "build";
const VERSION: u8 = 1;
/// Why a seal takes what this module seals.
pub(super) const SHORT: &str = "keys are far below what a seal takes";

/// Why a list's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListFolderError {
    /// There is no list. It is made once, by `siwa list init`.
    #[error("{} has no list: make it once, with `siwa list init`", .0.display())]
    Missing(PathBuf),
    /// There is one already: with another key, nobody who pinned the first would believe its manifests.
    #[error("{} has a list already: its key is what clients believe", .0.display())]
    Exists(PathBuf),
    /// A file can't be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A signing key lies where nodes read: who serves a list must not be able to make one.
    #[error("{} is or holds a signing key: it belongs outside of the folder that nodes read", .0.display())]
    Exposed(PathBuf),
    /// The key is not the one whose public half the list names.
    #[error("{} is not the key that signs this list", .0.display())]
    Signer(PathBuf),
    /// A file is not sealed under this operator key, or belongs elsewhere.
    #[error("{} does not open with this operator key", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// A file holds something else than belongs there.
    #[error("{} holds something else than it should", .0.display())]
    Content(PathBuf),
    /// An epoch's manifest is refused.
    #[error("{} is refused", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// An epoch's key is not the one that its manifest commits to.
    #[error("{} is not the key that the manifest commits to", .0.display())]
    Key(PathBuf),
}

impl ListFolderError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path: path.clone(), source }
    }
}

/// `list.json`
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    version: u8,
    tenant: TenantId,
    list: ListName,
    meaning: ListMeaning,
    key: String,
}

/// One list's folder.
#[derive(Debug, Clone)]
pub(crate) struct ListFolder {
    path: PathBuf,
    pub(crate) tenant: TenantId,
    pub(crate) list: ListName,
    pub(crate) meaning: ListMeaning,
    /// Verifies its manifests.
    pub(crate) key: VerifyingKey,
}

impl ListFolder {
    /// Makes a list in `root`, with a key of its own, which is written to `signing_key` (PEM, mode 0600).
    ///
    /// # Errors
    /// There is one, the key's file is there or lies in `root`, or a file can't be written.
    pub(crate) fn initialise(
        root: &Path,
        (tenant, list, meaning): (TenantId, ListName, ListMeaning),
        signing_key: &Path,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ListFolderError> {
        let path = root.join(tenant.as_str()).join(list.as_str());
        create_folder(&path.join(EPOCHS))?;
        let description = path.join(DESCRIPTION);
        if description.try_exists().map_err(ListFolderError::io(&description))? {
            return Err(ListFolderError::Exists(path));
        }
        check_outside(signing_key, root)?;
        // The description last: where it is, the rest is too.
        let secret = SigningKey::generate(rng);
        let made = Self { key: secret.verifying_key(), path, tenant, list, meaning };
        files::create(signing_key, secret.to_pem().as_bytes())?;
        let form = Description {
            version: VERSION,
            tenant: made.tenant.clone(),
            list: made.list.clone(),
            meaning,
            key: made.key.to_string(),
        };
        replace(&description, &serde_json::to_vec_pretty(&form).expect("names and a number serialise"))?;
        Ok(made)
    }

    /// Opens the list of a tenant in `root`.
    ///
    /// # Errors
    /// There is none, or its description is another's.
    pub(crate) fn open(root: &Path, tenant: &TenantId, list: &ListName) -> Result<Self, ListFolderError> {
        let path = root.join(tenant.as_str()).join(list.as_str());
        let file = path.join(DESCRIPTION);
        let text = files::read(&file)?.ok_or_else(|| ListFolderError::Missing(path.clone()))?;
        let form: Description = serde_json::from_slice(&text).map_err(|_| ListFolderError::Content(file.clone()))?;
        let key: Option<VerifyingKey> = form.key.parse().ok();
        match key {
            Some(key) if form.version == VERSION && form.tenant == *tenant && form.list == *list => {
                Ok(Self { path, tenant: form.tenant, list: form.list, meaning: form.meaning, key })
            }
            _ => Err(ListFolderError::Content(file)),
        }
    }

    /// The number of the epoch in force; nothing before the first build.
    ///
    /// # Errors
    /// A file that can't be read, or is no number.
    pub(crate) fn current(&self) -> Result<Option<u64>, ListFolderError> {
        let file = self.path.join(CURRENT);
        let Some(text) = files::read(&file)? else { return Ok(None) };
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim_end().parse().ok());
        number.map(Some).ok_or(ListFolderError::Content(file))
    }

    /// Puts an epoch in force, whose folder is there.
    pub(super) fn make_current(&self, epoch: u64) -> Result<(), ListFolderError> {
        replace(&self.path.join(CURRENT), format!("{epoch}\n").as_bytes())
    }

    /// Removes epochs before `epoch`, keys and all.
    pub(super) fn forget_before(&self, epoch: u64) -> Result<(), ListFolderError> {
        let folder = self.path.join(EPOCHS);
        for entry in fs::read_dir(&folder).map_err(ListFolderError::io(&folder))? {
            let path = entry.map_err(ListFolderError::io(&folder))?.path();
            let number = path.file_name().and_then(|name| name.to_str()?.parse::<u64>().ok());
            if number.is_some_and(|number| number < epoch) {
                files::remove_folder(&path)?;
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn epoch_folder(&self, epoch: u64) -> PathBuf {
        self.path.join(EPOCHS).join(epoch.to_string())
    }

    pub(super) fn build_folder(&self) -> PathBuf {
        self.path.join(BUILD)
    }

    /// The key that signs manifests, which lies elsewhere than the list.
    ///
    /// # Errors
    /// There is no such file, it lies where nodes read, or it is another key.
    pub(crate) fn signing_key(&self, file: &Path) -> Result<SigningKey, ListFolderError> {
        let missing = || ListFolderError::io(file)(io::ErrorKind::NotFound.into());
        let pem = Zeroizing::new(files::read(file)?.ok_or_else(missing)?);
        check_outside(file, self.path.ancestors().nth(2).unwrap_or(&self.path))?;
        let key = std::str::from_utf8(&pem).ok().and_then(|pem| SigningKey::from_pem(pem).ok());
        match key {
            Some(key) if key.verifying_key() == self.key => Ok(key),
            _ => Err(ListFolderError::Signer(file.to_owned())),
        }
    }

    /// What this list's secrets are sealed as: a file of another list does not open.
    fn label(&self) -> String {
        format!("list {}/{}", self.tenant, self.list)
    }

    /// What an epoch's key is sealed as.
    pub(super) fn epoch_label(&self, epoch: u64) -> String {
        format!("{} epoch {epoch}", self.label())
    }

    pub(super) fn seal(
        &self,
        file: &Path,
        label: &str,
        secret: &[u8],
        operator: &OperatorKey,
        rng: &mut impl CryptoRng,
    ) -> Result<(), ListFolderError> {
        replace(file, &operator.seal(label, secret, rng).expect(SHORT))
    }

    pub(super) fn unseal(
        &self,
        file: &Path,
        label: &str,
        operator: &OperatorKey,
    ) -> Result<Zeroizing<Vec<u8>>, ListFolderError> {
        let sealed = files::read(file)?.ok_or_else(|| ListFolderError::Content(file.to_owned()))?;
        operator.open(label, &sealed).map_err(|source| ListFolderError::Sealed { path: file.to_owned(), source })
    }
}
