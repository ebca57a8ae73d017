//! Global weights by the linfa bridge.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linalg::cholesky::Cholesky;
use linfa_linalg::eigh::EighInto;
use linfa_linalg::triangular::{SolveTriangular, UPLO};
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2, Axis};
use personalize::model::PRIOR_WEIGHTS;
use personalize::{FEATURES, Frame};

use super::sums::Matrix;
use super::{GateRefusal, narrow};

/// Solves A x = b for positive definite A through linfa: A = LLᵀ, X = Lᵀ, y = L⁻¹b, no intercept.
pub(super) fn solve(a: &Array2<f64>, b: &Array1<f64>) -> Option<Array1<f64>> {
    let lower = a.cholesky().ok()?;
    let y = lower.solve_triangular(&b.view().insert_axis(Axis(1)).to_owned(), UPLO::Lower).ok()?;
    let dataset = Dataset::new(lower.t().to_owned(), y.remove_axis(Axis(1)));
    let fitted = LinearRegression::new().with_intercept(false).fit(&dataset).ok()?;
    Some(fitted.params().clone())
}

/// Pseudo-observations that hold the weights to the prior's, beside what the noise asks for.
const SHRINK: f64 = 20.0;
/// Standard deviations of the moments' noise by which they are shrunk further.
const SHRINK_NOISE: f64 = 10.0;
/// Largest weight of a feature.
const WEIGHT_MAX: f64 = 10.0;

/// Weights w that minimise Σ(y − c − w·x)² + s‖w − w₀‖², with w₀ the prior's weights. The noised second moments are
/// brought back to a positive semidefinite matrix first, by clipping eigenvalues.
pub(super) fn fit(moments: &Matrix, frame: &Frame) -> Result<[f32; FEATURES], GateRefusal> {
    let values = &moments.values;
    let base = f64::from(frame.base_rate());
    let xx = Array2::from_shape_fn((FEATURES, FEATURES), |cell| values[cell]);
    let (eigenvalues, vectors) = xx.eigh_into().map_err(|_| GateRefusal::Unsolvable)?;
    let mut a = vectors.dot(&Array2::from_diag(&eigenvalues.mapv(|value| value.max(0.0)))).dot(&vectors.t());
    a = (&a + &a.t()) * 0.5;
    let toward = Array1::from_iter(PRIOR_WEIGHTS.iter().map(|weight| f64::from(*weight)));
    let b = Array1::from_shape_fn(FEATURES, |row| values[(row, FEATURES)] - base * values[(row, 0)]) - a.dot(&toward);
    let shrink = SHRINK_NOISE * moments.off_diagonal_variance.sqrt() + SHRINK;
    a.diag_mut().mapv_inplace(|value| value + shrink);
    let fitted = toward + solve(&a, &b).ok_or(GateRefusal::Unsolvable)?;
    let mut weights = [0.0; FEATURES];
    for (weight, fitted) in weights.iter_mut().zip(&fitted) {
        *weight = narrow(fitted.clamp(-WEIGHT_MAX, WEIGHT_MAX));
    }
    Ok(weights)
}
