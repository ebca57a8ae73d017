//! A ledger store in memory that fails on command, for tests alone. Its state is what a disk would hold.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use policies::{Delta, PurposeId, Rho, TenantId};

use crate::release::{
    Burned, ChargeEntry, ChargeRecord, CommitError, Head, KeptCheckpoint, LedgerEntry, LedgerId, LedgerState,
    LedgerStore, PersistError, ReleaseId, Span, Spent, StoreError, StoredRelease,
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

#[derive(Default, Clone)]
pub(crate) struct Disk {
    pub(crate) ledger: Option<LedgerId>,
    pub(crate) entries: Vec<Vec<u8>>,
    /// By their numbers.
    pub(crate) charges: BTreeMap<u64, (ChargeRecord, Bytes)>,
    pub(crate) closed: BTreeMap<TenantId, u64>,
    pub(crate) checkpoint: Option<KeptCheckpoint>,
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

impl Disk {
    pub(crate) fn head_at(&self, entries: u64) -> Option<Head> {
        let kept = self.entries.get(..usize::try_from(entries).ok()?)?;
        Some(kept.iter().fold(Head::empty(self.ledger?), |head, entry| head.after(entry)))
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.head_at(self.entries.len() as u64).ok_or(StoreError::MissingLedger)
    }

    fn append(&mut self, entry: &LedgerEntry) -> Result<Head, StoreError> {
        self.entries.push(entry.encode());
        self.head()
    }

    fn spent(&self, tenant: &TenantId, purpose: Option<&PurposeId>, span: Span) -> Spent {
        let of = |charge: &&ChargeRecord| charge.id.tenant == *tenant && purpose.is_none_or(|p| charge.purpose == *p);
        let charges = || self.charges.values().map(|(charge, _)| charge).filter(of);
        let overlapping = || charges().filter(|charge| charge.span.overlaps(&span));
        let rho = |sum: Rho, charge: &ChargeRecord| sum.checked_add(charge.rho).unwrap();
        Spent {
            window: overlapping().fold(Rho::ZERO, rho),
            year: charges().filter(|charge| charge.span.year() == span.year()).fold(Rho::ZERO, rho),
            delta: overlapping().fold(Delta::ZERO, |sum, charge| sum.checked_add(charge.delta).unwrap()),
        }
    }

    fn commit(&mut self, entry: ChargeEntry, known: Head) -> Result<Head, CommitError> {
        if self.head_at(known.entries) != Some(known) {
            return Err(CommitError::Replaced);
        }
        let record = entry.record;
        if self.charges.values().any(|(other, _)| other.id == record.id) {
            return Err(CommitError::AlreadyCharged);
        }
        let all = self.spent(&record.id.tenant, None, record.span);
        let of_purpose = self.spent(&record.id.tenant, Some(&record.purpose), record.span);
        entry.limits.admit(&record, &all, &of_purpose)?;
        self.raise(&record.id.tenant, record.span.until_s);
        let head = self.append(&LedgerEntry::Charge(record.clone()))?;
        self.charges.insert(head.entries, (record, Bytes::Open));
        Ok(head)
    }

    fn burn(&mut self) -> Result<Burned, StoreError> {
        let open = self.charges.iter_mut().filter(|(_, (_, bytes))| *bytes == Bytes::Open);
        let open: Vec<_> =
            open.map(|(n, (charge, bytes))| (*bytes = Bytes::Burned, (*n, charge.id.clone())).1).collect();
        for (number, _) in &open {
            self.append(&LedgerEntry::Burn(*number))?;
        }
        Ok(Burned { releases: open.into_iter().map(|(_, id)| id).collect(), head: self.head()? })
    }

    fn raise(&mut self, tenant: &TenantId, until_s: u64) {
        let closed = self.closed.entry(tenant.clone()).or_insert(until_s);
        *closed = until_s.max(*closed);
    }

    fn persist(&mut self, release: StoredRelease) -> Result<(), PersistError> {
        let found = self.charges.get_mut(&release.sequence).filter(|(charge, _)| charge.id == release.id);
        match found.map(|(_, bytes)| bytes) {
            None | Some(Bytes::Burned) => Err(PersistError::NotCharged),
            Some(Bytes::Unsent(bytes) | Bytes::Sent(bytes)) if *bytes == release.bytes => Ok(()),
            Some(Bytes::Unsent(_) | Bytes::Sent(_)) => Err(PersistError::AlreadyPersisted),
            Some(open) => {
                *open = Bytes::Unsent(release.bytes);
                Ok(())
            }
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
        Ok(LedgerState { id, head: disk.head()?, checkpoint: disk.checkpoint.clone() })
    }

    async fn burn_open_charges(&self) -> Result<Burned, StoreError> {
        self.write(Disk::burn)
    }

    async fn commit_charge(&self, entry: ChargeEntry, known: Head) -> Result<Head, CommitError> {
        self.write(|disk| disk.commit(entry, known))
    }

    async fn persist_noised(&self, release: StoredRelease) -> Result<(), PersistError> {
        self.write(|disk| disk.persist(release))
    }

    async fn unsent(&self, after: u64, limit: usize) -> Result<Vec<StoredRelease>, StoreError> {
        let disk = self.disk();
        let unsent = disk.charges.range(after + 1..).filter_map(|(sequence, (charge, bytes))| match bytes {
            Bytes::Unsent(bytes) => {
                Some(StoredRelease { id: charge.id.clone(), sequence: *sequence, bytes: bytes.clone() })
            }
            _ => None,
        });
        Ok(unsent.take(limit).collect())
    }

    async fn mark_sent(&self, id: &ReleaseId) -> Result<(), StoreError> {
        self.write(|disk| {
            for (_, bytes) in disk.charges.values_mut().filter(|(charge, _)| charge.id == *id) {
                if let Bytes::Unsent(kept) = bytes {
                    *bytes = Bytes::Sent(std::mem::take(kept));
                }
            }
            Ok(())
        })
    }

    async fn closed_until(&self, tenant: &TenantId) -> Result<Option<u64>, StoreError> {
        Ok(self.disk().closed.get(tenant).copied())
    }

    async fn close_until(&self, tenant: &TenantId, until_s: u64) -> Result<(), StoreError> {
        self.write(|disk| {
            disk.raise(tenant, until_s);
            Ok(())
        })
    }

    async fn spent(&self, tenant: &TenantId, purpose: Option<&PurposeId>, span: Span) -> Result<Spent, StoreError> {
        Ok(self.disk().spent(tenant, purpose, span))
    }

    async fn entries(&self, after: u64, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let after = usize::try_from(after).unwrap();
        Ok(self.disk().entries.iter().skip(after).take(limit).cloned().collect())
    }

    async fn head_at(&self, entries: u64) -> Result<Option<Head>, StoreError> {
        Ok(self.disk().head_at(entries))
    }

    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint) -> Result<(), StoreError> {
        self.write(|disk| {
            if disk.checkpoint.as_ref().is_none_or(|kept| kept.head.entries <= checkpoint.head.entries) {
                disk.checkpoint = Some(checkpoint);
            }
            Ok(())
        })
    }
}
