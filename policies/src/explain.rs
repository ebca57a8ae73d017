//! One region's policy in plain language, with every figure computed anew.

mod attestation;
mod compared;
mod content;
mod identity;

use std::fmt;

use serde::Serialize;

pub use self::attestation::{AnchorExplanation, AttestationExplanation, ProfileExplanation};
pub use self::compared::Compared;
pub(crate) use self::compared::{Reading, compared};
pub use self::content::{ContentExplanation, ListExplanation};
pub(crate) use self::identity::days;
pub use self::identity::{IdentityExplanation, IssuerExplanation};
use crate::parse::rounded;
use crate::{
    Budget, Check, ContentCheck, Digest, Grant, Noised, PolicySet, PrivacyUnit, PurposeBudget, PurposeId, RegionId,
    RegionPolicy, Retention, Rho, SignalKind, TaskKind, TaskRule, TaskSpec, TenantId, zcdp,
};

/// What one region's policy means. Its text form is for people, its serialized form for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The region.
    pub region: RegionId,
    /// Its name for people.
    pub title: String,
    /// The law it is under.
    pub jurisdiction: String,
    /// The digest of all policy files.
    pub policy: Digest,
    /// Whose contribution is protected as a whole.
    pub unit: PrivacyUnit,
    /// Length of a window in seconds.
    pub window_seconds: u32,
    /// Sessions that count, per unit and window.
    pub quota: u32,
    /// In how many regions one viewer may be counted in one window.
    pub region_factor: u32,
    /// Nodes that keep quotas of their own.
    pub nodes: u32,
    /// Signals that sessions may send.
    pub signals: Vec<SignalKind>,
    /// A session without a call for so long has ended.
    pub session_idle_seconds: u32,
    /// A session has ended so long after its start.
    pub session_absolute_seconds: u32,
    /// Outcomes kept, and counted, of one session.
    pub session_events_max: u32,
    /// What leaves the region.
    pub tasks: Vec<TaskExplanation>,
    /// The probability with which ε may fail.
    pub delta: f64,
    /// ρ of one window at most.
    pub rho_per_window: f64,
    /// ε of one window at most.
    pub epsilon_per_window: f64,
    /// Windows that a year may have.
    pub windows_per_year: u64,
    /// ρ of one year at most; none for unit `session`.
    pub rho_per_year: Option<f64>,
    /// ε of one year at most; none for unit `session`.
    pub epsilon_per_year: Option<f64>,
    /// What single purposes may spend of that; empty where the whole is the only limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purpose_budgets: Vec<PurposeBudgetExplanation>,
    /// How viewers are identified; none where the region checks no identity.
    pub identity: Option<IdentityExplanation>,
    /// What nodes must prove; none where the region asks for nothing.
    pub attestation: Option<AttestationExplanation>,
    /// What viewers' devices may show, for any tenant of the region.
    pub devices: Vec<ProfileExplanation>,
    /// How content is checked; none where no tenant of the region may ask.
    pub content: Option<ContentExplanation>,
    /// Regions that may take over.
    pub failover: Vec<RegionId>,
    /// Who may use the region, and for what.
    pub tenants: Vec<TenantExplanation>,
}

/// What one purpose may spend of a unit's budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PurposeBudgetExplanation {
    /// The purpose.
    pub purpose: PurposeId,
    /// ρ of one window at most.
    pub rho_per_window: f64,
    /// ρ of one year at most; none where the whole is the only limit.
    pub rho_per_year: Option<f64>,
}

/// What one task releases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskExplanation {
    /// The kind of task.
    pub task: TaskKind,
    /// The purpose that it serves.
    pub purpose: PurposeId,
    /// The purpose's name for people.
    pub purpose_title: String,
    /// The legal basis of the purpose.
    pub legal_basis: String,
    /// ρ of each release.
    pub rho: f64,
    /// δ of each release, on top of the one at which ε is stated; none but for sparse keysets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// The noised vectors.
    pub noise: Vec<NoiseExplanation>,
}

/// How one vector of a release is noised.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoiseExplanation {
    /// What the figures are.
    pub figures: &'static str,
    /// By how much one unit can move the vector, in the L2 norm.
    pub sensitivity: f64,
    /// Standard deviation of the noise on each figure.
    pub sigma: f64,
}

/// What one tenant may do in the region.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TenantExplanation {
    /// The streaming platform.
    pub tenant: TenantId,
    /// What its viewers' sessions may be counted for.
    pub purposes: Vec<PurposeId>,
    /// What it may ask about a viewer.
    pub checks: Vec<Check>,
    /// Checks to which a positive answer admits to anonymous tokens.
    pub tokens_for: Vec<Check>,
    /// Whether its sessions need a verified viewer.
    pub verified_viewers: bool,
    /// Names of the profiles that its viewers' devices may show.
    pub devices: Vec<String>,
    /// What it may ask about content.
    pub content: Vec<ContentCheck>,
}

