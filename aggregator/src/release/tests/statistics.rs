//! What audits and tests of samplers compute with: normal tail, exact binomial bounds, χ², and how private Gaussian noise
//! is.

/// Φ(x), to 2·10⁻⁷ relative (Press et al., Numerical Recipes §6.2, `erfcc`).
pub(crate) fn normal(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let polynomial = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let exponent = polynomial.iter().fold(0.0, |sum, coefficient| sum * t + coefficient);
    let tail = 0.5 * t * (-z * z + exponent).exp();
    if x > 0.0 { 1.0 - tail } else { tail }
}

/// The least δ for which noise of σ = Δ/μ is (ε, δ)-private (Balle and Wang 2018, theorem 8).
pub(crate) fn gaussian_delta(epsilon: f64, mu: f64) -> f64 {
    normal(mu / 2.0 - epsilon / mu) - epsilon.exp() * normal(-mu / 2.0 - epsilon / mu)
}

fn ln_gamma(x: f64) -> f64 {
    // Stirling's series, exact to 10⁻¹⁰ from 8 on; below, by Γ(x) = Γ(x + 1) ÷ x.
    if x < 8.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
        + 1.0 / (1260.0 * x.powi(5))
}

/// P(X ≥ k) for X binomial: summed from the larger terms down until they no longer count.
pub(crate) fn binomial_tail(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if (k as f64) < n as f64 * p {
        return 1.0 - binomial_tail(n - k + 1, n, 1.0 - p);
    }
    let (x, y) = (k as f64, n as f64);
    let choose = ln_gamma(y + 1.0) - ln_gamma(x + 1.0) - ln_gamma(y - x + 1.0);
    let mut term = (choose + x * p.ln() + (y - x) * (-p).ln_1p()).exp();
    let (mut sum, mut at) = (0.0, k);
    while at <= n && term > sum * 1e-15 {
        sum += term;
        term *= (n - at) as f64 / (at + 1) as f64 * p / (1.0 - p);
        at += 1;
    }
    sum
}

/// Clopper and Pearson (1934): p is above this, but for a probability of `alpha`.
pub(crate) fn lower_bound(k: u64, n: u64, alpha: f64) -> f64 {
    if k == 0 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, k as f64 / n as f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if middle <= 0.0 || binomial_tail(k, n, middle) < alpha { low = middle } else { high = middle }
    }
    low
}

/// p is below this, but for a probability of `alpha`.
pub(crate) fn upper_bound(k: u64, n: u64, alpha: f64) -> f64 {
    1.0 - lower_bound(n - k, n, alpha)
}

/// P(X ≥ `statistic`) for X of χ² with so many degrees of freedom: the upper incomplete gamma function, by its series
/// below the mean and its continued fraction above (Press et al., Numerical Recipes §6.2).
pub(crate) fn chi_square_tail(statistic: f64, degrees: f64) -> f64 {
    let (a, x) = (degrees / 2.0, statistic / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut at) = (1.0 / a, 1.0 / a, a);
        while term > sum * 1e-15 {
            at += 1.0;
            term *= x / at;
            sum += term;
        }
        return 1.0 - front * sum;
    }
    // Lentz's evaluation; every part is positive here.
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (f64::MAX, 1.0 / b);
    let mut fraction = d;
    for step in 1..10_000 {
        let part = -f64::from(step) * (f64::from(step) - a);
        b += 2.0;
        d = 1.0 / (part * d + b);
        c = b + part / c;
        fraction *= c * d;
        if (c * d - 1.0).abs() < 1e-14 {
            break;
        }
    }
    front * fraction
}

/// Cells of a χ² test hold at least so many expected counts.
const POOLED: f64 = 20.0;

/// The probability that a sampler of these probabilities gives counts as unlike them as `observed` are, or more: χ²,
/// neighbouring cells pooled until enough are expected. What the probabilities leave of 1 is expected nowhere.
pub(crate) fn chi_square_p(observed: &[u64], probabilities: &[f64]) -> f64 {
    assert_eq!(observed.len(), probabilities.len());
    let samples = observed.iter().sum::<u64>() as f64;
    let mut cells: Vec<(f64, f64)> = Vec::new();
    let mut pool = (0.0, 0.0);
    for (count, probability) in observed.iter().zip(probabilities) {
        pool = (pool.0 + *count as f64, pool.1 + probability * samples);
        if pool.1 >= POOLED {
            cells.push(std::mem::take(&mut pool));
        }
    }
    // What is left joins the last cell.
    if let Some(last) = cells.last_mut() {
        *last = (last.0 + pool.0, last.1 + pool.1);
    }
    assert!(cells.len() > 1, "one cell says nothing");
    let statistic = cells.iter().map(|(count, expected)| (count - expected).powi(2) / expected).sum();
    chi_square_tail(statistic, cells.len() as f64 - 1.0)
}

#[test]
fn known_answers() {
    // 95 % and 99.9 % points of the usual table; 10⁻⁶ at one degree is (4.8916…)².
    for (statistic, degrees, tail) in
        [(3.841_459, 1.0, 0.05), (18.307_038, 10.0, 0.05), (149.449_253, 100.0, 0.001), (23.928_127, 1.0, 1e-6)]
    {
        assert!((chi_square_tail(statistic, degrees) / tail - 1.0).abs() < 1e-4, "{statistic}");
    }
    // Below the mean, by the series: the median of two degrees is 2 ln 2.
    assert!((chi_square_tail(2.0 * 2f64.ln(), 2.0) - 0.5).abs() < 1e-9);
    // (60 − 50)²/50 + (40 − 50)²/50 = 4, one degree.
    assert!((chi_square_p(&[60, 40], &[0.5, 0.5]) - 0.045_500).abs() < 1e-5);
    assert!((normal(1.0) - 0.841_344_746).abs() < 1e-7);
    assert!((normal(-3.0) - 0.001_349_898).abs() < 1e-9);
    assert!((binomial_tail(8, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-9);
    assert!((binomial_tail(2, 10, 0.5) - 1013.0 / 1024.0).abs() < 1e-9);
    // Clopper–Pearson for 8 of 10 at 95 %, two-sided: .4439 to .9748.
    assert!((lower_bound(8, 10, 0.025) - 0.443_905).abs() < 1e-5);
    assert!((upper_bound(8, 10, 0.025) - 0.974_787).abs() < 1e-5);
    assert_eq!((lower_bound(0, 10, 0.025), upper_bound(10, 10, 0.025)), (0.0, 1.0));
    // σ = Δ: ε = 4.887 at δ = 10⁻⁶.
    assert!((gaussian_delta(4.887, 1.0) - 1e-6).abs() < 1e-8);
}
