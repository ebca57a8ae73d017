use std::collections::BTreeSet;

use policies::rules::{AndroidValues, AppAttestValues};
use policies::rules::{KeySecurity, Status, WebAuthnValues};
use proptest::prelude::*;

use super::made::{Authority, NOW_MS, fresh_nonce};
use super::*;
use crate::privacy_pass::fuzz::FixedGenerator;

fn client_data(nonce: &str) -> Vec<u8> {
    use base64::Engine as _;
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(nonce);
    format!(r#"{{"type":"webauthn.create","challenge":"{challenge}","origin":"https://play.example"}}"#).into_bytes()
}

/// A registration that nothing vouches for, for this nonce.
fn registration(nonce: &str) -> DeviceEvidence {
    let data = made::WrittenData {
        rp_id_hash: *Digest::of(b"play.example").as_bytes(),
        flags: 0x41,
        counter: 0,
        aaguid: [0; 16],
        credential_id: vec![1; 16],
        key: made::es256_key(&[4; 65]),
        rest: Vec::new(),
    };
    DeviceEvidence::WebAuthn(WebAuthnEvidence {
        attestation_object: made::object("none", &[0xa0], &data.bytes()).into(),
        client_data: client_data(nonce).into(),
    })
}

fn values(unattested: bool) -> ReferenceValues {
    ReferenceValues::WebAuthn(WebAuthnValues {
        relying_party: "play.example".to_owned(),
        origins: BTreeSet::from(["https://play.example".to_owned()]),
        models: BTreeSet::new(),
        unattested,
    })
}

fn profile(name: &str, status_best: Status, values: ReferenceValues) -> Profile {
    Profile { name: name.to_owned(), anchors: Vec::new(), revoked: BTreeSet::new(), status_best, values }
}

fn policy() -> Digest {
    Digest::of(b"policy")
}

fn appraise(evidence: &DeviceEvidence, nonce: FreshNonce, profiles: &[&Profile]) -> Verdict {
    appraise_device(evidence, nonce, profiles, policy(), NOW_MS, &mut FixedGenerator::new(1))
}

fn failing(verdict: &Verdict) -> Vec<&str> {
    verdict.failing().map(|claim| claim.sentence.as_str()).collect()
}

#[test]
fn a_verdict_tells_policy_profile_and_what_decided() {
    let (nonce, text) = fresh_nonce(1);
    let lax = profile("web", Status::Affirming, values(true));
    let verdict = appraise(&registration(&text), nonce, &[&lax]);
    assert_eq!(
        (verdict.status(), verdict.tier(), verdict.kind()),
        (Status::Warning, Tier::Software, EvidenceKind::WebAuthn)
    );
    assert_eq!((verdict.policy(), verdict.profile()), (policy(), Some("web")));
    assert_eq!(
        failing(&verdict),
        ["Nothing vouches for the authenticator, which the policy accepts with this warning."]
    );
    let fresh =
        Claim::affirming(Subject::SourcedData, "The evidence was made for the nonce that was given out for this.");
    assert_eq!(verdict.claims().first(), Some(&fresh));
    assert_eq!(verdict.claims().len(), 5);
    let (nonce, text) = fresh_nonce(1);
    let again = appraise_device(&registration(&text), nonce, &[&lax], policy(), NOW_MS, &mut FixedGenerator::new(2));
    assert_ne!(again.id(), verdict.id(), "each verdict has a number of its own");
}

#[test]
fn evidence_for_another_nonce_is_contraindicated() {
    let lax = profile("web", Status::Affirming, values(true));
    let ((nonce, _), (_, other)) = (fresh_nonce(1), fresh_nonce(2));
    let verdict = appraise(&registration(&other), nonce, &[&lax]);
    assert_eq!(
        (verdict.status(), failing(&verdict)),
        (Status::Contraindicated, vec!["The evidence was made for another nonce."])
    );
}

/// The best profile stands, whatever the order; and what a profile says can only lower.
#[test]
fn profiles_lower_and_never_raise() {
    let (strict, lax) =
        (profile("strict", Status::Affirming, values(false)), profile("lax", Status::Affirming, values(true)));
    let lowered = profile("lowered", Status::Contraindicated, values(true));
    for profiles in [[&strict, &lax], [&lax, &strict]] {
        let (nonce, text) = fresh_nonce(1);
        let verdict = appraise(&registration(&text), nonce, &profiles);
        assert_eq!((verdict.status(), verdict.profile()), (Status::Warning, Some("lax")));
    }
    let (nonce, text) = fresh_nonce(1);
    assert_eq!(appraise(&registration(&text), nonce, &[&lowered]).status(), Status::Contraindicated);
    let (nonce, text) = fresh_nonce(1);
    assert_eq!(appraise(&registration(&text), nonce, &[&strict]).status(), Status::Contraindicated);
}

#[test]
fn a_kind_without_a_profile_is_contraindicated() {
    let android = AndroidValues {
        packages: BTreeSet::new(),
        signers: BTreeSet::new(),
        security_min: KeySecurity::Software,
        patch_level_min: 1,
    };
    let others = [
        profile("android", Status::Affirming, ReferenceValues::Android(android)),
        profile("ios", Status::Affirming, ReferenceValues::AppAttest(AppAttestValues::default())),
    ];
    for profiles in [&[][..], &[&others[0], &others[1]]] {
        let (nonce, text) = fresh_nonce(1);
        let verdict = appraise(&registration(&text), nonce, profiles);
        assert_eq!(
            (verdict.status(), verdict.profile(), verdict.tier()),
            (Status::Contraindicated, None, Tier::Software)
        );
        assert_eq!(failing(&verdict), ["The policy accepts no evidence of the kind web-authn here."]);
    }
}

#[test]
fn what_does_not_verify_is_contraindicated_and_says_why() {
    let (nonce, _) = fresh_nonce(1);
    let empty = DeviceEvidence::Android(AndroidEvidence { chain: Vec::new() });
    let android = AndroidValues {
        packages: BTreeSet::new(),
        signers: BTreeSet::new(),
        security_min: KeySecurity::Software,
        patch_level_min: 1,
    };
    let mut android = Authority::root("root").profile(ReferenceValues::Android(android));
    let verdict = appraise(&empty, nonce, &[&android]);
    assert_eq!(failing(&verdict), ["The evidence does not verify: a certificate cannot be read."]);
    // Anchors that can't be read are no anchors.
    android.anchors[0].pem.clear();
    let (nonce, _) = fresh_nonce(1);
    let verdict = appraise(&empty, nonce, &[&android]);
    assert_eq!(failing(&verdict), ["The evidence does not verify: the policy's trust anchors cannot be read."]);
    assert_eq!((verdict.status(), verdict.tier()), (Status::Contraindicated, Tier::Software));
}

#[test]
fn evidence_has_one_json_form() {
    let json = r#"{"kind":"android","chain":["AQID","BAUG"]}"#;
    let chain = vec![vec![1, 2, 3].into(), vec![4, 5, 6].into()];
    let android = DeviceEvidence::Android(AndroidEvidence { chain });
    assert_eq!(serde_json::from_str::<DeviceEvidence>(json).unwrap(), android);
    assert_eq!(serde_json::to_string(&android).unwrap(), json);
    let json = r#"{"kind":"app-attest","key_id":"AQ","attestation":"Ag"}"#;
    assert_eq!(serde_json::to_string(&serde_json::from_str::<DeviceEvidence>(json).unwrap()).unwrap(), json);
    let json = r#"{"kind":"web-authn","attestation_object":"AQ","client_data":"Ag"}"#;
    assert_eq!(serde_json::to_string(&serde_json::from_str::<DeviceEvidence>(json).unwrap()).unwrap(), json);
    let long = format!(r#"{{"kind":"app-attest","key_id":"{}","attestation":"Ag"}}"#, "A".repeat(44));
    let many = format!(r#"{{"kind":"android","chain":[{}"AA"]}}"#, r#""AA","#.repeat(CHAIN_MAX));
    for bad in [
        r#"{"kind":"tpm","chain":[]}"#,
        r#"{"kind":"android","chain":["AQ=="]}"#,
        r#"{"kind":"android","chain":[],"more":1}"#,
        r#"{"kind":"android"}"#,
        &long,
        &many,
    ] {
        assert!(serde_json::from_str::<DeviceEvidence>(bad).is_err(), "{bad}");
    }
}

const BODIES: [fn(&[u8]); 4] = [fuzz::evidence, fuzz::key_description, fuzz::app_attest, fuzz::web_authn];

#[test]
fn the_bodies_take_real_evidence() {
    let (_, nonce) = fresh_nonce(1);
    let evidence = serde_json::to_vec(&registration(&nonce)).unwrap();
    let DeviceEvidence::WebAuthn(registered) = registration(&nonce) else { return };
    let joined = [&registered.client_data[..], &[0], &registered.attestation_object].concat();
    for data in [&evidence[..], &joined, &registered.attestation_object] {
        BODIES.iter().for_each(|body| body(data));
    }
}

proptest! {
    #[test]
    fn the_bodies_take_any_bytes(data in prop::collection::vec(any::<u8>(), 0..400), body in 0..4_usize) {
        BODIES[body](&data);
    }

    /// Real evidence with a byte changed, and cut.
    #[test]
    fn the_bodies_take_damaged_evidence(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let (_, nonce) = fresh_nonce(1);
        let DeviceEvidence::WebAuthn(registered) = registration(&nonce) else { return Ok(()) };
        let mut joined = [&registered.client_data[..], &[0], &registered.attestation_object].concat();
        let at = at.index(joined.len());
        joined[at] = byte;
        let cut = &joined[..cut.index(joined.len())];
        for data in [&joined[..], cut] {
            BODIES.iter().for_each(|body| body(data));
        }
    }
}