fn purpose_budgets(budget: &Budget) -> Vec<PurposeBudgetExplanation> {
    let explained = |(purpose, limit): (&PurposeId, &PurposeBudget)| PurposeBudgetExplanation {
        purpose: purpose.clone(),
        rho_per_window: limit.rho_per_window.as_f64(),
        rho_per_year: limit.rho_per_year.map(Rho::as_f64),
    };
    budget.purposes.iter().map(explained).collect()
}

/// Explains one region of a set in plain language.
#[must_use]
pub fn explain(policy: &RegionPolicy, set: &PolicySet) -> String {
    explanation(policy, set).to_string()
}

/// The figures and names that [`explain`] speaks of.
#[must_use]
pub fn explanation(policy: &RegionPolicy, set: &PolicySet) -> Explanation {
    let RegionPolicy { unit, budget, retention, .. } = policy;
    let bounded = unit.unit == PrivacyUnit::ViewerWindow;
    let grants: Vec<&Grant> = set.grants().iter().filter(|grant| grant.regions.contains(&policy.region)).collect();
    let epsilon = |rho: Rho| rounded(zcdp::epsilon(rho, budget.delta), f64::ceil);
    let Retention { session_idle_seconds, session_absolute_seconds, session_events_max } = *retention;
    Explanation {
        region: policy.region.clone(),
        title: policy.title.clone(),
        jurisdiction: policy.jurisdiction.to_string(),
        policy: set.digest(),
        unit: unit.unit,
        window_seconds: unit.window_seconds,
        quota: unit.quota,
        region_factor: unit.region_factor,
        nodes: unit.nodes,
        signals: policy.signals.iter().copied().collect(),
        session_idle_seconds,
        session_absolute_seconds,
        session_events_max,
        tasks: policy.tasks.iter().map(|rule| task(rule, policy, set)).collect(),
        delta: budget.delta,
        rho_per_window: budget.rho_per_window.as_f64(),
        epsilon_per_window: epsilon(budget.rho_per_window),
        windows_per_year: unit.windows_per_year(),
        rho_per_year: bounded.then(|| budget.rho_per_year.as_f64()),
        epsilon_per_year: bounded.then(|| epsilon(budget.rho_per_year)),
        purpose_budgets: purpose_budgets(budget),
        identity: policy.identity.as_ref().map(|rule| identity::identity(rule, set)),
        attestation: policy.attestation.as_ref().map(|rule| attestation::attestation(rule, set)),
        devices: attestation::devices(&grants, set),
        content: content::content(&grants, set),
        failover: policy.failover.clone(),
        tenants: grants.into_iter().map(tenant).collect(),
    }
}

fn tenant(grant: &Grant) -> TenantExplanation {
    TenantExplanation {
        tenant: grant.tenant.clone(),
        purposes: grant.purposes.iter().cloned().collect(),
        checks: grant.checks.iter().copied().collect(),
        tokens_for: grant.tokens_for.iter().copied().collect(),
        verified_viewers: grant.verified_viewers,
        devices: grant.devices.iter().cloned().collect(),
        content: grant.content.iter().copied().collect(),
    }
}

fn task(rule: &TaskRule, policy: &RegionPolicy, set: &PolicySet) -> TaskExplanation {
    let purpose = set.purposes().get(&rule.purpose);
    let noise = |noised: Noised| NoiseExplanation {
        figures: noised.figures,
        sensitivity: rounded(noised.sensitivity, f64::ceil),
        sigma: rounded(noised.sigma(), f64::floor),
    };
    TaskExplanation {
        task: rule.spec.kind(),
        purpose: rule.purpose.clone(),
        purpose_title: purpose.map(|purpose| purpose.title.clone()).unwrap_or_default(),
        legal_basis: purpose.map(|purpose| purpose.legal_basis.clone()).unwrap_or_default(),
        rho: rule.rho.as_f64(),
        delta: match rule.spec {
            TaskSpec::Transitions { delta, .. } => Some(delta),
            _ => None,
        },
        noise: rule.noised(&policy.unit).into_iter().map(noise).collect(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}), jurisdiction {}", self.title, self.region, self.jurisdiction)?;
        writeln!(f, "Policy digest {}", self.policy)?;
        self.write_unit(f)?;
        self.write_signals(f)?;
        self.write_tasks(f)?;
        self.write_budget(f)?;
        self.write_identity(f)?;
        self.write_attestation(f)?;
        self.write_devices(f)?;
        self.write_content(f)?;
        self.write_people(f)
    }
}

