//! A root, a bundle and a module of the tests' own.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minicbor::Encoder;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384,
    SerialNumber, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};

use crate::evidence::nitro::NitroEvidence;

/// 2026-11-24 12:00 UTC.
pub(super) const NOW_MS: u64 = 1_795_521_600_000;

/// A certificate as DER, and its key.
struct Made {
    der: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// The tests' module, whose certificate lives on 2026-11-24, below an authority and a root.
pub(super) struct Module {
    key: EcdsaKeyPair,
    leaf: Vec<u8>,
    authority: Vec<u8>,
    pub(super) root: Vec<u8>,
}

pub(super) static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let root = make("root", 0x01, true, None);
    let authority = make("authority", 0x0A0B, true, Some(&root.issuer));
    let leaf = make("module", 0x0C, false, Some(&authority.issuer));
    let pkcs8 = leaf.issuer.key().serialize_der();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &pkcs8, &SystemRandom::new()).unwrap();
    Module { key, leaf: leaf.der, authority: authority.der, root: root.der }
});

fn make(name: &str, serial: u64, authority: bool, issuer: Option<&Issuer<'static, KeyPair>>) -> Made {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        (date_time_ymd(2024, 1, 1), date_time_ymd(2049, 1, 1))
    } else {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        (date_time_ymd(2026, 11, 24), date_time_ymd(2026, 11, 25))
    };
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    Made { der: certificate.unwrap().der().to_vec(), issuer: Issuer::new(params, key) }
}

/// What one call of the encoder writes.
pub(super) fn encoded(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Encoder::new(&mut bytes));
    bytes
}

pub(super) fn text(text: &str) -> Vec<u8> {
    encoded(|encoder| {
        encoder.str(text).unwrap();
    })
}

pub(super) fn bytes(bytes: &[u8]) -> Vec<u8> {
    encoded(|encoder| {
        encoder.bytes(bytes).unwrap();
    })
}

pub(super) fn integer(integer: u64) -> Vec<u8> {
    encoded(|encoder| {
        encoder.u64(integer).unwrap();
    })
}

/// A map of registers.
pub(super) fn registers(registers: &[(u64, &[u8])]) -> Vec<u8> {
    let mut all = encoded(|encoder| {
        encoder.map(u64::try_from(registers.len()).unwrap()).unwrap();
    });
    for (number, value) in registers {
        all.extend(integer(*number));
        all.extend(bytes(value));
    }
    all
}

/// An array of byte strings.
pub(super) fn array(values: &[&[u8]]) -> Vec<u8> {
    let mut all = encoded(|encoder| {
        encoder.array(u64::try_from(values.len()).unwrap()).unwrap();
    });
    all.extend(values.iter().flat_map(|value| bytes(value)));
    all
}

/// A document's fields, each as CBOR.
pub(super) type Fields = BTreeMap<&'static str, Vec<u8>>;

/// The fields of a good document.
pub(super) fn fields(user_data: &[u8]) -> Fields {
    let (root, authority) = (&MODULE.root[..], &MODULE.authority[..]);
    BTreeMap::from([
        ("module_id", text("i-1-enc2")),
        ("digest", text("SHA384")),
        ("timestamp", integer(NOW_MS - 1000)),
        ("pcrs", registers(&[(0, &[0xA0; 48]), (1, &[0xA1; 48]), (2, &[0xA2; 48]), (4, &[0xA4; 48])])),
        ("certificate", bytes(&MODULE.leaf)),
        ("cabundle", array(&[root, authority])),
        ("public_key", bytes(b"key")),
        ("user_data", bytes(user_data)),
        ("nonce", bytes(b"nonce")),
    ])
}

pub(super) fn payload(fields: &Fields) -> Vec<u8> {
    let mut payload = encoded(|encoder| {
        encoder.map(u64::try_from(fields.len()).unwrap()).unwrap();
    });
    for (name, value) in fields {
        payload.extend(text(name));
        payload.extend(value);
    }
    payload
}

/// The protected header of ES384.
pub(super) const HEADER: [u8; 4] = [0xA1, 0x01, 0x38, 0x22];

/// Signs a payload under a protected header.
pub(super) fn sign(header: &[u8], payload: &[u8]) -> [Vec<u8>; 4] {
    let structure = encoded(|encoder| {
        encoder.array(4).unwrap().str("Signature1").unwrap();
        encoder.bytes(header).unwrap().bytes(&[]).unwrap().bytes(payload).unwrap();
    });
    let signature = MODULE.key.sign(&SystemRandom::new(), &structure).unwrap();
    [bytes(header), vec![0xA0], bytes(payload), bytes(signature.as_ref())]
}

/// The four parts as an array without a tag.
pub(super) fn evidence(parts: &[Vec<u8>]) -> NitroEvidence {
    let mut document = encoded(|encoder| {
        encoder.array(u64::try_from(parts.len()).unwrap()).unwrap();
    });
    document.extend(parts.concat());
    NitroEvidence { document: document.into() }
}

/// A document of these fields.
pub(super) fn document(fields: &Fields) -> NitroEvidence {
    evidence(&sign(&HEADER, &payload(fields)))
}
