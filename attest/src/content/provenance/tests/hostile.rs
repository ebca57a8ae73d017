//! Bytes that mean harm.

use proptest::prelude::*;
use proptest::sample::Index;

use super::fixtures::{CAPTURE, NOW_MS, Signatory, actions, builder, clips, definition, jpeg, mp4, rule};
use super::*;

fn plain(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 8).unwrap();
    [&length.to_be_bytes(), kind.as_slice(), content].concat()
}

fn described(label: &str, boxes: &[u8]) -> Vec<u8> {
    typed([0; 16], label, boxes)
}

fn typed(kind: [u8; 16], label: &str, boxes: &[u8]) -> Vec<u8> {
    let description = [&kind, [0x03].as_slice(), label.as_bytes(), &[0]].concat();
    plain(b"jumb", &[plain(b"jumd", &description), boxes.to_vec()].concat())
}

/// A type of C2PA.
fn kind(code: &[u8; 4]) -> [u8; 16] {
    [code.as_slice(), &KIND_REST].concat().try_into().unwrap()
}

/// Puts more into the store's outermost box, at its end.
fn appended(store: &[u8], more: &[u8]) -> Vec<u8> {
    let length = u32::try_from(store.len() + more.len()).unwrap();
    [&length.to_be_bytes(), &store[4..], more].concat()
}

/// Assertions with a binding of all bytes to the digest.
fn forged(digest: &Digest) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = minicbor::Encoder::new(&mut bytes);
    encoder.map(2).unwrap().str("alg").unwrap().str("sha256").unwrap();
    encoder.str("hash").unwrap().bytes(digest.as_bytes()).unwrap();
    described("c2pa.assertions", &described("c2pa.hash.data", &plain(b"cbor", &bytes)))
}

/// A genuine manifest does not vouch for what stands beside it in its store.
#[test]
fn nothing_can_be_added_to_a_store() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let mine = Digest::of(b"my clip");
    let mut beside = builder(&definition(&actions(CAPTURE)));
    beside.set_no_embed(true);
    let (clip, whole) = signatory.save(MediaType::Jpeg, &jpeg(), beside);
    let (_, store) = signatory.save(MediaType::Jpeg, &jpeg(), builder(&definition(&actions(CAPTURE))));
    let label = checker.check_manifest(&whole, Digest::of(&clip), NOW_MS).unwrap().manifest.unwrap();
    for store in [whole.as_slice(), &store] {
        let with = |more: &[u8]| checker.check_manifest(&appended(store, more), mine, NOW_MS).map(|told| told.state);
        assert_eq!(with(&described("x", &forged(&mine))), Err(ProvenanceError::ManifestKind));
        assert_eq!(with(&described("x", &[])), Err(ProvenanceError::ManifestKind));
        assert_eq!(with(&typed(kind(b"c2cm"), "x", &forged(&mine))), Err(ProvenanceError::ManifestKind));
        let brotli = typed(kind(b"c2ma"), "x", &plain(b"brob", &[0; 20]));
        assert_eq!(with(&brotli), Err(ProvenanceError::Store(JumbfError::Compressed)));
        // As a manifest it would be the active one, and is not signed.
        for code in [b"c2ma", b"c2md", b"c2um"] {
            assert_eq!(with(&typed(kind(code), "x", &forged(&mine))), Ok(State::Invalid));
        }
    }
    // Of the same label.
    let twice = appended(&whole, &typed(kind(b"c2ma"), &label, &forged(&mine)));
    assert_eq!(checker.check_manifest(&twice, mine, NOW_MS), Err(ProvenanceError::ManifestTwice));
}

/// The same within the manifest: assertions of a type that `c2pa` passes over, in place of those that it found by theirs.
#[test]
fn nothing_can_be_added_to_a_manifest() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let mine = Digest::of(b"my clip");
    let (_, mut store) = signatory.save(MediaType::Jpeg, &jpeg(), builder(&definition(&actions(CAPTURE))));
    let forged = forged(&mine);
    let grow = |store: &mut Vec<u8>, at: usize| {
        let length = u32::from_be_bytes(store[at..at + 4].try_into().unwrap());
        let length = length + u32::try_from(forged.len()).unwrap();
        store[at..at + 4].copy_from_slice(&length.to_be_bytes());
    };
    let manifest = 8 + usize::try_from(u32::from_be_bytes(store[8..12].try_into().unwrap())).unwrap();
    for renamed in [false, true] {
        if renamed {
            let at = store.windows(16).position(|window| window == b"c2pa.assertions\0").unwrap();
            store[at..at + 15].copy_from_slice(b"c2pa.databoxes\0");
        }
        let mut store = store.clone();
        grow(&mut store, 0);
        grow(&mut store, manifest);
        store.extend_from_slice(&forged);
        let state = checker.check_manifest(&store, mine, NOW_MS).map(|told| told.state);
        assert!(state.is_err() || state.is_ok_and(|state| state <= State::Unbound), "{renamed}: {state:?}");
    }
}

