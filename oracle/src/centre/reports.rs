//! What left each region, and at which ρ and ε: read from the kept releases, shown to tenants and operators.

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregator::centre::store::{CentreStore as _, ReleaseSummary};
use axum::Json;
use axum::extract::State;
use policies::{Digest, NodeId, PurposeId, RegionId, Rho, TaskKind, TenantId, WindowId, zcdp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Centre;
use super::access::Caller;
use super::error::CentreError;
use crate::http::QueryParameters;

/// Releases on one page at most, and by default.
const PAGE_MAX: usize = 1000;

/// Which releases to show.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportQuery {
    /// The tenant. A tenant's key sees its own alone.
    pub tenant: TenantId,
    /// How many of the latest to pass over.
    #[serde(default)]
    pub offset: u64,
    /// How many to show, 1000 at most.
    #[serde(default = "page_max")]
    pub limit: usize,
}

const fn page_max() -> usize {
    PAGE_MAX
}

/// One release that left a region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseLine {
    /// tenant/task/region/node/window.
    pub id: String,
    /// What was measured.
    #[schema(value_type = String)]
    pub task: TaskKind,
    /// Where.
    #[schema(value_type = String)]
    pub region: RegionId,
    /// By which node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// When.
    #[schema(value_type = u64)]
    pub window: WindowId,
    /// What for.
    #[schema(value_type = String)]
    pub purpose: PurposeId,
    /// ρ that one unit lost by it.
    pub rho: f64,
    /// The same as ε at `delta`; absent where noise was off or seeded.
    pub epsilon: Option<f64>,
    /// δ of that statement.
    pub delta: f64,
    /// False where noise was off or seeded.
    pub private: bool,
    /// Bytes that left the region.
    pub bytes: u64,
    /// Digest of the policy set in force.
    #[schema(value_type = String)]
    pub policy: Digest,
    /// SHA-256 of those bytes.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// When the centre accepted it, Unix milliseconds.
    pub accepted_ms: u64,
}

/// Everything that left one region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RegionTotal {
    /// The region.
    #[schema(value_type = String)]
    pub region: RegionId,
    /// Releases.
    pub releases: u64,
    /// Bytes that left.
    pub bytes: u64,
    /// The most that one unit lost in one window: the largest sum of ρ over a node's releases of it.
    pub rho_per_window: f64,
    /// The same as ε; absent where noise was off or seeded.
    pub epsilon_per_window: Option<f64>,
    /// What a viewer who was counted in every window has lost: the sum over the windows.
    pub rho_total: f64,
    /// The same as ε; absent where noise was off or seeded.
    pub epsilon_total: Option<f64>,
    /// The largest δ of these statements.
    pub delta: f64,
    /// Whether every release is private.
    pub private: bool,
}

/// A page of releases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseReport {
    /// The latest first.
    pub releases: Vec<ReleaseLine>,
}

/// Totals of all regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseTotals {
    /// One entry a region, by name.
    pub regions: Vec<RegionTotal>,
}

/// Lists what left the regions.
#[utoipa::path(
    get, path = "/v1/releases", operation_id = "listReleases", tag = "releases",
    security(("tenant" = []), ("operator" = [])),
    params(
        ("tenant" = String, Query, description = "The tenant; a tenant's key sees its own alone"),
        ("offset" = Option<u64>, Query, description = "How many of the latest to pass over"),
        ("limit" = Option<u64>, Query, description = "How many to show, 1000 at most"),
    ),
    responses((status = 200, body = ReleaseReport))
)]
pub(super) async fn list(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    QueryParameters(query): QueryParameters<ReportQuery>,
) -> Result<Json<ReleaseReport>, CentreError> {
    caller.may_write(&query.tenant)?;
    let tenant = &centre.tenant(&query.tenant)?.id;
    let limit = query.limit.clamp(1, PAGE_MAX);
    let page = centre.store.releases(Some(tenant), query.offset, limit).await?;
    Ok(Json(ReleaseReport { releases: page.into_iter().map(line).collect() }))
}

/// What a tenant to sum up for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotalsQuery {
    /// The tenant. A tenant's key sees its own alone.
    pub tenant: TenantId,
}

