mod made;
mod real;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use policies::Measurement;
use policies::rules::{ReferenceValues, SgxValues, TdxValues, Tier};
use proptest::prelude::*;
use serde_json::Value;

use super::sgx::{SgxClaims, SgxEvidence};
use super::tdx::{TdxClaims, TdxEvidence};
use super::*;
use crate::evidence::testing::{UNBOUND, appraised, bound, failing, nonce, profile};
use crate::evidence::{Evidence, Found};
use made::{Changes, Intel, NOW_MS, PLATFORM, PROCESSOR, SGX_COLLATERAL, SGX_QUOTE, SIGNER, TDX_COLLATERAL, TDX_QUOTE};

static OF_DOMAINS: LazyLock<Intel> = LazyLock::new(|| Intel::new(TDX_QUOTE));
static OF_ENCLAVES: LazyLock<Intel> = LazyLock::new(|| Intel::new(SGX_QUOTE));

fn anchors(intel: &Intel) -> Anchors {
    Anchors::from_der(vec![intel.root().to_vec().into()])
}

fn domain(quote: Vec<u8>, collateral: &Value) -> TdxEvidence {
    TdxEvidence { quote: quote.into(), collateral: collateral.to_string().into_bytes().into() }
}

fn enclave(quote: Vec<u8>, collateral: &Value) -> SgxEvidence {
    SgxEvidence { quote: quote.into(), collateral: collateral.to_string().into_bytes().into() }
}

/// Verifies a domain whose report was changed before it was signed.
fn changed(change: impl FnOnce(&mut [u8])) -> Result<Found<TdxClaims>, DcapError> {
    collateral_changed(change, &Changes::default())
}

fn collateral_changed(change: impl FnOnce(&mut [u8]), changes: &Changes) -> Result<Found<TdxClaims>, DcapError> {
    let intel = &*OF_DOMAINS;
    let evidence = domain(intel.quote(TDX_QUOTE, change), &intel.collateral(TDX_COLLATERAL, changes));
    tdx::verify(&evidence, &anchors(intel), NOW_MS)
}

// Where fields stand in a domain's report (Intel TDX Module ABI, TDREPORT as quotes hold it).
const TCB_SVN: usize = 0;
const MODULE_SIGNER: usize = 64;
const MODULE_ATTRIBUTES: usize = 112;
const ATTRIBUTES: usize = 120;
const MRTD: usize = 136;
const CONFIG_ID: usize = 184;
const OWNER: usize = 232;
const RTMRS: usize = 328;
const DATA: usize = 520;

#[test]
fn every_field_of_a_domain_is_found() {
    let found = changed(|report| {
        report[MRTD..MRTD + 48].fill(0x3E);
        report[CONFIG_ID..CONFIG_ID + 48].fill(0xC0);
        report[OWNER..OWNER + 48].fill(0x0E);
        for (register, byte) in (0_u8..4).enumerate() {
            report[RTMRS + register * 48..RTMRS + (register + 1) * 48].fill(byte);
        }
        report[DATA..].fill(0xB0);
    });
    let claims = TdxClaims {
        mrtd: Measurement(vec![0x3E; 48]),
        rtmrs: [0, 1, 2, 3].map(|byte| Measurement(vec![byte; 48])),
        attributes: 1 << 28,
        config_id: [0xC0; 48],
        owner: [0x0E; 48],
        tcb_status: "UpToDate".to_owned(),
        advisory_ids: Vec::new(),
    };
    assert_eq!(found, Ok(Found { bound: vec![0xB0; 64], tier: Tier::Hardware, claims }));
}

