//! Retraining from the running sums of 100 releases with a 1000-item Gram.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use aggregator::centre::learner::{FrameStatistics, Statistics, train};
use aggregator::centre::{SumSegment, TaskSum};
use aggregator::release::SegmentKind;
use criterion::{Criterion, criterion_group, criterion_main};
use personalize::{Catalogue, FEATURES, Frame, ItemIndex, Mode, Model, ModelParts, Provenance};
use policies::TaskKind;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

const ITEMS: u32 = 2_000;
const TOP: usize = 1_000;
const SCALE: i64 = 1 << 16;
/// Variance of the summed noise, in units of 1.
const VARIANCE: f64 = 100.0;

fn catalogue() -> Catalogue {
    let line = |i| {
        let (a, b) = (i % 19, i % 7);
        format!(
            "{{\"id\":\"{i}\",\"title\":\"\",\"kind\":\"vod\",\"tags\":[\"a{a}\",\"b{b}\"],\"year\":{}}}",
            1950 + i % 60
        )
    };
    let lines = (0..ITEMS).map(line).collect::<Vec<_>>().join("\n");
    Catalogue::parse("acme".parse().expect("a label"), 1, lines.as_bytes()).expect("a catalogue")
}

fn task(kind: TaskKind, frame: &Frame, segments: Vec<(SegmentKind, Vec<i64>)>) -> TaskSum {
    let segment = |(kind, values): (SegmentKind, _)| {
        let unit = SCALE as f64 * if kind.is_triangle() { 29.0 } else { 1.0 };
        SumSegment { kind, values, keys: None, scale: SCALE.unsigned_abs(), noise_variance: VARIANCE * unit * unit }
    };
    let segments = segments.into_iter().map(segment).collect();
    let tenant = "acme".parse().expect("a label");
    TaskSum {
        tenant,
        kind,
        frame: frame.digest(),
        windows: 100,
        last_window: 100,
        releases: 100,
        private: true,
        segments,
    }
}

/// Forty tastes of 25 items each over noise of about the variance that is stated.
fn statistics(frame: &Frame) -> Statistics {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut noise = |sigma: i64| (i64::from(random.next_u32() % 2001) - 1000) * sigma * SCALE * 17 / 10_000;
    let gram = (0..TOP).flat_map(|i| (i..TOP).map(move |j| (i, j)));
    let gram = gram.map(|(i, j)| noise(10) * 41 + if i % 40 == j % 40 { 200 * 41 * SCALE } else { 0 }).collect();
    let rewards = (0..i64::from(ITEMS)).map(|i| (i % 50) * 4 * SCALE + noise(10)).collect();
    let impressions = (0..i64::from(ITEMS)).map(|i| (2_000 - i) * SCALE + noise(10)).collect();
    let moments = (0..=FEATURES).flat_map(|i| (i..=FEATURES).map(move |j| if i == j { 5_000 * SCALE * 29 } else { 0 }));
    let counts = vec![(SegmentKind::Rewards, rewards), (SegmentKind::Impressions, impressions)];
    let frames = vec![FrameStatistics {
        frame: frame.clone(),
        item_counts: Some(task(TaskKind::ItemCounts, frame, counts)),
        co_engagement: Some(task(TaskKind::CoEngagement, frame, vec![(SegmentKind::Gram, gram)])),
        ranker_moments: Some(task(TaskKind::RankerMoments, frame, vec![(SegmentKind::Moments, moments.collect())])),
    }];
    Statistics { frames, frame_items_max: TOP }
}

fn retrain(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let prior = Model::prior(&catalogue, 100_000).parts();
    let top = (0..).map(ItemIndex).take(TOP).collect();
    let frame = Frame { top, weights_ppm: vec![100_000; TOP], ..prior.frame.clone() };
    let last = Model::new(ModelParts { frame: frame.clone(), ..prior }, &catalogue).expect("a model");
    let statistics = statistics(&frame);
    let learn = || train(&catalogue, &statistics, &last, 2, Provenance::nothing()).expect("signal enough");
    assert_eq!((learn().model.mode(), learn().model.frame().top.len()), (Mode::Collaborative, TOP));
    let mut group = criterion.benchmark_group("retrain");
    group.sample_size(10);
    group.bench_function("100 releases, Gram of 1000 items", |bencher| bencher.iter(learn));
    group.finish();
}

criterion_group!(benches, retrain);
criterion_main!(benches);
