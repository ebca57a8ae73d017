//! Rewards as they are counted by those who know the audience: means with intervals that respect sessions.

use serde::Serialize;

/// Decisions and rewards, in sums by session.
///
/// Decisions of one session are not independent. The interval is that of a ratio of sums over sessions:
/// m = Σr/Σn with standard error √Σ(r − m·n)² / Σn, by linearisation (Cochran, Sampling Techniques, §6).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) sessions: u64,
    pub(crate) decisions: u64,
    pub(crate) rewards: u64,
    rewards_squared: u64,
    decisions_squared: u64,
    product: u64,
}

/// A mean and half the width of its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Mean {
    pub(crate) mean: f64,
    pub(crate) ci95: f64,
}

impl Tally {
    /// Counts one session.
    pub(crate) fn session(&mut self, decisions: u64, rewards: u64) {
        self.sessions += 1;
        self.decisions += decisions;
        self.rewards += rewards;
        self.rewards_squared += rewards * rewards;
        self.decisions_squared += decisions * decisions;
        self.product += rewards * decisions;
    }

    /// Adds another tally's sessions.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.decisions += other.decisions;
        self.rewards += other.rewards;
        self.rewards_squared += other.rewards_squared;
        self.decisions_squared += other.decisions_squared;
        self.product += other.product;
    }

    /// Mean reward of a decision; nothing without decisions.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    pub(crate) fn mean(&self) -> Option<Mean> {
        if self.decisions == 0 {
            return None;
        }
        let n = self.decisions as f64;
        let mean = self.rewards as f64 / n;
        let residual = self.rewards_squared as f64 - 2.0 * mean * self.product as f64
            + mean * mean * self.decisions_squared as f64;
        Some(Mean { mean, ci95: 1.96 * residual.max(0.0).sqrt() / n })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_sums_with_its_interval() {
        let mut tally = Tally::default();
        assert_eq!(tally.mean(), None);
        tally.session(4, 2);
        tally.session(4, 0);
        let Mean { mean, ci95 } = tally.mean().unwrap();
        // Residuals are ±1: √2 / 8.
        assert!((mean - 0.25).abs() < 1e-12 && (ci95 - 1.96 * 2f64.sqrt() / 8.0).abs() < 1e-12);
        let mut both = tally;
        both.add(&tally);
        assert_eq!((both.sessions, both.decisions, both.rewards), (4, 16, 4));
    }
}
