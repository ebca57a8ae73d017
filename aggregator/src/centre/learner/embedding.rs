//! Embeddings from the Gram.

use ndarray::{Array1, Array2, Axis};
use personalize::content::SLOTS;
use personalize::frame::PPM;
use personalize::model::DIMS;
use personalize::{Catalogue, Frame, ItemIndex};

use super::sums::{self, StatisticsError};
use super::{Settings, Statistics, subspace};

pub(super) struct Learned {
    pub(super) embeddings: Vec<[f32; DIMS]>,
    pub(super) rank: usize,
    pub(super) eigenvalues: Vec<f64>,
    pub(super) noise_edge: f64,
}

pub(super) fn learn(
    settings: &Settings,
    catalogue: &Catalogue,
    statistics: &Statistics,
    frame: &Frame,
    popularity: &[f64],
) -> Result<Option<Learned>, StatisticsError> {
    if frame.top.is_empty() {
        return Ok(None);
    }
    let Some(mut gram) = sums::gram(statistics, frame)? else { return Ok(None) };
    let side = frame.top.len();
    if settings.zero_diagonal {
        gram.values.diag_mut().fill(0.0);
    }
    let variance = gram.off_diagonal_variance;
    let noise_edge = 2.0 * (variance * side as f64).sqrt();
    let want = (settings.rank_max + settings.drop_first).min(side);
    let Some((mut values, mut vectors)) = subspace::leading(&gram.values, want, 30) else { return Ok(None) };
    if settings.zero_diagonal {
        // Communalities: the diagonal as the kept part explains it.
        for _ in 0..3 {
            let mut diagonal = Array1::<f64>::zeros(side);
            for k in 0..values.len() {
                if values[k] > settings.cut * noise_edge {
                    for i in 0..side {
                        diagonal[i] += values[k] * vectors[(i, k)] * vectors[(i, k)];
                    }
                }
            }
            gram.values.diag_mut().assign(&diagonal);
            let Some((v, u)) = subspace::leading(&gram.values, want, 10) else { return Ok(None) };
            (values, vectors) = (v, u);
        }
    }
    let kept = (settings.drop_first..values.len())
        .filter(|k| values[*k] > settings.cut * noise_edge && values[*k] > 0.0)
        .collect::<Vec<_>>();
    if kept.is_empty() {
        return Ok(None);
    }
    let rank = kept.len();
    // Spiked model: the true eigenvalue ℓ under λ = ℓ + Nσ²/ℓ.
    let spike = |value: f64| 0.5 * (value + (value * value - noise_edge * noise_edge).max(0.0).sqrt());
    let mut top = Array2::<f64>::zeros((side, rank));
    for (to, k) in kept.iter().enumerate() {
        let ell = spike(values[*k]);
        let cosine2 = (1.0 - variance * side as f64 / (ell * ell)).max(0.0);
        let scale = ell.powf(settings.eigen_power) * cosine2.sqrt();
        for i in 0..side {
            let weight = f64::from(frame.weights_ppm[i]) / f64::from(PPM);
            top[(i, to)] = vectors[(i, *k)] * scale * weight.powf(-settings.unweight);
        }
    }
    let rms = (top.iter().map(|x| x * x).sum::<f64>() / side as f64).sqrt();
    top /= rms;
    let map = content_map(settings, catalogue, frame, &top, popularity);
    let mut embeddings = vec![[0.0f32; DIMS]; catalogue.len()];
    for (i, row) in embeddings.iter_mut().enumerate() {
        for (j, x) in content_row(catalogue, i, popularity) {
            for k in 0..rank.min(DIMS) {
                row[k] += (map[(j, k)] * x) as f32;
            }
        }
    }
    for (i, item) in frame.top.iter().enumerate() {
        for k in 0..rank.min(DIMS) {
            let mapped = f64::from(embeddings[item.offset()][k]);
            embeddings[item.offset()][k] =
                (settings.map_shrink * mapped + (1.0 - settings.map_shrink) * top[(i, k)]) as f32;
        }
    }
    let free = DIMS - rank.min(DIMS);
    if free > 0 && settings.content_scale > 0.0 {
        for (i, row) in embeddings.iter_mut().enumerate() {
            for entry in catalogue.content().of_item(ItemIndex(i as u32)) {
                if usize::from(entry.slot) < free {
                    row[rank + usize::from(entry.slot)] = entry.value * settings.content_scale as f32;
                }
            }
        }
    }
    Ok(Some(Learned { embeddings, rank, eigenvalues: values.to_vec(), noise_edge }))
}

fn content_row(catalogue: &Catalogue, i: usize, popularity: &[f64]) -> Vec<(usize, f64)> {
    let mut x = vec![(0, 1.0), (1, popularity[i])];
    x.extend(
        catalogue.content().of_item(ItemIndex(i as u32)).iter().map(|e| (2 + usize::from(e.slot), f64::from(e.value))),
    );
    x
}

fn content_map(
    settings: &Settings,
    catalogue: &Catalogue,
    frame: &Frame,
    top: &Array2<f64>,
    popularity: &[f64],
) -> Array2<f64> {
    let dim = SLOTS + 2;
    let mut a = Array2::<f64>::eye(dim) * settings.ridge;
    let mut b = Array2::<f64>::zeros((dim, top.ncols()));
    for (i, item) in frame.top.iter().enumerate() {
        let x = content_row(catalogue, item.offset(), popularity);
        for (j, xj) in &x {
            b.row_mut(*j).scaled_add(*xj, &top.row(i));
            for (k, xk) in &x {
                a[(*j, *k)] += xj * xk;
            }
        }
    }
    let columns = b
        .axis_iter(Axis(1))
        .map(|column| super::weights::solve(&a, &column.to_owned()).unwrap_or_else(|| Array1::zeros(dim)));
    let mut map = Array2::zeros((dim, top.ncols()));
    for (k, column) in columns.enumerate() {
        map.column_mut(k).assign(&column);
    }
    map
}
