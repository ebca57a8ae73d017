//! The model artifact: everything a node ranks with, immutable and named by its digest.
//!
//! An item's expected reward is c + wᵀx(item, session): c the base rate, w the global weights, x the
//! [`crate::features`]. Among the features is μᵀe, the session posterior's word on the item's embedding e.
//! A model knows no raw signal: the learner makes it from noised sums, and [`Model::prior`] from the catalogue alone.

mod codec;
mod prior;

use policies::{Digest, Rho, TenantId};
use serde::Serialize;

use crate::catalogue::{Catalogue, ItemIndex};
use crate::features::{self, FEATURES};
use crate::frame::{Frame, FrameError};
use crate::posterior::{Vector, dot};

pub use prior::{PRIOR_WEIGHTS, content_embedding};

/// Dimensions of an embedding. Unused ones are 0 in every item.
pub const DIMS: usize = 32;
/// Releases that one model adds to its parent's, at most.
pub const RELEASES_MAX: usize = 16_384;
/// Bytes of a release's name at most.
pub const RELEASE_NAME_BYTES_MAX: usize = 512;
/// Bytes of an encoded model at most.
pub const MODEL_BYTES_MAX: usize = 64 << 20;

/// What a model's embeddings are made of; rises with audience × ε.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The catalogue and hand-set weights: nothing was learned.
    Prior,
    /// Learned like-rates and weights, embeddings of content.
    Content,
    /// Embeddings from co-engagement, and a map to them from content.
    Collaborative,
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Provenance {
    /// The model it was shrunk toward; none for the prior.
    pub parent: Option<Digest>,
    /// Names of the releases that it adds to its parent's, at most [`RELEASES_MAX`].
    pub releases: Vec<String>,
    /// ρ that these releases spent on one privacy unit at most.
    #[serde(serialize_with = "rho_text")]
    pub rho: Rho,
    /// The same as ε at [`Provenance::delta`]. Infinite without noise, and then not private.
    pub epsilon: f64,
    /// δ of the statement above.
    pub delta: f64,
    /// False where noise was off or seeded: for measurement only.
    pub private: bool,
}

fn rho_text<S: serde::Serializer>(rho: &Rho, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(rho)
}

impl Provenance {
    /// Of a model that no release entered.
    #[must_use]
    pub fn nothing() -> Self {
        Self { parent: None, releases: Vec::new(), rho: Rho::ZERO, epsilon: 0.0, delta: 0.0, private: true }
    }
}

/// A model's parts before any check.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelParts {
    /// The tenant whose catalogue it ranks.
    pub tenant: TenantId,
    /// Its version: 0 for the prior.
    pub version: u64,
    /// What windows that open under it encode.
    pub frame: Frame,
    /// What the embeddings are made of.
    pub mode: Mode,
    /// Global weights of the features, each within ±[`WEIGHT_MAX`].
    pub weights: [f32; FEATURES],
    /// One a catalogue item, each number within ±[`EMBEDDING_MAX`].
    pub embeddings: Vec<[f32; DIMS]>,
    /// Like-rate less base rate of each item, within ±1.
    pub quality: Vec<f32>,
    /// Log impressions of each item, the largest being 1.
    pub popularity: Vec<f32>,
    /// λ of the session posterior, 0.01 to 10,000.
    pub precision: f32,
    /// γ of inverse-gap weighting, 0 (uniform) to 10⁹.
    pub exploration: f32,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Bound of a global weight.
pub const WEIGHT_MAX: f32 = 100.0;
/// Bound of an embedding's numbers.
pub const EMBEDDING_MAX: f32 = 100.0;

/// A model was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Longer than [`MODEL_BYTES_MAX`].
    #[error("a model has at most {MODEL_BYTES_MAX} bytes")]
    TooLong,
    /// Not the canonical form of a model.
    #[error("not a model in its canonical form")]
    Form,
    /// Made for another tenant or another catalogue.
    #[error("the model belongs to another tenant or catalogue")]
    OtherCatalogue,
    /// Its frame breaks a bound.
    #[error("the model's frame is out of bounds")]
    Frame(#[from] FrameError),
    /// Not one value an item.
    #[error("the model has not one value for each item of the catalogue")]
    Length,
    /// A number is not finite or out of its bounds.
    #[error("a number of the model is out of bounds")]
    Range,
    /// Too many release names, or one too long.
    #[error("a model names at most {RELEASES_MAX} releases")]
    Provenance,
}

/// One item as the ranker reads it.
pub(crate) struct Row {
    pub(crate) embedding: Vector,
    /// 1 ÷ the embedding's length, or 0.
    pub(crate) inverse_norm: f32,
    pub(crate) quality: f32,
    pub(crate) popularity: f32,
    pub(crate) novelty: f32,
    /// w·x of the features that no session changes.
    pub(crate) fixed: f32,
}

/// A checked model. Scores are the same bits wherever and however often it was decoded.
pub struct Model {
    tenant: TenantId,
    version: u64,
    digest: Digest,
    frame: Frame,
    base_rate: f32,
    mode: Mode,
    weights: [f32; FEATURES],
    precision: f32,
    exploration: f32,
    provenance: Provenance,
    rows: Vec<Row>,
}

