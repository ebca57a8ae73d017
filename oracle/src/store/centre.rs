//! Everything durable of a centre on whichever store there is.

use aggregator::centre::store::{
    Acceptance, CatalogueSummary, ModelEntry, ModelSummary, Pointer, PublishError, ReleaseSummary,
};
use aggregator::centre::{CentreStore, FollowError, Followed, Offer, TaskSum, VerifiedRelease};
use aggregator::release::{Head, ReleaseId, StoreError};
use policies::{Digest, NodeId, RegionId, TenantId};

use super::Store;
use super::sqlite::{catalogues, followed, models, releases};

impl CentreStore for Store {
    async fn accept(&self, release: &VerifiedRelease, now_ms: u64) -> Result<Acceptance, StoreError> {
        let release = release.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| releases::accept(connection, &release, now_ms)).await,
        }
    }

    async fn follow(&self, offer: Offer, now_ms: u64) -> Result<Head, FollowError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| followed::follow(connection, &offer, now_ms)).await,
        }
    }

    async fn followed(&self, region: &RegionId, node: &NodeId) -> Result<Option<Followed>, StoreError> {
        let (region, node) = (region.clone(), node.clone());
        match self {
            Self::Sqlite(store) => store.run(move |connection| followed::followed(connection, &region, &node)).await,
        }
    }

    async fn sums(&self, tenant: &TenantId) -> Result<Vec<TaskSum>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| releases::sums(connection, &tenant)).await,
        }
    }

    async fn releases(
        &self,
        tenant: Option<&TenantId>,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<ReleaseSummary>, StoreError> {
        let tenant = tenant.cloned();
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| releases::list(connection, tenant.as_ref(), offset, limit)).await
            }
        }
    }

    async fn release(&self, id: &ReleaseId) -> Result<Option<Vec<u8>>, StoreError> {
        let id = id.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| releases::envelope(connection, &id)).await,
        }
    }

    async fn publish_model(&self, model: ModelEntry) -> Result<Pointer, PublishError> {
        match self {
            Self::Sqlite(store) => store.run(move |connection| models::publish(connection, &model)).await,
        }
    }

    async fn point_model(&self, tenant: &TenantId, version: u64, now_ms: u64) -> Result<Pointer, PublishError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| models::point(connection, &tenant, version, now_ms)).await
            }
        }
    }

    async fn pointer(&self, tenant: &TenantId) -> Result<Option<Pointer>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| models::pointer(connection, &tenant)).await,
        }
    }

    async fn model(&self, tenant: &TenantId, version: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| models::artifact(connection, &tenant, version)).await,
        }
    }

    async fn models(&self, tenant: &TenantId) -> Result<Vec<ModelSummary>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| models::list(connection, &tenant)).await,
        }
    }

    async fn put_catalogue(
        &self,
        tenant: &TenantId,
        digest: Digest,
        items: u64,
        bytes: Vec<u8>,
    ) -> Result<CatalogueSummary, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| catalogues::put(connection, &tenant, digest, items, &bytes)).await
            }
        }
    }

    async fn catalogues(&self, tenant: &TenantId) -> Result<Vec<CatalogueSummary>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| catalogues::list(connection, &tenant)).await,
        }
    }

    async fn catalogue(&self, tenant: &TenantId, version: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let tenant = tenant.clone();
        match self {
            Self::Sqlite(store) => store.run(move |connection| catalogues::bytes(connection, &tenant, version)).await,
        }
    }
}
