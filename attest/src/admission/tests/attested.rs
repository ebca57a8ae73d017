use std::collections::BTreeMap;

use policies::Digest;
use policies::rules::{AttestationRule, Status};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;
use crate::appraisal::Subject;
use crate::binding::tests::sample;
use crate::binding::{Binding, KEYS_MAX};
use crate::challenge::{ChallengeError, Challenges};
use crate::evidence::Evidence;
use crate::evidence::software::state;

const EXPORTER: [u8; 32] = [9; 32];

/// The sample policies with these texts replaced.
fn policies(changes: &[(&str, &str, &str)]) -> PolicySet {
    let mut files: BTreeMap<String, Vec<u8>> = policies::sample::files();
    for (file, from, to) in changes {
        let text = String::from_utf8(files[*file].clone()).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        files.insert((*file).to_owned(), text.replace(from, to).into_bytes());
    }
    PolicySet::parse(&files).unwrap_or_else(|findings| panic!("{findings:?}"))
}

fn known(node: &str, region: &str, key: Option<VerifyingKey>) -> KnownNodes {
    KnownNodes::new([KnownNode { node: node.parse().unwrap(), region: region.parse().unwrap(), key }]).unwrap()
}

/// A node that is admitted, and its parts.
struct Setting {
    binding: Binding,
    known: KnownNodes,
    policies: Vec<PolicySet>,
}

impl Setting {
    fn new() -> Self {
        let policies = vec![policies(&[])];
        let binding = Binding { policy: policies[0].digest(), ..sample() };
        Self { known: known("eu-west-1", "eu-west", Some(binding.node_key)), binding, policies }
    }

    fn bound(&self) -> Digest {
        self.binding.digest(BindingContext::Admission { exporter: &EXPORTER })
    }

    /// Evidence over `bound`, on the connection whose exporter is [`EXPORTER`], with `nonce` given out.
    fn admit(&self, bound: Digest, nonce: &str) -> Result<(Admission, Verdict), NotAdmitted> {
        let evidence = Evidence::Software(state(bound, "0.1.0", &rfc8037_key(), NOW_MS).unwrap());
        let connection =
            Connection { exporter: &EXPORTER, known: &self.known, policies: &self.policies, enrolled_by: &[] };
        let attestation = Attestation { binding: self.binding.clone(), evidence };
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        Admission::by_attestation(&attestation, FreshNonce::of_text(nonce), &connection, NOW_MS, &mut rng)
    }

    fn good(&self) -> Result<(Admission, Verdict), NotAdmitted> {
        self.admit(self.bound(), &self.binding.nonce)
    }

    /// The sentences of a refusal by the verdict.
    fn sentences(&self, bound: Digest, nonce: &str) -> Vec<String> {
        let refusal = self.admit(bound, nonce).map(|(admission, _)| admission).unwrap_err();
        assert!(matches!(refusal, NotAdmitted::Verdict(_)), "{refusal:?}");
        refusal.sentences()
    }
}

#[test]
fn a_node_is_admitted_for_its_region_and_a_time() {
    let setting = Setting::new();
    let (admission, verdict) = setting.good().unwrap();
    assert_eq!((admission.node().as_str(), admission.region().as_str()), ("eu-west-1", "eu-west"));
    assert_eq!(*admission.key(), setting.binding.node_key);
    assert_eq!(admission.expires_ms(), NOW_MS + 300_000);
    assert_eq!((verdict.status(), verdict.profile()), (Status::Warning, Some("node-software")));
    assert!(admission.is_live(NOW_MS + 299_999));
    assert!(!admission.is_live(NOW_MS + 300_000));
}

