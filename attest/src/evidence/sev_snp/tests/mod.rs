mod made;
mod real;

use std::collections::BTreeSet;

use policies::rules::{NitroValues, ReferenceValues, Status};
use proptest::prelude::*;

use super::*;
use crate::evidence::testing::{UNBOUND, appraised, binding, bound, failing, nonce, profile};
use crate::evidence::{Evidence, EvidenceError};
use made::{AMD, CHIP, Chip, NOW_MS, TCB, fields};

fn anchors() -> Anchors {
    Anchors::from_der(vec![AMD.ark.clone().into()])
}

/// Verifies a report whose fields were changed before it was signed.
fn changed(chip: &Chip, change: impl FnOnce(&mut [u8])) -> Result<Found<SevSnpClaims>, SevSnpError> {
    let mut fields = fields(&[0xB0; 64]);
    change(&mut fields);
    verify(&chip.sign(&fields), &anchors(), NOW_MS)
}

fn refused(chip: &Chip, change: impl FnOnce(&mut [u8])) -> Option<SevSnpError> {
    changed(chip, change).err()
}

fn values() -> SevSnpValues {
    let tcb_min = SnpTcb { bootloader: 4, tee: 0, snp: 22, microcode: 213 };
    SevSnpValues { measurements: BTreeSet::from([Measurement(vec![0x3E; 48])]), tcb_min }
}

#[test]
fn every_field_is_found() {
    let chip = Chip::new();
    for version in [2, 3, 5] {
        let found = changed(&chip, |fields| {
            fields[0] = version;
            // Milan's family, which stands in reports from version 3.
            fields[0x188] = 0x19;
        });
        let claims = SevSnpClaims {
            version: u32::from(version),
            measurement: Measurement(vec![0x3E; 48]),
            tcb: SnpTcb { bootloader: 4, tee: 1, snp: 22, microcode: 213 },
            fmc: None,
            policy: 0x3_0000,
            vmpl: 0,
            migration: false,
            chip: Digest::of(&CHIP),
            family_id: [0xFA; 16],
            image_id: [0x1A; 16],
            guest_svn: 9,
            host_data: [0x0D; 32],
        };
        assert_eq!(found, Ok(Found { bound: vec![0xB0; 64], tier: Tier::Hardware, claims }));
    }
}

#[test]
fn turins_versions_stand_in_another_order() {
    let parts = [(9, 7), (1, 3), (2, 1), (3, 4), (5, 0), (6, 0), (7, 0), (8, 88)];
    let turin = Chip::with(&parts, &CHIP[..8], ("240101000000Z", "310101000000Z"));
    let as_turin = |fields: &mut [u8]| {
        fields[0] = 3;
        fields[0x188] = 0x1A;
        fields[0x180..0x188].copy_from_slice(&[7, 3, 1, 4, 0, 0, 0, 88]);
        fields[0x1A8..0x1E0].fill(0);
    };
    let claims = changed(&turin, as_turin).unwrap().claims;
    let tcb = SnpTcb { bootloader: 3, tee: 1, snp: 4, microcode: 88 };
    assert_eq!((claims.tcb, claims.fmc, claims.chip), (tcb, Some(7), Digest::of(&CHIP[..8])));
    let also = |change: fn(&mut [u8])| {
        refused(&turin, |fields| {
            as_turin(fields);
            change(fields);
        })
    };
    assert_eq!(also(|fields| fields[0x188] = 0x19), Some(SevSnpError::Product));
    assert_eq!(also(|fields| fields[0x1A8] = 1), Some(SevSnpError::Chip), "the rest of the number is zero");
    assert_eq!(also(|fields| fields[0x180] = 6), Some(SevSnpError::Tcb));
    let swapped = |fields: &mut [u8]| fields[0x180..0x188].copy_from_slice(&[3, 1, 0, 0, 0, 0, 4, 88]);
    assert_eq!(also(swapped), Some(SevSnpError::Tcb), "the older order");
}

