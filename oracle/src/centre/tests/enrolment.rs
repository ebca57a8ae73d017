//! Enrolment of TPMs as nodes see it. The TPM is a recorded one, whose certificate and keys are at hand, and which opens
//! nothing: what a TPM gives back is tested with an emulator.

use attest::enrolment::{EnrolmentRequest, SECRET_BYTES};
use policies::Digest;

use super::*;
use crate::centre::enrolment::{EnrolmentAnswer, EnrolmentAsked, EnrolmentChallenge, Enrolments};

const PATH: &str = "/v1/admission/enrolments";
const ISSUER: &[u8] = include_bytes!("../../../../attest/src/evidence/tpm/fixtures/ek_issuer.pem");
const EK_CERTIFICATE: &[u8] = include_bytes!("../../../../attest/src/evidence/tpm/fixtures/ek_rsa.der");
const EK_PUBLIC: &[u8] = include_bytes!("../../../../attest/src/evidence/tpm/fixtures/ek_rsa.public");
const ATTESTATION: &[u8] = include_bytes!("../../../../attest/src/evidence/tpm/fixtures/attestation.json");

fn asked(region: &str) -> EnrolmentAsked {
    let attestation: attest::Attestation = serde_json::from_slice(ATTESTATION).unwrap();
    let attest::Evidence::Tpm(evidence) = attestation.evidence else { panic!("another kind") };
    let tpm = EnrolmentRequest {
        ek_certificates: vec![EK_CERTIFICATE.to_vec().into()],
        ek_public: EK_PUBLIC.to_vec().into(),
        ak_public: evidence.ak_public,
    };
    EnrolmentAsked { region: region.parse().unwrap(), tpm }
}

/// The sample policies with profiles of TPMs for eu-west, each with anchors of this file.
fn with_profiles(profiles: &[(&str, &[u8])]) -> PolicySet {
    let mut files = policies::sample::files();
    let value = Digest::of(b"value");
    let (mut text, mut names) = (String::from_utf8(files["attestation.toml"].clone()).unwrap(), String::new());
    for (name, anchors) in profiles {
        files.insert(format!("anchors/{name}.pem"), anchors.to_vec());
        text += &format!(
            "\n[[tpm]]\nname = \"{name}\"\nanchors = [\"anchors/{name}.pem\"]\npcrs = {{ 0 = [\"{value}\"] }}\n\
             programs = [\"{value}\"]\n"
        );
        names += &format!("\"{name}\", ");
    }
    files.insert("attestation.toml".to_owned(), text.into_bytes());
    let region = String::from_utf8(files["regions/eu-west.toml"].clone()).unwrap();
    let region = region.replace("profiles = [", &format!("profiles = [{names}"));
    files.insert("regions/eu-west.toml".to_owned(), region.into_bytes());
    PolicySet::parse(&files).unwrap()
}

/// Challenges that the centre holds at a time.
const ROOM: usize = 2;

/// A centre under such policies.
async fn centre(profiles: &[(&str, &[u8])]) -> Harness {
    let Harness { centre, router: before, clock, policies: _, operator, demo, nordlys, registry, keys, folder } =
        Harness::new().await;
    drop(before);
    let Ok(mut centre) = Arc::try_unwrap(centre) else { panic!("the centre is held elsewhere") };
    let policies = with_profiles(profiles);
    centre.put_in_force(signed(&policies));
    centre.enrolments = Enrolments::of_at_most(ROOM);
    let centre = Arc::new(centre);
    let router = router(Arc::clone(&centre));
    Harness { centre, router, clock, policies, operator, demo, nordlys, registry, keys, folder }
}

impl Harness {
    async fn ask(&self, asked: &EnrolmentAsked) -> Reply {
        self.call(Method::POST, PATH, None, serde_json::to_vec(asked).unwrap()).await
    }

    async fn answer(&self, id: &str, secret: &[u8]) -> Reply {
        let answer = EnrolmentAnswer { secret: secret.to_vec().into() };
        self.call(Method::POST, &format!("{PATH}/{id}"), None, serde_json::to_vec(&answer).unwrap()).await
    }
}

fn refused(detail: &str) -> (u16, String, String) {
    (403, "enrolment-refused".to_owned(), detail.to_owned())
}

fn unknown() -> (u16, String, String) {
    (404, "enrolment-unknown".to_owned(), String::new())
}

const OTHER_SECRET: &str = "The secret is not the one of the challenge.";

