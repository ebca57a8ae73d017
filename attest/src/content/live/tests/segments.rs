use proptest::prelude::*;

use super::super::fixtures::{Cbor, Information, ManifestParts, SessionKey, Usage, boxed, keys_assertion, media};
use super::super::{CoseError, HashError, ManifestError, SEGMENT_BYTES_MAX, SEQUENCE_WINDOW, SessionKeyError, Splice};
use super::*;

#[test]
fn the_five_orders_are_told_apart() {
    let (source, mut stream) = opened();
    let mut say = |number| stream.segment(&source.segment(number), NOW_MS);
    assert_eq!(say(10), whole(10, Order::InOrder));
    assert_eq!(say(11), whole(11, Order::InOrder));
    assert_eq!(say(14), whole(14, Order::Gap { missing_from: 12, missing_to: 13 }));
    assert_eq!(say(14), whole(14, Order::Replay));
    assert_eq!(say(10), whole(10, Order::Replay));
    assert_eq!(say(13), whole(13, Order::Reordered));
    assert_eq!(say(13), whole(13, Order::Replay));
    assert_eq!(say(15), whole(15, Order::InOrder));
    assert_eq!(
        say(15 + SEQUENCE_WINDOW),
        whole(15 + SEQUENCE_WINDOW, Order::Gap { missing_from: 16, missing_to: 14 + SEQUENCE_WINDOW })
    );
    assert_eq!(say(15), whole(15, Order::Stale));
    assert_eq!(say(16), whole(16, Order::Reordered));
    assert_eq!(stream.last_number(), Some(15 + SEQUENCE_WINDOW));
}

#[test]
fn segments_of_another_stream_are_spliced() {
    let (source, mut stream) = opened();
    assert_eq!(stream.segment(&source.segment(1), NOW_MS), whole(1, Order::InOrder));
    // Another manifest of the same source, by the same session key.
    let other = Information::by(&source.sessions[0], "urn:c2pa:another").segment(2, &media(2));
    assert_eq!(stream.segment(&other, NOW_MS), whole(2, Order::Spliced(Splice::Manifest)));
    // Another source, whose key has another name, or the same.
    let mut thief = Source::new("thief", Authority::new("Thief").signer("Thief"), Key::p256(), NOW_MS);
    let forged = SegmentError::Signature(CoseError::Signature);
    assert_eq!(stream.segment(&thief.segment(2), NOW_MS), nobodys(Order::Spliced(Splice::Manifest), forged));
    thief.sessions[0].kid = b"key-2".to_vec();
    let unknown = nobodys(Order::Spliced(Splice::Key), SegmentError::UnknownKey);
    assert_eq!(stream.segment(&thief.segment(2), NOW_MS), unknown);
    // One that claims to be of this manifest: nobody vouches for anything.
    thief.manifest_id.clone_from(&source.manifest_id);
    assert_eq!(stream.segment(&thief.segment(2), NOW_MS), unknown);
    thief.sessions[0].kid = b"key-1".to_vec();
    assert_eq!(stream.segment(&thief.segment(2), NOW_MS), nobodys(Order::Unknown, forged));
    // The source itself signs two segments of one number.
    let second = Information::by(&source.sessions[0], &source.manifest_id).segment(1, &media(99));
    assert_eq!(stream.segment(&second, NOW_MS), whole(1, Order::Spliced(Splice::Number)));
    // None of them moved the stream.
    assert_eq!(stream.segment(&source.segment(2), NOW_MS), whole(2, Order::InOrder));
}

#[test]
fn changed_media_is_no_segment_and_moves_nothing() {
    let (source, mut stream) = opened();
    let mismatch = SegmentError::Hash(HashError::Mismatch);
    let segment = source.segment(1);
    let mut changed = segment.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    assert_eq!(stream.segment(&changed, NOW_MS), broken(1, Order::InOrder, mismatch));
    assert_eq!(stream.last_number(), None);
    // Boxes put in, taken away, or exchanged.
    let longer = [segment.clone(), boxed(b"mdat", &[b"more"])].concat();
    assert_eq!(stream.segment(&longer, NOW_MS), broken(1, Order::InOrder, mismatch));
    let shorter = &segment[..range(&segment, b"mdat").start];
    assert_eq!(stream.segment(shorter, NOW_MS), broken(1, Order::InOrder, mismatch));
    let other = source.segment(2);
    let exchanged = [&segment[..range(&segment, b"emsg").end], &other[range(&other, b"emsg").end..]].concat();
    assert_eq!(stream.segment(&exchanged, NOW_MS), broken(1, Order::InOrder, mismatch));
    let moved = [&boxed(b"free", &[]), segment.as_slice()].concat();
    assert_eq!(stream.segment(&moved, NOW_MS), broken(1, Order::InOrder, mismatch));
    assert_eq!(stream.segment(&segment, NOW_MS), whole(1, Order::InOrder));
}