#[test]
fn every_check_refuses() {
    let chip = Chip::new();
    for version in [0, 1, 4, 6, 255] {
        assert_eq!(refused(&chip, |fields| fields[0] = version), Some(SevSnpError::Version), "{version}");
    }
    assert_eq!(refused(&chip, |fields| fields[0x34] = 2), Some(SevSnpError::Algorithm));
    for key in [1 << 2, 7 << 2] {
        assert_eq!(refused(&chip, |fields| fields[0x48] = key), Some(SevSnpError::SigningKey));
    }
    for byte in 0..8 {
        assert_eq!(refused(&chip, |fields| fields[0x180 + byte] ^= 1), Some(SevSnpError::Tcb), "{byte}");
    }
    for byte in 0..64 {
        assert_eq!(refused(&chip, |fields| fields[0x1A0 + byte] ^= 1), Some(SevSnpError::Chip), "{byte}");
    }
    let of_turin = |fields: &mut [u8]| {
        fields[0] = 3;
        fields[0x188] = 0x1A;
    };
    assert_eq!(refused(&chip, of_turin), Some(SevSnpError::Product));
    assert_eq!(refused(&chip, |fields| fields[0x30..0x34].fill(0xFF)), Some(SevSnpError::Host));
    assert_eq!(refused(&chip, |fields| fields[0x30] = 4), Some(SevSnpError::Host));
    assert_eq!(refused(&chip, |fields| fields[0x0A] |= 1 << 3), Some(SevSnpError::Debug));
    let masked = changed(&chip, |fields| fields[0x1A0..0x1E0].fill(0)).unwrap();
    assert_eq!(masked.claims.chip, Digest::of(&CHIP), "the certificate names the chip that the host masks");
}

#[test]
fn the_signature_covers_every_field_and_has_one_form() {
    let (chip, anchors) = (Chip::new(), anchors());
    let good = chip.sign(&fields(&[0xB0; 64]));
    let flipped = |byte: usize| {
        let mut evidence = good.clone();
        evidence.report.0[byte] ^= 0x80;
        verify(&evidence, &anchors, NOW_MS).map(|found| found.bound)
    };
    for byte in 0..REPORT_BYTES {
        let expected = match byte {
            0..4 => SevSnpError::Version,
            0x34..0x38 => SevSnpError::Algorithm,
            _ => SevSnpError::Signature,
        };
        assert_eq!(flipped(byte), Err(expected), "{byte:#x}");
    }
    let other = SevSnpEvidence { vcek: Chip::new().vcek.into(), ..good };
    assert_eq!(verify(&other, &anchors, NOW_MS), Err(SevSnpError::Signature), "another chip's certificate");
}

#[test]
fn chains_are_refused_for_their_reason() {
    let chip = Chip::new();
    let good = chip.sign(&fields(&[0xB0; 64]));
    let refused = |evidence: &SevSnpEvidence, anchors: &Anchors, now_ms| verify(evidence, anchors, now_ms).err();
    let chain = |error| Some(SevSnpError::Chain(error));
    // 2031-01-01 and 2024-01-01 are the ends of the certificates' lives.
    assert_eq!(refused(&good, &anchors(), 1_925_078_400_001), chain(ChainError::Expired));
    assert_eq!(refused(&good, &anchors(), 1_704_067_199_000), chain(ChainError::NotYetValid));
    assert_eq!(refused(&good, &Anchors::from_der(Vec::new()), NOW_MS), chain(ChainError::UnknownIssuer));
    let real = include_bytes!("../../samples/snp_ark_milan.der").to_vec();
    assert_eq!(refused(&good, &Anchors::from_der(vec![real.into()]), NOW_MS), chain(ChainError::UnknownIssuer));
    let revoked = profile(ReferenceValues::SevSnp(values()), &[&AMD.ark], &["7a"]);
    assert_eq!(refused(&good, &Anchors::of(&revoked).unwrap(), NOW_MS), chain(ChainError::Revoked));
    let dead = Chip::with(&[], &CHIP, ("240101000000Z", "250101000000Z")).sign(&fields(&[0xB0; 64]));
    assert_eq!(refused(&dead, &anchors(), NOW_MS), chain(ChainError::Expired));
    let without_ask = SevSnpEvidence { ask: AMD.ark.clone().into(), ..good.clone() };
    assert_eq!(refused(&without_ask, &anchors(), NOW_MS), chain(ChainError::UnknownIssuer));
    let as_leaf = SevSnpEvidence { vcek: AMD.ask.clone().into(), ..good.clone() };
    assert_eq!(refused(&as_leaf, &anchors(), NOW_MS), chain(ChainError::Usage));
    let long = SevSnpEvidence { vcek: vec![0x30; CERTIFICATE_BYTES_MAX + 1].into(), ..good.clone() };
    assert_eq!(refused(&long, &anchors(), NOW_MS), chain(ChainError::TooLong));
    for bytes in [0, 1, REPORT_BYTES - 1, REPORT_BYTES + 1] {
        let mut report = good.report.0.clone();
        report.resize(bytes, 0);
        let cut = SevSnpEvidence { report: report.into(), ..good.clone() };
        assert_eq!(refused(&cut, &anchors(), NOW_MS), Some(SevSnpError::Length));
    }
}

