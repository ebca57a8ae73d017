//! The accountant: nothing is noised before its price is durably entered.
//!
//! The steps of a release are separate calls, so that a process can die between any two of them and nothing is
//! released that was not charged, nor noised twice:
//!
//! | step | call | a crash after it leaves |
//! |---|---|---|
//! | charge, durable | [`Ledger::charge`] | a charge without bytes: burned at the next start |
//! | seen by the centre, durable there | by the caller, then [`Ledger::countersign`], [`Charge::seen`] | the same |
//! | noise | [`Release::new`], consumes the seen charge and the raw sums | the same |
//! | bytes, durable | [`Ledger::persist`] | a release to be sent: the same bytes, as often as needed |
//! | send | by the caller, from [`StoredRelease`] | the same |
//! | sent, durable | [`Ledger::mark_sent`] | nothing to do |
//!
//! The second step is what makes a copy of the file worthless: whoever puts an older file back has charges that the
//! centre does not know, or knows otherwise, and no [`SeenCharge`].

use std::sync::{Mutex, PoisonError};

use attest::VerifiedCheckpoint;
use policies::{Delta, Rho, TenantId, UnitRule, WindowId};
use rand_core::CryptoRng;

use super::accumulator::ClosedTask;
use super::chain::{ChargeRecord, Head, Opening, Span};
use super::outgoing::Release;
use super::store::{
    ChargeEntry, ChargeLimits, CommitError, KeptCheckpoint, LedgerState, LedgerStore, PersistError, StoreError,
    StoredRelease,
};
use super::{LedgerId, ReleaseId};

/// Proof that a release was paid for: a commit is durable at the node. No noise may be drawn for it yet.
pub struct Charge {
    record: ChargeRecord,
    ledger: LedgerId,
    sequence: u64,
}

impl Charge {
    /// The release that was paid for.
    #[must_use]
    pub const fn id(&self) -> &ReleaseId {
        &self.record.id
    }

    /// What the ledger says of it.
    #[must_use]
    pub const fn record(&self) -> &ChargeRecord {
        &self.record
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
        self.record.rho
    }

    /// The price in δ.
    #[must_use]
    pub const fn delta(&self) -> Delta {
        self.record.delta
    }

    /// The charge as one that the centre knows of.
    ///
    /// # Errors
    /// The countersigned part of the ledger does not reach it: it is given back, to wait for a later one.
    #[expect(clippy::result_large_err, reason = "the error is the charge itself, given back")]
    pub fn seen(self, countersigned: &Countersigned) -> Result<SeenCharge, Self> {
        let covers = countersigned.ledger == self.ledger && countersigned.head.entries >= self.sequence;
        if covers { Ok(SeenCharge(self)) } else { Err(self) }
    }

    /// A charge for tests that draw a hundred thousand times: as seen, without a signature.
    #[cfg(test)]
    pub(crate) const fn seen_by_test(self) -> SeenCharge {
        SeenCharge(self)
    }
}

/// A charge that the centre knows of. Consumed by the one release that it pays.
pub struct SeenCharge(Charge);

impl SeenCharge {
    /// The charge.
    #[must_use]
    pub const fn charge(&self) -> &Charge {
        &self.0
    }
}

/// Proof that the centre has a part of this ledger: its signature over a head of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Countersigned {
    ledger: LedgerId,
    head: Head,
}

impl Countersigned {
    /// How far it reaches.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }
}

/// A checkpoint was not taken. Nothing is noised by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CountersignError {
    /// Of another ledger.
    #[error("the checkpoint is of another ledger")]
    Ledger,
    /// The centre has seen more entries than the ledger has: the ledger was put back to an earlier state.
    #[error("the centre has seen more of this ledger than it holds")]
    RolledBack,
    /// The centre has seen other entries than the ledger has.
    #[error("the centre has seen another chain of entries")]
    Forked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An open ledger.
