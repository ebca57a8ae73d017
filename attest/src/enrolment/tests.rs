use policies::rules::{Anchor, ReferenceValues, SoftwareValues, Status, TpmValues};
use proptest::prelude::*;
use rand_core::{OsRng, TryRngCore as _};
use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::traits::PublicKeyParts as _;

use super::*;
use crate::evidence::tpm::wire::Reader;
use crate::evidence::tpm::{MODULUS_BYTES, PublicKey, TpmEvidence};
use crate::evidence::{Attestation, Evidence};
use crate::jws::fuzz::fixed_key;

const NOW_MS: u64 = 1_796_083_200_000;
const ISSUER: &[u8] = include_bytes!("../evidence/tpm/fixtures/ek_issuer.pem");
const EK_CERTIFICATE: &[u8] = include_bytes!("../evidence/tpm/fixtures/ek_rsa.der");
const EK_PUBLIC: &[u8] = include_bytes!("../evidence/tpm/fixtures/ek_rsa.public");
/// A key that OpenSSL made.
const SCALAR: [u8; 32] = hex_literal::hex!("65afa82eb078ffa870b578f6457ab9ab1a8ad0181aa4c01b92f3c1b99acbdee9");
const VECTOR_SECRET: &[u8] = b"thirty-two bytes of some secret!";

fn profile(pem: &[u8]) -> Profile {
    Profile {
        name: "tpm".to_owned(),
        anchors: vec![Anchor { path: "anchors/maker.pem".to_owned(), pem: pem.to_vec() }],
        revoked: std::collections::BTreeSet::new(),
        status_best: Status::Affirming,
        values: ReferenceValues::Tpm(TpmValues::default()),
    }
}

fn ak_public() -> Vec<u8> {
    let recorded = include_bytes!("../evidence/tpm/fixtures/attestation.json");
    let attestation: Attestation = serde_json::from_slice(recorded).unwrap();
    let Evidence::Tpm(TpmEvidence { ak_public, .. }) = attestation.evidence else { panic!("another kind") };
    ak_public.0
}

fn recorded() -> EnrolmentRequest {
    EnrolmentRequest {
        ek_certificates: vec![EK_CERTIFICATE.to_vec().into()],
        ek_public: EK_PUBLIC.to_vec().into(),
        ak_public: ak_public().into(),
    }
}

fn make(request: &EnrolmentRequest, profile: &Profile, now_ms: u64) -> Result<(Challenge, Credential), EnrolmentError> {
    Challenge::make(request, profile, Digest::of(b"policy"), now_ms, &mut OsRng.unwrap_err())
}

fn refusal(request: &EnrolmentRequest, profile: &Profile) -> Option<EnrolmentError> {
    make(request, profile, NOW_MS).err()
}

/// The private halves of endorsement keys that OpenSSL made: what a TPM has inside.
enum Private {
    Rsa(Box<rsa::RsaPrivateKey>),
    Ecc,
}

impl Private {
    fn rsa() -> Self {
        let der = include_bytes!("../evidence/tpm/fixtures/makecredential_rsa.key");
        Self::Rsa(Box::new(rsa::RsaPrivateKey::from_pkcs1_der(der).unwrap()))
    }

    #[expect(deprecated, reason = "as in `credential`")]
    fn ephemeral() -> EphemeralPrivateKey {
        let scalar = ring::test::rand::FixedSliceRandom { bytes: &SCALAR };
        EphemeralPrivateKey::generate(&ECDH_P256, &scalar).unwrap()
    }

    fn public(&self) -> PublicKey {
        match self {
            Self::Rsa(key) => PublicKey::Rsa(key.n().to_be_bytes().as_ref().try_into().unwrap()),
            Self::Ecc => {
                let public = Self::ephemeral().compute_public_key().unwrap();
                let (x, y) = public.as_ref()[1..].split_at(32);
                PublicKey::Ecc { x: x.try_into().unwrap(), y: y.try_into().unwrap() }
            }
        }
    }

