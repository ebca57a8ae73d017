//! Live sessions: a bounded map in memory, and the queue by which they expire.
//!
//! moka is the bounded concurrent map. It has no timer, so that expiry is ours: a queue ordered by
//! deadline on the node's clock, swept on a tick, at the close of a window and on drain. A call only
//! stores the time of use; the sweep moves a session that was used meanwhile to its new deadline.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use attest::Pseudonym;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use personalize::Session;
use policies::{Retention, TenantId};

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

/// Whose session it is within its tenant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The platform named no viewer.
    Nobody,
    /// The viewer's pseudonym at this node.
    Viewer(Pseudonym),
    /// Whoever holds the session's name: it was begun with an anonymous token.
    Device,
}

impl Owner {
    /// The viewer, where the platform named one.
    pub(crate) const fn viewer(&self) -> Option<&Pseudonym> {
        match self {
            Self::Viewer(viewer) => Some(viewer),
            Self::Nobody | Self::Device => None,
        }
    }
}

/// One session.
pub(crate) struct Entry {
    /// Whose session it is. Another tenant is told that it does not exist.
    pub(crate) tenant: TenantId,
    /// Whose session it is within the tenant.
    pub(crate) owner: Owner,
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

impl SessionLimits {
    /// Those of a policy.
    pub(crate) fn of(retention: &Retention, sessions_max: usize) -> Self {
        Self {
            idle_ms: u64::from(retention.session_idle_seconds) * 1000,
            absolute_ms: u64::from(retention.session_absolute_seconds) * 1000,
            sessions_max,
        }
    }
}

/// The tenant's share of this node's sessions is in use; creation answers 503, nothing is evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionsFull;

/// The live sessions of a node.
pub(crate) struct Sessions {
    map: Cache<SessionId, Arc<Entry>>,
    queue: Mutex<BTreeSet<(u64, SessionId)>>,
    /// Sessions alive, of each tenant of the node.
    live: BTreeMap<TenantId, AtomicUsize>,
    limits: ArcSwap<SessionLimits>,
}

impl Sessions {
    /// No sessions yet. Each of `tenants` may have an equal share of the cap, so that none can crowd out another.
    pub(crate) fn new(limits: SessionLimits, tenants: impl IntoIterator<Item = TenantId>) -> Self {
        // moka notes removals late. Twice the cap keeps it from evicting what is alive; the cap itself is `live`.
        let capacity = u64::try_from(limits.sessions_max).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(64);
        let map = Cache::builder().max_capacity(capacity).eviction_policy(EvictionPolicy::lru()).build();
        let live = tenants.into_iter().map(|tenant| (tenant, AtomicUsize::new(0))).collect();
        Self { map, queue: Mutex::default(), live, limits: ArcSwap::from_pointee(limits) }
    }

    /// Sessions of `tenant` alive.
    pub(crate) fn count(&self, tenant: &TenantId) -> usize {
        self.live.get(tenant).map_or(0, |live| live.load(Ordering::Relaxed))
    }

