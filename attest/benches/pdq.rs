//! PDQ: a hash of a picture, and the nearest of ten million.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use attest::pdq::{PdqHash, PdqIndex};
use criterion::{Criterion, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};

const ENTRIES: usize = 10_000_000;

fn pdq(criterion: &mut Criterion) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let picture: Vec<f32> = (0..512 * 512).map(|_| f32::from(u8::from(rng.next_u32() & 1 == 0)) * 255.0).collect();
    criterion.bench_function("pdq hash of 512 x 512 luminances", |bencher| {
        bencher.iter_batched(
            || picture.clone(),
            |picture| PdqHash::of(picture, 512, 512),
            criterion::BatchSize::LargeInput,
        );
    });
    let mut random = || PdqHash::from_words(std::array::from_fn(|_| rng.next_u64()));
    let hashes: Vec<PdqHash> = (0..ENTRIES).map(|_| random()).collect();
    let asked: Vec<PdqHash> = (0..1024).map(|_| random()).collect();
    let index = PdqIndex::new(hashes).expect("ten million fit");
    let mut next = asked.iter().cycle();
    criterion.bench_function("nearest of 10 M within 31 bits", |bencher| {
        bencher.iter(|| index.nearest(next.next().expect("a cycle has no end"), 31));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = pdq
}
criterion_main!(benches);
