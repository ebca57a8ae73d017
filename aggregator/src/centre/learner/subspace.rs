//! Leading eigenvectors of a symmetric matrix by block subspace iteration.

use linfa_linalg::eigh::EighInto;
use linfa_linalg::qr::QRInto;
use ndarray::{Array1, Array2};

/// Eigenvalues by falling value, and vectors as columns.
pub(super) fn leading(matrix: &Array2<f64>, rank: usize, rounds: usize) -> Option<(Array1<f64>, Array2<f64>)> {
    let side = matrix.nrows();
    let block = (rank + 12).min(side);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
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
