use proptest::prelude::*;

use super::*;
use crate::binding::BindingContext;
use crate::keys::SigningKey;
use crate::keys::tests::rfc8037_key;

#[test]
fn a_recorded_quote_says_what_the_tpm_was_told() {
    let (binding, evidence) = recorded();
    let found = check(&evidence).unwrap();
    assert_eq!(found.bound, binding.digest(BindingContext::Viewer).as_bytes());
    assert_eq!(found.tier, Tier::Development);
    let claims = found.claims;
    let quoted: BTreeMap<u8, Digest> = evidence.pcrs.iter().map(|register| (register.number, register.value)).collect();
    assert_eq!((claims.pcrs.len(), &claims.pcrs), (11, &quoted));
    let register_10 = "012de69cdf203e8f3b18ed70067fa2a96354e9cb53bcc4edd3736f9b9a293f3d".parse().unwrap();
    assert_eq!(claims.pcrs[&IMA_REGISTER], register_10);
    assert_eq!((claims.programs, claims.boot_log), (Some(programs()), true));
    // What swtpm says of itself: not resumed since, killed before that, and its firmware has a date and a build.
    assert_eq!((claims.clock.restart_count, claims.clock.safe), (0, false));
    assert_eq!(claims.firmware_version, 0x2019_1023_0016_3636);
    assert_eq!(claims.enrolment.serials, ["2"]);
}

/// The RSA schemes' signatures, by the same TPM over the same registers.
#[test]
fn recorded_rsa_signatures_verify() {
    for (area, attest, signature) in [
        (
            &include_bytes!("../fixtures/rsassa.public")[..],
            &include_bytes!("../fixtures/rsassa.attest")[..],
            &include_bytes!("../fixtures/rsassa.sig")[..],
        ),
        (
            &include_bytes!("../fixtures/rsapss.public")[..],
            &include_bytes!("../fixtures/rsapss.attest")[..],
            &include_bytes!("../fixtures/rsapss.sig")[..],
        ),
    ] {
        let (_, evidence) = recorded();
        let mut enrolment = enrolment::verify(&evidence.enrolment, &enrolled_by(), NOW_MS).unwrap();
        enrolment.ak_name = Digest::of(area);
        let evidence = TpmEvidence {
            attest: attest.to_vec().into(),
            signature: signature.to_vec().into(),
            ak_public: area.to_vec().into(),
            enrolment: statement(&enrolment),
            ..evidence
        };
        assert_eq!(check(&evidence).map(|found| found.claims.programs), Ok(Some(programs())));
        let mut altered = evidence;
        *altered.signature.0.last_mut().unwrap() ^= 1;
        assert_eq!(check(&altered), Err(TpmError::Signature));
    }
}

/// What is signed by the right key and still is no quote of these registers.
#[test]
fn each_form_is_refused_for_its_reason() {
    let tpm = Tpm::new([(0, digest("0")), (7, digest("7"))]);
    let form = || tpm.form();
    let bank = |hash: u8, octets: &[u8]| [&[0, hash, u8::try_from(octets.len()).unwrap()], octets].concat();
    let banks = |banks: &[Vec<u8>]| [&u32::try_from(banks.len()).unwrap().to_be_bytes()[..], &banks.concat()].concat();
    let cases = [
        (Form { magic: 0xff54_4346, ..form() }, TpmError::Magic),
        // A certification of a key, and of a clock.
        (Form { kind: 0x8017, ..form() }, TpmError::Type),
        (Form { kind: 0x8019, ..form() }, TpmError::Type),
        (Form { safe: 2, ..form() }, TpmError::Malformed),
        (Form { tail: &[0], ..form() }, TpmError::Malformed),
        // Another register, one less, none, another bank, two banks, the bank twice, a register past the last.
        (Form { selection: banks(&[bank(11, &[0x83, 0, 0])]), ..form() }, TpmError::Selection),
        (Form { selection: banks(&[bank(11, &[1, 0, 0])]), ..form() }, TpmError::Selection),
        (Form { selection: banks(&[bank(11, &[0, 0, 0])]), ..form() }, TpmError::Selection),
        (Form { selection: banks(&[]), ..form() }, TpmError::Selection),
        (Form { selection: banks(&[bank(12, &[0x81, 0, 0])]), ..form() }, TpmError::Selection),
        (Form { selection: banks(&[bank(11, &[0x81, 0, 0]), bank(4, &[1, 0, 0])]), ..form() }, TpmError::Selection),
        (Form { selection: banks(&[bank(11, &[0x81, 0, 0]), bank(11, &[0, 0, 0])]), ..form() }, TpmError::Selection),
        (Form { selection: banks(&[bank(11, &[0x81, 0, 0, 1])]), ..form() }, TpmError::Selection),
        (Form { selection: 9_u32.to_be_bytes().to_vec(), ..form() }, TpmError::Malformed),
    ];
    for (form, refusal) in cases {
        assert_eq!(check(&tpm.quote_in(&form, b"bound")), Err(refusal));
    }
    // The same, of other lengths, is the same selection.
    for selection in [banks(&[bank(11, &[0x81])]), banks(&[bank(4, &[0, 0, 0]), bank(11, &[0x81, 0, 0, 0])])] {
        let found = check(&tpm.quote_in(&Form { selection, ..form() }, b"bound")).unwrap();
        assert_eq!((found.bound.as_slice(), found.claims.pcrs), (&b"bound"[..], tpm.registers.clone()));
    }
    let claims = check(&tpm.quote(b"bound")).unwrap().claims;
    let clock = ClockInfo { clock_ms: 7, reset_count: 2, restart_count: 1, safe: true };
    assert_eq!((claims.clock, claims.firmware_version), (clock, 0x0102_0304_0506_0708));
    assert_eq!((claims.programs, claims.boot_log), (None, false));
}

