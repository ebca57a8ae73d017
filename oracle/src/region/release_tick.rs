//! When releases leave: at fixed ticks, so that the network does not see how long their noise took to draw.
//!
//! An exact sampler takes longer for larger noise. Whoever has the noised value and learns the size of the noise has learnt
//! of the sum. So what was noised waits: work on closed windows begins at a moment that no noise has moved, and what came
//! of it leaves at the first tick that is [`DELAY_MS`] later, whether the work took one millisecond or all of that. Work that
//! takes longer leaves a whole delay later, or two: of its length only the number of delays can be seen.

/// Releases begin to leave at multiples of this, in Unix milliseconds.
pub(crate) const PERIOD_MS: u64 = 1_000;
/// How long charging, noising and persisting of what a window's end closes may take, unseen. A million cells take 0.2 s.
pub(crate) const DELAY_MS: u64 = 2_000;

/// The first tick that is not before `now_ms`, of ticks at multiples of `period_ms`, which is above 0.
pub(crate) const fn next_tick(now_ms: u64, period_ms: u64) -> u64 {
    now_ms.div_ceil(period_ms).saturating_mul(period_ms)
}

/// When that leaves which was noised in work from `begun_ms` to `finished_ms`.
pub(crate) fn leaves_at(begun_ms: u64, finished_ms: u64) -> u64 {
    let delays = finished_ms.saturating_sub(begun_ms).div_ceil(DELAY_MS).max(1);
    next_tick(begun_ms.saturating_add(delays.saturating_mul(DELAY_MS)), PERIOD_MS)
}

/// What holds the outbox back until its tick.
#[derive(Debug, Default)]
pub(crate) struct ReleaseTick {
    due_ms: Option<u64>,
}

impl ReleaseTick {
    /// Holds the outbox for work that took from `begun_ms` to `finished_ms`. Where it is held already, the earlier tick
    /// stands: windows shorter than the delay would hold it for ever.
    pub(crate) fn hold(&mut self, begun_ms: u64, finished_ms: u64) {
        let due_ms = leaves_at(begun_ms, finished_ms);
        self.due_ms = Some(self.due_ms.map_or(due_ms, |earlier_ms| earlier_ms.min(due_ms)));
    }

    /// Whether the outbox may be sent at `now_ms`: nothing holds it, or its tick has come, which ends the hold.
    pub(crate) fn may_leave(&mut self, now_ms: u64) -> bool {
        let open = self.wait_ms(now_ms) == 0;
        if open {
            self.due_ms = None;
        }
        open
    }

    /// How long the outbox is held from `now_ms` on.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> u64 {
        self.due_ms.map_or(0, |due_ms| due_ms.saturating_sub(now_ms))
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "statistics in floating point")]
mod tests;
