//! What a replay or a demo came to, as one JSON object and as tables.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde::Serialize;

use crate::audience::{Mean, Outcome, Refused, Tally};
use crate::centre::reports::RegionTotal;
use crate::environment::NoiseMode;

/// What one model's sessions came to in one region. Version 0 is the prior, before anything was learned.
#[derive(Debug, Serialize)]
pub(crate) struct ModelRow {
    pub(crate) version: u64,
    /// `prior`, `content` or `collaborative`.
    pub(crate) mode: String,
    pub(crate) region: String,
    pub(crate) sessions: u64,
    pub(crate) decisions: u64,
    pub(crate) mean_reward: f64,
    pub(crate) ci95: f64,
}

/// What a course of sessions came to.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// All sessions, those ranked at random included.
    pub(crate) sessions: u64,
    /// Decisions of the sessions that were not ranked at random.
    pub(crate) decisions: u64,
    /// Mean reward of those decisions, and half the width of its 95 % interval over sessions.
    pub(crate) mean_reward: Option<f64>,
    pub(crate) ci95: Option<f64>,
    pub(crate) last_third_reward: Option<f64>,
    /// Mean reward of the sessions that were ranked at random.
    pub(crate) uniform_reward: Option<f64>,
    pub(crate) models: Vec<ModelRow>,
    /// ε of one privacy unit in one window, over all tasks; absent without noise.
    pub(crate) epsilon_window: Option<f64>,
    pub(crate) delta: f64,
    /// Σρ charged over the windows, in the region where it is largest.
    pub(crate) rho_total: f64,
    pub(crate) releases: u64,
    pub(crate) regions: Vec<RegionTotal>,
    /// Windows whose releases gave no model, and why.
    pub(crate) not_published: Vec<Refused>,
    pub(crate) rank_p50_us: u64,
    pub(crate) rank_p99_us: u64,
    /// Whether what was released is private.
    pub(crate) private: bool,
    /// `calibrated`, `seeded` or `off`.
    pub(crate) noise: &'static str,
    /// What to keep in mind when reading the figures.
    pub(crate) notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        outcome: Outcome,
        regions: &[String],
        noise: NoiseMode,
        epsilon: Option<f64>,
        delta: f64,
    ) -> Self {
        let Outcome { drive, regions: totals, models, refusals } = outcome;
        let reward = |tally: &Tally| tally.mean().map(|Mean { mean, .. }| mean);
        let mode = |version| {
            let line = models.iter().find(|model| model.version == version);
            let origin = line.and_then(|model| model.origin.as_ref());
            origin.map_or_else(|| "prior".to_owned(), |origin| origin.mode.clone())
        };
        let rows = drive.by_model.iter().filter_map(|(&(region, version), tally)| {
            let Mean { mean, ci95 } = tally.mean()?;
            let (sessions, decisions) = (tally.sessions, tally.decisions);
            let region = regions[region].clone();
            Some(ModelRow { version, mode: mode(version), region, sessions, decisions, mean_reward: mean, ci95 })
        });
        let mut models: Vec<ModelRow> = rows.collect();
        models.sort_by(|a, b| (a.version, &a.region).cmp(&(b.version, &b.region)));
        let mean = drive.ranked.mean();
        Self {
            sessions: drive.ranked.sessions + drive.uniform.sessions,
            decisions: drive.ranked.decisions,
            mean_reward: mean.map(|Mean { mean, .. }| mean),
            ci95: mean.map(|Mean { ci95, .. }| ci95),
            last_third_reward: reward(&drive.last_third),
            uniform_reward: reward(&drive.uniform),
            models,
            epsilon_window: epsilon,
            delta,
            rho_total: totals.iter().map(|region| region.rho_total).fold(0.0, f64::max),
            releases: totals.iter().map(|region| region.releases).sum(),
            regions: totals,
            not_published: refusals,
            rank_p50_us: drive.rank_us.value_at_quantile(0.5),
            rank_p99_us: drive.rank_us.value_at_quantile(0.99),
            private: noise.is_private(),
            noise: match noise {
                NoiseMode::Calibrated => "calibrated",
                NoiseMode::Seeded(_) => "seeded",
                NoiseMode::Off => "off",
            },
            notes: Vec::new(),
        }
    }

    /// The report for people.
    pub(crate) fn tables(&self) -> String {
        let mut models = Table::new();
        models.load_preset(UTF8_HORIZONTAL_ONLY);
        models.set_header(["model", "learned from", "region", "sessions", "mean reward", "95 % interval"]);
        for row in &self.models {
            models.add_row([
                row.version.to_string(),
                row.mode.clone(),
                row.region.clone(),
                row.sessions.to_string(),
                format!("{:.4}", row.mean_reward),
                format!("{:.4} to {:.4}", row.mean_reward - row.ci95, row.mean_reward + row.ci95),
            ]);
        }
        let mut regions = Table::new();
        regions.load_preset(UTF8_HORIZONTAL_ONLY);
        regions.set_header([
            "region",
            "releases",
            "bytes that left",
            "ρ a window",
            "ε a window",
            "ρ in all",
            "ε in all",
        ]);
        let epsilon = |epsilon: Option<f64>| epsilon.map_or_else(|| "not private".to_owned(), |e| format!("{e:.3}"));
        for region in &self.regions {
            regions.add_row([
                region.region.to_string(),
                region.releases.to_string(),
                region.bytes.to_string(),
                format!("{:.4}", region.rho_per_window),
                epsilon(region.epsilon_per_window),
                format!("{:.4}", region.rho_total),
                epsilon(region.epsilon_total),
            ]);
        }
        let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
        let mut text = format!(
            "{models}\n\n{regions}\n\n{} sessions, {} ranked decisions: mean reward {} ± {} (last third {}, ranked at random {})\n\
             time to a ranking, at the platform: p50 {} µs, p99 {} µs\n",
            self.sessions,
            self.decisions,
            number(self.mean_reward),
            number(self.ci95),
            number(self.last_third_reward),
            number(self.uniform_reward),
            self.rank_p50_us,
            self.rank_p99_us,
        );
        for refused in &self.not_published {
            text.push_str(&format!("window {}: no model was published: {}\n", refused.window, refused.reason));
        }
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text
    }
}
