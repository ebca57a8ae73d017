//! Policies after every check: the types that the rest of Siwa decides by.

mod attestation;
mod content;
mod identity;

use std::collections::{BTreeMap, BTreeSet};

pub use self::attestation::{
    Anchor, AndroidValues, AppAttestValues, AttestationRule, EvidenceKind, KeySecurity, Measurement, NitroValues,
    Profile, ReferenceValues, SevSnpValues, SgxValues, SnpTcb, SoftwareValues, Status, TdxValues, Tier, TpmValues,
    WebAuthnValues,
};
pub use self::content::{
    ContentCheck, ContentRule, ListMeaning, ListRule, PictureListRule, ProvenanceRule, UnknownContentCheck,
};
pub use self::identity::{
    Check, IdentityRule, IssuerKeys, IssuerName, IssuerRule, Registration, StatusRule, UnknownCheck,
};
use crate::{Delta, Jurisdiction, PurposeId, RegionId, Rho, TaskKind, TenantId};
use serde::{Deserialize, Serialize};

/// Whose whole contribution is added or removed between neighbouring data sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PrivacyUnit {
    /// One viewer's sessions within one window; needs a stable pseudonym from the platform.
    ViewerWindow,
    /// One session. Gives no bound for a viewer or a year.
    Session,
}

/// A kind of signal that a viewer's session may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SignalKind {
    /// A watch with its dwell time.
    Watch,
    /// A skip.
    Skip,
    /// An explicit like.
    Like,
    /// Perceptual quality: start-up time, rebuffering.
    Kpi,
}

impl SignalKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Watch, Self::Skip, Self::Like, Self::Kpi];

    /// The name in policy files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Skip => "skip",
            Self::Like => "like",
            Self::Kpi => "kpi",
        }
    }
}

/// The text is not the name of a kind of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signal is one of watch, skip, like and kpi")]
pub struct UnknownSignal;

impl std::str::FromStr for SignalKind {
    type Err = UnknownSignal;

    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownSignal)
    }
}

/// The privacy unit of a region, and what bounds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitRule {
    /// Whose contribution is protected.
    pub unit: PrivacyUnit,
    /// Length of a window in seconds.
    pub window_seconds: u32,
    /// Sessions that count, per unit and window (1 for unit `session`).
    pub quota: u32,
    /// In how many regions one viewer may be counted in one window.
    pub region_factor: u32,
    /// Nodes of the region that keep quotas of their own.
    pub nodes: u32,
}

impl UnitRule {
    /// Seconds in the longest year, 366 days.
    pub const SECONDS_PER_YEAR: u32 = 366 * 86_400;

    /// Windows that begin in one year at most.
    #[must_use]
    pub const fn windows_per_year(&self) -> u64 {
        Self::SECONDS_PER_YEAR.div_ceil(self.window_seconds) as u64
    }

    /// The budget year of a second of Unix time: years are 366 days each, whatever the windows' length.
    #[must_use]
    pub const fn year_at(unix_s: u64) -> u64 {
        unix_s / Self::SECONDS_PER_YEAR as u64
    }

    /// By how much one session's clip is multiplied to bound one unit: Δ = this × clip.
    #[must_use]
    pub fn sessions_per_unit(&self) -> u64 {
        u64::from(self.quota) * u64::from(self.region_factor) * u64::from(self.nodes)
    }
}

/// What one task measures and how one session is bounded in it.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskSpec {
    /// Σ(reward − base rate) and impressions of each item.
    ItemCounts {
        /// L2 clip of a session's centred rewards, in rewards.
        clip: f64,
        /// L2 clip of a session's impressions, repeats included: √20 lets 20 different items count once each.
        impressions_clip: f64,
        /// Share of the task's ρ spent on rewards, in percent; the rest is for impressions.
        rewards_percent: u8,
        /// The base rate before any model was published, 0 to 1.
        base_rate: f64,
    },
    /// Gram matrix of unit session vectors over the most shown items.
    CoEngagement {
        /// Items in the matrix at most.
        items_max: u32,
    },
    /// Mean second moments of ranker features and reward.
    RankerMoments {
        /// L2 bound of one (features, reward) vector; Δ of a session is its square.
        norm: f64,
    },
    /// One clipped vector a session over experiment arms.
    ArmReward {
        /// L2 clip of a session's vector.
        clip: f64,
    },
    /// Pairs (item, item liked next), of which only those are released that pass a threshold.
    Transitions {
        /// Different pairs of a session that count; each counts 1.
        pairs_max: u32,
        /// Sessions of a window that count, the first to end. Their pairs are the most that a release can hold.
        sessions_max: u32,
        /// δ of each release: the most by which one unit may be betrayed by a pair that nobody else has.
        delta: f64,
    },
    /// Weighted sums over the windows so far, from which totals follow with little noise. For unit `session` alone.
    RunningTotals {
        /// L2 clip of a session's vector.
        clip: f64,
        /// Windows of one stream of totals; then another begins.
        horizon_windows: u32,
    },
}