    fn spki(&self) -> Vec<u8> {
        match self.public() {
            PublicKey::Rsa(modulus) => {
                let head = hex_literal::hex!(
                    "30820122300d06092a864886f70d01010105000382010f00" "3082010a0282010100"
                );
                [&head[..], &modulus, &[2, 3, 1, 0, 1]].concat()
            }
            PublicKey::Ecc { x, y } => {
                let head = hex_literal::hex!("3059301306072a8648ce3d020106082a8648ce3d03010703420004");
                [&head[..], &x, &y].concat()
            }
        }
    }

    /// Part 1, Annex B.10.4 and C.6.4, from the TPM's side.
    fn seed(&self, encrypted: &[u8]) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Rsa(key) => {
                let number = rsa::BoxedUint::from_be_slice(encrypted, 2048).unwrap();
                let encoded = rsa::hazmat::rsa_decrypt(
                    None::<&mut crate::randomness::Rng10<'_, rand_chacha::ChaCha20Rng>>,
                    key.as_ref(),
                    &number,
                );
                let mut encoded = encoded.unwrap().to_be_bytes().to_vec();
                assert_eq!((encoded.len(), encoded[0]), (MODULUS_BYTES, 0));
                let (seed, block) = encoded[1..].split_at_mut(32);
                credential::mask(seed, block);
                credential::mask(block, seed);
                let (hash, rest) = block.split_at(32);
                assert_eq!(hash, Digest::of(b"IDENTITY\0").as_bytes());
                let (zeros, seed) = rest.split_at(rest.len() - 32);
                assert!(zeros.iter().rev().skip(1).all(|byte| *byte == 0) && zeros.ends_with(&[1]));
                Zeroizing::new(seed.try_into().unwrap())
            }
            Self::Ecc => {
                let PublicKey::Ecc { x: own, .. } = self.public() else { unreachable!("it is on a curve") };
                let mut reader = Reader::new(encrypted);
                let (x, y) = (reader.sized().unwrap(), reader.sized().unwrap());
                reader.finish().unwrap();
                let point = UnparsedPublicKey::new(&ECDH_P256, [&[4], x, y].concat());
                agree_ephemeral(Self::ephemeral(), &point, |shared| credential::seed_from_shared(shared, x, &own))
                    .unwrap()
            }
        }
    }

    /// The secret of a credential; the tag is checked first, as a TPM does.
    fn open(&self, credential: &Credential, ak_name: Digest) -> Option<Vec<u8>> {
        use cfb_mode::cipher::KeyIvInit as _;
        let seed = self.seed(&credential.encrypted_seed);
        let mut reader = Reader::new(&credential.id_object);
        let (_tag, identity) = (reader.sized().unwrap(), reader.rest());
        let name = [&[0, 11], &ak_name.as_bytes()[..]].concat();
        let key = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, seed.as_ref()),
            &[&[0, 0, 0, 1], &b"STORAGE\0"[..], &name, &[0, 0, 0, 128]].concat(),
        );
        let key: [u8; 16] = key.as_ref()[..16].try_into().unwrap();
        let mut plain = identity.to_vec();
        cfb_mode::Decryptor::<aes::Aes128>::new(&key.into(), &[0; 16].into()).decrypt(&mut plain);
        let secret = plain[2..].to_vec();
        (credential::protect(&seed, ak_name, &secret) == *credential.id_object).then_some(secret)
    }
}

/// The file of `tpm2_makecredential`: a magic number, a version, and both parts with their lengths.
fn recorded_credential(file: &[u8]) -> Credential {
    let mut reader = Reader::new(file);
    assert_eq!((reader.u32(), reader.u32()), (Ok(0xbadc_c0de), Ok(1)));
    let (id_object, seed) = (reader.sized().unwrap(), reader.sized().unwrap());
    reader.finish().unwrap();
    Credential { id_object: id_object.to_vec().into(), encrypted_seed: seed.to_vec().into() }
}

