//! What an operator says of an epoch of a list, as a JWS of type `siwa-list+jwt`.
//!
//! The key is the list's own: made once by the operator, kept where lists are built, never on a node. Nodes and caches
//! pass manifests on and cannot make one; which node serves a list does not matter to whoever verifies it. The key of
//! the function is another in each epoch, and the manifest commits to it.

use policies::{Digest, ListMeaning, TenantId};
use serde::{Deserialize, Serialize};

use super::bucket::{Geometry, InvalidGeometry};
use super::{ListName, ListPublicKey, TAG_BYTES};
use crate::jws::{self, JwsError, Typ};
use crate::keys::{SigningKey, VerifyingKey};
use crate::time::{OutOfLife, check_life};

/// How long an epoch may be good for: a year.
pub const EPOCH_SECONDS_MAX: u64 = 366 * 86_400;

/// The claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListManifest {
    /// Whose list.
    pub tenant: TenantId,
    /// Its name.
    pub list: ListName,
    /// What it says of its members.
    pub meaning: ListMeaning,
    /// Rises with every build.
    pub epoch: u64,
    /// When it was built, Unix seconds.
    pub iat: u64,
    /// Until when it is good, Unix seconds.
    pub exp: u64,
    /// Bits of the unkeyed hash that choose a bucket.
    pub bits: u8,
    /// Tags in each bucket.
    pub slots: u32,
    /// Bytes of a tag.
    pub tag_bytes: u8,
    /// About how many members: not more than this.
    pub entries_max: u64,
    /// The function's key in this epoch.
    pub key: ListPublicKey,
    /// The root of the tree over all buckets.
    pub root: Digest,
}

/// What whoever verifies a manifest knows.
#[derive(Debug, Clone, Copy)]
pub struct ListExpectation<'a> {
    /// Whose list.
    pub tenant: &'a TenantId,
    /// Which.
    pub list: &'a ListName,
    /// The lowest epoch that is believed.
    pub epoch_min: u64,
    /// The manifest that was seen last, if it is known.
    pub last: Option<&'a ListManifest>,
}

/// Why a manifest was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The token itself.
    #[error("the list manifest's token was refused")]
    Jws(#[from] JwsError),
    /// Another tenant's.
    #[error("the list manifest is another tenant's")]
    Tenant,
    /// Another list's.
    #[error("the list manifest is another list's")]
    List,
    /// Its bits, slots or tags are none that a list has.
    #[error("the list manifest's buckets are of no form that is known")]
    Geometry,
    /// It ends before it begins, or more than [`EPOCH_SECONDS_MAX`] after.
    #[error("the list manifest lives longer than any may")]
    Lifetime,
    /// Built in the future.
    #[error("the list manifest's time has not come")]
    NotYet,
    /// Its time is over.
    #[error("the list manifest has run out")]
    Expired,
    /// An older epoch than one that is known, or the same with other claims.
    #[error("the list manifest's epoch does not rise")]
    Epoch,
}

impl From<InvalidGeometry> for ManifestError {
    fn from(_: InvalidGeometry) -> Self {
        Self::Geometry
    }
}

impl From<OutOfLife> for ManifestError {
    fn from(why: OutOfLife) -> Self {
        match why {
            OutOfLife::Lifetime => Self::Lifetime,
            OutOfLife::NotYetValid => Self::NotYet,
            OutOfLife::Expired => Self::Expired,
        }
    }
}

impl ListManifest {
    /// The manifest as a compact JWS.
    ///
    /// # Errors
    /// As [`jws::sign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(Typ::List, self, key)
    }

    /// Verifies a manifest by the list's key.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        token: &str,
        key: &VerifyingKey,
        expected: &ListExpectation<'_>,
        now_ms: u64,
    ) -> Result<Self, ManifestError> {
        // 1. Signed by the list's key, as a manifest; the function's key is an element.
        let manifest: Self = jws::verify(token, Typ::List, key)?;
        // 2. Of this list.
        if manifest.tenant != *expected.tenant {
            return Err(ManifestError::Tenant);
        }
        if manifest.list != *expected.list {
            return Err(ManifestError::List);
        }
        // 3. Of a form that is known.
        manifest.geometry()?;
        // 4. In force.
        check_life(manifest.iat, manifest.exp, EPOCH_SECONDS_MAX, now_ms)?;
        // 5. Not an older one again.
        let falls = |last: &Self| manifest.epoch < last.epoch || (manifest.epoch == last.epoch && manifest != *last);
        if manifest.epoch < expected.epoch_min || expected.last.is_some_and(falls) {
            return Err(ManifestError::Epoch);
        }
        Ok(manifest)
    }

    /// Whether its time is not over.
    #[must_use]
    pub fn is_in_force(&self, now_ms: u64) -> bool {
        check_life(self.iat, self.exp, EPOCH_SECONDS_MAX, now_ms).is_ok()
    }

    /// Its buckets.
    ///
    /// # Errors
    /// Never for a manifest that was verified.
    pub fn geometry(&self) -> Result<Geometry, InvalidGeometry> {
        if usize::from(self.tag_bytes) != TAG_BYTES {
            return Err(InvalidGeometry);
        }
        Geometry::new(self.bits, self.slots)
    }
}