pub struct Ledger<S> {
    store: S,
    id: LedgerId,
    opening: Opening,
    burned: Vec<ReleaseId>,
    /// Where the ledger stood when this process last wrote to it.
    head: Mutex<Head>,
    /// The last checkpoint.
    seen: Mutex<Option<Countersigned>>,
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
    /// and is never drawn again. `rng` names this opening in every charge that it makes.
    ///
    /// # Errors
    /// There is no ledger, it contradicts itself, or the store failed. Either way nothing is released.
    pub async fn open(store: S, rng: &mut impl CryptoRng) -> Result<Self, StoreError> {
        let mut opening = Opening([0; 16]);
        rng.fill_bytes(&mut opening.0);
        let LedgerState { id, checkpoint, .. } = store.open().await?;
        let burned = store.burn_open_charges().await?;
        let seen = checkpoint.map(|kept| Countersigned { ledger: id, head: kept.head });
        let (head, seen) = (Mutex::new(burned.head), Mutex::new(seen));
        Ok(Self { store, id, opening, burned: burned.releases, head, seen })
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

    /// Where it stands.
    #[must_use]
    pub fn head(&self) -> Head {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the centre has seen it, as far as this node knows.
    #[must_use]
    pub fn countersigned(&self) -> Option<Countersigned> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first window that may take the tenant's contributions at the clock's window `clock`: none whose time was
    /// closed, under windows of whatever length, and whatever the clock says.
    ///
    /// # Errors
    /// The store failed, or the last window there is was closed.
    pub async fn open_window(
        &self,
        tenant: &TenantId,
        unit: &UnitRule,
        clock: WindowId,
    ) -> Result<WindowId, StoreError> {
        let Some(closed_s) = self.store.closed_until(tenant).await? else { return Ok(clock) };
        let first = WindowId(closed_s.div_ceil(u64::from(unit.window_seconds.max(1))));
        let open = clock.max(first);
        Span::of(unit, open).map(|_| open).ok_or(StoreError::Corrupt)
    }

    /// Closes a window's time to contribution for ever, with or without a release.
    ///
    /// # Errors
    /// The store failed, or there is no such window.
    pub async fn close_window(&self, tenant: &TenantId, unit: &UnitRule, window: WindowId) -> Result<(), StoreError> {
        let span = Span::of(unit, window).ok_or(StoreError::Corrupt)?;
        self.store.close_until(tenant, span.until_s).await
    }

    /// Charges one release of a closed window. What the task holds is not looked at.
    ///
    /// # Errors
    /// A budget is spent, the release was charged before, the store holds another ledger than this process has written,
    /// or it failed: nothing is released. After [`StoreError::Unavailable`] the commit may have taken place; a second
    /// try then says [`CommitError::AlreadyCharged`], and the ρ is lost.
    pub async fn charge(&self, task: &ClosedTask) -> Result<Charge, CommitError> {
        let (window, plan) = (task.window(), task.plan());
        let record = ChargeRecord {
            id: task.id(),
            span: Span::of(window.unit(), window.window()).ok_or(StoreError::Corrupt)?,
            purpose: plan.purpose.clone(),
            unit: window.unit().unit,
            policy: window.policy(),
            rho: plan.rho,
            delta: plan.delta,
            opening: self.opening,
        };
        let limits = ChargeLimits::of(window.budget(), &record.purpose);
        let entry = ChargeEntry { record: record.clone(), limits };
        let head = self.store.commit_charge(entry, self.head()).await?;
        self.stands_at(head);
        Ok(Charge { record, ledger: self.id, sequence: head.entries })
    }

    /// Raises where it stands.
    fn stands_at(&self, head: Head) {
        let mut known = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if head.entries > known.entries {
            *known = head;
        }
    }

    /// Takes a checkpoint of the centre's: 1. it is of this ledger; 2. the ledger has as many entries; 3. they are the
    /// same ones; 4. it is kept durably. `token` is what was verified.
    ///
    /// # Errors
    /// The first check that fails.
    pub async fn countersign(
        &self,
        checkpoint: &VerifiedCheckpoint,
        token: String,
    ) -> Result<Countersigned, CountersignError> {
        let claims = checkpoint.claims();
        if claims.ledger != self.id.to_string() {
            return Err(CountersignError::Ledger);
        }
        let head = Head { entries: claims.entries, digest: claims.head };
        let own = self.store.head_at(head.entries).await?.ok_or(CountersignError::RolledBack)?;
        if own != head {
            return Err(CountersignError::Forked);
        }
        self.store.keep_checkpoint(KeptCheckpoint { head, token }).await?;
        let countersigned = Countersigned { ledger: self.id, head };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(countersigned);
        Ok(countersigned)
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
