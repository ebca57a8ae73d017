//! The form of the policy files: every setting with its meaning and its limits.
//!
//! The JSON Schemas in `policies/schema/` are generated from these types, the structure of every file is
//! checked against them, and the first line of a setting's text below stands in the finding when a file
//! gets the setting wrong. Settings that a number limits say so here and nowhere else.

mod attestation;
mod content;

use std::collections::BTreeMap;

use schemars::JsonSchema;

pub use self::attestation::*;
pub use self::content::*;
use crate::{Check, ContentCheck, PrivacyUnit, Registration, SignalKind, StatusRule, TaskKind};

/// One region: `regions/NAME.toml`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RegionFile {
    /// The region's name, which is also the file's name.
    pub region: String,
    /// The region's name for people.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// The law that the region is under; fail-over never leaves it.
    pub jurisdiction: String,
    /// Regions that may take over when this one fails, all of the same jurisdiction.
    pub failover: Vec<String>,
    /// The signals that a viewer's session may send; all others are refused.
    pub signals: Vec<SignalKind>,
    /// How long raw signals live, in memory only.
    pub retention: RetentionSection,
    /// Whose contribution is protected as a whole, and how much of it counts.
    pub unit: UnitSection,
    /// What the protected unit may lose at most, over all tasks and purposes together.
    pub budget: BudgetSection,
    /// What leaves the region: at most one task of a kind.
    pub tasks: TasksSection,
    /// How viewers are identified; without it the region checks no identity.
    pub identity: Option<IdentitySection>,
    /// What the region's nodes must prove; without it a node is known by a pinned key alone.
    pub attestation: Option<AttestationSection>,
}

/// How long raw signals live, in memory only.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RetentionSection {
    /// A session ends after so many seconds without a call.
    #[schemars(range(min = 1, max = 86_400))]
    pub session_idle_seconds: u32,
    /// A session ends so many seconds after its start, whatever happens.
    #[schemars(range(min = 1, max = 604_800))]
    pub session_absolute_seconds: u32,
    /// Outcomes of one session that are kept and counted.
    #[schemars(range(min = 1, max = 10_000))]
    pub session_events_max: u32,
}

/// Whose contribution is protected as a whole, and how much of it counts.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct UnitSection {
    /// The protected unit: `viewer-window` (all that one viewer does in one window) or `session`.
    pub kind: PrivacyUnit,
    /// The length of a window in seconds.
    #[schemars(range(min = 1, max = 31_622_400))]
    pub window_seconds: u32,
    /// How many sessions of one unit count in one window; 1 for unit `session`.
    #[schemars(range(min = 1, max = 1_000))]
    pub quota: u32,
    /// In how many regions one viewer may be counted in one window.
    #[schemars(range(min = 1, max = 64))]
    pub region_factor: u32,
    /// How many nodes of the region keep quotas of their own.
    #[schemars(range(min = 1, max = 256))]
    pub nodes: u32,
}

/// What the protected unit may lose at most, over all tasks and purposes together.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct BudgetSection {
    /// The probability δ with which a stated ε may fail.
    #[schemars(range(min = 1e-15, max = 1e-4))]
    pub delta: f64,
    /// The most ρ that one window may spend.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho_per_window: f64,
    /// The claim: ε of one window, which must follow from `rho_per_window` and `delta`.
    #[schemars(range(min = 0, max = 100_000))]
    pub epsilon_per_window: f64,
    /// The most ρ that one year may spend; not for unit `session`, which bounds no year.
    #[schemars(range(min = 1e-9, max = 100_000))]
    pub rho_per_year: Option<f64>,
    /// The claim: ε of one year, which must follow from `rho_per_year` and `delta`; not for unit `session`.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub epsilon_per_year: Option<f64>,
    /// What single purposes may spend of that, by the purpose's name.
    pub purposes: Option<BTreeMap<String, PurposeBudgetSection>>,
}

/// What one purpose may spend of a unit's budget.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PurposeBudgetSection {
    /// The most ρ that one window may spend for the purpose.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho_per_window: f64,
    /// The most ρ that one year may spend for the purpose; not for unit `session`, which bounds no year.
    #[schemars(range(min = 1e-9, max = 100_000))]
    pub rho_per_year: Option<f64>,
}