#[test]
fn a_certificate_must_say_which_chip_and_which_versions() {
    let life = ("240101000000Z", "310101000000Z");
    let all = [(1, TCB[0]), (2, TCB[1]), (4, 0), (5, 0), (6, 0), (7, 0), (3, TCB[6]), (8, TCB[7])];
    let without_number = Chip::with(&all, &[], life);
    assert_eq!(refused(&without_number, |_| ()), Some(SevSnpError::Vcek));
    assert_eq!(refused(&Chip::with(&all, &CHIP[..7], life), |_| ()), Some(SevSnpError::Vcek));
    for missing in 0..all.len() {
        let parts: Vec<_> = all.iter().copied().filter(|part| part.0 != all[missing].0).collect();
        assert_eq!(refused(&Chip::with(&parts, &CHIP, life), |_| ()), Some(SevSnpError::Vcek), "{missing}");
    }
    let twice: Vec<_> = all.iter().copied().chain([(1, TCB[0])]).collect();
    assert_ne!(refused(&Chip::with(&twice, &CHIP, life), |_| ()), None, "a part stands once");
}

#[test]
fn what_was_found_is_compared() {
    let chip = Chip::new();
    let claims = changed(&chip, |_| ()).unwrap().claims;
    let statuses = |claims: &SevSnpClaims, values: &SevSnpValues| {
        compare(claims, values).into_iter().map(|claim| claim.status).collect::<Vec<_>>()
    };
    use Status::{Affirming as A, Contraindicated as C, Warning as W};
    assert_eq!(statuses(&claims, &values()), [A, A, A, A]);
    assert_eq!(statuses(&claims, &SevSnpValues::default()), [C, W, A, A], "no values");
    let other = SevSnpValues { measurements: BTreeSet::from([Measurement(vec![0; 48])]), ..values() };
    assert_eq!(statuses(&claims, &other), [C, A, A, A]);
    for low in [
        SnpTcb { bootloader: 5, ..values().tcb_min },
        SnpTcb { tee: 2, ..values().tcb_min },
        SnpTcb { snp: 23, ..values().tcb_min },
        SnpTcb { microcode: 214, ..values().tcb_min },
    ] {
        assert_eq!(statuses(&claims, &SevSnpValues { tcb_min: low, ..values() }), [A, C, A, A], "{low:?}");
    }
    let agent = changed(&chip, |fields| fields[0x160] = 0).unwrap().claims;
    assert_eq!(statuses(&agent, &values()), [A, A, W, A]);
    let movable = changed(&chip, |fields| fields[0x0A] |= 1 << 2).unwrap().claims;
    assert_eq!(statuses(&movable, &values()), [A, A, W, A]);
    let nested = changed(&chip, |fields| fields[0x30] = 2).unwrap().claims;
    assert_eq!(statuses(&nested, &values()), [A, A, A, W]);
}

#[test]
fn it_is_appraised_with_its_nonce() {
    let chip = Chip::new();
    let evidence = Evidence::SevSnp(chip.sign(&fields(&bound(&nonce(1)))));
    let profile = profile(ReferenceValues::SevSnp(values()), &[&AMD.ark], &[]);
    let verdict = appraised(&evidence, &profile, nonce(1), NOW_MS);
    assert_eq!((verdict.status(), verdict.tier(), failing(&verdict)), (Status::Affirming, Tier::Hardware, vec![]));
    let verdict = appraised(&evidence, &profile, nonce(2), NOW_MS);
    assert_eq!((verdict.status(), failing(&verdict)), (Status::Contraindicated, vec![UNBOUND]));
    let text = serde_json::to_string(&evidence).unwrap();
    assert!(text.starts_with(r#"{"kind":"sev-snp","report":"#));
    assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    let nitro = crate::evidence::testing::profile(ReferenceValues::Nitro(NitroValues::default()), &[], &[]);
    let binding = binding(&nonce(1));
    let question = crate::appraisal::Question {
        binding: &binding,
        context: crate::binding::BindingContext::Viewer,
        profiles: &[],
        policy: binding.policy,
        surroundings: crate::evidence::Surroundings { now_ms: NOW_MS, known_key: None, enrolled_by: &[] },
    };
    let examined = crate::evidence::examine(&evidence, &nitro, &question);
    assert_eq!(examined.err(), Some(EvidenceError::Kind));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        fuzz::report(&bytes);
    }
}
