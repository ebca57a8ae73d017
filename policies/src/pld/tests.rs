use super::normal::gaussian_profile;
use super::*;
use crate::zcdp::epsilon_of_gaussian;
use proptest::prelude::*;
use proptest::sample::select;

/// Not below the exact figure, and above it by half a percent at most.
#[track_caller]
fn tight(actual: f64, exact: f64) {
    assert!(actual >= exact * (1.0 - 1e-12) && actual <= exact * 1.005, "{actual} for {exact}");
}

fn noise(mechanism: Mechanism, scale: f64) -> Noise {
    Noise::new(mechanism, scale).unwrap()
}

fn composition(mechanism: Mechanism, scale: f64, times: u64) -> Composition {
    Composition::of(noise(mechanism, scale), times).unwrap()
}

fn sampled(mechanism: Mechanism, scale: f64, probability: f64, times: u64) -> Composition {
    Composition::of(noise(mechanism, scale).sampled(probability).unwrap(), times).unwrap()
}

/// The ε at which a falling δ(ε) is `delta`.
fn solved(delta: f64, profile: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e4);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if profile(middle) > delta { low = middle } else { high = middle }
    }
    low
}

/// The exact profile of weighted losses.
fn profile(losses: &[(f64, f64)], epsilon: f64) -> f64 {
    losses.iter().filter(|(loss, _)| *loss > epsilon).map(|(loss, mass)| -mass * (epsilon - loss).exp_m1()).sum()
}

/// Losses of a number of releases, each of which has losses at equal steps: the exact convolution.
fn convolved(masses: &[f64], times: usize) -> Vec<f64> {
    let mut all = masses.to_vec();
    for _ in 1..times {
        let mut next = vec![0.0; all.len() + masses.len() - 1];
        for (at, mass) in all.iter().enumerate() {
            for (by, other) in masses.iter().enumerate() {
                next[at + by] += mass * other;
            }
        }
        all = next;
    }
    all
}

/// Gaussian noise composes to Gaussian noise: the exact figures, to four digits.
#[test]
fn gaussian_agrees_with_known_figures() {
    for (scale, row) in [(1.0, [4.887, 19.42, 96.72]), (5.0, [0.8341, 2.922, 11.00])] {
        for (times, known) in [1_u32, 10, 100].into_iter().zip(row) {
            let epsilon = composition(Mechanism::Gaussian, scale, times.into()).epsilon(1e-6).unwrap();
            let exact = epsilon_of_gaussian(f64::from(times).sqrt() / scale, 1e-6);
            assert!((exact - known).abs() <= 6e-4 * known, "{exact} {known}");
            tight(epsilon, exact);
        }
    }
}

/// One release: δ = 1 − e^((ε − ε₀)/2).
#[test]
fn laplace_once_is_exact() {
    for scale in [0.05, 0.3, 1.0, 7.0, 1000.0] {
        for delta in [1e-12_f64, 1e-6, 1e-4] {
            let exact: f64 = 1.0 / scale + 2.0 * (-delta).ln_1p();
            tight(composition(Mechanism::Laplace, scale, 1).epsilon(delta).unwrap(), exact.max(0.0));
        }
    }
}

/// The loss of discrete Gaussian noise is (1 − 2x)/(2σ²).
#[test]
fn discrete_gaussian_against_the_exact_convolution() {
    for (sigma, reach) in [(0.3_f64, 12), (0.7, 27), (1.0, 38), (2.5, 95), (9.0, 342_i32)] {
        let mut masses: Vec<f64> =
            (-reach..=reach).map(|x| (-f64::from(x).powi(2) / (2.0 * sigma * sigma)).exp()).collect();
        let total: f64 = masses.iter().sum();
        masses.iter_mut().for_each(|mass| *mass /= total);
        for times in 1..=3_u32 {
            let sums = (0_i32..).zip(convolved(&masses, times as usize));
            let loss = |index: i32| {
                let x = index - reach * i32::try_from(times).unwrap();
                (f64::from(times) - 2.0 * f64::from(x)) / (2.0 * sigma * sigma)
            };
            let losses: Vec<_> = sums.map(|(index, mass)| (loss(index), mass)).collect();
            for delta in [1e-10, 1e-6, 1e-3] {
                let exact = solved(delta, |epsilon| profile(&losses, epsilon));
                tight(composition(Mechanism::DiscreteGaussian, sigma, times.into()).epsilon(delta).unwrap(), exact);
            }
        }
    }
}

