//! Training: from the running sums to a published model, by an operator's order, by a replay's, or when nodes have reported.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aggregator::centre::learner::{self, FrameStatistics, Statistics, Trained};
use aggregator::centre::store::ModelEntry;
use aggregator::centre::{CentreStore as _, TaskSum};
use axum::Json;
use axum::extract::State;
use personalize::model::RELEASES_MAX;
use personalize::{Catalogue, Model, Provenance};
use policies::rules::first_base_rate_ppm;
use policies::{NodeId, TaskKind, TaskSpec, TenantId, zcdp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Caller;
use super::error::CentreError;
use super::models::PointerState;
use super::reports::Losses;
use super::tenant::Tenant;
use super::{Centre, blocking};
use crate::http::{Drain, PathParameters};

/// How often the background task looks whether a grace has passed.
const TICK: Duration = Duration::from_millis(500);
/// Releases read from the store at a time.
const PAGE: usize = 1000;

/// How a training ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrainingReport {
    /// When it began, Unix milliseconds.
    pub started_ms: u64,
    /// How it ended.
    pub outcome: TrainingOutcome,
    /// Releases that no published model had learned from.
    pub releases: u64,
}

/// How a training ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum TrainingOutcome {
    /// A model was published.
    Published {
        /// Where the pointer stands now.
        pointer: PointerState,
        /// ρ that the new releases spent on one unit at most.
        rho: f64,
        /// How much stood out of the noise; absent where there was none.
        signal_to_noise: Option<f64>,
        /// Dimensions of the embedding that stood out of the noise.
        rank: u64,
    },
    /// The learner found too little to publish; the last model stays.
    Refused {
        /// Why, in a sentence.
        reason: String,
    },
    /// Nothing was released since the last model, or no catalogue is there to learn for.
    Nothing,
}

/// Retrains a tenant's model now.
#[utoipa::path(
    post, path = "/v1/models/{tenant}/train", operation_id = "trainModel", tag = "models", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, body = TrainingReport))
)]
pub(super) async fn post(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters(tenant): PathParameters<TenantId>,
) -> Result<Json<TrainingReport>, CentreError> {
    caller.operator()?;
    centre.train_now(&tenant).await.map(Json)
}

/// What a training starts from.
struct Material {
    catalogue: Arc<Catalogue>,
    statistics: Statistics,
    last: Model,
    next_version: u64,
    provenance: Provenance,
}

impl Centre {
    /// Trains on everything accepted so far and publishes the model, if the learner's gates let it.
    ///
    /// # Errors
    /// [`CentreError::TrainingUnderWay`], an unknown tenant, or the store's. A gate that refuses is no error.
    pub async fn train_now(&self, tenant: &TenantId) -> Result<TrainingReport, CentreError> {
        let state = self.tenant(tenant)?;
        let Ok(_one_at_a_time) = state.training.try_lock() else { return Err(CentreError::TrainingUnderWay) };
        let started_ms = self.clock.now_ms();
        let material = self.material(state).await?;
        let releases = material.as_ref().map_or(0, |material| material.provenance.releases.len() as u64);
        let outcome = match material {
            Some(material) if releases > 0 => self.learn(state, material, started_ms).await?,
            Some(_) | None => TrainingOutcome::Nothing,
        };
        self.metrics.trained(tenant, outcome.as_str());
        let report = TrainingReport { started_ms, outcome, releases };
        tracing::info!(%tenant, outcome = report.outcome.as_str(), releases, "training ended");
        state.set_last_training(report.clone());
        Ok(report)
    }

    /// Looks at the policy folder, and trains each tenant when every node that serves it has reported, or the grace after the first report has passed,
    /// until the drain is ordered.
    pub async fn run_background(self: Arc<Self>, mut drain: Drain) {
        let mut tick = tokio::time::interval(TICK);
        let mut looked_ms = self.clock.now_ms();
        loop {
            tokio::select! {
                () = drain.ordered() => return,
                () = self.arrivals.changed() => {}
                _ = tick.tick() => {}
            }
            self.train_due().await;
            self.look_at_policies(&mut looked_ms).await;
        }
    }

