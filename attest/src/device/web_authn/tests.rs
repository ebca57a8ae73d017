use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Encoder;
use policies::rules::Status;
use proptest::prelude::*;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519, PKCS_RSA_SHA256, SigningKey as _};
use rustls_pki_types::CertificateDer;

use super::vectors::{BY_MANUFACTURER, BY_SELF, NONE, ROOT};
use super::*;
use crate::device::made::{Authority, NOW_MS, WrittenData, es256_key, extension, object, octets, params};
use crate::evidence::chain::ChainError;

const ORIGIN: &str = "https://play.example";
const MODEL: [u8; 16] = [0xa7; 16];
const MODEL_NAME: &[u64] = &[1, 3, 6, 1, 4, 1, 45724, 1, 1, 4];

fn client_data(members: &str) -> Vec<u8> {
    let challenge = URL_SAFE_NO_PAD.encode("nonce");
    format!(r#"{{"type":"webauthn.create","challenge":"{challenge}","origin":"{ORIGIN}"{members}}}"#).into_bytes()
}

/// What a registration is made of; tests change its parts.
struct Parts {
    client_data: Vec<u8>,
    data: WrittenData,
    format: &'static str,
    algorithm: i16,
    /// Whether a certificate vouches.
    certified: bool,
    /// Changes to the certificate, the statement's bytes, and what is signed.
    certificate: Box<dyn FnOnce(&mut CertificateParams)>,
    statement: Option<Vec<u8>>,
    signed: Option<Vec<u8>>,
}

struct Chains {
    root: Authority,
    intermediate: Authority,
}

fn subject(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), *value);
    }
    name
}

