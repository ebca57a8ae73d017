//! Catalogues: uploaded by the tenant, versioned here, pulled by nodes.

use std::sync::Arc;

use aggregator::centre::store::{CatalogueSummary, CentreStore as _};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use personalize::Catalogue;
use policies::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::Caller;
use super::artifact;
use super::error::CentreError;
use super::{Centre, blocking};
use crate::http::{BytesBody, PathParameters, QueryParameters};

/// JSON Lines.
const MEDIA_TYPE: &str = "application/jsonl";

/// One kept version of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatalogueVersion {
    /// 1 for the first, rising by one.
    pub version: u64,
    /// SHA-256 over the parsed items in order; stands in every release and model.
    #[schema(value_type = String)]
    pub digest: policies::Digest,
    /// How many items it has.
    pub items: u64,
}

impl From<CatalogueSummary> for CatalogueVersion {
    fn from(summary: CatalogueSummary) -> Self {
        Self { version: summary.version, digest: summary.digest, items: summary.items }
    }
}

/// All kept versions of a tenant's catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatalogueList {
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// By rising version; the last is the current one.
    pub catalogues: Vec<CatalogueVersion>,
}

/// Which version an upload shall become.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueUpload {
    /// Refuses the upload with 409 unless it becomes this version. Without it, the next free version is taken.
    pub version: Option<u64>,
}

/// Uploads a catalogue.
///
/// One JSON object a line: `{"id","title","kind","tags":[…],"year":null|int}`. The same items as in the current version
/// change nothing and are answered with 200; another catalogue becomes the next version and is answered with 201.
#[utoipa::path(
    put, path = "/v1/catalogues/{tenant}", operation_id = "uploadCatalogue", tag = "catalogues", security(("tenant" = []), ("operator" = [])),
    params(
        ("tenant" = String, Path, description = "The tenant"),
        ("version" = Option<u64>, Query, description = "Refuses the upload with 409 unless it becomes this version"),
    ),
    request_body(content = String, content_type = "application/jsonl"),
    responses((status = 200, body = CatalogueVersion), (status = 201, body = CatalogueVersion))
)]
pub(super) async fn put(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters(tenant): PathParameters<TenantId>,
    QueryParameters(upload): QueryParameters<CatalogueUpload>,
    BytesBody(body): BytesBody,
) -> Result<(StatusCode, Json<CatalogueVersion>), CentreError> {
    caller.may_write(&tenant)?;
    let (version, new) = centre.put_catalogue(&tenant, upload.version, body.to_vec()).await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Json(version)))
}

/// Lists the kept versions.
#[utoipa::path(
    get, path = "/v1/catalogues/{tenant}", operation_id = "listCatalogues", tag = "catalogues",
    security(("node" = []), ("tenant" = []), ("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, body = CatalogueList))
)]
pub(super) async fn list(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters(tenant): PathParameters<TenantId>,
) -> Result<Json<CatalogueList>, CentreError> {
    caller.may_read(&centre, &tenant)?;
    let tenant = centre.tenant(&tenant)?.id.clone();
    let kept = centre.store.catalogues(&tenant).await?;
    Ok(Json(CatalogueList { tenant, catalogues: kept.into_iter().map(Into::into).collect() }))
}

/// A version's bytes as they were uploaded.
#[utoipa::path(
    get, path = "/v1/catalogues/{tenant}/{version}", operation_id = "fetchCatalogue", tag = "catalogues",
    security(("node" = []), ("tenant" = []), ("operator" = [])),
    params(("tenant" = String, Path, description = "The tenant"), ("version" = u64, Path, description = "The version")),
    responses((status = 200, body = String, content_type = "application/jsonl"), (status = 304))
)]
pub(super) async fn get(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    PathParameters((tenant, version)): PathParameters<(TenantId, u64)>,
    headers: HeaderMap,
) -> Result<Response, CentreError> {
    caller.may_read(&centre, &tenant)?;
    centre.tenant(&tenant)?;
    let bytes = centre.store.catalogue(&tenant, version).await?.ok_or(CentreError::NoCatalogue)?;
    Ok(artifact::answer(&headers, MEDIA_TYPE, bytes))
}

impl Centre {
    /// Keeps a catalogue as the tenant's next version, unless it is the current one. Says whether it is new.
    ///
    /// # Errors
    /// [`CentreError::Catalogue`] names the line; [`CentreError::CatalogueVersion`] when `version` does not follow.
    pub async fn put_catalogue(
        &self,
        tenant: &TenantId,
        version: Option<u64>,
        bytes: Vec<u8>,
    ) -> Result<(CatalogueVersion, bool), CentreError> {
        let state = self.tenant(tenant)?;
        let _one_at_a_time = state.upload.lock().await;
        let current = state.catalogue();
        let (before, digest) = current.map_or((0, None), |known| (known.version(), Some(known.digest())));
        let owner = tenant.clone();
        let (parsed, bytes) = blocking(move || (Catalogue::parse(owner, before + 1, &bytes), bytes)).await?;
        let parsed = parsed.map_err(CentreError::Catalogue)?;
        let becomes = if digest == Some(parsed.digest()) { before } else { before + 1 };
        if version.is_some_and(|version| version != becomes) {
            return Err(CentreError::CatalogueVersion { next: before + 1 });
        }
        let kept = self.store.put_catalogue(tenant, parsed.digest(), parsed.len() as u64, bytes).await?;
        if kept.version == parsed.version() {
            state.add_catalogue(Arc::new(parsed));
            self.metrics.catalogue(tenant, kept.version);
        }
        Ok((kept.into(), kept.version > before))
    }
}
