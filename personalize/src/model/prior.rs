//! The model before anything was learned: content and hand-set weights.

use super::{DIMS, Mode, Model, ModelParts, Provenance};
use crate::catalogue::{Catalogue, ItemIndex};
use crate::features::FEATURES;
use crate::frame::Frame;

/// Weights by hand, in the order of [`crate::features`]; the learner shrinks toward them.
///
/// Quality and posterior are in units of reward already, so each counts once. The similarities are left to what is
/// learned: the posterior holds their part.
pub const PRIOR_WEIGHTS: [f32; FEATURES] = [0.0, 1.0, 0.02, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

/// λ of the prior's session posterior.
const PRECISION: f32 = 6.0;
/// γ of the prior's inverse-gap weighting.
const EXPLORATION: f32 = 100.0;

/// An item's content vector as an embedding: its slots in order, those beyond [`DIMS`] folded onto the first.
#[must_use]
pub fn content_embedding(catalogue: &Catalogue, item: ItemIndex) -> [f32; DIMS] {
    let mut embedding = [0.0; DIMS];
    for entry in catalogue.content().of_item(item) {
        embedding[usize::from(entry.slot) % DIMS] += entry.value;
    }
    embedding
}

impl Model {
    /// The model of a tenant without releases: version 0, content embeddings, [`PRIOR_WEIGHTS`], no item known.
    ///
    /// `base_rate_ppm` is the policy's guess of the mean reward, in millionths; more than a million counts as that.
    #[must_use]
    pub fn prior(catalogue: &Catalogue, base_rate_ppm: u32) -> Self {
        let items = (0..).map(ItemIndex).take(catalogue.len());
        let parts = ModelParts {
            tenant: catalogue.tenant().clone(),
            version: 0,
            frame: Frame::initial(catalogue.digest(), base_rate_ppm),
            mode: Mode::Prior,
            weights: PRIOR_WEIGHTS,
            embeddings: items.map(|item| content_embedding(catalogue, item)).collect(),
            quality: vec![0.0; catalogue.len()],
            popularity: vec![0.0; catalogue.len()],
            precision: PRECISION,
            exploration: EXPLORATION,
            provenance: Provenance::nothing(),
        };
        Self::new(parts, catalogue).expect("the prior's numbers are constants within every bound")
    }
}
