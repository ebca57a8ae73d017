//! What arrived since the last training, so that the next one starts when every node has reported.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aggregator::release::ReleaseId;
use policies::{NodeId, TaskKind, TenantId};
use tokio::sync::Notify;

/// The releases of one tenant that no model has learned from yet.
#[derive(Default)]
struct Waiting {
    /// When the first of them arrived, Unix milliseconds.
    since_ms: u64,
    reported: BTreeSet<(NodeId, TaskKind)>,
}

/// Arrivals of all tenants. Bounded by tenants × pinned nodes × kinds of task.
#[derive(Default)]
pub(super) struct Arrivals {
    waiting: Mutex<BTreeMap<TenantId, Waiting>>,
    changed: Notify,
}

impl Arrivals {
    /// A release was accepted for the first time.
    pub(super) fn note(&self, id: &ReleaseId, now_ms: u64) {
        let mut waiting = self.lock();
        let fresh = || Waiting { since_ms: now_ms, reported: BTreeSet::new() };
        waiting.entry(id.tenant.clone()).or_insert_with(fresh).reported.insert((id.node.clone(), id.task));
        drop(waiting);
        self.changed.notify_one();
    }

    /// A training begins: it learns from everything noted so far.
    pub(super) fn taken(&self, tenant: &TenantId) {
        self.lock().remove(tenant);
    }

    /// Whether a training is due: everything in `expected` has reported, or the grace has passed.
    pub(super) fn due(
        &self,
        tenant: &TenantId,
        expected: &BTreeSet<(NodeId, TaskKind)>,
        grace_ms: u64,
        now_ms: u64,
    ) -> bool {
        let waiting = self.lock();
        let Some(waiting) = waiting.get(tenant) else { return false };
        waiting.reported.is_superset(expected) || now_ms >= waiting.since_ms.saturating_add(grace_ms)
    }

    /// Waits until something arrives. An arrival between two calls is not missed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(node: &str, task: TaskKind) -> ReleaseId {
        format!("demo/{task}/eu-west/{node}/7").parse().unwrap()
    }

    #[test]
    fn due_when_all_have_reported_or_the_grace_has_passed() {
        let (arrivals, demo) = (Arrivals::default(), "demo".parse().unwrap());
        let (one, two) = (id("node-1", TaskKind::ItemCounts), id("node-2", TaskKind::ItemCounts));
        let expected = [&one, &two].map(|id| (id.node.clone(), id.task)).into();
        let due = |now_ms| arrivals.due(&demo, &expected, 100, now_ms);
        assert!(!due(u64::MAX), "nothing arrived: nothing is due");
        arrivals.note(&one, 1000);
        arrivals.note(&one, 1050);
        assert_eq!((due(1099), due(1100)), (false, true));
        arrivals.note(&two, 1060);
        assert!(due(1060));
        arrivals.taken(&demo);
        assert!(!due(u64::MAX));
    }
}
