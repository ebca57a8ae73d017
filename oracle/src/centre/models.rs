//! Models: the signed pointer to the current one, the artifacts, the list, and roll-back.

use std::sync::Arc;

use aggregator::centre::CentreStore as _;
use aggregator::centre::store::{ModelSummary, Pointer};
use attest::ModelPointer;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use personalize::{Mode, Model};
use policies::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Caller;
use super::artifact;
use super::error::CentreError;
use super::training::TrainingReport;
use super::{Centre, blocking};
use crate::http::{JsonBody, PathParameters};

/// Media type of an artifact: its canonical bytes.
pub const MEDIA_TYPE: &str = "application/octet-stream";
/// Media type of a pointer: a compact JWS (RFC 7515 §9.2.1).
pub const POINTER_MEDIA_TYPE: &str = "application/jose";

/// Models that are listed with their provenance, the latest: it is read from the artifacts.
const PROVENANCE_MAX: usize = 8;

/// Which model is current.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PointerState {
    /// The version pointed at.
    pub version: u64,
    /// SHA-256 of its artifact.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Rises with every publication and every roll-back.
    pub serial: u64,
}

impl From<Pointer> for PointerState {
    fn from(pointer: Pointer) -> Self {
        Self { version: pointer.version, digest: pointer.digest, serial: pointer.serial }
    }
}

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelOrigin {
    /// What its embeddings are made of: prior, content or collaborative.
    pub mode: String,
    /// SHA-256 of the model that it was shrunk toward.
    #[schema(value_type = Option<String>)]
    pub parent: Option<Digest>,
    /// How many releases it adds to its parent's.
    pub releases: u64,
    /// ρ that these spent on one unit at most.
    pub rho: f64,
    /// The same as ε at `delta`; absent where noise was off or seeded.
    pub epsilon: Option<f64>,
    /// δ of that statement.
    pub delta: f64,
    /// Whether every release in it is private.
    pub private: bool,
}

/// One kept model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelLine {
    /// Its version.
    pub version: u64,
    /// SHA-256 of the artifact.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Digest of the frame that windows opened under it encode.
    #[schema(value_type = String)]
    pub frame: Digest,
    /// Bytes of the artifact.
    pub bytes: u64,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
    /// Whether nodes run it now.
    pub current: bool,
    /// Where it comes from; shown for the latest models of kept catalogues.
    pub origin: Option<ModelOrigin>,
}

/// All kept models of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Which is current; absent before the first publication.
    pub pointer: Option<PointerState>,
    /// By rising version.
    pub models: Vec<ModelLine>,
    /// How the last training ended, if there was one since this process started.
    pub last_training: Option<TrainingReport>,
}

/// Which version to go back, or forward, to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// A kept version.
    pub version: u64,
}

/// Lists the kept models and how the last training ended.
#[utoipa::path(
    get, path = "/v1/models/{tenant}", operation_id = "listModels", tag = "models", security(("tenant" = []), ("operator" = []), ("node" = [])),
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, body = ModelList))
)]
pub(super) async fn list(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters(tenant): PathParameters<TenantId>,
) -> Result<Json<ModelList>, CentreError> {
    caller.may_read(&centre, &tenant)?;
    centre.models(&tenant).await.map(Json)
}

/// The signed pointer to the current model: a compact JWS of type `siwa-model+jwt`.
#[utoipa::path(
    get, path = "/v1/models/{tenant}/current", operation_id = "currentModel", tag = "models",
    security(("node" = []), ("tenant" = []), ("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, body = String, content_type = "application/jose"))
)]
pub(super) async fn current(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters(tenant): PathParameters<TenantId>,
) -> Result<Response, CentreError> {
    caller.may_read(&centre, &tenant)?;
    let pointer = centre.pointer(&tenant).await?.ok_or(CentreError::NoModel)?;
    let claims = ModelPointer {
        tenant,
        version: pointer.version,
        digest: pointer.digest,
        serial: pointer.serial,
        iat: centre.clock.now_s(),
    };
    let token = claims.sign(&centre.key).map_err(CentreError::Signing)?;
    Ok(([(header::CONTENT_TYPE, POINTER_MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")], token).into_response())
}

/// A model's artifact.
#[utoipa::path(
    get, path = "/v1/models/{tenant}/{version}", operation_id = "fetchModel", tag = "models",
    security(("node" = []), ("tenant" = []), ("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant"), ("version" = u64, Path, description = "The version")),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 304))
)]
pub(super) async fn artifact(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters((tenant, version)): PathParameters<(TenantId, u64)>,
    headers: HeaderMap,
) -> Result<Response, CentreError> {
    caller.may_read(&centre, &tenant)?;
    centre.tenant(&tenant)?;
    let bytes = centre.store.model(&tenant, version).await?.ok_or(CentreError::UnknownModel)?;
    Ok(artifact::answer(&headers, MEDIA_TYPE, bytes))
}

