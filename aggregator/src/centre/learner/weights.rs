//! Global weights by the linfa bridge.

use linfa::Dataset;
use linfa::traits::Fit;
use linfa_linalg::cholesky::Cholesky;
use linfa_linalg::eigh::EighInto;
use linfa_linalg::triangular::{SolveTriangular, UPLO};
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2, Axis};
use personalize::{FEATURES, Frame};

use super::sums::Matrix;
use super::{GateRefusal, Settings};

/// Solves A x = b for positive definite A through linfa: A = LLᵀ, X = Lᵀ, y = L⁻¹b, no intercept.
pub(super) fn solve(a: &Array2<f64>, b: &Array1<f64>) -> Option<Array1<f64>> {
    let lower = a.cholesky().ok()?;
    let y = lower.solve_triangular(&b.view().insert_axis(Axis(1)).to_owned(), UPLO::Lower).ok()?;
    let dataset = Dataset::new(lower.t().to_owned(), y.remove_axis(Axis(1)));
    let fitted = LinearRegression::new().with_intercept(false).fit(&dataset).ok()?;
    Some(fitted.params().clone())
}

pub(super) fn fit(
    settings: &Settings,
    moments: &Matrix,
    frame: &Frame,
    toward: &[f32; FEATURES],
) -> Result<[f32; FEATURES], GateRefusal> {
    let values = &moments.values;
    let base = f64::from(frame.base_rate());
    let (eigenvalues, vectors) =
        Array2::from_shape_fn((FEATURES, FEATURES), |cell| values[cell]).eigh_into().map_err(|_| GateRefusal::Linfa)?;
    let clipped = eigenvalues.mapv(|value| value.max(0.0));
    let mut a = vectors.dot(&Array2::from_diag(&clipped)).dot(&vectors.t());
    a = (&a + &a.t()) * 0.5;
    let toward = Array1::from_iter(toward.iter().map(|w| f64::from(*w)));
    let b = Array1::from_shape_fn(FEATURES, |row| values[(row, FEATURES)] - base * values[(row, 0)]) - a.dot(&toward);
    let sessions = values[(0, 0)].max(1.0);
    let shrink = settings.weight_shrink * (moments.off_diagonal_variance.sqrt() * 10.0 + 20.0 + 0.0 * sessions);
    let mut ridged = a;
    ridged.diag_mut().mapv_inplace(|x| x + shrink);
    let delta = solve(&ridged, &b).ok_or(GateRefusal::Linfa)?;
    let mut weights = [0.0f32; FEATURES];
    for (k, weight) in weights.iter_mut().enumerate() {
        *weight = ((toward[k] + delta[k]) as f32).clamp(-10.0, 10.0);
    }
    Ok(weights)
}
