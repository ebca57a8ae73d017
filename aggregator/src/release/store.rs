//! The durable operations of a node's ledger and outbox. One store belongs to one node.
//!
//! Each verb is one transaction, and what it reports as done survives `kill -9` and power loss
//! (SQLite: `synchronous=FULL`) before the future resolves. Only the ledger (`release::ledger`) turns
//! a commit into a charge; nobody else calls [`LedgerStore::commit_charge`].

use std::future::Future;

use policies::{Budget, Delta, PurposeId, Rho, TenantId};

use super::chain::{ChargeRecord, Head, Span};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerState {
    /// Its name, never changed.
    pub id: LedgerId,
    /// Where it stands.
    pub head: Head,
    /// The last checkpoint of the centre's that was kept; nothing before the first.
    pub checkpoint: Option<KeptCheckpoint>,
}

/// A checkpoint of the centre's, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCheckpoint {
    /// Where the ledger stood.
    pub head: Head,
    /// The signed statement, verbatim.
    pub token: String,
}

/// What one charge may not pass. Sums count every charge of the tenant, burned ones too, whatever task, node, region or
/// policy it was made under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeLimits {
    /// Σρ over the tenant's charges whose spans overlap the charge's.
    pub window: Rho,
    /// Σρ over the tenant's charges of the year.
    pub year: Rho,
    /// Σδ over the tenant's charges whose spans overlap.
    pub delta_window: Delta,
    /// As `window`, over the charges for the same purpose.
    pub purpose_window: Option<Rho>,
    /// As `year`, over the charges for the same purpose.
    pub purpose_year: Option<Rho>,
}

impl ChargeLimits {
    /// What a policy's budget sets for a purpose.
    #[must_use]
    pub fn of(budget: &Budget, purpose: &PurposeId) -> Self {
        let of_purpose = budget.purposes.get(purpose);
        Self {
            window: budget.rho_per_window,
            year: budget.rho_per_year,
            // Rounded as charges are, so that one of the whole budget fits; a policy's δ lies between 0 and 1.
            delta_window: Delta::from_f64_up(budget.delta).unwrap_or(Delta::ZERO),
            purpose_window: of_purpose.map(|limit| limit.rho_per_window),
            purpose_year: of_purpose.and_then(|limit| limit.rho_per_year),
        }
    }

    /// Whether a charge may be added to what is spent: the tenant's sums, and those of the charge's purpose.
    ///
    /// # Errors
    /// The first budget that it would pass.
    pub fn admit(&self, charge: &ChargeRecord, all: &Spent, of_purpose: &Spent) -> Result<(), CommitError> {
        let within = |spent: Rho, limit: Rho| spent.checked_add(charge.rho).is_some_and(|sum| sum <= limit);
        if !within(all.window, self.window) {
            return Err(CommitError::OverWindowBudget);
        }
        if !within(all.year, self.year) {
            return Err(CommitError::OverYearBudget);
        }
        if all.delta.checked_add(charge.delta).is_none_or(|sum| sum > self.delta_window) {
            return Err(CommitError::OverWindowDelta);
        }
        if self.purpose_window.is_some_and(|limit| !within(of_purpose.window, limit)) {
            return Err(CommitError::OverPurposeWindowBudget);
        }
        if self.purpose_year.is_some_and(|limit| !within(of_purpose.year, limit)) {
            return Err(CommitError::OverPurposeYearBudget);
        }
        Ok(())
    }
}

/// One charge to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeEntry {
    /// What the ledger will say for ever.
    pub record: ChargeRecord,
    /// What it may not pass now.
    pub limits: ChargeLimits,
}

/// What an opening burned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burned {
    /// The releases that will never be.
    pub releases: Vec<ReleaseId>,
    /// Where the ledger stands afterwards.
    pub head: Head,
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
    /// The window's δ would be passed.
    #[error("the window's delta is spent")]
    OverWindowDelta,
    /// What the purpose may spend in a window would be passed.
    #[error("what this purpose may spend in a window is spent")]
    OverPurposeWindowBudget,
    /// What the purpose may spend in a year would be passed.
    #[error("what this purpose may spend in a year is spent")]
    OverPurposeYearBudget,
    /// What the store holds is not what this process has written: the file was put back or exchanged.
    #[error("the ledger is not the one that this process has written")]
    Replaced,
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

