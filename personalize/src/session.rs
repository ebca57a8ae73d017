//! One viewer's visit: what was reported, the belief learned from it, and the right to contribute once.
//!
//! A session is at most [`SESSION_BYTES_MAX`] bytes, lives in memory only, and ends exactly once. It survives a change
//! of model: outcomes are kept, and the belief is learned again from them. It does not survive a change of
//! catalogue with its outcomes, since they would point at other items: it begins anew.

use std::mem;

use policies::Digest;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::catalogue::{Catalogue, ItemIndex};
use crate::features::{self, BOUND, FEATURES, Features, Profile};
use crate::model::Model;
use crate::outcome::{Arm, Outcome, PerceptualKpi, SessionRecord, Signal};
use crate::posterior::Posterior;
use crate::ranking::{CANDIDATES_MAX, Ranked, Ranking, inverse_gap, uniform};

/// Bytes of one session at most, everything it points to included.
pub const SESSION_BYTES_MAX: usize = 4 << 10;
/// Outcomes that one session keeps at most, whatever its options say.
pub const OUTCOMES_MAX: u32 = 48;
/// A kept feature is a multiple of this: 2⁻¹³, so that ±[`BOUND`] fits into 16 bits.
const FEATURE_STEP: f32 = 1.0 / 8192.0;

/// How a session is to be served.
#[derive(Clone)]
pub struct SessionOptions {
    /// How it is ranked.
    pub arm: Arm,
    /// Whether it contributes when it ends. False for a viewer's refusal: served, never counted.
    pub contribute: bool,
    /// Seed of the session's own generator, from the operating system's entropy.
    pub seed: [u8; 32],
    /// Outcomes kept, and counted, at most; more than [`OUTCOMES_MAX`] counts as that.
    pub outcomes_max: u32,
}

/// A session refused a call. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// It has ended.
    #[error("the session has ended")]
    Ended,
    /// No candidates, or more than [`CANDIDATES_MAX`].
    #[error("a ranking takes 1 to {CANDIDATES_MAX} candidates")]
    Candidates,
    /// A candidate was given twice.
    #[error("a candidate was given twice")]
    DuplicateCandidate,
    /// An item is not in the catalogue.
    #[error("an item is not in the catalogue")]
    UnknownItem,
    /// A watched item has a duration of 0.
    #[error("a watched item lasts at least one millisecond")]
    Duration,
    /// The model was made for another catalogue.
    #[error("the model was made for another catalogue")]
    OtherCatalogue,
}

/// What a session keeps of one outcome: 32 bytes.
#[derive(Clone, Copy)]
struct Kept {
    item: ItemIndex,
    reward: f32,
    features: [i16; FEATURES],
}

/// A viewer's visit. Raw signals are in it, so it has no `Debug`.
pub struct Session {
    options: SessionOptions,
    ended: bool,
    decisions: u64,
    kpi: PerceptualKpi,
    catalogue: Option<Digest>,
    model_version: u64,
    posterior: Posterior,
    outcomes: Vec<Kept>,
}

impl Session {
    /// A session without any outcome yet.
    #[must_use]
    pub fn new(options: SessionOptions) -> Self {
        let outcomes_max = options.outcomes_max.min(OUTCOMES_MAX);
        Self {
            options: SessionOptions { outcomes_max, ..options },
            ended: false,
            decisions: 0,
            kpi: PerceptualKpi::default(),
            catalogue: None,
            model_version: 0,
            posterior: Posterior::prior(1.0),
            outcomes: Vec::new(),
        }
    }

    /// Takes in one signal; a ranking after it knows it.
    ///
    /// An item has one outcome: further signals raise its reward or change nothing, so a repeated signal counts once.
    /// Outcomes beyond the bound still move the belief, until it is learned again under another model.
    ///
    /// # Errors
    /// Refuses an ended session, a model of another catalogue, an unknown item, a duration of 0.
    pub fn observe(&mut self, model: &Model, catalogue: &Catalogue, signal: Signal) -> Result<(), SessionError> {
        self.check(model, catalogue)?;
        let (item, reward) = match signal {
            Signal::Kpi(kpi) => {
                self.kpi = self.kpi.saturating_add(kpi);
                return Ok(());
            }
            Signal::Watch { duration_ms: 0, .. } => return Err(SessionError::Duration),
            Signal::Watch { item, dwell_ms, duration_ms } => (item, share(dwell_ms, duration_ms)),
            Signal::Skip { item } => (item, 0.0),
            Signal::Like { item } => (item, 1.0),
        };
        if !catalogue.contains(item) {
            return Err(SessionError::UnknownItem);
        }
        self.follow(model, catalogue);
        match self.outcomes.iter_mut().find(|kept| kept.item == item) {
            Some(kept) if kept.reward >= reward => {}
            Some(kept) => {
                kept.reward = reward;
                self.learn_again(model);
            }
            None => self.append(model, catalogue, item, reward),
        }
        Ok(())
    }

    /// Orders `candidates` for this viewer.
    ///
    /// # Errors
    /// Refuses an ended session, a model of another catalogue, no or too many candidates, unknown or repeated ones.
    pub fn rank(
        &mut self,
        model: &Model,
        catalogue: &Catalogue,
        candidates: &[ItemIndex],
    ) -> Result<Ranking, SessionError> {
        self.check(model, catalogue)?;
        check_candidates(catalogue, candidates)?;
        self.follow(model, catalogue);
        let mut random = ChaCha8Rng::from_seed(self.options.seed);
        random.set_stream(self.decisions);
        self.decisions += 1;
        let mut order = self.score(model, catalogue, candidates);
        match self.options.arm {
            Arm::Uniform => uniform(&mut order, &mut random),
            Arm::Adaptive | Arm::Global => inverse_gap(&mut order, model.exploration(), &mut random),
        }
        Ok(Ranking { order, model_version: model.version() })
    }

