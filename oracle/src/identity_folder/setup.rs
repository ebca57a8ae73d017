//! What a region's identity service keeps for ever.

use attest::SigningKey;
use attest::access::AccessKey;
use attest::opaque::OpaqueServer;
use attest::seal::OperatorKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The secrets that never change. No `Debug`.
pub(crate) struct Setup {
    /// Registration and login.
    pub(crate) opaque: OpaqueServer,
    /// Signs the log of key epochs.
    pub(crate) log_key: SigningKey,
    /// Authenticates access tokens, which this service alone takes.
    pub(crate) access_key: AccessKey,
    /// Seals what tenants vouched for.
    pub(crate) records: OperatorKey,
}

/// The plaintext of the sealed file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u8,
    opaque: String,
    log_key: String,
    access_key: String,
    records: String,
}

impl Drop for Form {
    fn drop(&mut self) {
        for secret in [&mut self.opaque, &mut self.log_key, &mut self.access_key, &mut self.records] {
            secret.zeroize();
        }
    }
}

impl Setup {
    pub(super) fn generate(rng: &mut impl CryptoRng) -> Self {
        Self {
            opaque: OpaqueServer::generate(rng),
            log_key: SigningKey::generate(rng),
            access_key: AccessKey::generate(rng),
            records: OperatorKey::generate(rng),
        }
    }

    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let form = Form {
            version: 1,
            opaque: URL_SAFE_NO_PAD.encode(self.opaque.to_secret_bytes().as_slice()),
            log_key: self.log_key.to_pem().to_string(),
            access_key: self.access_key.to_text().to_string(),
            records: self.records.to_text().to_string(),
        };
        Zeroizing::new(serde_json::to_vec(&form).expect("texts and a number serialise"))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let form: Form = serde_json::from_slice(bytes).ok()?;
        let opaque = Zeroizing::new(URL_SAFE_NO_PAD.decode(&form.opaque).ok()?);
        (form.version == 1).then_some(())?;
        Some(Self {
            opaque: OpaqueServer::from_secret_bytes(&opaque).ok()?,
            log_key: SigningKey::from_pem(&form.log_key).ok()?,
            access_key: AccessKey::parse(&form.access_key).ok()?,
            records: OperatorKey::parse(&form.records).ok()?,
        })
    }
}
