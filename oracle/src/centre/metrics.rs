//! The centre's counters, for the admin listener: made from releases only, labels name tenants, regions and tasks.

use aggregator::release::ReleaseId;
use policies::{Rho, TenantId};
use prometheus::core::Collector;
use prometheus::{CounterVec, IntCounterVec, IntGaugeVec, Opts, Registry};

/// Metrics of one centre.
pub(super) struct CentreMetrics {
    releases: IntCounterVec,
    release_bytes: IntCounterVec,
    rho: CounterVec,
    intake: IntCounterVec,
    admissions: IntCounterVec,
    trainings: IntCounterVec,
    policies: IntCounterVec,
    model_version: IntGaugeVec,
    model_serial: IntGaugeVec,
    catalogue_version: IntGaugeVec,
}

impl CentreMetrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// When the registry holds them already.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let of_release = ["tenant", "region", "task"];
        let counters = |name: &str, help: &str, labels: &[&str]| {
            added(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauges = |name: &str, help: &str| added(registry, IntGaugeVec::new(Opts::new(name, help), &["tenant"])?);
        let rho = Opts::new("siwa_centre_rho_total", "Sum of rho over accepted releases, as their policies charge it.");
        Ok(Self {
            releases: counters("siwa_centre_releases_total", "Releases accepted for the first time.", &of_release)?,
            release_bytes: counters("siwa_centre_release_bytes_total", "Bytes of accepted releases.", &of_release)?,
            rho: added(registry, CounterVec::new(rho, &of_release)?)?,
            intake: counters("siwa_centre_intake_total", "Releases sent, by what became of them.", &["outcome"])?,
            admissions: counters("siwa_centre_admissions_total", "Attestations of nodes by outcome.", &["outcome"])?,
            trainings: counters("siwa_centre_trainings_total", "Trainings by outcome.", &["tenant", "outcome"])?,
            policies: counters(
                "siwa_centre_policy_reloads_total",
                "Looks at the policy folder by outcome.",
                &["outcome"],
            )?,
            model_version: gauges("siwa_centre_model_version", "Version of the model pointed at.")?,
            model_serial: gauges("siwa_centre_model_serial", "Serial of the model pointer.")?,
            catalogue_version: gauges("siwa_centre_catalogue_version", "Version of the current catalogue.")?,
        })
    }

    /// A release was accepted for the first time.
    pub(super) fn accepted(&self, id: &ReleaseId, bytes: usize, rho: Rho) {
        let labels = [id.tenant.as_str(), id.region.as_str(), id.task.as_str()];
        self.releases.with_label_values(&labels).inc();
        self.release_bytes.with_label_values(&labels).inc_by(bytes as u64);
        self.rho.with_label_values(&labels).inc_by(rho.as_f64());
    }

    /// What became of a sent release.
    pub(super) fn intake(&self, outcome: &str) {
        self.intake.with_label_values(&[outcome]).inc();
    }

    /// What became of a node's attestation.
    pub(super) fn admission(&self, outcome: &str) {
        self.admissions.with_label_values(&[outcome]).inc();
    }

    /// What became of a look at the policy folder.
    pub(super) fn policies(&self, outcome: &str) {
        self.policies.with_label_values(&[outcome]).inc();
    }

    /// Looks at the policy folder that came to this.
    #[cfg(test)]
    pub(super) fn policy_reloads(&self, outcome: &str) -> u64 {
        self.policies.with_label_values(&[outcome]).get()
    }

    /// What became of a training.
    pub(super) fn trained(&self, tenant: &TenantId, outcome: &str) {
        self.trainings.with_label_values(&[tenant.as_str(), outcome]).inc();
    }

    /// Where the tenant's pointer stands.
    pub(super) fn pointed(&self, tenant: &TenantId, version: u64, serial: u64) {
        set(&self.model_version, tenant, version);
        set(&self.model_serial, tenant, serial);
    }

    /// Which catalogue is current.
    pub(super) fn catalogue(&self, tenant: &TenantId, version: u64) {
        set(&self.catalogue_version, tenant, version);
    }
}

fn set(gauges: &IntGaugeVec, tenant: &TenantId, value: u64) {
    gauges.with_label_values(&[tenant.as_str()]).set(i64::try_from(value).unwrap_or(i64::MAX));
}

fn added<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
