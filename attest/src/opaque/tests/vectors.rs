//! Known answers: RFC 9807 Appendix C.1.1 for the library under our groups and hashes, and an account that another
//! implementation made.
//!
//! The RFC's vectors have a context ("OPAQUE-POC") and no stretching, ours the reverse; hence the suite of its own. The
//! library's functions draw their values from the generator in a fixed order, which [`Script`] serves.

use std::collections::VecDeque;

use opaque_ke::key_exchange::tripledh::TripleDh;
use opaque_ke::ksf::Identity;
use opaque_ke::{
    CipherSuite, ClientLoginFinishParameters, ClientRegistrationFinishParameters, CredentialFinalization,
    CredentialRequest, Identifiers, RegistrationRequest, Ristretto255, ServerLogin, ServerLoginParameters,
    ServerRegistration, ServerSetup,
};
use rand_core::{CryptoRng, RngCore};
use sha2::Sha512;

use super::super::*;
use crate::opaque::fuzz::FixedBytes;
use crate::randomness::Rng06;

struct RfcSuite;

impl CipherSuite for RfcSuite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, Sha512>;
    type Ksf = Identity;
}

/// A generator that gives these bytes and no others.
struct Script(VecDeque<u8>);

impl Script {
    fn of(parts: &[&str]) -> Self {
        Self(parts.iter().flat_map(|part| hex(part)).collect())
    }
}

impl RngCore for Script {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.0.pop_front().unwrap());
    }
}

impl CryptoRng for Script {}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// 32 zero bytes. A blinding factor is 64 bytes, little-endian, modulo the group's order: the factor and these.
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const RFC_CONTEXT: &[u8] = b"OPAQUE-POC";
const RFC_CREDENTIAL: &[u8] = b"1234";
const RFC_PASSWORD: &[u8] = b"CorrectHorseBatteryStaple";

const BLIND_LOGIN: &str = "6ecc102d2e7a7cf49617aad7bbe188556792d4acd60a1a8a8d2b65d4b0790308";
const BLIND_REGISTRATION: &str = "76cfbfe758db884bebb33582331ba9f159720ca8784a2a070a265d9c2d6abe01";
const CLIENT_KEYSHARE_SEED: &str = "82850a697b42a505f5b68fcdafce8c31f0af2b581f063cf1091933541936304b";
const CLIENT_NONCE: &str = "da7e07376d6d6f034cfa9bb537d11b8c6b4238c334333d1f0aebb380cae6a6cc";
const ENVELOPE_NONCE: &str = "ac13171b2f17bc2c74997f0fce1e1f35bec6b91fe2e12dbd323d23ba7a38dfec";
const MASKING_NONCE: &str = "38fe59af0df2c79f57b8780278f5ae47355fe1f817119041951c80f612fdfc6d";
const OPRF_SEED: &str = concat!(
    "f433d0227b0b9dd54f7c4422b600e764e47fb503f1f9a0f0a47c6606b054a7fdc65347f1a08f277e22358bbabe26f823fca8",
    "2c7848e9a75661f4ec5d5c1989ef",
);
const SERVER_KEYSHARE_SEED: &str = "05a4f54206eef1ba2f615bc0aa285cb22f26d1153b5b40a1e85ff80da12f982f";
const SERVER_NONCE: &str = "71cd9960ecef2fe0d0f7494986fa3d8b2bb01963537e60efb13981e138e3d4a1";
const SERVER_PRIVATE_KEY: &str = "47451a85372f8b3537e249d7b54188091fb18edde78094b43e2ba42b5eb89f0d";
const REGISTRATION_REQUEST: &str = "5059ff249eb1551b7ce4991f3336205bde44a105a032e747d21bf382e75f7a71";
const REGISTRATION_RESPONSE: &str = concat!(
    "7408a268083e03abc7097fc05b587834539065e86fb0c7b6342fcf5e01e5b019b2fe7af9f48cc502d016729d2fe25cdd433f",
    "2c4bc904660b2a382c9b79df1a78",
);
const REGISTRATION_UPLOAD: &str = concat!(
    "76a845464c68a5d2f7e442436bb1424953b17d3e2e289ccbaccafb57ac5c36751ac5844383c7708077dea41cbefe2fa15724",
    "f449e535dd7dd562e66f5ecfb95864eadddec9db5874959905117dad40a4524111849799281fefe3c51fa82785c5ac13171b",
    "2f17bc2c74997f0fce1e1f35bec6b91fe2e12dbd323d23ba7a38dfec634b0f5b96109c198a8027da51854c35bee90d1e1c78",
    "1806d07d49b76de6a28b8d9e9b6c93b9f8b64d16dddd9c5bfb5fea48ee8fd2f75012a8b308605cdd8ba5",
);
const KE1: &str = concat!(
    "c4dedb0ba6ed5d965d6f250fbe554cd45cba5dfcce3ce836e4aee778aa3cd44dda7e07376d6d6f034cfa9bb537d11b8c6b42",
    "38c334333d1f0aebb380cae6a6cc6e29bee50701498605b2c085d7b241ca15ba5c32027dd21ba420b94ce60da326",
);
const KE2: &str = concat!(
    "7e308140890bcde30cbcea28b01ea1ecfbd077cff62c4def8efa075aabcbb47138fe59af0df2c79f57b8780278f5ae47355f",
    "e1f817119041951c80f612fdfc6dd6ec60bcdb26dc455ddf3e718f1020490c192d70dfc7e403981179d8073d1146a4f9aa1c",
    "ed4e4cd984c657eb3b54ced3848326f70331953d91b02535af44d9fedc80188ca46743c52786e0382f95ad85c08f6afcd1cc",
    "fbff95e2bdeb015b166c6b20b92f832cc6df01e0b86a7efd92c1c804ff865781fa93f2f20b446c8371b671cd9960ecef2fe0",
    "d0f7494986fa3d8b2bb01963537e60efb13981e138e3d4a1c4f62198a9d6fa9170c42c3c71f1971b29eb1d5d0bd733e40816",
    "c91f7912cc4a660c48dae03e57aaa38f3d0cffcfc21852ebc8b405d15bd6744945ba1a93438a162b6111699d98a16bb55b7b",
    "dddfe0fc5608b23da246e7bd73b47369169c5c90",
);
const KE3: &str = concat!(
    "4455df4f810ac31a6748835888564b536e6da5d9944dfea9e34defb9575fe5e2661ef61d2ae3929bcf57e53d464113d36436",
    "5eb7d1a57b629707ca48da18e442",
);
const EXPORT_KEY: &str = concat!(
    "1ef15b4fa99e8a852412450ab78713aad30d21fa6966c9b8c9fb3262a970dc62950d4dd4ed62598229b1b72794fc0335199d",
    "9f7fcc6eaedde92cc04870e63f16",
);
const SESSION_KEY: &str = concat!(
    "42afde6f5aca0cfa5c163763fbad55e73a41db6b41bc87b8e7b62214a8eedc6731fa3cb857d657ab9b3764b89a84e91ebcb4",
    "785166fbb02cedfcbdfda215b96f",
);