/// Films and bindings by which a decoder works long.
#[test]
fn work_is_bounded_before_it_is_begun() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let signed = signatory.sign(MediaType::Mp4, &mp4(0), &definition(&actions(CAPTURE)));
    let many = [signed.as_slice(), &plain(b"free", &[]).repeat(film::BOXES_MAX)].concat();
    assert_eq!(checker.check(MediaType::Mp4, &many, NOW_MS), Err(ProvenanceError::Boxes));
    assert_eq!(checker.check_fragment(&many, &[], NOW_MS), Err(ProvenanceError::Boxes));
    assert_eq!(checker.check_fragment(&signed, &many, NOW_MS), Err(ProvenanceError::Boxes));
    let update =
        [b"\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81\0\0\0\0update\0".as_slice(), &[0; 8]];
    let update = [signed.as_slice(), &plain(b"uuid", &update.concat())].concat();
    assert_eq!(checker.check(MediaType::Mp4, &update, NOW_MS), Err(ProvenanceError::Purpose));
    let bound = |exclusions: &[u8]| {
        let content = [b"\xa1\x6aexclusions".as_slice(), exclusions].concat();
        let assertions = described("c2pa.assertions", &described("c2pa.hash.bmff.v3", &plain(b"cbor", &content)));
        let store = described("c2pa", &typed(kind(b"c2ma"), "x", &assertions));
        checker.check_manifest(&store, Digest::of(b""), NOW_MS).map(|told| told.state)
    };
    let list = |count: u8| [&[0x98, count], [0xa0].repeat(count.into()).as_slice()].concat();
    let subsets = |count: u8| [b"\x81\xa1\x66subset".as_slice(), &list(count)].concat();
    let refused = Err(ProvenanceError::Bindings);
    assert_eq!((bound(&list(64)), bound(&list(65))), (Ok(State::Invalid), refused));
    assert_eq!((bound(&subsets(64)), bound(&subsets(65))), (Ok(State::Invalid), refused));
    // Of unknown length, and nothing of the kind.
    assert_eq!((bound(&[0x9f, 0xff]), bound(&[0x00]), bound(&[0xf6])), (refused, refused, Ok(State::Invalid)));
}

/// Pictures of so many segments that a decoder would keep a node for each: without a manifest, and with one that holds.
#[test]
fn a_picture_of_millions_of_segments_is_refused() {
    const MANY: usize = 2_000_000;
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    for (media_type, clip) in clips() {
        // Where the first segment begins, and an empty one.
        let (at, empty): (usize, &[u8]) = match media_type {
            MediaType::Jpeg => (2, b"\xff\xfe\0\x02"),
            MediaType::Png => (8, b"\0\0\0\0teXt\x42\x16\x87\xc5"),
            MediaType::WebP => (12, b"EXIF\0\0\0\0"),
            MediaType::Mp4 => continue,
        };
        for clip in [signatory.sign(media_type, &clip, &definition(&actions(CAPTURE))), clip] {
            let mut many = [&clip[..at], &empty.repeat(MANY), &clip[at..]].concat();
            if media_type == MediaType::WebP {
                let length = u32::try_from(many.len() - 8).unwrap();
                many[4..8].copy_from_slice(&length.to_le_bytes());
            }
            assert_eq!(checker.check(media_type, &many, NOW_MS), Err(ProvenanceError::Segments), "{media_type:?}");
            assert_eq!(checker.check(media_type, &many[..many.len() / 2], NOW_MS), Err(ProvenanceError::Segments));
        }
    }
    // Restarts of a scan, which are two bytes each.
    let clip = jpeg();
    let (scan, end) = clip.split_at(clip.len() - 2);
    let restarts = [scan, &b"\xff\xd0".repeat(MANY), end].concat();
    assert_eq!(checker.check(MediaType::Jpeg, &restarts, NOW_MS), Err(ProvenanceError::Segments));
}

/// Nearly as many as may be.
#[test]
fn a_picture_of_as_many_segments_as_may_be_is_told() {
    let signatory = Signatory::new();
    let checker = Checker::new(&rule(&[&signatory.root_pem])).unwrap();
    let clip = jpeg();
    // Others stand in the picture and in the manifest.
    let many = [&clip[..2], &b"\xff\xfe\0\x02".repeat(picture::SEGMENTS_MAX - 1000), &clip[2..]].concat();
    let signed = signatory.sign(MediaType::Jpeg, &many, &definition(&actions(CAPTURE)));
    assert_eq!(checker.check(MediaType::Jpeg, &signed, NOW_MS).map(|told| told.state), Ok(State::Trusted));
}

