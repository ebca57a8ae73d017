use super::super::fixtures::{Cbor, ManifestParts};
use super::super::{HashError, ManifestError, Method, Splice};
use super::*;
use crate::evidence::chain::ChainError;

/// The source's segments `from..=to`, each after the one before it.
fn chain(source: &Source, from: u64, to: u64) -> Vec<Vec<u8>> {
    let mut previous = source.manifest_id.clone();
    let next = |number| {
        let (segment, id) = source.manifest_segment(number, &previous);
        previous = id;
        segment
    };
    (from..=to).map(next).collect()
}

fn opened_without_keys(source: &Source, anchors: &Arc<Anchors>) -> LiveStream {
    let stream = LiveStream::open(&source.init_without_keys(), anchors, NOW_MS).expect("the source is honest");
    assert_eq!(stream.method(), Method::ManifestBox);
    stream
}

#[test]
fn the_five_orders_are_told_apart() {
    let (source, anchors) = setting();
    let mut stream = opened_without_keys(&source, &anchors);
    let segments = chain(&source, 0, 6);
    let mut say = |number: usize| stream.segment(&segments[number], NOW_MS);
    assert_eq!(say(1), whole(1, Order::InOrder));
    assert_eq!(say(2), whole(2, Order::InOrder));
    assert_eq!(say(5), whole(5, Order::Gap { missing_from: 3, missing_to: 4 }));
    assert_eq!(say(2), whole(2, Order::Replay));
    assert_eq!(say(4), whole(4, Order::Reordered));
    assert_eq!(say(3), whole(3, Order::Reordered));
    assert_eq!(say(3), whole(3, Order::Replay));
    assert_eq!(say(0), whole(0, Order::Reordered));
    assert_eq!(say(6), whole(6, Order::InOrder));
}

#[test]
fn segments_of_another_stream_are_spliced() {
    let authority = Authority::new("Nordlys");
    let (mut source, anchors) =
        (Source::new("nordlys", authority.signer("Nordlys"), Key::p256(), NOW_MS), authority.anchors());
    let mut stream = opened_without_keys(&source, &anchors);
    let segments = chain(&source, 1, 5);
    assert_eq!(stream.segment(&segments[0], NOW_MS), whole(1, Order::InOrder));
    // The next that does not follow, and a late one that its neighbours do not know.
    let (stray, _) = source.manifest_segment(2, "urn:c2pa:stray");
    assert_eq!(stream.segment(&stray, NOW_MS), whole(2, Order::Spliced(Splice::Chain)));
    assert_eq!(stream.segment(&segments[2], NOW_MS), whole(3, Order::Gap { missing_from: 2, missing_to: 2 }));
    assert_eq!(stream.segment(&stray, NOW_MS), whole(2, Order::Spliced(Splice::Chain)));
    let parts = |id: &str, assertion| ManifestParts::new(id, vec![("c2pa.livevideo.segment".to_owned(), assertion)]);
    let first = source.manifest_segment(1, &source.manifest_id).1;
    let unknown = source.manifest_segment_with(2, &parts("urn:c2pa:x", source.segment_assertion(2, &first)));
    assert_eq!(stream.segment(&unknown, NOW_MS), whole(2, Order::Spliced(Splice::Chain)));
    // A second segment of a number.
    let second = source.manifest_segment_with(1, &parts("urn:c2pa:y", source.segment_assertion(1, "urn:c2pa:z")));
    assert_eq!(stream.segment(&second, NOW_MS), whole(1, Order::Spliced(Splice::Number)));
    // Another stream of the same signer, and another signer whom the policy believes.
    let name = std::mem::replace(&mut source.stream_id, "another".to_owned());
    let (other, _) = source.manifest_segment(4, "urn:c2pa:w");
    assert_eq!(stream.segment(&other, NOW_MS), whole(4, Order::Spliced(Splice::Stream)));
    source.stream_id = name;
    source.signer = authority.signer("Nordlys");
    let (other, _) = source.manifest_segment(4, "urn:c2pa:w");
    assert_eq!(stream.segment(&other, NOW_MS), whole(4, Order::Spliced(Splice::Key)));
    source.signer = Authority::new("Thief").signer("Nordlys");
    let (other, _) = source.manifest_segment(4, "urn:c2pa:w");
    let untrusted = SegmentError::Manifest(ManifestError::Chain(ChainError::UnknownIssuer));
    assert_eq!(stream.segment(&other, NOW_MS), nobodys(Order::Unknown, untrusted));
    // None of them moved the stream.
    assert_eq!(stream.segment(&segments[1], NOW_MS), whole(2, Order::Reordered));
    assert_eq!(stream.segment(&segments[3], NOW_MS), whole(4, Order::InOrder));
}

#[test]
fn what_is_not_signed_as_it_must_be() {
    let (source, anchors) = setting();
    let mut stream = opened_without_keys(&source, &anchors);
    let segment = chain(&source, 1, 1).remove(0);
    let unknown = |error| nobodys(Order::Unknown, error);
    assert_eq!(stream.segment(&source.segment(1), NOW_MS), unknown(SegmentError::Unsigned));
    let mut changed = segment.clone();
    *changed.last_mut().expect("bytes") ^= 1;
    let mismatch = broken(1, Order::InOrder, SegmentError::Hash(HashError::Mismatch));
    assert_eq!(stream.segment(&changed, NOW_MS), mismatch);
    let uuid = &segment[range(&segment, b"uuid")];
    assert_eq!(stream.segment(&[&segment, uuid].concat(), NOW_MS), unknown(SegmentError::Boxes), "two manifests");
    let none = source.manifest_segment_with(1, &ManifestParts::new("urn:c2pa:x", vec![]));
    assert_eq!(stream.segment(&none, NOW_MS), unknown(SegmentError::Assertion));
    let mut say = |name: &str, value: Cbor| {
        let mut assertion = source.segment_assertion(1, "urn:c2pa:w");
        assertion.set(name, value);
        let parts = ManifestParts::new("urn:c2pa:x", vec![("c2pa.livevideo.segment".to_owned(), assertion)]);
        stream.segment(&source.manifest_segment_with(1, &parts), NOW_MS)
    };
    assert_eq!(say("sequenceNumber", Cbor::text("1")), unknown(SegmentError::Assertion));
    assert_eq!(say("streamId", Cbor::text("")), unknown(SegmentError::Assertion));
    assert_eq!(say("streamId", Cbor::Null), unknown(SegmentError::Assertion));
    assert_eq!(say("continuityMethod", Cbor::Null), unknown(SegmentError::ContinuityMethod));
    assert_eq!(say("continuityMethod", Cbor::text("example.chain")), unknown(SegmentError::ContinuityMethod));
    assert_eq!(say("previousManifestId", Cbor::Null), unknown(SegmentError::ContinuityMethod));
    assert_eq!(stream.last_number(), None);
    // A certificate's end is the stream's: 2099-01-01.
    let expired = unknown(SegmentError::Manifest(ManifestError::Chain(ChainError::Expired)));
    assert_eq!(stream.segment(&segment, 4_070_908_801_000), expired);
    assert_eq!(stream.segment(&segment, NOW_MS), whole(1, Order::InOrder));
}
