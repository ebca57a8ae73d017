//! The policies that a centre enforces, where nodes get them, and how a newer bundle takes the place of the older.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};

use aggregator::release::StoreError;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use policies::bundle::{Delivery, Trust};
use policies::{Bundle, BundleError, PolicySet};

use super::error::CentreError;
use super::{Centre, blocking};
use crate::http::Condition;
use crate::policy_folder;
use crate::store::bundles::{BUNDLES_KEPT, KeptBundle};
use crate::store::{KeepError, Store};

/// The bundle in force, and earlier sets whose releases may still arrive.
pub(super) struct InForce {
    bundle: Bundle,
    /// The set in force, then earlier ones, the newest first.
    sets: Vec<PolicySet>,
    /// Signed notes of earlier bundles, the oldest first.
    notes: Vec<String>,
    /// Where it stands in the transparency log.
    logged: u64,
}

impl InForce {
    /// A bundle after those that are kept, and sets that the config names.
    fn new(bundle: Bundle, logged: u64, kept: &[Bundle], config: Vec<PolicySet>) -> Self {
        let earlier: Vec<&Bundle> = kept.iter().filter(|kept| kept.version() < bundle.version()).collect();
        let notes: Vec<String> = earlier.iter().map(|kept| kept.note().to_owned()).collect();
        let mut sets = vec![PolicySet::clone(bundle.policies())];
        sets.extend(earlier.iter().rev().map(|kept| PolicySet::clone(kept.policies())));
        sets.extend(config);
        Self { bundle, logged, sets, notes }
    }

    /// The next bundle after this one.
    fn followed_by(&self, bundle: Bundle, logged: u64) -> Self {
        let (mut notes, mut sets) = (self.notes.clone(), self.sets.clone());
        if bundle.version() > self.bundle.version() {
            notes.push(self.bundle.note().to_owned());
            sets.insert(0, PolicySet::clone(bundle.policies()));
            sets.truncate(BUNDLES_KEPT);
        }
        Self { bundle, logged, sets, notes }
    }

    /// The set in force, then those whose releases may still arrive.
    pub(super) fn sets(&self) -> &[PolicySet] {
        &self.sets
    }

    /// The set in force.
    pub(super) const fn current(&self) -> &Arc<PolicySet> {
        self.bundle.policies()
    }
}

/// Why a newer bundle was not taken. The one in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The folder.
    #[error("the policy folder cannot be read")]
    Folder(#[source] policy_folder::FolderError),
    /// What stands in it.
    #[error("the policy bundle is refused")]
    Bundle(#[source] BundleError),
    /// It could not be kept.
    #[error("the policy bundle cannot be kept")]
    Keep(#[source] KeepError),
    /// A computation was cut off.
    #[error("a computation was cut off")]
    CutOff,
}

/// What bundles the centre starts with.
pub(super) async fn at_start(
    bundle: Bundle,
    config: Vec<PolicySet>,
    store: &Store,
    now_ms: u64,
) -> Result<InForce, KeepError> {
    store.log_bundle(&bundle, now_ms).await?;
    let rows = store.bundles().await?;
    let logged = rows.last().and_then(|own| own.logged).ok_or(StoreError::Corrupt)?;
    let kept = rows.iter().map(KeptBundle::bundle).collect::<Result<Vec<_>, _>>()?;
    Ok(InForce::new(bundle, logged, &kept, config))
}

/// `GET /v1/policies/current`
///
/// The policies in force, for anyone: the signed note with those of earlier versions, every file, and the proof that the
/// transparency log holds the bundle.
#[utoipa::path(
    get, path = "/v1/policies/current", operation_id = "currentPolicies", tag = "policies",
    responses((status = 200, body = Vec<u8>, content_type = "application/json"))
)]
pub(super) async fn current(State(centre): State<Arc<Centre>>) -> Result<Response, CentreError> {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, centre.delivery().await?.encode()).into_response())
}

impl Centre {
    /// The policies in force, and earlier ones.
    pub(super) fn in_force(&self) -> Arc<InForce> {
        self.policies.load_full()
    }

    /// The version of the policies in force.
    #[must_use]
    pub fn policy_version(&self) -> u64 {
        self.in_force().bundle.version()
    }

