//! The learner: from noised sums to the next model. Pure, and the same bits from the same input on one kind of machine.
//!
//! ```text
//! TaskSum, by frame ─▶ Statistics ─┬─▶ counts  ─▶ quality, popularity            (quality)
//!                                  ├─▶ counts  ─▶ next frame                     (framing)
//!                                  ├─▶ Gram    ─▶ eigenvectors ─▶ embeddings     (embedding, subspace)
//!                                  └─▶ moments ─▶ linfa ─▶ global weights        (weights)
//!                      gate ─▶ Model::new ─▶ Trained
//! ```
//!
//! Everything here is post-processing of what is private already, so it costs no ρ. It reads no raw signal, and sets no
//! clip, σ, quota or ρ. A model's mode rises with audience × ε: refused (nodes keep the prior or the last good model),
//! then [`Mode::Content`], then [`Mode::Collaborative`] once eigenvalues of the Gram stand out of its noise.

mod embedding;
mod framing;
mod quality;
mod subspace;
mod sums;
mod weights;

use personalize::model::{DIMS, PRIOR_WEIGHTS};
use personalize::{Catalogue, Frame, ItemIndex, Mode, Model, ModelError, ModelParts, Provenance};

use super::merge::TaskSum;
use embedding::Learned;
use quality::Shown;
use sums::Counts;

pub use framing::FRAME_ITEMS;
pub use sums::StatisticsError;

/// Least signal-to-noise, in standard deviations of pure noise, at which a model is published.
pub const SIGNAL_TO_NOISE_MIN: f64 = 2.0;

/// γ of inverse-gap weighting at [`SESSIONS_UNIT`] sessions; it grows with the square root of sessions
/// (SquareCB; Foster and Rakhlin 2020). Measured: each tenfold of γ from 100 to 10,000 was better on logged slates, by
/// ever less; more than this leaves too little chance of a look at what the model thinks poor.
const EXPLORATION: f64 = 1000.0;
/// Sessions of the first windows.
const SESSIONS_UNIT: f64 = 500.0;
/// Outcomes of a session, about: for an audience whose moments are not released.
const OUTCOMES_PER_SESSION: f64 = 15.0;
/// λ of the session posterior over learned embeddings, whose mean square length is 1.
const PRECISION_COLLABORATIVE: f32 = 10.0;
/// λ of the session posterior over content vectors, of length 1.
const PRECISION_CONTENT: f32 = 6.0;

/// Everything that a model is learned from: one tenant's running sums under one catalogue.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// One entry a frame.
    pub frames: Vec<FrameStatistics>,
    /// The least `items_max` of the regions' policies: a larger frame would close their windows. 0: no Gram.
    pub frame_items_max: usize,
}

/// Running sums under one frame. A task that no region releases is absent.
#[derive(Debug, Clone)]
pub struct FrameStatistics {
    /// What the sums encode.
    pub frame: Frame,
    /// Centred rewards and impressions of every item.
    pub item_counts: Option<TaskSum>,
    /// Gram matrix over the frame's items.
    pub co_engagement: Option<TaskSum>,
    /// Second moments of features and reward.
    pub ranker_moments: Option<TaskSum>,
}

/// A model that passed the gate.
pub struct Trained {
    /// To be signed and published.
    pub model: Model,
    /// What the gate saw.
    pub report: GateReport,
}

/// What a model was made from, as far as numbers show it. Holds nothing that is not post-processed from releases.
#[derive(Debug, Clone, PartialEq)]
pub struct GateReport {
    /// What the embeddings are made of.
    pub mode: Mode,
    /// Sessions, as the noised sums show them; at least 1.
    pub sessions: f64,
    /// By how many standard deviations of pure noise the rewards' sum of squares exceeds that of pure noise.
    pub signal_to_noise: f64,
    /// Eigenvectors that were kept.
    pub rank: usize,
    /// The largest eigenvalue that pure noise would have; 0 without a Gram.
    pub noise_edge: f64,
    /// The leading eigenvalues, falling.
    pub eigenvalues: Vec<f64>,
}

