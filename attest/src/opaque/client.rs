//! The client's half, for the reference client, tests and benches.

use opaque_ke::argon2::{Algorithm, Argon2, Params, Version};
use opaque_ke::errors::ProtocolError;
use opaque_ke::{
    ClientLoginFinishParameters, ClientRegistrationFinishParameters, CredentialResponse, Identifiers,
    RegistrationResponse,
};
use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

use super::{CONTEXT, KE2_BYTES, OpaqueError, PASSWORD_BYTES_MAX, REGISTRATION_RESPONSE_BYTES, Suite, check_length};
use crate::randomness::Rng06;

/// How a client stretches a password: Argon2id version 1.3 (RFC 9106) with a salt of 16 zero bytes (RFC 9807 §7: the
/// OPRF's output is already salted). The server never knows the parameters; an account opens with its own alone.
pub struct Stretching(Argon2<'static>);

impl Stretching {
    /// Memory of [`Stretching::recommended`] in KiB: 64 MiB.
    pub const MEMORY_KIB: u32 = 1 << 16;
    /// Passes over the memory of [`Stretching::recommended`].
    pub const PASSES: u32 = 3;
    /// Lanes of [`Stretching::recommended`].
    pub const LANES: u32 = 4;

    /// The second recommended option of RFC 9106 §4, for little memory: 64 MiB, 3 passes, 4 lanes. It is the default of
    /// npm `@serenity-kit/opaque` 1.1.0, so that one account serves either client.
    ///
    /// # Panics
    /// Never: the parameters are constants within Argon2's bounds.
    #[must_use]
    pub fn recommended() -> Self {
        Self::with_parameters(Self::MEMORY_KIB, Self::PASSES, Self::LANES).expect("constants within Argon2's bounds")
    }

    /// 8 KiB and one pass: protects nothing.
    ///
    /// # Panics
    /// Never: as [`Stretching::recommended`].
    #[must_use]
    pub fn fast_for_tests() -> Self {
        Self::with_parameters(8, 1, 1).expect("constants within Argon2's bounds")
    }

    /// Other parameters: memory in KiB, passes, lanes.
    ///
    /// # Errors
    /// [`OpaqueError::Stretching`] outside of Argon2's bounds (RFC 9106 §3.1).
    pub fn with_parameters(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, OpaqueError> {
        let parameters = Params::new(memory_kib, passes, lanes, None).map_err(|_| OpaqueError::Stretching)?;
        Ok(Self(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)))
    }
}

/// A registration that waits for the server's response. No `Debug`; the blinding is erased when it is dropped.
pub struct ClientRegistration(opaque_ke::ClientRegistration<Suite>);

impl ClientRegistration {
    /// Begins a registration (RFC 9807 §5.2.1): the state and the request.
    ///
    /// # Errors
    /// [`OpaqueError::Password`].
    pub fn start(password: &[u8], rng: &mut impl CryptoRng) -> Result<(Self, Vec<u8>), OpaqueError> {
        check_password(password)?;
        let started =
            opaque_ke::ClientRegistration::start(&mut Rng06(rng), password).map_err(|_| OpaqueError::Password)?;
        Ok((Self(started.state), started.message.serialize().to_vec()))
    }

    /// Answers the server's response (RFC 9807 §5.2.3): the upload, and the export key, which only the password gives.
    ///
    /// # Errors
    /// [`OpaqueError::Length`], [`OpaqueError::Message`] or [`OpaqueError::Password`].
    pub fn finish(
        self,
        password: &[u8],
        response: &[u8],
        rng: &mut impl CryptoRng,
        stretching: &Stretching,
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), OpaqueError> {
        check_password(password)?;
        check_length(response, REGISTRATION_RESPONSE_BYTES)?;
        let response = RegistrationResponse::deserialize(response).map_err(|_| OpaqueError::Message)?;
        let parameters = ClientRegistrationFinishParameters::new(Identifiers::default(), Some(&stretching.0));
        let mut finished =
            self.0.finish(&mut Rng06(rng), password, response, parameters).map_err(|reason| refusal(&reason))?;
        let export_key = Zeroizing::new(finished.export_key.to_vec());
        finished.export_key.as_mut_slice().zeroize();
        Ok((finished.message.serialize().to_vec(), export_key))
    }
}

/// A login that waits for KE2. No `Debug`; blinding and key share are erased when it is dropped.
pub struct ClientLogin(opaque_ke::ClientLogin<Suite>);

impl ClientLogin {
    /// Begins a login (RFC 9807 §6.2.1): the state and KE1.
    ///
    /// # Errors
    /// [`OpaqueError::Password`].
    pub fn start(password: &[u8], rng: &mut impl CryptoRng) -> Result<(Self, Vec<u8>), OpaqueError> {
        check_password(password)?;
        let started = opaque_ke::ClientLogin::start(&mut Rng06(rng), password).map_err(|_| OpaqueError::Password)?;
        Ok((Self(started.state), started.message.serialize().to_vec()))
    }

    /// Answers KE2 with KE3 (RFC 9807 §6.2.3), and gives the registration's export key. The session key is dropped.
    ///
    /// # Errors
    /// [`OpaqueError::Length`], [`OpaqueError::Message`], [`OpaqueError::Password`] or [`OpaqueError::Refused`].
    pub fn finish(
        self,
        password: &[u8],
        ke2: &[u8],
        rng: &mut impl CryptoRng,
        stretching: &Stretching,
    ) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), OpaqueError> {
        check_password(password)?;
        check_length(ke2, KE2_BYTES)?;
        let response = CredentialResponse::deserialize(ke2).map_err(|_| OpaqueError::Message)?;
        let parameters = ClientLoginFinishParameters::new(Some(CONTEXT), Identifiers::default(), Some(&stretching.0));
        let mut finished =
            self.0.finish(&mut Rng06(rng), password, response, parameters).map_err(|reason| refusal(&reason))?;
        let export_key = Zeroizing::new(finished.export_key.to_vec());
        finished.export_key.as_mut_slice().zeroize();
        finished.session_key.as_mut_slice().zeroize();
        Ok((finished.message.serialize().to_vec(), export_key))
    }
}

fn check_password(password: &[u8]) -> Result<(), OpaqueError> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX { Err(OpaqueError::Password) } else { Ok(()) }
}

/// A reflected element is a malformed message; all else that a server's answer can do wrong is a refused login.
fn refusal(reason: &ProtocolError) -> OpaqueError {
    match reason {
        ProtocolError::ReflectedValueError => OpaqueError::Message,
        _ => OpaqueError::Refused,
    }
}
