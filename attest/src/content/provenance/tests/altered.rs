//! Every byte counts, or changes nothing.

use super::fixtures::{CAPTURE, NOW_MS, Signatory, actions, definition, jpeg, mp4, rule};
use super::*;

fn codes(told: &Provenance) -> Vec<&str> {
    told.failures.iter().map(|failure| &*failure.code).collect()
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).expect("the part is there")
}

/// Changes one byte and says what is told.
fn changed(checker: &Checker, media_type: MediaType, clip: &[u8], at: usize) -> Result<Provenance, ProvenanceError> {
    let mut clip = clip.to_vec();
    clip[at] ^= 0x01;
    checker.check(media_type, &clip, NOW_MS)
}

#[test]
fn each_part_has_its_reason() {
    let signatory = Signatory::new();
    let clip = signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&actions(CAPTURE)));
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let good = checker.check(MediaType::Jpeg, &clip, NOW_MS).unwrap();
    // The picture: the signer is still known, and so is what was said of the picture as it was.
    let told = changed(&checker, MediaType::Jpeg, &clip, clip.len() - 100).unwrap();
    assert_eq!((told.state, codes(&told)), (State::Invalid, vec!["assertion.dataHash.mismatch"]));
    assert_eq!((&told.signer, &told.title), (&good.signer, &good.title));
    // An assertion, the claim and the signature: nothing of what is there is the signer's word.
    for (part, code) in
        [(b"digitalCapture".as_slice(), "assertion.hashedURI.mismatch"), (b"A picture", "claimSignature.mismatch")]
    {
        let told = changed(&checker, MediaType::Jpeg, &clip, find(&clip, part)).unwrap();
        assert_eq!(told.state, State::Invalid);
        assert!(codes(&told).contains(&code), "{code}: {told:?}");
        let described = (&told.signer, &told.title, &told.ai, &told.edits, &told.manifest);
        assert_eq!(described, (&None, &None, &None, &Vec::new(), &None), "{code}");
    }
}

#[test]
fn films_are_bound_whole() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    for fragments in [0, 3] {
        let clip = signatory.sign(MediaType::Mp4, &mp4(fragments), &definition(&actions(CAPTURE)));
        assert_eq!(checker.check(MediaType::Mp4, &clip, NOW_MS).map(|told| told.state), Ok(State::Trusted));
        let told = changed(&checker, MediaType::Mp4, &clip, clip.len() - 10).unwrap();
        assert_eq!((told.state, codes(&told)), (State::Invalid, vec!["assertion.bmffHash.mismatch"]), "{fragments}");
        let longer = [clip.as_slice(), b"\0\0\0\x0cmdatmore"].concat();
        let told = checker.check(MediaType::Mp4, &longer, NOW_MS).unwrap();
        assert_eq!((told.state, codes(&told)), (State::Invalid, vec!["assertion.bmffHash.mismatch"]), "{fragments}");
    }
}

/// A manifest made for a whole film says nothing of fragments that come one by one.
#[test]
fn a_fragment_needs_a_manifest_for_fragments() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let clip = signatory.sign(MediaType::Mp4, &mp4(2), &definition(&actions(CAPTURE)));
    let (init, fragment) = clip.split_at(find(&clip, b"moof") - 4);
    let told = checker.check_fragment(init, fragment, NOW_MS).unwrap();
    assert_eq!((told.state, codes(&told)), (State::Invalid, vec!["assertion.bmffHash.mismatch"]));
    assert_eq!(told.digest, Digest::of(&clip));
}

/// What is not found out changed nothing that is told: padding that no signature covers.
#[test]
fn no_changed_byte_changes_what_is_told() {
    let signatory = Signatory::new();
    let clip = signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&actions(CAPTURE)));
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let good = checker.check(MediaType::Jpeg, &clip, NOW_MS).unwrap();
    let (mut found, mut unnoticed) = (0, 0);
    for at in (0..clip.len()).step_by(37) {
        match changed(&checker, MediaType::Jpeg, &clip, at) {
            Ok(told) if told.state >= State::Unbound => {
                unnoticed += 1;
                let same = Provenance { digest: told.digest, ..good.clone() };
                assert_eq!(told, same, "at {at}");
            }
            // Another reason, or no manifest any more.
            Ok(_) | Err(_) => found += 1,
        }
    }
    assert!(found > 100 && unnoticed > 0, "{found} found, {unnoticed} in padding");
}

#[test]
fn a_cut_clip_is_never_what_it_was() {
    let signatory = Signatory::new();
    let clip = signatory.sign(MediaType::Jpeg, &jpeg(), &definition(&actions(CAPTURE)));
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    for end in (0..clip.len()).step_by(211) {
        let state = checker.check(MediaType::Jpeg, &clip[..end], NOW_MS).map_or(State::Invalid, |told| told.state);
        assert!(state <= State::None, "cut at {end}: {state:?}");
    }
}