/// The loss of discrete Laplace noise at Δ = 1 is ±ε₀: so many of either sign follow the binomial distribution.
#[test]
fn discrete_laplace_against_the_exact_convolution() {
    for scale in [0.1, 0.6, 1.0, 4.0, 50.0] {
        let pure: f64 = 1.0 / scale;
        let with = 1.0 / (1.0 + (-pure).exp());
        for times in [1_u32, 2, 3, 20, 200] {
            let masses = convolved(&[1.0 - with, with], times as usize);
            let loss = |index: u32| pure * (2.0 * f64::from(index) - f64::from(times));
            let losses: Vec<_> = (0_u32..).zip(masses).map(|(index, mass)| (loss(index), mass)).collect();
            for delta in [1e-10, 1e-6, 1e-3] {
                let exact = solved(delta, |epsilon| profile(&losses, epsilon));
                tight(composition(Mechanism::DiscreteLaplace, scale, times.into()).epsilon(delta).unwrap(), exact);
            }
        }
    }
}

/// δ of one sampled Gaussian release in both directions, by Simpson's rule over the output.
fn integrated(sigma: f64, probability: f64, epsilon: f64) -> f64 {
    let density = |x: f64| (-x * x / (2.0 * sigma * sigma)).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt());
    let steps = 10_000_u32;
    let (low, high) = (-14.0 * sigma - 1.0, 14.0 * sigma + 2.0);
    let width = (high - low) / f64::from(steps);
    let (mut remove, mut add) = (0.0, 0.0);
    for step in 0..=steps {
        let x = low + width * f64::from(step);
        let without = density(x);
        let with = (1.0 - probability) * without + probability * density(x - 1.0);
        let weight = if step == 0 || step == steps { 1.0 } else { f64::from(2 + 2 * (step % 2)) } * width / 3.0;
        remove += weight * (with - epsilon.exp() * without).max(0.0);
        add += weight * (without - epsilon.exp() * with).max(0.0);
    }
    remove.max(add)
}

#[test]
fn sampled_once_against_direct_integration() {
    for (sigma, probability) in [(0.5, 0.1), (1.0, 0.01), (1.0, 0.5), (3.0, 0.9), (2.0, 0.001)] {
        for delta in [1e-7, 1e-5, 1e-3] {
            let exact =
                solved(delta, |epsilon| if epsilon > 100.0 { 0.0 } else { integrated(sigma, probability, epsilon) });
            let epsilon = sampled(Mechanism::Gaussian, sigma, probability, 1).epsilon(delta).unwrap();
            // The kink costs Simpson's rule six digits of δ.
            assert!(epsilon >= exact * (1.0 - 1e-5) - 1e-9 && epsilon <= exact * 1.005 + 1e-9, "{epsilon} {exact}");
        }
    }
}

/// Figures of two directions between those that Google's `dp_accounting` 0.6.0 gives as lower and upper bounds.
#[test]
fn between_the_bounds_of_another_accountant() {
    for (composition, delta, low, high) in bounds() {
        let epsilon = composition.epsilon(delta).unwrap();
        // The figures above have seven digits.
        assert!(epsilon >= low * (1.0 - 1e-6) && epsilon <= high * 1.005, "{epsilon} is not in {low}..{high}");
    }
}