    /// Trains the tenants that are due.
    async fn train_due(&self) {
        for (id, tenant) in &self.tenants {
            let expected = self.expected(tenant);
            let grace_ms = self.limits.training_grace_ms;
            if self.arrivals.due(id, &expected, grace_ms, self.clock.now_ms())
                && let Err(error) = self.train_now(id).await
            {
                // What arrived is kept; the next arrival tries again.
                self.metrics.trained(id, "failed");
                tracing::warn!(tenant = %id, %error, "training failed");
            }
        }
    }

    /// Which reports make a window complete: every task of every node that serves the tenant. The Gram is only expected
    /// once a published frame names items.
    pub(super) fn expected(&self, tenant: &Tenant) -> BTreeSet<(NodeId, TaskKind)> {
        let gram = tenant.newest_frame().is_some_and(|frame| !frame.top.is_empty());
        let in_force = self.in_force();
        let mut expected = BTreeSet::new();
        for node in self.nodes.iter() {
            let rules = in_force.current().tasks_for(&node.region, &tenant.id);
            let kinds = rules.iter().map(|rule| rule.spec.kind());
            let released = kinds.filter(|kind| gram || *kind != TaskKind::CoEngagement);
            expected.extend(released.map(|kind| (node.node.clone(), kind)));
        }
        expected
    }

    /// The base rates that regions start this tenant's windows from, in millionths.
    pub(super) fn base_rates(&self, tenant: &TenantId) -> BTreeSet<u32> {
        let in_force = self.in_force();
        let rules = |region| in_force.sets().iter().map(move |set| set.tasks_for(region, tenant));
        let regions: BTreeSet<_> = self.nodes.iter().map(|node| &node.region).collect();
        regions.into_iter().flat_map(rules).map(|rules| first_base_rate_ppm(&rules)).collect()
    }

    /// Reads what there is to learn from; nothing without a catalogue.
    async fn material(&self, state: &Tenant) -> Result<Option<Material>, CentreError> {
        let Some(catalogue) = state.catalogue() else { return Ok(None) };
        let pointer = self.store.pointer(&state.id).await?;
        let next_version = self.store.models(&state.id).await?.last().map_or(1, |newest| newest.version + 1);
        let base_rate = self.base_rates(&state.id).first().copied().unwrap_or_else(|| first_base_rate_ppm(&[]));
        let mut last = None;
        if let Some(pointer) = pointer {
            let damaged = CentreError::Damaged { what: "model" };
            let bytes = self.store.model(&state.id, pointer.version).await?.ok_or(damaged)?;
            let catalogue = Arc::clone(&catalogue);
            last = blocking(move || Model::decode(&bytes, &catalogue).ok()).await?;
        }
        // The last good model of another catalogue has nothing to say of this one's items.
        let last = last.unwrap_or_else(|| Model::prior(&catalogue, base_rate));
        let taking = state.intake.write().await;
        self.arrivals.taken(&state.id);
        let provenance = self.provenance(state, &last).await?;
        let sums = self.store.sums(&state.id).await?;
        drop(taking);
        let statistics = self.statistics(state, &catalogue, sums);
        Ok(Some(Material { catalogue, statistics, last, next_version, provenance }))
    }

