use linfa_linalg::eigh::EighInto;
use ndarray::{Array1, Array2};
use personalize::model::PRIOR_WEIGHTS;
use personalize::{FEATURES, Frame, FrameError};
use policies::TaskKind;
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::*;
use crate::centre::merge::SumSegment;
use crate::release::SegmentKind;

const SCALE: u64 = 1 << 20;
const ITEMS: usize = 40;

fn catalogue(items: usize) -> Catalogue {
    let line = |i: usize| {
        let tag = if i.is_multiple_of(2) { "even" } else { "odd" };
        format!("{{\"id\":\"{i}\",\"title\":\"\",\"kind\":\"vod\",\"tags\":[\"{tag}\"],\"year\":2000}}")
    };
    let lines = (0..items).map(line).collect::<Vec<_>>().join("\n");
    Catalogue::parse("acme".parse().unwrap(), 1, lines.as_bytes()).unwrap()
}

fn triangle(matrix: &Array2<f64>) -> Vec<f64> {
    let side = matrix.nrows();
    (0..side).flat_map(|i| (i..side).map(move |j| matrix[(i, j)] * if i == j { 29.0 } else { 41.0 })).collect()
}

/// A segment of `values` in real units, with noise of variance `variance` said to be in them.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small test values")]
fn segment(kind: SegmentKind, values: &[f64], variance: f64) -> SumSegment {
    let values = values.iter().map(|value| (value * SCALE as f64).round() as i64).collect();
    let unit = SCALE as f64 * if kind.is_triangle() { 41.0 } else { 1.0 };
    SumSegment { kind, values, keys: None, scale: SCALE, noise_variance: variance * unit * unit }
}

fn task(kind: TaskKind, frame: &Frame, segments: Vec<SumSegment>) -> TaskSum {
    let tenant = "acme".parse().unwrap();
    TaskSum { tenant, kind, frame: frame.digest(), windows: 1, last_window: 1, releases: 1, private: true, segments }
}

fn entry(frame: &Frame, rewards: &[f64], impressions: &[f64], variance: f64) -> FrameStatistics {
    let counts = vec![
        segment(SegmentKind::Rewards, rewards, variance),
        segment(SegmentKind::Impressions, impressions, variance),
    ];
    let item_counts = Some(task(TaskKind::ItemCounts, frame, counts));
    FrameStatistics { frame: frame.clone(), item_counts, co_engagement: None, ranker_moments: None }
}

fn with_gram(mut entry: FrameStatistics, gram: &Array2<f64>, variance: f64) -> FrameStatistics {
    let segments = vec![segment(SegmentKind::Gram, &triangle(gram), variance)];
    entry.co_engagement = Some(task(TaskKind::CoEngagement, &entry.frame, segments));
    entry
}

fn statistics(frames: Vec<FrameStatistics>) -> Statistics {
    Statistics { frames, frame_items_max: 1000 }
}

/// Even items are liked at c + 0.3, odd ones at c − 0.05; item i is shown 100 + i times.
#[expect(clippy::cast_precision_loss, reason = "small test values")]
fn audience(items: usize) -> (Vec<f64>, Vec<f64>) {
    let impressions = (0..items).map(|i| 100.0 + i as f64).collect::<Vec<_>>();
    let rate = |i: usize| if i.is_multiple_of(2) { 0.3 } else { -0.05 };
    (impressions.iter().enumerate().map(|(i, n)| n * rate(i)).collect(), impressions)
}

fn prior(catalogue: &Catalogue) -> Model {
    Model::prior(catalogue, 100_000)
}

fn learn(catalogue: &Catalogue, statistics: &Statistics, last: &Model) -> Result<Trained, GateRefusal> {
    train(catalogue, statistics, last, last.version() + 1, Provenance::nothing())
}

/// A model whose frame is learned from the audience above.
fn framed(catalogue: &Catalogue) -> (Model, FrameStatistics) {
    let prior = prior(catalogue);
    let (rewards, impressions) = audience(catalogue.len());
    let first = entry(prior.frame(), &rewards, &impressions, 1.0);
    (learn(catalogue, &statistics(vec![first.clone()]), &prior).unwrap().model, first)
}

/// Two tastes, by halves of the frame, plus a diagonal.
fn two_tastes(side: usize, strength: f64) -> Array2<f64> {
    let same = |i: usize, j: usize| (i < side / 2) == (j < side / 2);
    Array2::from_shape_fn((side, side), |(i, j)| if same(i, j) { strength } else { -strength / 2.0 })
}