#[test]
fn stores_are_bounded_before_they_are_decoded() {
    let checker = Checker::new(&rule(&[])).unwrap();
    let check = |store: &[u8]| checker.check_manifest(store, Digest::of(b""), NOW_MS).map(|told| told.state);
    let many: Vec<u8> = (0..=MANIFESTS_MAX).flat_map(|n| described(&n.to_string(), &plain(b"json", b"{}"))).collect();
    assert_eq!(check(&described("c2pa", &many)), Err(ProvenanceError::Manifests));
    let deep = (0..40).fold(plain(b"json", b"{}"), |inner, _| described("c2pa", &inner));
    assert_eq!(check(&deep), Err(ProvenanceError::Store(JumbfError::TooDeep)));
    let nested = [vec![0x81; 100], vec![0]].concat();
    assert_eq!(check(&described("c2pa", &plain(b"cbor", &nested))), Err(ProvenanceError::Store(JumbfError::TooDeep)));
    assert_eq!(check(&vec![0; jumbf::BYTES_MAX + 1]), Err(ProvenanceError::Store(JumbfError::TooLong)));
    // Well-formed, and no manifest store.
    assert_eq!(check(&described("c2pa", &plain(b"json", b"{}"))), Ok(State::Invalid));
}

/// The same in a clip: the segment of a JPEG that holds the store.
#[test]
fn a_store_in_a_clip_is_bounded_too() {
    let checker = Checker::new(&rule(&[])).unwrap();
    let with_type = |inner: &[u8]| {
        let description = [b"c2pa".as_slice(), &[0; 12], &[0x03], b"c2pa\0"].concat();
        plain(b"jumb", &[plain(b"jumd", &description), inner.to_vec()].concat())
    };
    let deep = (0..40).fold(plain(b"json", b"{}"), |inner, _| described("a", &inner));
    let store = with_type(&deep);
    let segment = [b"JP\x02\x11\0\0\0\x01".as_slice(), &store].concat();
    let length = u16::try_from(segment.len() + 2).unwrap();
    let clip = jpeg();
    let clip = [&clip[..2], &[0xff, 0xeb], &length.to_be_bytes(), &segment, &clip[2..]].concat();
    let expected = Err(ProvenanceError::Store(JumbfError::TooDeep));
    assert_eq!(checker.check(MediaType::Jpeg, &clip, NOW_MS), expected);
}

/// A panic below is a refusal, and the next clip is checked.
#[test]
fn a_panic_is_a_refusal() {
    let work: Result<(), ProvenanceError> = guard(|| panic!("planted"));
    assert_eq!(work, Err(ProvenanceError::Malformed));
    assert_eq!(guard(|| Ok(5)), Ok(5));
}

/// The fuzz targets come to what follows upon trust: their seeds are believed.
#[test]
fn seeds_of_the_fuzz_targets_are_trusted() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
    let seed = |path: &str| std::fs::read(format!("{seeds}/{path}")).unwrap();
    for (media_type, name) in
        [(MediaType::Jpeg, "jpeg"), (MediaType::Png, "png"), (MediaType::WebP, "webp"), (MediaType::Mp4, "mp4")]
    {
        let clip = seed(&format!("provenance_clip/{name}"));
        let told = fuzz::judge(|checker| checker.check(media_type, &clip, NOW_MS));
        assert_eq!(told.map(|told| told.state), Some(State::Trusted), "{name}");
    }
    let store = seed("provenance_manifest/clip");
    let told = fuzz::judge(|checker| checker.check_manifest(&store, Digest::of(b""), NOW_MS)).unwrap();
    assert_eq!((told.state, told.signer.map(|signer| signer.trusted)), (State::Unbound, Some(true)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_are_told_or_refused(data in proptest::collection::vec(any::<u8>(), 0..600), kind in 0_usize..4) {
        let head: &[u8] = [&[0xff, 0xd8, 0xff, 0xeb], b"\x89PNG\r\n\x1a\n".as_slice(), b"RIFF\0\0\0\0WEBP", b"\0\0\0\x08ftyp"][kind];
        fuzz::clip(&[head, &data].concat());
        fuzz::manifest(&data);
        fuzz::fragment(&[&[128], head, &data, head].concat());
    }

    /// A manifest store that is read, with a few bytes changed.
    #[test]
    fn changed_stores_are_told_or_refused(changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..8)) {
        let signatory = Signatory::fixed();
        let (_, mut store) = signatory.save(MediaType::Jpeg, &jpeg(), builder(&definition(&actions(CAPTURE))));
        for (at, value) in changes {
            let at = at.index(store.len());
            store[at] = value;
        }
        fuzz::manifest(&store);
    }
}
