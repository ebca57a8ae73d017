//! What a verifier spends on a proof of inclusion, in a tree of 2³⁰ leaves.

#![expect(missing_docs, reason = "criterion_group! writes a public function")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use policies::Digest;
use policies::log::tree::{inclusion_ranges, leaf_hash, node_hash, verify_inclusion};

const SIZE: u64 = 1 << 30;
const INDEX: u64 = 715_827_882;

fn inclusion(c: &mut Criterion) {
    let leaf = leaf_hash(b"a release");
    let depth = inclusion_ranges(INDEX, SIZE).len();
    let proof: Vec<Digest> = (0..depth).map(|level| Digest::of(&[u8::try_from(level).unwrap_or(0)])).collect();
    let root = (0..).zip(&proof).fold(leaf, |hash, (level, sibling)| {
        if INDEX >> level & 1 == 1 { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) }
    });
    assert_eq!(verify_inclusion(&leaf, INDEX, SIZE, &proof, &root), Ok(()));
    c.bench_function("inclusion proof, 2^30 leaves", |b| {
        b.iter(|| verify_inclusion(black_box(&leaf), INDEX, SIZE, black_box(&proof), black_box(&root)));
    });
}

criterion_group!(benches, inclusion);
criterion_main!(benches);
