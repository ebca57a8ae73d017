//! The learner: from noised running sums to the next model. Pure and deterministic: what comes in is already private,
//! so that nothing here costs privacy.
//!
//! 1. `sums` brings the sums of several frames to one: rewards centred at c_f become A + (c_f − c)·B.
//! 2. `quality` estimates each item's rate above c by shrinkage: toward a ridge regression on popularity and content
//!    with variance τ², against its own noise, whose variance is known.
//! 3. `embedding` takes the leading eigenvectors of the Gram by block subspace iteration (`subspace`), keeps those
//!    above the noise edge 2σ√N (Marchenko–Pastur), debiases them by the spiked model, and maps content to embeddings
//!    for every item outside of the Gram.
//! 4. `weights` fits the global weights from the moments through linfa, shrunk toward the prior's.
//!
//! The popularity direction is kept, against first intent: on replays dropping it cost reward at every ε.

mod embedding;
mod quality;
mod subspace;
mod sums;
mod weights;

use personalize::frame::PPM;
use personalize::model::DIMS;
use personalize::{Catalogue, Frame, ItemIndex, Mode, Model, ModelError, ModelParts, Provenance};

use super::merge::TaskSum;

pub use sums::StatisticsError;

/// γ of inverse-gap weighting at [`EXPLORATION_SESSIONS`] sessions; it grows with their square root.
const EXPLORATION: f64 = 1000.0;
/// Sessions at which exploration begins to fall.
const EXPLORATION_SESSIONS: f64 = 500.0;
/// Precision λ of a session's prior over a collaborative embedding.
const PRECISION_COLLABORATIVE: f32 = 10.0;
/// Precision λ of a session's prior over a content embedding.
const PRECISION_CONTENT: f32 = 6.0;
/// Items of a frame at most; fewer where a region's policy says so.
const FRAME_ITEMS: usize = 600;
/// Added to an item's likes before its Gram weight 1/√ is taken: rare items do not drown the others.
const WEIGHT_OFFSET: f64 = 20.0;
/// The gate: standard deviations by which the rewards' power must pass that of pure noise.
const SIGNAL_TO_NOISE_MIN: f64 = 2.0;

/// Running sums under one frame.
#[derive(Debug, Clone)]
pub struct FrameStatistics {
    /// What the sums encode.
    pub frame: Frame,
    /// Centred rewards and impressions.
    pub item_counts: Option<TaskSum>,
    /// Gram matrix over the frame's items.
    pub co_engagement: Option<TaskSum>,
    /// Second moments of features and reward.
    pub ranker_moments: Option<TaskSum>,
}

/// Everything that a model is learned from.
#[derive(Debug, Clone, Default)]
pub struct Statistics {
    /// One entry a frame.
    pub frames: Vec<FrameStatistics>,
    /// The smallest `items_max` of the regions' policies: a larger frame would close their windows.
    pub frame_items_max: usize,
}

/// A model, and what the gate saw.
pub struct Trained {
    /// The model.
    pub model: Model,
    /// What the gate saw.
    pub report: GateReport,
}

/// What the gate saw.
#[derive(Debug, Clone)]
pub struct GateReport {
    /// Sessions in the moments, as noised; 500 where moments are not released.
    pub sessions: f64,
    /// Standard deviations by which the rewards' power passes that of pure noise.
    pub signal_to_noise: f64,
    /// Dimensions of the embedding that stood out of the noise.
    pub rank: usize,
    /// Leading eigenvalues of the Gram, by falling value.
    pub eigenvalues: Vec<f64>,
    /// What pure noise would reach.
    pub noise_edge: f64,
}

/// No model is published; the last one stays.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GateRefusal {
    /// The sums do not fit the catalogue or each other.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// The rewards do not stand out of the noise.
    #[error("the rewards stand {0:.1} standard deviations out of the noise, {SIGNAL_TO_NOISE_MIN} are needed")]
    Signal(f64),
    /// What was learned keeps no model's bounds.
    #[error("what was learned is no valid model")]
    Model(#[from] ModelError),
    /// A system of equations could not be solved.
    #[error("a linear system could not be solved")]
    Unsolvable,
}