/// From the seed that another's `MakeCredential` drew, ours makes the very same bytes.
#[test]
fn credentials_are_those_of_tpm2_makecredential() {
    let ak_name = Digest::of(&ak_public());
    for (file, private) in [
        (&include_bytes!("../evidence/tpm/fixtures/makecredential_rsa.cred")[..], Private::rsa()),
        (&include_bytes!("../evidence/tpm/fixtures/makecredential_ecc.cred")[..], Private::Ecc),
    ] {
        let credential = recorded_credential(file);
        let seed = private.seed(&credential.encrypted_seed);
        assert_eq!(credential::protect(&seed, ak_name, VECTOR_SECRET), credential.id_object.0);
        assert_eq!(private.open(&credential, ak_name), Some(VECTOR_SECRET.to_vec()));
        assert_eq!(private.open(&credential, Digest::of(b"another key")), None);
    }
}

#[test]
fn the_standard_endorsement_keys_are_those_of_tpm2_createek() {
    let modulus: [u8; MODULUS_BYTES] = EK_PUBLIC[EK_PUBLIC.len() - MODULUS_BYTES..].try_into().unwrap();
    assert_eq!(PublicKey::Rsa(modulus).endorsement_area(), EK_PUBLIC);
    let area = include_bytes!("../evidence/tpm/fixtures/ek_ecc.public");
    let (x, y) = area[area.len() - 66..].split_at(32);
    let (x, y) = (x.try_into().unwrap(), y[2..].try_into().unwrap());
    assert_eq!(PublicKey::Ecc { x, y }.endorsement_area(), area);
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
}

/// Attributes of a TPM: maker, model (2.23.133.2.1 and .2), as in an alternative name.
fn directory(attributes: &[(u8, &str)]) -> Vec<u8> {
    let attribute = |(last, text): &(u8, &str)| {
        let pair = [tlv(6, &[0x67, 0x81, 5, 2, *last]), tlv(12, text.as_bytes())].concat();
        tlv(0x31, &tlv(0x30, &pair))
    };
    let name: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    tlv(0x30, &tlv(0xa4, &tlv(0x30, &name)))
}

/// A maker of TPMs.
struct Maker {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Maker {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn certify(&self, spki: &[u8], alternative_name: Option<Vec<u8>>, usage: &[u64]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(usage.to_vec())];
        let extension = alternative_name.map(|name| CustomExtension::from_oid_content(&[2, 5, 29, 17], name));
        params.custom_extensions = extension.into_iter().collect();
        let spki = rcgen::SubjectPublicKeyInfo::from_der(spki).unwrap();
        params.signed_by(&spki, &self.issuer).unwrap().der().to_vec()
    }

    fn request(&self, private: &Private, alternative_name: Option<Vec<u8>>, usage: &[u64]) -> EnrolmentRequest {
        EnrolmentRequest {
            ek_certificates: vec![self.certify(&private.spki(), alternative_name, usage).into()],
            ek_public: private.public().endorsement_area().into(),
            ak_public: ak_public().into(),
        }
    }
}

const USAGE: &[u64] = &[2, 23, 133, 8, 1];

fn chip() -> Option<Vec<u8>> {
    Some(directory(&[(1, "id:4E544300"), (2, "NPCT75x"), (3, "id:00070002")]))
}

#[test]
fn a_key_is_enrolled_by_opening_a_credential() {
    let maker = Maker::new();
    let profile = profile(maker.pem.as_bytes());
    for private in [Private::rsa(), Private::Ecc] {
        let request = maker.request(&private, chip(), USAGE);
        let (challenge, credential) = make(&request, &profile, NOW_MS).unwrap();
        let secret = private.open(&credential, Digest::of(&ak_public())).unwrap();
        assert_eq!((secret.len(), challenge.end_ms()), (SECRET_BYTES, NOW_MS + CHALLENGE_MS));
        let statement = challenge.finish(&secret, &fixed_key(), NOW_MS + 1000).unwrap();
        let claims = verify(&statement, &[fixed_key().verifying_key()], NOW_MS + 2000).unwrap();
        let iat = NOW_MS / 1000 + 1;
        let expected = EnrolmentClaims {
            ak_name: Digest::of(&ak_public()),
            ek: Digest::of(&request.ek_certificates[0]),
            serials: claims.serials.clone(),
            tier: Tier::Hardware,
            profile: "tpm".to_owned(),
            anchors: digest_of(&Anchors::of(&profile).unwrap()),
            policy: Digest::of(b"policy"),
            iat,
            exp: iat + LIFETIME_SECONDS_MAX,
        };
        assert_eq!((claims.serials.len(), &claims), (1, &expected));
    }
}

