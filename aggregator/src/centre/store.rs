//! The durable operations of the centre. Each verb is one transaction; what it reports as done
//! is durable before the future resolves.

use std::future::Future;

use policies::{Digest, NodeId, PurposeId, RegionId, Rho, TenantId};

use super::follow::{FollowError, Followed, Offer};
use super::merge::TaskSum;
use super::verified::VerifiedRelease;
use crate::release::store::StoreError;
use crate::release::{Head, ReleaseId};

/// What became of a verified release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// Kept, and added to its running sum.
    New,
    /// The same bytes were accepted before. Nothing was changed.
    Duplicate,
    /// Other bytes were accepted under this id. Nothing was changed.
    Conflict,
    /// The node's releases come from another ledger than the pinned one. Nothing was changed.
    LedgerChanged,
    /// The ledger's sequence has already passed this number. Nothing was changed.
    SequenceRegress,
    /// No charge stands under this number, as far as the node's ledger was followed. Nothing was changed.
    NotCharged,
    /// The charge was burned. Nothing was changed.
    Burned,
    /// The charge under this number is another. Nothing was changed.
    ChargeDiffers(ChargeField),
    /// Its cells or scales do not fit the running sum of the same frame, or the sum is full. Nothing was changed.
    DoesNotAdd,
}

/// In what a charge differs from the release that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeField {
    /// Tenant, task, region, node or window.
    Id,
    /// When the data was contributed.
    Span,
    /// The purpose.
    Purpose,
    /// The privacy unit.
    Unit,
    /// The policy set.
    Policy,
    /// ρ.
    Rho,
    /// δ beside ρ.
    Delta,
}

impl ChargeField {
    /// Every field.
    pub const ALL: [Self; 7] = [Self::Id, Self::Span, Self::Purpose, Self::Unit, Self::Policy, Self::Rho, Self::Delta];

    /// The field's name, for refusals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "release",
            Self::Span => "time",
            Self::Purpose => "purpose",
            Self::Unit => "unit",
            Self::Policy => "policy",
            Self::Rho => "rho",
            Self::Delta => "delta",
        }
    }
}

/// A kept release, for reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ReleaseSummary {
    /// Its name.
    pub id: ReleaseId,
    /// The purpose it serves.
    pub purpose: PurposeId,
    /// What one unit lost by it.
    pub rho: Rho,
    /// δ at which the policy states ε.
    pub delta: f64,
    /// False where the noise was seeded or off.
    pub private: bool,
    /// The policy in force.
    pub policy: Digest,
    /// What its encodings were frozen to.
    pub frame: Digest,
    /// SHA-256 of the envelope.
    pub digest: Digest,
    /// Size of the envelope.
    pub bytes: u64,
    /// When it was accepted, Unix milliseconds.
    pub accepted_ms: u64,
}

/// A model to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEntry {
    /// Whose.
    pub tenant: TenantId,
    /// Rises with every training.
    pub version: u64,
    /// SHA-256 of `bytes`.
    pub digest: Digest,
    /// What its windows' encodings are frozen to.
    pub frame: Digest,
    /// The encoded artifact.
    pub bytes: Vec<u8>,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
}

/// A kept model, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSummary {
    /// Its version.
    pub version: u64,
    /// SHA-256 of the artifact.
    pub digest: Digest,
    /// Its frame.
    pub frame: Digest,
    /// Size of the artifact.
    pub bytes: u64,
    /// When it was made, Unix milliseconds.
    pub created_ms: u64,
}

/// Which model a tenant's nodes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer {
    /// The model's version; a roll-back lowers it.
    pub version: u64,
    /// SHA-256 of the artifact.
    pub digest: Digest,
    /// Rises by one with every change, also with a roll-back.
    pub serial: u64,
}

/// A pointer could not be moved. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Another artifact stands under this version.
    #[error("another model stands under this version")]
    Conflict,
    /// No such version is kept.
    #[error("there is no model of this version")]
    UnknownVersion,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A kept catalogue without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogueSummary {
    /// 1 for a tenant's first, rising by one.
    pub version: u64,
    /// The digest of the parsed catalogue.
    pub digest: Digest,
    /// Items.
    pub items: u64,
}

