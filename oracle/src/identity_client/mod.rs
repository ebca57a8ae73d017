//! The reference client of a node's identity service: what a viewer's device does.
//!
//! Actors: this *device*; a *node*, which pinned roots vouch for and which is believed in nothing that can be checked;
//! perhaps a *relay* of someone else, which carries capsules ([`Way::Oblivious`]). Data flow: passwords and blinding
//! factors stay here; assertions and answers are for the platform, which verifies them itself.
//!
//! What is checked before it is used: every key stands in the service's signed log of epochs ([`ServiceKeys`]), so that
//! a key made for one viewer alone would show; a token's challenge names its key as the directory does, and nothing that
//! would single out its holder; tokens verify by proof or signature; a credential verifies as its reader would do it.
//! Specifications: RFC 9807 (accounts), RFC 9901 (credentials), RFC 9577 and 9578 (tokens), RFC 9458 (capsules).

mod accounts;
mod credentials;
mod error;
mod keys;
mod lists;
mod sessions;
mod tokens;
mod way;

use std::ops::Deref;
use std::sync::Arc;

use attest::opaque::Stretching;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::TenantId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::{Client, ClientError};
use crate::environment::Environment;

pub(crate) use accounts::Admission;
pub(crate) use error::IdentityClientError;
pub(crate) use keys::{ServiceKeys, Trust};
#[cfg(test)]
pub(crate) use lists::tests as list_tests;
pub(crate) use lists::{ListQuestion, ListTrust, PrivateList};
pub(crate) use sessions::DeviceSession;
pub(crate) use way::Way;

/// Bytes of an answer: a log of many years is read whole.
pub(crate) const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A device of one tenant's viewer, towards one service.
///
/// Has no `Debug`: its client may hold a secret.
pub(crate) struct IdentityClient {
    client: Client,
    tenant: TenantId,
    stretching: Arc<Stretching>,
    environment: Arc<Environment>,
}

impl IdentityClient {
    /// A device that calls by `client`, which brings no bearer of its own and reads answers of [`ANSWER_BYTES_MAX`].
    pub(crate) fn new(client: Client, tenant: TenantId, stretching: Stretching, environment: Arc<Environment>) -> Self {
        Self { client, tenant, stretching: Arc::new(stretching), environment }
    }

    /// The platform whose viewer this is.
    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The way that hides nothing: the node sees this device's address.
    pub(crate) const fn direct(&self) -> Way<'_> {
        Way::Direct(&self.client)
    }
}

/// A text that lets its holder in. No `Debug`; erased when dropped.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(crate) struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Deref for Secret {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// For the file of its holder.
impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

/// The bytes of an answer's field.
fn bytes_of(text: &str) -> Result<Vec<u8>, IdentityClientError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| ClientError::AnswerForm.into())
}

fn text_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