#[test]
fn a_first_model_knows_items_and_names_a_frame() {
    let catalogue = catalogue(ITEMS);
    let (model, _) = framed(&catalogue);
    let parts = model.parts();
    assert_eq!((parts.mode, parts.version, model.frame().top.len()), (Mode::Content, 1, ITEMS));
    assert_eq!(model.frame().top[0], ItemIndex(39), "the most shown comes first");
    // 139 impressions at c − 0.05 = 0.05: 6.95 likes, so a weight of 1/√66.95.
    assert_eq!(model.frame().weights_ppm[0], 122_215);
    assert!(
        parts.quality.iter().enumerate().all(|(i, q)| (q - if i.is_multiple_of(2) { 0.3 } else { -0.05 }).abs() < 0.02)
    );
    assert_eq!(parts.weights, PRIOR_WEIGHTS);
    assert_eq!(parts.popularity[39], 1.0);
}

#[test]
fn tastes_that_stand_out_of_the_noise_become_embeddings() {
    let catalogue = catalogue(ITEMS);
    let (last, first) = framed(&catalogue);
    let (rewards, impressions) = audience(ITEMS);
    let second = with_gram(entry(last.frame(), &rewards, &impressions, 1.0), &two_tastes(ITEMS, 5.0), 1.0);
    let all = statistics(vec![first, second]);
    let Trained { model, report } = learn(&catalogue, &all, &last).unwrap();
    assert_eq!((model.mode(), report.rank), (Mode::Collaborative, 2));
    assert_eq!(report.noise_edge, 2.0 * 40f64.sqrt());
    assert!((report.eigenvalues[0] - 150.0).abs() < 1e-3 && (report.eigenvalues[1] - 50.0).abs() < 1e-3, "{report:?}");
    let embeddings = model.parts().embeddings;
    let row = |place: usize| &embeddings[last.frame().top[place].offset()][..2];
    let cosine = |a: usize, b: usize| {
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
        dot(row(a), row(b)) / (dot(row(a), row(a)) * dot(row(b), row(b))).sqrt()
    };
    assert!(cosine(0, 7) > 0.99 && cosine(20, 33) > 0.99 && cosine(0, 33) < 0.0);
    assert_eq!(model.frame(), last.frame(), "the frame stays");
    let again = learn(&catalogue, &all, &last).unwrap();
    assert_eq!(again.model.encode(), model.encode());
    assert_eq!(again.report, report);
}

#[test]
fn tastes_within_the_noise_stay_content() {
    let catalogue = catalogue(ITEMS);
    let (last, first) = framed(&catalogue);
    let (rewards, impressions) = audience(ITEMS);
    let counts = entry(last.frame(), &rewards, &impressions, 1.0);
    // Eigenvalue 150 against 1.3 edges of 2σ√40.
    for (sigma, mode) in [(9.0, Mode::Collaborative), (9.2, Mode::Content)] {
        let second = with_gram(counts.clone(), &two_tastes(ITEMS, 5.0), sigma * sigma);
        let Trained { model, .. } = learn(&catalogue, &statistics(vec![first.clone(), second]), &last).unwrap();
        assert_eq!(model.mode(), mode, "{sigma}");
    }
}

#[test]
fn the_gate_refuses_noise() {
    let catalogue = catalogue(ITEMS);
    let prior = prior(&catalogue);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    // The sum of twelve uniform numbers less six: mean 0, variance 1.
    let mut normal = || (0..12).map(|_| f64::from(random.next_u32()) / f64::from(u32::MAX)).sum::<f64>() - 6.0;
    let mut published = 0;
    for _ in 0..200 {
        let noise = (0..ITEMS).map(|_| 30.0 * normal()).collect::<Vec<_>>();
        let (_, impressions) = audience(ITEMS);
        match learn(&catalogue, &statistics(vec![entry(prior.frame(), &noise, &impressions, 900.0)]), &prior) {
            Ok(_) => published += 1,
            Err(refusal) => assert!(matches!(refusal, GateRefusal::SignalToNoise { .. }), "{refusal}"),
        }
    }
    // Two tests with chi-square tails at two deviations: each passes about 1 in 25 at few degrees of freedom.
    assert!(published <= 30, "{published} of 200");
    let empty = statistics(vec![entry(prior.frame(), &[0.0; ITEMS], &[0.0; ITEMS], 0.0)]);
    assert_eq!(learn(&catalogue, &empty, &prior).err(), Some(GateRefusal::SignalToNoise { signal_to_noise: 0.0 }));
}

