//! What ε by privacy loss distributions takes, for 1,000 and 10,000 releases.
//!
//! `cargo bench -p policies --bench pld`
#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use policies::pld::{Composition, Noise};
use policies::zcdp::Mechanism;

const DELTA: f64 = 1e-6;

fn noise(mechanism: Mechanism, scale: f64) -> Noise {
    Noise::new(mechanism, scale).expect("the scale is in range")
}

fn epsilon(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pld");
    group.sample_size(10);
    for times in [1_000, 10_000] {
        for (name, noise) in [
            ("gaussian", noise(Mechanism::Gaussian, 5.0)),
            ("discrete gaussian", noise(Mechanism::DiscreteGaussian, 5.0)),
            ("laplace", noise(Mechanism::Laplace, 5.0)),
            ("discrete laplace", noise(Mechanism::DiscreteLaplace, 5.0)),
            (
                "gaussian, sampled at 1 %",
                noise(Mechanism::Gaussian, 1.0).sampled(0.01).expect("the probability is in range"),
            ),
        ] {
            let composition = Composition::of(noise, times).expect("the count is in range");
            group.bench_function(format!("{name}, {times}"), |bencher| {
                bencher.iter(|| black_box(&composition).epsilon(DELTA));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, epsilon);
criterion_main!(benches);