#[test]
fn who_is_not_expected_is_not_appraised() {
    let other_key = Some(VerifyingKey::from_bytes([1; 32]));
    let good = Setting::new();
    for (setting, refusal) in [
        (Setting { known: KnownNodes::default(), ..Setting::new() }, NotAdmitted::UnknownNode),
        (Setting { known: known("eu-west-2", "eu-west", None), ..Setting::new() }, NotAdmitted::UnknownNode),
        (Setting { known: known("eu-west-1", "us-east", None), ..Setting::new() }, NotAdmitted::UnknownNode),
        (Setting { known: known("eu-west-1", "eu-west", other_key), ..Setting::new() }, NotAdmitted::OtherKey),
        (Setting { policies: vec![], ..Setting::new() }, NotAdmitted::Policy),
        (
            Setting { binding: Binding { policy: Digest::of(b"x"), ..good.binding.clone() }, ..Setting::new() },
            NotAdmitted::Policy,
        ),
        (
            Setting {
                binding: Binding { token_keys: vec![Digest::of(b"k"); KEYS_MAX + 1], ..good.binding.clone() },
                ..Setting::new()
            },
            NotAdmitted::Unbounded,
        ),
        (
            Setting { binding: Binding { nonce: "n".repeat(129), ..good.binding.clone() }, ..Setting::new() },
            NotAdmitted::Unbounded,
        ),
    ] {
        let refused = setting.good().map(|(admission, _)| admission);
        assert_eq!(refused, Err(refusal.clone()));
        assert_eq!(refusal.sentences(), [format!("{refusal}.")]);
    }
}

#[test]
fn evidence_is_for_this_nonce_this_connection_and_these_keys() {
    let setting = Setting::new();
    let nonce = setting.binding.nonce.clone();
    let other = "The evidence was made for another nonce, other keys, another policy or another connection.";
    let of = |context| setting.binding.digest(context);
    // What any viewer is shown, and what was made for a connection with somebody else.
    assert_eq!(setting.sentences(of(BindingContext::Viewer), &nonce), [other]);
    assert_eq!(setting.sentences(of(BindingContext::Admission { exporter: &[8; 32] }), &nonce), [other]);
    assert_eq!(
        setting.sentences(setting.bound(), "another"),
        ["The nonce is not the one that was given out for this."]
    );
    let relay = Binding { tls_spki: Digest::of(b"relay"), ..setting.binding.clone() };
    assert_eq!(setting.sentences(relay.digest(BindingContext::Admission { exporter: &EXPORTER }), &nonce), [other]);
}

#[test]
fn a_node_whose_key_is_not_pinned_needs_more_than_its_word() {
    let setting = Setting { known: known("eu-west-1", "eu-west", None), ..Setting::new() };
    assert_eq!(
        setting.sentences(setting.bound(), &setting.binding.nonce),
        ["The node's key is not known, and nothing else vouches for it."]
    );
}

/// Where the policy's least lies, for a verdict that is a warning by a program's word.
#[test]
fn the_policys_least_is_asked_for() {
    let (_, verdict) = Setting::new().good().unwrap();
    let told = |status_min, tier_min| {
        let rule = AttestationRule {
            profiles: ["node-software".to_owned()].into(),
            tier_min,
            status_min,
            result_seconds: 300,
        };
        enough(verdict.clone(), &rule).map(|verdict| verdict.status()).map_err(|refusal| refusal.sentences())
    };
    let word = "Nothing but the program's own word stands behind this evidence.".to_owned();
    let tier = |asked| format!("The policy asks for a root of trust of the tier {asked}; this evidence has software.");
    assert_eq!(told(Status::Warning, Tier::Software), Ok(Status::Warning));
    assert_eq!(told(Status::Contraindicated, Tier::Software), Ok(Status::Warning));
    assert_eq!(told(Status::Affirming, Tier::Software), Err(vec![word.clone()]));
    assert_eq!(told(Status::Affirming, Tier::Hardware), Err(vec![word]));
    assert_eq!(told(Status::Warning, Tier::Development), Err(vec![tier("development")]));
    assert_eq!(told(Status::Warning, Tier::Hardware), Err(vec![tier("hardware")]));
}