#[test]
fn attributes_that_let_others_in_are_refused() {
    let refused = |byte: usize, value: u8| changed(|report| report[ATTRIBUTES + byte] = value).err();
    assert_eq!(refused(0, 1), Some(DcapError::Debug), "DEBUG");
    assert_eq!(refused(0, 1 << 4), Some(DcapError::Debug), "profiling");
    assert_eq!(refused(1, 1), Some(DcapError::Attributes), "reserved");
    assert_eq!(refused(3, 0b11_0000), Some(DcapError::Attributes), "migration");
    assert_eq!(refused(3, 0), Some(DcapError::Attributes), "exceptions of pages that the host took away");
    let module = |at: usize| changed(|report| report[at] = 1).err();
    assert_eq!((module(MODULE_SIGNER), module(MODULE_ATTRIBUTES)), (Some(DcapError::Module), Some(DcapError::Module)));
    for byte in [0, 2] {
        assert_eq!(changed(|report| report[TCB_SVN + byte] = 0).err(), Some(DcapError::Platform), "{byte}");
    }
}

#[test]
fn every_field_of_an_enclave_is_found() {
    let intel = &*OF_ENCLAVES;
    let collateral = intel.collateral(SGX_COLLATERAL, &Changes::default());
    let of = |change: fn(&mut [u8])| {
        sgx::verify(&enclave(intel.quote(SGX_QUOTE, change), &collateral), &anchors(intel), NOW_MS)
    };
    let found = of(|report| {
        report[64..96].fill(0x3E);
        report[128..160].fill(0x51);
        report[256..260].copy_from_slice(&[3, 0, 7, 0]);
        report[320..384].fill(0xB0);
    })
    .unwrap();
    assert_eq!((found.bound, found.tier), (vec![0xB0; 64], Tier::Hardware));
    let claims = SgxClaims {
        mrenclave: Measurement(vec![0x3E; 32]),
        mrsigner: [0x51; 32],
        product_id: 3,
        security_version: 7,
        attributes: found.claims.attributes,
        ..real::enclave_claims()
    };
    assert_eq!(found.claims, claims);
    assert_eq!(of(|report| report[48] |= 0b10).err(), Some(DcapError::Debug));
    let as_domain = domain(intel.quote(SGX_QUOTE, |_| ()), &collateral);
    assert_eq!(tdx::verify(&as_domain, &anchors(intel), NOW_MS), Err(DcapError::Technology));
    let foreign = enclave(intel.quote(SGX_QUOTE, |_| ()), &intel.collateral(TDX_COLLATERAL, &Changes::default()));
    assert_eq!(sgx::verify(&foreign, &anchors(intel), NOW_MS), Err(DcapError::Collateral));
    let intel = &*OF_DOMAINS;
    let quote = intel.quote(TDX_QUOTE, |_| ());
    let as_enclave = enclave(quote, &intel.collateral(TDX_COLLATERAL, &Changes::default()));
    assert_eq!(sgx::verify(&as_enclave, &anchors(intel), NOW_MS), Err(DcapError::Technology));
}

