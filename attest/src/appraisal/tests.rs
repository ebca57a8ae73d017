use std::collections::BTreeSet;

use policies::rules::{ReferenceValues, SevSnpValues, SoftwareValues};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;
use crate::binding::tests::sample;
use crate::challenge::Challenges;
use crate::evidence::software::state;
use crate::keys::VerifyingKey;
use crate::keys::tests::rfc8037_key;

const NOW_MS: u64 = 1_800_000_000_000;
const EXPORTER: [u8; 32] = [9; 32];
const CONTEXT: BindingContext<'_> = BindingContext::Admission { exporter: &EXPORTER };

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn profile(name: &str, versions: &[&str], status_best: Status) -> Profile {
    let versions = versions.iter().map(|version| (*version).to_owned()).collect();
    Profile {
        name: name.to_owned(),
        anchors: Vec::new(),
        revoked: BTreeSet::new(),
        status_best,
        values: ReferenceValues::Software(SoftwareValues { versions }),
    }
}

/// A question that is answered well, and its parts.
struct Setting {
    binding: Binding,
    known: Option<VerifyingKey>,
    profiles: Vec<Profile>,
    policy: Digest,
}

impl Setting {
    fn new() -> Self {
        let binding = sample();
        let (known, policy) = (Some(binding.node_key), binding.policy);
        Self { binding, known, profiles: vec![profile("software", &["0.1.0"], Status::Affirming)], policy }
    }

    fn question<'a>(&'a self, profiles: &'a [&'a Profile], context: BindingContext<'a>) -> Question<'a> {
        Question {
            binding: &self.binding,
            context,
            profiles,
            policy: self.policy,
            surroundings: Surroundings { now_ms: NOW_MS, known_key: self.known.as_ref(), enrolled_by: &[] },
        }
    }

    /// The verdict on evidence that covers `bound`, asked with `nonce`.
    fn verdict(&self, bound: Digest, nonce: &str, context: BindingContext<'_>) -> Verdict {
        let evidence = Evidence::Software(state(bound, "0.1.0", &rfc8037_key(), NOW_MS).unwrap());
        let profiles: Vec<&Profile> = self.profiles.iter().collect();
        appraise(&evidence, taken(nonce), &self.question(&profiles, context), &mut rng())
    }

    fn good(&self) -> Verdict {
        self.verdict(self.binding.digest(CONTEXT), &self.binding.nonce, CONTEXT)
    }
}

/// A fresh nonce of a text of the test's own: what a verifier gave out.
fn taken(text: &str) -> FreshNonce {
    FreshNonce::of_text(text)
}

fn failing(verdict: &Verdict) -> Vec<(Subject, Status, &str)> {
    verdict.failing().map(|claim| (claim.subject, claim.status, claim.sentence.as_str())).collect()
}

const WORD_ONLY: (Subject, Status, &str) =
    (Subject::Hardware, Status::Warning, "Nothing but the program's own word stands behind this evidence.");

#[test]
fn a_statement_is_a_warning_at_best() {
    let setting = Setting::new();
    let verdict = setting.good();
    assert_eq!(verdict.status(), Status::Warning);
    assert_eq!(failing(&verdict), [WORD_ONLY]);
    assert_eq!((verdict.tier(), verdict.kind()), (Tier::Software, EvidenceKind::Software));
    assert_eq!((verdict.profile(), verdict.policy()), (Some("software"), setting.policy));
    assert_eq!(verdict.claims().len(), 6);
}

#[test]
fn a_verdict_has_a_number_of_its_own() {
    let setting = Setting::new();
    let numbers: BTreeSet<String> = (0..8)
        .map(|seed| {
            let evidence =
                Evidence::Software(state(setting.binding.digest(CONTEXT), "0.1.0", &rfc8037_key(), NOW_MS).unwrap());
            let profiles: Vec<&Profile> = setting.profiles.iter().collect();
            let question = setting.question(&profiles, CONTEXT);
            let nonce = taken(&setting.binding.nonce);
            appraise(&evidence, nonce, &question, &mut ChaCha20Rng::seed_from_u64(seed)).id().to_string()
        })
        .collect();
    assert_eq!((numbers.len(), numbers.iter().all(|number| number.len() == 32)), (8, true));
}

