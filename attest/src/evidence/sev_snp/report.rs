//! The form of a report (AMD SEV-SNP ABI, publication 56860, table ATTESTATION_REPORT).

use super::SevSnpError;
use crate::evidence::p384::SIGNATURE_BYTES;

/// Bytes of a report.
pub const REPORT_BYTES: usize = 1184;
/// What is signed: all before the signature.
pub(super) const SIGNED_BYTES: usize = 0x2A0;
/// Of each half of a signature, little-endian; P-384 uses 48 of them.
const HALF_BYTES: usize = 72;
/// The algorithm ECDSA on P-384 with SHA-384.
const ALGORITHM_P384: u32 = 1;

/// A report's fields, as they stand in it.
pub(super) struct Report<'a> {
    bytes: &'a [u8; REPORT_BYTES],
}

impl<'a> Report<'a> {
    /// Reads a report of one of the versions 2, 3 and 5.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, SevSnpError> {
        let bytes = bytes.try_into().map_err(|_| SevSnpError::Length)?;
        let report = Self { bytes };
        if !matches!(report.version(), 2 | 3 | 5) {
            return Err(SevSnpError::Version);
        }
        if report.u32(0x034) != ALGORITHM_P384 {
            return Err(SevSnpError::Algorithm);
        }
        Ok(report)
    }

    fn field<const N: usize>(&self, offset: usize) -> [u8; N] {
        let field = self.bytes.get(offset..offset + N).and_then(|field| field.try_into().ok());
        field.expect("every offset below is within the report")
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.field(offset))
    }

    pub(super) fn version(&self) -> u32 {
        self.u32(0x000)
    }

    pub(super) fn guest_svn(&self) -> u32 {
        self.u32(0x004)
    }

    pub(super) fn policy(&self) -> u64 {
        u64::from_le_bytes(self.field(0x008))
    }

    pub(super) fn family_id(&self) -> [u8; 16] {
        self.field(0x010)
    }

    pub(super) fn image_id(&self) -> [u8; 16] {
        self.field(0x020)
    }

    pub(super) fn vmpl(&self) -> u32 {
        self.u32(0x030)
    }

    /// Which key signed: 0 is the VCEK, 1 the VLEK, 7 none (bits 2 to 4).
    pub(super) fn signing_key(&self) -> u32 {
        (self.u32(0x048) >> 2) & 0b111
    }

    pub(super) fn report_data(&self) -> [u8; 64] {
        self.field(0x050)
    }

    pub(super) fn measurement(&self) -> [u8; 48] {
        self.field(0x090)
    }

    pub(super) fn host_data(&self) -> [u8; 32] {
        self.field(0x0C0)
    }

    /// Of the guest's migration agent; all ones without one.
    pub(super) fn report_id_ma(&self) -> [u8; 32] {
        self.field(0x160)
    }

    /// The versions by which the signing key was derived.
    pub(super) fn reported_tcb(&self) -> [u8; 8] {
        self.field(0x180)
    }

    /// The processor's family, from version 3.
    pub(super) fn family(&self) -> Option<u8> {
        (self.version() >= 3).then(|| self.field::<1>(0x188)[0])
    }

    pub(super) fn chip_id(&self) -> [u8; 64] {
        self.field(0x1A0)
    }

    /// What the signature covers.
    pub(super) fn signed(&self) -> &'a [u8] {
        &self.bytes[..SIGNED_BYTES]
    }

    /// The signature, r and s, big-endian. None where a byte is set that has no place in it.
    pub(super) fn signature(&self) -> Option<[u8; SIGNATURE_BYTES]> {
        let (r, rest) = self.bytes[SIGNED_BYTES..].split_at(HALF_BYTES);
        let (s, reserved) = rest.split_at(HALF_BYTES);
        let mut signature = [0; SIGNATURE_BYTES];
        let (first, second) = signature.split_at_mut(SIGNATURE_BYTES / 2);
        for (half, place) in [(r, first), (s, second)] {
            let (used, unused) = half.split_at(SIGNATURE_BYTES / 2);
            if unused.iter().any(|byte| *byte != 0) {
                return None;
            }
            place.copy_from_slice(used);
            place.reverse();
        }
        reserved.iter().all(|byte| *byte == 0).then_some(signature)
    }
}