#[test]
fn sampling_all_is_not_sampling_and_none_is_nothing() {
    for mechanism in [Mechanism::Gaussian, Mechanism::Laplace, Mechanism::DiscreteGaussian, Mechanism::DiscreteLaplace]
    {
        let all = sampled(mechanism, 2.0, 1.0, 12).epsilon(1e-6).unwrap();
        assert_eq!(all, composition(mechanism, 2.0, 12).epsilon(1e-6).unwrap());
        let mut last = all;
        for probability in [0.999_999, 0.5, 0.1, 0.01, 1e-3, 1e-4] {
            let epsilon = sampled(mechanism, 2.0, probability, 12).epsilon(1e-6).unwrap();
            assert!(epsilon <= last * 1.000_1, "{mechanism:?} {probability}: {epsilon} {last}");
            last = epsilon;
        }
        assert!(last < 1e-3, "{last}");
        assert_eq!(sampled(mechanism, 2.0, 1e-6, 1).epsilon(1e-6), Ok(0.0));
    }
}

/// Parts in any order, and parts as their closed form: n Gaussians are one of Σμ².
#[test]
fn mixtures_are_products() {
    let parts = [(3.0, 7), (10.0, 100), (1.5, 2), (400.0, 5000)];
    let build = |parts: &[(f64, u64)]| {
        parts.iter().fold(Composition::default(), |all, (scale, times)| {
            all.and(noise(Mechanism::Gaussian, *scale), *times).unwrap()
        })
    };
    let mut reversed = parts;
    reversed.reverse();
    let mu: f64 = parts.iter().map(|(scale, times)| *times as f64 / (scale * scale)).sum::<f64>().sqrt();
    for delta in [1e-9, 1e-5] {
        let epsilon = build(&parts).epsilon(delta).unwrap();
        tight(epsilon, epsilon_of_gaussian(mu, delta));
        let other = build(&reversed).epsilon(delta).unwrap();
        assert!((other - epsilon).abs() <= 1e-9 * epsilon, "{other} {epsilon}");
    }
    let year = build(&parts).repeated(52).unwrap();
    assert_eq!(year.times(), 52 * 5109);
    tight(year.epsilon(1e-6).unwrap(), epsilon_of_gaussian(mu * 52.0_f64.sqrt(), 1e-6));
}

/// Noise on integers is bounded by continuous noise, and costs next to nothing more.
#[test]
fn noise_of_integers() {
    let epsilon = |noise: Noise| Composition::of(noise, 53).unwrap().epsilon(1e-6).unwrap();
    let exact = epsilon_of_gaussian(53.0_f64.sqrt() / 2.5, 1e-6);
    tight(epsilon(Noise::of_integers(2.5, 170_000.0).unwrap()), exact);
    let coarse = epsilon(Noise::of_integers(2.5, 10.0).unwrap());
    assert!(coarse > exact * 1.01 && coarse < exact * 1.1, "{coarse} {exact}");
    // In one dimension the exact masses are known: at Δ = 1 the bound is above them.
    assert!(epsilon(Noise::of_integers(5.0, 5.0).unwrap()) > epsilon(noise(Mechanism::DiscreteGaussian, 5.0)));
    // The same on both sides of where the masses are no longer summed.
    let below = epsilon(noise(Mechanism::DiscreteGaussian, 1_000.0));
    let beyond = epsilon(noise(Mechanism::DiscreteGaussian, 1_000.1));
    assert!((below - beyond).abs() < 1e-3 * below, "{below} {beyond}");
    assert_eq!(Noise::of_integers(2.5, 3.9).unwrap_err(), PldError::Scale);
}

