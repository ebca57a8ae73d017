//! The gateway's half: its keys, and requests opened with them.

use ohttp::hpke::{Aead, Kdf, Kem};
use ohttp::{KeyConfig, Server, ServerResponse, SymmetricSuite};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::{
    HEADER_BYTES, InnerRequest, KEYS_MAX, ObliviousError, REQUEST_BYTES_MAX, REQUEST_OVERHEAD_BYTES, SUITE, binary,
};

const SECRET_VERSION: u8 = 1;
const SECRET_BYTES: usize = 2 + 32;

/// A gateway's key pair, derived from 32 secret bytes (RFC 9180 §7.1.3, `DeriveKeyPair`). No `Debug`; they are erased
/// when it is dropped.
pub struct GatewayKey {
    id: u8,
    secret: Zeroizing<[u8; 32]>,
    config: KeyConfig,
}

impl GatewayKey {
    /// A new key from 32 bytes of the generator. Clients tell keys apart by `id`.
    #[must_use]
    pub fn generate(id: u8, rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        Self::of_parts(id, secret)
    }

    fn of_parts(id: u8, secret: Zeroizing<[u8; 32]>) -> Self {
        let suite = SymmetricSuite::new(Kdf::HkdfSha256, Aead::Aes128Gcm);
        let config = KeyConfig::derive(id, Kem::X25519Sha256, vec![suite], secret.as_ref())
            .expect("any 32 bytes give an X25519 key, and the suite is supported");
        Self { id, secret, config }
    }

    /// The key as bytes, to be sealed: version byte 1 ‖ id ‖ 32 secret bytes.
    #[must_use]
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&[SECRET_VERSION, self.id], self.secret.as_slice()].concat())
    }

    /// Reads what [`GatewayKey::to_secret_bytes`] wrote.
    ///
    /// # Errors
    /// [`ObliviousError::Secret`] for another length or version.
    pub fn from_secret_bytes(bytes: &[u8]) -> Result<Self, ObliviousError> {
        if bytes.len() != SECRET_BYTES || bytes[0] != SECRET_VERSION {
            return Err(ObliviousError::Secret);
        }
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(&bytes[2..]);
        Ok(Self::of_parts(bytes[1], secret))
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// The public key and its suite as one key configuration (RFC 9458 §3.1).
    ///
    /// # Panics
    /// Never: a configuration of one suite fits its length fields.
    #[must_use]
    pub fn config(&self) -> Vec<u8> {
        self.config.encode().expect("one suite fits")
    }
}

/// A gateway: its first key is published, all open.
pub struct Gateway {
    configs: Vec<u8>,
    servers: Vec<(u8, Server)>,
}

impl Gateway {
    /// A gateway of these keys. To change keys, the new one is put first and the old one kept until no client has it.
    ///
    /// # Errors
    /// [`ObliviousError::Keys`].
    ///
    /// # Panics
    /// Never: every key has its private half.
    pub fn new(keys: Vec<GatewayKey>) -> Result<Self, ObliviousError> {
        let distinct = keys.iter().enumerate().all(|(at, key)| keys[..at].iter().all(|other| other.id != key.id));
        if keys.len() > KEYS_MAX || !distinct {
            return Err(ObliviousError::Keys);
        }
        let published = keys.first().ok_or(ObliviousError::Keys)?;
        let configs = KeyConfig::encode_list(&[&published.config]).expect("one configuration fits");
        let server = |key: GatewayKey| (key.id, Server::new(key.config).expect("a derived key has its private half"));
        Ok(Self { configs, servers: keys.into_iter().map(server).collect() })
    }

    /// The published key configuration as `application/ohttp-keys` (RFC 9458 §3.2): a list of one.
    #[must_use]
    pub fn configs(&self) -> &[u8] {
        &self.configs
    }

    /// Opens an encapsulated request (RFC 9458 §4.3).
    ///
    /// # Errors
    /// [`ObliviousError`].
    pub fn decapsulate(&self, message: &[u8]) -> Result<(InnerRequest, Responder), ObliviousError> {
        // 1. Bounded size.
        if message.len() > REQUEST_BYTES_MAX {
            return Err(ObliviousError::TooLong);
        }
        if message.len() < REQUEST_OVERHEAD_BYTES {
            return Err(ObliviousError::TooShort);
        }
        // 2. A key that is ours, and the one suite.
        let server = self.servers.iter().find(|(id, _)| *id == message[0]).map(|(_, server)| server);
        let server = server.ok_or(ObliviousError::UnknownKey)?;
        if message[1..HEADER_BYTES] != SUITE {
            return Err(ObliviousError::Suite);
        }
        // 3. It opens. The crate draws the response's nonce here.
        let (request, response) = server.decapsulate(message).map_err(|_| ObliviousError::Refused)?;
        // 4. It is a request that we take.
        Ok((binary::read_request(&Zeroizing::new(request))?, Responder(response)))
    }
}

/// Answers one request. No `Debug`.
pub struct Responder(ServerResponse);

impl Responder {
    /// Seals a response to the request's sender (RFC 9458 §4.4), padded. Fields that are not passed on are dropped.
    ///
    /// # Errors
    /// [`ObliviousError::Status`], [`ObliviousError::Field`], [`ObliviousError::TooManyFields`] or
    /// [`ObliviousError::TooLong`].
    pub fn encapsulate(self, status: u16, headers: &[(&str, &[u8])], body: &[u8]) -> Result<Vec<u8>, ObliviousError> {
        let response = binary::write_response(status, headers, body)?;
        self.0.encapsulate(&response).map_err(|_| ObliviousError::Refused)
    }
}