/// Each check alone, and the one sentence that tells of it.
#[test]
fn every_check_contraindicates() {
    let other_question = "The evidence was made for another nonce, other keys, another policy or another connection.";
    let of = |setting: &Setting, bound: Digest, nonce: &str| {
        let verdict = setting.verdict(bound, nonce, CONTEXT);
        assert_eq!(verdict.status(), Status::Contraindicated);
        failing(&verdict).into_iter().map(|(subject, _, sentence)| (subject, sentence.to_owned())).collect::<Vec<_>>()
    };
    let is = |subject, sentence: &str| vec![(subject, sentence.to_owned())];
    let good = Setting::new();
    let (bound, nonce) = (good.binding.digest(CONTEXT), good.binding.nonce.clone());
    // The nonce that the binding states is another than was given out.
    assert_eq!(
        of(&good, bound, "another"),
        is(Subject::SourcedData, "The nonce is not the one that was given out for this.")
    );
    // Made for viewers, for another connection, by other parts.
    for bound in [
        good.binding.digest(BindingContext::Viewer),
        good.binding.digest(BindingContext::Admission { exporter: &[8; 32] }),
        Binding { nonce: "another".to_owned(), ..good.binding.clone() }.digest(CONTEXT),
        Binding { tls_spki: Digest::of(b"relay"), ..good.binding.clone() }.digest(CONTEXT),
        Digest::of(b""),
    ] {
        assert_eq!(of(&good, bound, &nonce), is(Subject::SourcedData, other_question));
    }
    let other_policy = Setting { policy: Digest::of(b"in force"), ..Setting::new() };
    assert_eq!(of(&other_policy, bound, &nonce), is(Subject::Configuration, "The node runs under another policy."));
    let unknown = "The node's key is not known, and nothing else vouches for it.";
    for known in [None, Some(VerifyingKey::from_bytes([7; 32]))] {
        let stranger = Setting { known, ..Setting::new() };
        assert_eq!(of(&stranger, bound, &nonce), is(Subject::InstanceIdentity, unknown));
    }
    let without = Setting { profiles: vec![profile("empty", &[], Status::Affirming)], ..Setting::new() };
    assert_eq!(
        of(&without, bound, &nonce),
        is(Subject::Executables, "The policy has no reference value for the version that the program says it is.")
    );
    let other = Setting { profiles: vec![profile("other", &["0.2.0"], Status::Affirming)], ..Setting::new() };
    assert_eq!(
        of(&other, bound, &nonce),
        is(Subject::Executables, "The version that the program says it is is none of the policy's reference values.")
    );
    let another_key = VerifyingKey::from_bytes([1; 32]);
    let mut signed_by_another = Setting::new();
    signed_by_another.binding.node_key = another_key;
    assert_eq!(
        of(&signed_by_another, signed_by_another.binding.digest(CONTEXT), &nonce),
        is(Subject::Hardware, "The evidence does not verify: the token names another key.")
    );
}

#[test]
fn a_kind_without_a_profile_is_refused() {
    let snp =
        Profile { values: ReferenceValues::SevSnp(SevSnpValues::default()), ..profile("snp", &[], Status::Affirming) };
    for profiles in [vec![], vec![snp]] {
        let setting = Setting { profiles, ..Setting::new() };
        let verdict = setting.good();
        assert_eq!((verdict.status(), verdict.profile()), (Status::Contraindicated, None));
        let sentence = "The policy accepts no evidence of the kind software here.";
        assert_eq!(failing(&verdict), [(Subject::Hardware, Status::Contraindicated, sentence)]);
    }
}

#[test]
fn anchors_that_cannot_be_read_refuse() {
    let broken = policies::rules::Anchor { path: "anchors/x.pem".to_owned(), pem: b"nothing".to_vec() };
    let profiles = vec![Profile { anchors: vec![broken], ..profile("software", &["0.1.0"], Status::Affirming) }];
    let verdict = Setting { profiles, ..Setting::new() }.good();
    let sentence = "The evidence does not verify: the policy's trust anchors cannot be read.";
    assert_eq!(failing(&verdict), [(Subject::Hardware, Status::Contraindicated, sentence)]);
}

#[test]
fn of_several_profiles_the_best_stands() {
    let profiles = vec![
        profile("other", &["9"], Status::Affirming),
        profile("barred", &["0.1.0"], Status::Contraindicated),
        profile("good", &["0.1.0"], Status::Affirming),
        profile("empty", &[], Status::Affirming),
    ];
    let verdict = Setting { profiles, ..Setting::new() }.good();
    assert_eq!((verdict.status(), verdict.profile()), (Status::Warning, Some("good")));
}

#[test]
fn a_policy_can_bar_what_is_otherwise_good() {
    let verdict =
        Setting { profiles: vec![profile("p", &["0.1.0"], Status::Contraindicated)], ..Setting::new() }.good();
    let sentence = "The policy lets evidence of this profile be no better than this.";
    let lowered = (Subject::Configuration, Status::Contraindicated, sentence);
    assert_eq!((verdict.status(), failing(&verdict)), (Status::Contraindicated, vec![lowered]));
}

