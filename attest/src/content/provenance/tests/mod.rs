mod altered;
mod claims;
mod fixtures;
mod hostile;
mod manifest_only;
mod trust;

use std::collections::BTreeSet;

use policies::Digest;

use super::*;
use fixtures::{CAPTURE, NOW_MS, Signatory, actions, definition, jpeg, rule};

/// What is told of [`fixtures::definition`] in a container.
fn expected(clip: &[u8], label: &str) -> Provenance {
    Provenance {
        state: State::Trusted,
        digest: Digest::of(clip),
        asset: Some(Binding::Checked),
        manifest: Some(label.to_owned()),
        signer: Some(Signer {
            common_name: Some("A photographer".to_owned()),
            organisation: Some("Pictures Ltd".to_owned()),
            issuer: Some("A root of pictures".to_owned()),
            algorithm: Some("es256".to_owned()),
            signed_at: None,
            trusted: true,
        }),
        claim_generator: Some("siwa-tests 1.2".to_owned()),
        title: Some("A picture".to_owned()),
        ai: Some(Ai { made: AiUse::NotStated, disclosure: false, mining: Vec::new() }),
        edits: vec![Edit { action: "c2pa.created".to_owned(), source_type: Some("digitalCapture".to_owned()) }],
        edits_left_off: 0,
        ingredients: Some(Ingredients { count: 0, depth: 0, parent: false }),
        missing_assertions: Vec::new(),
        failures: Vec::new(),
        open_to_change: false,
    }
}

#[test]
fn every_media_type_is_checked() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    for (media_type, clip) in fixtures::clips() {
        let signed = signatory.sign(media_type, &clip, &definition(&actions(CAPTURE)));
        let told = checker.check(media_type, &signed, NOW_MS).unwrap();
        let label = told.manifest.clone().unwrap_or_default();
        assert!(label.starts_with("urn:c2pa:"), "{media_type:?}: {told:?}");
        assert_eq!(told, expected(&signed, &label), "{media_type:?}");
        // Without one there is nothing to tell, which is worse than any manifest that holds.
        let nothing = Provenance::of_state(State::None, Digest::of(&clip));
        assert_eq!(checker.check(media_type, &clip, NOW_MS), Ok(nothing), "{media_type:?}");
    }
    assert!(State::Invalid < State::None && State::None < State::Unbound && State::Unbound < State::Valid);
}

#[test]
fn media_types_have_names() {
    for media_type in MediaType::ALL {
        assert_eq!(MediaType::parse(media_type.as_str()), Some(media_type));
    }
    assert_eq!(MediaType::parse("Image/JPEG; charset=x"), Some(MediaType::Jpeg));
    for other in ["", "image/gif", "application/c2pa", "jpeg", "video/mp4x"] {
        assert_eq!(MediaType::parse(other), None, "{other}");
    }
}

#[test]
fn a_clip_is_what_it_is_said_to_be() {
    let checker = Checker::new(&rule(&[])).unwrap();
    for (media_type, clip) in fixtures::clips() {
        for other in MediaType::ALL.into_iter().filter(|other| *other != media_type) {
            assert_eq!(
                checker.check(other, &clip, NOW_MS),
                Err(ProvenanceError::MediaType),
                "{media_type:?} {other:?}"
            );
        }
    }
    assert_eq!(checker.check(MediaType::Png, b"\x89PNG\r\n\x1a\n\0\0\0\x0d", NOW_MS), Err(ProvenanceError::Container));
}

#[test]
fn the_longest_result_fits_an_answer() {
    let text = "\"".repeat(TEXT_BYTES_MAX);
    let some = || Some(text.clone());
    let longest = Provenance {
        state: State::Trusted,
        digest: Digest::of(b""),
        asset: Some(Binding::NotChecked),
        manifest: some(),
        signer: Some(Signer {
            common_name: some(),
            organisation: some(),
            issuer: some(),
            algorithm: Some("ed25519".to_owned()),
            signed_at: Some(SignedAt { seconds: u64::MAX, trusted: false }),
            trusted: false,
        }),
        claim_generator: some(),
        title: some(),
        ai: Some(Ai {
            made: AiUse::NotStated,
            disclosure: false,
            mining: vec![
                Mining { purpose: "c2pa.ai_generative_training".to_owned(), allowed: MiningUse::NotAllowed };
                8
            ],
        }),
        edits: vec![
            Edit { action: "x".repeat(TEXT_BYTES_MAX), source_type: Some("x".repeat(TEXT_BYTES_MAX)) };
            EDITS_MAX
        ],
        edits_left_off: usize::MAX,
        ingredients: Some(Ingredients { count: usize::MAX, depth: 16, parent: false }),
        missing_assertions: vec!["c2pa.some.assertion".to_owned(); 8],
        failures: vec![Failure::of_code("assertion.action.ingredientMismatch", Part::Ingredient); FAILURES_MAX],
        open_to_change: false,
    };
    let length = serde_json::to_vec(&longest).unwrap().len();
    // An answer is base64 of this and a few hundred bytes more.
    assert!(length * 4 / 3 + 2048 < crate::jws::TOKEN_BYTES_MAX, "{length} bytes");
}

#[test]
fn nothing_is_fetched_or_written() {
    let settings = settings(String::new());
    assert_eq!(settings.trust.trust_anchors, None);
    let verify =
        (settings.verify.verify_after_reading, settings.verify.ocsp_fetch, settings.verify.remote_manifest_fetch);
    assert_eq!(verify, (true, false, false));
    assert_eq!(settings.core.allowed_network_hosts, Some(Vec::new()));
    // The crate is built without a client at all.
    let request = Context::new().with_settings(settings).unwrap();
    assert!(request.settings().core.backing_store_memory_threshold_in_mb >= 1 << 20);
}

#[test]
fn required_assertions_are_asked_for() {
    let signatory = Signatory::new();
    let signed = signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&actions(CAPTURE)));
    let with = |labels: &[&str]| {
        let required: BTreeSet<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let rule = ProvenanceRule { required_assertions: required, ..rule(&[&signatory.root_pem]) };
        let told = Checker::new(&rule).unwrap().check(MediaType::Jpeg, &signed, NOW_MS).unwrap();
        (told.state, told.missing_assertions)
    };
    assert_eq!(with(&["c2pa.actions", "c2pa.hash.data"]), (State::Trusted, vec![]));
    let missing = vec!["stds.schema-org.CreativeWork".to_owned()];
    assert_eq!(with(&["c2pa.actions", "stds.schema-org.CreativeWork"]), (State::Valid, missing));
}
