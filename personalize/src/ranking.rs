//! From scores to an order, with the probability of every first place.
//!
//! Inverse-gap weighting (SquareCB; Foster and Rakhlin 2020): of K candidates with scores s and best score s*, each
//! other one stands first with probability 1 / (K + γ (s* − s)), the best with what remains. γ grows with what the
//! model knows. Behind the first, items follow by score. Propensities are recorded for off-policy estimates.

use rand_core::RngCore;

use crate::catalogue::ItemIndex;

/// Candidates of one ranking at most.
pub const CANDIDATES_MAX: usize = 500;

/// An order of the candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// Every candidate once, the first to be shown first.
    pub order: Vec<Ranked>,
    /// The version of the model that scored them.
    pub model_version: u64,
}

/// One candidate in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranked {
    /// The candidate.
    pub item: ItemIndex,
    /// Expected reward, less the base rate.
    pub score: f32,
    /// Probability with which this candidate stands first.
    pub propensity: f32,
}

/// Draws the first by inverse-gap weighting; the others follow by score, equal scores by item.
pub(crate) fn inverse_gap(scored: &mut [Ranked], exploration: f32, random: &mut impl RngCore) {
    scored.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
    let Some((best, others)) = scored.split_first_mut() else { return };
    let candidates = (others.len() as f32) + 1.0;
    let mut rest = 1.0;
    for other in others {
        other.propensity = 1.0 / (candidates + exploration * (best.score - other.score));
        rest -= other.propensity;
    }
    best.propensity = rest.max(0.0);
    let mut point = unit(random);
    let drawn = scored.iter().position(|ranked| {
        point -= ranked.propensity;
        point < 0.0
    });
    scored[..=drawn.unwrap_or(0)].rotate_right(1);
}

/// Every order alike (Fisher–Yates).
pub(crate) fn uniform(scored: &mut [Ranked], random: &mut impl RngCore) {
    let propensity = 1.0 / scored.len() as f32;
    for (last, bound) in (0..scored.len()).zip(1..) {
        scored[last].propensity = propensity;
        scored.swap(last, below(bound, random) as usize);
    }
}

/// Uniform on [0, 1), in steps of 2⁻²⁴.
fn unit(random: &mut impl RngCore) -> f32 {
    (random.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

/// Uniform below `bound`, by Lemire's multiplication; what would favour some numbers is drawn again.
fn below(bound: u32, random: &mut impl RngCore) -> u32 {
    let refuse_below = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(random.next_u32()) * u64::from(bound);
        let [high, low] = [product >> 32, product & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(0));
        if low >= refuse_below {
            return high;
        }
    }
}