#[test]
fn only_the_secret_in_time_finishes() {
    let refused = |secret: &[u8], now_ms: u64| {
        let (challenge, _) = make(&recorded(), &profile(ISSUER), NOW_MS).unwrap();
        challenge.finish(secret, &fixed_key(), now_ms)
    };
    assert_eq!(refused(&[0; 32], NOW_MS), Err(EnrolmentError::Secret));
    assert_eq!(refused(&[], NOW_MS), Err(EnrolmentError::Secret));
    assert_eq!(refused(&[0; 32], NOW_MS + CHALLENGE_MS), Err(EnrolmentError::Late));
    // Each challenge has a secret of its own.
    let maker = Maker::new();
    let request = maker.request(&Private::Ecc, chip(), USAGE);
    let (_, first) = make(&request, &profile(maker.pem.as_bytes()), NOW_MS).unwrap();
    let (second, _) = make(&request, &profile(maker.pem.as_bytes()), NOW_MS).unwrap();
    let secret = Private::Ecc.open(&first, Digest::of(&ak_public())).unwrap();
    assert_eq!(second.finish(&secret, &fixed_key(), NOW_MS), Err(EnrolmentError::Secret));
}

#[test]
fn an_emulator_is_for_development_whoever_vouches_for_it() {
    let (challenge, _) = make(&recorded(), &profile(ISSUER), NOW_MS).unwrap();
    assert_eq!((challenge.claims.tier, &challenge.claims.serials), (Tier::Development, &vec!["2".to_owned()]));
    let maker = Maker::new();
    for (model, tier) in [("SwTPM 2", Tier::Development), ("SLB9672", Tier::Hardware)] {
        let request = maker.request(&Private::Ecc, Some(directory(&[(1, "id:1"), (2, model)])), USAGE);
        let (challenge, _) = make(&request, &profile(maker.pem.as_bytes()), NOW_MS).unwrap();
        assert_eq!(challenge.claims.tier, tier, "{model}");
    }
}

#[test]
fn every_check_of_a_request_refuses() {
    let (good, policy) = (recorded(), profile(ISSUER));
    assert_eq!(refusal(&good, &policy), None);
    let software = Profile { values: ReferenceValues::Software(SoftwareValues::default()), ..policy.clone() };
    assert_eq!(refusal(&good, &software), Some(EnrolmentError::Kind));
    assert_eq!(refusal(&good, &profile(b"no certificate")), Some(EnrolmentError::Anchors));
    let with = |change: fn(&mut EnrolmentRequest)| {
        let mut request = good.clone();
        change(&mut request);
        refusal(&request, &policy)
    };
    assert_eq!(with(|request| request.ek_certificates.clear()), Some(EnrolmentError::Certificates));
    let many = |request: &mut EnrolmentRequest| request.ek_certificates = vec![EK_CERTIFICATE.to_vec().into(); 10];
    assert_eq!(with(many), Some(EnrolmentError::Certificates));
    let cut = |request: &mut EnrolmentRequest| request.ek_certificates[0].0.truncate(900);
    assert_eq!(with(cut), Some(EnrolmentError::Chain(ChainError::Malformed)));
    let signature = |request: &mut EnrolmentRequest| *request.ek_certificates[0].0.last_mut().unwrap() ^= 1;
    assert_eq!(with(signature), Some(EnrolmentError::Chain(ChainError::Signature)));
    assert_eq!(with(|request| request.ek_public.0[300] ^= 1), Some(EnrolmentError::OtherEndorsementKey));
    // The certificate's key with other attributes is another key.
    assert_eq!(with(|request| request.ek_public.0[7] ^= 0x40), Some(EnrolmentError::OtherEndorsementKey));
    assert_eq!(with(|request| request.ak_public.0[7] ^= 2), Some(EnrolmentError::Key(KeyError::Attributes)));
    assert_eq!(with(|request| request.ak_public.0.truncate(30)), Some(EnrolmentError::Key(KeyError::Form)));
    let as_ak = |request: &mut EnrolmentRequest| request.ak_public = request.ek_public.clone();
    assert_eq!(with(as_ak), Some(EnrolmentError::Key(KeyError::Form)));
    let revoked = Profile { revoked: ["2".to_owned()].into(), ..policy.clone() };
    assert_eq!(refusal(&good, &revoked), Some(EnrolmentError::Chain(ChainError::Revoked)));
    // The certificate is of 2026-11-24.
    let early = make(&good, &policy, NOW_MS - 14 * 86_400_000).err();
    assert_eq!(early, Some(EnrolmentError::Chain(ChainError::NotYetValid)));
}

