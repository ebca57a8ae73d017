//! A ledger store in memory that fails on command, for tests alone. Its state is what a disk would hold.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use policies::{Rho, TenantId, WindowId};

use crate::release::{
    ChargeEntry, CommitError, LedgerId, LedgerState, LedgerStore, PersistError, ReleaseId, Spent, StoreError,
    StoredRelease,
};

/// What the next durable verb does instead of succeeding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is written, and the caller is told so.
    Before,
    /// It is written, and the caller is told that it failed.
    After,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bytes {
    Open,
    Burned,
    Unsent(Vec<u8>),
    Sent(Vec<u8>),
}

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) ledger: Option<LedgerId>,
    pub(crate) charges: Vec<(ChargeEntry, Bytes)>,
    pub(crate) closed: BTreeMap<TenantId, WindowId>,
    pub(crate) faults: VecDeque<Option<Fault>>,
}

#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Disk>>);

/// Runs a future that never waits.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a store in memory never waits"),
    }
}

impl Memory {
    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    fn write<T, E: From<StoreError>>(&self, verb: impl FnOnce(&mut Disk) -> Result<T, E>) -> Result<T, E> {
        let mut disk = self.disk();
        match disk.faults.pop_front().flatten() {
            Some(Fault::Before) => Err(StoreError::Busy.into()),
            Some(Fault::After) => verb(&mut disk).and(Err(StoreError::Unavailable.into())),
            None => verb(&mut disk),
        }
    }
}

fn sum(disk: &Disk, of: impl Fn(&ChargeEntry) -> bool) -> Rho {
    let rhos = disk.charges.iter().filter(|(entry, _)| of(entry)).map(|(entry, _)| entry.rho);
    rhos.fold(Rho::ZERO, |sum, rho| sum.checked_add(rho).unwrap())
}

fn commit(disk: &mut Disk, entry: ChargeEntry) -> Result<u64, CommitError> {
    if disk.charges.iter().any(|(other, _)| other.id == entry.id) {
        return Err(CommitError::AlreadyCharged);
    }
    let tenant = &entry.id.tenant;
    let fits = |sum: Rho, limit| sum.checked_add(entry.rho).is_some_and(|sum| sum <= limit);
    if !fits(sum(disk, |e| e.id.tenant == *tenant && e.id.window == entry.id.window), entry.window_limit) {
        return Err(CommitError::OverWindowBudget);
    }
    if !fits(sum(disk, |e| e.id.tenant == *tenant && e.year == entry.year), entry.year_limit) {
        return Err(CommitError::OverYearBudget);
    }
    raise(disk, tenant, entry.id.window);
    disk.charges.push((entry, Bytes::Open));
    Ok(disk.charges.len() as u64)
}

fn raise(disk: &mut Disk, tenant: &TenantId, window: WindowId) {
    let closed = disk.closed.entry(tenant.clone()).or_insert(window);
    *closed = window.max(*closed);
}

fn persist(disk: &mut Disk, release: StoredRelease) -> Result<(), PersistError> {
    let place = usize::try_from(release.sequence).unwrap().checked_sub(1).and_then(|at| disk.charges.get_mut(at));
    match place.filter(|(entry, _)| entry.id == release.id).map(|(_, bytes)| bytes) {
        None | Some(Bytes::Burned) => Err(PersistError::NotCharged),
        Some(Bytes::Unsent(bytes) | Bytes::Sent(bytes)) if *bytes == release.bytes => Ok(()),
        Some(Bytes::Unsent(_) | Bytes::Sent(_)) => Err(PersistError::AlreadyPersisted),
        Some(open) => {
            *open = Bytes::Unsent(release.bytes);
            Ok(())
        }
    }
}

impl LedgerStore for Memory {
    async fn initialise(&self, id: LedgerId) -> Result<bool, StoreError> {
        self.write(|disk| {
            let fresh = disk.ledger.is_none();
            disk.ledger.get_or_insert(id);
            Ok(fresh)
        })
    }

    async fn open(&self) -> Result<LedgerState, StoreError> {
        let disk = self.disk();
        let id = disk.ledger.ok_or(StoreError::MissingLedger)?;
        Ok(LedgerState { id, last_sequence: disk.charges.len() as u64 })
    }

    async fn burn_open_charges(&self) -> Result<Vec<ReleaseId>, StoreError> {
        self.write(|disk| {
            let open = disk.charges.iter_mut().filter(|(_, bytes)| *bytes == Bytes::Open);
            Ok(open.map(|(entry, bytes)| (*bytes = Bytes::Burned, entry.id.clone()).1).collect())
        })
    }

    async fn commit_charge(&self, entry: ChargeEntry) -> Result<u64, CommitError> {
        self.write(|disk| commit(disk, entry))
    }

    async fn persist_noised(&self, release: StoredRelease) -> Result<(), PersistError> {
        self.write(|disk| persist(disk, release))
    }

    async fn unsent(&self, after: u64, limit: usize) -> Result<Vec<StoredRelease>, StoreError> {
        let disk = self.disk();
        let numbered = (1..).zip(&disk.charges).filter(|(sequence, _)| *sequence > after);
        let unsent = numbered.filter_map(|(sequence, (entry, bytes))| match bytes {
            Bytes::Unsent(bytes) => Some(StoredRelease { id: entry.id.clone(), sequence, bytes: bytes.clone() }),
            _ => None,
        });
        Ok(unsent.take(limit).collect())
    }

    async fn mark_sent(&self, id: &ReleaseId) -> Result<(), StoreError> {
        self.write(|disk| {
            for (_, bytes) in disk.charges.iter_mut().filter(|(entry, _)| entry.id == *id) {
                if let Bytes::Unsent(kept) = bytes {
                    *bytes = Bytes::Sent(std::mem::take(kept));
                }
            }
            Ok(())
        })
    }

    async fn closed_window(&self, tenant: &TenantId) -> Result<Option<WindowId>, StoreError> {
        Ok(self.disk().closed.get(tenant).copied())
    }

    async fn close_window(&self, tenant: &TenantId, window: WindowId) -> Result<(), StoreError> {
        self.write(|disk| {
            raise(disk, tenant, window);
            Ok(())
        })
    }

    async fn spent(&self, tenant: &TenantId, window: WindowId, year: u64) -> Result<Spent, StoreError> {
        let disk = self.disk();
        Ok(Spent {
            window: sum(&disk, |entry| entry.id.tenant == *tenant && entry.id.window == window),
            year: sum(&disk, |entry| entry.id.tenant == *tenant && entry.year == year),
        })
    }
}