/// Everything durable at the centre.
pub trait CentreStore: Send + Sync {
    /// In one transaction, in this order:
    /// 1. The id is known: [`Acceptance::Duplicate`] where the envelope is the same byte for byte, else `Conflict`.
    /// 2. No ledger is pinned for (region, node): `NotCharged`. Another is: `LedgerChanged`.
    /// 3. `release.sequence() <=` the ledger's last accepted sequence: `SequenceRegress`.
    /// 4. The followed entry of that number: none, or no charge: `NotCharged`; burned: `Burned`; else what
    ///    [`VerifiedRelease::check_charge`] says.
    /// 5. Adds into the running sum keyed by (tenant, task, frame) with [`TaskSum::add`]
    ///    ([`TaskSum::of`] where there is none); its error: `DoesNotAdd`.
    /// 6. Keeps the envelope verbatim and the summary, queues its leaf for the log, sets the last sequence: `New`.
    ///
    /// Every outcome but `New` leaves everything as it was.
    fn accept(
        &self,
        release: &VerifiedRelease,
        now_ms: u64,
    ) -> impl Future<Output = Result<Acceptance, StoreError>> + Send;

    /// Follows a node's ledger: in one transaction [`Offer::check`] against what is kept of (region, node), keeps the new
    /// entries, queues their leaves for the log ([`leaves`](super::follow::leaves)), and pins the ledger where none was.
    /// Returns where the centre stands then. A refusal leaves everything as it was.
    fn follow(&self, offer: Offer, now_ms: u64) -> impl Future<Output = Result<Head, FollowError>> + Send;

    /// How far the centre has followed the node's ledger, and which it is; nothing before it was offered any.
    fn followed(
        &self,
        region: &RegionId,
        node: &NodeId,
    ) -> impl Future<Output = Result<Option<Followed>, StoreError>> + Send;

    /// The tenant's running sums, by rising task, then frame.
    fn sums(&self, tenant: &TenantId) -> impl Future<Output = Result<Vec<TaskSum>, StoreError>> + Send;

    /// Up to `limit` kept releases of a tenant (of all tenants: `None`), latest accepted first, after skipping `offset`.
    fn releases(
        &self,
        tenant: Option<&TenantId>,
        offset: u64,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<ReleaseSummary>, StoreError>> + Send;

    /// A kept release's envelope, verbatim.
    fn release(&self, id: &ReleaseId) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// In one transaction: keeps the model, points the tenant to it with the next serial (the first is 1), and logs
    /// that.
    /// The version is kept with the same digest: only points. With another: [`PublishError::Conflict`].
    fn publish_model(&self, model: ModelEntry) -> impl Future<Output = Result<Pointer, PublishError>> + Send;

    /// In one transaction: points the tenant to a kept version with the next serial, and logs it. This is a roll-back.
    fn point_model(
        &self,
        tenant: &TenantId,
        version: u64,
        now_ms: u64,
    ) -> impl Future<Output = Result<Pointer, PublishError>> + Send;

    /// Which model the tenant's nodes run; nothing before the first publication.
    fn pointer(&self, tenant: &TenantId) -> impl Future<Output = Result<Option<Pointer>, StoreError>> + Send;

    /// A kept model's artifact.
    fn model(
        &self,
        tenant: &TenantId,
        version: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// The tenant's kept models, by rising version.
    fn models(&self, tenant: &TenantId) -> impl Future<Output = Result<Vec<ModelSummary>, StoreError>> + Send;

    /// In one transaction: where the tenant's latest catalogue has this digest, returns it; else keeps the
    /// bytes under the next version. `items` is their number after parsing.
    fn put_catalogue(
        &self,
        tenant: &TenantId,
        digest: Digest,
        items: u64,
        bytes: Vec<u8>,
    ) -> impl Future<Output = Result<CatalogueSummary, StoreError>> + Send;

    /// The tenant's kept catalogues, by rising version. The last is the current one.
    fn catalogues(&self, tenant: &TenantId) -> impl Future<Output = Result<Vec<CatalogueSummary>, StoreError>> + Send;

    /// A kept catalogue's bytes as they were uploaded.
    fn catalogue(
        &self,
        tenant: &TenantId,
        version: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;
}
