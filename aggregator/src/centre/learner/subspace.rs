//! Leading eigenvectors of a symmetric matrix by block subspace iteration.

use linfa_linalg::eigh::EighInto;
use linfa_linalg::qr::QRInto;
use ndarray::{Array1, Array2};

/// Columns iterated beside those wanted, which speeds their convergence.
const OVERSAMPLED: usize = 12;

/// The `rank` largest eigenvalues by falling value, and their vectors as columns; nothing where a factorization fails.
///
/// Halko, Martinsson and Tropp 2011, §4.5, from a fixed start: the same matrix gives the same answer.
pub(super) fn leading(matrix: &Array2<f64>, rank: usize, rounds: usize) -> Option<(Array1<f64>, Array2<f64>)> {
    let side = matrix.nrows();
    let block = (rank + OVERSAMPLED).min(side);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let unit = (state >> 11) as f64 / (1_u64 << 53) as f64;
        unit - 0.5
    };
    let mut basis = Array2::from_shape_simple_fn((side, block), &mut next);
    for _ in 0..rounds {
        basis = matrix.dot(&basis).qr_into().ok()?.generate_q();
    }
    let small = basis.t().dot(matrix).dot(&basis);
    let small = (&small + &small.t()) * 0.5;
    let (values, vectors) = small.eigh_into().ok()?;
    let mut order = (0..block).collect::<Vec<_>>();
    order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    order.truncate(rank);
    let vectors = basis.dot(&vectors);
    let mut out = Array2::zeros((side, order.len()));
    for (to, from) in order.iter().enumerate() {
        out.column_mut(to).assign(&vectors.column(*from));
    }
    Some((order.iter().map(|i| values[*i]).collect(), out))
}