#[test]
fn what_is_not_signed_as_it_must_be() {
    let (source, mut stream) = opened();
    let segment = source.segment(1);
    let emsg = &segment[range(&segment, b"emsg")];
    let mut say = |segment: &[u8]| stream.segment(segment, NOW_MS);
    let unknown = |error| nobodys(Order::Unknown, error);
    assert_eq!(say(&vec![0; SEGMENT_BYTES_MAX + 1]), unknown(SegmentError::TooLong));
    assert_eq!(say(&media(1)), unknown(SegmentError::Unsigned));
    assert_eq!(say(&[]), unknown(SegmentError::Unsigned));
    assert_eq!(say(&segment[..segment.len() - 1]), unknown(SegmentError::Boxes));
    assert_eq!(say(&[&segment, emsg].concat()), unknown(SegmentError::Boxes), "two messages");
    let by = |value| Information { value, ..Information::by(&source.sessions[0], &source.manifest_id) };
    assert_eq!(say(&by("iseg").segment(1, &media(1))), unknown(SegmentError::Boxes));
    for (name, value) in [
        ("sequenceNumber", Cbor::Integer(-1)),
        ("sequenceNumber", Cbor::text("1")),
        ("manifestId", Cbor::text("")),
        ("manifestId", Cbor::Text("x".repeat(257))),
        ("manifestId", Cbor::Null),
    ] {
        let changed = source.segment_with(1, |map| map.set(name, value.clone()));
        assert_eq!(say(&changed), unknown(SegmentError::Information), "{name}");
    }
    let hash = |error| broken(1, Order::InOrder, SegmentError::Hash(error));
    assert_eq!(say(&source.segment_with(1, |map| map.remove("bmffHash"))), hash(HashError::Missing));
    let set = |name: &'static str, value: Cbor| {
        source.segment_with(1, move |map| {
            let Cbor::Map(fields) = map else { panic!("a map") };
            let (_, hash) = fields.iter_mut().find(|(key, _)| *key == Cbor::text("bmffHash")).expect("a hash");
            hash.set(name, value.clone());
        })
    };
    assert_eq!(say(&set("merkle", Cbor::Array(vec![]))), hash(HashError::Merkle));
    assert_eq!(say(&set("exclusions", Cbor::Array(vec![]))), hash(HashError::Exclusion));
    assert_eq!(say(&set("alg", Cbor::text("crc32"))), hash(HashError::Algorithm));
    // Another message stays under the hash.
    let scte = boxed(b"emsg", &[b"\0\0\0\0urn:scte:scte35:2013:bin\0\x31\0", &[0; 16], b"break"]);
    let rest = [scte, media(1)].concat();
    let mut with = Information::by(&source.sessions[0], &source.manifest_id).segment(1, &rest);
    let at = place(&with, b"break");
    with[at] ^= 1;
    assert_eq!(say(&with), hash(HashError::Mismatch));
    with[at] ^= 1;
    assert_eq!(say(&with), whole(1, Order::InOrder));
}

#[test]
fn a_session_key_signs_in_its_time_from_its_first_segment_on() {
    let (mut source, anchors) = setting();
    source.sessions[0].first_number = 100;
    let mut stream = open(&source, &anchors);
    assert_eq!(stream.segment(&source.segment(99), NOW_MS), broken(99, Order::InOrder, SegmentError::BeforeKey));
    let refused = |error| broken(100, Order::InOrder, error);
    // Half a minute either way is for clocks.
    let (begins, ends) = (NOW_MS - 30_000, NOW_MS + 3_600_000 + 30_000);
    assert_eq!(stream.segment(&source.segment(100), begins - 1), refused(SegmentError::KeyNotYetValid));
    assert_eq!(stream.segment(&source.segment(100), ends + 1), refused(SegmentError::KeyExpired));
    let at = |iat_s: u64| {
        let iat_s = i64::try_from(iat_s).ok();
        Information { iat_s, ..Information::by(&source.sessions[0], &source.manifest_id) }.segment(100, &media(100))
    };
    assert_eq!(stream.segment(&at(begins / 1000 - 1), NOW_MS), refused(SegmentError::KeyNotYetValid));
    assert_eq!(stream.segment(&at(ends / 1000 + 1), NOW_MS), refused(SegmentError::KeyExpired));
    assert_eq!(stream.segment(&at(NOW_MS / 1000), ends + 1), refused(SegmentError::KeyExpired), "dated back");
    assert_eq!(stream.segment(&at(NOW_MS / 1000 + 5), ends), whole(100, Order::InOrder));
    assert_eq!(stream.segment(&source.segment(101), begins), whole(101, Order::InOrder));
}