#[test]
fn refuses_statistics_that_do_not_belong() {
    let catalogue = catalogue(ITEMS);
    let prior = prior(&catalogue);
    let (rewards, impressions) = audience(ITEMS);
    let good = entry(prior.frame(), &rewards, &impressions, 1.0);
    let refusal = |frames| match learn(&catalogue, &statistics(frames), &prior).err() {
        Some(GateRefusal::Statistics(refusal)) => Some(refusal),
        _ => None,
    };
    assert_eq!(refusal(vec![]), Some(StatisticsError::NoCounts));
    let short = entry(prior.frame(), &rewards[1..], &impressions, 1.0);
    assert_eq!(refusal(vec![short]), Some(StatisticsError::Shape));
    let mut endless = good.clone();
    endless.item_counts.as_mut().unwrap().segments[0].noise_variance = f64::NAN;
    assert_eq!(refusal(vec![endless]), Some(StatisticsError::NotFinite));
    let gram = with_gram(good.clone(), &two_tastes(3, 1.0), 1.0);
    let framed = Frame { top: vec![ItemIndex(0)], weights_ppm: vec![1], ..prior.frame().clone() };
    assert_eq!(refusal(vec![FrameStatistics { frame: framed.clone(), ..gram }]), Some(StatisticsError::Shape));
    let broken = Frame { weights_ppm: vec![0], ..framed };
    let broken = FrameStatistics { frame: broken, ..good.clone() };
    assert_eq!(refusal(vec![broken]), Some(StatisticsError::Frame(FrameError::Weight)));
    let other = Model::prior(&self::catalogue(ITEMS + 1), 100_000);
    let foreign = FrameStatistics { frame: other.frame().clone(), ..good.clone() };
    assert_eq!(refusal(vec![good.clone(), foreign]), Some(StatisticsError::OtherCatalogue));
    let refused = learn(&catalogue, &statistics(vec![good]), &other).err();
    assert_eq!(refused, Some(GateRefusal::Statistics(StatisticsError::OtherCatalogue)));
}

#[test]
fn a_frame_changes_for_a_reason_only() {
    let catalogue = catalogue(ITEMS);
    let (last, first) = framed(&catalogue);
    let train = |frames: Vec<FrameStatistics>, frame_items_max, last: &Model| {
        learn(&catalogue, &Statistics { frames, frame_items_max }, last).unwrap().model.frame().clone()
    };
    assert_eq!(train(vec![first.clone()], 1000, &last), *last.frame());
    let smaller = train(vec![first.clone()], 10, &last);
    assert_eq!(smaller.top, (30..40).rev().map(ItemIndex).collect::<Vec<_>>());
    assert_eq!(train(vec![first], 0, &last).top, []);
    // The frame of ten stays while its items are shown most, also where noise would choose a few others.
    let ten = Model::new(ModelParts { frame: smaller.clone(), ..last.parts() }, &catalogue).unwrap();
    let (rewards, mut impressions) = audience(ITEMS);
    let shown = |impressions: &[f64], variance| vec![entry(&smaller, &rewards, impressions, variance)];
    assert_eq!(train(shown(&impressions, 1.0), 10, &ten), smaller);
    impressions[..10].fill(400.0);
    let mut unsure = shown(&impressions, 1.0);
    unsure[0].item_counts.as_mut().unwrap().segments[1].noise_variance *= 1e6;
    assert_eq!(train(unsure, 10, &ten), smaller, "not beyond noise");
    assert_eq!(train(shown(&impressions, 1.0), 10, &ten).top, (0..10).map(ItemIndex).collect::<Vec<_>>());
}

#[test]
fn learned_weights_are_those_of_the_moments() {
    // 4000 sessions whose rewards follow planted weights exactly.
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut planted = PRIOR_WEIGHTS.map(f64::from);
    (planted[3], planted[5], planted[0]) = (0.5, 0.25, -0.02);
    let mut moments = Array2::zeros((FEATURES + 1, FEATURES + 1));
    for _ in 0..4000 {
        let mut z = [0.0; FEATURES + 1];
        z.iter_mut().for_each(|value| *value = f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5);
        z[0] = 1.0;
        z[FEATURES] = 0.1 + planted.iter().zip(z).map(|(weight, x)| weight * x).sum::<f64>();
        let z = Array1::from_iter(z);
        moments = moments + Array2::from_shape_fn((FEATURES + 1, FEATURES + 1), |(i, j)| z[i] * z[j]);
    }
    let matrix = |variance| sums::Matrix { values: moments.clone(), variance };
    let learned = weights::fit(&matrix(0.0), 0.1, &PRIOR_WEIGHTS).unwrap();
    let far = |weights: &[f32; FEATURES]| {
        weights.iter().zip(planted).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
    };
    assert!(far(&learned) < 0.08, "{learned:?}");
    let drowned = weights::fit(&matrix(1e12), 0.1, &PRIOR_WEIGHTS).unwrap();
    assert!(
        drowned.iter().zip(PRIOR_WEIGHTS).all(|(a, b)| (a - b).abs() < 1e-3),
        "the hand-set ones stay: {drowned:?}"
    );
}