fn rfc_setup() -> ServerSetup<RfcSuite> {
    // The last part is the public key of accounts that do not exist: any.
    let setup = [hex(OPRF_SEED), hex(SERVER_PRIVATE_KEY), hex(&REGISTRATION_RESPONSE[64..])].concat();
    ServerSetup::deserialize(&setup).unwrap()
}

#[test]
fn rfc_9807_registration() {
    let mut rng = Script::of(&[BLIND_REGISTRATION, ZEROS, ENVELOPE_NONCE]);
    let client = opaque_ke::ClientRegistration::<RfcSuite>::start(&mut Rng06(&mut rng), RFC_PASSWORD).unwrap();
    assert_eq!(client.message.serialize().to_vec(), hex(REGISTRATION_REQUEST));
    let request = RegistrationRequest::deserialize(&hex(REGISTRATION_REQUEST)).unwrap();
    let server = ServerRegistration::start(&rfc_setup(), request, RFC_CREDENTIAL).unwrap();
    assert_eq!(server.message.serialize().to_vec(), hex(REGISTRATION_RESPONSE));
    let parameters = ClientRegistrationFinishParameters::new(Identifiers::default(), None);
    let finished = client.state.finish(&mut Rng06(&mut rng), RFC_PASSWORD, server.message, parameters).unwrap();
    assert_eq!(finished.message.serialize().to_vec(), hex(REGISTRATION_UPLOAD));
    assert_eq!(finished.export_key.to_vec(), hex(EXPORT_KEY));
    assert_eq!(rng.0, VecDeque::<u8>::new(), "all was drawn");
}