impl Model {
    /// Checks `parts` against the catalogue that they were made for.
    ///
    /// # Errors
    /// Says which bound is broken.
    pub fn new(parts: ModelParts, catalogue: &Catalogue) -> Result<Self, ModelError> {
        check(&parts, catalogue)?;
        let digest = Digest::of(&codec::encode(&parts));
        let rows = rows(&parts, catalogue);
        let base_rate = parts.frame.base_rate();
        let ModelParts { tenant, version, frame, mode, weights, precision, exploration, provenance, .. } = parts;
        Ok(Self { tenant, version, digest, frame, base_rate, mode, weights, precision, exploration, provenance, rows })
    }

    /// The canonical bytes: the same model always gives the same.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&self.parts())
    }

    /// Reads what [`Model::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// Refuses bytes that are too long, not canonical, out of bounds, or meant for another catalogue.
    pub fn decode(bytes: &[u8], catalogue: &Catalogue) -> Result<Self, ModelError> {
        if bytes.len() > MODEL_BYTES_MAX {
            return Err(ModelError::TooLong);
        }
        let model = Self::new(codec::decode(bytes, catalogue.len())?, catalogue)?;
        if model.digest == Digest::of(bytes) { Ok(model) } else { Err(ModelError::Form) }
    }

    /// The catalogue that an artifact says it was made for; [`Model::decode`] checks the rest against it.
    ///
    /// # Errors
    /// Refuses bytes that do not begin as a model does.
    pub fn catalogue_of(bytes: &[u8]) -> Result<Digest, ModelError> {
        codec::catalogue(bytes)
    }

    /// A copy of the parts, to learn the next model from.
    #[must_use]
    pub fn parts(&self) -> ModelParts {
        ModelParts {
            tenant: self.tenant.clone(),
            version: self.version,
            frame: self.frame.clone(),
            mode: self.mode,
            weights: self.weights,
            embeddings: self.rows.iter().map(|row| row.embedding).collect(),
            quality: self.rows.iter().map(|row| row.quality).collect(),
            popularity: self.rows.iter().map(|row| row.popularity).collect(),
            precision: self.precision,
            exploration: self.exploration,
            provenance: self.provenance.clone(),
        }
    }

    /// SHA-256 of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its version: 0 for the prior, else the learner's.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The tenant whose catalogue it ranks.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The catalogue it was made for.
    #[must_use]
    pub fn catalogue(&self) -> Digest {
        self.frame.catalogue
    }

    /// What windows that open under it encode.
    #[must_use]
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// What its embeddings are made of.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Where it comes from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The global weights.
    #[must_use]
    pub fn weights(&self) -> &[f32; FEATURES] {
        &self.weights
    }

    /// γ of inverse-gap weighting.
    #[must_use]
    pub fn exploration(&self) -> f32 {
        self.exploration
    }

    /// λ of the session posterior.
    pub(crate) fn precision(&self) -> f32 {
        self.precision
    }

    /// c + wᵀx over the features that no session changes: what an unknown viewer's reward is expected to be.
    pub(crate) fn expected(&self, row: &Row) -> f32 {
        self.base_rate + row.fixed
    }

    /// The item's row. `item` was checked against the catalogue.
    pub(crate) fn row(&self, item: ItemIndex) -> &Row {
        &self.rows[item.offset()]
    }
}

fn check(parts: &ModelParts, catalogue: &Catalogue) -> Result<(), ModelError> {
    if parts.tenant != *catalogue.tenant() || parts.frame.catalogue != catalogue.digest() {
        return Err(ModelError::OtherCatalogue);
    }
    parts.frame.check(catalogue.len())?;
    if [parts.embeddings.len(), parts.quality.len(), parts.popularity.len()] != [catalogue.len(); 3] {
        return Err(ModelError::Length);
    }
    // A NaN is in no range.
    let within = |bound: f32| move |value: &f32| (-bound..=bound).contains(value);
    let in_range = parts.weights.iter().all(within(WEIGHT_MAX))
        && parts.embeddings.iter().flatten().all(within(EMBEDDING_MAX))
        && parts.quality.iter().all(within(1.0))
        && parts.popularity.iter().all(|value| (0.0..=1.0).contains(value))
        && (0.01..=1e4).contains(&parts.precision)
        && (0.0..=1e9).contains(&parts.exploration)
        && parts.provenance.epsilon >= 0.0
        && (0.0..1.0).contains(&parts.provenance.delta);
    if !in_range {
        return Err(ModelError::Range);
    }
    let names = &parts.provenance.releases;
    if names.len() > RELEASES_MAX || names.iter().any(|name| name.len() > RELEASE_NAME_BYTES_MAX) {
        return Err(ModelError::Provenance);
    }
    Ok(())
}

fn rows(parts: &ModelParts, catalogue: &Catalogue) -> Vec<Row> {
    let newest = (0..).map(ItemIndex).take(catalogue.len()).filter_map(|item| catalogue.item(item).year).max();
    let row = |place: usize, item: ItemIndex| {
        let embedding = parts.embeddings[place];
        let norm = dot(&embedding, &embedding).sqrt();
        let mut row = Row {
            embedding,
            inverse_norm: if norm > 1e-6 { 1.0 / norm } else { 0.0 },
            quality: parts.quality[place],
            popularity: parts.popularity[place],
            novelty: features::novelty(catalogue.item(item).year, newest),
            fixed: 0.0,
        };
        row.fixed = features::score(&parts.weights, &features::fixed(&row));
        row
    };
    (0..catalogue.len()).zip(0..).map(|(place, index)| row(place, ItemIndex(index))).collect()
}

#[cfg(test)]
mod tests;