    /// The releases accepted since the last model, and what they spent. The store lists the latest first, so that the
    /// first one that the last model knows ends the list.
    async fn provenance(&self, state: &Tenant, last: &Model) -> Result<Provenance, CentreError> {
        let known: BTreeSet<&str> = last.provenance().releases.iter().map(String::as_str).collect();
        let (mut losses, mut releases, mut offset) = (Losses::default(), Vec::new(), 0);
        'pages: loop {
            let page = self.store.releases(Some(&state.id), offset, PAGE).await?;
            for summary in &page {
                let name = summary.id.to_string();
                if known.contains(name.as_str()) || releases.len() == RELEASES_MAX {
                    break 'pages;
                }
                losses.add(summary);
                releases.push(name);
            }
            if page.len() < PAGE {
                break;
            }
            offset += PAGE as u64;
        }
        let private = losses.is_private() && (last.version() == 0 || last.provenance().private);
        let (rho, delta) = (losses.rho_per_window(), losses.delta());
        let epsilon = if private { zcdp::epsilon(rho, delta) } else { f64::INFINITY };
        let parent = (last.version() > 0).then(|| last.digest());
        Ok(Provenance { parent, releases, rho, epsilon, delta, private })
    }

    /// Sums by frame. What was released under another catalogue has other items and is left out.
    fn statistics(&self, state: &Tenant, catalogue: &Catalogue, sums: Vec<TaskSum>) -> Statistics {
        let mut frames: Vec<FrameStatistics> = Vec::new();
        for sum in sums {
            let Some(frame) = self.frame(state, catalogue.digest(), sum.frame) else { continue };
            if frame.catalogue != catalogue.digest() {
                continue;
            }
            let place = frames.iter().position(|entry| entry.frame == frame).unwrap_or_else(|| {
                let (item_counts, co_engagement, ranker_moments) = (None, None, None);
                frames.push(FrameStatistics { frame, item_counts, co_engagement, ranker_moments });
                frames.len() - 1
            });
            match sum.kind {
                TaskKind::ItemCounts => frames[place].item_counts = Some(sum),
                TaskKind::CoEngagement => frames[place].co_engagement = Some(sum),
                TaskKind::RankerMoments => frames[place].ranker_moments = Some(sum),
                // These are read by people, not learned from.
                TaskKind::ArmReward | TaskKind::Transitions | TaskKind::RunningTotals => {}
            }
        }
        Statistics { frames, frame_items_max: self.frame_items_max(&state.id) }
    }

    /// The smallest `items_max` of the tenant's regions: a frame beyond it would close their windows.
    fn frame_items_max(&self, tenant: &TenantId) -> usize {
        let in_force = self.in_force();
        let nodes = self.nodes.iter().flat_map(|node| in_force.current().tasks_for(&node.region, tenant));
        let items = nodes.filter_map(|rule| match rule.spec {
            TaskSpec::CoEngagement { items_max } => usize::try_from(items_max).ok(),
            _ => None,
        });
        items.min().unwrap_or(0)
    }

    async fn learn(&self, state: &Tenant, material: Material, now_ms: u64) -> Result<TrainingOutcome, CentreError> {
        let rho = material.provenance.rho.as_f64();
        let learned = blocking(move || {
            let Material { catalogue, statistics, last, next_version, provenance } = material;
            learner::train(&catalogue, &statistics, &last, next_version, provenance)
        });
        let Trained { model, report } = match learned.await? {
            Ok(trained) => trained,
            Err(refusal) => {
                let cause = std::error::Error::source(&refusal).map(|cause| format!(": {cause}")).unwrap_or_default();
                return Ok(TrainingOutcome::Refused { reason: format!("{refusal}{cause}") });
            }
        };
        let entry = ModelEntry {
            tenant: state.id.clone(),
            version: model.version(),
            digest: model.digest(),
            frame: model.frame().digest(),
            bytes: model.encode(),
            created_ms: now_ms,
        };
        // The frame is known before any node can learn of it.
        state.add_frame(model.frame().clone());
        let pointer = self.store.publish_model(entry).await?;
        self.metrics.pointed(&state.id, pointer.version, pointer.serial);
        let signal_to_noise = Some(report.signal_to_noise).filter(|ratio| ratio.is_finite());
        let (pointer, rank) = (pointer.into(), report.rank as u64);
        Ok(TrainingOutcome::Published { pointer, rho, signal_to_noise, rank })
    }
}

impl TrainingOutcome {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Published { .. } => "published",
            Self::Refused { .. } => "refused",
            Self::Nothing => "nothing",
        }
    }
}