    /// Begins a session and returns when it ends at the latest, in Unix ms.
    ///
    /// # Errors
    /// When as many of the tenant's sessions live as may.
    pub(crate) fn create(
        &self,
        id: SessionId,
        tenant: TenantId,
        owner: Owner,
        live: Live,
        now_ms: u64,
    ) -> Result<u64, SessionsFull> {
        let limits = self.limits.load();
        let max = limits.sessions_max / self.live.len().max(1);
        let count = self.live.get(&tenant).ok_or(SessionsFull)?;
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| (live < max).then_some(live + 1))
            .map_err(|_| SessionsFull)?;
        let absolute_ms = now_ms.saturating_add(limits.absolute_ms);
        let deadline = absolute_ms.min(now_ms.saturating_add(limits.idle_ms));
        let entry = Entry {
            tenant,
            owner,
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

    /// The live session of this name that was begun with an anonymous token: its name is the key to it.
    pub(crate) fn of_device(&self, id: SessionId, now_ms: u64) -> Option<Arc<Entry>> {
        let entry = self.map.get(&id)?;
        (entry.owner == Owner::Device && now_ms < self.deadline(&entry)).then_some(entry)
    }

    /// Takes a session out of the map, for its end or its erasure.
    pub(crate) fn remove(&self, id: SessionId) -> Option<Arc<Entry>> {
        let entry = self.map.remove(&id)?;
        self.queue().remove(&(entry.queued_ms.load(Ordering::Relaxed), id));
        if let Some(live) = self.live.get(&entry.tenant) {
            live.fetch_sub(1, Ordering::Relaxed);
        }
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
    /// Lives by another policy from now on: sessions that live are idle by it too, and end no later than they were to.
    pub(crate) fn follow(&self, retention: &Retention) {
        let limits = SessionLimits::of(retention, self.limits.load().sessions_max);
        self.limits.store(Arc::new(limits));
    }

    pub(crate) fn drain(&self) -> Vec<Arc<Entry>> {
        self.sweep(u64::MAX)
    }

    fn deadline(&self, entry: &Entry) -> u64 {
        entry.absolute_ms.min(entry.used_ms.load(Ordering::Relaxed).saturating_add(self.limits.load().idle_ms))
    }

    fn queue(&self) -> MutexGuard<'_, BTreeSet<(u64, SessionId)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use personalize::{Arm, Catalogue, Model, SessionOptions};

    fn name(text: &str) -> TenantId {
        text.parse().unwrap()
    }

    fn live() -> Live {
        let line = r#"{"id":"a","title":"t","kind":"clip","tags":[],"year":null}"#;
        let catalogue = Arc::new(Catalogue::parse(name("one"), 1, line.as_bytes()).unwrap());
        let model = Model::prior(&catalogue, 100_000);
        let options = SessionOptions { arm: Arm::Adaptive, contribute: true, seed: [0; 32], outcomes_max: 8 };
        Live { session: Session::new(options), serving: Arc::new(Serving { catalogue, model }), last_sequence: 0 }
    }

    fn sessions() -> Sessions {
        let limits = SessionLimits { idle_ms: 10, absolute_ms: 25, sessions_max: 4 };
        Sessions::new(limits, [name("one"), name("two")])
    }

    fn begin(sessions: &Sessions, id: u8, tenant: &str, now_ms: u64) -> Result<u64, SessionsFull> {
        sessions.create(SessionId([id; 16]), name(tenant), Owner::Nobody, live(), now_ms)
    }

    #[test]
    fn another_tenants_session_does_not_exist() {
        let sessions = sessions();
        assert_eq!(begin(&sessions, 1, "one", 0), Ok(25));
        let found = |tenant, now_ms| sessions.find(SessionId([1; 16]), &name(tenant), now_ms).is_some();
        assert_eq!((found("one", 0), found("two", 0)), (true, false));
    }

    #[test]
    fn a_name_is_a_key_only_where_a_token_began_the_session() {
        let sessions = sessions();
        let viewer = Owner::Viewer(Pseudonym::from_bytes([1; 32]));
        for (id, owner) in [(1, Owner::Device), (2, Owner::Nobody), (3, viewer)] {
            let tenant = name(if id == 1 { "one" } else { "two" });
            assert_eq!(sessions.create(SessionId([id; 16]), tenant, owner, live(), 0), Ok(25));
        }
        let found = |id, now_ms| sessions.of_device(SessionId([id; 16]), now_ms).is_some();
        assert_eq!([found(1, 9), found(1, 10), found(2, 0), found(3, 0)], [true, false, false, false]);
    }

    #[test]
    fn use_puts_off_the_idle_limit_and_nothing_puts_off_the_absolute_one() {
        let sessions = sessions();
        assert_eq!(begin(&sessions, 1, "one", 0), Ok(25));
        let found = |now_ms| sessions.find(SessionId([1; 16]), &name("one"), now_ms).is_some();
        assert_eq!((found(9), found(18), found(24)), (true, true, true));
        assert_eq!(sessions.sweep(24).len(), 0);
        assert_eq!((found(25), sessions.sweep(25).len(), sessions.count(&name("one"))), (false, 1, 0));
        assert_eq!(begin(&sessions, 2, "one", 30), Ok(55));
        assert_eq!((sessions.sweep(39).len(), sessions.sweep(40).len()), (0, 1));
    }

    #[test]
    fn a_tenant_fills_its_share_and_not_anothers() {
        let sessions = sessions();
        assert_eq!([1, 2, 3].map(|id| begin(&sessions, id, "one", 0)), [Ok(25), Ok(25), Err(SessionsFull)]);
        assert_eq!(begin(&sessions, 4, "two", 0), Ok(25));
        assert_eq!(begin(&sessions, 5, "three", 0), Err(SessionsFull), "no tenant of this node");
        assert!(sessions.remove(SessionId([1; 16])).is_some_and(|entry| entry.tenant == name("one")));
        assert_eq!(begin(&sessions, 3, "one", 0), Ok(25));
        assert_eq!((sessions.count(&name("one")), sessions.count(&name("two"))), (2, 1));
        assert_eq!(sessions.drain().len(), 3);
    }
}