/// What leaves the region: at most one task of a kind.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TasksSection {
    /// How every item was received, and how often it was shown.
    pub item_counts: Option<ItemCountsSection>,
    /// Which items the same sessions liked.
    pub co_engagement: Option<CoEngagementSection>,
    /// How session features and reward go together.
    pub ranker_moments: Option<RankerMomentsSection>,
    /// How every arm of an experiment was received, and how well it played.
    pub arm_reward: Option<ArmRewardSection>,
    /// Which item was liked next after which, where enough sessions share it.
    pub transitions: Option<TransitionsSection>,
    /// How all sessions since the first window were received, and how well they played; for unit `session` alone.
    pub running_totals: Option<RunningTotalsSection>,
}

/// How every item was received, and how often it was shown.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ItemCountsSection {
    /// The purpose that this task serves.
    pub purpose: String,
    /// The ρ that each release of this task is charged.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho: f64,
    /// The L2 clip of one session's rewards above or below the base rate.
    #[schemars(range(min = 0.001, max = 1_000))]
    pub clip: f64,
    /// The L2 clip of one session's impressions, repeats included.
    #[schemars(range(min = 0.001, max = 1_000))]
    pub impressions_clip: f64,
    /// The share of this task's ρ that rewards get, in percent; impressions get the rest.
    #[schemars(range(min = 1, max = 99))]
    pub rewards_percent: u8,
    /// The share of impressions that are liked, assumed until a model was published.
    #[schemars(range(min = 0, max = 1))]
    pub base_rate: f64,
    /// The claim: standard deviation of the noise on an item's rewards.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub sigma_rewards: f64,
    /// The claim: standard deviation of the noise on an item's impressions.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub sigma_impressions: f64,
}

/// Which items the same sessions liked.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct CoEngagementSection {
    /// The purpose that this task serves.
    pub purpose: String,
    /// The ρ that each release of this task is charged.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho: f64,
    /// How many of the most shown items are compared with each other.
    #[schemars(range(min = 2, max = 2_000))]
    pub items_max: u32,
    /// The claim: standard deviation of the noise on an item with itself; pairs get 1/√2 of it.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub sigma: f64,
}

/// How session features and reward go together.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RankerMomentsSection {
    /// The purpose that this task serves.
    pub purpose: String,
    /// The ρ that each release of this task is charged.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho: f64,
    /// The L2 bound of one vector of features and reward; a session counts for its square at most.
    #[schemars(range(min = 0.001, max = 100))]
    pub norm: f64,
    /// The claim: standard deviation of the noise on a feature's square; products get 1/√2 of it.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub sigma: f64,
}

/// How every arm of an experiment was received, and how well it played.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ArmRewardSection {
    /// The purpose that this task serves.
    pub purpose: String,
    /// The ρ that each release of this task is charged.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho: f64,
    /// The L2 clip of one session's vector: one session, its mean reward, its start-up time and its rebuffering.
    #[schemars(range(min = 0.001, max = 1_000))]
    pub clip: f64,
    /// The claim: standard deviation of the noise on each figure.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub sigma: f64,
}

/// Which item was liked next after which, where enough sessions share it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct TransitionsSection {
    /// The purpose that this task serves.
    pub purpose: String,
    /// The ρ that each release of this task is charged.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho: f64,
    /// The δ that each release of this task is charged; part of the budget's.
    #[schemars(range(min = 1e-15, max = 1e-4))]
    pub delta: f64,
    /// How many different pairs of one session count.
    #[schemars(range(min = 1, max = 64))]
    pub pairs_max: u32,
    /// How many sessions of one window count, the first to end; with `pairs_max` pairs each, they are 1,048,576 at most.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub sessions_max: u32,
    /// The claim: standard deviation of the noise on each pair.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub sigma: f64,
}

/// How all sessions since the first window were received, and how well they played; for unit `session` alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct RunningTotalsSection {
    /// The purpose that this task serves.
    pub purpose: String,
    /// The ρ that each release of this task is charged: all that its window's sessions lose by it and by later ones.
    #[schemars(range(min = 1e-9, max = 1_000))]
    pub rho: f64,
    /// The L2 clip of one session's vector: one session, its reward, its start-up time and its rebuffering.
    #[schemars(range(min = 0.001, max = 32))]
    pub clip: f64,
    /// How many windows are added up before the totals begin anew.
    #[schemars(range(min = 2, max = 1_024))]
    pub horizon_windows: u32,
    /// The claim: standard deviation of the noise on each weighted sum.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub sigma: f64,
}

