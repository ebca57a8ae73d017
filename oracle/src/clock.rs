//! Time, and its one home: nothing else in Siwa reads the system's clocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time as Unix milliseconds: the system's, or one that a test or a replay advances by hand.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands at `start_ms` (Unix milliseconds) until [`Clock::advance`] moves it. Clones share the time.
    #[must_use]
    pub fn manual(start_ms: u64) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(start_ms))))
    }

    /// Unix time in milliseconds. A system clock set before 1970 reads 0, one beyond the range reads `u64::MAX`.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one home of SystemTime::now")]
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// Unix time in whole seconds, as tokens state it.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.now_ms() / 1000
    }

    /// Whether time moves by [`Clock::advance`] alone.
    #[must_use]
    pub const fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// Moves a manual clock forward, for all its clones.
    ///
    /// # Panics
    /// On the system's clock, which nobody here may set.
    pub fn advance(&self, ms: u64) {
        match &self.0 {
            Source::System => panic!("only a manual clock can be advanced"),
            Source::Manual(now) => {
                now.fetch_add(ms, Ordering::SeqCst);
            }
        }
    }
}

/// Measures how long something took, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one home of Instant::now")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Whole microseconds since the start.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        u64::try_from(self.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_by_hand_and_for_all_clones() {
        let clock = Clock::manual(1_700_000_000_999);
        let other = clock.clone();
        other.advance(2);
        assert_eq!((clock.now_ms(), clock.now_s()), (1_700_000_001_001, 1_700_000_001));
        assert!(clock.is_manual());
        assert!(!Clock::system().is_manual());
    }

    #[test]
    fn the_system_clock_stands_after_this_was_written() {
        assert!(Clock::system().now_ms() > 1_700_000_000_000);
    }

    #[test]
    #[should_panic(expected = "only a manual clock")]
    fn the_system_clock_is_not_ours_to_set() {
        Clock::system().advance(1);
    }
}