#[test]
fn what_is_contraindicated_is_never_enough() {
    let setting = Setting::new();
    let refusal = setting.admit(Digest::of(b""), &setting.binding.nonce).map(|_| ()).unwrap_err();
    let NotAdmitted::Verdict(verdict) = refusal else { panic!("{refusal:?}") };
    let rule = AttestationRule {
        profiles: Default::default(),
        tier_min: Tier::Software,
        status_min: Status::Contraindicated,
        result_seconds: 300,
    };
    assert_eq!(enough((*verdict).clone(), &rule), Err(NotAdmitted::Verdict(verdict)));
}

#[test]
fn a_policy_can_let_nobody_in() {
    let file = "regions/eu-west.toml";
    let with = |changes: &[(&str, &str, &str)]| {
        let policies = vec![policies(changes)];
        let binding = Binding { policy: policies[0].digest(), ..sample() };
        Setting { binding, policies, ..Setting::new() }
    };
    // A profile that is barred.
    let name = "name = \"node-software\"";
    let barred = with(&[("attestation.toml", name, "name = \"node-software\"\nstatus_best = \"contraindicated\"")]);
    assert_eq!(
        barred.sentences(barred.bound(), &barred.binding.nonce),
        ["The policy lets evidence of this profile be no better than this."]
    );
    // A kind that no profile of the region is about.
    let none = with(&STRICT);
    assert_eq!(
        none.sentences(none.bound(), &none.binding.nonce),
        ["The policy accepts no evidence of the kind software here."]
    );
    // A region of which nobody attests.
    let text = String::from_utf8(policies::sample::files()[file].clone()).unwrap();
    let (_, section) = text.split_once("[attestation]").unwrap();
    let silent = with(&[(file, &format!("[attestation]{section}"), "")]);
    assert_eq!(silent.good().map(|(admission, _)| admission), Err(NotAdmitted::Policy));
}

/// The region asks for hardware, and for nothing less.
const STRICT: [(&str, &str, &str); 3] = [
    ("regions/eu-west.toml", "profiles = [\"node-software\"]", "profiles = [\"node-snp\"]"),
    ("regions/eu-west.toml", "tier_min = \"software\"", "tier_min = \"hardware\""),
    ("regions/eu-west.toml", "status_min = \"warning\"", "status_min = \"affirming\""),
];

#[test]
fn an_earlier_policy_is_one_to_run_under_and_none_to_be_judged_by() {
    let (earlier, stricter) = (policies(&[]), policies(&STRICT));
    let longer = policies(&[("regions/eu-west.toml", "result_seconds = 300", "result_seconds = 600")]);
    let binding = Binding { policy: earlier.digest(), ..sample() };
    let setting = |policies| Setting { binding: binding.clone(), policies, ..Setting::new() };
    let (admission, verdict) = setting(vec![longer.clone(), earlier.clone()]).good().unwrap();
    assert_eq!((admission.expires_ms(), verdict.policy()), (NOW_MS + 600_000, longer.digest()));
    let sentence = "The node runs under an earlier policy that is still accepted.";
    assert!(
        verdict
            .claims()
            .iter()
            .any(|claim| { (claim.subject, claim.sentence.as_str()) == (Subject::Configuration, sentence) })
    );
    // The rules of the policy in force decide, whatever the node says that it runs under.
    let strict = setting(vec![stricter, earlier]);
    assert_eq!(
        strict.sentences(strict.bound(), &binding.nonce),
        ["The policy accepts no evidence of the kind software here."]
    );
    assert_eq!(setting(vec![longer]).good().map(|(admission, _)| admission), Err(NotAdmitted::Policy));
}

#[test]
fn a_nonce_admits_once() {
    let challenges = Challenges::new(&[1; 32], 1);
    let (nonce, _) = challenges.issue("nodes", [3; 16], NOW_MS);
    let setting = Setting { binding: Binding { nonce: nonce.clone(), ..Setting::new().binding }, ..Setting::new() };
    let take = || challenges.take("nodes", &nonce, NOW_MS).map(|fresh| fresh.as_str().to_owned());
    assert_eq!(take(), Ok(nonce.clone()));
    assert_eq!(setting.good().map(|(admission, _)| admission.expires_ms()), Ok(NOW_MS + 300_000));
    assert_eq!(take(), Err(ChallengeError::Used));
}
