//! A manifest without its clip.

use super::fixtures::{CAPTURE, NOW_MS, Signatory, actions, builder, definition, jpeg, mp4, rule};
use super::*;

fn codes(told: &Provenance) -> Vec<&str> {
    told.failures.iter().map(|failure| &*failure.code).collect()
}

#[test]
fn without_the_clip_a_manifest_is_bound_to_nothing() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    for (media_type, clip) in [(MediaType::Jpeg, jpeg()), (MediaType::Mp4, mp4(0))] {
        let (signed, store) = signatory.save(media_type, &clip, builder(&definition(&actions(CAPTURE))));
        let told = checker.check_manifest(&store, Digest::of(&signed), NOW_MS).unwrap();
        let whole = checker.check(media_type, &signed, NOW_MS).unwrap();
        // All else is as if the clip had come.
        let expected = Provenance { state: State::Unbound, asset: Some(Binding::NotChecked), ..whole };
        assert_eq!(told, expected, "{media_type:?}");
        let nobody = Checker::new(&rule(&[])).unwrap().check_manifest(&store, Digest::of(&signed), NOW_MS).unwrap();
        assert_eq!((nobody.state, codes(&nobody)), (State::Unbound, vec!["signingCredential.untrusted"]));
    }
}

/// A manifest that stands beside its clip binds every byte of it, and then the digest answers for it.
#[test]
fn a_digest_answers_for_a_clip_that_is_bound_whole() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let mut beside = builder(&definition(&actions(CAPTURE)));
    beside.set_no_embed(true);
    let (clip, store) = signatory.save(MediaType::Jpeg, &jpeg(), beside);
    let told = checker.check_manifest(&store, Digest::of(&clip), NOW_MS).unwrap();
    assert_eq!((told.state, told.asset, codes(&told)), (State::Trusted, Some(Binding::Checked), vec![]));
    let told = checker.check_manifest(&store, Digest::of(b"another"), NOW_MS).unwrap();
    let expected = (State::Invalid, Some(Binding::Checked), vec!["assertion.dataHash.mismatch"]);
    assert_eq!((told.state, told.asset, codes(&told)), expected);
}

#[test]
fn a_changed_manifest_does_not_hold() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let (signed, store) = signatory.save(MediaType::Jpeg, &jpeg(), builder(&definition(&actions(CAPTURE))));
    for (part, code) in [("digitalCapture", "assertion.hashedURI.mismatch"), ("A picture", "claimSignature.mismatch")] {
        let mut changed = store.clone();
        let at = changed.windows(part.len()).position(|window| window == part.as_bytes()).unwrap();
        changed[at] ^= 1;
        let told = checker.check_manifest(&changed, Digest::of(&signed), NOW_MS).unwrap();
        assert_eq!((told.state, codes(&told).contains(&code), &told.signer), (State::Invalid, true, &None), "{told:?}");
    }
    assert_eq!(checker.check_manifest(&[], Digest::of(b""), NOW_MS), Err(ProvenanceError::Store(JumbfError::Length)));
}
