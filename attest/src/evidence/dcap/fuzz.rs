//! Body of the fuzz target of Intel's quotes.

use rustls_pki_types::CertificateDer;

use super::sgx::{self, SgxEvidence};
use super::tdx::{self, TdxEvidence};
use super::{DcapError, QUOTE_BYTES_MAX, check_length, pem};
use crate::evidence::chain::Anchors;

/// Body of the fuzz target `dcap_quote`: any bytes as a quote with collateral, whose lengths stand before them, by any
/// root that they hold.
///
/// # Panics
/// When a quote of one technology verifies as one of the other.
pub fn quote(data: &[u8]) {
    let (length, rest) = data.split_first_chunk::<2>().unwrap_or((&[0; 2], data));
    let (quote, collateral) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
    if quote.len() <= QUOTE_BYTES_MAX
        && let Ok(parsed) = dcap_qvl::quote::Quote::parse(quote)
    {
        let _: Result<(), DcapError> = check_length(quote, &parsed);
    }
    let roots = pem::read(rest).unwrap_or_else(|_| vec![CertificateDer::from(rest.to_vec())]);
    let anchors = Anchors::from_der(roots);
    let of = |bytes: &[u8]| bytes.to_vec();
    let domain = TdxEvidence { quote: of(quote).into(), collateral: of(collateral).into() };
    let enclave = SgxEvidence { quote: of(quote).into(), collateral: of(collateral).into() };
    let domain: Result<_, DcapError> = tdx::verify(&domain, &anchors, 1_751_000_000_000);
    assert!(domain.is_err() || sgx::verify(&enclave, &anchors, 1_751_000_000_000).is_err(), "it is one of both");
}
