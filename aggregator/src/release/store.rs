//! The durable operations of a node's ledger and outbox. One store belongs to one node.
//!
//! Each verb is one transaction, and what it reports as done survives `kill -9` and power loss
//! (SQLite: `synchronous=FULL`) before the future resolves. Only the ledger (`release::ledger`) turns
//! a commit into a charge; nobody else calls [`LedgerStore::commit_charge`].

use std::future::Future;

use policies::{PrivacyUnit, PurposeId, Rho, TenantId, WindowId};

use super::{LedgerId, ReleaseId};

/// A store could not do what it was asked. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The bounded queue before the writer is full; the caller may try again.
    #[error("the store's queue is full")]
    Busy,
    /// Reading or writing failed. Whether a commit took place is unknown only if the process dies.
    #[error("the store cannot be read or written")]
    Unavailable,
    /// The store holds something that no verb here writes.
    #[error("the store's content is damaged")]
    Corrupt,
    /// There is no ledger. This is never a fresh budget: an operator initialises one, once.
    #[error("the ledger is missing: initialise it once, with `siwa ledger init`")]
    MissingLedger,
}

/// What an opened ledger says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerState {
    /// Its name, never changed.
    pub id: LedgerId,
    /// The sequence number of its latest charge; 0 before the first.
    pub last_sequence: u64,
}

/// One charge to be entered.
#[derive(Debug, Clone, PartialEq)]
pub struct ChargeEntry {
    /// The release that is paid for.
    pub id: ReleaseId,
    /// Detail: the purpose it serves.
    pub purpose: PurposeId,
    /// Detail: whose contribution ρ bounds.
    pub unit: PrivacyUnit,
    /// The budget year that the window belongs to, as the region's unit rule counts years.
    pub year: u64,
    /// The price.
    pub rho: Rho,
    /// δ at which ρ is stated as ε in reports.
    pub delta: f64,
    /// Σρ over (tenant, window) may not pass this.
    pub window_limit: Rho,
    /// Σρ over (tenant, year) may not pass this.
    pub year_limit: Rho,
}

/// A charge was refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The window's budget would be passed.
    #[error("the window's privacy budget is spent")]
    OverWindowBudget,
    /// The year's budget would be passed.
    #[error("the year's privacy budget is spent")]
    OverYearBudget,
    /// This release was charged before, whatever became of it.
    #[error("this release was charged before")]
    AlreadyCharged,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Noised bytes were refused. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PersistError {
    /// The release was never charged under this sequence number, or its charge was burned.
    #[error("no open charge stands under this release")]
    NotCharged,
    /// Other bytes stand there already: one noised value an id.
    #[error("the release has its bytes already")]
    AlreadyPersisted,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A release as it is kept for sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRelease {
    /// Its name.
    pub id: ReleaseId,
    /// The sequence number of its charge.
    pub sequence: u64,
    /// The signed envelope, verbatim.
    pub bytes: Vec<u8>,
}

/// What a tenant has spent, for reports and budgets' gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Σρ of the window asked for.
    pub window: Rho,
    /// Σρ of the year asked for.
    pub year: Rho,
}

/// Ledger and outbox of one node.
///
/// State that the verbs speak of: the ledger's id; an append-only list of charges, each *open*,
/// *persisted* (with bytes, unsent or sent) or *burned*; and per tenant the highest closed window.
pub trait LedgerStore: Send + Sync {
    /// Creates an empty ledger named `id`.
    /// `Ok(false)` and no change where one exists already: a budget is never reset.
    fn initialise(&self, id: LedgerId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Reads the ledger's id and last sequence. No ledger: [`StoreError::MissingLedger`].
    fn open(&self) -> impl Future<Output = Result<LedgerState, StoreError>> + Send;

    /// Burns every open charge (charged, without bytes): its ρ stays spent, bytes are never accepted for
    /// it again. Returns the burned ids. Called once at start, before any charge of this process.
    fn burn_open_charges(&self) -> impl Future<Output = Result<Vec<ReleaseId>, StoreError>> + Send;

    /// In one transaction: refuses with [`CommitError::AlreadyCharged`] where `entry.id` stands in the
    /// list, open, persisted or burned; else refuses where Σρ(tenant, window) + ρ > `window_limit` or
    /// Σρ(tenant, year) + ρ > `year_limit` (all charges count, burned ones too; sums that pass
    /// [`Rho::MAX`] are over the limit); else assigns `last_sequence + 1`, appends the charge as open,
    /// and raises the tenant's closed window to `entry.id.window` if that is higher.
    /// Returns the sequence number. No refund exists.
    fn commit_charge(&self, entry: ChargeEntry) -> impl Future<Output = Result<u64, CommitError>> + Send;

    /// In one transaction: where `release.id` is an open charge with `release.sequence`, keeps the bytes
    /// and makes it persisted and unsent. The same bytes again: `Ok`. Other bytes:
    /// [`PersistError::AlreadyPersisted`]. No such charge, or burned: [`PersistError::NotCharged`].
    fn persist_noised(&self, release: StoredRelease) -> impl Future<Output = Result<(), PersistError>> + Send;

    /// Up to `limit` persisted and unsent releases by rising sequence, with their bytes, of those whose sequence is
    /// above `after`: a release that the centre refuses does not hide the ones behind it.
    fn unsent(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<StoredRelease>, StoreError>> + Send;

    /// Marks a persisted release as sent. Bytes may be dropped, the charge stays. Again, or unknown: no change.
    fn mark_sent(&self, id: &ReleaseId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The tenant's highest closed window. It takes no contribution any more, across restarts.
    fn closed_window(&self, tenant: &TenantId) -> impl Future<Output = Result<Option<WindowId>, StoreError>> + Send;

    /// Raises the tenant's highest closed window to `window`. Lower or equal: no change.
    fn close_window(&self, tenant: &TenantId, window: WindowId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Σρ of all the tenant's charges in `window` and in `year`.
    fn spent(
        &self,
        tenant: &TenantId,
        window: WindowId,
        year: u64,
    ) -> impl Future<Output = Result<Spent, StoreError>> + Send;
}
