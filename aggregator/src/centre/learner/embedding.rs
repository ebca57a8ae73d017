//! Item embeddings from the Gram matrix of sessions.

use ndarray::{Array1, Array2, Axis};
use personalize::content::SLOTS;
use personalize::model::DIMS;
use personalize::{Catalogue, Frame, ItemIndex};

use super::sums::{self, Matrix, StatisticsError};
use super::{Statistics, items, narrow, subspace};

/// Eigenvalues are kept from this multiple of the noise edge on.
const CUT: f64 = 1.3;
/// Power of the debiased eigenvalue by which its eigenvector is scaled.
const EIGENVALUE_POWER: f64 = 0.75;
/// Rounds of subspace iteration: the kept eigenvalues are well apart from the rest.
const ROUNDS: usize = 30;
/// Ridge of the map from content to embedding.
const RIDGE: f64 = 1.0;
/// Scale of content, which fills the dimensions that the Gram leaves free, beside embeddings of unit mean square.
const CONTENT_SCALE: f32 = 1.5;
/// Features of the content map: 1, popularity, content.
const MAP_FEATURES: usize = SLOTS + 2;

/// Embeddings and what stood out of the noise.
pub(super) struct Learned {
    /// One an item of the catalogue.
    pub(super) embeddings: Vec<[f32; DIMS]>,
    pub(super) rank: usize,
    pub(super) eigenvalues: Vec<f64>,
    pub(super) noise_edge: f64,
}

/// Embeddings for every item; nothing where no eigenvalue stands out of the noise.
pub(super) fn learn(
    catalogue: &Catalogue,
    statistics: &Statistics,
    frame: &Frame,
    popularity: &[f64],
) -> Result<Option<Learned>, StatisticsError> {
    if frame.top.is_empty() {
        return Ok(None);
    }
    let Some(gram) = sums::gram(statistics, frame)? else { return Ok(None) };
    let Some((top, eigenvalues, noise_edge)) = spectrum(&gram) else { return Ok(None) };
    let rank = top.ncols();
    let map = content_map(catalogue, frame, &top, popularity);
    let mut embeddings = vec![[0.0_f32; DIMS]; catalogue.len()];
    for (item, row) in items(catalogue).zip(&mut embeddings) {
        for (feature, value) in content_row(catalogue, item, popularity) {
            row.iter_mut().zip(map.row(feature)).for_each(|(cell, weight)| *cell += narrow(weight * value));
        }
    }
    for (item, learned) in frame.top.iter().zip(top.rows()) {
        embeddings[item.offset()].iter_mut().zip(learned).for_each(|(cell, value)| *cell = narrow(*value));
    }
    for (item, row) in items(catalogue).zip(&mut embeddings) {
        let free = &mut row[rank..];
        for entry in catalogue.content().of_item(item) {
            if let Some(cell) = free.get_mut(usize::from(entry.slot)) {
                *cell = entry.value * CONTENT_SCALE;
            }
        }
    }
    Ok(Some(Learned { embeddings, rank, eigenvalues, noise_edge }))
}

/// Embeddings of the frame's items (items × rank, unit mean square a row), the leading eigenvalues, and the noise edge.
///
/// A symmetric matrix of noise with variance σ² a cell has its spectrum within ±2σ√N. An eigenvalue ℓ of the signal
/// appears at λ = ℓ + Nσ²/ℓ, and its vector with squared cosine 1 − Nσ²/ℓ² (Benaych-Georges and Nadakuditi 2011).
fn spectrum(gram: &Matrix) -> Option<(Array2<f64>, Vec<f64>, f64)> {
    let side = gram.values.nrows();
    #[expect(clippy::cast_precision_loss, reason = "at most FRAME_ITEMS")]
    let noise = gram.off_diagonal_variance * side as f64;
    let noise_edge = 2.0 * noise.sqrt();
    let (values, vectors) = subspace::leading(&gram.values, DIMS.min(side), ROUNDS)?;
    let kept = values.iter().filter(|value| **value > (CUT * noise_edge).max(0.0)).count();
    if kept == 0 {
        return None;
    }
    let mut top = Array2::<f64>::zeros((side, kept));
    for (place, mut column) in top.columns_mut().into_iter().enumerate() {
        let value = values[place];
        let signal = 0.5 * (value + (value * value - noise_edge * noise_edge).max(0.0).sqrt());
        let cosine = (1.0 - noise / (signal * signal)).max(0.0).sqrt();
        column.assign(&vectors.column(place));
        column *= signal.powf(EIGENVALUE_POWER) * cosine;
    }
    let mean_square = top.mapv(|cell| cell * cell).sum_axis(Axis(1)).mean()?;
    if mean_square > 0.0 {
        top /= mean_square.sqrt();
    }
    Some((top, values.to_vec(), noise_edge))
}

fn content_row(catalogue: &Catalogue, item: ItemIndex, popularity: &[f64]) -> Vec<(usize, f64)> {
    let mut row = vec![(0, 1.0), (1, popularity[item.offset()])];
    let content = catalogue.content().of_item(item).iter();
    row.extend(content.map(|entry| (2 + usize::from(entry.slot), f64::from(entry.value))));
    row
}

/// Ridge regression of the learned embeddings on popularity and content: features × rank.
fn content_map(catalogue: &Catalogue, frame: &Frame, top: &Array2<f64>, popularity: &[f64]) -> Array2<f64> {
    let mut a = Array2::<f64>::eye(MAP_FEATURES) * RIDGE;
    let mut b = Array2::<f64>::zeros((MAP_FEATURES, top.ncols()));
    for (item, learned) in frame.top.iter().zip(top.rows()) {
        let row = content_row(catalogue, *item, popularity);
        for (j, x) in &row {
            b.row_mut(*j).scaled_add(*x, &learned);
            row.iter().for_each(|(k, other)| a[(*j, *k)] += x * other);
        }
    }
    let mut map = Array2::zeros(b.dim());
    for (mut to, from) in map.columns_mut().into_iter().zip(b.columns()) {
        to.assign(&super::weights::solve(&a, &from.to_owned()).unwrap_or_else(|| Array1::zeros(MAP_FEATURES)));
    }
    map
}