#[test]
fn a_signer_whose_certificate_ends_signs_nothing_more() {
    let authority = Authority::new("Nordlys");
    let signer = authority.signer_for("Nordlys", Usage::DocumentSigning, 2027);
    let mut source = Source::new("nordlys", signer, Key::p256(), NOW_MS);
    source.sessions[0].validity_s = 399 * 86_400;
    let mut stream = open(&source, &authority.anchors());
    // 2027-01-01.
    let end_ms = 1_798_761_600_000;
    assert_eq!(stream.expires_ms(), end_ms);
    assert_eq!(stream.segment(&source.segment(1), end_ms), whole(1, Order::InOrder));
    let refused = broken(2, Order::InOrder, SegmentError::SignerExpired);
    assert_eq!(stream.segment(&source.segment(2), end_ms + 1), refused);
}

#[test]
fn a_segment_renews_the_session_keys() {
    let (mut source, anchors) = setting();
    let mut stream = open(&source, &anchors);
    assert_eq!(stream.segment(&source.segment(1), NOW_MS), whole(1, Order::InOrder));
    let mut next = SessionKey::new("key-2", Key::ed25519(2), NOW_MS + 3_000_000);
    next.first_number = 3;
    let keys = |key: &SessionKey| Cbor::map([("keys", Cbor::Array(vec![key.entry(&source.signer.chain[0])]))]);
    let parts = ManifestParts::new("urn:c2pa:second", vec![keys_assertion(keys(&next))]);
    let later = NOW_MS + 3_500_000;
    // Not for segments that have passed, not in another segment, not by a key that introduces itself.
    let known = &source.sessions[0];
    let early = source.renewing_segment(4, &parts, known);
    let back = SegmentError::SessionKeys(SessionKeyError::MinimumNumber);
    assert_eq!(stream.segment(&early, later), nobodys(Order::Unknown, back));
    let itself = nobodys(Order::Spliced(Splice::Key), SegmentError::UnknownKey);
    assert_eq!(stream.segment(&source.renewing_segment(3, &parts, &next), later), itself);
    let renewing = source.renewing_segment(3, &parts, known);
    let mut moved = renewing.clone();
    *moved.last_mut().expect("bytes") ^= 1;
    let other = SegmentError::Manifest(ManifestError::Hash(HashError::Mismatch));
    assert_eq!(stream.segment(&moved, later), nobodys(Order::Unknown, other));
    assert_eq!(stream.segment(&renewing, later), whole(3, Order::Gap { missing_from: 2, missing_to: 2 }));
    assert_eq!((stream.manifest_id(), stream.expires_ms()), ("urn:c2pa:second", NOW_MS + 6_600_000));
    // A late one of the manifest before, and none that would go on with it.
    assert_eq!(stream.segment(&source.segment(2), later), whole(2, Order::Reordered));
    assert_eq!(stream.segment(&source.segment(4), later), whole(4, Order::Spliced(Splice::Manifest)));
    source.sessions = vec![next];
    "urn:c2pa:second".clone_into(&mut source.manifest_id);
    assert_eq!(stream.segment(&source.segment(4), NOW_MS + 6_000_000), whole(4, Order::InOrder));
    // Another signer whom the policy believes as well is not this stream's.
    let authority = Authority::new("Both");
    let (own, foreign) = (authority.signer("Own"), authority.signer("Foreign"));
    let own = Source::new("own", own, Key::p256(), NOW_MS);
    let foreign = Source::new("foreign", foreign, Key::p256(), NOW_MS);
    let mut stream = open(&own, &authority.anchors());
    let parts = ManifestParts::new("urn:c2pa:third", vec![keys_assertion(foreign.session_keys())]);
    let segment = foreign.renewing_segment(0, &parts, &own.sessions[0]);
    assert_eq!(stream.segment(&segment, NOW_MS), nobodys(Order::Spliced(Splice::Key), SegmentError::UnknownKey));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Of an event, its time fields alone are under no signature; of the rest, nothing.
    #[test]
    fn a_flipped_bit_refuses_the_segment(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (source, mut stream) = opened();
        let mut segment = source.segment(1);
        let times = place(&segment, b"fseg\0") + 5;
        let at = at.index(segment.len());
        segment[at] ^= 1 << bit;
        let unsigned = (times..times + 4).contains(&at) || (times + 8..times + 16).contains(&at);
        prop_assert_eq!(stream.segment(&segment, NOW_MS).accepted(), unsigned);
        prop_assert_eq!(stream.last_number(), unsigned.then_some(1));
    }

    #[test]
    fn a_cut_or_lengthened_segment_is_refused(at in any::<prop::sample::Index>(), more in prop::collection::vec(any::<u8>(), 1..40)) {
        let (source, mut stream) = opened();
        let segment = source.segment(1);
        prop_assert!(!stream.segment(&segment[..at.index(segment.len())], NOW_MS).accepted());
        prop_assert!(!stream.segment(&[segment, more].concat(), NOW_MS).accepted());
        prop_assert_eq!(stream.last_number(), None);
    }
}
