//! What a segment of a live stream costs: two seconds at 4 Mbit/s, by either method; and what opening a stream costs.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::hint::black_box;

use attest::content::live::fixtures::{Authority, Information, Key, ManifestParts, Source, media_of};
use attest::content::live::{LiveStream, Order};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const NOW_MS: u64 = 1_767_225_600_000;
const MEDIA_BYTES: usize = 1_000_000;

fn live(criterion: &mut Criterion) {
    let authority = Authority::new("Nordlys");
    let source = Source::new("nordlys", authority.signer("Nordlys"), Key::p256(), NOW_MS);
    let anchors = authority.anchors();
    let init = source.init();
    let open = || LiveStream::open(&init, &anchors, NOW_MS).expect("the source is honest");
    let mut group = criterion.benchmark_group("live");
    group.bench_function("open", |bencher| bencher.iter(|| black_box(open()).expires_ms()));

    let segment = Information::by(&source.sessions[0], &source.manifest_id).segment(1, &media_of(1, MEDIA_BYTES));
    group.throughput(Throughput::Bytes(segment.len() as u64));
    group.bench_function("segment/session key, 1 MB", |bencher| {
        bencher.iter_batched(
            open,
            |mut stream| assert_eq!(stream.segment(black_box(&segment), NOW_MS).order, Order::InOrder),
            BatchSize::LargeInput,
        );
    });

    let init = source.init_without_keys();
    let open = || LiveStream::open(&init, &anchors, NOW_MS).expect("the source is honest");
    let assertion = source.segment_assertion(1, &source.manifest_id);
    let parts = ManifestParts::new("urn:c2pa:bench", vec![("c2pa.livevideo.segment".to_owned(), assertion)]);
    let segment = source.manifest_segment_around(&media_of(1, MEDIA_BYTES), &parts);
    group.throughput(Throughput::Bytes(segment.len() as u64));
    group.bench_function("segment/manifest, 1 MB", |bencher| {
        bencher.iter_batched(
            open,
            |mut stream| assert_eq!(stream.segment(black_box(&segment), NOW_MS).order, Order::InOrder),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, live);
criterion_main!(benches);