#[test]
fn senseless_input_is_refused() {
    for scale in [0.0, 0.049, -1.0, f64::NAN, f64::INFINITY, 1.1e6] {
        assert_eq!(Noise::new(Mechanism::Gaussian, scale).unwrap_err(), PldError::Scale);
    }
    let one = || noise(Mechanism::Laplace, 1.0);
    for probability in [0.0, 1e-7, 1.1, -0.5, f64::NAN] {
        assert_eq!(one().sampled(probability).unwrap_err(), PldError::Sampling);
    }
    assert_eq!(Composition::of(one(), 0).unwrap_err(), PldError::Times);
    assert_eq!(Composition::of(one(), u64::MAX).unwrap_err(), PldError::Times);
    assert_eq!(Composition::of(one(), 20_000).unwrap().repeated(10_000).unwrap_err(), PldError::Times);
    assert_eq!(Composition::of(one(), 1).unwrap().repeated(0).unwrap_err(), PldError::Times);
    assert_eq!(Composition::default().epsilon(0.1), Err(PldError::Times));
    let mut many = Composition::of(one(), 1).unwrap();
    for _ in 1..Composition::PARTS_MAX {
        many = many.and(one(), 1).unwrap();
    }
    assert_eq!(many.and(one(), 1).unwrap_err(), PldError::Parts);
    let once = Composition::of(one(), 1).unwrap();
    for delta in [0.0, 1e-31, 1.0, -1.0, f64::NAN] {
        assert_eq!(once.epsilon(delta), Err(PldError::Delta));
    }
    for epsilon in [-1e-9, 1e10, f64::NAN, f64::INFINITY] {
        assert_eq!(once.delta(epsilon), Err(PldError::Epsilon));
    }
}

/// From one release to some years of hourly ones.
const TIMES: &[u64] = &[1, 2, 5, 17, 53, 365, 1_000, 4_000, 10_000];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The closed form, over most of what is accepted.
    #[test]
    fn gaussian_is_never_below_the_exact_figure_and_tight(
        log_scale in -1.0..5.0f64, times in select(TIMES), log_delta in -14.0..-1.0f64,
    ) {
        let (scale, delta) = (10f64.powf(log_scale), 10f64.powf(log_delta));
        let mu = (times as f64).sqrt() / scale;
        let exact = epsilon_of_gaussian(mu, delta);
        let epsilon = composition(Mechanism::Gaussian, scale, times).epsilon(delta).unwrap();
        // Where δ is nearly reached at ε = 0, no figure is near to a part of nearly nothing.
        let exact_or_little = exact.max(0.01 * mu);
        prop_assert!(epsilon <= exact_or_little * 1.005, "{} {}", epsilon, exact);
        prop_assert!(epsilon >= exact * (1.0 - 1e-12), "{} {}", epsilon, exact);
    }

    /// δ too, at whatever ε, and ε and δ are each other's inverse.
    #[test]
    fn delta_is_never_below_the_exact_figure(
        log_scale in -0.5..2.0f64, times in select(&TIMES[..7]), times_mean in 0.0..8.0f64,
    ) {
        let scale = 10f64.powf(log_scale);
        let mu = (times as f64).sqrt() / scale;
        let epsilon = mu * mu / 2.0 + mu * (times_mean - 1.0);
        prop_assume!(epsilon >= 0.0);
        let exact = gaussian_profile(epsilon, mu).lower();
        let all = composition(Mechanism::Gaussian, scale, times);
        let delta = all.delta(epsilon).unwrap();
        prop_assert!(delta >= exact && delta <= exact * 1.03, "{:e} {:e}", delta, exact);
        if delta < 0.9 && epsilon > 0.01 * mu {
            let back = all.epsilon(delta).unwrap();
            prop_assert!((back - epsilon).abs() <= 5e-3 * epsilon, "{} {}", back, epsilon);
        }
    }

    /// More noise, fewer releases and more δ are never worse; a mixture costs more than its parts.
    #[test]
    fn monotone(
        kind in 0..4usize, log_scale in -0.5..1.5f64, times in 1..200u64, log_delta in -9.0..-2.0f64,
        log_sampling in -2.0..0.0f64,
    ) {
        let mechanism = [
            Mechanism::Gaussian, Mechanism::DiscreteGaussian, Mechanism::Laplace, Mechanism::DiscreteLaplace,
        ][kind];
        let (scale, delta) = (10f64.powf(log_scale), 10f64.powf(log_delta));
        let at = |scale: f64, times: u64, delta: f64| composition(mechanism, scale, times).epsilon(delta).unwrap();
        let epsilon = at(scale, times, delta);
        prop_assert!(at(scale * 1.1, times, delta) <= epsilon * 1.002);
        prop_assert!(at(scale, times + times.div_ceil(10), delta) * 1.002 >= epsilon);
        prop_assert!(at(scale, times, delta * 2.0) <= epsilon * 1.002);
        // zCDP's conversion is an upper bound of the exact figure.
        prop_assert!(epsilon <= crate::zcdp::epsilon(mechanism.rho(scale, times), delta) * 1.005);
        if mechanism == Mechanism::Laplace || mechanism == Mechanism::DiscreteLaplace {
            prop_assert!(epsilon <= times as f64 / scale * (1.0 + 1e-9) + 1e-12);
        }
        let sample = sampled(mechanism, scale, 10f64.powf(log_sampling), times).epsilon(delta).unwrap();
        prop_assert!(sample <= epsilon * 1.005 + 1e-9, "{} {}", sample, epsilon);
    }
}

