//! The data of the client (WebAuthn L3 §5.8.1), as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Bytes of the client's data at most.
pub const CLIENT_DATA_BYTES_MAX: usize = 4 * 1024;

/// Why the client's data were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientDataError {
    /// More bytes than [`CLIENT_DATA_BYTES_MAX`].
    #[error("the client's data are too long")]
    TooLong,
    /// Not JSON with the members that are needed.
    #[error("the client's data cannot be read")]
    Malformed,
    /// Not of a registration.
    #[error("the client's data are not those of a registration")]
    Type,
    /// The challenge is not base64url.
    #[error("the challenge in the client's data is not base64url")]
    Challenge,
    /// Asked from within another party's page.
    #[error("the page that asked stood within another party's page")]
    CrossOrigin,
}

/// What is read of the client's data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientData {
    pub(super) challenge: Vec<u8>,
    pub(super) origin: String,
}

/// Other members are ignored: clients may add any (§5.8.1).
#[derive(Deserialize)]
struct Json {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: bool,
    #[serde(rename = "topOrigin")]
    top_origin: Option<String>,
}

impl ClientData {
    /// Reads the data of a registration.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ClientDataError> {
        if bytes.len() > CLIENT_DATA_BYTES_MAX {
            return Err(ClientDataError::TooLong);
        }
        let json: Json = serde_json::from_slice(bytes).map_err(|_| ClientDataError::Malformed)?;
        if json.kind != "webauthn.create" {
            return Err(ClientDataError::Type);
        }
        if json.cross_origin || json.top_origin.is_some() {
            return Err(ClientDataError::CrossOrigin);
        }
        let challenge = URL_SAFE_NO_PAD.decode(json.challenge).map_err(|_| ClientDataError::Challenge)?;
        Ok(Self { challenge, origin: json.origin })
    }
}
