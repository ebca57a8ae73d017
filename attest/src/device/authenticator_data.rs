//! Authenticator data (WebAuthn L3 §6.1), as authenticators sign it; App Attest borrows the form.

use crate::evidence::cbor::{self, Value};

/// Bytes of authenticator data at most.
pub const AUTHENTICATOR_DATA_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a credential's id at most (WebAuthn L3 §4, Credential ID).
pub const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const CREDENTIAL_INCLUDED: u8 = 0x40;
const EXTENSIONS_INCLUDED: u8 = 0x80;

/// Why authenticator data were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticatorDataError {
    /// More bytes than [`AUTHENTICATOR_DATA_BYTES_MAX`].
    #[error("the authenticator's data are too long")]
    TooLong,
    /// They end early, go on after their end, or hold something other than they say.
    #[error("the authenticator's data cannot be read")]
    Malformed,
    /// They hold no new credential.
    #[error("the authenticator's data hold no credential")]
    NoCredential,
    /// Backed up, though not eligible for that (WebAuthn L3 §6.1.3).
    #[error("the authenticator's data contradict themselves")]
    Contradiction,
}

/// Authenticator data with a new credential.
#[derive(Debug)]
pub(crate) struct AuthenticatorData<'a> {
    pub(crate) rp_id_hash: [u8; 32],
    pub(crate) user_present: bool,
    pub(crate) user_verified: bool,
    pub(crate) counter: u32,
    /// The authenticator's model.
    pub(crate) aaguid: [u8; 16],
    pub(crate) credential_id: &'a [u8],
    /// The credential's public key (RFC 9052 §7).
    pub(crate) key: Value<'a>,
}

/// What may follow the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extensions {
    /// A map if the flag says so, and nothing otherwise.
    AsFlagged,
    /// A map or nothing: Apple's devices add one without the flag.
    Unflagged,
}

impl<'a> AuthenticatorData<'a> {
    /// Reads the data of a registration.
    pub(crate) fn read(bytes: &'a [u8], extensions: Extensions) -> Result<Self, AuthenticatorDataError> {
        use AuthenticatorDataError as E;
        if bytes.len() > AUTHENTICATOR_DATA_BYTES_MAX {
            return Err(E::TooLong);
        }
        // 1. The head.
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(E::Malformed)?;
        let (flags, rest) = rest.split_first().ok_or(E::Malformed)?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(E::Malformed)?;
        let has = |flag: u8| flags & flag != 0;
        if has(BACKED_UP) && !has(BACKUP_ELIGIBLE) {
            return Err(E::Contradiction);
        }
        if !has(CREDENTIAL_INCLUDED) {
            return Err(E::NoCredential);
        }
        // 2. The credential (§6.5.1).
        let (aaguid, rest) = rest.split_first_chunk::<16>().ok_or(E::Malformed)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(E::Malformed)?;
        let length = usize::from(u16::from_be_bytes(*length));
        if length > CREDENTIAL_ID_BYTES_MAX {
            return Err(E::Malformed);
        }
        let (credential_id, rest) = rest.split_at_checked(length).ok_or(E::Malformed)?;
        let (key, rest) = cbor::read_prefix(rest).map_err(|_| E::Malformed)?;
        // 3. Extensions, of which none is used.
        let expected = match extensions {
            Extensions::AsFlagged => has(EXTENSIONS_INCLUDED),
            Extensions::Unflagged => has(EXTENSIONS_INCLUDED) || !rest.is_empty(),
        };
        if expected {
            cbor::read(rest).ok().and_then(|value| value.map().map(drop)).ok_or(E::Malformed)?;
        } else if !rest.is_empty() {
            return Err(E::Malformed);
        }
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            user_present: has(USER_PRESENT),
            user_verified: has(USER_VERIFIED),
            counter: u32::from_be_bytes(*counter),
            aaguid: *aaguid,
            credential_id,
            key,
        })
    }
}