/// Points the tenant's nodes to a kept version, with a higher serial.
#[utoipa::path(
    post, path = "/v1/models/{tenant}/rollback", operation_id = "rollBackModel", tag = "models", security(("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")), request_body = Rollback,
    responses((status = 200, body = PointerState))
)]
pub(super) async fn rollback(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters(tenant): PathParameters<TenantId>,
    JsonBody(rollback): JsonBody<Rollback>,
) -> Result<Json<PointerState>, CentreError> {
    caller.operator()?;
    centre.roll_back(&tenant, rollback.version).await.map(Json)
}

impl Centre {
    /// Points the tenant's nodes to a kept version.
    ///
    /// # Errors
    /// [`CentreError::UnknownModel`] where no such version is kept.
    pub async fn roll_back(&self, tenant: &TenantId, version: u64) -> Result<PointerState, CentreError> {
        let tenant = &self.tenant(tenant)?.id;
        let pointer = self.store.point_model(tenant, version, self.clock.now_ms()).await?;
        self.metrics.pointed(tenant, pointer.version, pointer.serial);
        tracing::info!(%tenant, version = pointer.version, serial = pointer.serial, "model rolled back");
        Ok(pointer.into())
    }

    /// Which model is current; nothing before the first publication.
    ///
    /// # Errors
    /// An unknown tenant, or the store's.
    pub async fn pointer(&self, tenant: &TenantId) -> Result<Option<PointerState>, CentreError> {
        let tenant = &self.tenant(tenant)?.id;
        Ok(self.store.pointer(tenant).await?.map(Into::into))
    }

    /// All kept models, by rising version.
    ///
    /// # Errors
    /// An unknown tenant, or the store's.
    pub async fn models(&self, tenant: &TenantId) -> Result<ModelList, CentreError> {
        let state = self.tenant(tenant)?;
        let pointer = self.store.pointer(tenant).await?;
        let kept = self.store.models(tenant).await?;
        let first = kept.len().saturating_sub(PROVENANCE_MAX);
        let mut models = Vec::with_capacity(kept.len());
        for (place, summary) in kept.into_iter().enumerate() {
            let origin = if place < first { None } else { self.origin(tenant, &summary).await? };
            let current = pointer.is_some_and(|pointer| pointer.version == summary.version);
            let ModelSummary { version, digest, frame, bytes, created_ms } = summary;
            models.push(ModelLine { version, digest, frame, bytes, created_ms, current, origin });
        }
        let last_training = state.last_training();
        Ok(ModelList { tenant: state.id.clone(), pointer: pointer.map(Into::into), models, last_training })
    }

    async fn origin(&self, tenant: &TenantId, summary: &ModelSummary) -> Result<Option<ModelOrigin>, CentreError> {
        let damaged = CentreError::Damaged { what: "model" };
        let bytes = self.store.model(tenant, summary.version).await?.ok_or(damaged)?;
        let catalogues = self.tenant(tenant)?.catalogues();
        let model = move || catalogues.iter().find_map(|catalogue| Model::decode(&bytes, catalogue).ok());
        Ok(blocking(model).await?.map(|model| ModelOrigin::of(&model)))
    }
}

impl ModelOrigin {
    fn of(model: &Model) -> Self {
        let provenance = model.provenance();
        Self {
            mode: match model.mode() {
                Mode::Prior => "prior",
                Mode::Content => "content",
                Mode::Collaborative => "collaborative",
            }
            .to_owned(),
            parent: provenance.parent,
            releases: provenance.releases.len() as u64,
            rho: provenance.rho.as_f64(),
            epsilon: Some(provenance.epsilon).filter(|epsilon| provenance.private && epsilon.is_finite()),
            delta: provenance.delta,
            private: provenance.private,
        }
    }
}
