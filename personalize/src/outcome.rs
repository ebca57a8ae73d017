//! What viewers' devices report, and what a session amounts to when it ends.

use policies::Digest;
use serde::{Deserialize, Serialize};

use crate::catalogue::ItemIndex;
use crate::features::FEATURES;

/// How a session is ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// By the model and by the session's own posterior.
    Adaptive,
    /// By the global model alone: the answer to a refusal of personalization.
    Global,
    /// At random, every order alike: what the first sessions of a tenant and experiments use.
    Uniform,
}

impl Arm {
    /// Every arm, in the order of the `arm-reward` vector.
    pub const ALL: [Self; 3] = [Self::Adaptive, Self::Global, Self::Uniform];
}

/// What a device reports in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The item was watched for `dwell_ms` of its `duration_ms`. Its reward is their ratio, at most 1.
    Watch {
        /// What was watched.
        item: ItemIndex,
        /// Time spent, in milliseconds.
        dwell_ms: u32,
        /// Length of the item, in milliseconds: not 0.
        duration_ms: u32,
    },
    /// The item was shown and passed over: reward 0.
    Skip {
        /// What was skipped.
        item: ItemIndex,
    },
    /// The item was liked: reward 1.
    Like {
        /// What was liked.
        item: ItemIndex,
    },
    /// How playback felt since the last such signal.
    Kpi(PerceptualKpi),
}

/// Perceptual quality of playback, summed over a session; sums stop at the largest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerceptualKpi {
    /// Time from request to first frame, in milliseconds.
    pub startup_ms: u32,
    /// Time that playback stood still, in milliseconds.
    pub rebuffer_ms: u32,
    /// Time watched, in milliseconds.
    pub watched_ms: u32,
}

impl PerceptualKpi {
    /// The sum, each part at most [`u32::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self {
            startup_ms: self.startup_ms.saturating_add(other.startup_ms),
            rebuffer_ms: self.rebuffer_ms.saturating_add(other.rebuffer_ms),
            watched_ms: self.watched_ms.saturating_add(other.watched_ms),
        }
    }
}

/// What became of one item in a session.
#[derive(Clone, PartialEq)]
pub struct Outcome {
    /// The item.
    pub item: ItemIndex,
    /// 0 to 1.
    pub reward: f32,
    /// Its features as they stood before the outcome was known, each finite and within ±[`crate::features::BOUND`].
    pub features: [f32; FEATURES],
}

/// What an ended session contributes: it is clipped, encoded and added to its window, then dropped.
///
/// Raw signals are in it, so it has no `Debug`.
#[derive(Clone, PartialEq)]
pub struct SessionRecord {
    /// How the session was ranked.
    pub arm: Arm,
    /// The catalogue that the outcomes point into; none without outcomes. A window that encodes another drops them.
    pub catalogue: Option<Digest>,
    /// One outcome an item, in the order of their first signals.
    pub outcomes: Vec<Outcome>,
    /// How playback felt.
    pub kpi: PerceptualKpi,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kpis_saturate() {
        let big = PerceptualKpi { startup_ms: u32::MAX, rebuffer_ms: 2, watched_ms: 3 };
        let sum = PerceptualKpi { startup_ms: u32::MAX, rebuffer_ms: 4, watched_ms: 6 };
        assert_eq!(big.saturating_add(big), sum);
    }

    #[test]
    fn arms_are_kebab_case() {
        assert_eq!(serde_json::to_string(&Arm::ALL).unwrap(), r#"["adaptive","global","uniform"]"#);
    }
}
