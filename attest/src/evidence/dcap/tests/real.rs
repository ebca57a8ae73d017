//! Real quotes with the collateral of 2025-06-19 (samples/README.md).

use hex_literal::hex;

use super::*;

fn intel() -> Anchors {
    Anchors::from_der(vec![include_bytes!("../../samples/intel_root.der").as_slice().into()])
}

fn real_domain() -> TdxEvidence {
    TdxEvidence { quote: TDX_QUOTE.to_vec().into(), collateral: TDX_COLLATERAL.to_vec().into() }
}

fn real_enclave() -> SgxEvidence {
    SgxEvidence { quote: SGX_QUOTE.to_vec().into(), collateral: SGX_COLLATERAL.to_vec().into() }
}

/// What the real quote says of its enclave.
pub(super) fn enclave_claims() -> SgxClaims {
    SgxClaims {
        mrenclave: Measurement(hex!("33d8736db756ed4997e04ba358d27833188f1932ff7b1d156904d3f560452fbb").to_vec()),
        mrsigner: hex!("815f42f11cf64430c30bab7816ba596a1da0130c3b028b673133a66cf9a3e0e6"),
        product_id: 0,
        security_version: 0,
        attributes: hex!("0500000000000000e700000000000000"),
        tcb_status: "ConfigurationAndSWHardeningNeeded".to_owned(),
        advisory_ids: ["INTEL-SA-00289", "INTEL-SA-00615"].map(str::to_owned).to_vec(),
    }
}

#[test]
fn a_real_domain_verifies_at_its_time() {
    let found = tdx::verify(&real_domain(), &intel(), NOW_MS).unwrap();
    assert_eq!(found.bound, TDX_QUOTE[48 + DATA..48 + DATA + 64]);
    assert_eq!(found.claims.mrtd, Measurement(TDX_QUOTE[48 + MRTD..48 + MRTD + 48].to_vec()));
    assert_eq!(found.claims.attributes, 1 << 28);
    assert_eq!((found.claims.tcb_status.as_str(), found.tier), ("UpToDate", Tier::Hardware));
}

#[test]
fn a_real_enclave_verifies_at_its_time() {
    let found = sgx::verify(&real_enclave(), &intel(), NOW_MS).unwrap();
    assert_eq!((found.claims, found.tier), (enclave_claims(), Tier::Hardware));
    assert_eq!(found.bound, SGX_QUOTE[48 + 320..48 + 384]);
}

#[test]
fn they_are_refused_at_other_times() {
    // 2026-11-24.
    let today = 1_795_521_600_000;
    assert_eq!(tdx::verify(&real_domain(), &intel(), today), Err(DcapError::RevocationListExpired));
    assert_eq!(sgx::verify(&real_enclave(), &intel(), today), Err(DcapError::RevocationListExpired));
    // 2025-06-19 00:00, before Intel issued the collateral.
    let before = 1_750_291_200_000;
    assert_eq!(tdx::verify(&real_domain(), &intel(), before), Err(DcapError::CollateralNotYetValid));
    assert_eq!(sgx::verify(&real_enclave(), &intel(), before), Err(DcapError::CollateralNotYetValid));
}

/// The certificates stand in a quote as text: what is around the text of a certificate is not evidence.
fn is_around_text(quote: &[u8], byte: usize) -> bool {
    let start = quote.windows(10).position(|window| window == b"-----BEGIN").unwrap();
    byte >= start && !quote[byte].is_ascii_alphanumeric() && !b"+/=".contains(&quote[byte])
}

#[test]
fn every_byte_of_a_quote_counts() {
    let (anchors, good) = (intel(), tdx::verify(&real_domain(), &intel(), NOW_MS));
    // Each byte to the first certificate, and a part of the text.
    for byte in (0..1300).chain((1300..TDX_QUOTE.len()).step_by(7)) {
        let mut evidence = real_domain();
        evidence.quote.0[byte] ^= 1;
        let verified = tdx::verify(&evidence, &anchors, NOW_MS);
        match byte {
            // The report, and the header before it but for what says how to read the rest and whose it is.
            8..12 | 28..632 => assert_eq!(verified, Err(DcapError::Signature), "{byte}"),
            _ if is_around_text(TDX_QUOTE, byte) => assert!(verified.is_err() || verified == good, "{byte}"),
            _ => assert!(verified.is_err(), "{byte}"),
        }
    }
    for byte in (0..SGX_QUOTE.len()).step_by(11) {
        let mut evidence = real_enclave();
        evidence.quote.0[byte] ^= 1;
        let verified = sgx::verify(&evidence, &anchors, NOW_MS);
        assert!(verified.is_err() || is_around_text(SGX_QUOTE, byte), "{byte}");
    }
}

#[test]
fn a_quote_ends_where_its_parts_end() {
    let refused = |quote: Vec<u8>| {
        let evidence = TdxEvidence { quote: quote.into(), ..real_domain() };
        tdx::verify(&evidence, &intel(), NOW_MS).err()
    };
    // 70 zeros follow the sample's parts.
    let end = TDX_QUOTE.len() - 70;
    assert_eq!(
        (refused(TDX_QUOTE[..end].to_vec()), refused(TDX_QUOTE[..end - 1].to_vec())),
        (None, Some(DcapError::Quote))
    );
    assert_eq!(refused([TDX_QUOTE, &[1]].concat()), Some(DcapError::Quote));
    assert_eq!(refused(Vec::new()), Some(DcapError::Quote));
    assert_eq!(refused(vec![0; QUOTE_BYTES_MAX + 1]), Some(DcapError::TooLong));
    for end in (0..end).step_by(97) {
        assert_eq!(refused(TDX_QUOTE[..end].to_vec()), Some(DcapError::Quote), "{end}");
    }
}