#[test]
fn a_node_of_an_earlier_policy_is_told_from_one_of_none() {
    let setting = Setting { policy: Digest::of(b"in force"), ..Setting::new() };
    let bound = setting.binding.digest(CONTEXT);
    let evidence = Evidence::Software(state(bound, "0.1.0", &rfc8037_key(), NOW_MS).unwrap());
    let profiles: Vec<&Profile> = setting.profiles.iter().collect();
    let question = setting.question(&profiles, CONTEXT);
    let under =
        |runs_under| appraise_under(&evidence, taken(&setting.binding.nonce), &question, runs_under, &mut rng());
    let earlier = under(setting.binding.policy);
    assert_eq!((earlier.status(), earlier.policy()), (Status::Warning, Digest::of(b"in force")));
    let sentence = "The node runs under an earlier policy that is still accepted.";
    assert!(earlier.claims().contains(&Claim::affirming(Subject::Configuration, sentence)));
    assert_eq!(under(Digest::of(b"in force")).status(), Status::Contraindicated);
}

#[test]
fn a_nonce_serves_one_appraisal() {
    let challenges = Challenges::new(&[1; 32], 1);
    let (nonce, _) = challenges.issue("nodes", [3; 16], NOW_MS);
    let setting = Setting { binding: Binding { nonce: nonce.clone(), ..sample() }, ..Setting::new() };
    let bound = setting.binding.digest(CONTEXT);
    let evidence = Evidence::Software(state(bound, "0.1.0", &rfc8037_key(), NOW_MS).unwrap());
    let profiles: Vec<&Profile> = setting.profiles.iter().collect();
    let question = setting.question(&profiles, CONTEXT);
    let fresh = challenges.take("nodes", &nonce, NOW_MS).unwrap();
    assert_eq!(appraise(&evidence, fresh, &question, &mut rng()).status(), Status::Warning);
    let again = challenges.take("nodes", &nonce, NOW_MS).map(|_| ());
    assert_eq!(again, Err(crate::challenge::ChallengeError::Used));
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Affirming), Just(Status::Warning), Just(Status::Contraindicated)]
}

fn claims() -> impl Strategy<Value = Vec<Claim>> {
    let claim = status().prop_map(|status| Claim { subject: Subject::Hardware, status, sentence: String::new() });
    prop::collection::vec(claim, 0..12)
}

proptest! {
    /// The worst claim decides, and a policy lowers and never raises.
    #[test]
    fn nothing_raises_a_status(claims in claims(), best in status(), more in status()) {
        let overall_status = overall(&claims, best);
        let worst = claims.iter().map(|claim| claim.status).max();
        prop_assert!(worst.is_none_or(|worst| overall_status >= worst));
        prop_assert!(overall_status >= best);
        prop_assert_eq!(overall_status, worst.unwrap_or(Status::Contraindicated).max(best));
        // Another claim never makes it better.
        if !claims.is_empty() {
            let mut longer = claims.clone();
            longer.push(Claim { subject: Subject::Hardware, status: more, sentence: String::new() });
            prop_assert!(overall(&longer, best) >= overall_status);
        }
    }

    /// Whatever was found: no values, never better than contraindicated; a value that is not found, the same.
    #[test]
    fn nothing_matches_no_value(found in "[a-z.0-9]{0,8}", values in prop::collection::btree_set("[a-z.0-9]{0,8}", 0..4)) {
        let claim = Claim::one_of(Subject::Executables, "the version", &found, &values);
        prop_assert_eq!(claim.status == Status::Affirming, values.contains(&found));
        prop_assert_eq!(claim.status == Status::Contraindicated, !values.contains(&found));
        let none = Claim::one_of(Subject::Executables, "the version", &found, &BTreeSet::new());
        prop_assert_eq!(none.status, Status::Contraindicated);
    }

    /// Over the whole appraisal: whatever profiles a policy has, a program's word is a warning at best, and
    /// contraindicated unless a profile lists its version and none of the checks fails.
    #[test]
    fn a_whole_verdict_is_no_better_than_its_worst_claim(
        sets in prop::collection::vec((prop::collection::btree_set("0\\.[0-2]\\.0", 0..3), status()), 0..4),
        known: bool,
        same_connection: bool,
    ) {
        let profiles: Vec<Profile> = sets
            .iter()
            .map(|(versions, best)| {
                profile("p", &versions.iter().map(String::as_str).collect::<Vec<_>>(), *best)
            })
            .collect();
        let setting = Setting { known: known.then(|| sample().node_key), profiles, ..Setting::new() };
        let exporter = if same_connection { EXPORTER } else { [1; 32] };
        let bound = setting.binding.digest(BindingContext::Admission { exporter: &exporter });
        let verdict = setting.verdict(bound, &setting.binding.nonce, CONTEXT);
        let listed = sets.iter().any(|(versions, best)| versions.contains("0.1.0") && *best < Status::Contraindicated);
        let expected = if listed && known && same_connection { Status::Warning } else { Status::Contraindicated };
        prop_assert_eq!(verdict.status(), expected);
        prop_assert!(verdict.claims().iter().all(|claim| claim.status <= verdict.status()));
    }
}
