use rand_core::{OsRng, TryRngCore as _};

use super::*;
use crate::appraisal::{Question, Verdict, appraise};
use crate::binding::BindingContext;
use crate::challenge::FreshNonce;
use crate::evidence::Surroundings;

fn values() -> TpmValues {
    let (_, evidence) = recorded();
    let pcrs = [0, 4, 7].map(|number| (number, BTreeSet::from([evidence.pcrs[usize::from(number)].value])));
    let mut programs = claims().programs.unwrap();
    programs.insert(digest("the next version"));
    TpmValues { pcrs: pcrs.into(), programs }
}

fn claims() -> TpmClaims {
    check(&recorded().1).unwrap().claims
}

/// What decides, in words; nothing if all is affirmed.
fn failing(claims: &TpmClaims, profile: &Profile, values: &TpmValues) -> Vec<String> {
    let compared = compare(claims, profile, values);
    assert!(compared.iter().all(|claim| claim.status != Status::Warning));
    let failing = compared.into_iter().filter(|claim| claim.status == Status::Contraindicated);
    failing.map(|claim| claim.sentence).collect()
}

fn failing_values(change: impl FnOnce(&mut TpmValues)) -> Vec<String> {
    let mut values = values();
    change(&mut values);
    failing(&claims(), &profile(values.clone()), &values)
}

#[test]
fn what_the_policy_wants_is_affirmed() {
    let compared = compare(&claims(), &profile(values()), &values());
    let sentences: Vec<(Subject, &str)> =
        compared.iter().map(|claim| (claim.subject, claim.sentence.as_str())).collect();
    let expected = [
        (Subject::InstanceIdentity, "The attestation key lives in a TPM that was enrolled."),
        (Subject::Configuration, "Register 0 is a reference value of the policy."),
        (Subject::Configuration, "Register 4 is a reference value of the policy."),
        (Subject::Configuration, "Register 7 is a reference value of the policy."),
        (Subject::Configuration, "The firmware's log leads to the values of its registers."),
        (
            Subject::Executables,
            "The kernel measured programs of the policy and no other, and its log leads to register 10.",
        ),
    ];
    assert_eq!(sentences, expected);
    assert!(compared.iter().all(|claim| claim.status == Status::Affirming));
}

#[test]
fn whatever_is_missing_or_another_contraindicates() {
    assert_eq!(
        failing_values(|values| values.programs.clear()),
        ["The policy has no reference value for the program."]
    );
    let other = |values: &mut TpmValues| values.programs = [digest("another program")].into();
    assert_eq!(failing_values(other), ["None of the policy's programs is in the kernel's log."]);
    let nothing =
        "The policy has no reference value for any register of the boot (0 to 9), so that nothing says what booted.";
    assert_eq!(failing_values(|values| values.pcrs.clear()), [nothing]);
    let empty = |values: &mut TpmValues| drop(values.pcrs.insert(4, BTreeSet::new()));
    assert_eq!(failing_values(empty), ["The policy has no reference value for register 4."]);
    let other = |values: &mut TpmValues| drop(values.pcrs.insert(7, [digest("Secure Boot off")].into()));
    assert_eq!(failing_values(other), ["Register 7 is none of the policy's reference values."]);
    let unquoted = |values: &mut TpmValues| drop(values.pcrs.insert(14, [digest("14")].into()));
    assert_eq!(failing_values(unquoted), ["Register 14 was not quoted."]);
    let run_time = |values: &mut TpmValues| values.pcrs = [(14, [digest("14")].into())].into();
    assert_eq!(failing_values(run_time), ["Register 14 was not quoted.", nothing]);
    let without = TpmClaims { programs: None, ..claims() };
    assert_eq!(failing(&without, &profile(values()), &values()), ["No log of the kernel says which programs ran."]);
}

/// Whoever runs as root beside the program can add entries to the log: one that the policy does not know is told.
#[test]
fn a_program_among_others_is_a_warning() {
    let values = TpmValues { programs: [digest("siwa, the program")].into(), ..values() };
    let compared = compare(&claims(), &profile(values.clone()), &values);
    let sentence = "The kernel measured a program of the policy, and others that the policy does not know.";
    assert_eq!(compared.last(), Some(&Claim::warning(Subject::Executables, sentence)));
}

