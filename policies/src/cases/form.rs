//! The form of test cases.

use serde::Deserialize;
use toml::Spanned;

use super::QUESTIONS_MAX;
use crate::{
    Check, ContentCheck, IssuerName, PrivacyUnit, PurposeId, Question, Reason, RegionId, SignalKind, Status, TaskKind,
    TenantId, Tier,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    #[serde(default)]
    pub(super) cases: Vec<Spanned<RawCase>>,
    #[serde(default)]
    pub(super) figures: Vec<Spanned<RawFigures>>,
    #[serde(default)]
    pub(super) budgets: Vec<Spanned<RawBudget>>,
}

/// What a case asks.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ask {
    Serve,
    Unverified,
    Purpose,
    Counted,
    Release,
    Check,
    Tokens,
    Content,
    Device,
    Signal,
    Node,
    Evidence,
    Failover,
    Vouch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Expect {
    Allowed,
    Refused,
}

/// A case: every combination of its lists is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub(super) name: String,
    ask: Ask,
    #[serde(default)]
    tenants: Vec<TenantId>,
    #[serde(default)]
    regions: Vec<RegionId>,
    #[serde(default)]
    purposes: Vec<PurposeId>,
    #[serde(default)]
    tasks: Vec<TaskKind>,
    #[serde(default)]
    checks: Vec<Check>,
    #[serde(default)]
    content: Vec<ContentCheck>,
    #[serde(default)]
    devices: Vec<String>,
    #[serde(default)]
    signals: Vec<SignalKind>,
    #[serde(default)]
    profiles: Vec<String>,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default)]
    statuses: Vec<Status>,
    #[serde(default)]
    to: Vec<RegionId>,
    #[serde(default)]
    issuers: Vec<String>,
    #[serde(default)]
    gpc: Vec<bool>,
    pub(super) expect: Expect,
    pub(super) reason: Option<Reason>,
}

/// What a task releases.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFigures {
    pub(super) name: String,
    pub(super) region: RegionId,
    pub(super) task: TaskKind,
    pub(super) purpose: PurposeId,
    pub(super) rho: f64,
    pub(super) sigmas: Vec<f64>,
}

/// What a unit may lose.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBudget {
    pub(super) name: String,
    pub(super) region: RegionId,
    pub(super) unit: PrivacyUnit,
    pub(super) window_seconds: u32,
    pub(super) sessions_per_unit: u64,
    pub(super) rho_per_window: f64,
    pub(super) epsilon_per_window: f64,
    pub(super) rho_per_year: Option<f64>,
    pub(super) epsilon_per_year: Option<f64>,
}

/// The keys of a case's lists, as they are written.
type Keys = &'static [&'static str];

impl Ask {
    const fn keys(self) -> Keys {
        match self {
            Self::Serve | Self::Unverified => &["tenants", "regions"],
            Self::Counted => &["tenants", "regions", "gpc"],
            Self::Purpose => &["tenants", "regions", "purposes"],
            Self::Release => &["tenants", "regions", "tasks"],
            Self::Check | Self::Tokens => &["tenants", "regions", "checks"],
            Self::Content => &["tenants", "regions", "content"],
            Self::Device => &["tenants", "regions", "devices"],
            Self::Signal => &["regions", "signals"],
            Self::Node => &["regions", "profiles"],
            Self::Evidence => &["regions", "tiers", "statuses"],
            Self::Failover => &["regions", "to"],
            Self::Vouch => &["issuers", "checks"],
        }
    }
}

/// Every combination of two lists.
fn pairs<'a, A: Clone, B: Clone>(first: &'a [A], second: &'a [B]) -> impl Iterator<Item = (A, B)> {
    first.iter().flat_map(|a| second.iter().map(|b| (a.clone(), b.clone())))
}

impl RawCase {
    fn lengths(&self) -> [(&'static str, usize); 14] {
        [
            ("tenants", self.tenants.len()),
            ("regions", self.regions.len()),
            ("purposes", self.purposes.len()),
            ("tasks", self.tasks.len()),
            ("checks", self.checks.len()),
            ("content", self.content.len()),
            ("devices", self.devices.len()),
            ("signals", self.signals.len()),
            ("profiles", self.profiles.len()),
            ("tiers", self.tiers.len()),
            ("statuses", self.statuses.len()),
            ("to", self.to.len()),
            ("issuers", self.issuers.len()),
            ("gpc", self.gpc.len()),
        ]
    }

    /// What is asked; a sentence where the case makes no sense.
    pub(super) fn questions(&self) -> Result<Vec<Question>, String> {
        let keys = self.ask.keys();
        let mut product = 1_usize;
        for (key, length) in self.lengths() {
            match (keys.contains(&key), length) {
                (true, 0) => return Err(format!("`{key}` is missing: what it asks is about at least one.")),
                (false, 1..) => return Err(format!("`{key}` has nothing to do with what it asks.")),
                (true, length) => product = product.saturating_mul(length),
                (false, 0) => {}
            }
        }
        if product > QUESTIONS_MAX {
            return Err(format!("it asks {product} questions, and {QUESTIONS_MAX} are the most."));
        }
        match (self.expect, self.reason) {
            (Expect::Refused, None) => Err("`reason` is missing: a refusal is expected for a reason.".to_owned()),
            (Expect::Allowed, Some(_)) => Err("`reason` is for refusals.".to_owned()),
            _ => Ok(self.asked()),
        }
    }

    fn asked(&self) -> Vec<Question> {
        use Question as Q;
        let (regions, places) = (&self.regions, || pairs(&self.tenants, &self.regions));
        // Every place with every value of a list.
        fn each<T: Clone>(
            places: impl Iterator<Item = (TenantId, RegionId)>,
            values: &[T],
            question: impl Fn(TenantId, RegionId, T) -> Question,
        ) -> Vec<Question> {
            let of = |(tenant, region): (TenantId, RegionId)| {
                values.iter().map(|value| question(tenant.clone(), region.clone(), value.clone())).collect::<Vec<_>>()
            };
            places.flat_map(of).collect()
        }
        match self.ask {
            Ask::Serve => places().map(|(tenant, region)| Q::Serve(tenant, region)).collect(),
            Ask::Unverified => places().map(|(tenant, region)| Q::Unverified(tenant, region)).collect(),
            Ask::Counted => each(places(), &self.gpc, Q::Counted),
            Ask::Purpose => each(places(), &self.purposes, Q::Purpose),
            Ask::Release => each(places(), &self.tasks, Q::Release),
            Ask::Check => each(places(), &self.checks, Q::Check),
            Ask::Tokens => each(places(), &self.checks, Q::Tokens),
            Ask::Content => each(places(), &self.content, Q::Content),
            Ask::Device => each(places(), &self.devices, Q::Device),
            Ask::Signal => pairs(regions, &self.signals).map(|(region, signal)| Q::Signal(region, signal)).collect(),
            Ask::Node => pairs(regions, &self.profiles).map(|(region, profile)| Q::Node(region, profile)).collect(),
            Ask::Failover => pairs(regions, &self.to).map(|(region, to)| Q::Failover(region, to)).collect(),
            Ask::Evidence => {
                let fared: Vec<_> = pairs(&self.tiers, &self.statuses).collect();
                pairs(regions, &fared).map(|(region, (tier, status))| Q::Evidence(region, tier, status)).collect()
            }
            Ask::Vouch => {
                let issuer = |name: String| if name == "own" { IssuerName::Own } else { IssuerName::Url(name) };
                pairs(&self.issuers, &self.checks).map(|(name, check)| Q::Vouch(issuer(name), check)).collect()
            }
        }
    }
}
