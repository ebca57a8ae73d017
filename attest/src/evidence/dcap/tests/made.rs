//! An Intel of the tests' own: its root, its lists and its collateral, around the real samples' contents.

use std::fmt::Write as _;

use dcap_qvl::quote::Quote;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, RevokedCertParams, SerialNumber, date_time_ymd,
};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::evidence::dcap::pem;

/// 2025-06-27 05:33:20 UTC, when the samples' collateral was in force.
pub(super) const NOW_MS: u64 = 1_751_000_000_000;
pub(super) const TDX_QUOTE: &[u8] = include_bytes!("../../samples/tdx_quote.bin");
pub(super) const TDX_COLLATERAL: &[u8] = include_bytes!("../../samples/tdx_quote_collateral.json");
pub(super) const SGX_QUOTE: &[u8] = include_bytes!("../../samples/sgx_quote.bin");
pub(super) const SGX_COLLATERAL: &[u8] = include_bytes!("../../samples/sgx_quote_collateral.json");
/// Where a report begins, after the header.
const REPORT: usize = 48;
/// Bytes of an enclave's report, and where the data that it covers stands in it.
const ENCLAVE: usize = 384;
const ENCLAVE_DATA: usize = 320;
/// Serial numbers.
pub(super) const ROOT: u64 = 0x11;
pub(super) const PLATFORM: u64 = 0x22;
pub(super) const PROCESSOR: u64 = 0x33;
pub(super) const SIGNER: u64 = 0x44;

struct Made {
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Made {
    fn key(&self) -> EcdsaKeyPair {
        let pkcs8 = self.issuer.key().serialize_der();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new()).unwrap()
    }
}

/// The root, an authority for processors, a processor, and who signs collateral.
pub(super) struct Intel {
    root: Made,
    platform: Made,
    processor: Made,
    signer: Made,
}

/// What of the collateral differs from the sample's.
#[derive(Default)]
pub(super) struct Changes {
    /// Revoked serial numbers.
    pub(super) revoked: Vec<u64>,
    /// Whether the lists of revoked certificates ended on 2025-06-20.
    pub(super) old_lists: bool,
    /// What is said of the platform.
    pub(super) tcb_info: Option<fn(&mut Value)>,
    /// What is said of the quoting enclave.
    pub(super) qe_identity: Option<fn(&mut Value)>,
}

impl Intel {
    /// Whose processor has the sample's number and versions.
    pub(super) fn new(sample: &[u8]) -> Self {
        let root = make("Root CA", ROOT, true, None, None);
        let platform = make("Platform CA", PLATFORM, true, None, Some(&root.issuer));
        let processor = make("PCK", PROCESSOR, false, Some(extension(sample)), Some(&platform.issuer));
        let signer = make("TCB Signing", SIGNER, false, None, Some(&root.issuer));
        Self { root, platform, processor, signer }
    }

    pub(super) fn root(&self) -> &[u8] {
        &self.root.der
    }

    /// The sample's quote with a changed report, signed anew throughout.
    pub(super) fn quote(&self, sample: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let random = SystemRandom::new();
        let parsed = Quote::parse(sample).unwrap();
        let mut quote = sample[..parsed.signed_length()].to_vec();
        change(&mut quote[REPORT..]);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
        // The first byte says that the point is not compressed.
        let public = &key.public_key().as_ref()[1..];
        let auth_data = parsed.auth_data.clone().into_v3().qe_auth_data.data;
        let mut enclave = parsed.qe_report().to_vec();
        assert_eq!(enclave.len(), ENCLAVE);
        let covered = digest(&SHA256, &[public, &auth_data].concat());
        enclave[ENCLAVE_DATA..ENCLAVE_DATA + 32].copy_from_slice(covered.as_ref());
        let chain = [&self.processor, &self.platform, &self.root].map(|made| made.der.clone());
        let chain = pem::write(&chain).into_bytes();
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let inner = [
            &enclave[..],
            self.processor.key().sign(&random, &enclave).unwrap().as_ref(),
            &u16::try_from(auth_data.len()).unwrap().to_le_bytes(),
            &auth_data,
            &[5, 0],
            &length(&chain),
            &chain,
        ]
        .concat();
        let signature = key.sign(&random, &quote).unwrap();
        let head = [signature.as_ref(), public].concat();
        let wrapped = if parsed.header.is_sgx() { inner } else { [&[6, 0], &length(&inner)[..], &inner].concat() };
        let auth = [head, wrapped].concat();
        quote.extend(length(&auth));
        quote.extend(auth);
        quote
    }

    /// The sample's collateral, signed anew throughout.
    pub(super) fn collateral(&self, sample: &[u8], changes: &Changes) -> Value {
        let mut collateral: Value = serde_json::from_slice(sample).unwrap();
        let signer = pem::write(&[self.signer.der.clone(), self.root.der.clone()]);
        for (text, change) in [("tcb_info", changes.tcb_info), ("qe_identity", changes.qe_identity)] {
            let mut said: Value = serde_json::from_str(collateral[text].as_str().unwrap()).unwrap();
            if let Some(change) = change {
                change(&mut said);
            }
            let said = said.to_string();
            let signature = self.signer.key().sign(&SystemRandom::new(), said.as_bytes()).unwrap();
            collateral[format!("{text}_signature")] = hexadecimal(signature.as_ref()).into();
            collateral[text] = said.into();
            collateral[format!("{text}_issuer_chain")] = signer.clone().into();
        }
        collateral["root_ca_crl"] = list(&self.root.issuer, &[PLATFORM, SIGNER], changes).into();
        collateral["pck_crl"] = list(&self.platform.issuer, &[PROCESSOR], changes).into();
        collateral
    }
}

fn make(
    name: &str,
    serial: u64,
    authority: bool,
    extension: Option<CustomExtension>,
    issuer: Option<&Issuer<'static, KeyPair>>,
) -> Made {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2030, 1, 1));
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    } else {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    }
    params.custom_extensions.extend(extension);
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer),
        None => params.self_signed(&key),
    };
    Made { der: certificate.unwrap().der().clone(), issuer: Issuer::new(params, key) }
}

/// The extension of the sample's processor that says which it is (1.2.840.113741.1.13.1).
fn extension(sample: &[u8]) -> CustomExtension {
    let quote = Quote::parse(sample).unwrap();
    let leaf = pem::read(quote.raw_cert_chain().unwrap()).unwrap().remove(0);
    let leaf = Certificate::from_der(&leaf).unwrap();
    let extensions = leaf.tbs_certificate().extensions().unwrap();
    let of_processor =
        |extension: &&x509_cert::ext::Extension| extension.extn_id.to_string() == "1.2.840.113741.1.13.1";
    let found = extensions.iter().find(of_processor).unwrap();
    CustomExtension::from_oid_content(&[1, 2, 840, 113_741, 1, 13, 1], found.extn_value.as_bytes().to_vec())
}

fn list(issuer: &Issuer<'static, KeyPair>, own: &[u64], changes: &Changes) -> String {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2025, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2025, 6, 1),
        next_update: if changes.old_lists { date_time_ymd(2025, 6, 20) } else { date_time_ymd(2026, 1, 1) },
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: changes.revoked.iter().filter(|serial| own.contains(serial)).map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    hexadecimal(params.signed_by(issuer).unwrap().der())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