impl Explanation {
    fn write_unit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = duration(self.window_seconds);
        writeln!(f, "\nWho is protected")?;
        match self.unit {
            PrivacyUnit::ViewerWindow => {
                writeln!(f, "  One viewer within one window of {window}: all that the viewer's sessions contribute,")?;
                writeln!(
                    f,
                    "  added or removed together. {} of a viewer counts in a window; what comes",
                    sessions(self.quota)
                )?;
                writeln!(f, "  beyond is served and not counted, and so is a session without a pseudonym.")?;
                if self.region_factor > 1 {
                    writeln!(f, "  The noise covers a viewer who is counted in {} regions.", self.region_factor)?;
                }
                if self.nodes > 1 {
                    writeln!(f, "  The noise covers a viewer who is counted at {} nodes.", self.nodes)?;
                }
            }
            PrivacyUnit::Session => {
                writeln!(
                    f,
                    "  One session, in a window of {window}: all that it contributes, added or removed together."
                )?;
                writeln!(f, "  There is no per-viewer or yearly bound: a viewer may have any number of sessions.")?;
            }
        }
        writeln!(f, "  A viewer who refuses (Sec-GPC, or by the platform) is served and never counted.")
    }

    fn write_signals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat a session may send, and how long it lives")?;
        let signals: Vec<_> = self.signals.iter().map(|signal| signal.as_str()).collect();
        writeln!(
            f,
            "  Signals: {}. All others are refused.",
            if signals.is_empty() { "none".to_owned() } else { signals.join(", ") }
        )?;
        writeln!(
            f,
            "  Raw signals stay in memory. A session ends after {} without a call, and {} after",
            duration(self.session_idle_seconds),
            duration(self.session_absolute_seconds)
        )?;
        writeln!(f, "  its start at the latest. {} of its outcomes are kept at most.", self.session_events_max)
    }

    fn write_tasks(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat leaves the region")?;
        if self.tasks.is_empty() {
            return writeln!(f, "  Nothing.");
        }
        writeln!(f, "  Once a window, whole numbers with discrete Gaussian noise, and nothing else:")?;
        for task in &self.tasks {
            writeln!(f, "  - {}: {}", task.task, meaning(task.task))?;
            writeln!(f, "    Purpose `{}`: {}", task.purpose, task.purpose_title)?;
            writeln!(f, "    Legal basis: {}", task.legal_basis)?;
            for noise in &task.noise {
                let unit = match self.unit {
                    PrivacyUnit::ViewerWindow => "a viewer",
                    PrivacyUnit::Session => "a session",
                };
                writeln!(
                    f,
                    "    Noise on {}: σ = {}, where {unit} moves all of them by {} at most (L2 norm)",
                    noise.figures, noise.sigma, noise.sensitivity
                )?;
            }
            match task.delta {
                Some(delta) => writeln!(f, "    Each release spends ρ = {} and δ = {delta:e}", task.rho)?,
                None => writeln!(f, "    Each release spends ρ = {}", task.rho)?,
            }
        }
        Ok(())
    }

    fn write_budget(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhat it may cost, all tasks and purposes together, at δ = {:e}", self.delta)?;
        writeln!(f, "  A window: ε = {} at most (ρ = {})", self.epsilon_per_window, self.rho_per_window)?;
        match (self.epsilon_per_year, self.rho_per_year) {
            (Some(epsilon), Some(rho)) => {
                writeln!(f, "  A year of up to {} windows: ε = {epsilon} at most (ρ = {rho})", self.windows_per_year)
            }
            _ => writeln!(f, "  A year: no per-viewer or yearly bound, because the protected unit is one session."),
        }?;
        for of in &self.purpose_budgets {
            write!(f, "  Of that for `{}`: ρ = {} in a window", of.purpose, of.rho_per_window)?;
            match of.rho_per_year {
                Some(year) => writeln!(f, ", ρ = {year} in a year, at most")?,
                None => writeln!(f, " at most")?,
            }
        }
        Ok(())
    }

    fn write_people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nWhen the region fails")?;
        let targets: Vec<_> = self.failover.iter().map(RegionId::as_str).collect();
        match targets.as_slice() {
            [] => writeln!(f, "  No other region takes over.")?,
            _ => writeln!(f, "  {} may take over, under the same jurisdiction.", targets.join(", "))?,
        }
        writeln!(f, "\nWho may use it")?;
        if self.tenants.is_empty() {
            writeln!(f, "  Nobody.")?;
        }
        for tenant in &self.tenants {
            let purposes: Vec<_> = tenant.purposes.iter().map(PurposeId::as_str).collect();
            match purposes.as_slice() {
                [] => writeln!(f, "  {}: served, never counted", tenant.tenant)?,
                _ => writeln!(f, "  {}: {}", tenant.tenant, purposes.join(", "))?,
            }
        }
        Ok(())
    }
}

const fn meaning(task: TaskKind) -> &'static str {
    match task {
        TaskKind::ItemCounts => "how every item of the catalogue was received, and how often it was shown.",
        TaskKind::CoEngagement => "which of the most shown items the same sessions liked.",
        TaskKind::RankerMoments => "how session features and reward go together.",
        TaskKind::ArmReward => "how every arm of an experiment was received, and how well it played.",
        TaskKind::Transitions => "which item was liked next after which, where enough sessions share it.",
        TaskKind::RunningTotals => "how all sessions so far were received, and how well they played.",
    }
}

fn sessions(quota: u32) -> String {
    if quota == 1 { "1 session".to_owned() } else { format!("Each of {quota} sessions") }
}

/// A length of time in the largest unit that divides it.
pub(crate) fn duration(seconds: u32) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (length, name) = units.into_iter().find(|(length, _)| seconds.is_multiple_of(*length)).unwrap_or((1, "second"));
    let count = seconds / length;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}
