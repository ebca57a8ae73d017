//! Certificates of endorsement keys (TCG EK Credential Profile for TPM 2.0 §3.2).

use policies::rules::Tier;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use webpki::{KeyUsage, ring as algorithms};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

use super::EnrolmentError;
use crate::evidence::chain::{Anchors, CERTIFICATE_BYTES_MAX, ChainError};
use crate::evidence::encoded::Encoded;
use crate::evidence::tpm::{MODULUS_BYTES, PublicKey};

/// `tcg-kp-EKCertificate`, 2.23.133.8.1, as the value of an OBJECT IDENTIFIER.
const USAGE: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];
const MANUFACTURER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.2.1");
const MODEL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.2.2");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// The model that the emulator writes into its certificates.
const EMULATOR: &str = "swtpm";
/// A modulus with its sign's byte, and the exponent, as RSAPublicKey (RFC 8017 appendix A.1.1).
const RSA_HEAD: &[u8] = &[0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
const RSA_TAIL: &[u8] = &[0x02, 0x03, 0x01, 0x00, 0x01];

/// By what makers sign their certificates.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
];

/// What a maker says of an endorsement key.
pub(super) struct Endorsement {
    pub(super) key: PublicKey,
    pub(super) tier: Tier,
    pub(super) serials: Vec<String>,
}

impl Endorsement {
    /// Verifies a chain that begins with the endorsement key's certificate. There is one at least.
    pub(super) fn verify(
        chain: &[Encoded<CERTIFICATE_BYTES_MAX>],
        anchors: &Anchors,
        now_ms: u64,
    ) -> Result<Self, EnrolmentError> {
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(&der[..])).collect();
        let (leaf, intermediates) = chain.split_first().ok_or(EnrolmentError::Certificates)?;
        // 1. Path, time, revocation, and that it is an endorsement key's (§3.5.8).
        anchors.verify(leaf, intermediates, KeyUsage::required(USAGE), ALGORITHMS, now_ms)?;
        // 2. Which model it is (§3.1.2). An emulator's keys are its owner's, whoever vouches for it.
        let read = |der: &CertificateDer<'_>| Certificate::from_der(der).map_err(|_| ChainError::Malformed);
        let certificate = read(leaf)?;
        let model = model(&certificate)?;
        let tier = if model.contains(EMULATOR) { Tier::Development } else { Tier::Hardware };
        // 3. Its key.
        let key = key(&certificate)?;
        let serials =
            chain.iter().map(|der| read(der).map(|certificate| serial(&certificate))).collect::<Result<_, _>>()?;
        Ok(Self { key, tier, serials })
    }
}

fn serial(certificate: &Certificate) -> String {
    let bytes = certificate.tbs_certificate().serial_number().as_bytes();
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.trim_start_matches('0').to_owned()
}

/// The model in lower case, from the directory name among the subject's alternative names, which names the maker too.
fn model(certificate: &Certificate) -> Result<String, EnrolmentError> {
    let extension = certificate.tbs_certificate().get_extension::<SubjectAltName>();
    let Ok(Some((_, SubjectAltName(names)))) = extension else { return Err(EnrolmentError::Model) };
    let directory = names.iter().find_map(|name| match name {
        GeneralName::DirectoryName(name) => Some(name),
        _ => None,
    });
    let directory = directory.ok_or(EnrolmentError::Model)?;
    let maker = attribute(directory, MANUFACTURER).ok_or(EnrolmentError::Model)?;
    let model = attribute(directory, MODEL).ok_or(EnrolmentError::Model)?;
    if maker.is_empty() || model.is_empty() { Err(EnrolmentError::Model) } else { Ok(model) }
}

/// Every value of an attribute, one after the other, in lower case.
fn attribute(name: &Name, oid: ObjectIdentifier) -> Option<String> {
    let mut values = name.iter().filter(|attribute| attribute.oid == oid).peekable();
    values.peek()?;
    Some(values.map(|attribute| String::from_utf8_lossy(attribute.value.value()).to_lowercase()).collect())
}

fn key(certificate: &Certificate) -> Result<PublicKey, EnrolmentError> {
    let info = certificate.tbs_certificate().subject_public_key_info();
    let bits = info.subject_public_key.as_bytes().ok_or(EnrolmentError::EndorsementKey)?;
    let parameters = || info.algorithm.parameters.as_ref().and_then(|parameters| parameters.to_der().ok());
    if info.algorithm.oid == RSA_ENCRYPTION {
        let modulus = bits.strip_prefix(RSA_HEAD).and_then(|rest| rest.strip_suffix(RSA_TAIL));
        let modulus: Option<[u8; MODULUS_BYTES]> = modulus.and_then(|modulus| modulus.try_into().ok());
        return modulus.map(PublicKey::Rsa).ok_or(EnrolmentError::EndorsementKey);
    }
    let on_curve = info.algorithm.oid == EC_PUBLIC_KEY && parameters() == P256.to_der().ok();
    match (on_curve, bits.split_at_checked(33)) {
        (true, Some(([4, x @ ..], y))) => {
            let (x, y) = (x.try_into(), y.try_into());
            Ok(PublicKey::Ecc {
                x: x.map_err(|_| EnrolmentError::EndorsementKey)?,
                y: y.map_err(|_| EnrolmentError::EndorsementKey)?,
            })
        }
        _ => Err(EnrolmentError::EndorsementKey),
    }
}

/// Reads what [`Endorsement::verify`] reads after a chain was verified, of any bytes: for fuzzing.
pub(super) fn read_unverified(bytes: &[u8]) {
    if bytes.len() <= CERTIFICATE_BYTES_MAX
        && let Ok(certificate) = Certificate::from_der(bytes)
    {
        drop((model(&certificate), key(&certificate), serial(&certificate)));
    }
}
