//! The features that global weights multiply, and what of a session they need.
//!
//! | place | feature | range |
//! |---|---|---|
//! | 0 | one: its weight is the intercept, and its second moment counts sessions | 1 |
//! | 1 | quality: the item's like-rate less the base rate, shrunken | ±1 |
//! | 2 | popularity: log impressions ÷ log of the largest | 0..1 |
//! | 3 | posterior: what the session's taste adds, [`crate::posterior`] | ±[`BOUND`] |
//! | 4 | content affinity: mean over outcomes of residual × content similarity | ±1 |
//! | 5, 6 | mean content similarity (cosine) to liked, to passed-over items | 0..1 |
//! | 7, 8 | mean embedding similarity (cosine) to liked, to passed-over items | ±1 |
//! | 9 | novelty: year of publication, 1 for the catalogue's newest, falling to 0 in 40 years | 0..1 |
//! | 10 | popularity affinity: popularity × (mean popularity of liked − of passed-over items) | ±1 |
//! | 11 | session level: mean residual of the session so far | ±1 |
//!
//! Features 3 to 8, 10 and 11 are the session's own. They are 0 for the [`Global`](crate::Arm::Global) arm.

use crate::catalogue::{Catalogue, ItemIndex};
use crate::content::{Entry, SLOTS};
use crate::model::{DIMS, Model, Row};
use crate::posterior::{Posterior, Vector, dot};

/// Length of a feature vector.
pub const FEATURES: usize = 12;
/// Features are clipped to ± this.
pub const BOUND: f32 = 4.0;
/// A reward from here on means that the item was liked.
pub const LIKED: f32 = 0.5;
/// Years in which an item's novelty falls to 0.
const NOVELTY_YEARS: f32 = 40.0;

/// x of one item in one session.
pub(crate) type Features = [f32; FEATURES];

/// wᵀx.
pub(crate) fn score(weights: &Features, features: &Features) -> f32 {
    weights.iter().zip(features).map(|(weight, feature)| weight * feature).sum()
}

/// Where a year stands between the newest of the catalogue (1) and 40 years before it (0); unknown years in the middle.
pub(crate) fn novelty(year: Option<u16>, newest: Option<u16>) -> f32 {
    match (year, newest) {
        (Some(year), Some(newest)) => (1.0 - f32::from(newest.saturating_sub(year)) / NOVELTY_YEARS).max(0.0),
        _ => 0.5,
    }
}

/// The features that no session changes; the others are 0.
pub(crate) fn fixed(row: &Row) -> Features {
    let mut features = [0.0; FEATURES];
    (features[0], features[1], features[2], features[9]) = (1.0, row.quality, row.popularity, row.novelty);
    features
}

/// What the outcomes of a session say, gathered once a ranking.
pub(crate) struct Profile<'a> {
    posterior: &'a Posterior,
    /// Mean over outcomes of residual × content vector.
    affinity: [f32; SLOTS],
    liked: Side,
    passed: Side,
    level: f32,
}

/// The mean of the items that were liked, or of those that were passed over.
struct Side {
    items: f32,
    content: [f32; SLOTS],
    embedding: Vector,
    popularity: f32,
}

impl Side {
    const EMPTY: Self = Self { items: 0.0, content: [0.0; SLOTS], embedding: [0.0; DIMS], popularity: 0.0 };

    fn add(&mut self, row: &Row, content: &[Entry]) {
        self.items += 1.0;
        self.popularity += row.popularity;
        content.iter().for_each(|entry| self.content[usize::from(entry.slot)] += entry.value);
        for (sum, value) in self.embedding.iter_mut().zip(&row.embedding) {
            *sum += value * row.inverse_norm;
        }
    }

    fn divide(&mut self) {
        let share = 1.0 / self.items.max(1.0);
        self.popularity *= share;
        self.content.iter_mut().chain(&mut self.embedding).for_each(|value| *value *= share);
    }
}

impl<'a> Profile<'a> {
    /// Gathers `outcomes`: pairs of an item of the catalogue and its reward.
    pub(crate) fn of(
        outcomes: impl Iterator<Item = (ItemIndex, f32)>,
        posterior: &'a Posterior,
        model: &Model,
        catalogue: &Catalogue,
    ) -> Self {
        let (liked, passed) = (Side::EMPTY, Side::EMPTY);
        let mut profile = Self { posterior, affinity: [0.0; SLOTS], liked, passed, level: 0.0 };
        for (item, reward) in outcomes {
            let (row, content) = (model.row(item), catalogue.content().of_item(item));
            let residual = reward - model.expected(row);
            profile.level += residual;
            content.iter().for_each(|entry| profile.affinity[usize::from(entry.slot)] += residual * entry.value);
            if reward >= LIKED { &mut profile.liked } else { &mut profile.passed }.add(row, content);
        }
        let share = 1.0 / (profile.liked.items + profile.passed.items).max(1.0);
        profile.level *= share;
        profile.affinity.iter_mut().for_each(|value| *value *= share);
        profile.liked.divide();
        profile.passed.divide();
        profile
    }

    /// x of one item.
    pub(crate) fn features(&self, row: &Row, content: &[Entry]) -> Features {
        let similar =
            |side: &Side| (inner(&side.content, content), dot(&side.embedding, &row.embedding) * row.inverse_norm);
        let mut features = fixed(row);
        features[3] = self.posterior.predict(&row.embedding);
        features[4] = inner(&self.affinity, content);
        (features[5], features[7]) = similar(&self.liked);
        (features[6], features[8]) = similar(&self.passed);
        features[10] = row.popularity * (self.liked.popularity - self.passed.popularity);
        features[11] = self.level;
        features.map(|feature| feature.clamp(-BOUND, BOUND))
    }
}

fn inner(slots: &[f32; SLOTS], content: &[Entry]) -> f32 {
    content.iter().map(|entry| slots[usize::from(entry.slot)] * entry.value).sum()
}