fn full_subject() -> [(DnType, &'static str); 4] {
    [
        (DnType::CountryName, "SE"),
        (DnType::OrganizationName, "Maker"),
        (DnType::OrganizationalUnitName, "Authenticator Attestation"),
        (DnType::CommonName, "Model A"),
    ]
}

fn statement(algorithm: i16, signature: &[u8], chain: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(2 + u64::from(!chain.is_empty())).unwrap();
    encoder.str("alg").unwrap().i16(algorithm).unwrap().str("sig").unwrap().bytes(signature).unwrap();
    if !chain.is_empty() {
        encoder.str("x5c").unwrap().array(chain.len() as u64).unwrap();
        for certificate in chain {
            encoder.bytes(certificate).unwrap();
        }
    }
    encoder.into_writer()
}

impl Chains {
    fn new() -> Self {
        let root = Authority::root("Maker Root");
        let intermediate = root.intermediate("Maker CA", |_| ());
        Self { root, intermediate }
    }

    /// A registration whose credential has this key.
    fn register_with(&self, key: KeyPair, cose: Vec<u8>, change: impl FnOnce(&mut Parts)) -> WebAuthnEvidence {
        let data = WrittenData {
            rp_id_hash: *Digest::of(b"play.example").as_bytes(),
            flags: 0x45,
            counter: 9,
            aaguid: MODEL,
            credential_id: vec![0xc1; 20],
            key: cose,
            rest: Vec::new(),
        };
        let mut parts = Parts {
            client_data: client_data(r#","crossOrigin":false"#),
            data,
            format: "packed",
            algorithm: -7,
            certified: true,
            certificate: Box::new(|_| ()),
            statement: None,
            signed: None,
        };
        change(&mut parts);
        let data = parts.data.bytes();
        let signed = [data.as_slice(), Digest::of(&parts.client_data).as_bytes()].concat();
        let signed = parts.signed.unwrap_or(signed);
        let statement = parts.statement.unwrap_or_else(|| {
            if !parts.certified {
                return statement(parts.algorithm, &key.sign(&signed).unwrap(), &[]);
            }
            let mut params = params("");
            params.distinguished_name = subject(&full_subject());
            params.custom_extensions = vec![extension(MODEL_NAME, octets(&MODEL))];
            (parts.certificate)(&mut params);
            let leaf = self.intermediate.leaf(&params);
            let chain = [leaf.certificate.der().to_vec(), self.intermediate.certificate.der().to_vec()];
            statement(parts.algorithm, &leaf.key.sign(&signed).unwrap(), &chain)
        });
        WebAuthnEvidence {
            attestation_object: object(parts.format, &statement, &data).into(),
            client_data: parts.client_data.into(),
        }
    }

    fn register(&self, change: impl FnOnce(&mut Parts)) -> WebAuthnEvidence {
        let key = KeyPair::generate().unwrap();
        let cose = es256_key(key.public_key_raw());
        self.register_with(key, cose, change)
    }

    fn found(&self, change: impl FnOnce(&mut Parts)) -> Result<Found<WebAuthnClaims>, WebAuthnError> {
        verify(&self.register(change), &self.root.anchors(), NOW_MS)
    }

    fn refusal(&self, change: impl FnOnce(&mut Parts)) -> WebAuthnError {
        self.found(change).unwrap_err()
    }
}

fn values() -> WebAuthnValues {
    WebAuthnValues {
        relying_party: "play.example".to_owned(),
        origins: BTreeSet::from([ORIGIN.to_owned()]),
        models: BTreeSet::from([uuid(&MODEL)]),
        unattested: false,
    }
}

#[test]
fn the_vectors_of_the_specification_verify() {
    let anchors = Anchors::from_der(vec![CertificateDer::from(ROOT)]);
    let model = "876ca4f5-2071-c3e9-b255-09ef2cdf7ed6".to_owned();
    let vectors = [
        (&NONE, Attested::None, Tier::Software, false),
        (&BY_SELF, Attested::BySelf, Tier::Software, true),
        (&BY_MANUFACTURER, Attested::ByManufacturer { model }, Tier::Hardware, true),
    ];
    for (vector, attested, tier, user_verified) in vectors {
        let claims = WebAuthnClaims {
            relying_party_hash: Digest::of(b"example.org"),
            origin: "https://example.org".to_owned(),
            user_verified,
            attested,
        };
        let found = Found { bound: vector.challenge.to_vec(), tier, claims };
        assert_eq!(verify(&vector.evidence(), &anchors, NOW_MS), Ok(found));
    }
    let unknown = verify(&BY_MANUFACTURER.evidence(), &Chains::new().root.anchors(), NOW_MS);
    assert_eq!(unknown, Err(PackedError::Chain(ChainError::UnknownIssuer).into()));
}

#[test]
fn a_genuine_authenticator_is_affirmed() {
    let found = Chains::new().found(|_| ()).unwrap();
    assert_eq!((found.bound.as_slice(), found.tier), (b"nonce".as_slice(), Tier::Hardware));
    let attested = Attested::ByManufacturer { model: "a7a7a7a7-a7a7-a7a7-a7a7-a7a7a7a7a7a7".to_owned() };
    assert_eq!(found.claims.attested, attested);
    let claims = compare(&found.claims, &values());
    assert_eq!(claims.iter().map(|claim| claim.status).collect::<Vec<_>>(), [Status::Affirming; 4]);
    assert_eq!(claims[2].sentence, "Someone was there, and the authenticator knew them.");
}

/// Keys of the other two algorithms, by their own signatures.
#[test]
fn every_algorithm_signs_for_itself() {
    let chains = Chains::new();
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let mut cose = Encoder::new(Vec::new());
    cose.map(4).unwrap().i8(1).unwrap().i8(1).unwrap().i8(3).unwrap().i8(-8).unwrap().i8(-1).unwrap().i8(6).unwrap();
    cose.i8(-2).unwrap().bytes(ed25519.public_key_raw()).unwrap();
    let evidence = chains.register_with(ed25519, cose.into_writer(), |parts| {
        (parts.certified, parts.algorithm) = (false, -8);
    });
    let attested = |evidence: &WebAuthnEvidence| {
        verify(evidence, &chains.root.anchors(), NOW_MS).map(|found| found.claims.attested)
    };
    assert_eq!(attested(&evidence), Ok(Attested::BySelf));
    let (rsa, n) = rsa_key();
    let mut cose = Encoder::new(Vec::new());
    cose.map(4).unwrap().i8(1).unwrap().i8(3).unwrap().i8(3).unwrap().i16(-257).unwrap();
    cose.i8(-1).unwrap().bytes(&n).unwrap().i8(-2).unwrap().bytes(&[1, 0, 1]).unwrap();
    let evidence = chains.register_with(rsa, cose.into_writer(), |parts| {
        (parts.certified, parts.algorithm) = (false, -257);
    });
    assert_eq!(attested(&evidence), Ok(Attested::BySelf));
}

/// A key of 2048 bits and its modulus.
fn rsa_key() -> (KeyPair, Vec<u8>) {
    use rsa::pkcs8::EncodePrivateKey as _;
    use rsa::traits::PublicKeyParts as _;
    let mut generator = crate::privacy_pass::fuzz::FixedGenerator::new(4);
    let key = rsa::RsaPrivateKey::new(&mut crate::randomness::Rng10(&mut generator), 2048).unwrap();
    let pkcs8 = key.to_pkcs8_der().unwrap().as_bytes().to_vec();
    let pair = KeyPair::from_der_and_sign_algo(&pkcs8.as_slice().try_into().unwrap(), &PKCS_RSA_SHA256).unwrap();
    (pair, key.n().to_be_bytes_trimmed_vartime().to_vec())
}

#[test]
fn the_client_is_asked_what_it_did() {
    use ClientDataError as C;
    let chains = Chains::new();
    let replaced = |from: &str, to: &str| {
        let text = String::from_utf8(client_data(r#","crossOrigin":false"#)).unwrap();
        assert!(text.contains(from));
        text.replace(from, to).into_bytes()
    };
    let cases = [
        (replaced("webauthn.create", "webauthn.get"), C::Type),
        (replaced(r#""challenge":""#, r#""challenge":"="#), C::Challenge),
        (client_data(r#","crossOrigin":true"#), C::CrossOrigin),
        (client_data(r#","crossOrigin":false,"topOrigin":"https://other.example""#), C::CrossOrigin),
        (client_data(r#","origin":"https://other.example""#), C::Malformed),
        (replaced(r#""origin""#, r#""page""#), C::Malformed),
        (b"{}".to_vec(), C::Malformed),
        (vec![b' '; CLIENT_DATA_BYTES_MAX + 1], C::TooLong),
    ];
    for (client_data, error) in cases {
        assert_eq!(chains.refusal(|parts| parts.client_data = client_data), error.into());
    }
    assert_eq!(chains.found(|parts| parts.client_data = client_data("")).map(|found| found.tier), Ok(Tier::Hardware));
}

#[test]
fn the_object_has_one_form() {
    use AuthenticatorDataError as A;
    use WebAuthnError as E;
    let chains = Chains::new();
    let refusal = |change: &dyn Fn(&mut Parts)| chains.refusal(change);
    assert_eq!(refusal(&|parts| parts.format = "fido-u2f"), E::Format);
    assert_eq!(refusal(&|parts| parts.statement = Some(vec![0x80])), E::Form);
    assert_eq!(refusal(&|parts| parts.format = "none"), E::NotEmpty);
    assert_eq!(refusal(&|parts| parts.data.flags = 0x44), E::UserPresence);
    assert_eq!(refusal(&|parts| parts.data.flags = 0x05), A::NoCredential.into());
    assert_eq!(refusal(&|parts| parts.data.flags = 0x55), A::Contradiction.into());
    assert_eq!(refusal(&|parts| parts.data.flags = 0xc5), A::Malformed.into());
    assert_eq!(refusal(&|parts| parts.data.rest = vec![0xa0]), A::Malformed.into());
    assert_eq!(refusal(&|parts| parts.data.credential_id = vec![0; 1024]), A::Malformed.into());
    assert_eq!(refusal(&|parts| parts.data.rest = vec![0; 8192]), A::TooLong.into());
    let with_extensions = |parts: &mut Parts| (parts.data.flags, parts.data.rest) = (0xc5, vec![0xa0]);
    assert_eq!(chains.found(with_extensions).map(|found| found.tier), Ok(Tier::Hardware));
    let eligible = |parts: &mut Parts| parts.data.flags = 0x5d;
    assert_eq!(chains.found(eligible).map(|found| found.tier), Ok(Tier::Hardware));
    // A key of an algorithm that is not accepted (ES512), and one whose curve is another.
    let key = |changed: &[u8]| {
        let key = changed.to_vec();
        refusal(&move |parts| {
            let tail = parts.data.key[key.len()..].to_vec();
            parts.data.key = [key.as_slice(), &tail].concat();
        })
    };
    assert_eq!(key(&[0xa5, 1, 2, 3, 0x38, 0x23]), E::AuthenticatorData(A::Malformed));
    assert_eq!(key(&[0xa5, 1, 2, 3, 0x23]), CoseKeyError::Algorithm.into());
    assert_eq!(key(&[0xa5, 1, 3]), CoseKeyError::Malformed.into());
    assert_eq!(key(&[0xa5, 1, 2, 3, 0x26, 0x20, 2]), CoseKeyError::Malformed.into());
    let long = WebAuthnEvidence {
        attestation_object: vec![0; ATTESTATION_OBJECT_BYTES_MAX + 1].into(),
        client_data: client_data("").into(),
    };
    assert_eq!(verify(&long, &chains.root.anchors(), NOW_MS), Err(CborError::TooLong.into()));
}

#[test]
fn a_statement_is_signed_by_who_may() {
    use PackedError as P;
    let chains = Chains::new();
    let refusal = |change: &dyn Fn(&mut Parts)| chains.refusal(change);
    let certificate = |change: fn(&mut CertificateParams)| chains.refusal(|parts| parts.certificate = Box::new(change));
    assert_eq!(refusal(&|parts| parts.signed = Some(vec![1])), P::Signature.into());
    assert_eq!(refusal(&|parts| (parts.certified, parts.signed) = (false, Some(vec![1]))), P::Signature.into());
    assert_eq!(refusal(&|parts| (parts.certified, parts.algorithm) = (false, -8)), P::Algorithm.into());
    assert_eq!(refusal(&|parts| parts.algorithm = -36), P::Algorithm.into());
    assert_eq!(refusal(&|parts| parts.algorithm = -8), P::Signature.into());
    assert_eq!(refusal(&|parts| parts.statement = Some(vec![0xa0])), P::Form.into());
    assert_eq!(
        refusal(&|parts| parts.statement = Some(statement(-7, &[1], &[vec![1]]))),
        P::Chain(ChainError::Malformed).into()
    );
    // A certificate of another model, of a critical extension, of another subject.
    assert_eq!(
        certificate(|params| params.custom_extensions = vec![extension(MODEL_NAME, octets(&[1; 16]))]),
        P::Model.into()
    );
    assert_eq!(
        certificate(|params| params.custom_extensions = vec![extension(MODEL_NAME, octets(&[0xa7; 15]))]),
        P::Model.into()
    );
    assert_eq!(
        certificate(|params| params.custom_extensions[0].set_criticality(true)),
        P::Chain(ChainError::Usage).into()
    );
    for missing in 0..4 {
        let mut parts = full_subject().to_vec();
        parts.remove(missing);
        let name = subject(&parts);
        let error = chains.refusal(|parts| parts.certificate = Box::new(|params| params.distinguished_name = name));
        assert_eq!(error, P::Certificate.into());
    }
    let unit = |params: &mut CertificateParams| {
        params.distinguished_name.push(DnType::OrganizationalUnitName, "Another Unit");
    };
    assert_eq!(certificate(unit), P::Certificate.into());
    assert_eq!(
        certificate(|params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)),
        P::Chain(ChainError::Usage).into()
    );
    // Without the model in the certificate, the authenticator's own word for it stands.
    let quiet = chains.found(|parts| parts.certificate = Box::new(|params| params.custom_extensions.clear()));
    assert_eq!(quiet.map(|found| found.tier), Ok(Tier::Hardware));
    for (now_ms, error) in [(1_700_000_000_000, ChainError::NotYetValid), (1_900_000_000_000, ChainError::Expired)] {
        let evidence = chains.register(|_| ());
        assert_eq!(verify(&evidence, &chains.root.anchors(), now_ms), Err(P::Chain(error).into()));
    }
}

#[test]
fn every_value_decides() {
    let chains = Chains::new();
    let good = chains.found(|_| ()).unwrap().claims;
    let failing = |claims: &WebAuthnClaims, values: &WebAuthnValues| -> Vec<(Status, String)> {
        let claims = compare(claims, values).into_iter().filter(|claim| claim.status > Status::Affirming);
        claims.map(|claim| (claim.status, claim.sentence)).collect()
    };
    let no = |sentence: &str| vec![(Status::Contraindicated, sentence.to_owned())];
    let other_party = WebAuthnClaims { relying_party_hash: Digest::of(b"other.example"), ..good.clone() };
    assert_eq!(failing(&other_party, &values()), no("The credential is for another relying party."));
    let other_page = WebAuthnClaims { origin: "https://play.example.evil".to_owned(), ..good.clone() };
    assert_eq!(failing(&other_page, &values()), no("The page that asked is none of the policy's reference values."));
    let other_model = WebAuthnClaims { attested: Attested::ByManufacturer { model: uuid(&[0; 16]) }, ..good.clone() };
    let lax = WebAuthnValues { unattested: true, ..values() };
    for values in [&values(), &lax] {
        assert_eq!(
            failing(&other_model, values),
            no("The model of the authenticator is none of the policy's reference values.")
        );
    }
    let said = [
        (Attested::None, "Nothing vouches for the authenticator"),
        (Attested::BySelf, "Nothing but its own key vouches for the authenticator"),
    ];
    for (attested, what) in said {
        let claims = WebAuthnClaims { attested, ..good.clone() };
        assert_eq!(failing(&claims, &values()), no(&format!("{what}, which the policy does not accept.")));
        let warning = format!("{what}, which the policy accepts with this warning.");
        assert_eq!(failing(&claims, &lax), [(Status::Warning, warning)]);
    }
    let empty: Vec<_> = failing(&good, &WebAuthnValues::default()).into_iter().map(|(_, sentence)| sentence).collect();
    let sentences = [
        "The policy has no relying party.",
        "The policy has no reference value for the page that asked.",
        "The policy has no reference value for the model of the authenticator.",
    ];
    assert_eq!(empty, sentences);
    let unverified = WebAuthnClaims { user_verified: false, ..good };
    assert_eq!(failing(&unverified, &values()), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever bit changes of what a manufacturer vouches for, or of the client's data, it is refused or attested by
    /// nobody; and cut short it is refused.
    #[test]
    fn a_changed_registration_is_not_vouched_for(at: prop::sample::Index, bit in 0_u8..8, cut: prop::sample::Index) {
        let anchors = Anchors::from_der(vec![CertificateDer::from(ROOT)]);
        let good = BY_MANUFACTURER.evidence();
        let mut bytes = good.attestation_object.to_vec();
        bytes[at.index(good.attestation_object.len())] ^= 1 << bit;
        let changed = WebAuthnEvidence { attestation_object: bytes.into(), ..good.clone() };
        if let Ok(found) = verify(&changed, &anchors, NOW_MS) {
            prop_assert_eq!(found.tier, Tier::Software);
        }
        let mut bytes = good.client_data.to_vec();
        bytes[at.index(good.client_data.len())] ^= 1 << bit;
        let changed = WebAuthnEvidence { client_data: bytes.into(), ..good.clone() };
        prop_assert!(verify(&changed, &anchors, NOW_MS).is_err(), "the signature covers the client's data");
        let cut = good.attestation_object[..cut.index(good.attestation_object.len())].to_vec();
        let cut = WebAuthnEvidence { attestation_object: cut.into(), ..good };
        prop_assert_eq!(verify(&cut, &anchors, NOW_MS), Err(CborError::Malformed.into()));
    }
}