/// Whoever may run a program can give registers 16 to 23 any value, and register 10 is explained by its log alone.
#[test]
fn resettable_registers_and_register_10_are_never_a_reference() {
    let pcrs: BTreeMap<u8, BTreeSet<Digest>> =
        (16..24).chain([10]).map(|number| (number, [digest("16")].into())).collect();
    let values = TpmValues { pcrs, ..values() };
    let tpm = Tpm::new([(0, digest("0")), (16, digest("16"))]);
    let claims = TpmClaims { programs: Some(programs()), ..check(&tpm.quote(b"bound")).unwrap().claims };
    let nothing =
        "The policy has no reference value for any register of the boot (0 to 9), so that nothing says what booted.";
    assert_eq!(failing(&claims, &profile(values.clone()), &values), [nothing]);
}

#[test]
fn an_enrolment_for_another_profile_or_by_a_revoked_certificate_does_not_count() {
    let other = Profile { name: "another".to_owned(), ..profile(values()) };
    let sentence = "The attestation key was enrolled for another profile of the policy.";
    assert_eq!(failing(&claims(), &other, &values()), [sentence]);
    let revoked = Profile { revoked: ["2".to_owned()].into(), ..profile(values()) };
    let sentence = "The policy lists a certificate as revoked by which the attestation key was enrolled.";
    assert_eq!(failing(&claims(), &revoked, &values()), [sentence]);
}

fn verdict(evidence: TpmEvidence, binding: &Binding, profile: &Profile) -> Verdict {
    let mut rng = OsRng.unwrap_err();
    let nonce = FreshNonce::generate(&mut rng);
    let binding = Binding { nonce: nonce.as_str().to_owned(), ..binding.clone() };
    let question = Question {
        binding: &binding,
        context: BindingContext::Viewer,
        profiles: &[profile],
        policy: binding.policy,
        surroundings: Surroundings { now_ms: NOW_MS, known_key: None, enrolled_by: &enrolled_by() },
    };
    // A made-up TPM quotes this binding; a recorded quote is about the one that it was made for.
    appraise(&Evidence::Tpm(evidence), nonce, &question, &mut rng)
}

fn sentences(verdict: &Verdict) -> Vec<&str> {
    verdict.failing().map(|claim| claim.sentence.as_str()).collect()
}

#[test]
fn a_quote_for_another_nonce_is_contraindicated() {
    let (binding, evidence) = recorded();
    let stale = verdict(evidence.clone(), &binding, &profile(values()));
    let sentence = "The evidence was made for another nonce, other keys, another policy or another connection.";
    assert_eq!((stale.status(), sentences(&stale)), (Status::Contraindicated, vec![sentence]));
    let refused = verdict(TpmEvidence { ima_log: Some(Vec::new().into()), ..evidence }, &binding, &profile(values()));
    let sentence = "The evidence does not verify: the kernel's log does not lead to the value of register 10.";
    assert_eq!((refused.status(), sentences(&refused)), (Status::Contraindicated, vec![sentence]));
    assert_eq!(refused.tier(), Tier::Software);
}

#[test]
fn a_quote_of_the_question_is_affirmed_in_its_tier() {
    let (binding, evidence) = recorded();
    let mut rng = OsRng.unwrap_err();
    let nonce = FreshNonce::generate(&mut rng);
    let binding = Binding { nonce: nonce.as_str().to_owned(), ..binding };
    let tpm = Tpm::new(evidence.pcrs.iter().map(|register| (register.number, register.value)));
    let quoted = tpm.quote(binding.digest(BindingContext::Viewer).as_bytes());
    let evidence = TpmEvidence { boot_log: evidence.boot_log, ima_log: evidence.ima_log, ..quoted };
    let profile = profile(values());
    let question = Question {
        binding: &binding,
        context: BindingContext::Viewer,
        profiles: &[&profile],
        policy: binding.policy,
        surroundings: Surroundings { now_ms: NOW_MS, known_key: None, enrolled_by: &enrolled_by() },
    };
    let verdict = appraise(&Evidence::Tpm(evidence), nonce, &question, &mut rng);
    assert_eq!((verdict.status(), sentences(&verdict)), (Status::Affirming, vec![]));
    assert_eq!((verdict.tier(), verdict.profile()), (Tier::Hardware, Some("tpm")));
}
