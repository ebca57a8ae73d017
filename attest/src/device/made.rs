//! Chains of certificates, DER and authenticator data that tests make.

use minicbor::Encoder;
use policies::rules::{Anchor, Profile, ReferenceValues, Status};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CustomExtension, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SerialNumber, SignatureAlgorithm, date_time_ymd,
};

use crate::challenge::{Challenges, FreshNonce};
use crate::evidence::chain::Anchors;

/// 2027-01-15, within the validity of everything that is made here unless a test says otherwise.
pub(super) const NOW_MS: u64 = 1_800_000_000_000;

/// Who issues.
pub(super) struct Authority {
    pub(super) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A leaf and its key.
pub(super) struct Leaf {
    pub(super) certificate: Certificate,
    pub(super) key: KeyPair,
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// What every certificate here starts from.
pub(super) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2028, 1, 1);
    params
}

impl Authority {
    /// A root on P-384.
    pub(super) fn root(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let params = authority_params(name);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// An intermediate, with more in its parameters.
    pub(super) fn intermediate(&self, name: &str, more: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let mut params = authority_params(name);
        params.serial_number = Some(SerialNumber::from_slice(&[0x0a, 0xbc]));
        more(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A leaf with these extensions.
    pub(super) fn leaf(&self, params: &CertificateParams) -> Leaf {
        self.leaf_of(params, &PKCS_ECDSA_P256_SHA256)
    }

    /// A leaf with a key of another algorithm.
    pub(super) fn leaf_of(&self, params: &CertificateParams, algorithm: &'static SignatureAlgorithm) -> Leaf {
        self.leaf_for(params, KeyPair::generate_for(algorithm).unwrap())
    }

    /// A leaf of a key that is there.
    pub(super) fn leaf_for(&self, params: &CertificateParams, key: KeyPair) -> Leaf {
        Leaf { certificate: params.signed_by(&key, &self.issuer).unwrap(), key }
    }

    /// What a policy would pin.
    pub(super) fn anchors(&self) -> Anchors {
        Anchors::from_der(vec![self.certificate.der().clone()])
    }

    /// A profile that pins this authority.
    pub(super) fn profile(&self, values: ReferenceValues) -> Profile {
        let anchor = Anchor { path: "anchors/test.pem".to_owned(), pem: self.certificate.pem().into_bytes() };
        Profile {
            name: "test".to_owned(),
            anchors: vec![anchor],
            revoked: std::collections::BTreeSet::new(),
            status_best: Status::Affirming,
            values,
        }
    }
}

/// A certificate's extension.
pub(super) fn extension(name: &[u64], content: Vec<u8>) -> CustomExtension {
    CustomExtension::from_oid_content(name, content)
}

/// A nonce that was given out and consumed, and its text.
pub(super) fn fresh_nonce(random: u8) -> (FreshNonce, String) {
    let challenges = Challenges::new(&[3; 32], 1);
    let (nonce, _) = challenges.issue("tenant", [random; 16], NOW_MS);
    (challenges.take("tenant", &nonce, NOW_MS).unwrap(), nonce)
}

/// A value in DER.
pub(super) fn der(tag: &[u8], content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = tag.to_vec();
    match length {
        0..=127 => bytes.push(u8::try_from(length).unwrap()),
        128..=255 => bytes.extend([0x81, u8::try_from(length).unwrap()]),
        _ => {
            bytes.push(0x82);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend(content);
    bytes
}

/// An INTEGER.
pub(super) fn integer(value: u64) -> Vec<u8> {
    let bytes = [&[0], value.to_be_bytes().as_slice()].concat();
    let needed = bytes.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 0x80).count();
    der(&[2], &bytes[needed..])
}

/// An OCTET STRING.
pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    der(&[4], content)
}

/// A SEQUENCE.
pub(super) fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
    der(&[0x30], &fields.concat())
}

/// A SET.
pub(super) fn set(elements: &[Vec<u8>]) -> Vec<u8> {
    der(&[0x31], &elements.concat())
}

/// A field with a tag of its own around it.
pub(super) fn explicit(number: u16, inner: &[u8]) -> Vec<u8> {
    let low = u8::try_from(number & 0x7f).unwrap();
    match number {
        0..=30 => der(&[0xa0 | low], inner),
        31..=127 => der(&[0xbf, low], inner),
        _ => der(&[0xbf, 0x80 | u8::try_from(number >> 7).unwrap(), low], inner),
    }
}

/// Authenticator data as a device would write them; tests change their parts.
#[derive(Clone)]
pub(super) struct WrittenData {
    pub(super) rp_id_hash: [u8; 32],
    pub(super) flags: u8,
    pub(super) counter: u32,
    pub(super) aaguid: [u8; 16],
    pub(super) credential_id: Vec<u8>,
    pub(super) key: Vec<u8>,
    pub(super) rest: Vec<u8>,
}

impl WrittenData {
    /// The bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&self.rp_id_hash[..], &[self.flags], &self.counter.to_be_bytes()].concat();
        bytes.extend(self.aaguid);
        bytes.extend(u16::try_from(self.credential_id.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(&self.credential_id);
        bytes.extend_from_slice(&self.key);
        bytes.extend_from_slice(&self.rest);
        bytes
    }
}

/// A COSE key of P-256 from an uncompressed point.
pub(super) fn es256_key(point: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(5).unwrap().i8(1).unwrap().i8(2).unwrap().i8(3).unwrap().i8(-7).unwrap().i8(-1).unwrap().i8(1).unwrap();
    encoder.i8(-2).unwrap().bytes(&point[1..33]).unwrap().i8(-3).unwrap().bytes(&point[33..]).unwrap();
    encoder.into_writer()
}

/// An attestation object whose statement is already CBOR.
pub(super) fn object(format: &str, statement: &[u8], data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(3).unwrap().str("fmt").unwrap().str(format).unwrap().str("attStmt").unwrap();
    let mut bytes = encoder.into_writer();
    bytes.extend_from_slice(statement);
    let mut encoder = Encoder::new(bytes);
    encoder.str("authData").unwrap().bytes(data).unwrap();
    encoder.into_writer()
}
