use policies::Digest;
use policies::rules::{Profile, ReferenceValues, SoftwareValues};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde_json::json;

use super::*;
use crate::appraisal::{Question, appraise};
use crate::binding::BindingContext;
use crate::binding::tests::sample;
use crate::challenge::FreshNonce;
use crate::evidence::software::state;
use crate::evidence::{Evidence, Surroundings};
use crate::keys::tests::rfc8037_key;

const NOW_MS: u64 = 1_800_000_000_000;

fn verdict() -> Verdict {
    let binding = sample();
    let profile = Profile {
        name: "node-software".to_owned(),
        anchors: Vec::new(),
        revoked: Default::default(),
        status_best: Status::Affirming,
        values: ReferenceValues::Software(SoftwareValues { versions: ["0.1.0".to_owned()].into() }),
    };
    let question = Question {
        binding: &binding,
        context: BindingContext::Viewer,
        profiles: &[&profile],
        policy: binding.policy,
        surroundings: Surroundings { now_ms: NOW_MS, known_key: Some(&binding.node_key), enrolled_by: &[] },
    };
    let bound = binding.digest(BindingContext::Viewer);
    let evidence = Evidence::Software(state(bound, "0.1.0", &rfc8037_key(), NOW_MS).unwrap());
    let nonce = FreshNonce::of_text(&binding.nonce);
    appraise(&evidence, nonce, &question, &mut ChaCha20Rng::seed_from_u64(1))
}

fn result(seconds: u32) -> Ear {
    let to = ResultFor {
        issuer: "centre",
        audience: "centre",
        subject: Some("eu-west-1"),
        nonce: "a nonce of the verifier",
        seconds,
        now_ms: NOW_MS,
    };
    Ear::of(&verdict(), to)
}

/// The names of draft-ietf-rats-ear, and what each says here.
#[test]
fn a_result_has_the_claims_of_the_draft() {
    let (verdict, ear) = (verdict(), serde_json::to_value(result(300)).unwrap());
    let claims: Vec<_> = verdict
        .claims()
        .iter()
        .map(|claim| json!({"subject": claim.subject, "status": claim.status, "sentence": claim.sentence}))
        .collect();
    let expected = json!({
        "eat_profile": "tag:ietf.org,2026:rats/ear#03",
        "ear.verifier-id": {"developer": "siwa", "build": env!("CARGO_PKG_VERSION")},
        "iss": "centre",
        "aud": "centre",
        "sub": "eu-west-1",
        "iat": 1_800_000_000,
        "exp": 1_800_000_300,
        "jti": verdict.id().to_string(),
        "eat_nonce": "a nonce of the verifier",
        "submods": {"siwa": {
            "ear.status": "warning",
            "ear.trustworthiness-vector": {
                "instance-identity": 2, "configuration": 2, "executables": 2, "hardware": 32, "sourced-data": 2,
            },
            "ear.appraisal-policy-id": format!("sha-256:{}#node-software", Digest::of(b"policy")),
            "siwa.evidence": "software",
            "siwa.tier": "software",
            "siwa.claims": claims,
        }},
    });
    assert_eq!(ear, expected);
}

#[test]
fn a_result_is_short_lived() {
    assert_eq!(result(u32::MAX).exp, 1_800_000_000 + LIFETIME_SECONDS_MAX);
    let token = result(0).sign(&rfc8037_key()).unwrap();
    assert_eq!(Ear::verify(&token, &rfc8037_key().verifying_key(), "centre", NOW_MS), Err(EarError::Life));
}

#[test]
fn it_is_verified_for_one_audience_now() {
    let key = rfc8037_key().verifying_key();
    let good = result(300);
    let token = good.sign(&rfc8037_key()).unwrap();
    assert_eq!(Ear::verify(&token, &key, "centre", NOW_MS), Ok(good.clone()));
    assert_eq!(good.appraised().map(|appraised| appraised.status), Some(Status::Warning));
    assert_eq!(Ear::verify(&token, &key, "other", NOW_MS), Err(EarError::Audience));
    assert_eq!(Ear::verify(&token, &key, "centre", NOW_MS + 329_999).map(|ear| ear.exp), Ok(good.exp));
    assert_eq!(Ear::verify(&token, &key, "centre", NOW_MS + 330_000), Err(EarError::Life));
    assert_eq!(Ear::verify(&token, &key, "centre", NOW_MS - 31_000), Err(EarError::Life));
    let other = VerifyingKey::from_bytes([1; 32]);
    assert_eq!(Ear::verify(&token, &other, "centre", NOW_MS), Err(EarError::Jws(JwsError::Key)));
    let refused = |ear: &Ear| Ear::verify(&ear.sign(&rfc8037_key()).unwrap(), &key, "centre", NOW_MS);
    let appraised = good.submods["siwa"].clone();
    let submods = |names: &[&str]| names.iter().map(|&name| (name.to_owned(), appraised.clone())).collect();
    for ear in [
        Ear { eat_profile: "tag:example.com,2026:other".to_owned(), ..good.clone() },
        Ear { submods: submods(&[]), ..good.clone() },
        Ear { submods: submods(&["other"]), ..good.clone() },
        Ear { submods: submods(&["siwa", "other"]), ..good.clone() },
    ] {
        assert_eq!(refused(&ear), Err(EarError::Profile));
    }
    assert_eq!(refused(&Ear { exp: good.iat + 3601, ..good.clone() }), Err(EarError::Life));
    let of_another_type = jws::sign(Typ::Answer, &good, &rfc8037_key()).unwrap();
    assert_eq!(Ear::verify(&of_another_type, &key, "centre", NOW_MS), Err(EarError::Jws(JwsError::Type)));
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Affirming), Just(Status::Warning), Just(Status::Contraindicated)]
}

proptest! {
    /// The numbers keep the order of the statuses, and AR4SI's ranges (§2.3.2): 2..=31, 32..=95, 96..=127.
    #[test]
    fn numbers_order_as_statuses_do(one in status(), other in status()) {
        prop_assert_eq!(number(one).cmp(&number(other)), one.cmp(&other));
        let range = match one {
            Status::Affirming => 2..=31,
            Status::Warning => 32..=95,
            Status::Contraindicated => 96..=127,
        };
        prop_assert!(range.contains(&number(one)));
    }
}
