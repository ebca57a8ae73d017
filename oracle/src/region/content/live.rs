//! Live streams under check: in memory alone, each a tenant's, each gone when nothing came for a while.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attest::content::live::{LiveError, LiveStream, SegmentVerdict, Signer};
use attest::evidence::chain::{AnchorError, Anchors};
use policies::rules::ProvenanceRule;
use policies::{Digest, TenantId};

use super::ContentLimits;
use super::refusal::ContentRefusal;
use super::uploads::Upload;
/// A stream's name: 128 random bits.
pub(crate) use crate::region::sessions::SessionId as StreamId;
use crate::workers::Workers;

/// The live streams of a node.
pub(crate) struct Streams {
    anchors: Arc<Anchors>,
    /// Labels of assertions that an init segment's manifest must hold.
    required: Arc<BTreeSet<String>>,
    of_tenant_max: usize,
    idle_ms: u64,
    streams: Mutex<HashMap<StreamId, Arc<Entry>>>,
}

/// One stream.
struct Entry {
    /// Whose it is. Another tenant is told that it does not exist.
    tenant: TenantId,
    used_ms: AtomicU64,
    /// SHA-256 of the init segment, to which every verdict is bound.
    init: Digest,
    /// Held while a segment is checked, so that segments are judged one after the other, in the order in which they came.
    /// Whoever waits for it takes no thread.
    stream: Arc<tokio::sync::Mutex<LiveStream>>,
}

/// A segment's verdict, and of which stream it is.
pub(crate) struct Judged {
    pub(crate) verdict: SegmentVerdict,
    /// The manifest in force.
    pub(crate) manifest: String,
    /// SHA-256 of the init segment.
    pub(crate) init: Digest,
    /// Who signed the stream.
    pub(crate) signer: Signer,
}

impl Streams {
    /// No streams yet; signers are believed by the policy's anchors.
    ///
    /// # Errors
    /// An anchor without a certificate, or with a broken one.
    pub(crate) fn new(rule: &ProvenanceRule, limits: ContentLimits) -> Result<Self, AnchorError> {
        Ok(Self {
            anchors: Arc::new(Anchors::read(&rule.anchors)?),
            required: Arc::new(rule.required_assertions.clone()),
            of_tenant_max: limits.streams_of_tenant_max,
            idle_ms: limits.stream_idle_ms,
            streams: Mutex::default(),
        })
    }

    /// Verifies an init segment on one of the workers' threads.
    ///
    /// # Errors
    /// [`ContentRefusal::StreamRefused`] or [`ContentRefusal::Busy`].
    pub(crate) async fn verify(
        &self,
        workers: &Workers,
        init: Arc<Upload>,
        now_ms: u64,
    ) -> Result<LiveStream, ContentRefusal> {
        let (anchors, required) = (Arc::clone(&self.anchors), Arc::clone(&self.required));
        let opened: Result<_, LiveError> =
            workers.run(1, move || LiveStream::open_requiring(init.bytes(), &anchors, &required, now_ms)).await?;
        opened.map_err(ContentRefusal::StreamRefused)
    }

    /// Keeps a verified stream, whose init segment has this digest, under `id`.
    ///
    /// # Errors
    /// [`ContentRefusal::StreamsFull`] where the tenant has as many as may be.
    pub(crate) fn keep(
        &self,
        id: StreamId,
        tenant: &TenantId,
        (stream, init): (LiveStream, Digest),
        now_ms: u64,
    ) -> Result<(), ContentRefusal> {
        let mut streams = self.lock();
        streams.retain(|_, entry| entry.lives(now_ms, self.idle_ms));
        if streams.values().filter(|entry| entry.tenant == *tenant).count() >= self.of_tenant_max {
            return Err(ContentRefusal::StreamsFull);
        }
        let stream = Arc::new(tokio::sync::Mutex::new(stream));
        let (tenant, used_ms) = (tenant.clone(), AtomicU64::new(now_ms));
        streams.insert(id, Arc::new(Entry { tenant, used_ms, init, stream }));
        Ok(())
    }

    /// Judges a segment on one of the workers' threads, after those of the stream that came before it.
    ///
    /// # Errors
    /// [`ContentRefusal::StreamUnknown`] or [`ContentRefusal::Busy`].
    pub(crate) async fn judge(
        &self,
        workers: &Workers,
        (id, tenant): (StreamId, &TenantId),
        segment: Arc<Upload>,
        now_ms: u64,
    ) -> Result<Judged, ContentRefusal> {
        let entry = self.find(id, tenant, now_ms)?;
        let mut stream = Arc::clone(&entry.stream).lock_owned().await;
        let init = entry.init;
        let judge = move || {
            let verdict = stream.segment(segment.bytes(), now_ms);
            Judged { verdict, manifest: stream.manifest_name(), init, signer: stream.signer().clone() }
        };
        Ok(workers.run(1, judge).await?)
    }

    /// Whether the tenant has this stream; it is noted as used now.
    ///
    /// # Errors
    /// [`ContentRefusal::StreamUnknown`].
    pub(crate) fn check(&self, id: StreamId, tenant: &TenantId, now_ms: u64) -> Result<(), ContentRefusal> {
        self.find(id, tenant, now_ms).map(drop)
    }

    fn find(&self, id: StreamId, tenant: &TenantId, now_ms: u64) -> Result<Arc<Entry>, ContentRefusal> {
        let entry = self.lock().get(&id).cloned();
        let entry = entry.filter(|entry| entry.tenant == *tenant && entry.lives(now_ms, self.idle_ms));
        let entry = entry.ok_or(ContentRefusal::StreamUnknown)?;
        entry.used_ms.fetch_max(now_ms, Ordering::Relaxed);
        Ok(entry)
    }

    /// Forgets a stream.
    ///
    /// # Errors
    /// [`ContentRefusal::StreamUnknown`].
    pub(crate) fn end(&self, id: StreamId, tenant: &TenantId, now_ms: u64) -> Result<(), ContentRefusal> {
        self.check(id, tenant, now_ms)?;
        self.lock().remove(&id);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StreamId, Arc<Entry>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn lives(&self, now_ms: u64, idle_ms: u64) -> bool {
        now_ms < self.used_ms.load(Ordering::Relaxed).saturating_add(idle_ms)
    }
}

#[cfg(test)]
mod tests;