#[test]
fn a_certificate_of_another_use_maker_or_model_is_refused() {
    let maker = Maker::new();
    let policy = profile(maker.pem.as_bytes());
    let with = |name: Option<Vec<u8>>, usage: &[u64]| refusal(&maker.request(&Private::Ecc, name, usage), &policy);
    assert_eq!(with(chip(), USAGE), None);
    // A certificate of an attestation key (2.23.133.8.3).
    assert_eq!(with(chip(), &[2, 23, 133, 8, 3]), Some(EnrolmentError::Chain(ChainError::Usage)));
    assert_eq!(with(None, USAGE), Some(EnrolmentError::Model));
    for names in [&[(1, "id:1")][..], &[(2, "NPCT75x")], &[(1, ""), (2, "NPCT75x")], &[(1, "id:1"), (2, "")], &[]] {
        assert_eq!(with(Some(directory(names)), USAGE), Some(EnrolmentError::Model), "{names:?}");
    }
    let stranger = Maker::new().request(&Private::Ecc, chip(), USAGE);
    let refused = refusal(&stranger, &policy);
    assert!(
        matches!(refused, Some(EnrolmentError::Chain(ChainError::UnknownIssuer | ChainError::Signature))),
        "{refused:?}"
    );
    // A key of another kind: Ed25519 (RFC 8410).
    let head = hex_literal::hex!("302a300506032b6570032100");
    let other = maker.certify(&[&head[..], &[9; 32]].concat(), chip(), USAGE);
    let request = EnrolmentRequest { ek_certificates: vec![other.into()], ..recorded() };
    assert_eq!(refusal(&request, &policy), Some(EnrolmentError::EndorsementKey));
    // Another key's certificate.
    let other = maker.certify(&Private::rsa().spki(), chip(), USAGE);
    let request = EnrolmentRequest { ek_certificates: vec![other.into()], ..recorded() };
    assert_eq!(refusal(&request, &policy), Some(EnrolmentError::OtherEndorsementKey));
}

#[test]
fn anchors_are_named_whatever_their_order() {
    let (one, two) = (Maker::new().pem, Maker::new().pem);
    let digest = |pem: String| digest_of(&Anchors::of(&profile(pem.as_bytes())).unwrap());
    assert_eq!(digest(format!("{one}{two}")), digest(format!("{two}{one}")));
    assert_ne!(digest(one.clone()), digest(format!("{one}{two}")));
    assert_ne!(digest(one), digest(two));
}

proptest! {
    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..300), at in 0_usize..1016, byte in any::<u8>()) {
        fuzz::request(&data);
        let mut certificate = EK_CERTIFICATE.to_vec();
        certificate[at] = byte;
        fuzz::request(&certificate);
        let request = EnrolmentRequest { ek_certificates: vec![certificate.into()], ..recorded() };
        fuzz::request(&serde_json::to_vec(&request).unwrap());
    }
}
