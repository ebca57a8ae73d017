//! A root, an issuer and chips of the tests' own, in AMD's forms: rcgen knows no RSASSA-PSS, so that the certificates are
//! written by hand.

use std::sync::LazyLock;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PSS_SHA384, RsaKeyPair};
use rsa::pkcs1::EncodeRsaPrivateKey as _;

use crate::evidence::sev_snp::report::SIGNED_BYTES;
use crate::evidence::sev_snp::vcek::PSS_WITH_TRAILER;
use crate::evidence::sev_snp::{REPORT_BYTES, SevSnpEvidence};
use crate::randomness::Rng10;

/// 2026-11-24 00:00 UTC.
pub(super) const NOW_MS: u64 = 1_795_478_400_000;
/// The versions of a chip before Turin, byte by byte as reports have them: boot loader 4, TEE 1, SNP 22, microcode 213.
pub(super) const TCB: [u8; 8] = [4, 1, 0, 0, 0, 0, 22, 213];
pub(super) const CHIP: [u8; 64] = [0xC1; 64];

/// The tests' AMD: one RSA key under two names.
pub(super) struct Amd {
    key: RsaKeyPair,
    pub(super) ark: Vec<u8>,
    pub(super) ask: Vec<u8>,
}

pub(super) static AMD: LazyLock<Amd> = LazyLock::new(|| {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let key = rsa::RsaPrivateKey::new(&mut Rng10(&mut rng), 2048).unwrap().to_pkcs1_der().unwrap();
    let key = RsaKeyPair::from_der(key.as_bytes()).unwrap();
    let public = key.public_key().as_ref().to_vec();
    let algorithm = sequence(&[&RSA_ENCRYPTION, &tlv(0x05, &[])]);
    let spki = sequence(&[&algorithm, &bits(&public)]);
    let constraints = extension(&[0x55, 0x1D, 0x13], true, &sequence(&[&tlv(0x01, &[0xFF])]));
    let usage = extension(&[0x55, 0x1D, 0x0F], true, &tlv(0x03, &[2, 0x04]));
    let extensions = [constraints, usage];
    let of = |subject, serial| {
        let certificate =
            Certificate { issuer: "ARK", subject, serial, life: LIFE, spki: &spki, extensions: &extensions };
        certificate.sign(&key)
    };
    let (ark, ask) = (of("ARK", 0x10), of("ASK", 0x7A));
    Amd { key, ark, ask }
});

/// A chip with a key of its own.
pub(super) struct Chip {
    key: EcdsaKeyPair,
    pub(super) vcek: Vec<u8>,
}

impl Chip {
    /// A chip before Turin.
    pub(super) fn new() -> Self {
        Self::with(&[(1, TCB[0]), (2, TCB[1]), (4, 0), (5, 0), (6, 0), (7, 0), (3, TCB[6]), (8, TCB[7])], &CHIP, LIFE)
    }

    /// A chip whose certificate states these parts of its versions, this number and this life.
    pub(super) fn with(parts: &[(u8, u8)], number: &[u8], life: (&str, &str)) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        let spki = sequence(&[&sequence(&[&EC_PUBLIC_KEY, &P384]), &bits(key.public_key().as_ref())]);
        let mut extensions: Vec<_> = parts
            .iter()
            .map(|(part, version)| {
                let value = if *version < 0x80 { vec![2, 1, *version] } else { vec![2, 2, 0, *version] };
                extension(&[&AMD_ARC[..], &[1, 3, *part]].concat(), false, &value)
            })
            .collect();
        if !number.is_empty() {
            extensions.push(extension(&[&AMD_ARC[..], &[1, 4]].concat(), false, number));
        }
        let certificate =
            Certificate { issuer: "ASK", subject: "SEV-VCEK", serial: 0, life, spki: &spki, extensions: &extensions };
        Self { key, vcek: certificate.sign(&AMD.key) }
    }

    /// Signs a report's fields.
    pub(super) fn sign(&self, fields: &[u8; SIGNED_BYTES]) -> SevSnpEvidence {
        let signature = self.key.sign(&SystemRandom::new(), fields).unwrap();
        let mut report = fields.to_vec();
        for half in signature.as_ref().chunks(48) {
            report.extend(half.iter().rev());
            report.extend([0; 24]);
        }
        report.resize(REPORT_BYTES, 0);
        SevSnpEvidence { report: report.into(), vcek: self.vcek.clone().into(), ask: AMD.ask.clone().into() }
    }
}

/// The fields of a good report of version 2 of a chip before Turin.
pub(super) fn fields(report_data: &[u8; 64]) -> [u8; SIGNED_BYTES] {
    let mut fields = [0; SIGNED_BYTES];
    let mut put = |offset: usize, bytes: &[u8]| fields[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x000, &[2]);
    put(0x004, &[9]);
    put(0x008, &0x3_0000_u64.to_le_bytes());
    put(0x010, &[0xFA; 16]);
    put(0x020, &[0x1A; 16]);
    put(0x034, &[1]);
    put(0x050, report_data);
    put(0x090, &[0x3E; 48]);
    put(0x0C0, &[0x0D; 32]);
    put(0x160, &[0xFF; 32]);
    put(0x180, &TCB);
    put(0x1A0, &CHIP);
    fields
}

const LIFE: (&str, &str) = ("240101000000Z", "310101000000Z");
const RSA_ENCRYPTION: [u8; 11] = [0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1];
const EC_PUBLIC_KEY: [u8; 9] = [0x06, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
const P384: [u8; 7] = [0x06, 5, 0x2B, 0x81, 0x04, 0, 0x22];
/// 1.3.6.1.4.1.3704.
const AMD_ARC: [u8; 7] = [0x2B, 6, 1, 4, 1, 0x9C, 0x78];

struct Certificate<'a> {
    issuer: &'a str,
    subject: &'a str,
    serial: u8,
    life: (&'a str, &'a str),
    spki: &'a [u8],
    extensions: &'a [Vec<u8>],
}

impl Certificate<'_> {
    fn sign(&self, key: &RsaKeyPair) -> Vec<u8> {
        let algorithm = tlv(0x30, PSS_WITH_TRAILER);
        let time = |text: &str| tlv(0x17, text.as_bytes());
        let tbs = sequence(&[
            &tlv(0xA0, &[2, 1, 2]),
            &tlv(0x02, &[self.serial]),
            &algorithm,
            &name(self.issuer),
            &sequence(&[&time(self.life.0), &time(self.life.1)]),
            &name(self.subject),
            self.spki,
            &tlv(0xA3, &tlv(0x30, &self.extensions.concat())),
        ]);
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PSS_SHA384, &SystemRandom::new(), &tbs, &mut signature).unwrap();
        sequence(&[&tbs, &algorithm, &bits(&signature)])
    }
}

fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => bytes.push(short),
        Ok(one) => bytes.extend([0x81, one]),
        Err(_) => {
            bytes.push(0x82);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend(content);
    bytes
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn bits(content: &[u8]) -> Vec<u8> {
    tlv(0x03, &[&[0], content].concat())
}

fn name(common: &str) -> Vec<u8> {
    let attribute = sequence(&[&[0x06, 3, 0x55, 4, 3], &tlv(0x0C, common.as_bytes())]);
    sequence(&[&tlv(0x31, &attribute)])
}

fn extension(id: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { tlv(0x01, &[0xFF]) } else { Vec::new() };
    sequence(&[&tlv(0x06, id), &critical, &tlv(0x04, value)])
}
