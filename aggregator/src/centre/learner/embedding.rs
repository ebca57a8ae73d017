//! Item embeddings from the noised Gram of co-engagement.
//!
//! The Gram G = Σ vvᵀ + noise is symmetric N × N; noise of standard deviation σ a cell has eigenvalues within ±2σ√N
//! (Wigner's semicircle). Eigenvalues above [`CUT`] × that edge are kept, at most [`DIMS`]. What noise added is
//! taken off again: under an observed λ = ℓ + Nσ²/ℓ stands a true ℓ, and the observed vector keeps 1 − Nσ²/ℓ² of its square
//! in the true direction (Benaych-Georges and Nadakuditi 2011). Item i's embedding is
//!
//! ```text
//! eᵢ = (uᵢₖ ℓₖ √(1 − Nσ²/ℓₖ²)) over k, scaled so that the mean of |e|² over the frame is 1
//! ```
//!
//! Scaling by ℓ gives strong tastes a wide prior in the session's posterior. The first direction is kept: session vectors
//! are signed and item quality is a feature of its own, so it is a taste and not popularity (measured: dropping it costs
//! .01 to .02 of mean reward). Items outside of the frame, new ones among them, get theirs by a ridge regression from
//! content and popularity. Dimensions that are left over hold content, so that a session also learns plain genres.

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::{Array2, Axis};
use personalize::content::SLOTS;
use personalize::model::DIMS;
use personalize::{Catalogue, Frame, ItemIndex};

use super::sums::Matrix;
use super::{GateRefusal, items, rounded, subspace};

/// Eigenvalues below this many noise edges are discarded.
const CUT: f64 = 1.3;
/// Length of the content part, against 1 for the learned one.
const CONTENT: f32 = 1.5;
/// Ridge of the map from content, in items.
const RIDGE: f64 = 1.0;

pub(super) struct Learned {
    /// One an item of the catalogue; empty where no eigenvalue stands out.
    pub(super) embeddings: Vec<[f32; DIMS]>,
    pub(super) rank: usize,
    pub(super) noise_edge: f64,
    pub(super) eigenvalues: Vec<f64>,
}

impl Learned {
    pub(super) const fn nothing() -> Self {
        Self { embeddings: Vec::new(), rank: 0, noise_edge: 0.0, eigenvalues: Vec::new() }
    }
}

pub(super) fn learn(
    catalogue: &Catalogue,
    gram: &Matrix,
    frame: &Frame,
    popularity: &[f64],
) -> Result<Learned, GateRefusal> {
    let (values, vectors) = subspace::leading(&gram.values, DIMS).ok_or(GateRefusal::Numerics)?;
    let spread = gram.variance * count(frame.top.len());
    let noise_edge = 2.0 * spread.sqrt();
    let least = CUT * noise_edge;
    let rank = values.iter().take_while(|value| **value > least && **value > 0.0).count();
    let mut learned = Learned { rank, noise_edge, eigenvalues: values.to_vec(), ..Learned::nothing() };
    if rank == 0 {
        return Ok(learned);
    }
    let mut top = vectors.select(Axis(1), &(0..rank).collect::<Vec<_>>());
    for (mut column, value) in top.columns_mut().into_iter().zip(&values) {
        let spike = (value + (value * value - 4.0 * spread).sqrt()) / 2.0;
        column *= (spike * spike - spread).max(0.0).sqrt();
    }
    let mean_square = top.iter().map(|value| value * value).sum::<f64>() / count(frame.top.len());
    top /= mean_square.sqrt();
    let map = content_map(catalogue, frame, &top, popularity)?;
    learned.embeddings =
        items(catalogue).map(|(place, item)| mapped(catalogue, item, popularity[place], &map)).collect();
    for (item, row) in frame.top.iter().zip(top.rows()) {
        learned.embeddings[item.offset()].iter_mut().zip(row).for_each(|(to, from)| *to = rounded(*from));
    }
    fill_with_content(catalogue, &mut learned.embeddings, rank);
    Ok(learned)
}

#[expect(clippy::cast_precision_loss, reason = "at most FRAME_ITEMS_MAX items")]
fn count(items: usize) -> f64 {
    items as f64
}

/// B of e = Bᵀx by ridge over the frame's items, x = (1, popularity, content).
fn content_map(
    catalogue: &Catalogue,
    frame: &Frame,
    top: &Array2<f64>,
    popularity: &[f64],
) -> Result<Array2<f64>, GateRefusal> {
    let side = SLOTS + 2;
    let mut matrix = Array2::eye(side) * RIDGE;
    let mut target = Array2::zeros((side, top.ncols()));
    for (item, embedding) in frame.top.iter().zip(top.rows()) {
        let row = regressors(catalogue, *item, popularity[item.offset()]);
        for (column, value) in &row {
            target.row_mut(*column).scaled_add(*value, &embedding);
            row.iter().for_each(|(other, factor)| matrix[(*column, *other)] += value * factor);
        }
    }
    matrix.solvec_into(target).map_err(|_| GateRefusal::Numerics)
}

fn mapped(catalogue: &Catalogue, item: ItemIndex, popularity: f64, map: &Array2<f64>) -> [f32; DIMS] {
    let row = regressors(catalogue, item, popularity);
    let mut embedding = [0.0; DIMS];
    for (dim, column) in map.columns().into_iter().enumerate() {
        embedding[dim] = rounded(row.iter().map(|(place, value)| column[*place] * value).sum());
    }
    embedding
}

fn regressors(catalogue: &Catalogue, item: ItemIndex, popularity: f64) -> Vec<(usize, f64)> {
    let content = catalogue.content().of_item(item).iter();
    let content = content.map(|entry| (2 + usize::from(entry.slot), f64::from(entry.value)));
    [(0, 1.0), (1, popularity)].into_iter().chain(content).collect()
}

/// The most frequent words' slots go into the dimensions from `rank` on, as many as there are.
fn fill_with_content(catalogue: &Catalogue, embeddings: &mut [[f32; DIMS]], rank: usize) {
    for ((_, item), embedding) in items(catalogue).zip(embeddings) {
        for entry in catalogue.content().of_item(item) {
            if let Some(free) = embedding.get_mut(rank + usize::from(entry.slot)) {
                *free = entry.value * CONTENT;
            }
        }
    }
}
