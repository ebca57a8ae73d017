//! A node's counters, for the admin listener. Exact counts stay in the region; labels name tenants,
//! tasks and outcomes, never a viewer, a session or an item.

use policies::{TaskKind, TenantId};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

/// Upper bounds of the latency buckets in seconds: fine below a millisecond, where rankings live.
const LATENCY_BUCKETS: [f64; 14] =
    [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2.5e-2, 1e-1, 1.0];

/// Metrics of one node.
pub(crate) struct NodeMetrics {
    /// 1 while releases are suspended (ledger unreadable, budget spent, no entropy).
    pub(crate) releases_suspended: IntGauge,
    pub(crate) releases: IntCounterVec,
    pub(crate) contributions: IntCounterVec,
    /// This node's attestations to its centre.
    pub(crate) admissions: IntCounterVec,
    /// Attempts to take newer policies.
    pub(crate) policies: IntCounterVec,
    identity: IntCounterVec,
    model_version: IntGaugeVec,
    sessions_live: IntGaugeVec,
    rank_seconds: HistogramVec,
    sessions: IntCounterVec,
}

/// What the identity service counts. Nothing here tells a viewer from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentityEvent {
    /// A registration was accepted, whether it made an account or not.
    Registered,
    /// A login was begun.
    LoginBegun,
    /// A login succeeded.
    LoggedIn,
    /// A login was refused at its second message.
    LoginFailed,
    /// A question about a credential was answered.
    Checked,
    /// A presentation was refused.
    CheckRefused,
    /// A credential was issued.
    CredentialIssued,
    /// Anonymous tokens were issued.
    TokenIssued,
    /// An anonymous token was spent.
    TokenSpent,
    /// An anonymous token was refused as spent.
    TokenRefused,
    /// A device's evidence was accepted.
    DeviceAccepted,
    /// A device's evidence was refused.
    DeviceRefused,
}

impl IdentityEvent {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::LoginBegun => "login-begun",
            Self::LoggedIn => "logged-in",
            Self::LoginFailed => "login-failed",
            Self::Checked => "checked",
            Self::CheckRefused => "check-refused",
            Self::CredentialIssued => "credential-issued",
            Self::TokenIssued => "token-issued",
            Self::TokenSpent => "token-spent",
            Self::TokenRefused => "token-refused",
            Self::DeviceAccepted => "device-accepted",
            Self::DeviceRefused => "device-refused",
        }
    }
}

/// The counters of one tenant, looked up once.
pub(crate) struct TenantMetrics {
    pub(crate) created: IntCounter,
    pub(crate) ended: IntCounter,
    pub(crate) erased: IntCounter,
    pub(crate) expired: IntCounter,
    pub(crate) ranked: IntCounter,
    pub(crate) model_version: IntGauge,
    pub(crate) live: IntGauge,
    pub(crate) rank_seconds: Histogram,
}

impl NodeMetrics {
    /// Registers every metric of a node.
    ///
    /// # Errors
    /// When the registry has them already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            register(registry, family)
        };
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help)?);
        let latency = HistogramOpts::new("siwa_rank_seconds", "Time to answer a ranking, without transport.");
        let latency = latency.buckets(LATENCY_BUCKETS.to_vec());
        let live = Opts::new("siwa_sessions_live", "Sessions in memory.");
        let versions = Opts::new("siwa_model_version", "Version of the model that ranks; 0 before the first.");
        Ok(Self {
            sessions_live: register(registry, IntGaugeVec::new(live, &["tenant"])?)?,
            rank_seconds: register(registry, HistogramVec::new(latency, &["tenant"])?)?,
            releases_suspended: gauge("siwa_releases_suspended", "1 while nothing is released; /readyz says why.")?,
            releases: counters(
                "siwa_releases_total",
                "Releases by what became of them.",
                &["tenant", "task", "outcome"],
            )?,
            contributions: counters(
                "siwa_contributions_total",
                "Ended sessions by whether they count.",
                &["tenant", "outcome"],
            )?,
            admissions: counters(
                "siwa_admissions_total",
                "Attestations of this node to its centre by outcome.",
                &["outcome"],
            )?,
            policies: counters(
                "siwa_policy_pulls_total",
                "Attempts to take newer policies from the centre, by outcome.",
                &["outcome"],
            )?,
            identity: counters(
                "siwa_identity_total",
                "What the identity service did, by tenant and event.",
                &["tenant", "event"],
            )?,
            model_version: register(registry, IntGaugeVec::new(versions, &["tenant"])?)?,
            sessions: counters("siwa_sessions_total", "Sessions by event.", &["tenant", "event"])?,
        })
    }

    /// The counters of one tenant.
    pub(crate) fn tenant(&self, tenant: &TenantId) -> TenantMetrics {
        let event = |name: &str| self.sessions.with_label_values(&[tenant.as_str(), name]);
        TenantMetrics {
            created: event("created"),
            ended: event("ended"),
            erased: event("erased"),
            expired: event("expired"),
            ranked: event("ranked"),
            model_version: self.model_version.with_label_values(&[tenant.as_str()]),
            live: self.sessions_live.with_label_values(&[tenant.as_str()]),
            rank_seconds: self.rank_seconds.with_label_values(&[tenant.as_str()]),
        }
    }

    /// Counts what the identity service did.
    pub(crate) fn identity(&self, tenant: &TenantId, event: IdentityEvent, times: u32) {
        self.identity.with_label_values(&[tenant.as_str(), event.as_str()]).inc_by(times.into());
    }

    /// Counts what became of one release.
    pub(crate) fn released(&self, tenant: &TenantId, task: TaskKind, outcome: &str) {
        self.releases.with_label_values(&[tenant.as_str(), task.as_str(), outcome]).inc();
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