    /// Takes what stands in the policy folder, if another note stands there than the one in force. One attempt: a failure
    /// keeps what is in force, counts, and stands in `/readyz` until an attempt succeeds. Earlier sets stay known, for
    /// releases that are still on their way.
    ///
    /// # Errors
    /// See [`ReloadError`]. There is nothing to do about them here: they were logged and counted.
    pub async fn reload_policies(&self) -> Result<Option<u64>, ReloadError> {
        let Some(folder) = self.policy_folder.clone() else { return Ok(None) };
        let _one_at_a_time = self.reloading.lock().await;
        let outcome = self.take_newer(folder).await;
        let label = match &outcome {
            Ok(None) => "unchanged",
            Ok(Some(_)) => "taken",
            Err(_) => "refused",
        };
        self.metrics.policies(label);
        *self.policy_trouble() = match &outcome {
            Ok(Some(version)) => {
                tracing::info!(version, "policies in force");
                None
            }
            Ok(None) => None,
            Err(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "a policy bundle is refused");
                Some(std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string))
            }
        };
        outcome
    }

    /// Looks at the folder if an interval has passed since `looked_ms`: one attempt an interval, whatever comes of it.
    pub(crate) async fn look_at_policies(&self, looked_ms: &mut u64) {
        let now_ms = self.clock.now_ms();
        if now_ms.saturating_sub(*looked_ms) < self.limits.policy_interval_ms {
            return;
        }
        *looked_ms = now_ms;
        // What went wrong was logged, counted, and stands in `/readyz`.
        let _unchanged_or_noted = self.reload_policies().await;
    }

    async fn take_newer(&self, folder: PathBuf) -> Result<Option<u64>, ReloadError> {
        let held = self.in_force();
        let known = held.bundle.note().to_owned();
        let statement = held.bundle.statement().clone();
        let read = move || {
            let note = policy_folder::read_note(&folder).map_err(ReloadError::Folder)?;
            if note == known.as_bytes() {
                return Ok(None);
            }
            let files = policy_folder::read(&folder).map_err(ReloadError::Folder)?;
            Bundle::open(&note, &files, Trust::After(&statement)).map(Some).map_err(ReloadError::Bundle)
        };
        let Some(bundle) = blocking(read).await.map_err(|_| ReloadError::CutOff)?? else { return Ok(None) };
        self.store.log_bundle(&bundle, self.clock.now_ms()).await.map_err(ReloadError::Keep)?;
        let kept = self.store.bundles().await.map_err(|error| ReloadError::Keep(error.into()))?;
        let logged = kept.last().and_then(|kept| kept.logged).ok_or(ReloadError::Keep(StoreError::Corrupt.into()))?;
        let version = bundle.version();
        self.policies.store(Arc::new(held.followed_by(bundle, logged)));
        Ok(Some(version))
    }

    fn policy_trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.policy_trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `/readyz` says of the policies.
    pub(super) fn policy_condition(&self) -> Condition {
        match &*self.policy_trouble() {
            None => Condition::met("policies"),
            Some(why) => {
                let version = self.policy_version();
                Condition::degraded("policies", format!("the bundle in the folder is refused, {version} stays: {why}"))
            }
        }
    }

    /// The bundle in force, for another centre on the same store.
    #[cfg(test)]
    pub(super) fn in_force_bundle(&self) -> Bundle {
        self.in_force().bundle.clone()
    }

    /// Looks at the policy folder that came to this.
    #[cfg(test)]
    pub(crate) fn policy_reloads(&self, outcome: &str) -> u64 {
        self.metrics.policy_reloads(outcome)
    }

    /// Policies that no folder brought.
    #[cfg(test)]
    pub(crate) fn put_in_force(&self, bundle: Bundle) {
        self.policies.store(Arc::new(InForce::new(bundle, 0, &[], Vec::new())));
    }

    /// What nodes are given: the bundle, and that the log holds it.
    async fn delivery(&self) -> Result<Delivery, CentreError> {
        let held = self.in_force();
        let rows = self.store.log_entries(held.logged, 1).await?;
        let leaf = rows.into_iter().next().ok_or(CentreError::Damaged { what: "log entry" })?;
        let proof = self.log.proof(held.logged, leaf).await.map_err(CentreError::Log)?;
        let proof = Some(String::from_utf8_lossy(&proof.encode()).into_owned());
        Ok(Delivery { proof, ..held.bundle.delivery(&held.notes) })
    }
}
