//! The accountant: nothing is noised before its price is durably entered.
//!
//! The steps of a release are separate calls, so that a process can die between any two of them and nothing is
//! released that was not charged, nor noised twice:
//!
//! | step | call | a crash after it leaves |
//! |---|---|---|
//! | charge, durable | [`Ledger::charge`] | a charge without bytes: burned at the next start |
//! | noise | [`Release::new`], consumes the charge and the raw sums | the same |
//! | bytes, durable | [`Ledger::persist`] | a release to be sent: the same bytes, as often as needed |
//! | send | by the caller, from [`StoredRelease`] | the same |
//! | sent, durable | [`Ledger::mark_sent`] | nothing to do |

use policies::{Rho, TenantId, WindowId};
use rand_core::CryptoRng;

use super::accumulator::ClosedTask;
use super::outgoing::Release;
use super::store::{ChargeEntry, CommitError, LedgerState, LedgerStore, PersistError, StoreError, StoredRelease};
use super::{LedgerId, ReleaseId};

/// Proof that a release was paid for: a commit is durable. Consumed by the one release that it pays.
pub struct Charge {
    id: ReleaseId,
    ledger: LedgerId,
    sequence: u64,
    rho: Rho,
}

impl Charge {
    /// The release that was paid for.
    #[must_use]
    pub const fn id(&self) -> &ReleaseId {
        &self.id
    }

    /// The ledger that it stands in.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// Its number there.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The price.
    #[must_use]
    pub const fn rho(&self) -> Rho {
        self.rho
    }
}

/// An open ledger.
pub struct Ledger<S> {
    store: S,
    id: LedgerId,
    burned: Vec<ReleaseId>,
}

impl<S: LedgerStore> Ledger<S> {
    /// Creates an empty ledger, once in the life of a store. `Ok(None)` where there is one already.
    ///
    /// # Errors
    /// The store failed.
    pub async fn initialise(store: &S, rng: &mut impl CryptoRng) -> Result<Option<LedgerId>, StoreError> {
        let mut id = LedgerId([0; 16]);
        rng.fill_bytes(&mut id.0);
        Ok(store.initialise(id).await?.then_some(id))
    }

    /// Opens the ledger and burns every charge that has no bytes: its noise may have been drawn before the crash,
    /// and is never drawn again.
    ///
    /// # Errors
    /// There is no ledger, or the store failed. Either way nothing is released.
    pub async fn open(store: S) -> Result<Self, StoreError> {
        let LedgerState { id, .. } = store.open().await?;
        let burned = store.burn_open_charges().await?;
        Ok(Self { store, id, burned })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> LedgerId {
        self.id
    }

    /// What was burned when it was opened.
    #[must_use]
    pub fn burned(&self) -> &[ReleaseId] {
        &self.burned
    }

    /// The store, for reports.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The first window that may take the tenant's contributions at the clock's window `clock`: never one that was
    /// closed, whatever the clock says.
    ///
    /// # Errors
    /// The store failed, or the last window there is was closed.
    pub async fn open_window(&self, tenant: &TenantId, clock: WindowId) -> Result<WindowId, StoreError> {
        let Some(closed) = self.store.closed_window(tenant).await? else { return Ok(clock) };
        let next = closed.0.checked_add(1).ok_or(StoreError::Corrupt)?;
        Ok(clock.max(WindowId(next)))
    }

    /// Closes a window to contribution for ever, with or without a release.
    ///
    /// # Errors
    /// The store failed.
    pub async fn close_window(&self, tenant: &TenantId, window: WindowId) -> Result<(), StoreError> {
        self.store.close_window(tenant, window).await
    }

    /// Charges one release of a closed window. What the task holds is not looked at.
    ///
    /// # Errors
    /// The budget is spent, the release was charged before, or the store failed: nothing is released. After
    /// [`StoreError::Unavailable`] the commit may have taken place; a second try then says
    /// [`CommitError::AlreadyCharged`], and the ρ is lost.
    pub async fn charge(&self, task: &ClosedTask) -> Result<Charge, CommitError> {
        let (window, plan, id) = (task.window(), task.plan(), task.id());
        let entry = ChargeEntry {
            id: id.clone(),
            purpose: plan.purpose.clone(),
            unit: window.unit().unit,
            year: window.unit().year_of(window.window()),
            rho: plan.rho,
            delta: window.budget().delta,
            window_limit: window.budget().rho_per_window,
            year_limit: window.budget().rho_per_year,
        };
        let sequence = self.store.commit_charge(entry).await?;
        Ok(Charge { id, ledger: self.id, sequence, rho: plan.rho })
    }

    /// Keeps a release's bytes under its id. Until then nobody sees them; may be called again after an error.
    ///
    /// # Errors
    /// No open charge, other bytes, or the store failed.
    pub async fn persist(&self, release: &Release) -> Result<StoredRelease, PersistError> {
        let stored = release.to_stored();
        self.store.persist_noised(stored.clone()).await?;
        Ok(stored)
    }

    /// Up to `limit` releases to be sent, by rising sequence, of those above sequence `after`. The centre refuses a
    /// sequence that it has passed: while it does not answer, later releases wait behind the earlier ones.
    ///
    /// # Errors
    /// The store failed.
    pub async fn unsent(&self, after: u64, limit: usize) -> Result<Vec<StoredRelease>, StoreError> {
        self.store.unsent(after, limit).await
    }

    /// The centre has it, or has refused it for good.
    ///
    /// # Errors
    /// The store failed; sending again is harmless.
    pub async fn mark_sent(&self, id: &ReleaseId) -> Result<(), StoreError> {
        self.store.mark_sent(id).await
    }
}
