//! Intel TDX: a quote of a trust domain.

use policies::Measurement;
use policies::rules::{TdxValues, Tier};
use serde::{Deserialize, Serialize};

use super::{COLLATERAL_BYTES_MAX, DcapError, QUOTE_BYTES_MAX};
use crate::appraisal::{Claim, Subject, measurement};
use crate::evidence::Found;
use crate::evidence::chain::Anchors;
use crate::evidence::encoded::Encoded;

/// A quote with its collateral.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TdxEvidence {
    /// The quote, of version 4 or 5.
    pub quote: Encoded<QUOTE_BYTES_MAX>,
    /// The collateral: JSON with binary members as hexadecimal, as `dcap-qvl` writes it.
    pub collateral: Encoded<COLLATERAL_BYTES_MAX>,
}

/// What a quote says of a trust domain (Intel TDX Module ABI, TDREPORT).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TdxClaims {
    /// The domain's memory at its launch (MRTD).
    pub mrtd: Measurement,
    /// What it extended since, registers 0 to 3 (RTMR).
    pub rtmrs: [Measurement; 4],
    /// Its attributes, bit by bit.
    pub attributes: u64,
    /// What its creator said of its configuration (MRCONFIGID).
    pub config_id: [u8; 48],
    /// Its owner (MROWNER).
    pub owner: [u8; 48],
    /// The platform's state in Intel's words.
    pub tcb_status: String,
    /// Numbers of Intel's advisories about that state.
    pub advisory_ids: Vec<String>,
}

/// Verifies a quote.
///
/// # Errors
/// The first check that fails.
pub fn verify(evidence: &TdxEvidence, anchors: &Anchors, now_ms: u64) -> Result<Found<TdxClaims>, DcapError> {
    // 1. What all quotes need.
    let verified = super::verify(&evidence.quote, &evidence.collateral, anchors, now_ms)?;
    // 2. It is a domain's.
    let report = verified.report.as_td10().ok_or(DcapError::Technology)?;
    // 3. The host may not look into it: the lowest eight bits, DEBUG and its kin, are clear.
    if report.td_attributes[0] != 0 {
        return Err(DcapError::Debug);
    }
    let rtmrs = [&report.rt_mr0, &report.rt_mr1, &report.rt_mr2, &report.rt_mr3].map(|rtmr| measurement(rtmr));
    let claims = TdxClaims {
        mrtd: measurement(&report.mr_td),
        rtmrs,
        attributes: u64::from_le_bytes(report.td_attributes),
        config_id: report.mr_config_id,
        owner: report.mr_owner,
        tcb_status: verified.tcb_status,
        advisory_ids: verified.advisory_ids,
    };
    Ok(Found { bound: report.report_data.to_vec(), tier: Tier::Hardware, claims })
}

/// Compares.
#[must_use]
pub fn compare(claims: &TdxClaims, values: &TdxValues) -> Vec<Claim> {
    let launch = Claim::one_of(
        Subject::Executables,
        "the measurement of the trust domain at its launch",
        &claims.mrtd,
        &values.mrtds,
    );
    let mut compared = vec![launch];
    for (register, accepted) in &values.rtmrs {
        let what = format!("the trust domain's register {register}");
        compared.push(claims.rtmrs.get(usize::from(*register)).map_or_else(
            || Claim::contraindicated(Subject::Executables, format!("A quote does not have {what}.")),
            |found| Claim::one_of(Subject::Executables, &what, found, accepted),
        ));
    }
    if ![1, 2].iter().all(|register| values.rtmrs.contains_key(register)) {
        // The launch measurement is that of the firmware alone where the domain starts as virtual machines do.
        let sentence =
            "The policy has no reference values for what the trust domain loaded after its launch (registers 1 and 2).";
        compared.push(Claim::contraindicated(Subject::Executables, sentence));
    }
    compared.push(Claim::affirming(Subject::RuntimeOpaque, "The host can neither debug nor move the trust domain."));
    compared.push(super::platform(&claims.tcb_status, &values.tcb_statuses));
    compared
}