impl TaskSpec {
    /// The task's kind.
    #[must_use]
    pub const fn kind(&self) -> TaskKind {
        match self {
            Self::ItemCounts { .. } => TaskKind::ItemCounts,
            Self::CoEngagement { .. } => TaskKind::CoEngagement,
            Self::RankerMoments { .. } => TaskKind::RankerMoments,
            Self::ArmReward { .. } => TaskKind::ArmReward,
            Self::Transitions { .. } => TaskKind::Transitions,
            Self::RunningTotals { .. } => TaskKind::RunningTotals,
        }
    }

    /// δ that each release is charged, rounded up: 0 but for sparse keysets. Nothing where the number is no δ.
    #[must_use]
    pub fn delta(&self) -> Option<Delta> {
        match *self {
            Self::Transitions { delta, .. } => Delta::from_f64_up(delta).ok(),
            _ => Some(Delta::ZERO),
        }
    }

    /// The base rate before any model was published, in millionths; nothing for tasks that have none.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=10^6, a whole number")]
    pub fn base_rate_ppm(&self) -> Option<u32> {
        match self {
            Self::ItemCounts { base_rate, .. } => Some((base_rate.clamp(0.0, 1.0) * 1e6).round() as u32),
            _ => None,
        }
    }
}

/// c before any model was published, in millionths: what the first window's frame holds, at node and centre alike.
/// One tenth where no rule counts items, and nothing follows from it.
#[must_use]
pub fn first_base_rate_ppm(rules: &[TaskRule]) -> u32 {
    rules.iter().find_map(|rule| rule.spec.base_rate_ppm()).unwrap_or(100_000)
}

/// One noised vector of a task, in natural units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noised {
    /// What the vector's figures are.
    pub figures: &'static str,
    /// Δ: the L2 norm by which one unit can move the vector.
    pub sensitivity: f64,
    /// The share of the task's ρ that it spends.
    pub rho: f64,
}

impl Noised {
    /// Standard deviation of the noise on each figure.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        crate::zcdp::sigma(self.sensitivity, self.rho)
    }
}

/// A task that a region releases.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskRule {
    /// The purpose that the release serves.
    pub purpose: PurposeId,
    /// ρ charged for each release.
    pub rho: Rho,
    /// What is measured.
    pub spec: TaskSpec,
}

impl TaskRule {
    /// The vectors that one release of this task noises, with what one unit can move in each.
    #[must_use]
    pub fn noised(&self, unit: &UnitRule) -> Vec<Noised> {
        #[expect(clippy::cast_precision_loss, reason = "limits keep it below 2^24")]
        let sessions = unit.sessions_per_unit() as f64;
        let rho = self.rho.as_f64();
        let one = |figures, of_session: f64| vec![Noised { figures, sensitivity: sessions * of_session, rho }];
        match self.spec {
            TaskSpec::ItemCounts { clip, impressions_clip, rewards_percent, .. } => {
                let share = rho * f64::from(rewards_percent) / 100.0;
                let part = |figures, clip: f64, rho| Noised { figures, sensitivity: sessions * clip, rho };
                vec![part("rewards", clip, share), part("impressions", impressions_clip, rho - share)]
            }
            TaskSpec::CoEngagement { .. } => one("items with themselves", 1.0),
            TaskSpec::RankerMoments { norm } => one("squares of features", norm * norm),
            TaskSpec::ArmReward { clip } => one("figures of an arm", clip),
            // √m for the session, and √2 for another session that it may take the place of.
            TaskSpec::Transitions { pairs_max, .. } => one("pairs of items", (2.0 * f64::from(pairs_max)).sqrt()),
            TaskSpec::RunningTotals { clip, horizon_windows } => {
                one("weighted sums of all windows so far", clip * crate::blt::column_norm(horizon_windows))
            }
        }
    }
}

