//! The learner: from noised sums to the next model. Pure and deterministic.

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
}

/// How the learner learns.
#[derive(Debug, Clone)]
pub struct Settings {
    pub gamma: f64,
    pub gamma_power: f64,
    pub precision: f64,
    pub precision_content: f64,
    pub tau2: f64,
    pub top: usize,
    pub cut: f64,
    pub rank_max: usize,
    pub weight_offset: f64,
    pub unweight: f64,
    pub eigen_power: f64,
    pub content_scale: f64,
    pub ridge: f64,
    pub zero_diagonal: bool,
    pub weight_shrink: f64,
    pub map_shrink: f64,
    pub drop_first: usize,
    pub pop_power: f64,
    pub reward_variance: f64,
    pub quality_ridge: f64,
    pub count_soft: f64,
    pub learn_weights: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            gamma: 1000.0,
            gamma_power: 0.5,
            precision: 10.0,
            precision_content: 6.0,
            tau2: 0.02,
            top: 600,
            cut: 1.3,
            rank_max: 32,
            weight_offset: 20.0,
            unweight: 0.0,
            eigen_power: 0.75,
            content_scale: 1.5,
            ridge: 1.0,
            zero_diagonal: false,
            weight_shrink: 1.0,
            map_shrink: 0.0,
            drop_first: 0,
            pop_power: 1.0,
            reward_variance: 0.15,
            quality_ridge: 20.0,
            count_soft: 0.5,
            learn_weights: true,
        }
    }
}

/// A model and what the gate saw.
pub struct Trained {
    pub model: Model,
    pub report: GateReport,
}

/// What the gate saw.
#[derive(Debug, Clone)]
pub struct GateReport {
    pub sessions: f64,
    pub signal_to_noise: f64,
    pub rank: usize,
    pub eigenvalues: Vec<f64>,
    pub noise_edge: f64,
}

/// No model is published.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GateRefusal {
    #[error("statistics")]
    Statistics(#[from] StatisticsError),
    #[error("too little signal")]
    Signal(f64),
    #[error("model")]
    Model(#[from] ModelError),
    #[error("linfa")]
    Linfa,
}

/// Learns.
pub fn train(
    catalogue: &Catalogue,
    statistics: &Statistics,
    last: &Model,
    next_version: u64,
    provenance: Provenance,
) -> Result<Trained, GateRefusal> {
    train_with(&Settings::default(), catalogue, statistics, last, next_version, provenance)
}

/// Learns with settings.
pub fn train_with(
    settings: &Settings,
    catalogue: &Catalogue,
    statistics: &Statistics,
    last: &Model,
    next_version: u64,
    provenance: Provenance,
) -> Result<Trained, GateRefusal> {
    let counts = sums::counts(catalogue, statistics, last.frame().base_rate_ppm)?;
    let moments = sums::moments(statistics)?;
    let sessions = moments.as_ref().map_or(500.0, |m| m.values[(0, 0)].max(1.0));
    let quality = quality::estimate(settings, catalogue, &counts);
    let popularity = quality::popularity(&counts, settings);
    let frame = next_frame(settings, last.frame(), &counts);
    let learned = embedding::learn(settings, catalogue, statistics, last.frame(), &popularity)?;
    let mut report = GateReport {
        sessions,
        signal_to_noise: quality::signal_to_noise(&counts),
        rank: 0,
        eigenvalues: vec![],
        noise_edge: 0.0,
    };
    let (mode, precision, embeddings) = match learned {
        Some(learned) => {
            report.rank = learned.rank;
            report.eigenvalues = learned.eigenvalues;
            report.noise_edge = learned.noise_edge;
            (Mode::Collaborative, settings.precision, learned.embeddings)
        }
        None => {
            let items = (0..).map(ItemIndex).take(catalogue.len());
            let rows = items.map(|item| personalize::model::content_embedding(catalogue, item));
            (Mode::Content, settings.precision_content, rows.collect::<Vec<[f32; DIMS]>>())
        }
    };
    let weights = match (&moments, settings.learn_weights) {
        (Some(moments), true) => weights::fit(settings, moments, last.frame(), &personalize::model::PRIOR_WEIGHTS)?,
        _ => personalize::model::PRIOR_WEIGHTS,
    };
    let exploration = settings.gamma * (sessions / 500.0).max(1.0).powf(settings.gamma_power);
    let parts = ModelParts {
        tenant: catalogue.tenant().clone(),
        version: next_version,
        frame,
        mode,
        weights,
        embeddings,
        quality: quality.iter().map(|q| q.clamp(-1.0, 1.0) as f32).collect(),
        popularity: popularity.iter().map(|p| *p as f32).collect(),
        precision: precision as f32,
        exploration: exploration as f32,
        provenance,
    };
    Ok(Trained { model: Model::new(parts, catalogue)?, report })
}

fn next_frame(settings: &Settings, last: &Frame, counts: &sums::Counts) -> Frame {
    if !last.top.is_empty() {
        return last.clone();
    }
    let mut order = (0..counts.impressions.len()).collect::<Vec<_>>();
    order.sort_by(|a, b| counts.impressions[*b].total_cmp(&counts.impressions[*a]).then(a.cmp(b)));
    order.truncate(settings.top);
    let base = f64::from(last.base_rate_ppm) / f64::from(PPM);
    let weight = |place: usize| {
        let liked = (counts.rewards[place] + base * counts.impressions[place]).max(0.0);
        (f64::from(PPM) / (liked + settings.weight_offset).sqrt()).clamp(1.0, f64::from(PPM)) as u32
    };
    let weights_ppm = order.iter().map(|place| weight(*place)).collect();
    let top = order.iter().map(|place| ItemIndex(*place as u32)).collect();
    Frame { top, weights_ppm, ..last.clone() }
}