#[test]
fn what_intel_says_counts() {
    let refused = |changes: Changes| collateral_changed(|_| (), &changes).err();
    for serial in [PLATFORM, SIGNER, PROCESSOR] {
        let changes = Changes { revoked: vec![serial], ..Changes::default() };
        assert_eq!(refused(changes), Some(DcapError::Chain(ChainError::Revoked)), "{serial:#x}");
    }
    let old = Changes { old_lists: true, ..Changes::default() };
    assert_eq!(refused(old), Some(DcapError::RevocationListExpired));
    let tcb_info = |change: fn(&mut Value)| refused(Changes { tcb_info: Some(change), ..Changes::default() });
    assert_eq!(tcb_info(|info| info["nextUpdate"] = "2025-06-20T00:00:00Z".into()), Some(DcapError::CollateralExpired));
    assert_eq!(
        tcb_info(|info| info["issueDate"] = "2025-07-01T00:00:00Z".into()),
        Some(DcapError::CollateralNotYetValid)
    );
    assert_eq!(tcb_info(|info| info["fmspc"] = "B0C06F000001".into()), Some(DcapError::Platform));
    assert_eq!(tcb_info(|info| info["id"] = "SGX".into()), Some(DcapError::Collateral));
    assert_eq!(tcb_info(|info| info["tcbLevels"] = Value::Array(Vec::new())), Some(DcapError::Platform));
    assert_eq!(tcb_info(|info| info["tcbLevels"] = Value::Null), Some(DcapError::Collateral));
    assert_eq!(tcb_info(|info| status(info, "Revoked")), Some(DcapError::Revoked));
    assert_eq!(tcb_info(|info| status(info, "Perfect")), Some(DcapError::Collateral));
    let identity = |change: fn(&mut Value)| refused(Changes { qe_identity: Some(change), ..Changes::default() });
    assert_eq!(identity(|said| said["nextUpdate"] = "2025-06-20T00:00:00Z".into()), Some(DcapError::CollateralExpired));
    assert_eq!(
        identity(|said| said["issueDate"] = "2025-07-01T00:00:00Z".into()),
        Some(DcapError::CollateralNotYetValid)
    );
    assert_eq!(identity(|said| said["mrsigner"] = "00".repeat(32).into()), Some(DcapError::QuotingEnclave));
    assert_eq!(identity(|said| said["isvprodid"] = 3.into()), Some(DcapError::QuotingEnclave));
    assert_eq!(identity(|said| said["attributes"] = "10".repeat(16).into()), Some(DcapError::QuotingEnclave));
    assert_eq!(identity(|said| said["tcbLevels"][0]["tcb"]["isvsvn"] = 900.into()), Some(DcapError::QuotingEnclave));
    let late = |info: &mut Value| status(info, "OutOfDate");
    let found = collateral_changed(|_| (), &Changes { tcb_info: Some(late), ..Changes::default() }).unwrap();
    assert_eq!(found.claims.tcb_status, "OutOfDate");
}

fn status(info: &mut Value, status: &str) {
    for level in info["tcbLevels"].as_array_mut().unwrap() {
        level["tcbStatus"] = status.into();
    }
}

#[test]
fn collateral_must_be_signed_and_whole() {
    let intel = &*OF_DOMAINS;
    let quote = intel.quote(TDX_QUOTE, |_| ());
    let good = intel.collateral(TDX_COLLATERAL, &Changes::default());
    let with = |field: &str, value: Value| {
        let mut collateral = good.clone();
        collateral[field] = value;
        tdx::verify(&domain(quote.clone(), &collateral), &anchors(intel), NOW_MS).err()
    };
    for field in ["tcb_info_signature", "qe_identity_signature"] {
        assert_eq!(with(field, "01".repeat(64).into()), Some(DcapError::CollateralSignature), "{field}");
    }
    for field in ["tcb_info", "qe_identity"] {
        let spaced = format!("{} ", good[field].as_str().unwrap());
        assert_eq!(with(field, spaced.into()), Some(DcapError::CollateralSignature), "{field}");
        assert_eq!(with(field, "{}".into()), Some(DcapError::Collateral), "{field}");
    }
    let real: Value = serde_json::from_slice(TDX_COLLATERAL).unwrap();
    for field in ["tcb_info_issuer_chain", "qe_identity_issuer_chain"] {
        assert_eq!(with(field, real[field].clone()), Some(DcapError::Chain(ChainError::UnknownIssuer)), "{field}");
        assert_eq!(with(field, "".into()), Some(DcapError::Chain(ChainError::Malformed)), "{field}");
        let alone = pem::write(&[intel.root().to_vec().into()]);
        assert!(matches!(with(field, alone.into()), Some(DcapError::Chain(_))), "the root did not sign: {field}");
    }
    for field in ["root_ca_crl", "pck_crl"] {
        assert_eq!(with(field, real[field].clone()), Some(DcapError::RevocationList), "{field}");
        assert_eq!(with(field, "00".into()), Some(DcapError::RevocationList), "{field}");
        assert_eq!(with(field, "no".into()), Some(DcapError::Collateral), "{field}");
    }
    let processor = pem::write(&pem::read(quote_chain(TDX_QUOTE).as_slice()).unwrap());
    assert_eq!(with("pck_certificate_chain", processor.into()), Some(DcapError::Chain(ChainError::UnknownIssuer)));
    let own = String::from_utf8(quote_chain(&quote)).unwrap();
    assert_eq!(with("pck_certificate_chain", own.into()), None, "the chain may stand in the collateral");
    let long = TdxEvidence { quote: quote.clone().into(), collateral: vec![b' '; COLLATERAL_BYTES_MAX + 1].into() };
    assert_eq!(tdx::verify(&long, &anchors(intel), NOW_MS), Err(DcapError::TooLong));
}