#[test]
fn sums_of_frames_are_centred_alike() {
    let catalogue = catalogue(3);
    let [low, high] = [100_000, 300_000].map(|rate| Frame::initial(catalogue.digest(), rate));
    // Four impressions and two likes each way: 2 − 4·0.1 = 1.6 and 2 − 4·0.3 = 0.8.
    let frames = vec![entry(&low, &[1.6, 0.0, 0.0], &[4.0; 3], 2.0), entry(&high, &[0.8, 0.0, 0.0], &[4.0; 3], 2.0)];
    let counts = sums::counts(&catalogue, &statistics(frames), 100_000).unwrap();
    assert!((counts.rewards[0] - 3.2).abs() < 1e-5 && (counts.impressions[0] - 8.0).abs() < 1e-5);
    assert!((counts.rewards_variance - (2.0 + 2.0 + 0.04 * 2.0)).abs() < 1e-9);
    assert!((counts.impressions_variance - 4.0).abs() < 1e-9);
}

#[test]
fn grams_of_frames_meet_in_the_items_they_share() {
    let frame = |items: &[u32]| {
        let top = items.iter().copied().map(ItemIndex).collect::<Vec<_>>();
        Frame { weights_ppm: vec![1; top.len()], top, ..Frame::initial(catalogue(3).digest(), 0) }
    };
    let gram = |items: &[u32], cells: [f64; 4]| {
        let matrix = Array2::from_shape_vec((2, 2), cells.to_vec()).unwrap();
        with_gram(entry(&frame(items), &[0.0; 3], &[0.0; 3], 1.0), &matrix, 2.0)
    };
    let frames = vec![gram(&[0, 1], [1.0, 2.0, 2.0, 3.0]), gram(&[2, 1], [10.0, 20.0, 20.0, 30.0])];
    let sum = sums::gram(&statistics(frames), &frame(&[1, 2])).unwrap().unwrap();
    let expected = [33.0, 20.0, 20.0, 10.0];
    assert!(sum.values.iter().zip(expected).all(|(sum, cell)| (sum - cell).abs() < 1e-5), "{:?}", sum.values);
    assert!((sum.variance - 4.0).abs() < 1e-9);
}

proptest! {
    /// linfa's answer is the closed form's: A·w = b.
    #[test]
    fn the_bridge_solves_the_normal_equations(cells in proptest::collection::vec(-1.0..1.0f64, 36), b in proptest::collection::vec(-1.0..1.0f64, 6)) {
        let root = Array2::from_shape_vec((6, 6), cells).unwrap();
        let matrix = root.t().dot(&root) + Array2::<f64>::eye(6) * 0.1;
        let b = Array1::from(b);
        let w = weights::solve(&matrix, &b).unwrap();
        prop_assert!((matrix.dot(&w) - &b).iter().all(|rest| rest.abs() < 1e-9));
    }

    /// Subspace iteration finds what a full decomposition finds, where eigenvalues are apart.
    #[test]
    fn the_subspace_is_that_of_the_full_decomposition(seed in any::<u64>()) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let cells = Array2::from_shape_simple_fn((60, 60), || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5);
        let (_, basis) = (&cells + &cells.t()).eigh_into().unwrap();
        let spectrum = Array1::from_shape_fn(60, |place| if place < 4 { [90.0, 50.0, 30.0, 20.0][place] } else { 1.0 });
        let matrix = (&basis * &spectrum).dot(&basis.t());
        let (values, vectors) = subspace::leading(&matrix, 4).unwrap();
        for place in 0..4 {
            prop_assert!((values[place] - spectrum[place]).abs() < 1e-6);
            let rest = matrix.dot(&vectors.column(place)) - &vectors.column(place) * values[place];
            prop_assert!(rest.iter().all(|cell| cell.abs() < 1e-5));
        }
    }

    /// A quality is the item's own rate where noise is small, and that of items like it where noise is large.
    #[test]
    fn qualities_are_shrunk_by_their_noise(rate in -0.1..0.8f64, item in 0..ITEMS) {
        let catalogue = catalogue(ITEMS);
        let frame = Frame::initial(catalogue.digest(), 100_000);
        let quality = |rate: Option<f64>, variance: f64| {
            let (mut rewards, impressions) = audience(ITEMS);
            rewards[item] = rate.map_or(rewards[item], |rate| rate * impressions[item]);
            let frames = statistics(vec![entry(&frame, &rewards, &impressions, variance)]);
            let mut counts = sums::counts(&catalogue, &frames, 100_000).unwrap();
            counts.impressions_variance = 0.0;
            quality::estimate(&catalogue, &counts, &Shown::of(&counts)).unwrap()[item]
        };
        prop_assert!((quality(Some(rate), 1.0) - rate).abs() < 0.1);
        // One item of forty still moves the mean of all.
        prop_assert!((quality(Some(rate), 1e9) - quality(None, 1e9)).abs() < 0.04);
    }
}
