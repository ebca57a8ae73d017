//! Streams of a source of our own, and what hostile ones do to them.

mod fuzzing;
mod manifests;
mod opening;
mod ordering;
mod segments;

use std::sync::Arc;

use super::fixtures::{Authority, Key, Source};
use super::{LiveStream, Order, SegmentError, SegmentVerdict};
use crate::evidence::chain::Anchors;

/// 2026-01-01.
const NOW_MS: u64 = 1_767_225_600_000;

fn setting() -> (Source, Arc<Anchors>) {
    let authority = Authority::new("Nordlys");
    (Source::new("nordlys", authority.signer("Nordlys"), Key::p256(), NOW_MS), authority.anchors())
}

fn open(source: &Source, anchors: &Arc<Anchors>) -> LiveStream {
    LiveStream::open(&source.init(), anchors, NOW_MS).expect("the source is honest")
}

fn opened() -> (Source, LiveStream) {
    let (source, anchors) = setting();
    let stream = open(&source, &anchors);
    (source, stream)
}

fn whole(number: u64, order: Order) -> SegmentVerdict {
    SegmentVerdict { number: Some(number), order, integrity: Ok(()) }
}

fn broken(number: u64, order: Order, error: SegmentError) -> SegmentVerdict {
    SegmentVerdict { number: Some(number), order, integrity: Err(error) }
}

fn nobodys(order: Order, error: SegmentError) -> SegmentVerdict {
    SegmentVerdict { number: None, order, integrity: Err(error) }
}

/// Where the only occurrence of `part` begins.
fn place(whole: &[u8], part: &[u8]) -> usize {
    let mut places = whole.windows(part.len()).enumerate().filter(|(_, window)| *window == part);
    let (place, _) = places.next().expect("it is there");
    assert_eq!(places.next(), None, "it is there once");
    place
}

/// Where the only box of a kind stands.
fn range(whole: &[u8], kind: &[u8; 4]) -> std::ops::Range<usize> {
    let boxes = super::boxes::split(whole).expect("boxes");
    let boxed = super::boxes::single(&boxes, |boxed| boxed.kind == *kind).expect("one at most").expect("one");
    let start = usize::try_from(boxed.offset).expect("a small number");
    start..start + boxed.whole.len()
}
