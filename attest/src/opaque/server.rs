//! The server's half: one secret for all accounts, a record for each, and logins that are begun.

use opaque_ke::{
    CredentialFinalization, CredentialRequest, RegistrationRequest, RegistrationUpload, ServerLogin,
    ServerLoginParameters, ServerRegistration, ServerSetup,
};
use policies::TenantId;
use rand_core::CryptoRng;
use ring::hmac;
use zeroize::{Zeroize as _, Zeroizing};

use super::{
    CONTEXT, KE1_BYTES, KE3_BYTES, OpaqueError, REGISTRATION_REQUEST_BYTES, REGISTRATION_UPLOAD_BYTES, Suite,
    USER_BYTES_MAX, check_length,
};
use crate::randomness::Rng06;

const LABEL: &[u8] = b"siwa opaque credential v1\0";
const SECRET_VERSION: u8 = 1;
const RECORD_VERSION: u8 = 1;
const IDENTIFIER_KEY_BYTES: usize = 32;
/// OPRF seed (64), private key and the public key of accounts that do not exist.
const SETUP_BYTES: usize = 64 + 32 + 32;
const SECRET_BYTES: usize = 1 + IDENTIFIER_KEY_BYTES + SETUP_BYTES;
const RECORD_BYTES: usize = 1 + REGISTRATION_UPLOAD_BYTES;

/// Under what an account is stored, and its credential identifier (RFC 9807 §5.2.2). It has no `Debug`: who holds the
/// server's secret can test a name against it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId([u8; 32]);

impl CredentialId {
    /// The 32 bytes, for the store's key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What is stored of an account: a version byte and the registration's upload. No `Debug`; erased when dropped.
///
/// It is held as bytes, and read in [`OpaqueServer::login_start`] only, so that a login costs the same with one and
/// without.
#[derive(Clone)]
pub struct AccountRecord(Zeroizing<[u8; RECORD_BYTES]>);

impl AccountRecord {
    fn of_upload(upload: &[u8]) -> Self {
        let mut bytes = Zeroizing::new([RECORD_VERSION; RECORD_BYTES]);
        bytes[1..].copy_from_slice(upload);
        Self(bytes)
    }

    /// The bytes to store. They are secret: with the server's secret they test guesses of the password.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.to_vec())
    }

    /// A record that was stored. What it holds is read when a login begins.
    ///
    /// # Errors
    /// [`OpaqueError::Record`] for another length or version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OpaqueError> {
        if bytes.len() != RECORD_BYTES || bytes[0] != RECORD_VERSION {
            return Err(OpaqueError::Record);
        }
        Ok(Self::of_upload(&bytes[1..]))
    }

    fn registration(&self) -> Result<ServerRegistration<Suite>, OpaqueError> {
        ServerRegistration::deserialize(&self.0[1..]).map_err(|_| OpaqueError::Record)
    }
}

/// A login that waits for its KE3. No `Debug`; its session key and expected MAC are erased when it is dropped.
pub struct PendingLogin {
    login: ServerLogin<Suite>,
    known: bool,
}

#[cfg(test)]
impl PendingLogin {
    /// As if the login had been begun with an account, or without.
    pub(super) fn with_known(self, known: bool) -> Self {
        Self { known, ..self }
    }
}

/// A server's secret: the OPRF seed and key pair of every account, and the key that turns names into [`CredentialId`]s.
/// Losing it loses every account. No `Debug`.
pub struct OpaqueServer {
    setup: ServerSetup<Suite>,
    identifier_key: Zeroizing<[u8; IDENTIFIER_KEY_BYTES]>,
    /// Read where there is no account, so that reading takes its time there too.
    dummy: AccountRecord,
}

