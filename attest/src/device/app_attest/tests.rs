use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hex_literal::hex;
use minicbor::Encoder;
use policies::rules::Status;
use proptest::prelude::*;
use rcgen::{ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::device::made::{
    Authority, NOW_MS, WrittenData, der, es256_key, extension, object, octets, params, sequence,
};

const NONCE_NAME: &[u64] = &[1, 2, 840, 113_635, 100, 8, 2];
const APP: &str = "TEAM123456.app.siwa.example";
const CLIENT_DATA_HASH: [u8; 32] = [0xcd; 32];

/// What an attestation is made of; tests change its parts.
struct Parts {
    data: WrittenData,
    data_bytes: Option<Vec<u8>>,
    key_id: Vec<u8>,
    nonce: Option<Vec<u8>>,
    purposes: Vec<ExtendedKeyUsagePurpose>,
    format: &'static str,
    statement: Option<Vec<u8>>,
}

struct Chains {
    root: Authority,
    intermediate: Authority,
}

fn statement(chain: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(2).unwrap().str("x5c").unwrap().array(chain.len() as u64).unwrap();
    for certificate in chain {
        encoder.bytes(certificate).unwrap();
    }
    encoder.str("receipt").unwrap().bytes(&[1, 2, 3]).unwrap();
    encoder.into_writer()
}

impl Chains {
    fn new() -> Self {
        let root = Authority::root("Apple App Attestation Root CA");
        let intermediate = root.intermediate("Apple App Attestation CA 1", |_| ());
        Self { root, intermediate }
    }

    fn attest(&self, change: impl FnOnce(&mut Parts)) -> AppAttestEvidence {
        let key = KeyPair::generate().unwrap();
        let point = key.public_key_raw().to_vec();
        let key_id = Digest::of(&point).as_bytes().to_vec();
        let data = WrittenData {
            rp_id_hash: *Digest::of(APP.as_bytes()).as_bytes(),
            flags: 0x40,
            counter: 0,
            aaguid: *PRODUCTION,
            credential_id: key_id.clone(),
            key: es256_key(&point),
            rest: Vec::new(),
        };
        let purposes = vec![ExtendedKeyUsagePurpose::Other(vec![1, 2, 840, 113_635, 100, 4, 24])];
        let format = "apple-appattest";
        let mut parts = Parts { data, data_bytes: None, key_id, nonce: None, purposes, format, statement: None };
        change(&mut parts);
        let data = parts.data_bytes.unwrap_or_else(|| parts.data.bytes());
        let nonce = Digest::of(&[data.as_slice(), &CLIENT_DATA_HASH].concat());
        let nonce = parts.nonce.unwrap_or_else(|| sequence(&[der(&[0xa1], &octets(nonce.as_bytes()))]));
        let mut params = params("leaf");
        params.extended_key_usages = parts.purposes;
        params.custom_extensions = if nonce.is_empty() { vec![] } else { vec![extension(NONCE_NAME, nonce)] };
        let leaf = self.intermediate.leaf_for(&params, key);
        let chain = [leaf.certificate.der().to_vec(), self.intermediate.certificate.der().to_vec()];
        let statement = parts.statement.unwrap_or_else(|| statement(&chain));
        let attestation = object(parts.format, &statement, &data).into();
        AppAttestEvidence { key_id: parts.key_id.into(), attestation }
    }

    fn outcome(&self, change: impl FnOnce(&mut Parts)) -> Result<Tier, AppAttestError> {
        verify(&self.attest(change), &self.root.anchors(), NOW_MS).map(|found| found.tier)
    }
}

fn values() -> AppAttestValues {
    AppAttestValues { app_ids: BTreeSet::from([APP.to_owned()]), development: false }
}

/// Apple's own sample: "Attestation Object Validation Guide", developer.apple.com. Its receipt is left out here; no
/// signature in the object covers that. The sample's app gave the challenge itself for the hash of the client's data.
fn apple_sample() -> (AppAttestEvidence, Anchors) {
    let text: String = include_str!("apple_sample.b64").split_ascii_whitespace().collect();
    let key_id = hex!("ce0498f58483fbb4da0d7b2c63a5a538f552d4adcb9a4fa916195c49613e655d").to_vec().into();
    let evidence = AppAttestEvidence { key_id, attestation: STANDARD.decode(text).unwrap().into() };
    // apple.com/certificateauthority/Apple_App_Attestation_Root_CA.pem
    let root = CertificateDer::from_pem_slice(include_bytes!("apple_root.pem")).unwrap();
    (evidence, Anchors::from_der(vec![root]))
}

#[test]
fn the_sample_of_apple_verifies_in_its_time() {
    let (evidence, anchors) = apple_sample();
    // 2026-04-21T12:00:00Z
    let found = verify(&evidence, &anchors, 1_776_772_800_000).unwrap();
    assert_eq!(found.bound, hex!("87b7d06d93a4294e46f011e66b6cc400f0bab20729976c619580b42ae60bff6e"));
    assert_eq!(found.claims.bound_to(b"example_server_challenge").as_bytes().as_slice(), found.bound);
    assert_eq!(found.tier, Tier::Hardware);
    assert_eq!(found.claims.app_id_hash, Digest::of(b"1234567890.com.example.myapp"));
    assert!(!found.claims.development);
    // The leaf lived three days.
    for (now_ms, error) in [(1_776_500_000_000, ChainError::NotYetValid), (1_795_478_400_000, ChainError::Expired)] {
        assert_eq!(verify(&evidence, &anchors, now_ms), Err(error.into()));
    }
}

#[test]
fn a_genuine_app_is_affirmed() {
    let chains = Chains::new();
    let found = verify(&chains.attest(|_| ()), &chains.root.anchors(), NOW_MS).unwrap();
    assert_eq!((found.claims.development, found.tier), (false, Tier::Hardware));
    assert_eq!(found.bound, found.claims.bound_to(&CLIENT_DATA_HASH).as_bytes());
    assert_ne!(found.bound, found.claims.bound_to(&[0xce; 32]).as_bytes());
    let claims = compare(&found.claims, &values());
    assert_eq!(claims.iter().map(|claim| claim.status).collect::<Vec<_>>(), [Status::Affirming; 3]);
    // Older devices name no purpose; newer ones add a map without its flag.
    assert_eq!(chains.outcome(|parts| parts.purposes.clear()), Ok(Tier::Hardware));
    assert_eq!(chains.outcome(|parts| parts.data.rest = vec![0xa1, 0x61, b'x', 1]), Ok(Tier::Hardware));
}

#[test]
fn every_step_refuses() {
    use AppAttestError as E;
    let chains = Chains::new();
    let chain = |error: ChainError| Err(E::Chain(error));
    let data = |error: AuthenticatorDataError| Err(E::AuthenticatorData(error));
    let other_point = KeyPair::generate().unwrap().public_key_raw().to_vec();
    assert_eq!(chains.outcome(|parts| parts.format = "packed"), Err(E::Form));
    assert_eq!(chains.outcome(|parts| parts.statement = Some(vec![0xa0])), Err(E::Form));
    assert_eq!(chains.outcome(|parts| parts.statement = Some(statement(&[]))), chain(ChainError::Malformed));
    assert_eq!(
        chains.outcome(|parts| parts.purposes = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        chain(ChainError::Usage)
    );
    assert_eq!(chains.outcome(|parts| parts.nonce = Some(Vec::new())), Err(E::Nonce));
    let nonces = [
        octets(&[0; 32]),
        sequence(&[octets(&[0; 32])]),
        sequence(&[der(&[0xa1], &octets(&[0; 31]))]),
        sequence(&[der(&[0xa2], &octets(&[0; 32]))]),
        sequence(&[der(&[0xa1], &octets(&[0; 32])), octets(&[])]),
        sequence(&[der(&[0xa1], &[octets(&[0; 32]), octets(&[])].concat())]),
    ];
    for nonce in nonces {
        assert_eq!(chains.outcome(|parts| parts.nonce = Some(nonce)), Err(E::Nonce));
    }
    assert_eq!(chains.outcome(|parts| parts.key_id[31] ^= 1), Err(E::KeyId));
    assert_eq!(chains.outcome(|parts| parts.key_id.truncate(31)), Err(E::KeyId));
    assert_eq!(chains.outcome(|parts| parts.data.counter = 1), Err(E::Counter));
    assert_eq!(chains.outcome(|parts| parts.data.aaguid = [7; 16]), Err(E::Environment));
    assert_eq!(chains.outcome(|parts| parts.data.credential_id[0] ^= 1), Err(E::CredentialId));
    assert_eq!(chains.outcome(|parts| parts.data.key = es256_key(&other_point)), Err(E::OtherKey));
    assert_eq!(chains.outcome(|parts| parts.data.key = vec![0xa0]), Err(E::Key(CoseKeyError::Malformed)));
    assert_eq!(chains.outcome(|parts| parts.data.flags = 0), data(AuthenticatorDataError::NoCredential));
    assert_eq!(chains.outcome(|parts| parts.data.rest = vec![1]), data(AuthenticatorDataError::Malformed));
    assert_eq!(chains.outcome(|parts| parts.data_bytes = Some(vec![0; 8193])), data(AuthenticatorDataError::TooLong));
    let long =
        AppAttestEvidence { key_id: vec![].into(), attestation: vec![0; ATTESTATION_OBJECT_BYTES_MAX + 1].into() };
    assert_eq!(verify(&long, &chains.root.anchors(), NOW_MS), Err(E::Cbor(CborError::TooLong)));
    // Another root with the same name, and the wrong times.
    let good = chains.attest(|_| ());
    assert_eq!(verify(&good, &Chains::new().root.anchors(), NOW_MS), Err(ChainError::Signature.into()));
    for (now_ms, error) in [(1_700_000_000_000, ChainError::NotYetValid), (1_900_000_000_000, ChainError::Expired)] {
        assert_eq!(verify(&good, &chains.root.anchors(), now_ms), Err(error.into()));
    }
}

#[test]
fn every_value_decides() {
    let chains = Chains::new();
    let claims = |change: &dyn Fn(&mut Parts), values: &AppAttestValues| {
        let found = verify(&chains.attest(change), &chains.root.anchors(), NOW_MS).unwrap();
        let worst = compare(&found.claims, values).into_iter().max_by_key(|claim| claim.status).unwrap();
        (found.tier, worst.status, worst.sentence)
    };
    let development = |parts: &mut Parts| parts.data.aaguid = *DEVELOPMENT;
    let other = |parts: &mut Parts| parts.data.rp_id_hash[0] ^= 1;
    let lax = AppAttestValues { development: true, ..values() };
    let said = |status: Status, tier: Tier, sentence: &str| (tier, status, sentence.to_owned());
    assert_eq!(claims(&development, &lax), said(Status::Warning, Tier::Development, "The app is under development."));
    assert_eq!(
        claims(&development, &values()),
        said(
            Status::Contraindicated,
            Tier::Development,
            "The app is under development, which the policy does not accept."
        )
    );
    assert_eq!(
        claims(&other, &values()),
        said(
            Status::Contraindicated,
            Tier::Hardware,
            "The app's team and bundle is none of the policy's reference values."
        )
    );
    assert_eq!(
        claims(&|_| (), &AppAttestValues::default()),
        said(
            Status::Contraindicated,
            Tier::Hardware,
            "The policy has no reference value for the app's team and bundle."
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// No bit of the chain or of what it signs can change: the object is refused, or is bound to something else.
    #[test]
    fn a_changed_sample_is_not_the_sample(at: prop::sample::Index, bit in 0_u8..8, cut: prop::sample::Index) {
        let (evidence, anchors) = apple_sample();
        let mut bytes = evidence.attestation.to_vec();
        bytes[at.index(evidence.attestation.len())] ^= 1 << bit;
        let changed = AppAttestEvidence { attestation: bytes.into(), ..evidence.clone() };
        if let Ok(found) = verify(&changed, &anchors, 1_776_772_800_000) {
            let expected = found.claims.bound_to(b"example_server_challenge");
            prop_assert_ne!(expected.as_bytes().as_slice(), found.bound);
        }
        let cut = evidence.attestation[..cut.index(evidence.attestation.len())].to_vec();
        let cut = AppAttestEvidence { attestation: cut.into(), ..evidence };
        prop_assert_eq!(verify(&cut, &anchors, 1_776_772_800_000), Err(AppAttestError::Cbor(CborError::Malformed)));
    }
}
