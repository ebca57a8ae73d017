//! One epoch as a node holds it: the manifest, the function's key, and where the buckets are.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use attest::content::list::{Bucket, BucketError, Geometry, ListExpectation, ListKey, ListManifest};
use attest::seal::OperatorKey;

use super::files;
use super::{ListFolder, ListFolderError};

pub(super) const MANIFEST: &str = "manifest.jwt";
pub(super) const KEY: &str = "key.sealed";
pub(super) const BUCKETS: &str = "buckets.bin";

/// An epoch whose parts belong together. No `Debug`: it holds a key.
pub(crate) struct ListEpoch {
    pub(crate) manifest: ListManifest,
    /// The manifest as it was signed.
    pub(crate) text: String,
    pub(crate) key: ListKey,
    pub(crate) geometry: Geometry,
    buckets: PathBuf,
}

impl ListEpoch {
    /// Opens an epoch of a list that is in force at `now_ms`.
    ///
    /// The buckets themselves are not read: whoever uses one verifies it by the manifest.
    ///
    /// # Errors
    /// The first check that fails.
    pub(crate) fn open(
        folder: &ListFolder,
        epoch: u64,
        operator: &OperatorKey,
        now_ms: u64,
    ) -> Result<Self, ListFolderError> {
        // 1. Signed by the list's key, about this epoch of this list, in force.
        let (manifest, text) = Self::manifest(folder, epoch, now_ms)?;
        let path = folder.epoch_folder(epoch);
        // 2. The key is the one that is committed to.
        let file = path.join(KEY);
        let secret = folder.unseal(&file, &folder.epoch_label(epoch), operator)?;
        let key = ListKey::from_secret_bytes(&secret).map_err(|_| ListFolderError::Content(file.clone()))?;
        if key.public() != manifest.key {
            return Err(ListFolderError::Key(file));
        }
        // 3. As many bytes of buckets as the manifest says.
        let buckets = path.join(BUCKETS);
        let geometry = manifest.geometry().map_err(|_| ListFolderError::Content(path.join(MANIFEST)))?;
        let bytes = std::fs::metadata(&buckets).map_err(ListFolderError::io(&buckets))?.len();
        if bytes != u64::from(geometry.buckets()) * geometry.bucket_bytes() as u64 {
            return Err(ListFolderError::Content(buckets));
        }
        Ok(Self { manifest, text, key, geometry, buckets })
    }

    /// The manifest of an epoch, verified, and its text.
    pub(crate) fn manifest(
        folder: &ListFolder,
        epoch: u64,
        now_ms: u64,
    ) -> Result<(ListManifest, String), ListFolderError> {
        let path = folder.epoch_folder(epoch).join(MANIFEST);
        let text = files::read(&path)?.and_then(|text| String::from_utf8(text).ok());
        let text = text.ok_or_else(|| ListFolderError::Content(path.clone()))?;
        let expected = ListExpectation { tenant: &folder.tenant, list: &folder.list, epoch_min: epoch, last: None };
        let manifest = ListManifest::verify(&text, &folder.key, &expected, now_ms);
        let manifest = manifest.map_err(|source| ListFolderError::Manifest { path: path.clone(), source })?;
        if manifest.epoch != epoch || manifest.meaning != folder.meaning {
            return Err(ListFolderError::Content(path));
        }
        Ok((manifest, text))
    }

    /// A bucket with its path, as it is served. Reads the file: not for the reactor's threads.
    ///
    /// # Errors
    /// There is no such bucket, or what the system reports.
    pub(crate) fn bucket(&self, number: u32) -> io::Result<Vec<u8>> {
        if number >= self.geometry.buckets() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut bytes = vec![0; self.geometry.bucket_bytes()];
        let mut file = File::open(&self.buckets)?;
        file.seek(SeekFrom::Start(u64::from(number) * bytes.len() as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Verifies every bucket by the manifest: the number of the first that is refused, and why.
    ///
    /// # Errors
    /// What the system reports.
    pub(crate) fn verify_buckets(&self) -> io::Result<Result<(), (u32, BucketError)>> {
        for number in 0..self.geometry.buckets() {
            let bytes = self.bucket(number)?;
            if let Err(error) = Bucket::verify(&bytes, &self.geometry, number, &self.manifest.root) {
                return Ok(Err((number, error)));
            }
        }
        Ok(Ok(()))
    }
}