#[test]
fn rfc_9807_login() {
    let mut rng = Script::of(&[BLIND_LOGIN, ZEROS, CLIENT_KEYSHARE_SEED, CLIENT_NONCE]);
    let client = opaque_ke::ClientLogin::<RfcSuite>::start(&mut Rng06(&mut rng), RFC_PASSWORD).unwrap();
    assert_eq!(client.message.serialize().to_vec(), hex(KE1));
    // The 64 bytes before the masking nonce are a fake record's masking key, drawn for real accounts too.
    let mut rng = Script::of(&[ZEROS, ZEROS, MASKING_NONCE, SERVER_KEYSHARE_SEED, SERVER_NONCE]);
    let record = ServerRegistration::deserialize(&hex(REGISTRATION_UPLOAD)).unwrap();
    let request = CredentialRequest::deserialize(&hex(KE1)).unwrap();
    let parameters = || ServerLoginParameters { context: Some(RFC_CONTEXT), identifiers: Identifiers::default() };
    let started =
        ServerLogin::start(&mut Rng06(&mut rng), &rfc_setup(), Some(record), request, RFC_CREDENTIAL, parameters());
    let started = started.unwrap();
    assert_eq!(started.message.serialize().to_vec(), hex(KE2));
    let finish = ClientLoginFinishParameters::new(Some(RFC_CONTEXT), Identifiers::default(), None);
    let finished = client.state.finish(&mut Rng06(&mut rng), RFC_PASSWORD, started.message, finish).unwrap();
    assert_eq!(finished.message.serialize().to_vec(), hex(KE3));
    assert_eq!(finished.export_key.to_vec(), hex(EXPORT_KEY));
    assert_eq!(finished.session_key.to_vec(), hex(SESSION_KEY));
    let ke3 = CredentialFinalization::deserialize(&hex(KE3)).unwrap();
    assert_eq!(started.state.finish(ke3, parameters()).unwrap().session_key.to_vec(), hex(SESSION_KEY));
    assert_eq!(rng.0, VecDeque::<u8>::new(), "all was drawn");
}

const NPM_SECRET: &str = concat!(
    "017c8538851ef9c81e8fb19d5f1dc208624f9c8495d063b8e1613c21bffc222ce157c260499f6dd94e39d66128762d8ea695",
    "a9d3057136d26e52b7afc20a2eca8aa438f853dbf852cfb00839574224c33f5f0678c38399a97118fe0827aff25d77fe1cf5",
    "0ea1d1d63b7e215b926dd1c4e76f30bda3c939255ac930b356b755630fca8c501ae91761cc232f7b096d42a689029300d252",
    "c2397de10c07848db67c25",
);
const NPM_RECORD: &str = concat!(
    "01b4c118d9895b8479d4f2421c277bb187264b8cdaaac540eb6c5e806727f0c46df689524fa12c9602d375724f70b5b30b35",
    "85e251faed51a6891756ebdb415c2b20170d18134f4c6fe50ae01f250a83f53ac2adb326d47c398c3be8c944f24585014838",
    "5f6e480470f9fcda4dc6970bf8b17d2c52b48a2593d95715c88f71f51ba647ebb58135054e1e3a98976b2a9d5ea6c85aef36",
    "7db934aba4dce783bfa204faa383f4f07ef73476e27a9d8cfc9234fbf37f3f142d8d0d30f50d86c73ac177",
);
const NPM_EXPORT_KEY: &str = concat!(
    "1a776d92f22cef3ccda55504c826fc98a6028f1f83bdb0bbbc93ec72508a184930ff5746a8c22d0f6be7079b01c2a7e3f4c1",
    "3e95c9b1ae04e827308a2f8e4a63",
);

/// An account that npm `@serenity-kit/opaque` 1.1.0 made with its defaults against a server of this module: suite,
/// context, stretching and the stored forms are what they were, or accounts are lost.
#[test]
fn an_account_of_another_implementation_logs_in() {
    let (password, mut rng) = (b"sup-krah.42-UOI", FixedBytes::new());
    let server = OpaqueServer::from_secret_bytes(&hex(NPM_SECRET)).unwrap();
    let record = AccountRecord::from_bytes(&hex(NPM_RECORD)).unwrap();
    let id = server.credential_id(&"demo-platform".parse().unwrap(), "alice").unwrap();
    let (client, ke1) = ClientLogin::start(password, &mut rng).unwrap();
    let (ke2, pending) = server.login_start(&id, Some(&record), &ke1, &mut rng).unwrap();
    let (ke3, export_key) = client.finish(password, &ke2, &mut rng, &Stretching::recommended()).unwrap();
    assert_eq!(*export_key, hex(NPM_EXPORT_KEY));
    assert_eq!(OpaqueServer::login_finish(pending, &ke3), Ok(()));
}

/// Computed apart from this code: HMAC-SHA-256 by Python's `hmac` over the same framing.
#[test]
fn a_credential_id_is_known() {
    let server = OpaqueServer::from_secret_bytes(&hex(NPM_SECRET)).unwrap();
    let id = server.credential_id(&"demo-platform".parse().unwrap(), "alice").unwrap();
    assert_eq!(id.as_bytes().to_vec(), hex("6b36d0d708768cb8a11581c5269b99967922f6c57f5b70e79e8a71316090e811"));
}