#[test]
fn registers_are_those_quoted_with_their_values() {
    let tpm = Tpm::new([(0, digest("0")), (7, digest("7")), (17, digest("17"))]);
    let good = tpm.quote(b"bound");
    let claims = check(&good).unwrap().claims;
    assert_eq!(claims.pcrs.keys().copied().collect::<Vec<_>>(), [0, 7], "17 can be set back");
    let with = |change: fn(&mut Vec<Register>)| {
        let mut evidence = good.clone();
        change(&mut evidence.pcrs);
        check(&evidence).map(|found| found.claims.pcrs)
    };
    assert_eq!(with(|pcrs| pcrs[1].value = digest("other")), Err(TpmError::Registers));
    assert_eq!(with(|pcrs| pcrs[2].value = digest("other")), Err(TpmError::Registers));
    assert_eq!(with(|pcrs| pcrs[1].number = 6), Err(TpmError::Selection));
    assert_eq!(with(|pcrs| pcrs.truncate(2)), Err(TpmError::Selection));
    assert_eq!(with(|pcrs| pcrs.swap(0, 1)), Err(TpmError::Selection));
    assert_eq!(with(|pcrs| pcrs.insert(1, pcrs[0])), Err(TpmError::Selection));
    assert_eq!(with(|pcrs| pcrs[2].number = 24), Err(TpmError::Selection));
    assert_eq!(with(|pcrs| pcrs[2].number = 255), Err(TpmError::Selection));
}

#[test]
fn the_key_is_one_that_signs_only_what_its_tpm_says() {
    let tpm = Tpm::new([(0, digest("0"))]);
    let good = tpm.quote(b"bound");
    let with = |at: usize, byte: u8| {
        let mut area = tpm.public();
        area[at] = byte;
        let evidence = TpmEvidence { ak_public: area.into(), ..good.clone() };
        check(&evidence).map(|found| found.tier)
    };
    // Attributes are 00 05 00 72, from the fifth byte.
    assert_eq!(tpm.public()[4..8], [0, 5, 0, 0x72]);
    let missing = [(5, 4, "restricted"), (5, 1, "sign"), (7, 0x70, "fixedTPM"), (7, 0x62, "fixedParent")];
    for (at, byte, name) in missing.into_iter().chain([(7, 0x52, "sensitiveDataOrigin"), (5, 7, "not decrypt")]) {
        assert_eq!(with(at, byte), Err(TpmError::Key(KeyError::Attributes)), "{name}");
    }
    // Other attributes are another key's: its name was not enrolled.
    assert_eq!(with(7, 0x32 | 0x40 | 0x04), Err(TpmError::NotEnrolled));
    // Kind, hash of the name, symmetric algorithm, scheme, hash of the scheme, curve, derivation, length of x.
    for at in [1, 3, 11, 13, 15, 17, 19, 21] {
        assert_eq!(with(at, 0x7f), Err(TpmError::Key(KeyError::Form)), "{at}");
    }
    assert_eq!(with(30, tpm.public()[30] ^ 1), Err(TpmError::Signature), "not a point, or another");
    let long = [tpm.public(), vec![0]].concat();
    assert_eq!(AttestationKey::parse(&long), Err(KeyError::Form));
    assert_eq!(AttestationKey::parse(&vec![0; PUBLIC_BYTES_MAX + 1]), Err(KeyError::Form));
    // An endorsement key decrypts: it can't be shown as one that signs.
    assert_eq!(AttestationKey::parse(include_bytes!("../fixtures/ek_ecc.public")), Err(KeyError::Form));
}