    /// How the session is ranked.
    #[must_use]
    pub const fn arm(&self) -> Arm {
        self.options.arm
    }

    /// The viewer refuses to be counted: from now on the session is served, and its end gives nothing.
    pub const fn refuse(&mut self) {
        self.options.contribute = false;
    }

    /// Ends the session. The first call gives what it contributes, if it may; later calls give nothing.
    pub fn end(&mut self) -> Option<SessionRecord> {
        let first = !mem::replace(&mut self.ended, true);
        let outcomes = mem::take(&mut self.outcomes);
        if !(first && self.options.contribute) {
            return None;
        }
        let outcomes = outcomes.iter().map(|kept| Outcome {
            item: kept.item,
            reward: kept.reward,
            features: kept.features.map(|step| f32::from(step) * FEATURE_STEP),
        });
        let catalogue = self.catalogue.filter(|_| outcomes.len() > 0);
        Some(SessionRecord { arm: self.options.arm, catalogue, outcomes: outcomes.collect(), kpi: self.kpi })
    }

    /// Bytes that the session takes, everything it points to included: at most [`SESSION_BYTES_MAX`].
    #[must_use]
    pub fn footprint(&self) -> usize {
        size_of::<Self>() + self.outcomes.capacity() * size_of::<Kept>()
    }

    fn check(&self, model: &Model, catalogue: &Catalogue) -> Result<(), SessionError> {
        if self.ended {
            return Err(SessionError::Ended);
        }
        if model.catalogue() == catalogue.digest() { Ok(()) } else { Err(SessionError::OtherCatalogue) }
    }

    /// Learns again where the model is another than before; forgets where the catalogue is.
    fn follow(&mut self, model: &Model, catalogue: &Catalogue) {
        if self.catalogue != Some(catalogue.digest()) {
            self.catalogue = Some(catalogue.digest());
            self.outcomes.clear();
        } else if self.model_version == model.version() {
            return;
        }
        self.learn_again(model);
    }

    fn learn_again(&mut self, model: &Model) {
        self.model_version = model.version();
        self.posterior = Posterior::prior(model.precision());
        for kept in &self.outcomes {
            let row = model.row(kept.item);
            self.posterior.update(&row.embedding, kept.reward - model.expected(row));
        }
    }

    fn append(&mut self, model: &Model, catalogue: &Catalogue, item: ItemIndex, reward: f32) {
        let row = model.row(item);
        if self.outcomes.len() < self.options.outcomes_max as usize {
            let features = self.profile(model, catalogue, |profile| match profile {
                Some(profile) => profile.features(row, catalogue.content().of_item(item)),
                None => features::fixed(row),
            });
            // Grown by need: `Vec` would double.
            self.outcomes.reserve_exact(if self.outcomes.len() == self.outcomes.capacity() { 8 } else { 0 });
            self.outcomes.push(Kept { item, reward, features: steps(&features) });
        }
        self.posterior.update(&row.embedding, reward - model.expected(row));
    }

    fn score(&self, model: &Model, catalogue: &Catalogue, candidates: &[ItemIndex]) -> Vec<Ranked> {
        let unplaced = |item, score| Ranked { item, score, propensity: 0.0 };
        self.profile(model, catalogue, |profile| {
            let score = |item| match profile {
                Some(profile) => {
                    let x = profile.features(model.row(item), catalogue.content().of_item(item));
                    features::score(model.weights(), &x)
                }
                None => model.row(item).fixed,
            };
            candidates.iter().map(|item| unplaced(*item, score(*item))).collect()
        })
    }

    /// Hands over what the session says of its viewer, or nothing where personalization was refused.
    fn profile<T>(&self, model: &Model, catalogue: &Catalogue, use_it: impl FnOnce(Option<&Profile<'_>>) -> T) -> T {
        if self.options.arm == Arm::Global {
            return use_it(None);
        }
        let outcomes = self.outcomes.iter().map(|kept| (kept.item, kept.reward));
        use_it(Some(&Profile::of(outcomes, &self.posterior, model, catalogue)))
    }
}

fn check_candidates(catalogue: &Catalogue, candidates: &[ItemIndex]) -> Result<(), SessionError> {
    if !(1..=CANDIDATES_MAX).contains(&candidates.len()) {
        return Err(SessionError::Candidates);
    }
    if !candidates.iter().all(|item| catalogue.contains(*item)) {
        return Err(SessionError::UnknownItem);
    }
    let mut sorted = candidates.to_vec();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(SessionError::DuplicateCandidate);
    }
    Ok(())
}

fn share(dwell_ms: u32, duration_ms: u32) -> f32 {
    (dwell_ms as f32 / duration_ms as f32).min(1.0)
}

#[expect(clippy::cast_possible_truncation, reason = "clipped before; the end of the range saturates")]
fn steps(features: &Features) -> [i16; FEATURES] {
    features.map(|feature| (feature.clamp(-BOUND, BOUND) / FEATURE_STEP) as i16)
}

#[cfg(test)]
mod tests;