fn quote_chain(quote: &[u8]) -> Vec<u8> {
    Quote::parse(quote).unwrap().raw_cert_chain().unwrap().to_vec()
}

#[test]
fn roots_are_the_policys() {
    let (intel, other) = (&*OF_DOMAINS, &*OF_ENCLAVES);
    let evidence = domain(intel.quote(TDX_QUOTE, |_| ()), &intel.collateral(TDX_COLLATERAL, &Changes::default()));
    let by = |anchors: &Anchors| tdx::verify(&evidence, anchors, NOW_MS).err();
    assert_eq!(by(&anchors(other)), Some(DcapError::Chain(ChainError::UnknownIssuer)));
    assert_eq!(by(&Anchors::from_der(Vec::new())), Some(DcapError::Chain(ChainError::UnknownIssuer)));
    let both = [other, intel].map(|intel| intel.root().to_vec().into());
    assert_eq!(by(&Anchors::from_der(both.into())), None);
    for serial in ["11", "22", "33", "44"] {
        let revoked = profile(ReferenceValues::Tdx(TdxValues::default()), &[intel.root()], &[serial]);
        assert_eq!(by(&Anchors::of(&revoked).unwrap()), Some(DcapError::Chain(ChainError::Revoked)), "{serial}");
    }
}

#[test]
fn what_was_found_is_compared() {
    use Status::{Affirming as A, Contraindicated as C, Warning as W};
    let set = |byte: u8, bytes| BTreeSet::from([Measurement(vec![byte; bytes])]);
    let claims = TdxClaims {
        mrtd: Measurement(vec![1; 48]),
        rtmrs: [2, 3, 4, 5].map(|byte| Measurement(vec![byte; 48])),
        attributes: 0,
        config_id: [0; 48],
        owner: [0; 48],
        tcb_status: "OutOfDate".to_owned(),
        advisory_ids: Vec::new(),
    };
    let domain =
        |values: &TdxValues| tdx::compare(&claims, values).into_iter().map(|claim| claim.status).collect::<Vec<_>>();
    let late = || BTreeSet::from(["OutOfDate".to_owned()]);
    let rtmrs = |one, two| BTreeMap::from([(1, one), (2, two)]);
    let good = || rtmrs(set(3, 48), set(4, 48));
    let values = TdxValues { mrtds: set(1, 48), rtmrs: good(), tcb_statuses: late() };
    assert_eq!(domain(&values), [A, A, A, A, W]);
    assert_eq!(domain(&TdxValues::default()), [C, C, A, C], "no values");
    let of = |rtmrs| domain(&TdxValues { rtmrs, ..values.clone() });
    assert_eq!(of(rtmrs(set(4, 48), set(4, 48))), [A, C, A, A, W]);
    assert_eq!(of(rtmrs(set(3, 48), BTreeSet::new())), [A, A, C, A, W]);
    assert_eq!(of(BTreeMap::from([(1, set(3, 48))])), [A, A, C, A, W], "nothing says what register 2 should be");
    let mut five = good();
    five.insert(4, set(4, 48));
    assert_eq!(of(five), [A, A, A, C, A, W], "there is no register 4");
    assert_eq!(domain(&TdxValues { mrtds: set(2, 48), ..values }), [C, A, A, A, W]);
    let claims = SgxClaims { mrenclave: Measurement(vec![1; 32]), ..real::enclave_claims() };
    let enclave = |claims: &SgxClaims, values: &SgxValues| {
        sgx::compare(claims, values).into_iter().map(|claim| claim.status).collect::<Vec<_>>()
    };
    let values = SgxValues { mrenclaves: set(1, 32), tcb_statuses: late() };
    assert_eq!(enclave(&claims, &values), [A, A, C]);
    assert_eq!(enclave(&SgxClaims { tcb_status: "OutOfDate".to_owned(), ..claims.clone() }, &values), [A, A, W]);
    assert_eq!(
        enclave(&SgxClaims { tcb_status: "UpToDate".to_owned(), ..claims.clone() }, &SgxValues::default()),
        [C, A, A]
    );
}