#[test]
fn a_key_that_was_not_enrolled_here_and_now_is_refused() {
    let tpm = Tpm::new([(0, digest("0"))]);
    let foreign = Tpm::new([(0, digest("0"))]);
    let good = tpm.quote(b"bound");
    let with = |enrolment: String| check(&TpmEvidence { enrolment, ..good.clone() }).map(|found| found.tier);
    assert_eq!(with(good.enrolment.clone()), Ok(Tier::Hardware));
    assert_eq!(with(statement(&EnrolmentClaims { tier: Tier::Development, ..tpm.enrolment() })), Ok(Tier::Development));
    assert_eq!(with(foreign.quote(b"bound").enrolment), Err(TpmError::NotEnrolled));
    let life = |iat: u64, exp: u64| with(statement(&EnrolmentClaims { iat, exp, ..tpm.enrolment() }));
    let now = NOW_MS / 1000;
    let out_of_life = Err(TpmError::Enrolment(EnrolmentError::Life));
    assert_eq!(life(now - 86_400, now - 31), out_of_life, "it has ended");
    assert_eq!(life(now + 3600, now + 7200), out_of_life, "it is of the future");
    assert_eq!(life(now, now + 30 * 86_400), Ok(Tier::Hardware));
    assert_eq!(life(now, now + 30 * 86_400 + 1), out_of_life, "it lives too long");
    let other = EnrolmentClaims { anchors: digest("other anchors"), ..tpm.enrolment() };
    assert_eq!(with(statement(&other)), Err(TpmError::OtherAnchors));
    let by = |key: &SigningKey| jws::sign(Typ::Enrolment, &tpm.enrolment(), key).unwrap();
    assert_eq!(with(by(&rfc8037_key())), Err(TpmError::Enrolment(EnrolmentError::UnknownVerifier)));
    let as_other = jws::sign(Typ::Statement, &tpm.enrolment(), &fixed_key()).unwrap();
    assert_eq!(with(as_other), Err(TpmError::Enrolment(EnrolmentError::Jws(jws::JwsError::Type))));
    let mut altered = good.enrolment.clone().into_bytes();
    let at = altered.len() - 40;
    altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    assert_eq!(with(altered), Err(TpmError::Enrolment(EnrolmentError::Jws(jws::JwsError::Signature))));
    // Nobody is believed.
    let refused = verify(&good, &anchors(), &[], NOW_MS).map(|found| found.tier);
    assert_eq!(refused, Err(TpmError::Enrolment(EnrolmentError::UnknownVerifier)));
}

#[test]
fn other_signatures_are_refused() {
    let tpm = Tpm::new([(0, digest("0"))]);
    let good = tpm.quote(b"bound");
    let with = |signature: Vec<u8>| check(&TpmEvidence { signature: signature.into(), ..good.clone() });
    assert_eq!(with(good.signature.0.clone()).map(|found| found.bound), Ok(b"bound".to_vec()));
    assert_eq!(with(Tpm::new([]).sign(&good.attest)), Err(TpmError::Signature), "by another key");
    assert_eq!(with(tpm.sign(b"another message")), Err(TpmError::Signature));
    assert_eq!(with([good.signature.0.clone(), vec![0]].concat()), Err(TpmError::Signature));
    assert_eq!(with(Vec::new()), Err(TpmError::Signature));
    assert_eq!(with(vec![0; SIGNATURE_BYTES_MAX + 1]), Err(TpmError::Signature));
    let mut other_scheme = good.signature.0.clone();
    other_scheme[1] = 0x14;
    assert_eq!(with(other_scheme), Err(TpmError::Signature));
}

proptest! {
    /// Whatever byte of what is signed is altered, and however it is cut, it is refused.
    #[test]
    fn a_recorded_quote_holds_for_each_of_its_bytes(at in 0_usize..145, bit in 0_u32..8, cut in 0_usize..145) {
        let (_, evidence) = recorded();
        prop_assert_eq!(evidence.attest.len(), 145);
        let with = |attest: Vec<u8>| check(&TpmEvidence { attest: attest.into(), ..evidence.clone() }).map(|_| ());
        let mut altered = evidence.attest.0.clone();
        altered[at] ^= 1 << bit;
        let refused = with(altered).unwrap_err();
        let expected = match at {
            0..4 => vec![TpmError::Magic],
            4..6 => vec![TpmError::Type],
            _ => vec![TpmError::Signature, TpmError::Malformed],
        };
        prop_assert!(expected.contains(&refused), "{refused:?}");
        prop_assert_eq!(with(evidence.attest[..cut].to_vec()), Err(TpmError::Malformed));
        let mut altered = evidence.clone();
        let at = at % altered.signature.len();
        altered.signature.0[at] ^= 1 << bit;
        prop_assert_eq!(check(&altered), Err(TpmError::Signature));
    }

    #[test]
    fn no_bytes_panic(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz::quote(&data);
        fuzz::logs(&data);
    }
}

/// As it travels: what a peer sends is what is verified, and each part is bounded.
#[test]
fn evidence_is_json() {
    let (_, evidence) = recorded();
    let text = serde_json::to_string(&Evidence::Tpm(evidence.clone())).unwrap();
    assert!(text.starts_with(r#"{"kind":"tpm","attest":""#));
    assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), Evidence::Tpm(evidence.clone()));
    fuzz::quote(&serde_json::to_vec(&evidence).unwrap());
    let long = TpmEvidence { attest: vec![0; QUOTE_BYTES_MAX + 1].into(), ..evidence };
    let refused = serde_json::from_str::<TpmEvidence>(&serde_json::to_string(&long).unwrap()).unwrap_err();
    assert!(refused.to_string().starts_with("the bytes are too many"), "{refused}");
    assert_eq!(check(&long), Err(TpmError::Malformed));
}
