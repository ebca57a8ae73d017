//! Running totals of each tenant, as far as they have come: raw sums of earlier windows, in memory alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aggregator::release::Stream;
use policies::TenantId;

/// One stream a tenant. They end with the process; the next one begins others.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<BTreeMap<TenantId, Stream>>>);

impl Streams {
    /// Does something with a tenant's stream, alone.
    pub(super) fn with<T>(&self, tenant: &TenantId, act: impl FnOnce(&mut Stream) -> T) -> T {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(streams.entry(tenant.clone()).or_default())
    }

    /// Ends a tenant's stream: its next row begins another.
    pub(super) fn end(&self, tenant: &TenantId) {
        self.with(tenant, Stream::end);
    }
}
