//! Body of the fuzz target of SEV-SNP reports.

use rustls_pki_types::CertificateDer;

use super::report::{REPORT_BYTES, Report};
use super::{SevSnpEvidence, Vcek, claims, compare, verify};
use crate::evidence::chain::Anchors;
use policies::rules::SevSnpValues;

/// Body of the fuzz target `sev_snp`: any bytes as a report, as a chip's certificate, and as both with a root.
///
/// # Panics
/// When a report verifies without an anchor.
pub fn report(data: &[u8]) {
    let (head, tail) = data.split_at(data.len().min(REPORT_BYTES));
    let vcek = Vcek::parse(tail).or_else(|_| Vcek::parse(data));
    if let (Ok(report), Ok(vcek)) = (Report::parse(head), &vcek) {
        let _: Option<[u8; 96]> = report.signature();
        drop(compare(&claims(&report, vcek), &SevSnpValues::default()));
    }
    let certificate = || tail.to_vec().into();
    let evidence = SevSnpEvidence { report: head.to_vec().into(), vcek: certificate(), ask: certificate() };
    assert!(verify(&evidence, &Anchors::from_der(Vec::new()), 0).is_err(), "nothing ends in no anchor");
    drop(verify(&evidence, &Anchors::from_der(vec![CertificateDer::from(tail.to_vec())]), 0));
}