/// What a tenant has spent, in all or for one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Σρ of the charges whose spans overlap the one asked for.
    pub window: Rho,
    /// Σρ of the year that it begins in.
    pub year: Rho,
    /// Σδ of the charges whose spans overlap.
    pub delta: Delta,
}

/// Ledger and outbox of one node.
///
/// State that the verbs speak of: the ledger's id; an append-only chain of entries ([`super::chain`]); for each charge
/// whether it is *open*, *persisted* (with bytes, unsent or sent) or *burned*; per tenant the second until which time is
/// closed; and the last checkpoint.
pub trait LedgerStore: Send + Sync {
    /// Creates an empty ledger named `id`.
    /// `Ok(false)` and no change where one exists already: a budget is never reset.
    fn initialise(&self, id: LedgerId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Reads the ledger and proves the whole of it: every entry has its form and its head, sums, states and outbox are
    /// those of the entries, the kept checkpoint names a head of the chain. No ledger: [`StoreError::MissingLedger`];
    /// anything else than that: [`StoreError::Corrupt`].
    fn open(&self) -> impl Future<Output = Result<LedgerState, StoreError>> + Send;

    /// Burns every open charge (charged, without bytes) by an entry each: its ρ stays spent, bytes are never accepted
    /// for it again. Called once at start, before any charge of this process.
    fn burn_open_charges(&self) -> impl Future<Output = Result<Burned, StoreError>> + Send;

    /// In one transaction: refuses with [`CommitError::Replaced`] where the chain does not hold `known`; with
    /// [`CommitError::AlreadyCharged`] where the release's id was charged before, whatever became of it; else as
    /// [`ChargeLimits::admit`] says of [`LedgerStore::spent`]; else appends the charge, open, and raises the second
    /// until which the tenant's time is closed to the span's end if that is later.
    /// Returns where the ledger stands then; the charge's number is the head's. No refund exists.
    fn commit_charge(&self, entry: ChargeEntry, known: Head) -> impl Future<Output = Result<Head, CommitError>> + Send;

    /// In one transaction: where `release.id` is an open charge with `release.sequence`, keeps the bytes
    /// and makes it persisted and unsent. The same bytes again: `Ok`. Other bytes:
    /// [`PersistError::AlreadyPersisted`]. No such charge, or burned: [`PersistError::NotCharged`].
    fn persist_noised(&self, release: StoredRelease) -> impl Future<Output = Result<(), PersistError>> + Send;

    /// Up to `limit` persisted and unsent releases by rising sequence, with their bytes, of those whose sequence is
    /// above `after`: a release that the centre refuses does not hide the ones behind it.
    fn unsent(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<StoredRelease>, StoreError>> + Send;

    /// Marks a persisted release as sent. Bytes may be dropped, the charge stays. Again, or unknown: no change.
    fn mark_sent(&self, id: &ReleaseId) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The second until which the tenant's time takes no contribution any more, across restarts.
    fn closed_until(&self, tenant: &TenantId) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// Raises the second until which the tenant's time is closed. Earlier or equal: no change.
    fn close_until(&self, tenant: &TenantId, until_s: u64) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What the tenant has spent, in all or for one purpose: burned charges count.
    /// Sums beyond what their types hold are given as the most that they hold: nothing more fits then.
    fn spent(
        &self,
        tenant: &TenantId,
        purpose: Option<&PurposeId>,
        span: Span,
    ) -> impl Future<Output = Result<Spent, StoreError>> + Send;

    /// Up to `limit` entries, as they are encoded, of those after the first `after`.
    fn entries(&self, after: u64, limit: usize) -> impl Future<Output = Result<Vec<Vec<u8>>, StoreError>> + Send;

    /// Where the ledger stood after so many entries; nothing where it has fewer.
    fn head_at(&self, entries: u64) -> impl Future<Output = Result<Option<Head>, StoreError>> + Send;

    /// Keeps a checkpoint in place of the last. One of fewer entries than the kept one's changes nothing.
    fn keep_checkpoint(&self, checkpoint: KeptCheckpoint) -> impl Future<Output = Result<(), StoreError>> + Send;
}
