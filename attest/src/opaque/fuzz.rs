//! Bodies of the fuzz targets of OPAQUE's messages.

use std::sync::OnceLock;

use rand_core::{CryptoRng, RngCore};
use sha2::{Digest as _, Sha256};

use super::{AccountRecord, CredentialId, KE2_BYTES, OpaqueError, OpaqueServer, REGISTRATION_RESPONSE_BYTES};

/// Body of the fuzz target `opaque_registration_request`.
///
/// # Panics
/// When a response has another length than its kind.
pub fn registration_request(data: &[u8]) {
    let (server, id) = fixed();
    if let Ok(response) = server.registration_start(id, data) {
        assert_eq!(response.len(), REGISTRATION_RESPONSE_BYTES);
    }
}

/// Body of the fuzz target `opaque_upload`: reads an upload, stores it and begins a login with it.
///
/// # Panics
/// When a record does not come back from its bytes.
pub fn upload(data: &[u8]) {
    let (server, id) = fixed();
    if let Ok(record) = OpaqueServer::registration_finish(data) {
        assert_eq!(&record.to_bytes()[1..], data, "a record is a version byte and the upload");
        assert!(AccountRecord::from_bytes(&record.to_bytes()).is_ok_and(|read| read.to_bytes() == record.to_bytes()));
        let ke1 = [data[..32].to_vec(), vec![0; 32], data[..32].to_vec()].concat();
        assert!(server.login_start(id, Some(&record), &ke1, &mut FixedBytes::new()).is_ok());
    }
    drop(AccountRecord::from_bytes(data));
    drop(OpaqueServer::from_secret_bytes(data));
}

/// Body of the fuzz target `opaque_ke1`.
///
/// # Panics
/// When KE2 has another length than its kind, or a login for nobody finishes.
pub fn ke1(data: &[u8]) {
    let (server, id) = fixed();
    if let Ok((ke2, pending)) = server.login_start(id, None, data, &mut FixedBytes::new()) {
        assert_eq!(ke2.len(), KE2_BYTES);
        assert_eq!(OpaqueServer::login_finish(pending, &ke2[..64]), Err(OpaqueError::Refused));
    }
}

/// Body of the fuzz target `opaque_ke3`: finishes a login of an account with any bytes.
///
/// # Panics
/// When a login finishes.
pub fn ke3(data: &[u8]) {
    let (server, id) = fixed();
    let key = server.registration_start(id, &GENERATOR).expect("the generator is an element")[32..].to_vec();
    let ke1 = [GENERATOR.to_vec(), vec![0; 32], key.clone()].concat();
    let record = OpaqueServer::registration_finish(&[key, vec![0; 160]].concat()).expect("a key and any bytes");
    let (_, pending) =
        server.login_start(id, Some(&record), &ke1, &mut FixedBytes::new()).expect("every part was made here");
    assert!(OpaqueServer::login_finish(pending, data).is_err(), "a MAC was guessed");
}

/// The encoding of ristretto255's generator (RFC 9496 §A.1).
const GENERATOR: [u8; 32] = [
    0xe2, 0xf2, 0xae, 0x0a, 0x6a, 0xbc, 0x4e, 0x71, 0xa8, 0x84, 0xa9, 0x61, 0xc5, 0x00, 0x51, 0x5f, 0x58, 0xe3, 0x0b,
    0x6a, 0xa5, 0x82, 0xdd, 0x8d, 0xb6, 0xa6, 0x59, 0x45, 0xe0, 0x8d, 0x2d, 0x76,
];

fn fixed() -> &'static (OpaqueServer, CredentialId) {
    static FIXED: OnceLock<(OpaqueServer, CredentialId)> = OnceLock::new();
    FIXED.get_or_init(|| {
        let server = OpaqueServer::generate(&mut FixedBytes::new());
        let id = server.credential_id(&"fuzz-tenant".parse().expect("a tenant's name"), "fuzz").expect("a short name");
        (server, id)
    })
}

/// The same bytes each time, SHA-256 of a counter, so that a finding repeats. For nothing but fuzzing and tests.
pub(super) struct FixedBytes(u64);

impl FixedBytes {
    pub(super) const fn new() -> Self {
        Self(0)
    }
}

impl RngCore for FixedBytes {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            chunk.copy_from_slice(&Sha256::digest(self.0.to_be_bytes())[..chunk.len()]);
            self.0 += 1;
        }
    }
}

impl CryptoRng for FixedBytes {}