#[tokio::test]
async fn a_challenge_is_for_one_try_and_a_few_minutes() {
    let harness = centre(&[("tpm", ISSUER)]).await;
    let reply = harness.ask(&asked("eu-west")).await;
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
    let challenge: EnrolmentChallenge = reply.json();
    assert_eq!(challenge.expires_ms, NOW_MS + attest::challenge::CHALLENGE_MS);
    assert_eq!(harness.answer(&challenge.id, &[7; SECRET_BYTES]).await.problem(), refused(OTHER_SECRET));
    assert_eq!(harness.answer(&challenge.id, &[7; SECRET_BYTES]).await.problem(), unknown(), "it was used");
    let late: EnrolmentChallenge = harness.ask(&asked("eu-west")).await.json();
    let other: EnrolmentChallenge = harness.ask(&asked("eu-west")).await.json();
    assert_ne!((&late.id, &late.credential), (&other.id, &other.credential));
    harness.clock.advance(attest::challenge::CHALLENGE_MS - 1);
    assert_eq!(harness.answer(&other.id, &[]).await.problem(), refused(OTHER_SECRET), "in time");
    harness.clock.advance(1);
    assert_eq!(harness.answer(&late.id, &[7; SECRET_BYTES]).await.problem(), unknown(), "too late");
    for id in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", "%00"] {
        assert_eq!(harness.answer(id, &[7; SECRET_BYTES]).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}

#[tokio::test]
async fn the_first_profile_whose_anchors_lead_to_the_tpm_counts() {
    let other = policies::sample::files()["anchors/aws-nitro.pem"].clone();
    let by_second = centre(&[("other", &other), ("tpm", ISSUER)]).await;
    assert_eq!(by_second.ask(&asked("eu-west")).await.status, StatusCode::OK);
    let by_none = centre(&[("other", &other)]).await;
    let (status, kind, detail) = by_none.ask(&asked("eu-west")).await.problem();
    assert_eq!((status, kind.as_str()), (403, "enrolment-refused"));
    assert!(detail.ends_with('.') && detail.starts_with(char::is_uppercase), "{detail}");
    let no_profile = refused("The policy lets no TPM attest in this region.");
    assert_eq!(by_second.ask(&asked("eu-north")).await.problem(), no_profile);
    assert_eq!(by_second.ask(&asked("nowhere")).await.problem(), no_profile);
}

#[tokio::test]
async fn what_is_no_genuine_tpm_is_refused_and_told_why() {
    let harness = centre(&[("tpm", ISSUER)]).await;
    let ask = async |change: &dyn Fn(&mut EnrolmentRequest)| {
        let mut asked = asked("eu-west");
        change(&mut asked.tpm);
        harness.ask(&asked).await.problem()
    };
    let no_certificate = "The request has no certificate of an endorsement key, or too many certificates.";
    assert_eq!(ask(&|tpm| tpm.ek_certificates.clear()).await, refused(no_certificate));
    assert_eq!(
        ask(&|tpm| tpm.ek_certificates = vec![EK_CERTIFICATE.to_vec().into(); 10]).await,
        refused(no_certificate)
    );
    let other_key = "The endorsement key is not the one of its certificate.";
    assert_eq!(ask(&|tpm| tpm.ek_public.0.push(0)).await, refused(other_key));
    let (status, kind, _) = ask(&|tpm| tpm.ak_public.0.truncate(9)).await;
    assert_eq!((status, kind.as_str()), (403, "enrolment-refused"));
    for _ in 0..ROOM {
        assert_eq!(harness.ask(&asked("eu-west")).await.status, StatusCode::OK, "nothing is remembered of it");
    }
}

#[tokio::test]
async fn challenges_and_calls_are_bounded() {
    let harness = centre(&[("tpm", ISSUER)]).await;
    let asked = asked("eu-west");
    let first: EnrolmentChallenge = harness.ask(&asked).await.json();
    assert_eq!(harness.ask(&asked).await.status, StatusCode::OK);
    let full = (503, "enrolments-full".to_owned(), String::new());
    assert_eq!(harness.ask(&asked).await.problem(), full);
    harness.clock.advance(attest::challenge::CHALLENGE_MS);
    assert_eq!(harness.ask(&asked).await.status, StatusCode::OK, "what has ended makes room");
    let post = async |path: &str, body: Vec<u8>| {
        let (status, kind, _) = harness.call(Method::POST, path, None, body).await.problem();
        (status, kind)
    };
    let is = |status: u16, kind: &str| (status, kind.to_owned());
    assert_eq!(post(PATH, b"{}".to_vec()).await, is(422, "json-shape"));
    assert_eq!(
        post(PATH, vec![b' '; crate::centre::enrolment::ENROLMENT_BYTES_MAX + 1]).await,
        is(413, "body-too-large")
    );
    let answers = format!("{PATH}/{}", first.id);
    assert_eq!(
        post(&answers, vec![b' '; crate::centre::enrolment::ANSWER_BYTES_MAX + 1]).await,
        is(413, "body-too-large")
    );
    let long = serde_json::to_vec(&serde_json::json!({"secret": "A".repeat(48)})).unwrap();
    assert_eq!(post(&answers, long).await, is(422, "json-shape"));
}