/// Sums up what left each region.
#[utoipa::path(
    get, path = "/v1/releases/totals", operation_id = "sumUpReleases", tag = "releases",
    security(("tenant" = []), ("operator" = [])),
    params(("tenant" = String, Query, description = "The tenant; a tenant's key sees its own alone")),
    responses((status = 200, body = ReleaseTotals))
)]
pub(super) async fn totals(
    State(centre): State<Arc<Centre>>,
    caller: Caller,
    QueryParameters(query): QueryParameters<TotalsQuery>,
) -> Result<Json<ReleaseTotals>, CentreError> {
    caller.may_write(&query.tenant)?;
    Ok(Json(ReleaseTotals { regions: centre.totals(&query.tenant).await? }))
}

fn line(summary: ReleaseSummary) -> ReleaseLine {
    ReleaseLine {
        task: summary.id.task,
        region: summary.id.region.clone(),
        node: summary.id.node.clone(),
        window: summary.id.window,
        purpose: summary.purpose,
        rho: summary.rho.as_f64(),
        epsilon: summary.private.then(|| zcdp::epsilon(summary.rho, summary.delta)),
        delta: summary.delta,
        private: summary.private,
        bytes: summary.bytes,
        policy: summary.policy,
        digest: summary.digest,
        accepted_ms: summary.accepted_ms,
        id: summary.id.to_string(),
    }
}

/// ρ by window and node of one region. A unit's sessions may be spread over nodes, and Δ covers all of them together:
/// the loss of a window is that of its dearest node, not the sum.
#[derive(Default)]
pub(super) struct Losses {
    windows: BTreeMap<(WindowId, NodeId), Rho>,
    delta: f64,
    private: bool,
    releases: u64,
    bytes: u64,
}

impl Losses {
    pub(super) fn add(&mut self, summary: &ReleaseSummary) {
        let window = (summary.id.window, summary.id.node.clone());
        let sum = self.windows.entry(window).or_insert(Rho::ZERO);
        *sum = sum.checked_add(summary.rho).unwrap_or(Rho::MAX);
        self.private = (self.releases == 0 || self.private) && summary.private;
        self.delta = self.delta.max(summary.delta);
        self.releases += 1;
        self.bytes += summary.bytes;
    }

    /// The most that one unit lost in one window.
    pub(super) fn rho_per_window(&self) -> Rho {
        self.windows.values().copied().max().unwrap_or(Rho::ZERO)
    }

    pub(super) const fn is_private(&self) -> bool {
        self.private
    }

    /// The largest δ.
    pub(super) const fn delta(&self) -> f64 {
        self.delta
    }

    fn rho_total(&self) -> Rho {
        let mut dearest: BTreeMap<WindowId, Rho> = BTreeMap::new();
        for ((window, _), rho) in &self.windows {
            let sum = dearest.entry(*window).or_insert(Rho::ZERO);
            *sum = (*sum).max(*rho);
        }
        dearest.values().fold(Rho::ZERO, |sum, rho| sum.checked_add(*rho).unwrap_or(Rho::MAX))
    }

    fn total(&self, region: RegionId) -> RegionTotal {
        let epsilon = |rho| self.private.then(|| zcdp::epsilon(rho, self.delta));
        let (per_window, total) = (self.rho_per_window(), self.rho_total());
        RegionTotal {
            region,
            releases: self.releases,
            bytes: self.bytes,
            rho_per_window: per_window.as_f64(),
            epsilon_per_window: epsilon(per_window),
            rho_total: total.as_f64(),
            epsilon_total: epsilon(total),
            delta: self.delta,
            private: self.private,
        }
    }
}

impl Centre {
    /// What left each region for a tenant, summed up over all kept releases.
    ///
    /// # Errors
    /// An unknown tenant, or the store's.
    pub async fn totals(&self, tenant: &TenantId) -> Result<Vec<RegionTotal>, CentreError> {
        let tenant = &self.tenant(tenant)?.id;
        let mut regions: BTreeMap<RegionId, Losses> = BTreeMap::new();
        for offset in (0..).step_by(PAGE_MAX) {
            let page = self.store.releases(Some(tenant), offset, PAGE_MAX).await?;
            page.iter().for_each(|summary| regions.entry(summary.id.region.clone()).or_default().add(summary));
            if page.len() < PAGE_MAX {
                break;
            }
        }
        Ok(regions.into_iter().map(|(region, losses)| losses.total(region)).collect())
    }
}
