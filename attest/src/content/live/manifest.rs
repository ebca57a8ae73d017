//! A C2PA manifest of a stream: its assertions, its claim's signature, its signer's certificate (C2PA §10, §11, §14, §15).

use ring::digest::{self, SHA256};
use rustls_pki_types::CertificateDer;
use webpki::KeyUsage;
use webpki::ring as algorithms;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::{self, ExtendedKeyUsage};

use super::bmff_hash::{self, BmffHash, HashError};
use super::boxes::Boxed;
use super::cbor::{self, Value};
use super::cose::{CoseError, PublicKey, Sign1};
use super::jumbf::{ASSERTIONS_MAX, ManifestBoxes, Superbox};
use crate::content::text;
use crate::evidence::chain::{Anchors, ChainError};

/// Label of the assertion that binds a manifest to its bytes.
const BMFF_HASH: &str = "c2pa.hash.bmff.v3";

/// What a signer's certificate may be for (C2PA §14.5.1): claim signing, documents, e-mail. The content of an OID each.
const PURPOSES: [(&str, &[u8]); 3] = [
    ("1.3.6.1.4.1.62558.2.1", &[0x2b, 6, 1, 4, 1, 0x83, 0xe8, 0x5e, 2, 1]),
    ("1.3.6.1.5.5.7.3.36", &[0x2b, 6, 1, 5, 5, 7, 3, 36]),
    ("1.3.6.1.5.5.7.3.4", &[0x2b, 6, 1, 5, 5, 7, 3, 4]),
];

/// `anyExtendedKeyUsage` (RFC 5280 §4.2.1.12).
const ANY_PURPOSE: &str = "2.5.29.37.0";

/// Why a manifest is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not a manifest store, or one that is beyond bounds, or an update manifest.
    #[error("the manifest store is malformed")]
    Malformed,
    /// Not a claim, or one that names another signature.
    #[error("the claim is malformed")]
    Claim,
    /// The claim refers to an assertion that is not there, or twice to one.
    #[error("the claim refers to an assertion that is missing")]
    AssertionMissing,
    /// An assertion is there that the claim does not refer to.
    #[error("an assertion is not under the claim")]
    AssertionUndeclared,
    /// An assertion is not the one that the claim refers to.
    #[error("an assertion is not the one that was signed")]
    AssertionHash,
    /// The claim's signature.
    #[error("the claim's signature was refused: {0}")]
    Signature(CoseError),
    /// The signer's certificate is missing or cannot be read.
    #[error("the signer's certificate cannot be read")]
    Certificate,
    /// The signer's certificate is not for signing claims.
    #[error("the signer's certificate is not for signing claims")]
    Usage,
    /// The signer is not one that the policy believes.
    #[error("the signer is not trusted: {0}")]
    Chain(ChainError),
    /// The hash that binds the manifest to its bytes.
    #[error("the manifest's hash was refused: {0}")]
    Hash(HashError),
}

impl From<CoseError> for ManifestError {
    fn from(error: CoseError) -> Self {
        Self::Signature(error)
    }
}

/// Who signed a manifest, by the certificate's subject; bounded, without control, direction and invisible characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Common name.
    pub common_name: Option<String>,
    /// Organisation.
    pub organization: Option<String>,
}

/// A manifest whose assertions, signature and chain are verified.
pub(super) struct Manifest<'a> {
    /// Its identifier.
    pub(super) id: &'a str,
    /// SHA-256 of the claim.
    pub(super) claim: [u8; 32],
    pub(super) key: PublicKey,
    /// The signer's certificate.
    pub(super) certificate: CertificateDer<'a>,
    pub(super) signer: Signer,
    /// When the first of the signer's certificates ends, Unix ms.
    pub(super) expires_ms: u64,
    algorithm: Option<&'a str>,
    assertions: Vec<Superbox<'a>>,
}

impl<'a> Manifest<'a> {
    /// Verifies the active manifest of a store. What binds it to its bytes is for [`Self::check_hash`].
    pub(super) fn verify(store: &'a [u8], anchors: &Anchors, now_ms: u64) -> Result<Self, ManifestError> {
        // 1. The parts.
        let parts = ManifestBoxes::active(store).map_err(|_| ManifestError::Malformed)?;
        let claim = cbor::decode(parts.claim).map_err(|_| ManifestError::Claim)?;
        let algorithm = claim.field("alg").map(|alg| alg.text().ok_or(ManifestError::Claim)).transpose()?;
        // 2. The claim names the signature beside it.
        let signature = claim.field("signature").and_then(Value::text).ok_or(ManifestError::Claim)?;
        if local(signature, parts.label) != Some("c2pa.signature") {
            return Err(ManifestError::Claim);
        }
        // 3. Every assertion is under the claim, as it was.
        check_assertions(&claim, algorithm, &parts)?;
        // 4. The signature, over the claim that stands in its own box.
        let signature = Sign1::parse(parts.signature)?;
        if signature.payload.is_some() {
            return Err(ManifestError::Signature(CoseError::Payload));
        }
        let (leaf, above) = signature.chain.split_first().ok_or(ManifestError::Certificate)?;
        let certificate = Certificate::from_der(leaf).map_err(|_| ManifestError::Certificate)?;
        let key = PublicKey::from_spki(certificate.tbs_certificate().subject_public_key_info())?;
        signature.verify(&key, parts.claim)?;
        // 5. The signer.
        let usage = usage(&certificate)?;
        anchors.verify(leaf, above, usage, SIGNATURES, now_ms).map_err(ManifestError::Chain)?;
        let expires_ms = expires_ms(&certificate, above)?;
        Ok(Self {
            id: parts.label,
            claim: sha256(parts.claim),
            key,
            certificate: leaf.clone(),
            signer: signer(&certificate),
            expires_ms,
            algorithm,
            assertions: parts.assertions,
        })
    }

