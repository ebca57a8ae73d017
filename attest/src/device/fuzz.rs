//! Bodies of the fuzz targets of devices' evidence.

use std::collections::BTreeSet;

use policies::Digest;
use policies::rules::{AndroidValues, AppAttestValues, KeySecurity, Profile, ReferenceValues, Status, WebAuthnValues};
use x509_cert::der::Decode as _;

use super::android::key_description::KeyDescription;
use super::app_attest::AppAttestEvidence;
use super::authenticator_data::{AuthenticatorData, Extensions};
use super::cose_key::CoseKey;
use super::web_authn::WebAuthnEvidence;
use super::{DeviceEvidence, android, appraise_device, web_authn};
use crate::challenge::FreshNonce;
use crate::evidence::chain::Anchors;
use crate::privacy_pass::fuzz::FixedGenerator;

/// A time within the validity of nothing in particular.
const NOW_MS: u64 = 1_800_000_000_000;

/// Body of the fuzz target `device_evidence`: evidence as a device sends it, by a profile of each kind.
///
/// # Panics
/// When evidence does not come back from its own JSON, or passes with no anchor and no value to compare it with.
pub fn evidence(data: &[u8]) {
    let Ok(evidence) = serde_json::from_slice::<DeviceEvidence>(data) else { return };
    let again = serde_json::to_vec(&evidence).expect("evidence is JSON");
    assert!(serde_json::from_slice::<DeviceEvidence>(&again).is_ok_and(|again| again == evidence));
    let android = AndroidValues {
        packages: BTreeSet::new(),
        signers: BTreeSet::new(),
        security_min: KeySecurity::Software,
        patch_level_min: 0,
    };
    let values = [
        ReferenceValues::Android(android),
        ReferenceValues::AppAttest(AppAttestValues::default()),
        ReferenceValues::WebAuthn(WebAuthnValues::default()),
    ];
    let profiles = values.map(|values| Profile {
        name: "fuzz".to_owned(),
        anchors: Vec::new(),
        revoked: BTreeSet::from(["1".to_owned()]),
        status_best: Status::Affirming,
        values,
    });
    let profiles: Vec<&Profile> = profiles.iter().collect();
    let mut generator = FixedGenerator::new(0);
    let nonce = FreshNonce::generate(&mut generator);
    let verdict = appraise_device(&evidence, nonce, &profiles, Digest::of(data), NOW_MS, &mut generator);
    assert_eq!(verdict.status(), Status::Contraindicated);
}

/// Body of the fuzz target `android_key_description`: the extension of a leaf, and the certificate around one.
pub fn key_description(data: &[u8]) {
    if let Ok(description) = KeyDescription::read(data) {
        let values = AndroidValues {
            packages: BTreeSet::from(["example".to_owned()]),
            signers: BTreeSet::from([Digest::of(data)]),
            security_min: KeySecurity::TrustedEnvironment,
            patch_level_min: 202_601,
        };
        assert_eq!(android::compare(&description, &values).len(), 6, "every claim is made");
    }
    if let Ok(certificate) = x509_cert::Certificate::from_der(data) {
        let _one_or_refused = super::certificate::extension(&certificate, android::KEY_DESCRIPTION);
    }
}

/// Body of the fuzz target `app_attest`: an attestation object.
pub fn app_attest(data: &[u8]) {
    let evidence = AppAttestEvidence { key_id: vec![0; 32].into(), attestation: data.to_vec().into() };
    assert!(super::app_attest::verify(&evidence, &Anchors::from_der(Vec::new()), NOW_MS).is_err(), "no anchor");
    for extensions in [Extensions::AsFlagged, Extensions::Unflagged] {
        if let Ok(read) = AuthenticatorData::read(data, extensions)
            && let Ok(key) = CoseKey::read(&read.key)
        {
            assert!(!key.verifies(data, data), "nothing signs itself");
        }
    }
}

/// Body of the fuzz target `web_authn`: the client's data up to the first zero byte, and the attestation object after it.
pub fn web_authn(data: &[u8]) {
    let middle = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (client_data, object) = data.split_at(middle);
    let object = object.get(1..).unwrap_or_default();
    let evidence =
        WebAuthnEvidence { attestation_object: object.to_vec().into(), client_data: client_data.to_vec().into() };
    if let Ok(found) = web_authn::verify(&evidence, &Anchors::from_der(Vec::new()), NOW_MS) {
        assert_eq!(web_authn::compare(&found.claims, &WebAuthnValues::default()).len(), 4, "every claim is made");
    }
}