impl OpaqueServer {
    /// A new secret.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut identifier_key = Zeroizing::new([0; IDENTIFIER_KEY_BYTES]);
        rng.fill_bytes(identifier_key.as_mut());
        Self::of_parts(ServerSetup::new(&mut Rng06(rng)), identifier_key)
    }

    fn of_parts(setup: ServerSetup<Suite>, identifier_key: Zeroizing<[u8; IDENTIFIER_KEY_BYTES]>) -> Self {
        // The server's own public key is an element like any account's; nothing else of a dummy is ever looked at.
        let mut upload = Zeroizing::new([0; REGISTRATION_UPLOAD_BYTES]);
        upload[..32].copy_from_slice(&setup.keypair().public().serialize());
        Self { setup, identifier_key, dummy: AccountRecord::of_upload(upload.as_ref()) }
    }

    /// The secret as bytes, to be sealed: version byte 1 ‖ identifier key ‖ OPAQUE setup.
    #[must_use]
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut setup = self.setup.serialize();
        let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_BYTES));
        bytes.push(SECRET_VERSION);
        bytes.extend_from_slice(self.identifier_key.as_ref());
        bytes.extend_from_slice(&setup);
        setup.as_mut_slice().zeroize();
        bytes
    }

    /// Reads what [`OpaqueServer::to_secret_bytes`] wrote.
    ///
    /// # Errors
    /// [`OpaqueError::Secret`] for another length or version, or bytes that are no keys.
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, OpaqueError> {
        if bytes.len() != SECRET_BYTES || bytes[0] != SECRET_VERSION {
            return Err(OpaqueError::Secret);
        }
        let (key, setup) = bytes[1..].split_at(IDENTIFIER_KEY_BYTES);
        let mut identifier_key = Zeroizing::new([0; IDENTIFIER_KEY_BYTES]);
        identifier_key.copy_from_slice(key);
        let setup = ServerSetup::deserialize(setup).map_err(|_| OpaqueError::Secret)?;
        Ok(Self::of_parts(setup, identifier_key))
    }

    /// HMAC-SHA-256 (RFC 2104) of a label, then tenant and user, each behind its length as 8 bytes big-endian: no two
    /// (tenant, user) pairs give the same input, and the store holds no user's name. The name is taken byte for byte;
    /// who wants names to be the same whatever their case prepares them first.
    ///
    /// # Errors
    /// [`OpaqueError::UserName`].
    pub fn credential_id(&self, tenant: &TenantId, user: &str) -> Result<CredentialId, OpaqueError> {
        if user.is_empty() || user.len() > USER_BYTES_MAX {
            return Err(OpaqueError::UserName);
        }
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, self.identifier_key.as_ref()));
        context.update(LABEL);
        for field in [tenant.as_str(), user] {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Ok(CredentialId(bytes))
    }

    /// Answers a registration request (RFC 9807 §5.2.2). Says nothing of whether there is such an account.
    ///
    /// # Errors
    /// [`OpaqueError::Length`] or [`OpaqueError::Message`].
    pub fn registration_start(&self, id: &CredentialId, request: &[u8]) -> Result<Vec<u8>, OpaqueError> {
        check_length(request, REGISTRATION_REQUEST_BYTES)?;
        let request = RegistrationRequest::deserialize(request).map_err(|_| OpaqueError::Message)?;
        let started =
            ServerRegistration::start(&self.setup, request, id.as_bytes()).map_err(|_| OpaqueError::Message)?;
        Ok(started.message.serialize().to_vec())
    }

    /// Reads a registration's upload (RFC 9807 §5). Whether the uploader may have the account is the caller's check.
    ///
    /// # Errors
    /// [`OpaqueError::Length`] or [`OpaqueError::Message`].
    pub fn registration_finish(upload: &[u8]) -> Result<AccountRecord, OpaqueError> {
        check_length(upload, REGISTRATION_UPLOAD_BYTES)?;
        RegistrationUpload::<Suite>::deserialize(upload).map_err(|_| OpaqueError::Message)?;
        Ok(AccountRecord::of_upload(upload))
    }

    /// Answers KE1 with KE2 (RFC 9807 §6.2.2), whether there is an account or not.
    ///
    /// # Errors
    /// [`OpaqueError::Length`] or [`OpaqueError::Message`]; [`OpaqueError::Record`] when a stored record is damaged.
    pub fn login_start(
        &self,
        id: &CredentialId,
        record: Option<&AccountRecord>,
        ke1: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, PendingLogin), OpaqueError> {
        // 1. The message, before anything of the account.
        check_length(ke1, KE1_BYTES)?;
        let request = CredentialRequest::deserialize(ke1).map_err(|_| OpaqueError::Message)?;
        // 2. The account's record, or the dummy's: both are read, since decompressing a public key takes 5 µs of the
        //    156, which would tell names that exist from names that don't (RFC 9807 §10.9).
        let registration = record.unwrap_or(&self.dummy).registration()?;
        // 3. opaque-ke makes a fake record (§6.3.2.2: fixed public key, random masking key, envelope of zeros) in
        //    either case and uses it without an account. The evaluated element depends on the identifier alone, so that
        //    one name gets one answer for one blinded element, as if it had an account.
        let known = record.is_some();
        let started = ServerLogin::start(
            &mut Rng06(rng),
            &self.setup,
            known.then_some(registration),
            request,
            id.as_bytes(),
            parameters(),
        )
        .map_err(|_| OpaqueError::Message)?;
        Ok((started.message.serialize().to_vec(), PendingLogin { login: started.state, known }))
    }

    /// Checks KE3 (RFC 9807 §6.2.4). The session key is dropped.
    ///
    /// # Errors
    /// [`OpaqueError::Length`] or [`OpaqueError::Refused`].
    pub fn login_finish(pending: PendingLogin, ke3: &[u8]) -> Result<(), OpaqueError> {
        check_length(ke3, KE3_BYTES)?;
        let ke3 = CredentialFinalization::deserialize(ke3).map_err(|_| OpaqueError::Message)?;
        let finished = pending.login.finish(ke3, parameters());
        let mac_is_right = finished.is_ok();
        if let Ok(mut finished) = finished {
            finished.session_key.as_mut_slice().zeroize();
        }
        // No MAC is right without an account, since nobody has the fake public key's other half. Should one be, it
        // opens nothing: the flag is looked at after the same work, and `&` does not skip it.
        if std::hint::black_box(mac_is_right & pending.known) { Ok(()) } else { Err(OpaqueError::Refused) }
    }
}

fn parameters() -> ServerLoginParameters<'static, 'static> {
    ServerLoginParameters { context: Some(CONTEXT), ..ServerLoginParameters::default() }
}