/// Compositions, δ, and the bounds of ε; the lower by privacy buckets, which is much the coarser.
fn bounds() -> Vec<(Composition, f64, f64, f64)> {
    use Mechanism::{DiscreteGaussian, DiscreteLaplace, Gaussian, Laplace};
    let mixture = [(Gaussian, 5.0, 50), (Laplace, 2.0, 20), (DiscreteLaplace, 3.0, 10), (DiscreteGaussian, 4.0, 30)];
    let mixture = mixture.into_iter().fold(Composition::default(), |all, (mechanism, scale, times)| {
        all.and(noise(mechanism, scale), times).unwrap()
    });
    vec![
        (composition(Laplace, 1.0, 2), 1e-6, 1.999_976, 1.999_996),
        (composition(Laplace, 1.0, 10), 1e-6, 9.998_978, 9.998_978),
        (composition(Laplace, 1.0, 100), 1e-6, 71.544_72, 71.546),
        (composition(Laplace, 10.0, 1000), 1e-6, 18.947_94, 18.950_29),
        (composition(DiscreteGaussian, 1.0, 100), 1e-6, 96.7523, 96.7523),
        (composition(DiscreteLaplace, 5.0, 1000), 1e-6, 48.9172, 48.9172),
        (mixture, 1e-6, 17.754_91, 17.761_56),
        (sampled(Gaussian, 1.0, 0.01, 1), 1e-6, 0.363_942_8, 0.363_947_8),
        (sampled(Gaussian, 1.0, 0.01, 1000), 1e-6, 2.119_515, 2.124_515),
        (sampled(Gaussian, 1.0, 0.01, 10_000), 1e-6, 6.857_385, 6.907_385),
        (sampled(Gaussian, 4.0, 0.01, 10_000), 1e-5, 0.896_867_4, 0.946_868_4),
        (sampled(Gaussian, 0.8, 0.1, 100), 1e-6, 12.520_34, 12.525_34),
        (sampled(Gaussian, 2.0, 0.001, 1000), 1e-6, 0.060_139_12, 0.061_139_16),
        (sampled(Gaussian, 1.0, 0.5, 10), 1e-6, 11.798_28, 11.798_78),
        (sampled(Gaussian, 0.5, 1e-4, 1000), 1e-6, 1.159_164, 1.163_377),
        (sampled(Laplace, 1.0, 0.01, 1000), 1e-6, 1.279_291, 1.286_408),
        (sampled(DiscreteLaplace, 1.0, 0.01, 1000), 1e-6, 1.452_034, 1.462_034),
        (sampled(DiscreteGaussian, 1.0, 0.01, 1000), 1e-6, 2.119_023, 2.129_023),
    ]
}
