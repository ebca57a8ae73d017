//! Which model is current: the centre's signed statement, as a JWS of type `siwa-model+jwt`.
//!
//! The serial only rises, whatever version it points at: a roll-back is a new pointer with a higher serial to
//! an older version, and a replayed pointer is refused.

use policies::{Digest, TenantId};
use serde::{Deserialize, Serialize};

use crate::jws::{self, JwsError, Typ};
use crate::keys::{SigningKey, VerifyingKey};

/// The claims of a pointer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelPointer {
    /// Whose model.
    pub tenant: TenantId,
    /// The version pointed at.
    pub version: u64,
    /// SHA-256 of the artifact's bytes.
    pub digest: Digest,
    /// Rises with every pointer of the tenant.
    pub serial: u64,
    /// When it was signed, Unix seconds: how fresh the statement is. The same pointer may be signed again later.
    pub iat: u64,
}

/// Why a pointer, or the artifact it points at, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// The token itself.
    #[error("the model pointer's token was refused")]
    Jws(#[from] JwsError),
    /// Another tenant's pointer.
    #[error("the model pointer is for another tenant")]
    Tenant,
    /// An older serial than one already seen, or the same serial with other claims.
    #[error("the model pointer's serial does not rise")]
    Serial,
    /// The artifact's bytes are not those pointed at.
    #[error("the model artifact is not the one that the pointer names")]
    Artifact,
}

impl ModelPointer {
    /// The pointer as a compact JWS.
    ///
    /// # Errors
    /// As [`jws::sign`].
    pub fn sign(&self, key: &SigningKey) -> Result<String, JwsError> {
        jws::sign(Typ::Model, self, key)
    }

    /// Verifies a pointer by the centre's key, that it is this tenant's, and that its serial does not fall
    /// below the last one seen. The last pointer itself is accepted again, also when it was signed anew.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(
        token: &str,
        key: &VerifyingKey,
        tenant: &TenantId,
        last: Option<&Self>,
    ) -> Result<Self, PointerError> {
        let pointer: Self = jws::verify(token, Typ::Model, key)?;
        if pointer.tenant != *tenant {
            return Err(PointerError::Tenant);
        }
        match last {
            Some(last) if pointer.serial < last.serial => Err(PointerError::Serial),
            Some(last) if pointer.serial == last.serial && !pointer.names_same(last) => Err(PointerError::Serial),
            Some(_) | None => Ok(pointer),
        }
    }

    fn names_same(&self, other: &Self) -> bool {
        self.version == other.version && self.digest == other.digest
    }

    /// That `artifact` is what the pointer names.
    ///
    /// # Errors
    /// [`PointerError::Artifact`].
    pub fn check_artifact(&self, artifact: &[u8]) -> Result<(), PointerError> {
        if Digest::of(artifact) == self.digest { Ok(()) } else { Err(PointerError::Artifact) }
    }
}

#[cfg(test)]
mod tests;
