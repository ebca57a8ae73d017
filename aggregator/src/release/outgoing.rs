//! The one place where raw sums become noised bytes.

use attest::SigningKey;

use super::ReleaseId;
use super::accumulator::ClosedTask;
use super::ledger::Charge;
use super::noise::Noise;
use super::plan::Segment;
use super::store::StoredRelease;
use super::wire::{ReleaseBody, SegmentBody, seal};

/// Noised and signed bytes that were not yet persisted: nothing here shows them, [`super::Ledger::persist`] does.
pub struct Release {
    stored: StoredRelease,
}

/// The charge does not pay for this task. The charge is spent all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the charge was made for another release")]
pub struct WrongCharge;

impl Release {
    /// Draws noise for every cell, then adds the sums, then signs. Charge and raw sums are gone afterwards.
    ///
    /// # Errors
    /// `charge` was made for another release.
    pub fn new(charge: Charge, task: ClosedTask, noise: &mut Noise, key: &SigningKey) -> Result<Self, WrongCharge> {
        let id = task.id();
        if *charge.id() != id || charge.rho() != task.plan().rho {
            return Err(WrongCharge);
        }
        // Noise comes first: its amount cannot depend on what it hides.
        let draw = |segment: &Segment| noise.draw(segment.variance, segment.cells);
        let mut values: Vec<Vec<i64>> = task.plan().segments.iter().map(draw).collect();
        let (window, plan) = (task.window().clone(), task.plan().clone());
        for (noised, sums) in values.iter_mut().zip(task.into_sums()) {
            // Noise beyond 64 bits would be cut here, after it was added: that is post-processing.
            noised.iter_mut().zip(sums.iter()).for_each(|(cell, sum)| *cell = cell.saturating_add(*sum));
        }
        let segment = |(segment, values): (&Segment, _)| {
            let Segment { kind, sensitivity, rho, scale, .. } = *segment;
            SegmentBody { kind, sensitivity, rho, scale, values }
        };
        let body = ReleaseBody {
            id: id.clone(),
            unit: window.unit().clone(),
            policy: window.policy(),
            catalogue: window.frame().catalogue,
            frame: window.frame_digest(),
            model_version: window.model_version(),
            ledger: charge.ledger(),
            sequence: charge.sequence(),
            purpose: plan.purpose,
            rho: plan.rho,
            private: noise.is_private(),
            segments: plan.segments.iter().zip(values.iter().map(Vec::as_slice)).map(segment).collect(),
        };
        let bytes = seal(&body.encode(), key);
        Ok(Self { stored: StoredRelease { id, sequence: charge.sequence(), bytes } })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &ReleaseId {
        &self.stored.id
    }

    pub(super) fn to_stored(&self) -> StoredRelease {
        self.stored.clone()
    }
}
