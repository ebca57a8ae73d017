//! The one place where raw sums become noised bytes.

use attest::SigningKey;
use zeroize::Zeroizing;

use super::ReleaseId;
use super::accumulator::{ClosedTask, SegmentSum};
use super::blt::Stream;
use super::ledger::SeenCharge;
use super::noise::Noise;
use super::plan::Segment;
use super::store::StoredRelease;
use super::wire::{ReleaseBody, SegmentBody, SparseBody, seal};

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
    pub fn new(charge: SeenCharge, task: ClosedTask, noise: &mut Noise, key: &SigningKey) -> Result<Self, WrongCharge> {
        Self::continuing(charge, task, noise, key, &mut Stream::new())
    }

    /// The same, where a task of running totals adds a row to `stream`. Where the release is then not kept, the stream is
    /// to be ended: a row that nobody gets makes all after it useless.
    ///
    /// # Errors
    /// `charge` was made for another release.
    pub fn continuing(
        charge: SeenCharge,
        task: ClosedTask,
        noise: &mut Noise,
        key: &SigningKey,
        stream: &mut Stream,
    ) -> Result<Self, WrongCharge> {
        let (charge, id) = (charge.charge(), task.id());
        let paid = (charge.rho(), charge.delta(), charge.record().policy);
        if *charge.id() != id || paid != (task.plan().rho, task.plan().delta, task.window().policy()) {
            return Err(WrongCharge);
        }
        // Noise comes first: its amount cannot depend on what it hides.
        let draw = |segment: &Segment| noise.draw(segment.variance, segment.cells);
        let samples: Vec<Vec<i64>> = task.plan().segments.iter().map(draw).collect();
        let (window, plan) = (task.window().clone(), task.plan().clone());
        let parts = plan.segments.iter().zip(samples).zip(task.into_sums());
        let segments = parts.map(|((segment, samples), sum)| noised((&id, segment), samples, sum, stream)).collect();
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
            delta: plan.delta,
            private: noise.is_private(),
            segments,
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

/// Adds a segment's sums to its noise.
fn noised(
    (id, segment): (&ReleaseId, &Segment),
    mut samples: Vec<i64>,
    sum: SegmentSum,
    stream: &mut Stream,
) -> SegmentBody<Vec<i64>> {
    let Segment { kind, sensitivity, rho, scale, .. } = *segment;
    let (values, sparse, place) = match (sum, segment.stream) {
        (SegmentSum::Dense(sums), Some(plan)) => {
            let (row, place) = stream.row((id, segment, plan), sums, samples);
            (row, None, Some(place))
        }
        (SegmentSum::Dense(sums), None) => {
            // Noise beyond 64 bits would be cut here, after it was added: that is post-processing.
            samples.iter_mut().zip(sums.iter()).for_each(|(cell, sum)| *cell = cell.saturating_add(*sum));
            (samples, None, None)
        }
        (SegmentSum::Sparse(keyset), _) => {
            // Samples that met no key, or one that is not released, go with those that did.
            let samples = Zeroizing::new(samples);
            let threshold = keyset.threshold();
            let released = keyset.release(&samples, scale.cast_signed());
            (released.values, Some(SparseBody { threshold, keys: released.keys }), None)
        }
    };
    SegmentBody { kind, sensitivity, rho, scale, values, sparse, stream: place }
}