impl TaskKind {
    /// Signals whose traces a release of this kind contains, wherever sessions may send them.
    #[must_use]
    pub const fn reads(self) -> &'static [SignalKind] {
        match self {
            Self::ItemCounts | Self::CoEngagement | Self::RankerMoments | Self::Transitions => {
                &[SignalKind::Watch, SignalKind::Skip, SignalKind::Like]
            }
            Self::ArmReward | Self::RunningTotals => {
                &[SignalKind::Watch, SignalKind::Skip, SignalKind::Like, SignalKind::Kpi]
            }
        }
    }

    /// Signals without which a task of this kind has nothing to measure.
    #[must_use]
    pub const fn needs(self) -> &'static [SignalKind] {
        match self {
            Self::ItemCounts | Self::CoEngagement | Self::RankerMoments | Self::Transitions => &[SignalKind::Watch],
            Self::ArmReward | Self::RunningTotals => &[SignalKind::Watch, SignalKind::Kpi],
        }
    }
}

/// What a unit may lose, per window and per year. Covers the sum over all tasks and purposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// δ at which ρ is stated as ε.
    pub delta: f64,
    /// ρ of one window at most.
    pub rho_per_window: Rho,
    /// ρ of one year at most. [`Rho::MAX`] for unit `session`, which gives no bound for a year.
    pub rho_per_year: Rho,
    /// What single purposes may spend of that.
    pub purposes: BTreeMap<PurposeId, PurposeBudget>,
}

/// What one purpose may spend of a unit's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurposeBudget {
    /// ρ of one window at most.
    pub rho_per_window: Rho,
    /// ρ of one year at most; nothing for unit `session`.
    pub rho_per_year: Option<Rho>,
}

/// How long raw signals live, in memory only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// A session without a call for so long has ended.
    pub session_idle_seconds: u32,
    /// A session has ended so long after its start, whatever happens.
    pub session_absolute_seconds: u32,
    /// Outcomes kept, and counted, of one session.
    pub session_events_max: u32,
}

/// One region's policy.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionPolicy {
    /// The region.
    pub region: RegionId,
    /// Its name for people.
    pub title: String,
    /// The law it is under.
    pub jurisdiction: Jurisdiction,
    /// Regions that may take over, all of the same jurisdiction.
    pub failover: Vec<RegionId>,
    /// How long raw signals live.
    pub retention: Retention,
    /// Signals that sessions may send.
    pub signals: BTreeSet<SignalKind>,
    /// The privacy unit.
    pub unit: UnitRule,
    /// What a unit may lose.
    pub budget: Budget,
    /// What is released, at most one task of a kind.
    pub tasks: Vec<TaskRule>,
    /// How viewers are identified; without it the region checks no identity.
    pub identity: Option<IdentityRule>,
    /// What the region's nodes must prove; without it none is admitted but by a pinned key.
    pub attestation: Option<AttestationRule>,
}

/// One purpose of processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposePolicy {
    /// Its name.
    pub purpose: PurposeId,
    /// Its name for people.
    pub title: String,
    /// What it is for, in plain language.
    pub description: String,
    /// The legal basis that the controller relies on.
    pub legal_basis: String,
    /// Signals that it may use.
    pub signals: BTreeSet<SignalKind>,
    /// Tasks that may serve it.
    pub tasks: BTreeSet<TaskKind>,
}

/// A tenant's permission: in these regions, for these purposes, with these questions about viewers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The streaming platform.
    pub tenant: TenantId,
    /// Where its viewers may be served.
    pub regions: BTreeSet<RegionId>,
    /// What its viewers' sessions may be counted for.
    pub purposes: BTreeSet<PurposeId>,
    /// What it may ask about a viewer.
    pub checks: BTreeSet<Check>,
    /// The checks, all of them in `checks`, to which a positive answer admits the viewer to anonymous tokens.
    pub tokens_for: BTreeSet<Check>,
    /// Whether its sessions need a verified viewer: an identity assertion or an anonymous token.
    pub verified_viewers: bool,
    /// Names of the profiles that its viewers' devices may show.
    pub devices: BTreeSet<String>,
    /// What it may ask about content.
    pub content: BTreeSet<ContentCheck>,
}