    /// The one assertion under a label, as CBOR. A second instance of what may be there once (§6.4) has another label.
    pub(super) fn assertion(&self, label: &str) -> Option<&'a [u8]> {
        self.assertions.iter().find(|assertion| assertion.label == label)?.content(*b"cbor")
    }

    /// Whether there is such an assertion, of whatever form.
    pub(super) fn has(&self, label: &str) -> bool {
        self.assertions.iter().any(|assertion| assertion.label == label)
    }

    /// Holds the bytes that carry the manifest against its hash.
    pub(super) fn check_hash(&self, boxes: &[Boxed<'_>]) -> Result<(), HashError> {
        let map = self.assertion(BMFF_HASH).ok_or(HashError::Missing)?;
        let map = cbor::decode(map).map_err(|_| HashError::Malformed)?;
        BmffHash::read(&map, self.algorithm)?.check(boxes)
    }
}

/// Signatures on certificates (C2PA §13.2, §14.5.1).
const SIGNATURES: &[&dyn rustls_pki_types::SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// What a JUMBF URI (C2PA §8.4.1) names within the manifest `label`.
fn local<'u>(uri: &'u str, label: &str) -> Option<&'u str> {
    let path = uri.strip_prefix("self#jumbf=")?;
    match path.strip_prefix("/c2pa/") {
        Some(path) => path.strip_prefix(label)?.strip_prefix('/'),
        None => Some(path).filter(|path| !path.starts_with('/')),
    }
}

/// Holds every assertion against the hashed URI that the claim has of it (C2PA §8.4.2, §15.10.3).
fn check_assertions(
    claim: &Value<'_>,
    algorithm: Option<&str>,
    parts: &ManifestBoxes<'_>,
) -> Result<(), ManifestError> {
    let mut referred = vec![false; parts.assertions.len()];
    for list in ["assertions", "created_assertions", "gathered_assertions"] {
        let Some(list) = claim.field(list) else { continue };
        let list = list.array().ok_or(ManifestError::Claim)?;
        if list.len() > ASSERTIONS_MAX {
            return Err(ManifestError::Claim);
        }
        for uri in list {
            let url = uri.field("url").and_then(Value::text).ok_or(ManifestError::Claim)?;
            let hash = uri.field("hash").and_then(Value::bytes).ok_or(ManifestError::Claim)?;
            let label = local(url, parts.label).and_then(|path| path.strip_prefix("c2pa.assertions/"));
            let place = parts.assertions.iter().position(|assertion| Some(assertion.label) == label);
            let place = place.filter(|place| !referred[*place]).ok_or(ManifestError::AssertionMissing)?;
            let named = match uri.field("alg") {
                Some(alg) => alg.text().ok_or(ManifestError::Claim)?,
                None => algorithm.ok_or(ManifestError::Claim)?,
            };
            let algorithm = bmff_hash::algorithm(named).ok_or(ManifestError::Claim)?;
            if digest::digest(algorithm, parts.assertions[place].contents).as_ref() != hash {
                return Err(ManifestError::AssertionHash);
            }
            referred[place] = true;
        }
    }
    if referred.iter().all(|referred| *referred) { Ok(()) } else { Err(ManifestError::AssertionUndeclared) }
}

/// The purpose for which a signer's certificate must be good all the way up; any purpose is none (C2PA §14.5.1).
fn usage(certificate: &Certificate) -> Result<KeyUsage, ManifestError> {
    let extension = certificate.tbs_certificate().get_extension::<pkix::KeyUsage>();
    let signs = extension.map_err(|_| ManifestError::Certificate)?.is_some_and(|(_, usage)| usage.digital_signature());
    let extension = certificate.tbs_certificate().get_extension::<ExtendedKeyUsage>();
    let (_, purposes) = extension.map_err(|_| ManifestError::Certificate)?.ok_or(ManifestError::Usage)?;
    let named: Vec<String> = purposes.0.iter().map(ToString::to_string).collect();
    let found = PURPOSES.iter().find(|(name, _)| named.iter().any(|purpose| purpose == name));
    if !signs || named.iter().any(|purpose| purpose == ANY_PURPOSE) {
        return Err(ManifestError::Usage);
    }
    // Certificates above need not repeat it.
    found.map(|(_, oid)| KeyUsage::required_if_present(oid)).ok_or(ManifestError::Usage)
}

fn expires_ms(leaf: &Certificate, above: &[CertificateDer<'_>]) -> Result<u64, ManifestError> {
    let end = |certificate: &Certificate| {
        let end = certificate.tbs_certificate().validity().not_after.to_unix_duration();
        u64::try_from(end.as_millis()).unwrap_or(u64::MAX)
    };
    let mut first = end(leaf);
    for certificate in above {
        let certificate = Certificate::from_der(certificate).map_err(|_| ManifestError::Certificate)?;
        first = first.min(end(&certificate));
    }
    Ok(first)
}

fn signer(certificate: &Certificate) -> Signer {
    let subject = certificate.tbs_certificate().subject();
    let name = |wanted: &str| {
        let attribute = subject.iter_rdn().flat_map(|rdn| rdn.iter()).find(|part| part.oid.to_string() == wanted)?;
        let text = std::str::from_utf8(attribute.value.value()).ok()?;
        text::bounded(text)
    };
    Signer { common_name: name("2.5.4.3"), organization: name("2.5.4.10") }
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}