/// Learns the next model from `statistics`, for the items of `catalogue`.
///
/// # Errors
/// The signal does not stand out of the noise, or the sums cannot be used.
pub fn train(
    catalogue: &Catalogue,
    statistics: &Statistics,
    last: &Model,
    next_version: u64,
    provenance: Provenance,
) -> Result<Trained, GateRefusal> {
    let counts = sums::counts(catalogue, statistics, last.frame().base_rate_ppm)?;
    let signal_to_noise = quality::signal_to_noise(&counts);
    if signal_to_noise < SIGNAL_TO_NOISE_MIN {
        return Err(GateRefusal::Signal(signal_to_noise));
    }
    let moments = sums::moments(statistics)?;
    let sessions = moments.as_ref().map_or(EXPLORATION_SESSIONS, |moments| moments.values[(0, 0)].max(1.0));
    let popularity = quality::popularity(&counts);
    let quality = quality::estimate(catalogue, &counts, &popularity);
    let mut report = GateReport { sessions, signal_to_noise, rank: 0, eigenvalues: Vec::new(), noise_edge: 0.0 };
    let (mode, precision, embeddings) = match embedding::learn(catalogue, statistics, last.frame(), &popularity)? {
        Some(learned) => {
            report.rank = learned.rank;
            report.eigenvalues = learned.eigenvalues;
            report.noise_edge = learned.noise_edge;
            (Mode::Collaborative, PRECISION_COLLABORATIVE, learned.embeddings)
        }
        None => (Mode::Content, PRECISION_CONTENT, content_embeddings(catalogue)),
    };
    let weights = match &moments {
        Some(moments) => weights::fit(moments, last.frame())?,
        None => personalize::model::PRIOR_WEIGHTS,
    };
    let exploration = EXPLORATION * (sessions / EXPLORATION_SESSIONS).max(1.0).sqrt();
    let parts = ModelParts {
        tenant: catalogue.tenant().clone(),
        version: next_version,
        frame: next_frame(last.frame(), &counts, statistics.frame_items_max),
        mode,
        weights,
        embeddings,
        quality: quality.iter().map(|rate| narrow(rate.clamp(-1.0, 1.0))).collect(),
        popularity: popularity.iter().copied().map(narrow).collect(),
        precision,
        exploration: narrow(exploration),
        provenance,
    };
    Ok(Trained { model: Model::new(parts, catalogue)?, report })
}

fn content_embeddings(catalogue: &Catalogue) -> Vec<[f32; DIMS]> {
    items(catalogue).map(|item| personalize::model::content_embedding(catalogue, item)).collect()
}

/// The frame of the windows under the next model. It stays once it has items, so that the sums of all windows add up;
/// a new catalogue begins with an empty one again.
fn next_frame(last: &Frame, counts: &sums::Counts, items_max: usize) -> Frame {
    if !last.top.is_empty() {
        return last.clone();
    }
    let mut order: Vec<(usize, ItemIndex)> = (0..counts.impressions.len()).zip((0..).map(ItemIndex)).collect();
    order.sort_by(|(a, _), (b, _)| counts.impressions[*b].total_cmp(&counts.impressions[*a]).then(a.cmp(b)));
    order.truncate(FRAME_ITEMS.min(items_max));
    let base = f64::from(last.base_rate_ppm) / f64::from(PPM);
    let weight = |place: usize| {
        let liked = (counts.rewards[place] + base * counts.impressions[place]).max(0.0);
        let ppm = f64::from(PPM) / (liked + WEIGHT_OFFSET).sqrt();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=10^6")]
        let ppm = ppm.clamp(1.0, f64::from(PPM)) as u32;
        ppm
    };
    let weights_ppm = order.iter().map(|(place, _)| weight(*place)).collect();
    let top = order.iter().map(|(_, item)| *item).collect();
    Frame { top, weights_ppm, ..last.clone() }
}

fn items(catalogue: &Catalogue) -> impl Iterator<Item = ItemIndex> {
    (0..).map(ItemIndex).take(catalogue.len())
}

/// To the precision of a model.
#[expect(clippy::cast_possible_truncation, reason = "models hold f32; bounds are checked by Model::new")]
fn narrow(value: f64) -> f32 {
    value as f32
}
