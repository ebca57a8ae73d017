//! Bringing a centre up: from its parts and from what its store has kept.

use std::sync::Arc;

use aggregator::centre::store::{CentreStore as _, ModelSummary};
use arc_swap::ArcSwap;
use attest::{AdmissionMode, KnownNode};
use personalize::{Catalogue, Model};

use super::admission::challenges;
use super::arrivals::Arrivals;
use super::enrolment::Enrolments;
use super::error::CentreError;
use super::metrics::CentreMetrics;
use super::options::CentreParts;
use super::policies::at_start;
use super::tenant::{CATALOGUES_KEPT, FRAMES_KEPT, Tenant};
use super::{Centre, blocking};
use crate::environment::EntropyError;
use crate::http::Condition;
use crate::log::{LogError, Publisher};
use crate::store::KeepError;

/// Why a centre could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The registry has the centre's metrics already.
    #[error("the centre's metrics cannot be registered")]
    Metrics(#[from] prometheus::Error),
    /// What the store has kept cannot be read back.
    #[error("what the centre kept cannot be read back")]
    Kept(#[source] CentreError),
    /// The policies are older than those that were in force here, or cannot be kept.
    #[error("the policies cannot be put in force")]
    Policies(#[from] KeepError),
    /// The transparency log, or what was published of it, is not as it should be.
    #[error("the transparency log cannot be published")]
    Log(#[from] LogError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl Centre {
    /// Starts a centre: reads back every tenant's catalogues and the frames of its models.
    ///
    /// # Errors
    /// The store cannot be read, or holds what does not read back.
    pub async fn start(parts: CentreParts) -> Result<Arc<Self>, StartError> {
        let metrics = CentreMetrics::register(&parts.registry)?;
        parts.store.log_earlier_pointers(parts.clock.now_ms()).await.map_err(LogError::Store)?;
        let log = Arc::new(Publisher::open(parts.log, parts.store.clone()).await?);
        let tenants = parts.tenants.into_iter().map(|(id, keys)| (id.clone(), Tenant::new(id, keys))).collect();
        let now_ms = parts.clock.now_ms();
        let policies = at_start(parts.policies, parts.earlier_policies, &parts.store, now_ms).await?;
        let centre = Self {
            name: parts.name,
            key: parts.key,
            attestation_key: parts.attestation_key,
            admission: parts.admission,
            challenges: challenges()?,
            enrolments: Enrolments::default(),
            nodes: parts.nodes,
            tenants,
            operators: parts.operators,
            policies: ArcSwap::from_pointee(policies),
            policy_folder: parts.policy_folder,
            reloading: tokio::sync::Mutex::default(),
            policy_trouble: std::sync::Mutex::default(),
            limits: parts.limits,
            measurement: parts.measurement,
            clock: parts.clock,
            store: parts.store,
            metrics,
            arrivals: Arrivals::default(),
            log,
        };
        for tenant in centre.tenants.values() {
            centre.read_back(tenant).await.map_err(StartError::Kept)?;
        }
        Ok(Arc::new(centre))
    }

    /// What readiness depends on, for the admin listener.
    #[must_use]
    pub fn conditions(&self) -> Vec<Condition> {
        let without: Vec<_> = self.tenants.values().filter(|tenant| tenant.catalogue().is_none()).collect();
        let catalogues = match without.len() {
            0 => Condition::met("catalogues"),
            number => Condition::degraded("catalogues", format!("{number} tenants have uploaded none yet")),
        };
        let mut conditions = vec![catalogues, self.policy_condition()];
        conditions.extend(self.admission_condition());
        conditions.push(self.log.condition());
        conditions
    }

    /// Whether every expected node can be admitted by evidence; nothing where a pinned key is enough.
    fn admission_condition(&self) -> Option<Condition> {
        if self.admission == AdmissionMode::PinnedKey {
            return None;
        }
        let in_force = self.in_force();
        let attests = |known: &&KnownNode| {
            let policy = in_force.current().region(&known.region);
            policy.is_some_and(|region| region.attestation.is_some())
        };
        Some(match self.nodes.iter().filter(|known| !attests(known)).count() {
            0 => Condition::met("admission"),
            number => Condition::degraded(
                "admission",
                format!("the policy lets no node of their region attest: {number} nodes cannot be admitted"),
            ),
        })
    }

    async fn read_back(&self, tenant: &Tenant) -> Result<(), CentreError> {
        let kept = self.store.catalogues(&tenant.id).await?;
        for summary in kept.iter().skip(kept.len().saturating_sub(CATALOGUES_KEPT)) {
            let bytes = self.store.catalogue(&tenant.id, summary.version).await?;
            let damaged = CentreError::Damaged { what: "catalogue" };
            let (owner, version, bytes) = (tenant.id.clone(), summary.version, bytes.ok_or(damaged)?);
            let parsed = blocking(move || Catalogue::parse(owner, version, &bytes)).await?;
            tenant.add_catalogue(Arc::new(parsed.map_err(CentreError::Catalogue)?));
            self.metrics.catalogue(&tenant.id, version);
        }
        let models = self.store.models(&tenant.id).await?;
        for summary in models.iter().skip(models.len().saturating_sub(FRAMES_KEPT)) {
            if tenant.frame_of(summary.frame).is_none() {
                self.read_back_frame(tenant, summary).await?;
            }
        }
        if let Some(pointer) = self.store.pointer(&tenant.id).await? {
            self.metrics.pointed(&tenant.id, pointer.version, pointer.serial);
        }
        Ok(())
    }

    /// A model of a catalogue that is no longer kept has a frame that no release may name any more: it is passed over.
    async fn read_back_frame(&self, tenant: &Tenant, summary: &ModelSummary) -> Result<(), CentreError> {
        let damaged = CentreError::Damaged { what: "model" };
        let bytes = self.store.model(&tenant.id, summary.version).await?.ok_or(damaged)?;
        let catalogues = tenant.catalogues();
        let model = move || catalogues.iter().find_map(|catalogue| Model::decode(&bytes, catalogue).ok());
        if let Some(model) = blocking(model).await? {
            tenant.add_frame(model.frame().clone());
        }
        Ok(())
    }
}
