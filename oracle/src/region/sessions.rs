//! Live sessions: a bounded map in memory, and the queue by which they expire.
//!
//! moka is the bounded concurrent map. It has no timer, so that expiry is ours: a queue ordered by
//! deadline on the node's clock, swept on a tick, at the close of a window and on drain. A call only
//! stores the time of use; the sweep moves a session that was used meanwhile to its new deadline.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attest::Pseudonym;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use personalize::Session;
use policies::TenantId;

use super::tenant::Serving;

/// A session's name: 128 random bits, 22 characters of base64url.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(pub(crate) [u8; 16]);

/// The text is no session id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidSessionId;

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for SessionId {
    type Err = InvalidSessionId;

    fn from_str(text: &str) -> Result<Self, InvalidSessionId> {
        let mut bytes = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(InvalidSessionId),
        }
    }
}

/// What a call may change, under the session's lock.
pub(crate) struct Live {
    /// Ranking state and outcomes.
    pub(crate) session: Session,
    /// The catalogue and model that it is served with.
    pub(crate) serving: Arc<Serving>,
    /// The highest sequence number of a signal so far; 0 before the first.
    pub(crate) last_sequence: u64,
}

/// One session.
pub(crate) struct Entry {
    /// Whose session it is. Another tenant is told that it does not exist.
    pub(crate) tenant: TenantId,
    /// The viewer's pseudonym at this node, where the platform sent one.
    pub(crate) viewer: Option<Pseudonym>,
    /// Unix ms at which it ends, whatever happens.
    absolute_ms: u64,
    used_ms: AtomicU64,
    /// The deadline under which the queue holds it; changed under the queue's lock only.
    queued_ms: AtomicU64,
    live: Mutex<Live>,
}

impl Entry {
    /// The session's state. A panic in another call leaves plain numbers behind, never a broken
    /// invariant of memory, so that a poisoned lock is taken over.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Idle and absolute limits of sessions, in ms, and how many may live.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionLimits {
    pub(crate) idle_ms: u64,
    pub(crate) absolute_ms: u64,
    pub(crate) sessions_max: usize,
}

/// All sessions of this node are in use; creation answers 503, nothing is evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionsFull;

/// The live sessions of a node.
pub(crate) struct Sessions {
    map: Cache<SessionId, Arc<Entry>>,
    queue: Mutex<BTreeSet<(u64, SessionId)>>,
    live: AtomicUsize,
    limits: SessionLimits,
}

impl Sessions {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        // moka notes removals late. Twice the cap keeps it from evicting what is alive; the cap itself is `live`.
        let capacity = u64::try_from(limits.sessions_max).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(64);
        let map = Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru()).build();
        Self { map, queue: Mutex::default(), live: AtomicUsize::new(0), limits }
    }

    /// Sessions alive.
    pub(crate) fn count(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    /// Begins a session and returns when it ends at the latest, in Unix ms.
    ///
    /// # Errors
    /// When as many sessions live as may.
    pub(crate) fn create(
        &self,
        id: SessionId,
        tenant: TenantId,
        viewer: Option<Pseudonym>,
        live: Live,
        now_ms: u64,
    ) -> Result<u64, SessionsFull> {
        let max = self.limits.sessions_max;
        self.live
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < max).then_some(count + 1))
            .map_err(|_| SessionsFull)?;
        let absolute_ms = now_ms.saturating_add(self.limits.absolute_ms);
        let deadline = absolute_ms.min(now_ms.saturating_add(self.limits.idle_ms));
        let entry = Entry {
            tenant,
            viewer,
            absolute_ms,
            used_ms: AtomicU64::new(now_ms),
            queued_ms: AtomicU64::new(deadline),
            live: Mutex::new(live),
        };
        self.map.insert(id, Arc::new(entry));
        self.queue().insert((deadline, id));
        Ok(absolute_ms)
    }

    /// The tenant's live session of this name, noted as used now.
    pub(crate) fn find(&self, id: SessionId, tenant: &TenantId, now_ms: u64) -> Option<Arc<Entry>> {
        let entry = self.map.get(&id)?;
        if entry.tenant != *tenant || self.deadline(&entry) <= now_ms {
            return None;
        }
        entry.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        Some(entry)
    }

    /// Takes a session out of the map, for its end or its erasure.
    pub(crate) fn remove(&self, id: SessionId) -> Option<Arc<Entry>> {
        let entry = self.map.remove(&id)?;
        self.queue().remove(&(entry.queued_ms.load(Ordering::Relaxed), id));
        self.live.fetch_sub(1, Ordering::Relaxed);
        Some(entry)
    }

    /// Takes out every session whose deadline has passed.
    pub(crate) fn sweep(&self, now_ms: u64) -> Vec<Arc<Entry>> {
        let mut due = Vec::new();
        let mut queue = self.queue();
        while let Some(&(queued, id)) = queue.first() {
            if queued > now_ms {
                break;
            }
            queue.pop_first();
            let Some(entry) = self.map.get(&id) else { continue };
            let deadline = self.deadline(&entry);
            if deadline > now_ms {
                entry.queued_ms.store(deadline, Ordering::Relaxed);
                queue.insert((deadline, id));
            } else {
                due.push(id);
            }
        }
        drop(queue);
        due.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Takes out every session, for a drain.
    pub(crate) fn drain(&self) -> Vec<Arc<Entry>> {
        self.sweep(u64::MAX)
    }

    fn deadline(&self, entry: &Entry) -> u64 {
        entry.absolute_ms.min(entry.used_ms.load(Ordering::Relaxed).saturating_add(self.limits.idle_ms))
    }

    fn queue(&self) -> MutexGuard<'_, BTreeSet<(u64, SessionId)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
