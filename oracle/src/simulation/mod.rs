//! Sequences of operations and faults over a real node and a real centre, each with a real file.
//!
//! The node's client speaks to the centre's router over a socket; [`wire`] loses, doubles, delays and changes what
//! passes. Both processes are killed at commits of their stores ([`crate::store::probe::fault`]) and the node at every
//! point of a release ([`observe`]), and started again from what their files hold. [`model`] knows what ought to be
//! counted, and [`invariants`] says after every operation what must hold.

mod invariants;
mod model;
mod observe;
mod operation;
mod rules;
mod wire;
mod world;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::environment::NoiseMode;
use operation::{Operation, sequences};
use world::World;

pub(crate) use observe::{drawn, reached};

/// Sequences of both kinds together, where `SIWA_SEQUENCES` says nothing else.
const SEQUENCES: u32 = 200;
/// Of ten sequences, so many without noise.
const WITHOUT_NOISE: u32 = 6;

#[expect(clippy::disallowed_methods, reason = "the nightly run sets how much of a test is run")]
fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// `SIWA_SEQUENCES` and `SIWA_SEED` say how many, and which.
fn settings(of_ten: u32) -> ProptestConfig {
    let sequences = setting("SIWA_SEQUENCES").unwrap_or(SEQUENCES);
    ProptestConfig {
        cases: (sequences * of_ten).div_ceil(10),
        rng_seed: RngSeed::Fixed(setting("SIWA_SEED").unwrap_or(1)),
        failure_persistence: None,
        max_shrink_iters: 600,
        ..ProptestConfig::default()
    }
}

fn run(operations: &[Operation], noise: NoiseMode) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(noise).await;
        for operation in operations {
            world.step(operation).await;
        }
        world.ends().await;
    });
}

proptest! {
    #![proptest_config(settings(WITHOUT_NOISE))]

    /// Without noise the centre's sums are exactly the contributions of the releases that it accepted.
    #[test]
    fn nothing_is_counted_twice(operations in sequences()) {
        run(&operations, NoiseMode::Off);
    }
}

proptest! {
    #![proptest_config(settings(10 - WITHOUT_NOISE))]

    /// As it is deployed: noise from the operating system's randomness, which nothing repeats.
    #[test]
    fn no_noise_is_drawn_twice(operations in sequences()) {
        run(&operations, NoiseMode::Calibrated);
    }
}
