//! The centre: takes releases in, retrains, and says by signature which model is current.
//!
//! Actors: *nodes*, admitted on their connection by evidence of what they run, send releases and pull catalogues and models; *tenants* upload catalogues
//! and read what left their regions; *operators* retrain and roll back. All three are hostile until authenticated
//! (`access`), and what is in a release is compared with the policy, never believed
//! ([`aggregator::centre::intake`]). The centre never sees a raw signal: everything here is private already, and its
//! pages and counters are made from releases alone.
//!
//! One file a concern: [`admission`], [`enrolment`], [`ledgers`], [`releases`], [`reports`], [`catalogues`], [`log`],
//! [`models`], [`training`], [`policies`]; `routes` is the one table.

mod access;
pub mod admission;
mod arrivals;
mod artifact;
pub mod catalogues;
pub mod enrolment;
mod error;
pub mod ledgers;
pub mod log;
mod metrics;
pub mod models;
mod options;
pub mod policies;
pub mod releases;
pub mod reports;
mod routes;
mod start;
mod tenant;
pub mod training;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ::policies::TenantId;
use arc_swap::ArcSwap;
use attest::challenge::Challenges;
use attest::{AdmissionMode, KnownNodes, SigningKey, VerifyingKey};

use crate::clock::Clock;
use crate::log::Publisher;
use crate::store::Store;
use arrivals::Arrivals;
use enrolment::Enrolments;
use metrics::CentreMetrics;
use tenant::Tenant;

pub use error::CentreError;
pub use options::{CentreLimits, CentreParts};
pub use routes::router;
pub use start::StartError;

/// One centre, shared by its handlers and its training task.
pub struct Centre {
    name: String,
    key: SigningKey,
    attestation_key: SigningKey,
    admission: AdmissionMode,
    challenges: Challenges,
    enrolments: Enrolments,
    nodes: KnownNodes,
    tenants: BTreeMap<TenantId, Tenant>,
    operators: Vec<attest::ApiKeyHash>,
    policies: ArcSwap<policies::InForce>,
    policy_folder: Option<PathBuf>,
    /// Held through a reload.
    reloading: tokio::sync::Mutex<()>,
    /// Why the last reload failed, if it did.
    policy_trouble: Mutex<Option<String>>,
    limits: CentreLimits,
    measurement: bool,
    clock: Clock,
    store: Store,
    metrics: CentreMetrics,
    arrivals: Arrivals,
    log: Arc<Publisher>,
}

impl Centre {
    /// The public key by which nodes verify model pointers.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// The public key by which its attestation results are verified.
    #[must_use]
    pub fn attestation_verifying_key(&self) -> VerifyingKey {
        self.attestation_key.verifying_key()
    }

    fn tenant(&self, tenant: &TenantId) -> Result<&Tenant, CentreError> {
        self.tenants.get(tenant).ok_or(CentreError::UnknownTenant)
    }
}

/// Runs a long computation where it holds up no connection.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, CentreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| CentreError::CutOff)
}

#[cfg(test)]
mod tests;