/// How viewers are identified; without it the region checks no identity.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IdentitySection {
    /// How an account is made: not (`closed`), with the platform's `invite`, with an anonymous `token`, by all (`open`).
    pub registration: Registration,
    /// How many logins may be begun in one hour with the same credential identifier.
    #[schemars(range(min = 1, max = 10_000))]
    pub login_starts_per_hour: u32,
    /// How long a signed assertion of a viewer's identity is good for.
    #[schemars(range(min = 30, max = 86_400))]
    pub assertion_seconds: u32,
    /// How long a credential that the region issues is good for.
    #[schemars(range(min = 1, max = 730))]
    pub credential_days: u32,
    /// How many anonymous tokens one viewer may be issued in one window of tokens.
    #[schemars(range(min = 1, max = 10_000))]
    pub tokens_per_window: u32,
    /// The length of a window of tokens in seconds.
    #[schemars(range(min = 60, max = 2_678_400))]
    pub token_window_seconds: u32,
    /// How long a token key issues before the next takes over; viewers hide among all whom one key served.
    #[schemars(range(min = 1, max = 90))]
    pub token_key_days: u32,
    /// How long the tokens of a key are redeemed after the next one took over.
    #[schemars(range(min = 1, max = 90))]
    pub token_key_overlap_days: u32,
}

/// One purpose of processing: `purposes/NAME.toml`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct PurposeFile {
    /// The purpose's name, which is also the file's name.
    pub purpose: String,
    /// The purpose's name for people.
    #[schemars(length(min = 1, max = 200))]
    pub title: String,
    /// What it is for, in plain language, as a viewer would be told.
    #[schemars(length(min = 1, max = 4_000))]
    pub description: String,
    /// The legal basis that the controller relies on.
    #[schemars(length(min = 1, max = 400))]
    pub legal_basis: String,
    /// The signals that may be used for it.
    #[schemars(length(min = 1))]
    pub signals: Vec<SignalKind>,
    /// The tasks that may serve it.
    #[schemars(length(min = 1))]
    pub tasks: Vec<TaskKind>,
}

/// Who may do what where: `access.toml`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AccessFile {
    /// The permissions; what no grant names is refused.
    pub grants: Vec<GrantSection>,
}

/// One tenant's permission.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct GrantSection {
    /// The streaming platform.
    pub tenant: String,
    /// The regions where its viewers may be served.
    #[schemars(length(min = 1))]
    pub regions: Vec<String>,
    /// The purposes that its viewers' sessions may be counted for; none means: served, never counted.
    pub purposes: Vec<String>,
    /// What the platform may ask about a viewer; without it, nothing.
    pub checks: Option<Vec<Check>>,
    /// The checks, all of them in `checks`, to which a positive answer admits the viewer to anonymous tokens.
    pub tokens_for: Option<Vec<Check>>,
    /// Whether its sessions need a verified viewer, with an identity assertion or an anonymous token; without it, no.
    pub verified_viewers: Option<bool>,
    /// The profiles of `attestation.toml` that its viewers' devices may show; without it, none.
    #[schemars(inner(length(min = 1, max = 63)))]
    pub devices: Option<Vec<String>>,
    /// What the platform may ask about content; without it, nothing.
    pub content: Option<Vec<ContentCheck>>,
}

/// Who may vouch for what about a viewer: `issuers.toml`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IssuersFile {
    /// The issuers; credentials of all others say nothing.
    pub issuers: Vec<IssuerSection>,
}

/// One issuer of credentials.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct IssuerSection {
    /// The issuer's name as its credentials state it (claim `iss`), an https address; not for the node's own credentials.
    #[schemars(length(min = 1, max = 256))]
    pub issuer: Option<String>,
    /// Whether this is about the credentials that the node itself issues.
    pub own: Option<bool>,
    /// The file of this folder with the issuer's public keys: `issuers/NAME.jwks.json`.
    pub keys_file: Option<String>,
    /// The https address where the issuer's public keys are fetched, instead of a file.
    #[schemars(length(min = 1, max = 256))]
    pub jwks_url: Option<String>,
    /// The types of credential (claim `vct`) that are accepted, from 1 to 16.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256)))]
    pub types: Vec<String>,
    /// What its credentials may attest; not `account`, which only the node knows of.
    #[schemars(length(min = 1))]
    pub checks: Vec<Check>,
    /// Whether a credential must refer to a list that says which ones were revoked: `required` or `if-present`.
    pub status: StatusRule,
}
