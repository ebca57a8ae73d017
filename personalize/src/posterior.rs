//! A session's belief about its viewer: a Gaussian over the embedding block.
//!
//! Model: residual reward y = θᵀe + ε with ε ~ N(0, 1) and θ ~ N(0, I/λ), where e is an item's embedding
//! (Bayesian linear regression; Bishop, Pattern Recognition and Machine Learning, § 3.3). One outcome is one rank-one
//! update (Sherman–Morrison): with s = Σe and d = 1 + eᵀs,
//!
//! ```text
//! μ ← μ + s (y − μᵀe) / d        Σ ← Σ − s sᵀ / d
//! ```
//!
//! Σ is symmetric, so its lower triangle is kept, row by row: element (i, j), j ≤ i, stands at i(i+1)/2 + j.

use crate::model::DIMS;

/// Numbers in the packed triangle.
const TRIANGLE: usize = DIMS * (DIMS + 1) / 2;

/// One embedding.
pub(crate) type Vector = [f32; DIMS];

/// Mean and covariance. Raw signals shaped it, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Posterior {
    mean: Vector,
    covariance: [f32; TRIANGLE],
}

impl Posterior {
    /// The belief before any outcome: mean 0, covariance I/λ.
    pub(crate) fn prior(precision: f32) -> Self {
        let mut covariance = [0.0; TRIANGLE];
        let mut diagonal = 0;
        for row in 0..DIMS {
            diagonal += row;
            covariance[diagonal] = 1.0 / precision;
            diagonal += 1;
        }
        Self { mean: [0.0; DIMS], covariance }
    }

    /// What the viewer's taste adds to an item's reward, in expectation.
    pub(crate) fn predict(&self, embedding: &Vector) -> f32 {
        dot(&self.mean, embedding)
    }

    /// Learns that an item's reward differed by `residual` from what the global model expects.
    pub(crate) fn update(&mut self, embedding: &Vector, residual: f32) {
        let product = self.multiply(embedding);
        let scale = 1.0 / (1.0 + dot(&product, embedding));
        let step = (residual - self.predict(embedding)) * scale;
        for (mean, product) in self.mean.iter_mut().zip(&product) {
            *mean += product * step;
        }
        let mut rest = self.covariance.as_mut_slice();
        for row in 0..DIMS {
            let (cells, tail) = rest.split_at_mut(row + 1);
            let factor = product[row] * scale;
            for (cell, product) in cells.iter_mut().zip(&product) {
                *cell -= factor * product;
            }
            rest = tail;
        }
    }

    /// Σe from the packed triangle.
    fn multiply(&self, vector: &Vector) -> Vector {
        let mut product = [0.0; DIMS];
        let mut rest = self.covariance.as_slice();
        for row in 0..DIMS {
            let (cells, tail) = rest.split_at(row + 1);
            let mut sum = cells[row] * vector[row];
            for (column, cell) in cells[..row].iter().enumerate() {
                sum += cell * vector[column];
                product[column] += cell * vector[row];
            }
            product[row] += sum;
            rest = tail;
        }
        product
    }
}

/// The inner product, summed in a fixed order over eight lanes so that it is the same everywhere.
pub(crate) fn dot(a: &Vector, b: &Vector) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(values: &[f32]) -> Vector {
        let mut vector = [0.0; DIMS];
        vector[..values.len()].copy_from_slice(values);
        vector
    }

    /// One dimension by hand: λ = 4, e = 2, y = 1: Σ = ¼ − (½)²/(1 + 1) = ⅛, μ = ½ · 1/2 = ¼.
    #[test]
    fn known_answer() {
        let mut posterior = Posterior::prior(4.0);
        posterior.update(&vector(&[2.0]), 1.0);
        assert_eq!((posterior.mean[0], posterior.covariance[0], posterior.covariance[2]), (0.25, 0.125, 0.25));
        assert_eq!(posterior.predict(&vector(&[4.0, 9.0])), 1.0);
    }

    proptest! {
        /// The normal equations (λI + EᵀE) μ = Eᵀy hold for what rank-one updates arrive at, in any order.
        #[test]
        fn solves_the_normal_equations(
            rows in proptest::collection::vec((proptest::collection::vec(-1.0..1.0f32, DIMS), -1.0..1.0f32), 1..60),
            precision in 1.0..20.0f32,
        ) {
            let (mut forth, mut back) = (Posterior::prior(precision), Posterior::prior(precision));
            rows.iter().for_each(|(e, y)| forth.update(&vector(e), *y));
            rows.iter().rev().for_each(|(e, y)| back.update(&vector(e), *y));
            for dim in 0..DIMS {
                let left = rows.iter().map(|(e, _)| e[dim] * forth.predict(&vector(e))).sum::<f32>();
                let right = rows.iter().map(|(e, y)| e[dim] * y).sum::<f32>();
                prop_assert!((precision * forth.mean[dim] + left - right).abs() < 2e-3, "{left} {right}");
                prop_assert!((forth.mean[dim] - back.mean[dim]).abs() < 1e-4);
            }
        }

        /// Learning never makes the belief less certain, and variances stay above 0.
        #[test]
        fn variance_only_falls(rows in proptest::collection::vec(proptest::collection::vec(-3.0..3.0f32, DIMS), 1..80)) {
            let mut posterior = Posterior::prior(10.0);
            let probe = vector(&rows[0]);
            let mut last = f32::INFINITY;
            for row in &rows {
                posterior.update(&vector(row), 0.5);
                let variance = dot(&posterior.multiply(&probe), &probe);
                prop_assert!(variance > 0.0 && variance <= last * 1.0001, "{variance} {last}");
                last = variance;
            }
        }
    }
}