#[test]
fn they_are_appraised_with_their_nonce() {
    let intel = &*OF_DOMAINS;
    let quote = intel.quote(TDX_QUOTE, |report| {
        report[MRTD..MRTD + 48].fill(1);
        report[RTMRS + 48..RTMRS + 144].fill(2);
        report[DATA..].copy_from_slice(&bound::<64>(&nonce(1)));
    });
    let set = |byte: u8| BTreeSet::from([Measurement(vec![byte; 48])]);
    let values =
        TdxValues { mrtds: set(1), rtmrs: BTreeMap::from([(1, set(2)), (2, set(2))]), tcb_statuses: BTreeSet::new() };
    let profile_of_domains = profile(ReferenceValues::Tdx(values), &[intel.root()], &[]);
    let evidence = Evidence::Tdx(domain(quote, &intel.collateral(TDX_COLLATERAL, &Changes::default())));
    let verdict = appraised(&evidence, &profile_of_domains, nonce(1), NOW_MS);
    assert_eq!((verdict.status(), verdict.tier(), failing(&verdict)), (Status::Affirming, Tier::Hardware, vec![]));
    let verdict = appraised(&evidence, &profile_of_domains, nonce(2), NOW_MS);
    assert_eq!((verdict.status(), failing(&verdict)), (Status::Contraindicated, vec![UNBOUND]));
    let text = serde_json::to_string(&evidence).unwrap();
    assert!(text.len() < crate::evidence::ATTESTATION_BYTES_MAX / 4);
    assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    let intel = &*OF_ENCLAVES;
    let quote = intel.quote(SGX_QUOTE, |report| report[320..384].copy_from_slice(&bound::<64>(&nonce(1))));
    let statuses = BTreeSet::from([real::enclave_claims().tcb_status]);
    let values = SgxValues { mrenclaves: BTreeSet::from([real::enclave_claims().mrenclave]), tcb_statuses: statuses };
    let profile = profile(ReferenceValues::Sgx(values), &[intel.root()], &[]);
    let evidence = Evidence::Sgx(enclave(quote, &intel.collateral(SGX_COLLATERAL, &Changes::default())));
    let verdict = appraised(&evidence, &profile, nonce(1), NOW_MS);
    assert_eq!((verdict.status(), verdict.tier()), (Status::Warning, Tier::Hardware));
    let state =
        format!("Intel calls the platform's state {}; the policy accepts that.", real::enclave_claims().tcb_status);
    assert_eq!(failing(&verdict), [state]);
    assert_eq!(failing(&appraised(&evidence, &profile, nonce(2), NOW_MS)), [UNBOUND]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        fuzz::quote(&bytes);
    }

    #[test]
    fn no_damaged_sample_panics(at in 0_usize..21_000, byte in any::<u8>(), end in 0_usize..21_080) {
        let length = u16::try_from(TDX_QUOTE.len()).unwrap().to_le_bytes();
        let mut bytes = [&length, TDX_QUOTE, TDX_COLLATERAL].concat();
        bytes[at] = byte;
        fuzz::quote(&bytes);
        bytes.truncate(end);
        fuzz::quote(&bytes);
    }
}
