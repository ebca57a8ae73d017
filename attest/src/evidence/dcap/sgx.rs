//! Intel SGX: a quote of an enclave.

use policies::Measurement;
use policies::rules::{SgxValues, Tier};
use serde::{Deserialize, Serialize};

use super::{COLLATERAL_BYTES_MAX, DcapError, QUOTE_BYTES_MAX};
use crate::appraisal::{Claim, Subject, measurement};
use crate::evidence::Found;
use crate::evidence::chain::Anchors;
use crate::evidence::encoded::Encoded;

/// The attribute DEBUG (Intel SDM volume 3D, table ATTRIBUTES).
const DEBUG: u8 = 0b10;

/// A quote with its collateral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SgxEvidence {
    /// The quote, of version 3.
    pub quote: Encoded<QUOTE_BYTES_MAX>,
    /// The collateral: JSON with binary members as hexadecimal, as `dcap-qvl` writes it.
    pub collateral: Encoded<COLLATERAL_BYTES_MAX>,
}

/// What a quote says of an enclave (Intel SDM volume 3D, REPORT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SgxClaims {
    /// The enclave's pages at its launch (MRENCLAVE).
    pub mrenclave: Measurement,
    /// Who signed the enclave (MRSIGNER).
    pub mrsigner: [u8; 32],
    /// The signer's number of the product.
    pub product_id: u16,
    /// The signer's version.
    pub security_version: u16,
    /// The enclave's attributes.
    pub attributes: [u8; 16],
    /// The platform's state in Intel's words.
    pub tcb_status: String,
    /// Numbers of Intel's advisories about that state.
    pub advisory_ids: Vec<String>,
}

/// Verifies a quote.
///
/// # Errors
/// The first check that fails.
pub fn verify(evidence: &SgxEvidence, anchors: &Anchors, now_ms: u64) -> Result<Found<SgxClaims>, DcapError> {
    // 1. What all quotes need.
    let verified = super::verify(&evidence.quote, &evidence.collateral, anchors, now_ms)?;
    // 2. It is an enclave's.
    let report = verified.report.as_sgx().ok_or(DcapError::Technology)?;
    // 3. The host may not look into it.
    if report.attributes[0] & DEBUG != 0 {
        return Err(DcapError::Debug);
    }
    let claims = SgxClaims {
        mrenclave: measurement(&report.mr_enclave),
        mrsigner: report.mr_signer,
        product_id: report.isv_prod_id,
        security_version: report.isv_svn,
        attributes: report.attributes,
        tcb_status: verified.tcb_status,
        advisory_ids: verified.advisory_ids,
    };
    Ok(Found { bound: report.report_data.to_vec(), tier: Tier::Hardware, claims })
}

/// Compares.
#[must_use]
pub fn compare(claims: &SgxClaims, values: &SgxValues) -> Vec<Claim> {
    let what = "the measurement of the enclave";
    vec![
        Claim::one_of(Subject::Executables, what, &claims.mrenclave, &values.mrenclaves),
        Claim::affirming(Subject::RuntimeOpaque, "The host cannot debug the enclave."),
        super::platform(&claims.tcb_status, &values.tcb_statuses),
    ]
}
