//! A chip's certificate, the VCEK, and its chain (AMD publication 57230, "VCEK Certificate and KDS Interface").

use policies::rules::SnpTcb;
use ring::signature::{RSA_PSS_2048_8192_SHA384, UnparsedPublicKey};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};

use super::SevSnpError;

/// RSASSA-PSS with SHA-384, MGF1 with SHA-384 and 48 bytes of salt, as AMD writes it: with the trailer field, though 1 is
/// its default (RFC 4055 §3.1 lets it be absent, and webpki knows only that form).
pub(super) const PSS_WITH_TRAILER: &[u8] = &[
    0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A, 0x30, 0x39, 0xA0, 0x0F, 0x30, 0x0D, 0x06, 0x09,
    0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09, 0x2A, 0x86,
    0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0x02, 0x05, 0x00, 0xA2, 0x03, 0x02, 0x01, 0x30, 0xA3, 0x03, 0x02, 0x01, 0x01,
];

/// RSASSA-PSS by [`PSS_WITH_TRAILER`].
#[derive(Debug)]
struct AmdPss;

impl SignatureVerificationAlgorithm for AmdPss {
    fn verify_signature(&self, public_key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA384, public_key)
            .verify(message, signature)
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        AlgorithmIdentifier::from_slice(PSS_WITH_TRAILER)
    }
}

/// The algorithms of AMD's chains: certificates before Turin's state the trailer, Turin's VCEK does not.
pub(super) const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[&AmdPss, webpki::ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY];

/// Where the chip's number stands.
const HARDWARE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.4");
/// By the last number of 1.3.6.1.4.1.3704.1.3.N: which byte of a report's `TCB_VERSION` each extension repeats, before
/// Turin.
const BYTES: [u32; 8] = [1, 2, 4, 5, 6, 7, 3, 8];
/// From Turin, which has a component (FMC) more and stands in another order.
const BYTES_TURIN: [u32; 8] = [9, 1, 2, 3, 5, 6, 7, 8];
/// The first family of processors with Turin's order.
const FAMILY_TURIN: u8 = 0x1A;

/// What a chip's certificate says of the chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Vcek {
    tcb: [u8; 8],
    turin: bool,
    hardware_id: Vec<u8>,
}

impl Vcek {
    /// Reads the extensions.
    pub(super) fn parse(certificate: &[u8]) -> Result<Self, SevSnpError> {
        let certificate = Certificate::from_der(certificate).map_err(|_| SevSnpError::Vcek)?;
        let extensions = certificate.tbs_certificate().extensions().ok_or(SevSnpError::Vcek)?;
        let find = |id: ObjectIdentifier| {
            let mut found = extensions.iter().filter(|extension| extension.extn_id == id);
            let first = found.next()?;
            found.next().is_none().then(|| first.extn_value.as_bytes())
        };
        let security_version = |number: u32| {
            let value = find(part(number)?)?;
            let version = u8::from_der(value).ok()?;
            // Only the shortest form, so that the extension says one thing.
            (version.to_der().ok()? == value).then_some(version)
        };
        let turin = part(9).and_then(find).is_some();
        let mut tcb = [0; 8];
        for (byte, number) in tcb.iter_mut().zip(if turin { BYTES_TURIN } else { BYTES }) {
            *byte = security_version(number).ok_or(SevSnpError::Vcek)?;
        }
        let hardware_id = find(HARDWARE_ID).ok_or(SevSnpError::Vcek)?.to_vec();
        if !(8..=64).contains(&hardware_id.len()) {
            return Err(SevSnpError::Vcek);
        }
        Ok(Self { tcb, turin, hardware_id })
    }

    /// Whether a report of a processor of this family (none before version 3) can be this chip's.
    pub(super) const fn is_of(&self, family: Option<u8>) -> bool {
        match family {
            Some(family) => (family >= FAMILY_TURIN) == self.turin,
            None => true,
        }
    }

    /// Whether the key was derived by these versions.
    pub(super) fn has_tcb(&self, reported: [u8; 8]) -> bool {
        self.tcb == reported
    }

    /// Whether it is this chip's; Turin's numbers are shorter than their field.
    pub(super) fn has_chip_id(&self, chip_id: [u8; 64]) -> bool {
        chip_id
            .split_at_checked(self.hardware_id.len())
            .is_some_and(|(head, rest)| head == self.hardware_id && rest.iter().all(|byte| *byte == 0))
    }

    pub(super) fn hardware_id(&self) -> &[u8] {
        &self.hardware_id
    }

    /// The versions by name.
    pub(super) const fn versions(&self) -> SnpTcb {
        let tcb = self.tcb;
        if self.turin {
            SnpTcb { bootloader: tcb[1], tee: tcb[2], snp: tcb[3], microcode: tcb[7] }
        } else {
            SnpTcb { bootloader: tcb[0], tee: tcb[1], snp: tcb[6], microcode: tcb[7] }
        }
    }

    /// Of the FMC, which chips have from Turin.
    pub(super) const fn fmc(&self) -> Option<u8> {
        if self.turin { Some(self.tcb[0]) } else { None }
    }
}

fn part(number: u32) -> Option<ObjectIdentifier> {
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.3704.1.3").push_arc(number).ok()
}
