//! Scoring and the posterior, without network: 50 candidates × 32 dimensions.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use criterion::{Criterion, criterion_group, criterion_main};
use personalize::{Arm, Catalogue, ItemIndex, Model, Session, SessionOptions, Signal};

const ITEMS: u32 = 2_000;

fn catalogue() -> Catalogue {
    let line = |i| {
        let tags = format!("\"t{}\",\"t{}\",\"t{}\"", i % 19, i % 7 + 20, i % 5 + 30);
        format!("{{\"id\":\"{i}\",\"title\":\"\",\"kind\":\"vod\",\"tags\":[{tags}],\"year\":{}}}", 1950 + i % 60)
    };
    let lines = (0..ITEMS).map(line).collect::<Vec<_>>().join("\n");
    Catalogue::parse("acme".parse().expect("a label"), 1, lines.as_bytes()).expect("a catalogue")
}

/// Every dimension of every embedding in use.
fn model(catalogue: &Catalogue, version: u64) -> Model {
    let mut parts = Model::prior(catalogue, 100_000).parts();
    parts.version = version;
    for (item, row) in parts.embeddings.iter_mut().enumerate() {
        row.iter_mut().enumerate().for_each(|(dim, value)| *value = ((item * 37 + dim * 11) % 17) as f32 / 17.0 - 0.5);
    }
    Model::new(parts, catalogue).expect("a model")
}

/// A session with 20 outcomes behind it.
fn session(model: &Model, catalogue: &Catalogue) -> Session {
    let options = SessionOptions { arm: Arm::Adaptive, contribute: true, seed: [1; 32], outcomes_max: 48 };
    let mut session = Session::new(options);
    for item in (0..20).map(|i| ItemIndex(i * 31)) {
        let signal = if item.0 % 3 == 0 { Signal::Like { item } } else { Signal::Skip { item } };
        session.observe(model, catalogue, signal).expect("a known item");
    }
    session
}

fn rank(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let models = [model(&catalogue, 1), model(&catalogue, 2)];
    let candidates = (0..50).map(|i| ItemIndex(i * 39 + 5)).collect::<Vec<_>>();
    let mut ranked = session(&models[0], &catalogue);
    criterion.bench_function("rank 50 candidates, 20 outcomes, 32 dimensions", |bencher| {
        bencher.iter(|| ranked.rank(&models[0], &catalogue, &candidates));
    });
    criterion.bench_function("one signal: features and a rank-one update", |bencher| {
        let fresh = || session(&models[0], &catalogue);
        let like = Signal::Like { item: ItemIndex(7) };
        bencher.iter_batched_ref(
            fresh,
            |session| session.observe(&models[0], &catalogue, like),
            criterion::BatchSize::SmallInput,
        );
    });
    let mut turn = 0;
    criterion.bench_function("rank after a change of model: 20 updates again", |bencher| {
        bencher.iter(|| {
            turn = 1 - turn;
            ranked.rank(&models[turn], &catalogue, &candidates)
        });
    });
    let bytes = models[0].encode();
    criterion.bench_function("decode a model of 2,000 items", |bencher| {
        bencher.iter(|| Model::decode(&bytes, &catalogue));
    });
}

criterion_group!(benches, rank);
criterion_main!(benches);