/// No model is published; the last good one stays.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GateRefusal {
    /// The sums do not belong together or to the catalogue.
    #[error("the statistics cannot be learned from")]
    Statistics(#[from] StatisticsError),
    /// Too little signal for the noise in it.
    #[error("signal to noise {signal_to_noise:.2} is below {SIGNAL_TO_NOISE_MIN}")]
    SignalToNoise {
        /// As in [`GateReport::signal_to_noise`].
        signal_to_noise: f64,
    },
    /// A system of equations has no solution in floating point.
    #[error("the sums have no numerical solution")]
    Numerics,
    /// The parts do not make a model.
    #[error("the learned parts do not make a model")]
    Model(#[from] ModelError),
}

/// Learns the next model from all sums so far. `last` is the last good model (or the prior): its base rate and frame
/// stay unless there is reason, and so do its weights where no moments are released.
///
/// # Errors
/// Refuses statistics that do not fit, and those whose signal does not stand out of their noise.
pub fn train(
    catalogue: &Catalogue,
    statistics: &Statistics,
    last: &Model,
    next_version: u64,
    provenance: Provenance,
) -> Result<Trained, GateRefusal> {
    sums::check_frames(catalogue, statistics, last)?;
    let counts = sums::counts(catalogue, statistics, last.frame().base_rate_ppm)?;
    let shown = Shown::of(&counts);
    let signal_to_noise = quality::signal_to_noise(catalogue, &counts, &shown).ok_or(GateRefusal::Numerics)?;
    // Written so that a NaN is refused.
    if !matches!(signal_to_noise.partial_cmp(&SIGNAL_TO_NOISE_MIN), Some(std::cmp::Ordering::Greater)) {
        return Err(GateRefusal::SignalToNoise { signal_to_noise });
    }
    let moments = sums::moments(statistics)?;
    let sessions = moments.as_ref().map_or_else(|| sessions_from(&counts), |moments| moments.values[(0, 0)]).max(1.0);
    let quality = quality::estimate(catalogue, &counts, &shown).ok_or(GateRefusal::Numerics)?;
    let frame = framing::next(catalogue, statistics.frame_items_max, last.frame(), &counts);
    let learned = match sums::gram(statistics, &frame)? {
        Some(gram) => embedding::learn(catalogue, &gram, &frame, &shown.popularity)?,
        None => Learned::nothing(),
    };
    let collaborative = learned.rank > 0;
    let (mode, precision) = match collaborative {
        true => (Mode::Collaborative, PRECISION_COLLABORATIVE),
        false => (Mode::Content, PRECISION_CONTENT),
    };
    let report = GateReport {
        mode,
        sessions,
        signal_to_noise,
        rank: learned.rank,
        noise_edge: learned.noise_edge,
        eigenvalues: learned.eigenvalues,
    };
    let parts = ModelParts {
        tenant: catalogue.tenant().clone(),
        version: next_version,
        weights: match &moments {
            Some(moments) => weights::fit(moments, f64::from(frame.base_rate()), &PRIOR_WEIGHTS)?,
            None => *last.weights(),
        },
        frame,
        mode,
        embeddings: if collaborative { learned.embeddings } else { content_embeddings(catalogue) },
        quality: quality.into_iter().map(rounded).collect(),
        popularity: shown.popularity.into_iter().map(rounded).collect(),
        precision,
        exploration: rounded(EXPLORATION * (sessions / SESSIONS_UNIT).max(1.0).sqrt()).min(1e9),
        provenance,
    };
    Ok(Trained { model: Model::new(parts, catalogue)?, report })
}

fn sessions_from(counts: &Counts) -> f64 {
    counts.impressions.iter().sum::<f64>() / OUTCOMES_PER_SESSION
}

fn content_embeddings(catalogue: &Catalogue) -> Vec<[f32; DIMS]> {
    items(catalogue).map(|(_, item)| personalize::model::content_embedding(catalogue, item)).collect()
}

/// Every item of a catalogue: its offset and its index.
fn items(catalogue: &Catalogue) -> impl Iterator<Item = (usize, ItemIndex)> {
    (0..catalogue.len()).zip((0..).map(ItemIndex))
}

/// To the precision that the ranker computes in.
#[expect(clippy::cast_possible_truncation, reason = "rounds to f32; the model's check refuses what is out of range")]
fn rounded(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests;
