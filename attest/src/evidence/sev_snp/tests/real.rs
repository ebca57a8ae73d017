//! A real report of a Milan processor and its certificates, and the certificates of a Turin processor
//! (samples/README.md).

use hex_literal::hex;

use super::*;

const REPORT: &[u8] = include_bytes!("../../samples/snp_report_milan.bin");
const VCEK: &[u8] = include_bytes!("../../samples/snp_vcek_milan.der");
const ASK: &[u8] = include_bytes!("../../samples/snp_ask_milan.der");
const ARK: &[u8] = include_bytes!("../../samples/snp_ark_milan.der");

fn sample() -> SevSnpEvidence {
    SevSnpEvidence { report: REPORT.to_vec().into(), vcek: VCEK.to_vec().into(), ask: ASK.to_vec().into() }
}

fn anchors() -> Anchors {
    Anchors::from_der(vec![ARK.into()])
}

#[test]
fn a_real_report_verifies() {
    let found = verify(&sample(), &anchors(), NOW_MS).unwrap();
    assert_eq!(
        found.bound,
        hex!(
            "d447b55d197491bfe15cf298f9de9986b7a7c4be2468b4f6e2d53b71d7c64581"
            "0b0f2cdfca0040433be063fc1a8293f0f3f8dae7b79fecb3d1cd82bd6a93ebfd"
        )
    );
    let measurement =
        hex!("7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd81841f");
    let chip = hex!(
        "d49554ec717f4e5b0fe6b143bcf0405bd7ae304727edf46603f2a76aef6a3abc"
        "15d7af38db757039029f0efacfd08e244324884738c72b082e2f87a44d541eb6"
    );
    let claims = SevSnpClaims {
        version: 2,
        measurement: Measurement(measurement.to_vec()),
        tcb: SnpTcb { bootloader: 3, tee: 0, snp: 8, microcode: 115 },
        fmc: None,
        policy: 0x3_0000,
        vmpl: 0,
        migration: false,
        chip: Digest::of(&chip),
        family_id: [0; 16],
        image_id: [0; 16],
        guest_svn: 0,
        host_data: [0; 32],
    };
    assert_eq!((found.claims, found.tier), (claims, Tier::Hardware));
}

#[test]
fn it_verifies_within_the_life_of_its_certificate_alone() {
    let at = |now_ms| verify(&sample(), &anchors(), now_ms).err();
    // From 2023-04-03 19:23:43 to 2030-04-03 19:23:43 UTC.
    let (start, end) = (1_680_549_823_000, 1_901_474_623_000);
    assert_eq!(at(start - 1000), Some(SevSnpError::Chain(ChainError::NotYetValid)));
    assert_eq!((at(start), at(end)), (None, None));
    assert_eq!(at(end + 1000), Some(SevSnpError::Chain(ChainError::Expired)));
}

#[test]
fn every_byte_counts() {
    let anchors = anchors();
    for byte in 0..REPORT.len() {
        let mut evidence = sample();
        evidence.report.0[byte] ^= 0x10;
        let expected = match byte {
            0..4 => SevSnpError::Version,
            0x34..0x38 => SevSnpError::Algorithm,
            0x48 => SevSnpError::SigningKey,
            _ => SevSnpError::Signature,
        };
        assert_eq!(verify(&evidence, &anchors, NOW_MS), Err(expected), "{byte:#x}");
    }
    for byte in 0..VCEK.len() {
        let mut evidence = sample();
        evidence.vcek.0[byte] ^= 1;
        assert!(matches!(verify(&evidence, &anchors, NOW_MS), Err(SevSnpError::Chain(_))), "{byte}");
    }
    for byte in 0..ASK.len() {
        let mut evidence = sample();
        evidence.ask.0[byte] ^= 1;
        assert!(matches!(verify(&evidence, &anchors, NOW_MS), Err(SevSnpError::Chain(_))), "{byte}");
    }
}

#[test]
fn another_processors_certificates_are_refused() {
    let turin = Anchors::from_der(vec![include_bytes!("../../samples/snp_ark_turin.der").as_slice().into()]);
    let refused = verify(&sample(), &turin, NOW_MS).err();
    assert_eq!(refused, Some(SevSnpError::Chain(ChainError::UnknownIssuer)));
    let evidence = SevSnpEvidence {
        vcek: include_bytes!("../../samples/snp_vcek_turin.der").to_vec().into(),
        ask: include_bytes!("../../samples/snp_ask_turin.der").to_vec().into(),
        ..sample()
    };
    // Turin's chain, whose leaf leaves the trailer out, verifies; its key did not sign Milan's report.
    assert_eq!(verify(&evidence, &turin, NOW_MS), Err(SevSnpError::Signature));
    let vcek = Vcek::parse(include_bytes!("../../samples/snp_vcek_turin.der")).unwrap();
    assert_eq!(vcek.hardware_id(), hex!("1e550a8ee5cf9f4d"));
    assert_eq!((vcek.versions(), vcek.fmc()), (SnpTcb { bootloader: 0, tee: 0, snp: 0, microcode: 9 }, Some(0)));
}
