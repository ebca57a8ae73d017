//! Global weights from noised second moments, by linfa.
//!
//! With z = (x, r) the moments hold A = Σxxᵀ and Σx·r, means over each session's outcomes. The weights w of
//! r − c = wᵀx + ε are shrunk toward w₀ by a ridge ρ:
//!
//! ```text
//! (A + ρI)(w − w₀) = Σx(r − c) − A·w₀
//! ```
//!
//! w₀ are the hand-set weights of the prior model. The sums hold all that the last model learned from, noise included;
//! shrinking toward it would count that noise again with every window (measured: up to .02 of mean reward at ε = 1).
//!
//! A is noised, so negative eigenvalues are set to 0 first. linfa fits a linear model to samples, and takes no sufficient statistics:
//! for positive definite A = LLᵀ it is given the samples X = Lᵀ, y = L⁻¹b, whose least squares solution is that of the normal equations
//! XᵀX w = Xᵀy, which is A w = b.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linalg::cholesky::Cholesky;
use linfa_linalg::eigh::EighInto;
use linfa_linalg::triangular::{SolveTriangular, UPLO};
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2, Axis};
use personalize::FEATURES;
use personalize::model::WEIGHT_MAX;

use super::sums::Matrix;
use super::{GateRefusal, rounded};

/// ρ: sessions that the hand-set weights count for, and standard deviations of a cell's noise on top.
const RIDGE_SESSIONS: f64 = 40.0;
const RIDGE_NOISE: f64 = 20.0;

/// The w that solves A w = b through linfa; nothing where A is not positive definite in floating point.
pub(super) fn solve(matrix: &Array2<f64>, target: &Array1<f64>) -> Option<Array1<f64>> {
    let lower = matrix.cholesky().ok()?;
    let column = target.view().insert_axis(Axis(1)).to_owned();
    let samples = lower.solve_triangular(&column, UPLO::Lower).ok()?.remove_axis(Axis(1));
    let fitted =
        LinearRegression::new().with_intercept(false).fit(&Dataset::new(lower.t().to_owned(), samples)).ok()?;
    fitted.params().iter().all(|value| value.is_finite()).then(|| fitted.params().clone())
}

/// The next global weights.
pub(super) fn fit(moments: &Matrix, base_rate: f64, toward: &[f32; FEATURES]) -> Result<[f32; FEATURES], GateRefusal> {
    let values = &moments.values;
    let square = Array2::from_shape_fn((FEATURES, FEATURES), |cell| values[cell]);
    let mut matrix = positive_part(square)?;
    let start = Array1::from_iter(toward.iter().copied().map(f64::from));
    let centred = Array1::from_shape_fn(FEATURES, |row| values[(row, FEATURES)] - base_rate * values[(row, 0)]);
    let target = centred - matrix.dot(&start);
    matrix.diag_mut().mapv_inplace(|value| value + RIDGE_SESSIONS + RIDGE_NOISE * moments.variance.sqrt());
    let step = solve(&matrix, &target).ok_or(GateRefusal::Numerics)?;
    let mut weights = *toward;
    for (weight, step) in weights.iter_mut().zip(step) {
        *weight = (*weight + rounded(step)).clamp(-WEIGHT_MAX, WEIGHT_MAX);
    }
    Ok(weights)
}

/// The nearest positive semidefinite matrix: negative eigenvalues become 0 (Higham 1988).
fn positive_part(matrix: Array2<f64>) -> Result<Array2<f64>, GateRefusal> {
    let (values, vectors) = matrix.eigh_into().map_err(|_| GateRefusal::Numerics)?;
    let scaled = &vectors * &values.mapv(|value| value.max(0.0));
    let positive = scaled.dot(&vectors.t());
    Ok((&positive + &positive.t()) * 0.5)
}
